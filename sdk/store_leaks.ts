/**
 * Finds features that would leak the future: a training set is joined twice, by what had happened at each row's time and by what
 * could have been served then (S4). Where the two differ, a model trained on the first sees what it will not have.
 */
import type { OptionNames } from "./errors.ts";
import { join } from "node:path";
import { rm } from "node:fs/promises";
import { type EngineSession, quoteName, quoteText } from "./engine/engine.ts";
import { makeAttemptFolder } from "./materialize/attempt_folder.ts";
import type { AnyRead } from "./retrieve/feature_read.ts";
import { floatTolerance } from "./retrieve/same_value.ts";
import type { SpineInput } from "./retrieve/spine.ts";
import { trainingSet, type TrainOptions, withSchema } from "./retrieve/training.ts";
import type { Field, Row } from "./schema.ts";
import type { StoreParts } from "./store_parts.ts";

/** How the two training sets are read. */
export type LeakOptions = Pick<TrainOptions, "eventTimestamp" | "from" | "schema" | "signal">;

/** Their names. */
export const leakOptions: OptionNames<LeakOptions> = { eventTimestamp: true, from: true, schema: true, signal: true };

/** One feature. */
export interface FeatureLeak {
  /** Its name. */
  readonly feature: string;
  /** Rows for which the two joins differ. */
  readonly rows: number;
  /** Their share of all rows, from 0 to 1. */
  readonly share: number;
}

/** One row for which a feature differs. */
export interface LeakExample {
  /** The row of the spine. */
  readonly row: Row;
  /** The feature. */
  readonly feature: string;
  /** What had happened by the row's time. */
  readonly event: unknown;
  /** What could have been served then. */
  readonly effective: unknown;
}

/** What the two joins say. */
export interface LeakReport {
  /** Rows of the spine. */
  readonly rows: number;
  /** Rows for which some feature differs. */
  readonly changed: number;
  /** Every feature, those that differ most first. */
  readonly features: readonly FeatureLeak[];
  /** A few rows of each feature that differs. */
  readonly examples: readonly LeakExample[];
}

const examplesPerFeature = 3;
const maxExamples = 30;

/** Joins twice and compares. */
export async function leaks(
  parts: StoreParts,
  reads: readonly AnyRead[],
  spine: SpineInput,
  options: LeakOptions = {},
): Promise<LeakReport> {
  const folder = await makeAttemptFolder(parts.runContext().tempDir);
  const engine = await parts.engine();
  try {
    const context = await parts.trainContext();
    const [effective, event] = [join(folder, "effective.parquet"), join(folder, "event.parquet")];
    const request = { ...withSchema(options), reads };
    const first = await trainingSet({ ...request, spine, asOf: "effective" }, context);
    let features: readonly Field[];
    let spineFields: readonly Field[];
    try {
      await first.parquet(effective);
      const names = new Set(reads.flatMap((read) => read.features.map(({ as }) => as)));
      features = first.schema.filter(({ name }) => names.has(name));
      spineFields = first.schema.filter(({ name }) => !names.has(name));
    } finally {
      first.close();
    }
    // The rows that were read, in their order: a spine that is read twice may have changed.
    const source = { kind: "file", format: "parquet", paths: [effective] } as const;
    const query = { kind: "scan", source, schema: spineFields } as const;
    const { eventTimestamp } = first.record;
    const second = await trainingSet({ ...request, spine: { query }, asOf: "event", eventTimestamp }, context);
    try {
      await second.parquet(event);
    } finally {
      second.close();
    }
    const session = await engine.session();
    try {
      return await compared(session, { effective, event, features, spineFields }, options.signal);
    } finally {
      session.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Joined {
  readonly effective: string;
  readonly event: string;
  readonly features: readonly Field[];
  readonly spineFields: readonly Field[];
}

async function compared(
  session: EngineSession,
  { effective, event, features, spineFields }: Joined,
  signal: AbortSignal | undefined,
): Promise<LeakReport> {
  const rowsOf = (path: string) => `read_parquet(${quoteText(path)}, file_row_number = true)`;
  const both = `${rowsOf(effective)} a JOIN ${rowsOf(event)} b USING (file_row_number)`;
  const differs = features.map(differsSql);
  const anyDiffers = differs.join(" OR ") || "false";
  const counts = [`count(*)::DOUBLE AS n`, `count(*) FILTER (${anyDiffers})::DOUBLE AS changed`];
  counts.push(...differs.map((sql, i) => `count(*) FILTER (${sql})::DOUBLE AS d${i}`));
  const [found] = await session.rows(`SELECT ${counts.join(", ")} FROM ${both}`, signal);
  const rows = Number(found!["n"]);
  const list = features.map(({ name }, i): FeatureLeak => {
    const changed = Number(found![`d${i}`]);
    return { feature: name, rows: changed, share: rows === 0 ? 0 : changed / rows };
  });
  const examples: LeakExample[] = [];
  for (const [i, { name }] of features.entries()) {
    if (list[i]!.rows === 0 || examples.length >= maxExamples) continue;
    const columns = spineFields.map((field) => `a.${quoteName(field.name)}`);
    const shown = await session.rows(
      `SELECT ${
        [...columns, `b.${quoteName(name)} AS varve_event`, `a.${quoteName(name)} AS varve_effective`].join(", ")
      } ` +
        `FROM ${both} WHERE ${differs[i]} ORDER BY file_row_number LIMIT ${examplesPerFeature}`,
      signal,
    );
    for (const { varve_event, varve_effective, ...row } of shown) {
      examples.push({ row, feature: name, event: varve_event, effective: varve_effective });
    }
  }
  return {
    rows,
    changed: Number(found!["changed"]),
    features: list.sort((a, b) => b.rows - a.rows || (a.feature < b.feature ? -1 : 1)),
    examples,
  };
}

function differsSql({ name, type }: Field): string {
  const [a, b] = [`a.${quoteName(name)}`, `b.${quoteName(name)}`];
  const isDistinct = `${a} IS DISTINCT FROM ${b}`;
  if (type !== "float64" && type !== "float32") return isDistinct;
  // NaN is equal to NaN here, and no difference to it is small.
  return `(${isDistinct} AND NOT coalesce(abs(${a} - ${b}) <= ${floatTolerance} * greatest(abs(${a}), abs(${b})) AND isfinite(${a} - ${b}), false))`;
}
