/**
 * Computes slices of a view of aggregates into temporary tables: the rows as aggregators see them, duplicates and all. Views of
 * exact edges store them as they are; others store tiles, for which rows are sorted by dense numbers of their keys.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type AggregateView, reservedColumns } from "../define/definitions.ts";
import { type EngineSession, quoteName, type Relation, timestampSql } from "../engine/engine.ts";
import { checkSliceColumns, sliceColumn, sliceRelations, storableSql } from "../engine/slice_rows.ts";
import type { Field } from "../schema.ts";
import { alignDown, durationToMicros, type TimeRange } from "../time.ts";
import { type WindowInputs, windowInputs } from "../window/inputs.ts";
import {
  describeStaged,
  type LocalPart,
  partCompression,
  type SliceWriteOptions,
  type StagedSlice,
  type StagedSlices,
  type StageOptions,
} from "./staged.ts";
import { TileSorter } from "./tile_rows.ts";
import { effectiveSql, type WindowRows, writtenSql } from "./staged_windows.ts";
import { writeTiles } from "./write_tiles.ts";

const table = "varve_staged";

/** Fills temporary tables with the slices of the range. */
export async function stageWindows(
  session: EngineSession,
  view: AggregateView,
  range: TimeRange,
  options: StageOptions,
): Promise<StagedSlices> {
  const { signal } = options;
  const inputs = windowInputs(view);
  const read = { ...view, query: inputs.query, features: [...secondary(view), ...inputs.columns] };
  let order: readonly string[] | undefined;
  for await (const relation of sliceRelations(session, read, range, signal)) {
    checkSliceColumns(read, relation.schema, "materialize");
    const sql = rowsSql(view, inputs, relation);
    await session.run(
      order ? `INSERT INTO ${table} ${sql}` : `CREATE OR REPLACE TEMP TABLE ${table} AS ${sql}`,
      signal,
    );
    order = orderOf(view, inputs, relation);
  }
  const keys = [...view.entity.joinKeys, ...secondary(view)];
  const rows: WindowRows = { view, inputs, table, keys, order: order ?? [] };
  const described = await describeStaged(session, view, range, { table, keys, ...(signal && { signal }) });
  if (view.edge === "exact") {
    return {
      ...described,
      write: (slice, { folder }) => writeRows(session, rows, slice, { ...options, folder }),
      drop: () => session.run(`DROP TABLE IF EXISTS ${table}`),
    };
  }
  const every = durationToMicros(view.every, "every");
  const slices = described.slices.map((slice) => ({
    ...slice,
    minEventTimestamp: alignDown(slice.minEventTimestamp, every),
    maxEventTimestamp: alignDown(slice.maxEventTimestamp, every),
  }));
  const sorter = new TileSorter(session, rows, slices, options.maxRowsPerPart);
  return {
    ...described,
    slices,
    write: (slice, { folder }) => writeTiles(session, sorter, slice, { ...options, folder }),
    drop: () => sorter.drop(),
  };
}

function secondary(view: AggregateView): Field[] {
  return view.secondaryKey ? [view.secondaryKey] : [];
}

function rowsSql(view: AggregateView, inputs: WindowInputs, relation: Relation): string {
  const { eventTimestamp, writtenTimestamp } = reservedColumns;
  const written = view.writtenTimestamp === undefined ? "NULL" : quoteName(view.writtenTimestamp);
  const columns = [
    sliceColumn,
    ...view.entity.joinKeys.map(({ name }) => quoteName(name)),
    `${quoteName(view.eventTimestamp)}::TIMESTAMPTZ AS ${eventTimestamp}`,
    `${written}::TIMESTAMPTZ AS ${writtenTimestamp}`,
    ...[...secondary(view), ...inputs.columns].map(({ name }) => quoteName(name)),
    ...relation.position ? ["__position"] : [],
  ];
  return `SELECT ${columns.join(", ")} FROM (${relation.sql})`;
}

function orderOf(view: AggregateView, inputs: WindowInputs, relation: Relation): string[] {
  const { eventTimestamp, writtenTimestamp } = reservedColumns;
  const ties = relation.position
    ? ["__position"]
    : [...secondary(view), ...inputs.columns].map(({ name }) => quoteName(name));
  const written = view.writtenTimestamp === undefined ? [] : [writtenTimestamp];
  return [eventTimestamp, ...[...written, ...ties].map((column) => `${column} NULLS FIRST`)];
}

async function* writeRows(
  session: EngineSession,
  rows: WindowRows,
  slice: StagedSlice,
  { folder, maxRowsPerPart, signal, now }: SliceWriteOptions & StageOptions,
): AsyncIterable<LocalPart> {
  const { view, inputs, keys, order } = rows;
  const { eventTimestamp, effectiveTimestamp, writtenTimestamp } = reservedColumns;
  const joinKeys = view.entity.joinKeys.map(({ name }) => quoteName(name));
  const columns = [
    ...joinKeys,
    eventTimestamp,
    `${effectiveSql(view, slice.range)} AS ${effectiveTimestamp}`,
    `${writtenSql(view, writtenTimestamp, now)} AS ${writtenTimestamp}`,
    ...[...secondary(view), ...inputs.columns].map(({ name }) => quoteName(name)),
  ];
  const count = Math.ceil(slice.rows / maxRowsPerPart);
  for (let part = 0; part < count; part++) {
    signal?.throwIfAborted();
    const where = [`${sliceColumn} = ${timestampSql(slice.range.start)}`, storableSql(keys)];
    if (count > 1) where.push(`hash(${joinKeys.join(", ")}) % ${count} = ${part}`);
    // The order is that of the source, so it comes before names are given to what is stored.
    const sql = `SELECT ${columns.join(", ")} FROM (SELECT * FROM ${rows.table} WHERE ${where.join(" AND ")} ` +
      `ORDER BY ${[...joinKeys, ...order].join(", ")})`;
    const path = join(folder, `${slice.range.start}-${part}.parquet`);
    const written = await session.writeParquet(sql, path, { compression: partCompression }, signal);
    if (written.rows > 0) yield { path, rows: written.rows };
    else await rm(path, { force: true });
  }
}
