/** What the online values of a view version depend on, as a text: where it changes, everything is loaded again. */
import { createHash } from "node:crypto";
import type { AggregateView, ViewDefinition } from "../define/definitions.ts";
import { formatType } from "../schema.ts";
import { rowLayout, tileLayout } from "../storage/encoding.ts";
import { onlinePlan } from "../window/online_plan.ts";

/** What the values of a load depend on; another text asks for a fresh load. */
export function onlineLayout(definition: ViewDefinition, epoch: string): string {
  const keys = definition.entity.joinKeys.map((key) => [key.name, formatType(key.type)]);
  const text = JSON.stringify(
    definition.mode === "attributes"
      ? [rowLayout(definition.features).hash, keys, definition.ttl, epoch]
      : [...windowParts(definition), keys, epoch],
  );
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

/** Where windows lie decides how far back values reach, which tiles are merged, and which totals are made. */
function windowParts(definition: AggregateView): unknown[] {
  const { columns, windowsHash } = onlinePlan(definition);
  return [tileLayout(columns).hash, windowsHash, definition.maxRows ?? 0];
}
