/** Sources as SQL: which table function reads them, and how physical columns become those a query may use. */
import { VarveError } from "../errors.ts";
import type { FileSource, ScanStep } from "../frame/query.ts";
import { formatType } from "../schema.ts";
import type { DataType, Field, Schema } from "../schema.ts";
import type { TimeRange } from "../time.ts";
import { csvDialect } from "./csv_dialect.ts";
import type { CsvDialect } from "./csv_dialect.ts";
import { canCast, castSql, dataTypeOf, normalSql } from "./duck_type.ts";
import type { DuckType } from "./duck_type.ts";
import { quoteName, quoteText, timestampSql } from "./engine.ts";
import type { SliceOptions } from "./engine.ts";
import { footerColumns } from "./parquet_footer.ts";
import { textColumnsSql } from "./text_columns.ts";

/** A source whose files or table are known. */
export interface ResolvedSource {
  /** What stands behind FROM. */
  readonly from: string;
  /** Physical columns by name. */
  readonly columns: ReadonlyMap<string, DuckType>;
  /** The files, where they are Parquet. */
  readonly parquet?: readonly string[];
  /** As {@link from}, without files of which it is known that no time in the column lies in the range. */
  readonly fromWithin?: (column: string, range: TimeRange) => string;
  /** SQL of a number that grows with the order of rows, where there is one. */
  readonly position?: string;
  /** Names the source in errors. */
  readonly label: string;
}

/** The SELECT that reads a scan's columns, cast to its schema; in slices, only rows of the range. */
export function scanSql(
  step: ScanStep,
  source: ResolvedSource,
  slices: SliceOptions | undefined,
  positioned: boolean,
): string {
  const columns = step.schema.map((field) => {
    const sql = scanColumnSql(field.name, field.type, source);
    return sql === quoteName(field.name) ? sql : `${sql} AS ${quoteName(field.name)}`;
  });
  const lines = [];
  let { from } = source;
  if (slices) {
    const name = step.source.eventTimestamp;
    if (name === undefined) {
      throw new VarveError(
        "INVALID_DEFINITION",
        `Cannot read ${source.label} by time: it has no event timestamp; name its column with { eventTimestamp }`,
      );
    }
    const type = step.schema.find((field) => field.name === name)!.type;
    const time = type === "date"
      ? castSql(scanColumnSql(name, type, source), "date", "timestamp")
      : scanColumnSql(name, type, source);
    if (slices.interval !== undefined) columns.unshift(`${sliceSql(time, slices.interval)} AS __slice`);
    lines.push(`WHERE ${rangeSql(name, time, source, slices)}`);
    from = source.fromWithin?.(name, slices.range) ?? from;
  }
  if (positioned) columns.push(`${source.position} AS __position`);
  return [`SELECT ${columns.join(", ")}`, `FROM ${from}`, ...lines].join("\n");
}

/** The start of the epoch-aligned slice that holds an instant. */
function sliceSql(time: string, interval: bigint): string {
  const us = `epoch_us(${time})`;
  return `make_timestamptz(${us} - ((${us} % ${interval}) + ${interval}) % ${interval})`;
}

function rangeSql(name: string, time: string, source: ResolvedSource, slices: SliceOptions): string {
  const { start, end } = slices.range;
  const type = source.columns.get(name);
  // A naive timestamp is compared as it is stored, so that the reader can skip row groups.
  if (type?.kind === "scalar" && type.name === "TIMESTAMP") {
    return `${quoteName(name)} >= make_timestamp(${start}::BIGINT) AND ${
      quoteName(name)
    } < make_timestamp(${end}::BIGINT)`;
  }
  return `${time} >= ${timestampSql(start)} AND ${time} < ${timestampSql(end)}`;
}

/** SQL of a source's column, cast to the type that a query expects; SCHEMA_MISMATCH when it does not fit. */
export function scanColumnSql(name: string, type: DataType, source: ResolvedSource): string {
  const physical = source.columns.get(name);
  const mismatch = (why: string): VarveError =>
    new VarveError("SCHEMA_MISMATCH", `Cannot read column "${name}" of ${source.label}: ${why}`, {
      details: { column: name, source: source.label },
    });
  if (!physical) throw mismatch(`there is no such column; columns are ${[...source.columns.keys()].join(", ")}`);
  const normal = dataTypeOf(physical, `column "${name}" of ${source.label}`);
  if (!canCast(normal, type)) throw mismatch(`it is ${formatType(normal)} and the query expects ${formatType(type)}`);
  return castSql(normalSql(quoteName(name), physical), normal, type);
}

/** The table function that reads files. `schema` declares what a text format cannot tell; columns of CSV that it leaves out are text. */
export function readerSql(source: FileSource, files: readonly string[], schema: Schema | undefined): string {
  const list = `[${files.map((file) => quoteText(literalPath(file))).join(", ")}]`;
  switch (source.format) {
    case "parquet":
      return `read_parquet(${[list, ...pathSettings(files[0]!, schema), ...settings(source)].join(", ")})`;
    case "csv":
      return csvSql(source, list, csvDialect(source, files), schema ?? []);
    case "json":
    case "ndjson": {
      const format = `format='${source.format === "ndjson" ? "newline_delimited" : "auto"}'`;
      const read = (columns: readonly string[]): string =>
        `read_json(${[list, format, "hive_partitioning=false", ...columns, ...settings(source)].join(", ")})`;
      for (const { name } of schema ?? []) if (foldersOf(files[0]!).has(name.toLowerCase())) throw ambiguous(name);
      return schema ? textColumnsSql(source, schema, (types) => read([typesSql(types)])) : read([]);
    }
  }
}

/**
 * Folders named like `year=2001` give columns, which the engine would take rather than those of that name in the file: a time would
 * become the day of its folder. They are asked for only where the file has no such column, and the query wants it.
 */
function pathSettings(file: string, schema: Schema | undefined): string[] {
  const named = foldersOf(file);
  if (named.size === 0) return [];
  const stored = new Set(footerColumns(file).map(({ name }) => name.toLowerCase()));
  const isWanted = schema?.some(({ name }) => named.has(name.toLowerCase()) && !stored.has(name.toLowerCase()));
  return isWanted && ![...named].some((name) => stored.has(name)) ? [] : ["hive_partitioning=false"];
}

/** Names of columns that the folders of a path give, in lower case, as the engine compares them. */
function foldersOf(file: string): ReadonlySet<string> {
  return new Set(file.split(/[\\/]/).slice(0, -1).flatMap((part) => /^([^=]+)=/.exec(part)?.[1]?.toLowerCase() ?? []));
}

/** A column of JSON that is nowhere is null, so that nobody can say whether the file has it. */
function ambiguous(name: string): VarveError {
  return new VarveError(
    "SCHEMA_MISMATCH",
    `Cannot read column "${name}": its files may have it, and so has the name of their folder, "${name}=…"; ` +
      "leave the column out of schema, or rename the folder",
  );
}

/** SQL of what Parquet files say of themselves, of each column of each row group, or of their schema. */
export function metadataSql(what: "file_metadata" | "metadata" | "schema", files: readonly string[]): string {
  return `parquet_${what}([${files.map((file) => quoteText(literalPath(file))).join(", ")}])`;
}

function settings(source: FileSource, known: readonly string[] = []): string[] {
  return Object.entries(source.options ?? {}).filter(([name]) => !known.includes(name))
    .map(([name, value]) => `${optionName(name)}=${typeof value === "string" ? quoteText(value) : value}`);
}

function typesSql(types: readonly (readonly [name: string, type: string])[]): string {
  return `columns={${types.map(([name, type]) => `${quoteText(name)}: ${quoteText(type)}`).join(", ")}}`;
}

function csvSql(source: FileSource, list: string, dialect: CsvDialect, schema: Schema): string {
  for (const { name } of schema) {
    if (dialect.columns.includes(name)) continue;
    throw new VarveError(
      "SCHEMA_MISMATCH",
      `Cannot read column "${name}": there is no such column; columns are ${dialect.columns.join(", ")}`,
    );
  }
  const columns = dialect.columns.map((name): Field =>
    schema.find((field) => field.name === name) ?? { name, type: "string" }
  );
  return textColumnsSql(source, columns, (types) => {
    const parts = [
      list,
      "auto_detect=false",
      `delim=${quoteText(dialect.delimiter)}`,
      `quote=${quoteText(dialect.quote)}`,
      `escape=${quoteText(dialect.quote)}`,
      `header=${dialect.header}`,
      typesSql(types),
      "hive_partitioning=false",
      ...settings(source, ["delim", "quote", "header"]),
    ];
    return `read_csv(${parts.join(", ")})`;
  });
}

/** Options are names that become SQL, so only words may pass. */
function optionName(name: string): string {
  if (/^[a-z_]+$/.test(name)) return name;
  throw new VarveError(
    "INVALID_DEFINITION",
    `Cannot use source option ${JSON.stringify(name)}: names are lower case words joined by _`,
  );
}

/** A path that DuckDB does not read as a glob. */
function literalPath(path: string): string {
  return path.replaceAll(/[*?[]/g, (character) => `[${character}]`);
}
