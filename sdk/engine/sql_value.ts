/** Constants as DuckDB's SQL. */
import { type DataType, isListType, isStructType } from "../schema.ts";
import type { LiteralNode, LiteralValue } from "../frame/expr_node.ts";
import { duckTypeOf } from "./duck_type.ts";
import { quoteName, quoteText, timestampSql } from "./engine.ts";

/** A constant as SQL, of exactly its type. */
export function literalSql(node: LiteralNode): string {
  return valueSql(node.value, node.type);
}

function valueSql(value: LiteralValue, type: DataType): string {
  if (value === null) return `CAST(NULL AS ${duckTypeOf(type)})`;
  if (isListType(type)) {
    return `CAST([${(value as readonly LiteralValue[]).map((each) => valueSql(each, type.list)).join(", ")}] AS ${
      duckTypeOf(type)
    })`;
  }
  if (isStructType(type)) {
    const parts = value as { readonly [name: string]: LiteralValue };
    return `struct_pack(${
      type.struct.map((field) => `${quoteName(field.name)} := ${valueSql(parts[field.name] ?? null, field.type)}`).join(
        ", ",
      )
    })`;
  }
  switch (type) {
    case "boolean":
      return value === true ? "true" : "false";
    case "string":
      return textSql(String(value));
    case "timestamp":
      return timestampSql(BigInt(String(value)));
    case "binary":
      return `from_base64(${quoteText(String(value))})`;
  }
  return `CAST(${quoteText(String(value))} AS ${duckTypeOf(type)})`;
}

/** Text as SQL, also with zero bytes, which a quoted text cannot hold. */
export function textSql(text: string): string {
  const parts = text.split("\0").map(quoteText);
  return parts.length === 1 ? parts[0]! : `(${parts.join(" || chr(0) || ")})`;
}
