/** Values of an answer in user form, and keys of a request as JSON (S9). */
import { type DataType, isListType, isStructType } from "../schema.ts";
import { Timestamp, toMicros } from "../time.ts";

/** int64 and durations are bigint, timestamps are Timestamp, NaN and infinities are numbers, structs have their fields' names. */
export function decodeValue(value: unknown, type: DataType): unknown {
  if (value === null || value === undefined) return null;
  if (isListType(type)) return (value as readonly unknown[]).map((each) => decodeValue(each, type.list));
  if (isStructType(type)) {
    const parts = value as readonly unknown[];
    return Object.fromEntries(type.struct.map((field, i) => [field.name, decodeValue(parts[i], field.type)]));
  }
  switch (type) {
    case "int64":
    case "duration":
      return BigInt(value as string);
    case "int32":
    case "float32":
    case "float64":
      return Number(value);
    case "timestamp":
      return new Timestamp(toMicros(String(value)));
    case "binary":
      return Uint8Array.from(atob(String(value)), (each) => each.charCodeAt(0));
    default:
      return value;
  }
}

/** The fields of a request as JSON has them. */
export function encodeFields(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, encodeValue(value)]));
}

function encodeValue(value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Timestamp) return value.toString();
  if (value instanceof Uint8Array) return btoa(Array.from(value, (byte) => String.fromCharCode(byte)).join(""));
  if (Array.isArray(value)) return value.map(encodeValue);
  return typeof value === "object" && value !== null ? encodeFields(value) : value;
}
