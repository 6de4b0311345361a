/** Rows of a view computed from its sources, as materialization would store them: slice by slice, without ties. */
import { reservedColumns, type ViewDefinition } from "../define/definitions.ts";
import type { EngineSession, Relation } from "../engine/engine.ts";
import { checkSliceColumns, sliceColumn, sliceRelations, sliceRowsSql, strayRow } from "../engine/slice_rows.ts";
import { alignDown, alignUp, type Micros, type TimeRange, toMicros } from "../time.ts";
import { timing } from "./feature_read.ts";
import { type FeatureTable, temporaryName } from "./positions.ts";

/** Slices of a view that a read up to `until` (exclusive, event time) may touch; undefined when there are none. */
export function sliceRange(definition: ViewDefinition, until: Micros): TimeRange | undefined {
  const { schedule } = timing(definition);
  const start = alignDown(toMicros(definition.start), schedule);
  const last = definition.end === undefined ? undefined : alignUp(toMicros(definition.end), schedule);
  const end = alignUp(until, schedule);
  const range = { start, end: last !== undefined && last < end ? last : end };
  return range.end > range.start ? range : undefined;
}

/** Computes slices of the view from its sources into a temporary table with the columns of stored tables. */
export async function sourceRows(
  session: EngineSession,
  definition: ViewDefinition,
  range: TimeRange | undefined,
  signal?: AbortSignal,
): Promise<FeatureTable> {
  const table = temporaryName("source");
  let made = false;
  for await (const relation of sliceRelations(session, definition, range, signal)) {
    checkSliceColumns(definition, relation.schema, "read the source of");
    const sql = storedSql(definition, relation);
    await session.run(made ? `INSERT INTO ${table} ${sql}` : `CREATE TEMP TABLE ${table} AS ${sql}`, signal);
    made = true;
  }
  await checkInside(session, definition, table, signal);
  return { kind: "table", table };
}

/** The columns of a stored table, but for the written timestamp, which no read asks for. */
function storedSql(definition: ViewDefinition, relation: Relation): string {
  const { schedule, dataDelay } = timing(definition);
  const { effectiveTimestamp, writtenTimestamp } = reservedColumns;
  return `SELECT * EXCLUDE (${writtenTimestamp}), ` +
    `make_timestamptz(epoch_us(${sliceColumn}) + ${schedule + dataDelay}) AS ${effectiveTimestamp} ` +
    `FROM (${sliceRowsSql(definition, relation)})`;
}

/** A row outside its slice would be seen too early or too late (S4), and materialization refuses it. */
async function checkInside(
  session: EngineSession,
  definition: ViewDefinition,
  table: string,
  signal?: AbortSignal,
): Promise<void> {
  const { schedule } = timing(definition);
  const into = `epoch_us(${reservedColumns.eventTimestamp}) - epoch_us(${sliceColumn})`;
  const [row] = await session.rows(
    `SELECT epoch_us(${reservedColumns.eventTimestamp})::VARCHAR AS stray FROM ${table} WHERE NOT (${into} BETWEEN 0 AND ${
      schedule - 1n
    }) ORDER BY 1 LIMIT 1`,
    signal,
  );
  if (row) throw strayRow(definition, BigInt(row["stray"]), "read the source of");
}
