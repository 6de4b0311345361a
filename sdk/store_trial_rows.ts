/** Rows of stored features to try a function on before it is published: the newest of the sources, each as of when it is effective. */
import type { RealtimeViewDefinition, ViewDefinition } from "./define/definitions.ts";
import { requestTimeField } from "./define/realtime_checks.ts";
import { quoteName } from "./engine/engine.ts";
import { type FeatureRead, keyColumns, lookupColumns, readOfRealtimeView, timing } from "./retrieve/feature_read.ts";
import { trainingSet } from "./retrieve/training.ts";
import type { Row } from "./schema.ts";
import type { StoreParts } from "./store_parts.ts";
import { alignDown, Timestamp } from "./time.ts";

/** How many are tried. */
const triedRows = 12;
/** Looking at the sources must not take longer: a function is published without, too. */
const lookLimitMs = 5_000;
/** A column that no join key can be confused with. */
const timeColumn = "varve_trial_at";

/**
 * What a function would have been given, but for the fields of the request: the newest rows of each view that it reads, looked up
 * by their keys. None where that cannot be had now: nothing is read, a source is gone, empty, or too large to look at.
 */
export async function trialRows(
  parts: StoreParts,
  definition: RealtimeViewDefinition,
  find: (view: string) => ViewDefinition | undefined,
): Promise<Row[]> {
  if (definition.from.length === 0) return [];
  const signal = AbortSignal.timeout(lookLimitMs);
  try {
    const whole = readOfRealtimeView({ definition, version: 0 }, (name) => {
      const view = find(name);
      return view && { definition: view, version: 0 };
    });
    const keys: Row[][] = [];
    for (const read of whole.inputs) keys.push(await newestKeys(parts, read, signal));
    // A function may read of several entities; they meet in the order of their times.
    const count = Math.max(...keys.map((rows) => rows.length));
    const spine = Array.from({ length: count }, (_, i) => {
      const met = keys.flatMap((rows) => rows.length === 0 ? [] : [rows[i % rows.length]!]);
      const at = met.map((row) => row[timeColumn] as bigint).reduce((a, b) => a > b ? a : b);
      return { ...Object.assign({}, ...met) as Row, [timeColumn]: new Timestamp(at) };
    });
    if (spine.length === 0) return [];
    const schema = [...lookupColumns(whole), { name: timeColumn, type: "timestamp" as const }];
    const set = await trainingSet(
      { reads: whole.inputs, spine, from: "source", eventTimestamp: timeColumn, schema, signal },
      await parts.trainContext(),
    );
    try {
      return (await set.rows()).map((row) => ({
        ...Object.fromEntries(definition.inputs.map(({ name }) => [name, row[name]])),
        [requestTimeField]: row[timeColumn],
      }));
    } finally {
      set.close();
    }
  } catch {
    return [];
  }
}

/** Keys of the newest rows of a view's source, and when they are effective (S4). */
async function newestKeys(parts: StoreParts, read: FeatureRead, signal: AbortSignal): Promise<Row[]> {
  const { definition } = read;
  const session = await (await parts.engine()).session();
  try {
    const { sql } = await session.compile(definition.query, {}, signal);
    const columns = keyColumns(read).map(({ name }, i) =>
      `${quoteName(definition.entity.joinKeys[i]!.name)} AS ${quoteName(name)}`
    );
    const time = quoteName(definition.eventTimestamp);
    const { schedule, dataDelay } = timing(definition);
    const rows = await session.rows(
      `SELECT epoch_us(${time}::TIMESTAMPTZ) AS ${timeColumn}, ${columns.join(", ")} FROM (${sql}) ` +
        `WHERE ${time} IS NOT NULL ORDER BY ALL DESC LIMIT ${triedRows}`,
      signal,
    );
    return rows.map((row) => ({
      ...row,
      [timeColumn]: alignDown(row[timeColumn] as bigint, schedule) + schedule + dataDelay,
    }));
  } finally {
    session.close();
  }
}
