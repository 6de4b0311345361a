/** What can be published, and the definitions that it brings to a plan. */
import type { Definition } from "./define/definitions.ts";
import type { Entity } from "./define/entity.ts";
import type { RealtimeView } from "./define/realtime_view.ts";
import type { FeatureService } from "./define/service.ts";
import type { FeatureView } from "./define/view.ts";
import { givenText, VarveError } from "./errors.ts";

/** Anything that can be published. */
export type Publishable =
  // deno-lint-ignore no-explicit-any
  FeatureView<any, any> | RealtimeView<any, any, any> | FeatureService<any, any, any> | Entity<any> | Definition;

const definitionKinds: readonly unknown[] = [
  "entity",
  "view",
  "realtimeView",
  "service",
] satisfies Definition["kind"][];

/** What something brings to a plan. Whoever writes JavaScript may give anything, and must not be told "No changes". */
export function definitionsOf(each: Publishable): readonly Definition[] {
  if (typeof each === "object" && each !== null) {
    if ("definitions" in each) return each.definitions;
    if ("kind" in each && definitionKinds.includes(each.kind)) return [each];
  }
  throw new VarveError(
    "INVALID_DEFINITION",
    `Cannot publish ${givenText(each)}: it is no view, service or entity; make one of a frame, as in ` +
      'view("name", frame.by(entity), { schedule: "1d", start: "2024-01-01" })',
  );
}

/** What comes second are options: whoever gives a second view there must not be told of options. */
export function checkOneGiven(options: unknown): void {
  const isGiven = typeof options === "object" && options !== null &&
    (Array.isArray(options) || ["definitions", "kind", "frame"].some((name) => name in options));
  if (!isGiven) return;
  throw new VarveError(
    "INVALID_REQUEST",
    "Cannot publish several like this: give them as one list, as in publish([a, b])",
  );
}

export function isList(features: Publishable | readonly Publishable[]): features is readonly Publishable[] {
  return Array.isArray(features);
}

/** Several services bring the same views: one of each. Differing ones are left for the plan to refuse. */
export function unique(definitions: readonly Definition[]): Definition[] {
  const seen = new Map(definitions.map((definition) => [JSON.stringify(definition), definition]));
  return [...seen.values()];
}
