/** Computes slices of a view into a temporary table: one row per key and event timestamp, checked and counted. */
import { reservedColumns, type ViewDefinition } from "../define/definitions.ts";
import { type EngineSession, quoteName, type Relation, timestampSql } from "../engine/engine.ts";
import { messageOf, VarveError } from "../errors.ts";
import type { Query, ScanStep } from "../frame/query.ts";
import { findField, formatType, sameType, type Schema } from "../schema.ts";
import { durationToMicros, formatRange, formatTimestamp, type TimeRange } from "../time.ts";
import { sliceLength, slicesIn } from "./due_slices.ts";

/** Slices in a temporary table, and what is in each of them. */
export interface StagedSlices {
  readonly table: string;
  /** Every slice of the range, also the empty ones, in time order. */
  readonly slices: readonly StagedSlice[];
  readonly rows: number;
  readonly dropped: DroppedRows;
}

/** One slice: rows that can be stored, and the first and last event timestamp among them. */
export interface StagedSlice {
  readonly range: TimeRange;
  readonly rows: number;
  readonly minEventTimestamp: bigint;
  readonly maxEventTimestamp: bigint;
}

/** Rows that are not stored, because nothing could ever find them. */
export interface DroppedRows {
  readonly nullTimestamp: number;
  readonly nullKey: number;
}

const sliceColumn = "__slice";
const table = "varve_staged";

/** The columns of a view's table: join keys, the three timestamps, features. */
export function storedSchema(definition: ViewDefinition): Schema {
  return [
    ...definition.entity.joinKeys.map(({ name, type }) => ({ name, type })),
    { name: reservedColumns.eventTimestamp, type: "timestamp" },
    { name: reservedColumns.effectiveTimestamp, type: "timestamp" },
    { name: reservedColumns.writtenTimestamp, type: "timestamp" },
    ...definition.features.map(({ name, type }) => ({ name, type })),
  ];
}

/** Where rows that have no written timestamp get theirs, and who wants to stop. */
export interface StageOptions {
  readonly now: bigint;
  readonly signal?: AbortSignal;
}

/** Fills the temporary table with the slices of the range; call {@link dropStaged} when done. */
export async function stageSlices(
  session: EngineSession,
  definition: ViewDefinition,
  range: TimeRange,
  { now, signal }: StageOptions,
): Promise<StagedSlices> {
  let first = true;
  for await (const relation of sliceRelations(session, definition, range)) {
    checkColumns(definition, relation.schema);
    const sql = reducedSql(definition, relation, now);
    await session.run(
      first ? `CREATE OR REPLACE TEMP TABLE ${table} AS ${sql}` : `INSERT INTO ${table} ${sql}`,
      signal,
    );
    first = false;
  }
  return await describeStaged(session, definition, range, signal);
}

/** Frees the temporary table. */
export async function dropStaged(session: EngineSession): Promise<void> {
  await session.run(`DROP TABLE IF EXISTS ${table}`);
}

/** The stored columns of one staged slice, sorted; `part` of `parts` takes the keys whose hash says so. */
export function sliceSql(definition: ViewDefinition, slice: TimeRange, part: number, parts: number): string {
  const keys = definition.entity.joinKeys.map((key) => quoteName(key.name));
  const delay = durationToMicros(definition.dataDelay, "dataDelay", { allowZero: true });
  const columns = [
    ...keys,
    reservedColumns.eventTimestamp,
    `${timestampSql(slice.end + delay)} AS ${reservedColumns.effectiveTimestamp}`,
    reservedColumns.writtenTimestamp,
    ...definition.features.map((feature) => quoteName(feature.name)),
  ];
  const where = [`${sliceColumn} = ${timestampSql(slice.start)}`, storable(definition)];
  if (parts > 1) where.push(`hash(${keys.join(", ")}) % ${parts} = ${part}`);
  return `SELECT ${columns.join(", ")} FROM ${table} WHERE ${where.join(" AND ")} ORDER BY ${
    keys.join(", ")
  }, ${reservedColumns.eventTimestamp}`;
}

/** Source rows without an event timestamp: they belong to no slice, so no slice's query ever sees them. */
export async function countNullTimestamps(session: EngineSession, query: Query, signal?: AbortSignal): Promise<number> {
  let count = 0;
  for (const scan of drivingScans(query)) {
    const column = scan.source.eventTimestamp;
    if (column === undefined || !findField(scan.schema, column)) continue;
    const { sql } = await session.compile(scan);
    const [row] = await session.rows(
      `SELECT count(*)::DOUBLE AS n FROM (${sql}) WHERE ${quoteName(column)} IS NULL`,
      signal,
    );
    count += Number(row?.["n"] ?? 0);
  }
  return count;
}

/** The scans whose event timestamps decide which slice a row belongs to. */
export function drivingScans(query: Query): ScanStep[] {
  switch (query.kind) {
    case "scan":
      return [query];
    case "sql":
      return Object.values(query.inputs).flatMap(drivingScans);
    case "union":
      return query.inputs.flatMap(drivingScans);
    default:
      return drivingScans(query.input);
  }
}

/** One query for all slices of the range; one per slice when the query cannot keep slices apart. */
async function* sliceRelations(
  session: EngineSession,
  definition: ViewDefinition,
  range: TimeRange,
): AsyncIterable<Relation> {
  const interval = sliceLength(definition);
  const lifted = await session.compile(definition.query, { slices: { range, interval }, position: true }).catch(
    (error: unknown) => {
      if (error instanceof VarveError && error.code === "UNSUPPORTED") return undefined;
      throw error;
    },
  );
  if (lifted) {
    yield lifted;
    return;
  }
  for (const slice of slicesIn(range, interval)) {
    const relation = await session.compile(definition.query, { slices: { range: slice }, position: true });
    const sql = `SELECT ${timestampSql(slice.start)} AS ${sliceColumn}, * FROM (${relation.sql})`;
    yield { ...relation, sql, schema: [{ name: sliceColumn, type: "timestamp" }, ...relation.schema] };
  }
}

function checkColumns(definition: ViewDefinition, schema: Schema): void {
  const times = [
    definition.eventTimestamp,
    ...definition.writtenTimestamp === undefined ? [] : [definition.writtenTimestamp],
  ];
  const wanted: Schema = [
    ...definition.entity.joinKeys,
    ...times.map((name) => ({ name, type: "timestamp" as const })),
    ...definition.features,
  ];
  for (const { name, type } of wanted) {
    const field = findField(schema, name);
    // A day is read as its first instant.
    if (field && (sameType(field.type, type) || (field.type === "date" && times.includes(name)))) continue;
    const state = field ? `is ${formatType(field.type)}, not ${formatType(type)}` : "does not exist any more";
    throw new VarveError(
      "SCHEMA_MISMATCH",
      `Cannot materialize view "${definition.name}": column "${name}" ${state}; mend the source, or publish the view again`,
      { details: { view: definition.name, column: name } },
    );
  }
}

/**
 * Of equal key and event timestamp the last written wins, then the last in the source; where the query has lost that order,
 * rows are ordered by their values, so that every run keeps the same one. Rows that cannot be stored stay in, to be counted.
 */
function reducedSql(definition: ViewDefinition, relation: Relation, now: bigint): string {
  const keys = definition.entity.joinKeys.map((key) => quoteName(key.name));
  const features = definition.features.map((feature) => quoteName(feature.name));
  const written = definition.writtenTimestamp === undefined
    ? "NULL::TIMESTAMPTZ"
    : `${quoteName(definition.writtenTimestamp)}::TIMESTAMPTZ`;
  const position = relation.position ? ["__position"] : [];
  const order = ["varve_written", ...position, ...features].map((column) => `${column} DESC NULLS LAST`);
  const columns = [
    sliceColumn,
    ...keys,
    reservedColumns.eventTimestamp,
    `coalesce(varve_written, ${timestampSql(now)}) AS ${reservedColumns.writtenTimestamp}`,
    ...features,
  ];
  const renamed = [
    sliceColumn,
    ...keys,
    `${quoteName(definition.eventTimestamp)}::TIMESTAMPTZ AS ${reservedColumns.eventTimestamp}`,
    `${written} AS varve_written`,
    ...position,
    ...features,
  ];
  return `SELECT ${columns.join(", ")} FROM (SELECT ${renamed.join(", ")} FROM (${relation.sql})) ` +
    `QUALIFY NOT (${storable(definition)}) OR row_number() OVER (` +
    `PARTITION BY ${[sliceColumn, ...keys, reservedColumns.eventTimestamp].join(", ")} ORDER BY ${
      order.join(", ")
    }) = 1`;
}

function storable(definition: ViewDefinition): string {
  const columns = [...definition.entity.joinKeys.map((key) => quoteName(key.name)), reservedColumns.eventTimestamp];
  return columns.map((column) => `${column} IS NOT NULL`).join(" AND ");
}

async function describeStaged(
  session: EngineSession,
  definition: ViewDefinition,
  range: TimeRange,
  signal?: AbortSignal,
): Promise<StagedSlices> {
  const event = reservedColumns.eventTimestamp;
  const length = sliceLength(definition);
  const ok = storable(definition);
  const rows = await session.rows(
    `SELECT epoch_us(${sliceColumn}) AS slice, count(*) FILTER (${ok})::DOUBLE AS n, ` +
      `epoch_us(min(${event}) FILTER (${ok})) AS first, epoch_us(max(${event}) FILTER (${ok})) AS last, ` +
      `count(*) FILTER (${event} IS NULL)::DOUBLE AS no_time, count(*) FILTER (${event} IS NOT NULL AND NOT (${ok}))::DOUBLE AS no_key ` +
      `FROM ${table} GROUP BY 1`,
    signal,
  );
  const found = new Map(rows.map((row) => [BigInt(row["slice"]), row]));
  let total = 0;
  const dropped = { nullTimestamp: 0, nullKey: 0 };
  const slices = slicesIn(range, length).map((slice): StagedSlice => {
    const row = found.get(slice.start);
    if (!row) return { range: slice, rows: 0, minEventTimestamp: slice.start, maxEventTimestamp: slice.start };
    const count = Number(row["n"]);
    total += count;
    dropped.nullTimestamp += Number(row["no_time"]);
    dropped.nullKey += Number(row["no_key"]);
    if (count === 0) return { range: slice, rows: 0, minEventTimestamp: slice.start, maxEventTimestamp: slice.start };
    const first = BigInt(row["first"]);
    const last = BigInt(row["last"]);
    checkInside(definition, slice, first, last);
    return { range: slice, rows: count, minEventTimestamp: first, maxEventTimestamp: last };
  });
  return { table, slices, rows: total, dropped };
}

/** A row outside its slice would be seen too early or too late (S4), and twice when two slices make it. */
function checkInside(definition: ViewDefinition, slice: TimeRange, first: bigint, last: bigint): void {
  if (first >= slice.start && last < slice.end) return;
  const stray = first < slice.start ? first : last;
  throw new VarveError(
    "SCHEMA_MISMATCH",
    `Cannot materialize view "${definition.name}": column "${definition.eventTimestamp}" is ${
      formatTimestamp(stray)
    } in a row made of ` +
      `source rows in ${
        formatRange(slice)
      }; derive an event timestamp within the schedule interval, or use a longer schedule`,
    { details: { view: definition.name, column: definition.eventTimestamp } },
  );
}

/** Says which view failed, and keeps the code: what the queue shows as the reason of a dead job. */
export function inView(definition: ViewDefinition, version: number, error: unknown): unknown {
  if (!(error instanceof VarveError) || error.message.includes(`view "${definition.name}"`)) return error;
  return new VarveError(
    error.code,
    `Cannot materialize view "${definition.name}" version ${version}: ${messageOf(error)}`,
    {
      cause: error,
      details: { ...error.details, view: definition.name, version },
    },
  );
}
