/** Whether the columns of many Parquet files have the types of the first: the engine casts them to it, and 1.6 becomes the integer 2. */
import { statSync } from "node:fs";
import { VarveError } from "../errors.ts";
import type { DuckClient } from "./client.ts";
import type { DuckType } from "./duck_type.ts";
import { footerColumns, type TypedColumn } from "./parquet_footer.ts";
import { metadataSql } from "./source_sql.ts";
import { columnVector } from "./vectors.ts";

const mostFiles = 100_000;

/** What files say of their columns. Of many files of the same make one footer is looked at. */
export class FileTypes {
  /** By path: the file's state, and the hash of its schema. */
  readonly #makes = new Map<string, { readonly state: string; readonly make: string }>();
  readonly #columns = new Map<string, readonly TypedColumn[]>();

  /** Throws SCHEMA_MISMATCH, naming the file, where values of these columns could not all be kept. */
  async check(
    files: readonly string[],
    names: readonly string[],
    client: DuckClient,
    signal?: AbortSignal,
  ): Promise<void> {
    const states = files.map(stateOf);
    const fresh = files.filter((file, i) => this.#makes.get(file)?.state !== states[i]);
    if (fresh.length > 0) await this.#read(fresh, client, signal);
    const [first, ...others] = files;
    const wanted = this.#columnsOf(first!);
    const seen = new Set([this.#makes.get(first!)?.make]);
    for (const file of others) {
      const make = this.#makes.get(file)?.make;
      if (seen.has(make)) continue;
      seen.add(make);
      const found = this.#columnsOf(file);
      for (const name of names) {
        const [to, from] = [wanted, found].map((columns) => columns.find((column) => column.name === name)?.type);
        // A column that is not there is told by the reader.
        if (!to || !from || isKept(from, to)) continue;
        throw new VarveError(
          "SCHEMA_MISMATCH",
          `Cannot read column "${name}" of "${file}": it is ${typeText(from)} there and ${
            typeText(to)
          } in "${first}", ` +
            "the first file, so that values would change; write the files with one type",
          { details: { path: file, column: name } },
        );
      }
    }
  }

  #columnsOf(file: string): readonly TypedColumn[] {
    const make = this.#makes.get(file)?.make ?? "";
    let columns = this.#columns.get(make);
    if (!columns) this.#columns.set(make, columns = footerColumns(file));
    return columns;
  }

  async #read(files: readonly string[], client: DuckClient, signal?: AbortSignal): Promise<void> {
    if (this.#makes.size > mostFiles) this.#makes.clear();
    if (this.#columns.size > 1_000) this.#columns.clear();
    const states = new Map(files.map((file) => [file, stateOf(file)]));
    const told = [
      "name",
      "type",
      "repetition_type",
      "num_children",
      "converted_type",
      "scale",
      "precision",
      "logical_type",
    ];
    const { chunks } = await client.collect(
      `SELECT file_name, md5(string_agg(concat_ws('|', ${told.join(", ")}), ',' ORDER BY place)) ` +
        `FROM (SELECT *, row_number() OVER () AS place FROM ${metadataSql("schema", files)}) GROUP BY file_name`,
      signal,
    );
    for (const chunk of chunks) {
      const [paths, makes] = chunk.columns.map((column) => columnVector(column, "string", chunk.readSpan).values);
      for (let row = 0; row < chunk.rowCount; row++) {
        const state = states.get(String(paths![row]));
        if (state !== undefined) this.#makes.set(String(paths![row]), { state, make: String(makes![row]) });
      }
    }
  }
}

function stateOf(file: string): string {
  const { size, mtimeMs, ino } = statSync(file);
  return `${size} ${mtimeMs} ${ino}`;
}

const integers = /^U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)$/;

/** Whether the engine casts every value of a type to the same value of another, or says that it cannot. */
function isKept(from: DuckType, to: DuckType): boolean {
  if (from.kind === "scalar" && to.kind === "scalar") return isScalarKept(from, to);
  if (from.kind === "list" && to.kind === "list") return isKept(from.item, to.item);
  if (from.kind === "map" && to.kind === "map") return isKept(from.key, to.key) && isKept(from.value, to.value);
  if (from.kind !== "struct" || to.kind !== "struct") return false;
  return to.fields.every(({ name, type }) => {
    const field = from.fields.find((each) => each.name === name);
    return field !== undefined && isKept(field.type, type);
  });
}

type Scalar = DuckType & { readonly kind: "scalar" };

function isScalarKept(from: Scalar, to: Scalar): boolean {
  if (from.name === "DECIMAL" && to.name === "DECIMAL") return Number(from.args[1]) <= Number(to.args[1]);
  if (from.name === to.name) return true;
  if (integers.test(from.name)) return integers.test(to.name) || ["FLOAT", "DOUBLE", "DECIMAL"].includes(to.name);
  if (from.name === "DECIMAL") return to.name === "DOUBLE" || (from.args[1] === "0" && integers.test(to.name));
  if (from.name === "FLOAT") return to.name === "DOUBLE";
  // Finer than microseconds nothing is (S1), and a day is its first instant.
  return (from.name.startsWith("TIMESTAMP") || from.name === "DATE") && to.name.startsWith("TIMESTAMP");
}

function typeText(type: DuckType): string {
  switch (type.kind) {
    case "scalar":
      return type.args.length > 0 ? `${type.name}(${type.args.join(",")})` : type.name;
    case "list":
      return `${typeText(type.item)}[]`;
    case "map":
      return `MAP(${typeText(type.key)}, ${typeText(type.value)})`;
    case "struct":
      return `STRUCT(${type.fields.map(({ name, type }) => `${name} ${typeText(type)}`).join(", ")})`;
  }
}
