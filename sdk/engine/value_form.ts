/** Values between the row form of executors (bigint micros, int32 days) and the form users see (Timestamp, `YYYY-MM-DD`). */
import { VarveError } from "../errors.ts";
import { isListType, isStructType } from "../schema.ts";
import type { DataType } from "../schema.ts";
import { Timestamp } from "../time.ts";
import type { TimestampLike } from "../time.ts";
import { dateLimits } from "./row_value.ts";

const dayMs = 86_400_000;

/** The value as users see it. */
export function userValue(value: unknown, type: DataType): unknown {
  if (value === null || value === undefined) return null;
  if (isListType(type)) return (value as unknown[]).map((item) => userValue(item, type.list));
  if (isStructType(type)) {
    const record = value as Record<string, unknown>;
    return Object.fromEntries(type.struct.map((field) => [field.name, userValue(record[field.name], field.type)]));
  }
  if (type === "timestamp") return new Timestamp(value as bigint);
  if (type === "date") return dateText(value as number);
  return value;
}

/**
 * The row form of a value that a user gave, as it comes back where it is stored: a float32 is rounded to one. Throws a `TypeError` that
 * says what was expected.
 */
export function rowValue(value: unknown, type: DataType): unknown {
  if (value === null || value === undefined) return null;
  const wrong = (): never => {
    throw new TypeError(
      `${describe(value)} is not ${typeof type === "string" ? type : "list" in type ? "list" : "struct"}`,
    );
  };
  if (isListType(type)) {
    return Array.isArray(value) || ArrayBuffer.isView(value)
      ? Array.from(value as ArrayLike<unknown>, (item) => rowValue(item, type.list))
      : wrong();
  }
  if (isStructType(type)) {
    if (typeof value !== "object" || Array.isArray(value)) return wrong();
    const record = value as Record<string, unknown>;
    return Object.fromEntries(type.struct.map((field) => [field.name, rowValue(record[field.name], field.type)]));
  }
  switch (type) {
    case "string":
      return typeof value === "string" ? wellFormed(value) : wrong();
    case "boolean":
      return typeof value === "boolean" ? value : wrong();
    case "int32":
      return typeof value === "number" && (value | 0) === value ? value | 0 : wrong();
    case "int64":
    case "duration":
      if (typeof value === "bigint" && BigInt.asIntN(64, value) === value) return value;
      return typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : wrong();
    case "float32":
    case "float64": {
      const number = typeof value === "number" ? value : typeof value === "bigint" ? Number(value) : wrong();
      return type === "float32" ? Math.fround(number) : number;
    }
    case "timestamp":
      // Says so when no year holds it.
      return Timestamp.from(value as TimestampLike).micros;
    case "date":
      return dayOf(value) ?? wrong();
    case "binary":
      return value instanceof Uint8Array ? value : wrong();
  }
}

/** Halves of a surrogate pair become U+FFFD, as they do in UTF-8, in which everything is stored. */
function wellFormed(text: string): string {
  return (text as string & { toWellFormed(): string }).toWellFormed();
}

function dateText(day: number): string {
  if (day >= dateLimits.min && day <= dateLimits.max) return new Date(day * dayMs).toISOString().slice(0, 10);
  throw new VarveError(
    "INVALID_REQUEST",
    `Cannot make a date of ${day} days since 1970: years run from 0001 to 9999; leave such rows out, or give null instead`,
  );
}

function dayOf(value: unknown): number | undefined {
  const ms = value instanceof Date ? value.getTime() : dayText(value);
  const day = Math.floor(ms / dayMs);
  return day >= dateLimits.min && day <= dateLimits.max ? day : undefined;
}

/** The start of a day that exists, or NaN. */
function dayText(value: unknown): number {
  if (typeof value !== "string" || !/^\d{4}-\d{2}-\d{2}$/.test(value)) return NaN;
  const ms = Date.parse(`${value}T00:00:00Z`);
  return Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== value ? NaN : ms;
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 60));
  return typeof value === "object" ? `an ${Array.isArray(value) ? "array" : "object"}` : String(value);
}
