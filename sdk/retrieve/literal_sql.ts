/** Types and constants in SQL: defaults of features (S7) as literals of exactly the feature's type. */
import { quoteName, quoteText, timestampSql } from "../engine/engine.ts";
import type { LiteralValue } from "../frame/expr_node.ts";
import { type DataType, isListType, isStructType, type Schema } from "../schema.ts";

/** The literal's SQL; the value is encoded as in a literal node. */
export function literalSql(value: LiteralValue, type: DataType): string {
  if (value === null) return `CAST(NULL AS ${typeSql(type)})`;
  if (isListType(type)) {
    const items = (value as readonly LiteralValue[]).map((item) => literalSql(item, type.list));
    return `CAST([${items.join(", ")}] AS ${typeSql(type)})`;
  }
  if (isStructType(type)) {
    const parts = value as { readonly [name: string]: LiteralValue };
    return `struct_pack(${
      type.struct.map((field) => `${quoteName(field.name)} := ${literalSql(parts[field.name] ?? null, field.type)}`)
        .join(", ")
    })`;
  }
  switch (type) {
    case "timestamp":
      return timestampSql(BigInt(value as string));
    case "binary":
      return `from_base64(${quoteText(String(value))})`;
    case "string":
    case "boolean":
    case "int32":
    case "int64":
    case "duration":
    case "float32":
    case "float64":
    case "date":
      return `CAST(${quoteText(String(value))} AS ${typeSql(type)})`;
  }
}

/** The SQL name of a type. */
export function typeSql(type: DataType): string {
  if (isListType(type)) return `${typeSql(type.list)}[]`;
  if (isStructType(type)) {
    return `STRUCT(${type.struct.map((field) => `${quoteName(field.name)} ${typeSql(field.type)}`).join(", ")})`;
  }
  const names = {
    string: "VARCHAR",
    boolean: "BOOLEAN",
    int32: "INTEGER",
    int64: "BIGINT",
    duration: "BIGINT",
    float32: "FLOAT",
    float64: "DOUBLE",
    date: "DATE",
    timestamp: "TIMESTAMPTZ",
    binary: "BLOB",
  } as const;
  return names[type];
}

/** A SELECT of no rows with these columns. */
export function emptySql(schema: Schema): string {
  return `SELECT ${
    schema.map(({ name, type }) => `CAST(NULL AS ${typeSql(type)}) AS ${quoteName(name)}`).join(", ")
  } WHERE false`;
}
