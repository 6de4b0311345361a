/**
 * Rows in order -> tiles in Parquet files. States are made in blocks and handed to the engine as vectors; the engine puts keys
 * beside them by their numbers, so that keys never pass through JavaScript.
 */
import { join } from "node:path";
import { reservedColumns } from "../define/definitions.ts";
import { type ColumnBatch, type EngineSession, quoteName } from "../engine/engine.ts";
import { messageOf, VarveError } from "../errors.ts";
import type { DataType } from "../schema.ts";
import { formatRange } from "../time.ts";
import { slotColumn } from "../window/inputs.ts";
import { type TileBlock, TileError, TileStates } from "../window/tile_states.ts";
import {
  type LocalPart,
  partCompression,
  type SliceWriteOptions,
  type StagedSlice,
  type StageOptions,
} from "./staged.ts";
import { TilePart, valuesBytes } from "./tile_part.ts";
import { keyColumn, type TileRows, type TileSorter } from "./tile_rows.ts";
import { effectiveSql, writtenSql } from "./staged_windows.ts";

const countTable = "varve_counts";

/** Rows that are read at once; fewer where they are long, which is seen when the first ones have been read. */
const rowsAtOnce = { most: 262_144, first: 2_048, least: 128 } as const;
const bytesAtOnce = 64 * 2 ** 20;
/** Tiles of one block of states: fewer where they may hold values of any length. */
const tilesAtOnce = { fixed: 4_096, varying: 512 } as const;
/** States of one part, which the engine holds while it writes them. */
const maxPartBytes = 512 * 2 ** 20;
/** States of one row group of a file, and how many rows the engine puts into one by itself. */
const maxGroupBytes = 64 * 2 ** 20;
const maxGroupRows = 122_880;
const minGroupRows = 2_048;

/** Writes the tiles of one slice. Each part is sorted by key and time, and ends where a key does. */
export async function* writeTiles(
  session: EngineSession,
  sorter: TileSorter,
  slice: StagedSlice,
  options: SliceWriteOptions & StageOptions,
): AsyncIterable<LocalPart> {
  if (slice.rows === 0) return;
  let index = 0;
  for await (const rows of sorter.rowsOf(slice, options.signal)) {
    for await (const part of partsOf(session, sorter, rows, slice, options)) {
      yield await writePart(session, sorter, rows, part, slice, options, index++);
    }
  }
}

/** Tiles in temporary tables, one part after the other. */
async function* partsOf(
  session: EngineSession,
  sorter: TileSorter,
  { table, first, end, keyTable }: TileRows,
  slice: StagedSlice,
  { signal, maxRowsPerPart }: SliceWriteOptions & StageOptions,
): AsyncIterable<TilePart> {
  const columns = sorter.schema.map(({ name }) => quoteName(name)).join(", ");
  const isFixed = sorter.schema.every(({ type }) => isFixedWidth(type));
  // Bytes are sketches, which have a limit of their own, or what is left over of sums.
  const areStatesFixed = sorter.aggregators.every(({ slots }) =>
    slots.every(({ type }) => isFixedWidth(type) || type === "binary")
  );
  const states = new TileStates(sorter.plan, areStatesFixed ? tilesAtOnce.fixed : tilesAtOnce.varying);
  let step: number = isFixed ? rowsAtOnce.most : rowsAtOnce.first;
  let part = new TilePart(sorter);
  const cutWhenFull = () => {
    if (part.tiles >= maxRowsPerPart || part.bytes >= maxPartBytes) states.cut();
  };
  try {
    for (let row = first; row < end;) {
      signal?.throwIfAborted();
      const until = Math.min(end, row + step);
      const sql = `SELECT ${columns} FROM ${table} WHERE rowid >= ${row} AND rowid < ${until}`;
      const batches = await session.collectBatches(sql, sorter.schema, signal);
      row = until;
      if (!isFixed) step = rowsWithin(batches);
      const blocks = blocksOf(states, batches);
      while (await part.take(session, blocks, cutWhenFull, signal)) {
        yield part;
        part = new TilePart(sorter);
      }
    }
    await part.take(session, states.finish(), cutWhenFull, signal);
  } catch (error) {
    throw error instanceof TileError ? await explained(session, sorter, keyTable, slice, error) : error;
  }
  if (part.tiles > 0) yield part;
}

/** How many rows like these are read at once. */
function rowsWithin(batches: readonly ColumnBatch[]): number {
  let bytes = 0;
  let rows = 0;
  for (const { rowCount, columns } of batches) {
    rows += rowCount;
    for (const { values } of columns) bytes += valuesBytes(values, rowCount);
  }
  return Math.min(rowsAtOnce.most, Math.max(rowsAtOnce.least, Math.floor(bytesAtOnce * rows / Math.max(1, bytes))));
}

function* blocksOf(states: TileStates, batches: readonly ColumnBatch[]): Generator<TileBlock, void, undefined> {
  for (const batch of batches) yield* states.add(batch);
}

async function writePart(
  session: EngineSession,
  { view, aggregators }: TileSorter,
  { keyTable }: TileRows,
  part: TilePart,
  { range }: StagedSlice,
  { folder, signal, now }: SliceWriteOptions & StageOptions,
  index: number,
): Promise<LocalPart> {
  const { eventTimestamp, effectiveTimestamp, writtenTimestamp } = reservedColumns;
  const own = view.entity.joinKeys.map((_, i) => keyColumn(i)).join(", ");
  const { first, end } = part.keys;
  let keys = `SELECT ${own} FROM ${keyTable} WHERE rowid >= ${first} AND rowid < ${end}`;
  if (part.tiles > end - first) {
    const never = { isNull: () => false, hasNulls: false };
    const counts = { rowCount: end - first, columns: [{ values: part.counts, ...never }] };
    await session.fill(countTable, [{ name: "__count", type: "int32" }], [counts], signal);
    keys = `SELECT ${own}, unnest(range(__count)) FROM (${keys}) POSITIONAL JOIN ${countTable}`;
  }
  const slots = view.aggregations.flatMap(({ name }, i) =>
    aggregators[i]!.slots.map((slot) => quoteName(slotColumn(name, slot.name)))
  );
  const columns = [
    ...view.entity.joinKeys.map(({ name }, i) => `${keyColumn(i)} AS ${quoteName(name)}`),
    `make_timestamptz(__start::BIGINT) AS ${eventTimestamp}`,
    `${effectiveSql(view, range)} AS ${effectiveTimestamp}`,
    `${writtenSql(view, "make_timestamptz(__written)", now)} AS ${writtenTimestamp}`,
    ...slots,
  ];
  const sql = `SELECT ${columns.join(", ")} FROM (${keys}) POSITIONAL JOIN ${part.table}`;
  const path = join(folder, `${range.start}-${index}.parquet`);
  const rowGroupSize = Math.floor(Math.min(maxGroupRows, maxGroupBytes * part.tiles / part.bytes));
  const written = await session.writeParquet(sql, path, {
    compression: partCompression,
    rowGroupSize: Math.max(minGroupRows, rowGroupSize),
  }, signal);
  if (written.rows !== part.tiles) {
    throw new VarveError("CORRUPT", `Cannot write ${part.tiles} tiles: the engine has written ${written.rows} rows`);
  }
  return { path, rows: written.rows };
}

/** Says which key and slice an aggregator failed at. */
async function explained(
  session: EngineSession,
  { view }: TileSorter,
  keyTable: string,
  slice: StagedSlice,
  { aggregation, id, cause }: TileError,
): Promise<VarveError> {
  const keys = view.entity.joinKeys.map(({ name }, i) => `${keyColumn(i)} AS ${quoteName(name)}`).join(", ");
  const [row] = await session.rows(`SELECT ${keys} FROM ${keyTable} WHERE rowid = ${id}`);
  const name = view.aggregations[aggregation]!.name;
  const key = view.entity.joinKeys.map((each) => `${each.name} ${String(row?.[each.name])}`).join(", ");
  const { code, details } = cause instanceof VarveError ? cause : { code: "INVALID_REQUEST" as const, details: {} };
  return new VarveError(
    code,
    `aggregation "${name}" failed for ${key} in the slice ${formatRange(slice.range)}: ${messageOf(cause)}`,
    { cause, details: { ...details, aggregation: name, key: { ...row }, slice: formatRange(slice.range) } },
  );
}

function isFixedWidth(type: DataType): boolean {
  return typeof type === "string" && type !== "string" && type !== "binary";
}
