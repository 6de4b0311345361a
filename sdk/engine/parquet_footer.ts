/** The columns that the footer of a Parquet file tells. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { parquetMetadata, parquetSchema } from "hyparquet";
import type { SchemaTree } from "hyparquet";
import { messageOf, VarveError } from "../errors.ts";
import type { DuckType } from "./duck_type.ts";

/** A column and its physical type, in DuckDB's terms. */
export interface TypedColumn {
  readonly name: string;
  readonly type: DuckType;
}

/** The most that is read for a footer: one of thousands of columns and row groups stays far below. */
const maxFooterBytes = 256 * 1024 * 1024;

/** The columns of a Parquet file, from its footer. */
export function footerColumns(file: string): TypedColumn[] {
  return parquetColumns(readFooter(file), `"${file}"`);
}

/** The columns of Parquet bytes that end with a footer. */
export function parquetColumns(bytes: Uint8Array, label: string): TypedColumn[] {
  try {
    // Logical types that a footer cannot say (DuckDB's own) do not occur: DuckDB writes them as Parquet's.
    const tree = parquetSchema(
      parquetMetadata(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer),
    );
    return tree.children.map((child) => ({ name: child.element.name, type: nodeType(child) }));
  } catch (error) {
    throw new VarveError("CORRUPT", `Cannot read ${label}: its Parquet footer is damaged (${messageOf(error)})`, {
      cause: error,
      details: { source: label },
    });
  }
}

function readFooter(file: string): Uint8Array {
  const corrupt = (why: string): VarveError =>
    new VarveError("CORRUPT", `Cannot read "${file}": ${why}`, { details: { path: file } });
  const handle = openSync(file, "r");
  try {
    const { size } = fstatSync(handle);
    if (size === 0) throw corrupt("the file is empty");
    const tail = new Uint8Array(Math.min(8, size));
    readSync(handle, tail, 0, tail.length, size - tail.length);
    if (size < 12 || String.fromCharCode(...tail.subarray(4)) !== "PAR1") {
      throw corrupt("it is not a whole Parquet file (the end is missing)");
    }
    const length = new DataView(tail.buffer).getUint32(0, true) + 8;
    if (length > size || length > maxFooterBytes) throw corrupt("its Parquet footer is damaged");
    const footer = new Uint8Array(length);
    readSync(handle, footer, 0, length, size - length);
    return footer;
  } finally {
    closeSync(handle);
  }
}

const scalar = (name: string, ...args: string[]): DuckType => ({ kind: "scalar", name, args });

/** The DuckDB type of a node of a Parquet schema. */
function nodeType(node: SchemaTree): DuckType {
  const { element, children } = node;
  const repeated = element.repetition_type === "REPEATED";
  const type = children.length > 0 ? groupType(node) : leafType(node);
  return repeated ? { kind: "list", item: type } : type;
}

function groupType(node: SchemaTree): DuckType {
  const { element, children } = node;
  const kind = element.logical_type?.type ?? element.converted_type;
  const inner = children[0]!;
  if (kind === "LIST") {
    // The standard has three levels; old writers repeat the element itself.
    const threeLevels = inner.children.length === 1 && inner.element.name !== "array" &&
      !inner.element.name.endsWith("_tuple");
    return {
      kind: "list",
      item: threeLevels
        ? nodeType(inner.children[0]!)
        : children[0]!.children.length > 0
        ? groupType(inner)
        : leafType(inner),
    };
  }
  if ((kind === "MAP" || kind === "MAP_KEY_VALUE") && inner.children.length === 2) {
    return { kind: "map", key: nodeType(inner.children[0]!), value: nodeType(inner.children[1]!) };
  }
  return { kind: "struct", fields: children.map((child) => ({ name: child.element.name, type: nodeType(child) })) };
}

function leafType({ element }: SchemaTree): DuckType {
  const { logical_type: logical, converted_type: converted } = element;
  switch (logical?.type) {
    case "TIMESTAMP": {
      if (logical.isAdjustedToUTC) return scalar("TIMESTAMP WITH TIME ZONE");
      return scalar(logical.unit === "NANOS" ? "TIMESTAMP_NS" : "TIMESTAMP");
    }
    case "INTEGER":
      return scalar(
        `${logical.isSigned ? "" : "U"}${
          { 8: "TINYINT", 16: "SMALLINT", 32: "INTEGER", 64: "BIGINT" }[logical.bitWidth] ?? "BIGINT"
        }`,
      );
    case "DECIMAL":
      return scalar("DECIMAL", String(logical.precision), String(logical.scale));
    case "STRING":
    case "ENUM":
    case "JSON":
      return scalar("VARCHAR");
    case "UUID":
    case "DATE":
    case "TIME":
      return scalar(logical.type);
    case "FLOAT16":
      return scalar("FLOAT");
  }
  switch (converted) {
    case "UTF8":
    case "ENUM":
    case "JSON":
      return scalar("VARCHAR");
    case "DECIMAL":
      return scalar("DECIMAL", String(element.precision ?? 38), String(element.scale ?? 0));
    case "DATE":
    case "INTERVAL":
      return scalar(converted);
    case "TIME_MILLIS":
    case "TIME_MICROS":
      return scalar("TIME");
    case "TIMESTAMP_MILLIS":
    case "TIMESTAMP_MICROS":
      return scalar("TIMESTAMP WITH TIME ZONE");
    case "UINT_8":
    case "UINT_16":
    case "INT_8":
    case "INT_16":
      return scalar("INTEGER");
    case "UINT_32":
    case "UINT_64":
      return scalar("UBIGINT");
  }
  return scalar(
    {
      BOOLEAN: "BOOLEAN",
      INT32: "INTEGER",
      INT64: "BIGINT",
      INT96: "TIMESTAMP",
      FLOAT: "FLOAT",
      DOUBLE: "DOUBLE",
    }[element.type as string] ?? "BLOB",
  );
}
