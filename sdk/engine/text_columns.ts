/**
 * Columns of CSV and JSON. The engine's readers make another value of what a column cannot hold: 1.6 becomes the integer 2, a day with a
 * time loses the time, `abc` as a timestamp of CSV is null, 5 is true. Such columns are read as text, and what does not fit is an error.
 */
import type { FileSource } from "../frame/query.ts";
import { type DataType, type Field, formatType, isListType, isStructType } from "../schema.ts";
import { timestampLimits } from "../time.ts";
import { duckTypeOf } from "./duck_type.ts";
import { quoteName, quoteText } from "./engine.ts";

/** The SELECT of a reader's columns as what the fields say; `read` gives the reader when it is told what to read each column as. */
export function textColumnsSql(
  source: FileSource,
  fields: readonly Field[],
  read: (types: readonly (readonly [name: string, type: string])[]) => string,
): string {
  const reader = read(fields.map(({ name, type }) => [name, readAs(type, source)]));
  if (fields.every(({ type }) => isNative(type, source))) return reader;
  const list = fields.map(({ name, type }) => {
    const x = quoteName(name);
    return isNative(type, source) ? x : `${valueSql(x, type, source, name)} AS ${x}`;
  });
  return `(SELECT ${list.join(", ")} FROM ${reader})`;
}

/** Whether the reader itself gives what stands there, or says that it is none. */
function isNative(type: DataType, source: FileSource): boolean {
  if (isListType(type)) return isNative(type.list, source);
  if (isStructType(type)) return type.struct.every((field) => isNative(field.type, source));
  return type === "string" || type === "binary" || type === "float64" ||
    (type === "boolean" && source.format === "csv");
}

function readAs(type: DataType, source: FileSource): string {
  if (isNative(type, source)) return duckTypeOf(type);
  if (isListType(type)) return `${readAs(type.list, source)}[]`;
  if (isStructType(type)) {
    return `STRUCT(${type.struct.map((field) => `${quoteName(field.name)} ${readAs(field.type, source)}`).join(", ")})`;
  }
  return type === "float32" ? "DOUBLE" : "VARCHAR";
}

function valueSql(x: string, type: DataType, source: FileSource, column: string, depth = 0): string {
  if (isNative(type, source)) return x;
  if (isListType(type)) {
    const item = `x${depth}`;
    return `list_transform(${x}, lambda ${item}: ${valueSql(item, type.list, source, column, depth + 1)})`;
  }
  if (isStructType(type)) {
    const parts = type.struct.map(({ name, type }) =>
      `${quoteName(name)} := ${valueSql(`struct_extract(${x}, ${quoteText(name)})`, type, source, column, depth)}`
    );
    return `CASE WHEN ${x} IS NULL THEN NULL ELSE struct_pack(${parts.join(", ")}) END`;
  }
  if (type === "float32") return `CAST(${x} AS FLOAT)`;
  const value = `TRY_CAST(${x} AS ${duckTypeOf(type)})`;
  const mismatch = mismatchSql(x, type, source, column);
  return `CASE WHEN ${isExact(x, value, type)} THEN ${value} WHEN ${x} IS NOT NULL THEN error(${mismatch}) END`;
}

function mismatchSql(x: string, type: DataType, { paths: [first, ...others] }: FileSource, column: string): string {
  const label = `"${first}"${others.length > 0 ? ` and ${others.length} others` : ""}`;
  const text = `regexp_replace(left(${x}, 100), '\\s+', ' ', 'g')`;
  return `${quoteText(`Cannot read column "${column}" of ${label}: "`)} || ${text} || ${
    quoteText(`" is not ${formatType(type)}; correct it, or declare another type of the column in schema`)
  }`;
}

/** Whether the text `x` says what `value` made of it, no more and no less. */
function isExact(x: string, value: string, type: DataType): string {
  switch (type) {
    case "date": {
      const time = `TRY_CAST(${x} AS TIMESTAMP)`;
      return `${value} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' AND date_trunc('day', ${time}) = ${time}`;
    }
    case "timestamp":
      return `epoch_us(${value}) BETWEEN ${timestampLimits.min} AND ${timestampLimits.max}`;
    case "boolean":
      return `${value} IS NOT NULL`;
    default:
      // A fraction is rounded by one of the two alone.
      return `TRY_CAST(${x} AS DOUBLE) = ${value}`;
  }
}
