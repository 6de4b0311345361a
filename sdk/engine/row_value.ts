/** Values in row form: how they compare, and the limits that integers and times must not leave. */
import { type DataType, isFloatType, isListType, isStructType } from "../schema.ts";
import { timestampLimits } from "../time.ts";

/** One row, by column: int64, timestamp and duration bigint, date int32 days, binary bytes, null for null. */
export type RowValues = Readonly<Record<string, unknown>>;

/** Computes a value of one row. */
export type Evaluate = (row: RowValues) => unknown;

/** An error of the values in a row, as the SQL engine also gives: overflow, a cast that cannot be. */
export class RowError extends RangeError {
  override readonly name: string = "RowError";
}

export const dateLimits: { readonly min: number; readonly max: number } = { min: -719_162, max: 2_932_896 };

export function checkInt32(value: number): number {
  if (value > 2147483647 || value < -2147483648) {
    throw new RowError(`Cannot compute int32: ${value} is out of range; cast to int64 first`);
  }
  // -0 is not an integer.
  return value + 0;
}

export function checkInt64(value: bigint): bigint {
  if (BigInt.asIntN(64, value) !== value) {
    throw new RowError(`Cannot compute int64: ${value} is out of range; cast to float64 first`);
  }
  return value;
}

export function checkTimestamp(micros: bigint): bigint {
  checkInt64(micros);
  if (micros < timestampLimits.min || micros > timestampLimits.max) {
    throw new RowError("Cannot compute timestamp: years run from 0001 to 9999");
  }
  return micros;
}

export function checkDate(days: number): number {
  if (days < dateLimits.min || days > dateLimits.max) {
    throw new RowError("Cannot compute date: years run from 0001 to 9999");
  }
  return days;
}

/** Compares two values that are not null: below 0, 0 or above. */
export type Compare = (a: unknown, b: unknown) => number;

/** How values of a type compare: NaN is greatest and equals itself, text goes by code point, false before true. */
export function comparatorOf(type: DataType): Compare {
  if (isListType(type) || isStructType(type)) throw new TypeError("Cannot compare lists or structs");
  if (isFloatType(type)) return compareFloats as Compare;
  if (type === "string") return compareText as Compare;
  if (type === "binary") return compareBytes as Compare;
  return compareOrdered as Compare;
}

function compareOrdered(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function compareFloats(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  if (a === b) return 0;
  return (a !== a ? 1 : 0) - (b !== b ? 1 : 0);
}

/** By code point, as UTF-8 bytes compare: surrogates, which are code units below U+E000, stand for the highest code points. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return x >= 0xd800 && y >= 0xd800 ? moveSurrogates(x) - moveSurrogates(y) : x - y;
  }
  return a.length - b.length;
}

function moveSurrogates(unit: number): number {
  return unit >= 0xe000 ? unit - 0x2000 : unit + 0x800;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!;
  }
  return a.length - b.length;
}

/** A value that equal values share, and others do not, as a key of a `Set`. */
export function keyOf(type: DataType): (value: unknown) => unknown {
  // Sets take NaN for NaN and -0 for 0, as we do.
  return type === "binary" ? (value) => Array.from(value as Uint8Array).join() : (value) => value;
}
