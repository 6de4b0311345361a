/** `varve skew VIEW`: compares what a view serves with what its definition gives. */
import { formatCount, textTable } from "varve";
import type { SkewReport } from "varve";
import { connectOptions } from "../settings.ts";
import { connect } from "../connect.ts";
import type { CommandContext } from "./main.ts";

/** Prints what was found; exits with 1 when something differs. */
export async function skew(
  context: CommandContext,
  view: string,
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  const store = await connect(connectOptions(context.config));
  try {
    const found = await store.skew(view, {
      keys: Number(options["keys"]),
      seed: Number(options["seed"]),
      ...(options["at"] !== undefined && { at: String(options["at"]) }),
    });
    context.print(context.json ? JSON.stringify(found, plain, 2) : skewText(found));
    if (found.mismatches > 0) process.exitCode = 1;
  } finally {
    await store.close();
  }
}

/** What was found as text. */
export function skewText(found: SkewReport): string {
  const title = `view ${found.view} version ${found.version} at ${found.at}: ` +
    `${formatCount(found.keys)} keys × ${formatCount(found.features.length)} features`;
  const verdict = `${formatCount(found.mismatches)} mismatches among ${formatCount(found.values)} values ` +
    "(served, stored for training, computed anew from the source)";
  if (found.mismatches === 0) return `${title}\n${verdict}`;
  const counts = found.features.filter(({ served, stored }) => served + stored > 0).map((each) => [
    each.feature,
    formatCount(each.served),
    formatCount(each.stored),
  ]);
  const examples = found.examples.map(({ key, feature, source, served, stored }) => [
    Object.values(key).map(text).join(", "),
    feature,
    text(source),
    text(served),
    text(stored),
  ]);
  return [
    title,
    verdict,
    "",
    textTable(["feature", "served differs", "stored differs"], counts, ["left", "right", "right"]),
    "",
    textTable(["key", "feature", "source", "served", "stored"], examples),
  ].join("\n");
}

function text(value: unknown): string {
  if (value === null || value === undefined) return "–";
  return typeof value === "object" ? JSON.stringify(value, plain) : String(value);
}

/** What JSON cannot hold is written as text (S9). */
function plain(_name: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}
