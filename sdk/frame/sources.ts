/** Where frames start: files by path, glob or `s3://`, data of this process, SQL over other frames. */
import { isAbsolute, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { checkOptions, givenText, type OptionNames, VarveError } from "../errors.ts";
import { formatType, requireField, sameType, schemaFrom } from "../schema.ts";
import type { Row, RowOf, Schema, SchemaTypes } from "../schema.ts";
import { Frame } from "./frame.ts";
import type { AnyFrame } from "./frame.ts";
import type { RowOfSchema } from "./frame_types.ts";
import type { FileSource, MemorySource, Query } from "./query.ts";
import { schemaOf } from "./query_schema.ts";
import { frameRuntime } from "./runtime.ts";
import { deepFreeze } from "./steps.ts";

/** What may be said about any source. */
export interface SourceOptions<S extends SchemaTypes = SchemaTypes> {
  /** The column that says when a row became true. */
  readonly eventTimestamp?: string;
  /** The column that says when a row was written; of equal event timestamps the last written wins (S3). */
  readonly writtenTimestamp?: string;
  /** The columns to read and their types. @default what the source says */
  readonly schema?: S;
}

const sourceOptions: OptionNames<SourceOptions> = { eventTimestamp: true, writtenTimestamp: true, schema: true };

/** How a CSV file is written; what is not said is found out. */
export interface CsvOptions<S extends SchemaTypes = SchemaTypes> extends SourceOptions<S> {
  /**
   * What separates cells.
   * @default the one of , ; tab and | that splits the first line most often
   */
  readonly delimiter?: string;
  /**
   * What encloses cells that hold delimiters; twice, it stands for itself.
   * @default a double quote
   */
  readonly quote?: string;
  /** Whether the first line names the columns. */
  readonly header?: boolean;
  /** The text that stands for null. */
  readonly nullText?: string;
  /** Lines to leave out at the start. */
  readonly skip?: number;
}

const csvOptions: OptionNames<CsvOptions> = {
  ...sourceOptions,
  delimiter: true,
  quote: true,
  header: true,
  nullText: true,
  skip: true,
};

/** One path or glob, or several. */
export type Paths = string | URL | readonly (string | URL)[];

function pathText(path: string | URL): string {
  const text = typeof path === "string" ? path : path.href;
  if (text === "") throw new VarveError("INVALID_DEFINITION", "Cannot read a source without a path");
  if (text.startsWith("file:")) return fileURLToPath(text);
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(text) || isAbsolute(text) ? text : resolve(text);
}

function fileFrame<R extends Row>(
  format: FileSource["format"],
  paths: Paths,
  options: SourceOptions,
  readerOptions: Record<string, string | number | boolean | undefined> = {},
  names: Readonly<Record<string, true>> = sourceOptions,
): Frame<R> {
  checkOptions(`Cannot read ${format}`, options, names);
  const list = (Array.isArray(paths) ? paths : [paths]).map((path: string | URL) => pathText(path));
  if (list.length === 0) {
    throw new VarveError("INVALID_DEFINITION", `Cannot read ${format}: the list of paths is empty`);
  }
  const settings = Object.entries(readerOptions).filter((entry): entry is [string, string | number | boolean] =>
    entry[1] !== undefined
  );
  const source: FileSource = deepFreeze({
    kind: "file",
    format,
    paths: list,
    ...times(options),
    ...(settings.length > 0 ? { options: Object.fromEntries(settings) } : {}),
  });
  const schema = options.schema ? schemaFrom(options.schema) : frameRuntime().fileSchema(source);
  return new Frame({ kind: "scan", source, schema });
}

function times(options: SourceOptions): { eventTimestamp?: string; writtenTimestamp?: string } {
  const { eventTimestamp, writtenTimestamp } = options;
  return {
    ...(eventTimestamp === undefined ? {} : { eventTimestamp }),
    ...(writtenTimestamp === undefined ? {} : { writtenTimestamp }),
  };
}

/**
 * Parquet files. The columns are read from the first file's footer, unless `schema` declares them.
 *
 * @example
 * ```ts
 * import { parquet } from "varve";
 * const trips = parquet("data/trips-*.parquet", { eventTimestamp: "pickup", schema: { pickup: "timestamp", fare: "float64" } });
 * ```
 */
export function parquet<const S extends SchemaTypes | undefined = never>(
  paths: Paths,
  options: SourceOptions & { readonly schema?: S } = {},
): Frame<RowOfSchema<S>> {
  return fileFrame("parquet", paths, options);
}

/**
 * CSV files. Columns, types and dialect are found in a sample, unless declared. A row that does not fit is an error that names its line,
 * and a value that its column cannot hold one that names both: 1.6 is no integer.
 */
export function csv<const S extends SchemaTypes | undefined = never>(
  paths: Paths,
  options: CsvOptions & { readonly schema?: S } = {},
): Frame<RowOfSchema<S>> {
  const { delimiter, quote, header, nullText, skip } = options;
  return fileFrame("csv", paths, options, { delim: delimiter, quote, header, nullstr: nullText, skip }, csvOptions);
}

/** JSON files: an array of objects, or objects one after the other. */
export function json<const S extends SchemaTypes | undefined = never>(
  paths: Paths,
  options: SourceOptions & { readonly schema?: S } = {},
): Frame<RowOfSchema<S>> {
  return fileFrame("json", paths, options);
}

/** NDJSON files: one object a line. */
export function ndjson<const S extends SchemaTypes | undefined = never>(
  paths: Paths,
  options: SourceOptions & { readonly schema?: S } = {},
): Frame<RowOfSchema<S>> {
  return fileFrame("ndjson", paths, options);
}

function memoryFrame<R extends Row>(data: unknown, options: SourceOptions): Frame<R> {
  checkOptions("Cannot make a frame", options, sourceOptions);
  // The source object owns the data: while a query that reads it can be reached, the data stays.
  const source = { kind: "memory", id: "", rowCount: 0, ...times(options) } as {
    -readonly [K in keyof MemorySource]: MemorySource[K];
  };
  const kept = frameRuntime().keep(data, options.schema ? schemaFrom(options.schema) : undefined, source);
  source.id = kept.id;
  source.rowCount = kept.rowCount;
  return new Frame({ kind: "scan", source: Object.freeze(source), schema: kept.schema });
}

/** Rows of this process. Without `schema` whole small numbers are int32, other numbers float64, bigint int64, `Date` timestamp. */
export function fromRows<const S extends SchemaTypes>(
  rows: readonly Row[],
  options: SourceOptions & { readonly schema: S },
): Frame<RowOf<S>>;
/** Rows of this process; their types are found in the values. */
export function fromRows<R extends Row>(
  rows: readonly R[],
  options?: Omit<SourceOptions, "schema">,
): Frame<{ [K in keyof R & string]: R[K] }>;
export function fromRows(rows: readonly Row[], options: SourceOptions = {}): Frame {
  if (!Array.isArray(rows)) {
    throw new VarveError("INVALID_REQUEST", `Cannot make a frame of ${givenText(rows)}: give an array of objects`);
  }
  return memoryFrame(Object.freeze([...rows]), options);
}

/** A nodejs-polars DataFrame. Later changes to it are not seen. */
export function fromPolars<const S extends SchemaTypes | undefined = never>(
  frame: unknown,
  options: SourceOptions & { readonly schema?: S } = {},
): Frame<RowOfSchema<S>> {
  return memoryFrame(frame, options);
}

/** An apache-arrow Table. */
export function fromArrow<const S extends SchemaTypes | undefined = never>(
  table: unknown,
  options: SourceOptions & { readonly schema?: S } = {},
): Frame<RowOfSchema<S>> {
  return memoryFrame(table, options);
}

/**
 * Rows that publishing stored, by the id that it gave them: what `fromRows`, `fromPolars` and `fromArrow` become in a module that
 * `view.source()` writes. The store that holds them reads them.
 */
export function storedRows<const S extends SchemaTypes>(
  id: string,
  options: SourceOptions & { readonly schema: S; readonly rowCount: number },
): Frame<RowOf<S>> {
  const source: MemorySource = deepFreeze({ kind: "memory", id, rowCount: options.rowCount, ...times(options) });
  return new Frame({ kind: "scan", source, schema: schemaFrom(options.schema) });
}

/**
 * SQL (DuckDB's SELECT) over frames by name: `` sql("select origin, avg(delay) as delay from flights group by 1", { flights }) ``.
 * With a declared `schema` the result must fit it.
 */
export function sql<const S extends SchemaTypes | undefined = never>(
  text: string,
  inputs: Readonly<Record<string, AnyFrame>> = {},
  options: { readonly schema?: S } = {},
): Frame<RowOfSchema<S>> {
  if (text.trim() === "") throw new VarveError("INVALID_DEFINITION", "Cannot run SQL: the text is empty");
  const queries: Record<string, Query> = {};
  for (const [name, frame] of Object.entries(inputs)) queries[name] = frame.query;
  const found = frameRuntime().sqlSchema(
    text,
    Object.fromEntries(Object.entries(queries).map(([name, query]) => [name, schemaOf(query)])),
  );
  const schema = options.schema ? fitted(found, schemaFrom(options.schema)) : found;
  return new Frame({ kind: "sql", sql: text, inputs: deepFreeze(queries), schema });
}

function fitted(found: Schema, declared: Schema): Schema {
  for (const field of declared) {
    const { type } = requireField(found, field.name, "declare column");
    if (!sameType(type, field.type)) {
      throw new VarveError(
        "SCHEMA_MISMATCH",
        `Cannot declare column "${field.name}" as ${formatType(field.type)}: the SQL gives ${
          formatType(type)
        }; cast it there`,
      );
    }
  }
  return declared;
}
