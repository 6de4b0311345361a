/** The contract of the engine that runs queries in bulk. It has one implementation, DuckDB, and others may follow. */
import type { Query, ScanStep } from "../frame/query.ts";
import type { Row, Schema } from "../schema.ts";
import type { TimeRange } from "../time.ts";

/** A SELECT statement (DuckDB's dialect) whose result has exactly these columns, in order. All times are TIMESTAMPTZ. */
export interface Relation {
  readonly sql: string;
  readonly schema: Schema;
  /** Whether the last column is `__position` (see {@link CompileOptions.position}). */
  readonly position?: boolean;
}

/**
 * Restricts a view's query to slices. Scans on the driving path (the input of each step, the left side of joins, every side
 * of a union) read only event timestamps in `range`; right sides are read whole. `interval` adds the first column `__slice`
 * (TIMESTAMPTZ, the slice's start) and computes every slice on its own: groups, distinct rows and unions never mix slices,
 * so that many slices in one query give what one query per slice gives. SQL and sampling steps cannot do that: UNSUPPORTED.
 */
export interface SliceOptions {
  readonly range: TimeRange;
  readonly interval?: bigint;
}

export interface CompileOptions {
  readonly slices?: SliceOptions;
  /**
   * Adds a last column `__position` (int64) that grows with the order of the source's rows (file order, then row number), where
   * the driving path keeps rows one by one. `Relation.position` says whether it is there: unions, groups and joins that may
   * multiply rows lose it.
   */
  readonly position?: boolean;
}

/** Columns of some rows, as vectors: what hot paths read instead of row objects. */
export interface ColumnBatch {
  readonly rowCount: number;
  readonly columns: readonly ColumnVector[];
}

/** Values of a type of fixed width. */
export type TypedValues = Int32Array | BigInt64Array | Float64Array | Float32Array;

/**
 * One column of a batch. `values` is a typed array for int32, float32, float64 (values at null places are undefined);
 * BigInt64Array for int64, timestamp, duration; Int32Array of days for date; else a plain array in the row form of row.ts.
 */
export interface ColumnVector {
  readonly values: TypedValues | readonly unknown[];
  /** Whether row i is null; absent when there are no nulls. */
  isNull(row: number): boolean;
  readonly hasNulls: boolean;
  /** The same as `isNull` where it is at hand as bytes, which cost less than calls: 1 for null. */
  readonly nulls?: Uint8Array;
}

/** How a Parquet file is written. */
export interface ParquetOptions {
  /** How pages are compressed. @default "zstd" */
  readonly compression?: "zstd" | "lz4_raw" | "snappy" | "uncompressed";
  /** Rows of one row group. */
  readonly rowGroupSize?: number;
}

/** What was written to one file. */
export interface ParquetFile {
  /** Where it is. */
  readonly path: string;
  /** How many rows it has. */
  readonly rows: number;
  /** Its size. */
  readonly bytes: number;
}

/**
 * One connection with its own temporary tables. Close it. A session runs one statement at a time; an `AbortSignal` interrupts it.
 */
export interface EngineSession {
  /** Resolves the query's sources to local files and compiles it. */
  compile(query: Query, options?: CompileOptions, signal?: AbortSignal): Promise<Relation>;
  /** How many rows of a scan have null in a column; costs little where files say so. */
  nullCount(scan: ScanStep, column: string, signal?: AbortSignal): Promise<number>;
  run(sql: string, signal?: AbortSignal): Promise<void>;
  /** All rows as objects in varve's row form (int64 bigint, timestamp Timestamp): small results only. */
  rows(sql: string, signal?: AbortSignal): Promise<Row[]>;
  /** The result in batches of vectors, in bounded memory. */
  batches(sql: string, schema: Schema, signal?: AbortSignal): AsyncIterable<ColumnBatch>;
  /**
   * As {@link batches}, but typed values lie in the engine's memory, and are gone when the next batch is asked for: for a
   * caller that deals them out at once. Copies of many small arrays cost more than what is done with them.
   */
  borrowedBatches(sql: string, schema: Schema, signal?: AbortSignal): AsyncIterable<ColumnBatch>;
  writeParquet(sql: string, path: string, options?: ParquetOptions, signal?: AbortSignal): Promise<ParquetFile>;
  /** The whole result at once as batches: cheaper than {@link batches}, for a caller that bounds the rows itself. */
  collectBatches(sql: string, schema: Schema, signal?: AbortSignal): Promise<ColumnBatch[]>;
  /**
   * Puts the whole result into arrays, one per column and of its type, and gives the number of rows: for a caller that knows
   * how many there may be. Values at null places are undefined. Thousands of small arrays cost more than what is done with them.
   */
  collectInto(sql: string, columns: readonly TypedValues[], signal?: AbortSignal): Promise<number>;
  /** Makes a temporary table of batches, rows in order; gives its relation. How sweeps over vectors hand their results back. */
  fill(name: string, schema: Schema, batches: Iterable<ColumnBatch>, signal?: AbortSignal): Promise<Relation>;
  /** Adds batches to a temporary table that {@link fill} made, rows in order. Each batch is copied before the next is asked for. */
  append(name: string, schema: Schema, batches: Iterable<ColumnBatch>, signal?: AbortSignal): Promise<void>;
  /** A path for a file of the caller's, where statements spill as well: whatever is there is gone when the engine is closed. */
  spillPath(): string;
  /** Makes a temporary table of rows, a polars DataFrame or an Arrow table; gives its relation. */
  table(name: string, data: unknown, schema?: Schema): Promise<Relation>;
  /** A nodejs-polars DataFrame through the fast bridge. */
  dataFrame(sql: string, schema: Schema, signal?: AbortSignal): Promise<unknown>;
  /** An apache-arrow Table. */
  arrow(sql: string, schema: Schema, signal?: AbortSignal): Promise<unknown>;
  close(): void;
}

export interface Engine {
  session(): Promise<EngineSession>;
  /** Releases threads, memory and temporary files. */
  close(): Promise<void>;
}

/** Quotes a name for SQL. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Quotes text as an SQL literal. */
export function quoteText(text: string): string {
  if (text.includes("\0")) throw new TypeError("Cannot use text with a zero byte in SQL");
  return `'${text.replaceAll("'", "''")}'`;
}

/** An instant as an SQL literal of type TIMESTAMPTZ. */
export function timestampSql(micros: bigint): string {
  return `make_timestamptz(${micros}::BIGINT)`;
}

/** How a step that works on whole sets is named in errors. */
export type { Query };
