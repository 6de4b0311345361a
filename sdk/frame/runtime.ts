/**
 * What a frame needs from outside to be more than a description: reading the schema of a source, and running a query.
 * `frame/` says what to do and never does it; the composition root sets the runtime.
 */
import { VarveError } from "../errors.ts";
import type { Row, Schema } from "../schema.ts";
import type { FileSource, Query } from "./query.ts";
import type { WindowedSource } from "./window_reading.ts";
import type { WindowPreviewOptions } from "./windowed_frame.ts";

/** What readers return. The engine's door to each library adds its types here, so that this room imports none. */
// deno-lint-ignore no-empty-interface
export interface ResultTypes {}

/** A nodejs-polars DataFrame. */
export type DataFrame = ResultTypes extends { readonly dataFrame: infer D } ? D : unknown;

/** An apache-arrow Table. */
export type ArrowTable = ResultTypes extends { readonly arrow: infer A } ? A : unknown;

/** One column of a batch: a typed array where the type has one, else a plain array; null places are told by `isNull`. */
export interface BatchColumn {
  /** The values, one for each row. */
  readonly values: Int32Array | BigInt64Array | Float64Array | Float32Array | readonly unknown[];
  /** Whether some row is null. */
  readonly hasNulls: boolean;
  /** Whether a row is null. */
  isNull(row: number): boolean;
}

/** Some rows of a result, as columns. */
export interface Batch {
  /** The columns, in order. */
  readonly schema: Schema;
  /** How many rows there are. */
  readonly rowCount: number;
  /** The values, column by column. */
  readonly columns: readonly BatchColumn[];
}

/** What a written file holds. */
export interface WrittenFile {
  /** Where it is. */
  readonly path: string;
  /** How many rows it holds. */
  readonly rows: number;
  /** How large it is. */
  readonly bytes: number;
}

/** How a Parquet file is written. */
export interface ToParquetOptions {
  /**
   * How pages are compressed.
   * @default "zstd"
   */
  readonly compression?: "zstd" | "snappy" | "uncompressed";
  /** The most rows of a row group. */
  readonly rowGroupSize?: number;
}

/** Every read takes a signal that interrupts it. */
export interface ReadOptions {
  /** Interrupts the read. */
  readonly signal?: AbortSignal;
}

/** Data of this process, once it is known to the runtime. */
export interface MemoryData {
  /** Content hash. */
  readonly id: string;
  readonly rowCount: number;
  readonly schema: Schema;
}

/** Runs queries and knows sources. */
export interface FrameRuntime {
  /** The columns of a file source, read while the caller waits; `paths` absolute, in order. */
  fileSchema(source: FileSource): Schema;
  /** The result columns of SQL over inputs of these schemas. */
  sqlSchema(sql: string, inputs: Readonly<Record<string, Schema>>): Schema;
  /** Keeps rows, a polars DataFrame or an Arrow table for as long as `owner` lives. */
  keep(data: unknown, schema: Schema | undefined, owner: object): MemoryData;
  rows(query: Query, options?: ReadOptions): Promise<Row[]>;
  dataFrame(query: Query, options?: ReadOptions): Promise<DataFrame>;
  arrow(query: Query, options?: ReadOptions): Promise<ArrowTable>;
  batches(query: Query, options?: ReadOptions): AsyncIterable<Batch>;
  parquet(query: Query, path: string, options?: ToParquetOptions & ReadOptions): Promise<WrittenFile>;
  explain(query: Query): Promise<string>;
}

/** Computes what each key would have over windows, from the source. */
export type PreviewWindows = (
  windowed: WindowedSource,
  options: WindowPreviewOptions,
) => Promise<Row[]>;

let previewer: PreviewWindows | undefined;

/** Sets what previews windows: that is more than running a query. */
export function setPreviewWindows(preview: PreviewWindows): void {
  previewer = preview;
}

/** What previews windows, or an error that says how to get it. */
export function previewWindows(): PreviewWindows {
  if (previewer) return previewer;
  throw new VarveError("UNSUPPORTED", 'Cannot preview windows: no engine is installed; import frames from "varve"');
}

let current: FrameRuntime | undefined;

/** Sets the runtime of all frames of this process. */
export function setFrameRuntime(runtime: FrameRuntime): void {
  current = runtime;
}

/** The runtime, or an error that says how to get one. */
export function frameRuntime(): FrameRuntime {
  if (current) return current;
  throw new VarveError("UNSUPPORTED", 'Cannot run a frame: no engine is installed; import frames from "varve"');
}

let hook: (message: string) => void = (message) => process.emitWarning(message, "VarveWarning");
const warned = new Set<string>();

/** Sends warnings elsewhere than to `process.emitWarning`; a notebook shows them in the cell. */
export function setWarningHook(replacement: (message: string) => void): void {
  hook = replacement;
}

/** Warns, each time. */
export function warn(message: string): void {
  hook(message);
}

/** Warns once per `key` in this process. */
export function warnOnce(key: string, message: string): void {
  if (warned.has(key)) return;
  warned.add(key);
  warn(message);
}
