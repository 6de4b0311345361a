/** What computing slices leaves for writing them, whatever a view makes of its rows. */
import { reservedColumns, type ViewDefinition } from "../define/definitions.ts";
import { type EngineSession, quoteName } from "../engine/engine.ts";
import { sliceColumn, storableSql, strayRow } from "../engine/slice_rows.ts";
import type { Field } from "../schema.ts";
import type { TimeRange } from "../time.ts";
import { sliceLength, slicesIn } from "./due_slices.ts";

/** Slices in temporary tables, and what is in each of them. */
export interface StagedSlices {
  /** Every slice of the range, also the empty ones, in time order. */
  readonly slices: readonly StagedSlice[];
  /** How many rows were read of the source, and can be stored. */
  readonly rows: number;
  readonly dropped: DroppedRows;
  /** Writes one slice as Parquet files, sorted by key and time. */
  write(slice: StagedSlice, options: SliceWriteOptions): AsyncIterable<LocalPart>;
  /** Frees the temporary tables. */
  drop(): Promise<void>;
}

/** One slice: rows that can be stored, and the first and last event timestamp that its table will have. */
export interface StagedSlice {
  readonly range: TimeRange;
  readonly rows: number;
  /** About how many keys they have; 0 where nobody asks. */
  readonly keys: number;
  readonly minEventTimestamp: bigint;
  readonly maxEventTimestamp: bigint;
}

/** Rows that are not stored, because nothing could ever find them. */
export interface DroppedRows {
  readonly nullTimestamp: number;
  /** Rows without a join key, or without the view's secondary key. */
  readonly nullKey: number;
}

/**
 * How parts of tables are compressed. They are read far more often than they are written: LZ4 is read two to three times as fast
 * as zstd, and takes up to 1.4 times its room (measured).
 */
export const partCompression = "lz4_raw";

/** Where a slice is written. */
export interface SliceWriteOptions {
  readonly folder: string;
  readonly signal?: AbortSignal;
}

/** A file that was written. */
export interface LocalPart {
  readonly path: string;
  readonly rows: number;
}

/** How slices are computed. */
export interface StageOptions {
  /** Where rows that have no written timestamp get theirs. */
  readonly now: bigint;
  /** A slice with more rows becomes several parts. */
  readonly maxRowsPerPart: number;
  readonly signal?: AbortSignal;
}

/** Counts the rows of a table of staged rows by slice; `keys` are the columns without which a row is dropped. */
export async function describeStaged(
  session: EngineSession,
  definition: ViewDefinition,
  range: TimeRange,
  { table, keys, signal }: { readonly table: string; readonly keys: readonly Field[]; readonly signal?: AbortSignal },
): Promise<Pick<StagedSlices, "slices" | "rows" | "dropped">> {
  const event = reservedColumns.eventTimestamp;
  const ok = storableSql(keys);
  // Only tiles are sorted by numbers of keys.
  const areTiled = definition.mode === "aggregates" && definition.edge !== "exact";
  const joinKeys = definition.entity.joinKeys.map(({ name }) => quoteName(name)).join(", ");
  const rows = await session.rows(
    `SELECT epoch_us(${sliceColumn}) AS slice, count(*) FILTER (${ok})::DOUBLE AS n, ` +
      `${areTiled ? `approx_count_distinct(hash(${joinKeys}))` : "0"}::DOUBLE AS keys, ` +
      `epoch_us(min(${event}) FILTER (${ok})) AS first, epoch_us(max(${event}) FILTER (${ok})) AS last, ` +
      `count(*) FILTER (${event} IS NULL)::DOUBLE AS no_time, count(*) FILTER (${event} IS NOT NULL AND NOT (${ok}))::DOUBLE AS no_key ` +
      `FROM ${table} GROUP BY 1`,
    signal,
  );
  const found = new Map(rows.map((row) => [BigInt(row["slice"]), row]));
  let total = 0;
  const dropped = { nullTimestamp: 0, nullKey: 0 };
  const slices = slicesIn(range, sliceLength(definition)).map((slice): StagedSlice => {
    const row = found.get(slice.start);
    const none = { range: slice, rows: 0, keys: 0, minEventTimestamp: slice.start, maxEventTimestamp: slice.start };
    if (!row) return none;
    const count = Number(row["n"]);
    total += count;
    dropped.nullTimestamp += Number(row["no_time"]);
    dropped.nullKey += Number(row["no_key"]);
    if (count === 0) return none;
    const first = BigInt(row["first"]);
    const last = BigInt(row["last"]);
    if (first < slice.start) throw strayRow(definition, first, "materialize");
    if (last >= slice.end) throw strayRow(definition, last, "materialize");
    const keyCount = Math.min(count, Number(row["keys"]));
    return { range: slice, rows: count, keys: keyCount, minEventTimestamp: first, maxEventTimestamp: last };
  });
  return { slices, rows: total, dropped };
}
