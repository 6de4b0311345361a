/** DuckDB's vectors as columns of JavaScript: copies of fixed-width values, decoded strings, lists and structs. */
import { isListType, isStructType } from "../schema.ts";
import type { DataType } from "../schema.ts";
import type { RawVector, ReadSpan } from "./client.ts";
import type { ColumnVector } from "./engine.ts";
import { stringValues } from "./vector_strings.ts";

/** A column of the contract from a vector. Its values are copies: the vector's memory dies with its chunk. */
export function columnVector(raw: RawVector, type: DataType, readSpan: ReadSpan): ColumnVector {
  const vector = borrowedVector(raw, type, readSpan);
  return isFixedWidth(type) ? { ...vector, values: raw.items!.slice() } : vector;
}

/** The same without copies of typed values: they live as long as the chunk. */
export function borrowedVector(raw: RawVector, type: DataType, readSpan: ReadSpan): ColumnVector {
  const validity = validityBytes(raw);
  const isNull = validity ? (row: number): boolean => (validity[row >> 3]! & (1 << (row & 7))) === 0 : never;
  const values = isFixedWidth(type) ? raw.items! : plainValues(raw, type, readSpan);
  return { values, isNull, hasNulls: validity !== undefined };
}

function never(): boolean {
  return false;
}

/** The validity bits of a vector, one byte for eight rows (set: not null); undefined when no row is null. */
export function validityBytes(raw: RawVector): Uint8Array | undefined {
  const data = raw.validity.data;
  if (!data) return undefined;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice(0, (raw.itemCount + 7) >> 3);
  // Some vectors carry a mask in which every bit is set.
  const full = raw.itemCount >> 3;
  for (let i = 0; i < full; i++) if (bytes[i] !== 0xff) return bytes;
  const rest = raw.itemCount & 7;
  if (rest > 0 && (bytes[full]! & ((1 << rest) - 1)) !== (1 << rest) - 1) return bytes;
  return undefined;
}

/** Whether values of a type lie in a typed array. */
export function isFixedWidth(type: DataType): boolean {
  return typeof type === "string" && type !== "string" && type !== "binary" && type !== "boolean";
}

function plainValues(raw: RawVector, type: DataType, readSpan: ReadSpan): unknown[] {
  const validity = validityBytes(raw);
  if (type === "string") return stringValues(raw, validity, readSpan);
  const count = raw.itemCount;
  const values = new Array<unknown>(count);
  const read = reader(raw, type, readSpan);
  for (let row = 0; row < count; row++) {
    values[row] = validity && (validity[row >> 3]! & (1 << (row & 7))) === 0 ? null : read(row);
  }
  return values;
}

function reader(raw: RawVector, type: DataType, readSpan: ReadSpan): (row: number) => unknown {
  if (isListType(type)) {
    const items = plainValues(raw.childData!, type.list, readSpan);
    const entries = raw.entryData!;
    return (row) => {
      const offset = Number(entries[2 * row]);
      return items.slice(offset, offset + Number(entries[2 * row + 1]));
    };
  }
  if (isStructType(type)) {
    const parts = type.struct.map((field, i) =>
      [field.name, plainValues(raw.entryVectors![i]!, field.type, readSpan)] as const
    );
    return (row) => Object.fromEntries(parts.map(([name, values]) => [name, values[row]]));
  }
  if (type === "boolean") {
    const bytes = raw.dataView!;
    return (row) => bytes.getUint8(row) !== 0;
  }
  if (type === "binary") return (row) => Uint8Array.from((raw.getItem(row) as { bytes: Uint8Array }).bytes);
  const items = raw.items!;
  return (row) => items[row];
}
