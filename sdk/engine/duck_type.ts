/** DuckDB's types: reading their names, what varve type each becomes, and the SQL that converts a column. */
import { VarveError } from "../errors.ts";
import { isListType, isStructType, sameType } from "../schema.ts";
import type { DataType } from "../schema.ts";
import { quoteName, quoteText } from "./engine.ts";

/** A DuckDB type, read from the text that DESCRIBE gives. */
export type DuckType =
  | { readonly kind: "scalar"; readonly name: string; readonly args: readonly string[] }
  | {
    readonly kind: "list";
    readonly item: DuckType; /** An ARRAY, which is stored in another way. */
    readonly fixed?: true;
  }
  | { readonly kind: "struct"; readonly fields: readonly { readonly name: string; readonly type: DuckType }[] }
  | { readonly kind: "map"; readonly key: DuckType; readonly value: DuckType };

/** Reads the name of a DuckDB type: `STRUCT(a INTEGER, "b c" VARCHAR[])[]`. */
export function parseDuckType(text: string): DuckType {
  const reader = new TypeReader(text);
  return reader.type();
}

class TypeReader {
  readonly #tokens: readonly string[];
  #next = 0;

  constructor(text: string) {
    this.#tokens = text.match(/"(?:[^"]|"")*"|'(?:[^']|'')*'|[(),[\]]|[^\s(),[\]"']+/g) ?? [];
  }

  #peek(): string | undefined {
    return this.#tokens[this.#next];
  }

  #take(): string {
    return this.#tokens[this.#next++] ?? "";
  }

  type(): DuckType {
    let type = this.#base();
    while (this.#peek() === "[") {
      this.#take();
      const fixed = this.#peek() !== "]";
      if (fixed) this.#take(); // its length
      this.#take();
      type = { kind: "list", item: type, ...(fixed && { fixed }) };
    }
    return type;
  }

  #base(): DuckType {
    const words = [unquote(this.#take())];
    while (/^[A-Za-z_]/.test(this.#peek() ?? "")) words.push(this.#take());
    const name = words.join(" ").toUpperCase();
    if (this.#peek() !== "(") return { kind: "scalar", name, args: [] };
    this.#take();
    const type = name === "STRUCT" ? this.#struct() : name === "MAP" ? this.#map() : this.#arguments(name);
    this.#take();
    return type;
  }

  #struct(): DuckType {
    const fields = [];
    do {
      if (this.#peek() === ",") this.#take();
      const name = unquote(this.#take());
      fields.push({ name, type: this.type() });
    } while (this.#peek() === ",");
    return { kind: "struct", fields };
  }

  #map(): DuckType {
    const key = this.type();
    this.#take();
    return { kind: "map", key, value: this.type() };
  }

  #arguments(name: string): DuckType {
    const args: string[] = [];
    let depth = 0;
    for (let token = this.#peek(); token !== undefined && (depth > 0 || token !== ")"); token = this.#peek()) {
      if (token === "(") depth++;
      if (token === ")") depth--;
      args.push(this.#take());
    }
    return { kind: "scalar", name, args: args.filter((arg) => arg !== ",") };
  }
}

function unquote(token: string): string {
  return token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token;
}

const scalars: Readonly<Record<string, DataType>> = {
  "TINYINT": "int32",
  "SMALLINT": "int32",
  "INTEGER": "int32",
  "UTINYINT": "int32",
  "USMALLINT": "int32",
  "UINTEGER": "int64",
  "BIGINT": "int64",
  "UBIGINT": "int64",
  "HUGEINT": "int64",
  "UHUGEINT": "int64",
  "FLOAT": "float32",
  "DOUBLE": "float64",
  "BOOLEAN": "boolean",
  "VARCHAR": "string",
  "ENUM": "string",
  "UUID": "string",
  "TIME": "string",
  "TIME WITH TIME ZONE": "string",
  "TIME_NS": "string",
  "JSON": "string",
  "BIT": "string",
  "BLOB": "binary",
  "DATE": "date",
  "TIMESTAMP": "timestamp",
  "TIMESTAMP_S": "timestamp",
  "TIMESTAMP_MS": "timestamp",
  "TIMESTAMP_NS": "timestamp",
  "TIMESTAMP WITH TIME ZONE": "timestamp",
  "INTERVAL": "duration",
  "NULL": "string",
};

/** The varve type that a DuckDB type becomes; `what` names the column in the error. */
export function dataTypeOf(type: DuckType, what: string): DataType {
  if (type.kind === "list") return { list: dataTypeOf(type.item, what) };
  if (type.kind === "struct") {
    return { struct: type.fields.map((field) => ({ name: field.name, type: dataTypeOf(field.type, what) })) };
  }
  if (type.kind === "map") {
    return {
      list: {
        struct: [{ name: "key", type: dataTypeOf(type.key, what) }, {
          name: "value",
          type: dataTypeOf(type.value, what),
        }],
      },
    };
  }
  if (type.name === "DECIMAL") return type.args[1] === "0" && Number(type.args[0]) <= 18 ? "int64" : "float64";
  const found = scalars[type.name];
  if (found) return found;
  throw new VarveError(
    "UNSUPPORTED",
    `Cannot read ${what}: its type ${type.name} has no counterpart; leave it out by declaring schema`,
  );
}

/** Whether a type holds times without a zone, which varve reads as UTC (S1). */
export function isNaive(type: DuckType): boolean {
  if (type.kind === "list") return isNaive(type.item);
  if (type.kind === "struct") return type.fields.some((field) => isNaive(field.type));
  if (type.kind === "map") return isNaive(type.key) || isNaive(type.value);
  return /^TIMESTAMP(_\w+)?$/.test(type.name);
}

/** The DuckDB type in which a varve type lives inside the engine. Durations are BIGINT micros. */
export function duckTypeOf(type: DataType): string {
  if (isListType(type)) return `${duckTypeOf(type.list)}[]`;
  if (isStructType(type)) {
    return `STRUCT(${type.struct.map((field) => `${quoteName(field.name)} ${duckTypeOf(field.type)}`).join(", ")})`;
  }
  switch (type) {
    case "string":
      return "VARCHAR";
    case "boolean":
      return "BOOLEAN";
    case "int32":
      return "INTEGER";
    case "int64":
    case "duration":
      return "BIGINT";
    case "float32":
      return "FLOAT";
    case "float64":
      return "DOUBLE";
    case "date":
      return "DATE";
    case "timestamp":
      return "TIMESTAMPTZ";
    case "binary":
      return "BLOB";
  }
}

/** SQL that turns a column of a DuckDB type into its varve type, without losing values in silence. */
export function normalSql(sql: string, type: DuckType, depth = 0): string {
  if (isNormalType(type)) return sql;
  if (type.kind === "list") {
    const item = `x${depth}`;
    // Fixed-size arrays become lists by the same call.
    return `list_transform(${sql}, lambda ${item}: ${normalSql(item, type.item, depth + 1)})`;
  }
  if (type.kind === "struct") {
    const parts = type.fields.map((field) =>
      `${quoteName(field.name)} := ${
        normalSql(`struct_extract(${sql}, '${field.name.replaceAll("'", "''")}')`, field.type, depth)
      }`
    );
    return `CASE WHEN ${sql} IS NULL THEN NULL ELSE struct_pack(${parts.join(", ")}) END`;
  }
  if (type.kind === "map") {
    const entries: DuckType = {
      kind: "list",
      item: { kind: "struct", fields: [{ name: "key", type: type.key }, { name: "value", type: type.value }] },
    };
    return normalSql(`map_entries(${sql})`, entries, depth);
  }
  // A cast to TIMESTAMPTZ goes through the time-zone library and is 15 times slower; both give UTC. Of what is infinite there are no micros.
  if (type.name.startsWith("TIMESTAMP")) {
    const infinite = `error(${
      quoteText(`Cannot read ${sql}: it holds an infinite timestamp, which is no instant; filter it in SQL`)
    })`;
    return `coalesce(make_timestamptz(epoch_us(${sql})), CASE WHEN ${sql} IS NOT NULL THEN ${infinite} END)`;
  }
  if (type.name === "INTERVAL") return `epoch_us(${sql})`;
  return `CAST(${sql} AS ${duckTypeOf(dataTypeOf(type, sql))})`;
}

const normal = new Set([
  "INTEGER",
  "BIGINT",
  "FLOAT",
  "DOUBLE",
  "BOOLEAN",
  "VARCHAR",
  "BLOB",
  "DATE",
  "TIMESTAMP WITH TIME ZONE",
]);

/** Whether values of a type are already in the form that varve keeps. */
export function isNormalType(type: DuckType): boolean {
  if (type.kind === "list") return type.fixed !== true && isNormalType(type.item);
  if (type.kind === "struct") return type.fields.every((field) => isNormalType(field.type));
  return type.kind === "scalar" && normal.has(type.name);
}

/** Whether values of one varve type may be cast to another that a definition declares. */
export function canCast(from: DataType, to: DataType): boolean {
  if (sameType(from, to)) return true;
  const key = `${typeof from === "string" ? from : ""}>${typeof to === "string" ? to : ""}`;
  return casts.has(key);
}

const casts = new Set([
  "int32>int64",
  "int64>int32",
  "int32>float64",
  "int64>float64",
  "int32>float32",
  "int64>float32",
  "float32>float64",
  "float64>float32",
  "date>timestamp",
  "string>timestamp",
  "string>date",
  "int64>duration",
  "duration>int64",
]);

/** SQL that casts between two varve types for which {@link canCast} holds. */
export function castSql(sql: string, from: DataType, to: DataType): string {
  if (duckTypeOf(from) === duckTypeOf(to)) return sql;
  if (from === "date" && to === "timestamp") return `make_timestamptz(epoch_us(CAST(${sql} AS TIMESTAMP)))`;
  return `CAST(${sql} AS ${duckTypeOf(to)})`;
}
