/** Constants as DuckDB's SQL. */
import { type DataType, isListType, isStructType } from "../schema.ts";
import { formatTimestamp } from "../time.ts";
import { duckTypeOf } from "./duck_type.ts";
import { quoteName, quoteText, timestampSql } from "./engine.ts";
import { microsPerDay } from "./row_calendar.ts";

/** A value in row form as SQL, of exactly its type. */
export function valueSql(value: unknown, type: DataType): string {
  if (value === null) return `CAST(NULL AS ${duckTypeOf(type)})`;
  if (isListType(type)) {
    return `CAST([${(value as readonly unknown[]).map((each) => valueSql(each, type.list)).join(", ")}] AS ${
      duckTypeOf(type)
    })`;
  }
  if (isStructType(type)) {
    const parts = value as Readonly<Record<string, unknown>>;
    return `struct_pack(${
      type.struct.map((field) => `${quoteName(field.name)} := ${valueSql(parts[field.name], field.type)}`).join(", ")
    })`;
  }
  switch (type) {
    case "boolean":
      return value === true ? "true" : "false";
    case "string":
      return textSql(value as string);
    case "timestamp":
      return timestampSql(value as bigint);
    case "date":
      return `DATE ${quoteText(formatTimestamp(BigInt(value as number) * microsPerDay).slice(0, 10))}`;
    case "binary":
      return `from_hex(${quoteText(Buffer.from(value as Uint8Array).toString("hex"))})`;
  }
  return `CAST(${quoteText(Object.is(value, -0) ? "-0" : String(value))} AS ${duckTypeOf(type)})`;
}

/** Text as SQL, also with zero bytes, which a quoted text cannot hold. */
export function textSql(text: string): string {
  const parts = text.split("\0").map(quoteText);
  return parts.length === 1 ? parts[0]! : `(${parts.join(" || chr(0) || ")})`;
}
