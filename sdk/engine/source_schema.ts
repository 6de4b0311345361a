/** The columns of a source while the caller waits: Parquet footers are read, the rest is found by the engine in a thread of its own. */
import { statSync } from "node:fs";
import { VarveError } from "../errors.ts";
import type { FileSource } from "../frame/query.ts";
import { warnOnce } from "../frame/runtime.ts";
import type { Schema } from "../schema.ts";
import { csvDialect } from "./csv_dialect.ts";
import { dataTypeOf, isNaive, parseDuckType } from "./duck_type.ts";
import { quoteName, quoteText } from "./engine.ts";
import { engineError } from "./duckdb_error.ts";
import { expandPaths, isRemote } from "./files.ts";
import { statement } from "./query_sql.ts";
import { emptyInput } from "./source_finder.ts";
import { readerSql } from "./source_sql.ts";
import { footerColumns } from "./parquet_footer.ts";
import type { TypedColumn } from "./parquet_footer.ts";
import { askInThread, describeInThread } from "./sync_describe.ts";
import type { Described } from "./sync_describe.ts";

/** The columns of a file source, from its first file. */
export function fileSchema(source: FileSource): Schema {
  const label = source.paths.map((path) => `"${path}"`).join(", ");
  if (source.paths.some(isRemote)) {
    throw new VarveError(
      "UNSUPPORTED",
      `Cannot tell the columns of ${label} without reading them: declare them, as in { schema: { id: "string", amount: "float64" } }`,
    );
  }
  const files = expandPaths(source.paths);
  const columns = source.format === "parquet" ? footerColumns(files[0]!) : sniffedColumns(source, files, label);
  return toSchema(columns, label);
}

/** The result columns of SQL over inputs of these schemas. */
export function sqlSchema(text: string, inputs: Readonly<Record<string, Schema>>): Schema {
  if (!/^\s*(select|with|from|values|\(|--|\/\*)/i.test(text)) {
    throw new VarveError("INVALID_DEFINITION", "Cannot use this SQL as a frame: it must be one SELECT");
  }
  const described = describeInThread(
    statement(Object.entries(inputs).map(([name, schema]) => emptyInput(name, schema)), text),
  );
  if ("error" in described) throw engineError(new Error(described.error));
  return toSchema(described.columns, "SQL");
}

function toSchema(columns: readonly TypedColumn[], label: string): Schema {
  const naive = columns.filter((column) => isNaive(column.type)).map((column) => column.name);
  if (naive.length > 0 && label !== "SQL") {
    warnOnce(`naive:${label}`, `${label}: timestamps without a zone (${naive.join(", ")}) are read as UTC`);
  }
  return Object.freeze(
    columns.map(({ name, type }) => Object.freeze({ name, type: dataTypeOf(type, `column "${name}" of ${label}`) })),
  );
}

function sniffedColumns(source: FileSource, files: readonly string[], label: string): TypedColumn[] {
  for (const file of files) {
    if (statSync(file).size === 0) {
      throw new VarveError("CORRUPT", `Cannot read "${file}": the file is empty`, { details: { path: file } });
    }
  }
  const found = source.format === "csv"
    ? csvColumns(source, files)
    : describeInThread(`SELECT * FROM ${readerSql(source, files, undefined)}`);
  if ("columns" in found) return found.columns;
  const error = engineError(new Error(found.error));
  const code = error.code === "INVALID_REQUEST" ? "CORRUPT" : error.code;
  const message = error.message.includes(label) ? error.message : `Cannot read ${label}: ${error.message}`;
  throw new VarveError(code, message, { cause: error, details: error.details });
}

/** Rows of a CSV file that its column types are told from. */
const sampleRows = 20_000;

/** What text of a column must look like for it to have a type; the first that fits every value of the sample. */
const csvTypes: readonly (readonly [type: string, pattern: string])[] = [
  ["BOOLEAN", "(?i)true|false"],
  // Numbers with leading zeros are codes, not numbers.
  ["BIGINT", "[+-]?(0|[1-9]\\d{0,18})"],
  ["DOUBLE", "(?i)[+-]?((0|[1-9]\\d*)(\\.\\d*)?|\\.\\d+)(e[+-]?\\d+)?|nan|[+-]?inf(inity)?"],
  ["DATE", "\\d{4}-\\d{2}-\\d{2}"],
  ["TIMESTAMP", "\\d{4}-\\d{2}-\\d{2}([T ]\\d{2}:\\d{2}(:\\d{2}(\\.\\d+)?)?)?"],
  ["TIMESTAMPTZ", "\\d{4}-\\d{2}-\\d{2}([T ]\\d{2}:\\d{2}(:\\d{2}(\\.\\d+)?)?)?\\s*(Z|z|[+-]\\d{2}(:?\\d{2})?)?"],
];

function csvColumns(source: FileSource, files: readonly string[]): Described {
  const { columns } = csvDialect(source, files);
  const tests = columns.map((name) => {
    const text = quoteName(name);
    const fits = csvTypes.map(([type, pattern]) => {
      const fit = `regexp_full_match(${text}, ${quoteText(pattern)}) AND TRY_CAST(${text} AS ${type}) IS NOT NULL`;
      return `WHEN bool_and(${fit}) FILTER (WHERE ${text} IS NOT NULL) THEN ${quoteText(type)}`;
    });
    return `CASE ${fits.join(" ")} ELSE 'VARCHAR' END`;
  });
  // Rows that do not fit are left for the reader, which names them.
  const reader = readerSql({ ...source, options: { ...source.options, ignore_errors: true } }, files, undefined);
  const answer = askInThread(`SELECT ${tests.join(", ")} FROM (SELECT * FROM ${reader} LIMIT ${sampleRows})`);
  if ("error" in answer) return answer;
  const types = answer.rows[0]!.map((type) =>
    parseDuckType(type === "TIMESTAMPTZ" ? "TIMESTAMP WITH TIME ZONE" : String(type))
  );
  return { columns: columns.map((name, i) => ({ name, type: types[i]! })) };
}
