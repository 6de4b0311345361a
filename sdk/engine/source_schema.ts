/** The columns of a source while the caller waits: Parquet footers are read, the rest is found by the engine in a thread of its own. */
import { statSync } from "node:fs";
import { VarveError } from "../errors.ts";
import type { FileSource } from "../frame/query.ts";
import { warnOnce } from "../frame/runtime.ts";
import type { Schema } from "../schema.ts";
import { dataTypeOf, isNaive } from "./duck_type.ts";
import { engineError } from "./duckdb_error.ts";
import { expandPaths, isRemote } from "./files.ts";
import { statement } from "./query_sql.ts";
import { emptyInput } from "./source_finder.ts";
import { readerSql } from "./source_sql.ts";
import { footerColumns } from "./parquet_footer.ts";
import type { TypedColumn } from "./parquet_footer.ts";
import { describeInThread } from "./sync_describe.ts";

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
  const described = describeInThread(`SELECT * FROM ${readerSql(source, files, undefined)}`);
  if ("columns" in described) return described.columns;
  const error = engineError(new Error(described.error));
  throw new VarveError(
    error.code === "INVALID_REQUEST" ? "CORRUPT" : error.code,
    `Cannot read ${label}: ${error.message}`,
    { cause: error },
  );
}
