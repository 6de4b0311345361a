/** Computes slices of attributes into a temporary table: one row per key and event timestamp, checked and counted. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type AttributeView, reservedColumns } from "../define/definitions.ts";
import { type EngineSession, quoteName, timestampSql } from "../engine/engine.ts";
import { checkSliceColumns, sliceColumn, sliceRelations, sliceRowsSql, storableSql } from "../engine/slice_rows.ts";
import { durationToMicros, type TimeRange } from "../time.ts";
import {
  describeStaged,
  type LocalPart,
  partCompression,
  type SliceWriteOptions,
  type StagedSlice,
  type StagedSlices,
  type StageOptions,
} from "./staged.ts";

const table = "varve_staged";

/** Fills the temporary table with the slices of the range. */
export async function stageAttributes(
  session: EngineSession,
  definition: AttributeView,
  range: TimeRange,
  { now, maxRowsPerPart, signal }: StageOptions,
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
  const keys = definition.entity.joinKeys;
  return {
    ...await describeStaged(session, definition, range, { table, keys, ...(signal && { signal }) }),
    write: (slice, options) => writeSlice(session, definition, slice, { ...options, maxRowsPerPart }),
    drop: () => session.run(`DROP TABLE IF EXISTS ${table}`),
  };
}

async function* writeSlice(
  session: EngineSession,
  definition: AttributeView,
  slice: StagedSlice,
  { folder, maxRowsPerPart, signal }: SliceWriteOptions & Pick<StageOptions, "maxRowsPerPart">,
): AsyncIterable<LocalPart> {
  const count = Math.ceil(slice.rows / maxRowsPerPart);
  for (let part = 0; part < count; part++) {
    signal?.throwIfAborted();
    const path = join(folder, `${slice.range.start}-${part}.parquet`);
    const sql = partSql(definition, slice.range, part, count);
    const { rows } = await session.writeParquet(sql, path, { compression: partCompression }, signal);
    if (rows > 0) yield { path, rows };
    else await rm(path, { force: true });
  }
}

/** The stored columns of one staged slice, sorted; `part` of `parts` takes the keys whose hash says so. */
function partSql(definition: AttributeView, slice: TimeRange, part: number, parts: number): string {
  const { joinKeys } = definition.entity;
  const keys = joinKeys.map(({ name }) => quoteName(name));
  const delay = durationToMicros(definition.dataDelay, "dataDelay", { allowZero: true });
  const columns = [
    ...keys,
    reservedColumns.eventTimestamp,
    `${timestampSql(slice.end + delay)} AS ${reservedColumns.effectiveTimestamp}`,
    reservedColumns.writtenTimestamp,
    ...definition.features.map((feature) => quoteName(feature.name)),
  ];
  const where = [`${sliceColumn} = ${timestampSql(slice.start)}`, storableSql(joinKeys)];
  if (parts > 1) where.push(`hash(${keys.join(", ")}) % ${parts} = ${part}`);
  return `SELECT ${columns.join(", ")} FROM ${table} WHERE ${where.join(" AND ")} ORDER BY ${
    keys.join(", ")
  }, ${reservedColumns.eventTimestamp}`;
}
