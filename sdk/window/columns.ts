/**
 * Columns of values in typed arrays, and how they are copied. Loops see arrays of at most three types: for so few they are compiled
 * as well as for one (measured), and for more they would look at every element's.
 */
import type { ColumnVector } from "../engine/engine.ts";
import type { DataType } from "../schema.ts";

/** How the values of a column lie: in typed arrays, or as `values` in row form with nulls in place. */
export type ColumnKind = "float64" | "float32" | "int32" | "int64" | "values";

/** Values of a column. */
export type Values = Float64Array | Float32Array | Int32Array | BigInt64Array | unknown[];

/** A column of rows. */
export interface Column {
  readonly values: Values;
  /** 1 where the value is null; absent when there are none. */
  readonly nulls?: Uint8Array | undefined;
}

/** How the engine gives values of a type. */
export function kindOf(type: DataType): ColumnKind {
  switch (type) {
    case "float64":
    case "float32":
    case "int32":
    case "int64":
      return type;
    case "date":
      return "int32";
    case "timestamp":
    case "duration":
      return "int64";
    default:
      return "values";
  }
}

/** How states hold values of a slot's type. */
export function slotKindOf(type: DataType): ColumnKind {
  return type === "float64" || type === "int32" || type === "int64" ? type : "values";
}

/** A column from a vector of the engine. */
export function columnOf({ values, hasNulls, isNull }: ColumnVector, kind: ColumnKind, count: number): Column {
  if (kind === "values") {
    if (!ArrayBuffer.isView(values)) return { values: values as unknown[] };
    return { values: Array.from({ length: count }, (_, row) => hasNulls && isNull(row) ? null : values[row]) };
  }
  if (!hasNulls) return { values: values as Values };
  const nulls = new Uint8Array(count);
  for (let row = 0; row < count; row++) if (isNull(row)) nulls[row] = 1;
  return { values: values as Values, nulls };
}

/** Room for values. */
export function makeValues(kind: ColumnKind, count: number): Values {
  switch (kind) {
    case "float64":
      return new Float64Array(count);
    case "float32":
      return new Float32Array(count);
    case "int32":
      return new Int32Array(count);
    case "int64":
      return new BigInt64Array(count);
    case "values":
      return new Array<unknown>(count).fill(null);
  }
}

/** What a row of these columns takes in memory, with its id and time, and without what values are that are objects. */
export function bytesOf(kinds: readonly ColumnKind[]): number {
  const sizes = { float64: 9, float32: 5, int32: 5, int64: 9, values: 8 };
  return kinds.reduce((sum, kind) => sum + sizes[kind], 12);
}

/** What values that are objects take in memory, in about: some of them are looked at. */
export function sizeOfValues(values: readonly unknown[], count: number): number {
  const step = Math.max(1, Math.floor(count / 16));
  let size = 0;
  let seen = 0;
  for (let i = 0; i < count; i += step, seen++) size += sizeOf(values[i]);
  return seen === 0 ? 0 : size / seen * count;
}

function sizeOf(value: unknown): number {
  if (typeof value === "string") return 24 + 2 * value.length;
  if (typeof value === "number" || typeof value === "bigint") return 24;
  if (typeof value !== "object" || value === null) return 0;
  if (ArrayBuffer.isView(value)) return 120 + value.byteLength;
  const parts: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  return 32 + 8 * parts.length + sizeOfValues(parts, parts.length);
}

/**
 * Values as they are copied: 64-bit integers as pairs of words, because each would be an object on its way. The memory is the
 * same.
 */
export type Copied = Float64Array | Float32Array | Int32Array | Uint8Array | unknown[];

/** The values for copying. */
export function copiedOf(values: Values): Copied {
  if (!(values instanceof BigInt64Array)) return values;
  return new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
}

/** What copies mean, from their first row on. */
export function valuesOf(copied: Copied, kind: ColumnKind): Values {
  return kind === "int64" ? new BigInt64Array((copied as Int32Array).buffer as ArrayBuffer) : copied as Values;
}

/** How many elements of copies a row has. */
export function widthOf(kind: ColumnKind): 1 | 2 {
  return kind === "int64" ? 2 : 1;
}

/** Copies `size` elements that lie together. */
export function copyStretch(into: Copied, at: number, from: Copied, start: number, size: number): void {
  if (Array.isArray(into)) { for (let i = 0; i < size; i++) into[at + i] = from[start + i]; }
  else into.set((from as Float64Array).subarray(start, start + size), at);
}

/** Copies the `size` rows that `order` names from `start` on, to row `at` and following. */
export function copyByOrder(
  kind: ColumnKind | "byte",
  into: Copied,
  at: number,
  from: Copied,
  order: Int32Array,
  start: number,
  size: number,
): void {
  switch (kind) {
    case "float64":
    case "int32":
    case "byte":
      return gatherNumbers(into as Numbers, at, from as Numbers, order, start, size);
    case "int64":
      return gatherPairs(into as Int32Array, at, from as Int32Array, order, start, size);
    default:
      for (let i = 0; i < size; i++) into[at + i] = from[order[start + i]!] as never;
  }
}

/** Arrays that share loops. */
type Numbers = Float64Array | Int32Array | Uint8Array;

function gatherNumbers(
  into: Numbers,
  at: number,
  from: Numbers,
  order: Int32Array,
  start: number,
  size: number,
): void {
  for (let i = 0; i < size; i++) into[at + i] = from[order[start + i]!]!;
}

function gatherPairs(
  into: Int32Array,
  at: number,
  from: Int32Array,
  order: Int32Array,
  start: number,
  size: number,
): void {
  for (let i = 0; i < size; i++) {
    const row = order[start + i]!;
    into[2 * (at + i)] = from[2 * row]!;
    into[2 * (at + i) + 1] = from[2 * row + 1]!;
  }
}

/** Rows of an array that have the numbers from `place` on. */
export interface Target {
  readonly place: number;
  readonly rows: number;
}

/** Copies `count` rows from `start` on to the places that are told from `first` on; those outside the target are left out. */
export function scatter(
  kind: ColumnKind | "byte",
  into: Copied,
  { place, rows }: Target,
  from: Copied,
  start: number,
  places: Int32Array,
  first: number,
  count: number,
): void {
  switch (kind) {
    case "float64":
    case "int32":
    case "byte":
      return scatterNumbers(into as Numbers, place, rows, from as Numbers, start, places, first, count);
    case "int64":
      return scatterPairs(into as Int32Array, place, rows, from as Int32Array, start, places, first, count);
    default:
      for (let i = 0; i < count; i++) {
        const at = places[first + i]! - place;
        if (at >= 0 && at < rows) into[at] = from[start + i] as never;
      }
  }
}

function scatterNumbers(
  into: Numbers,
  place: number,
  rows: number,
  from: Numbers,
  start: number,
  places: Int32Array,
  first: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    const at = places[first + i]! - place;
    if (at >= 0 && at < rows) into[at] = from[start + i]!;
  }
}

function scatterPairs(
  into: Int32Array,
  place: number,
  rows: number,
  from: Int32Array,
  start: number,
  places: Int32Array,
  first: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    const at = places[first + i]! - place;
    if (at < 0 || at >= rows) continue;
    into[2 * at] = from[2 * (start + i)]!;
    into[2 * at + 1] = from[2 * (start + i) + 1]!;
  }
}

let zeros = new Uint8Array(0);

/** What stands for a column without nulls beside one that has some. */
export function noNulls(count: number): Uint8Array {
  if (zeros.length < count) zeros = new Uint8Array(count);
  return zeros;
}
