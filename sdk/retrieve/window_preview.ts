/** What each key would have of a view of aggregates at an instant, computed from the source. */
import { type AggregateView, reservedColumns } from "../define/definitions.ts";
import { type EngineSession, quoteName, type Relation, timestampSql } from "../engine/engine.ts";
import { sliceRelations } from "../engine/slice_rows.ts";
import { alignDown, alignUp, durationToMicros, type Micros, type TimeRange } from "../time.ts";
import { readOfView } from "./feature_read.ts";
import { emptySql } from "./literal_sql.ts";
import { type AsOf, pointInTimeJoin } from "./point_in_time.ts";
import { temporaryName } from "./positions.ts";
import { rowColumn } from "./spine_table.ts";
import { sourceWindows } from "./window_input.ts";
import { type WindowPlan, windowPlan, windowReach } from "./window_plan.ts";

/** The first keys that have a row in some window at an instant, with their features; by key. */
export async function windowPreview(
  session: EngineSession,
  view: AggregateView,
  { at, limit, asOf, signal }: {
    readonly at: Micros;
    readonly limit: number;
    readonly asOf: AsOf;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Relation> {
  const read = readOfView({ definition: view, version: 0 });
  const plan = windowPlan(view, view.features.map(({ name }) => name), asOf);
  const reach = windowReach(plan, at, at);
  const keys = view.entity.joinKeys.map(({ name, type }) => ({ name, type }));
  const schema = [...keys, ...view.features.map(({ name, type }) => ({ name, type }))];
  const found = await windowKeys(session, plan, reach, at, signal);
  if (found === undefined) return { sql: emptySql(schema), schema };
  const names = keys.map(({ name }) => quoteName(name)).join(", ");
  const eventTimestamp = reservedColumns.eventTimestamp;
  const table = temporaryName("spine");
  await session.run(
    `CREATE TEMP TABLE ${table} AS SELECT *, (row_number() OVER (ORDER BY ${names}) - 1)::INTEGER AS ${rowColumn} FROM (` +
      `SELECT DISTINCT ${names}, ${
        timestampSql(at)
      } AS ${eventTimestamp} FROM ${found} ORDER BY ${names} LIMIT ${limit})` +
      ` ORDER BY ${rowColumn}`,
    signal,
  );
  const [row] = await session.rows(`SELECT count(*)::INTEGER AS n FROM ${table}`, signal);
  if (row!["n"] === 0) return { sql: emptySql(schema), schema };
  const spine = { table, schema: keys, rows: Number(row!["n"]), eventTimestamp };
  const windows = await sourceWindows(session, spine, plan, signal);
  const options = { asOf, statuses: false, effectiveTimestamps: false, signal };
  return await pointInTimeJoin(session, spine, [{ read, windows }], options);
}

/** A temporary table of the keys that have a row in some window; undefined when no window can hold one. */
async function windowKeys(
  session: EngineSession,
  plan: WindowPlan,
  reach: TimeRange | undefined,
  at: Micros,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (!reach) return undefined;
  const { view, inputs } = plan;
  const schedule = durationToMicros(view.schedule, "schedule");
  const slices = { start: alignDown(reach.start, schedule), end: alignUp(reach.end, schedule) };
  const kept = [...view.entity.joinKeys, ...(view.secondaryKey ? [view.secondaryKey] : [])];
  const time = quoteName(view.eventTimestamp);
  const inside = spansOf(plan, reach, at).map(({ start, end }) =>
    `${time} >= ${timestampSql(start)} AND ${time} < ${timestampSql(end)}`
  );
  if (inside.length === 0) return undefined;
  const where = [...kept.map(({ name }) => `${quoteName(name)} IS NOT NULL`), `(${inside.join(" OR ")})`];
  const names = view.entity.joinKeys.map(({ name }) => quoteName(name)).join(", ");
  const sliced = { ...view, query: inputs.query, features: [] };
  let table: string | undefined;
  for await (const { sql } of sliceRelations(session, sliced, slices, signal)) {
    const select = `SELECT DISTINCT ${names} FROM (${sql}) WHERE ${where.join(" AND ")}`;
    await session.run(
      table === undefined
        ? `CREATE TEMP TABLE ${table = temporaryName("keys")} AS ${select}`
        : `INSERT INTO ${table} ${select}`,
      signal,
    );
  }
  return table;
}

/** What windows cover, in pieces that do not touch: a series is one piece. */
function spansOf({ edges, visibleAt }: WindowPlan, { start, end }: TimeRange, at: Micros): TimeRange[] {
  const bounds = new Float64Array(2 * edges.spanCount);
  edges.spansAt(Number(at), visibleAt(Number(at)), bounds);
  const spans = Array.from({ length: edges.spanCount }, (_, k) =>
    [
      Math.max(bounds[2 * k]!, Number(start)),
      Math.min(bounds[2 * k + 1]!, Number(end)),
    ] as [lo: number, hi: number]).filter(([lo, hi]) => lo < hi).sort(([a], [b]) => a - b);
  const pieces: [lo: number, hi: number][] = [];
  for (const [lo, hi] of spans) {
    const last = pieces.at(-1);
    if (last && lo <= last[1]) last[1] = Math.max(last[1], hi);
    else pieces.push([lo, hi]);
  }
  return pieces.map(([lo, hi]) => ({ start: BigInt(lo), end: BigInt(hi) }));
}
