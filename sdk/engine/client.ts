/** What the engine needs of a DuckDB connection. `duckdb.ts` provides it; nothing else sees the library. */
import type { DataType } from "../schema.ts";
import type { ColumnBatch, TypedValues } from "./engine.ts";

/**
 * A vector of a chunk, as the library lays it out: fixed-width values in `items`, 16-byte string headers and booleans in
 * `dataView`, lists as offset and length pairs over `childData`, structs as vectors by part. Its memory dies with the chunk.
 */
export interface RawVector {
  readonly itemCount: number;
  readonly validity: { readonly data: BigUint64Array | null };
  readonly items?: TypedValues;
  readonly dataView?: DataView;
  readonly entryData?: BigUint64Array;
  readonly childData?: RawVector;
  readonly entryVectors?: readonly RawVector[];
  getItem(index: number): unknown;
}

/** Some rows of a result. */
export interface RawChunk {
  readonly rowCount: number;
  readonly columns: readonly RawVector[];
  readonly readSpan: ReadSpan;
}

/** Copies the bytes that a 16-byte string header (length, prefix, address) points at. Only memory that is mapped may be read. */
export type ReadSpan = (header: DataView) => Uint8Array;

/** A column's name and DuckDB type. */
export interface RawColumn {
  readonly name: string;
  readonly type: string;
}

/** A result that is read as it is computed, in chunks of about two thousand rows. */
export interface RawStream {
  readonly columns: readonly RawColumn[];
  readonly chunks: AsyncGenerator<RawChunk, void, undefined>;
}

/** A result that is there as a whole. */
export interface RawResult {
  readonly rowCount: number;
  readonly chunks: Iterable<RawChunk>;
}

/** One connection. Errors that leave it are VarveErrors. */
export interface DuckClient {
  run(sql: string, signal?: AbortSignal): Promise<void>;
  stream(sql: string, signal?: AbortSignal): Promise<RawStream>;
  /** The whole result, computed before its first chunk is read: each chunk costs a tenth of a streamed one. */
  collect(sql: string, signal?: AbortSignal): Promise<RawResult>;
  /** Appends batches to a table, rows in order. */
  append(
    table: string,
    types: readonly DataType[],
    batches: Iterable<ColumnBatch>,
    signal?: AbortSignal,
  ): Promise<void>;
  close(): void;
}

/** Opens connections to one database. */
export interface DuckDatabase {
  connect(): Promise<DuckClient>;
  close(): void;
}
