/** Computes slices of a view into a temporary table: one row per key and event timestamp, checked and counted. */
import { reservedColumns, type ViewDefinition } from "../define/definitions.ts";
import { type EngineSession, quoteName, timestampSql } from "../engine/engine.ts";
import {
  checkSliceColumns,
  sliceColumn,
  sliceRelations,
  sliceRowsSql,
  storableSql,
  strayRow,
} from "../engine/slice_rows.ts";
import { messageOf, VarveError } from "../errors.ts";
import type { Query, ScanStep } from "../frame/query.ts";
import { findField, type Schema } from "../schema.ts";
import { durationToMicros, type TimeRange } from "../time.ts";
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
  const written = reservedColumns.writtenTimestamp;
  for await (const relation of sliceRelations(session, definition, range, signal)) {
    checkSliceColumns(definition, relation.schema, "materialize");
    const rows = sliceRowsSql(definition, relation, { keepUnstorable: true });
    const sql = `SELECT * REPLACE (coalesce(${written}, ${timestampSql(now)}) AS ${written}) FROM (${rows})`;
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
  const where = [`${sliceColumn} = ${timestampSql(slice.start)}`, storableSql(definition)];
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

async function describeStaged(
  session: EngineSession,
  definition: ViewDefinition,
  range: TimeRange,
  signal?: AbortSignal,
): Promise<StagedSlices> {
  const event = reservedColumns.eventTimestamp;
  const length = sliceLength(definition);
  const ok = storableSql(definition);
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
    if (first < slice.start) throw strayRow(definition, first, "materialize");
    if (last >= slice.end) throw strayRow(definition, last, "materialize");
    return { range: slice, rows: count, minEventTimestamp: first, maxEventTimestamp: last };
  });
  return { table, slices, rows: total, dropped };
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
