/**
 * Entity keys as bytes, composed by structure (S8): every part carries its kind and length, so (1, 12) and (11, 2), or
 * ("a", "bc") and ("ab", "c"), never meet. Equal values of every accepted form encode equal.
 *
 * Parts: 02 false · 03 true · 10+n integer of n bytes · 20+n day of n bytes (two's complement, big endian, as few bytes as
 * hold it) · 80+n text of n ≤ 126 bytes · FF n text of n ≤ 255 bytes · 7F sha-256 of longer text. A key longer than 512
 * bytes becomes 7E and its sha-256.
 */
import { createHash } from "node:crypto";
import type { ColumnVector } from "../engine/engine.ts";
import { VarveError } from "../errors.ts";
import type { Field } from "../schema.ts";
import { ByteWriter } from "./byte_writer.ts";

/** The longest key that {@link encodeKey} makes. */
export const maxKeyBytes = 512;

let scratch = new ByteWriter(4096);

/** The key of an entity; null when any join key is null or undefined (status NULL_KEY, S7). */
export function encodeKey(joinKeys: readonly Field[], values: readonly unknown[]): Uint8Array | null {
  if (values.length !== joinKeys.length) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot look up an entity by ${values.length} values: its join keys are ${
        joinKeys.map((key) => key.name).join(", ")
      }`,
    );
  }
  scratch.at = 0;
  let isNull = false;
  for (let i = 0; i < joinKeys.length; i++) {
    const value = values[i];
    if (value === null || value === undefined) isNull = true;
    else writePart(scratch, joinKeys[i]!, value);
  }
  if (isNull) return null;
  boundKey(scratch, 0);
  const key = scratch.copy();
  // One huge text must not hold its memory for ever.
  if (scratch.bytes.length > 65_536) scratch = new ByteWriter(4096);
  return key;
}

/** Keys of many rows, one after the other. */
export interface PackedKeys {
  readonly bytes: Uint8Array;
  /** `rowCount + 1` offsets; a row with a null join key has no bytes. */
  readonly offsets: Uint32Array;
}

/** {@link encodeKey} of every row of a batch, straight from its vectors; rows where a `required` column is null get no bytes. */
export function encodeKeys(
  joinKeys: readonly Field[],
  columns: readonly ColumnVector[],
  rowCount: number,
  required: readonly ColumnVector[] = [],
): PackedKeys {
  const writer = new ByteWriter(Math.max(64, rowCount * 12 * joinKeys.length));
  const offsets = new Uint32Array(rowCount + 1);
  const parts = joinKeys.map((key, i) => vectorPart(writer, key, columns[i]!));
  const nullable = [...columns, ...required].filter((column) => column.hasNulls);
  for (let row = 0; row < rowCount; row++) {
    const start = writer.at;
    if (nullable.length === 0 || !nullable.some((column) => column.isNull(row))) {
      for (let i = 0; i < parts.length; i++) parts[i]!(row);
      boundKey(writer, start);
    }
    offsets[row + 1] = writer.at;
  }
  return { bytes: writer.bytes.subarray(0, writer.at), offsets };
}

function vectorPart(writer: ByteWriter, key: Field, column: ColumnVector): (row: number) => void {
  const { values } = column;
  if (values instanceof BigInt64Array && key.type === "int64") {
    // Two words instead of a bigint per row: little-endian, as every machine that runs Node is.
    const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
    return (row) => writeInteger(writer, 0x10, words[2 * row + 1]!, words[2 * row]!);
  }
  if (values instanceof Int32Array && (key.type === "int32" || key.type === "date")) {
    const tag = key.type === "date" ? 0x20 : 0x10;
    return (row) => writeInteger(writer, tag, values[row]! >> 31, values[row]!);
  }
  return (row) => writePart(writer, key, values[row]);
}

function writePart(writer: ByteWriter, key: Field, value: unknown): void {
  switch (key.type) {
    case "string":
      if (typeof value === "string") return writeText(writer, key, value);
      break;
    case "boolean":
      if (typeof value === "boolean") {
        writer.reserve(1);
        writer.bytes[writer.at++] = value ? 3 : 2;
        return;
      }
      break;
    case "int64": {
      if (typeof value === "number" && Number.isSafeInteger(value)) {
        return writeInteger(writer, 0x10, Math.floor(value / 4294967296), value | 0);
      }
      const isText = typeof value === "string" && /^-?\d{1,19}$/.test(value);
      if (isText && value.length <= 15) {
        const number = Number(value);
        return writeInteger(writer, 0x10, Math.floor(number / 4294967296), number | 0);
      }
      const integer = isText ? BigInt(value) : value;
      if (typeof integer === "bigint" && BigInt.asIntN(64, integer) === integer) {
        return writeInteger(writer, 0x10, Number(integer >> 32n), Number(BigInt.asIntN(32, integer)));
      }
      break;
    }
    case "int32": {
      const isText = typeof value === "string" && /^-?\d{1,10}$/.test(value);
      const integer = isText || typeof value === "bigint" ? Number(value) : value;
      if (typeof integer === "number" && (integer | 0) === integer) {
        return writeInteger(writer, 0x10, integer >> 31, integer);
      }
      break;
    }
    case "date": {
      const days = daysOf(value);
      if (days !== undefined) return writeInteger(writer, 0x20, days >> 31, days);
      break;
    }
  }
  throw wrongPart(key, value);
}

const accepted: Readonly<Record<string, string>> = {
  string: "text",
  boolean: "true or false",
  int64: "a bigint, a safe integer or its decimal text",
  int32: "an integer from -2147483648 to 2147483647 or its decimal text",
  date: 'text like "2001-03-31" or days since 1970-01-01',
};

function wrongPart(key: Field, value: unknown): VarveError {
  const shown = typeof value === "bigint" ? `${value}n` : JSON.stringify(value) ?? typeof value;
  const wanted = typeof key.type === "string" ? accepted[key.type] : undefined;
  const state = wanted === undefined
    ? "join keys are of type string, int64, int32, boolean or date"
    : `it is of type ${key.type}; give ${wanted}`;
  return new VarveError("INVALID_REQUEST", `Cannot use ${shown.slice(0, 80)} as join key "${key.name}": ${state}`, {
    details: { joinKey: key.name },
  });
}

function writeText(writer: ByteWriter, key: Field, text: string): void {
  writer.reserve(2 + text.length * 3);
  const start = writer.at;
  // Most texts are short: the place for a one-byte tag is left free, and the rest is moved when that was wrong.
  writer.at = start + 1;
  const length = writer.text(text);
  const { bytes } = writer;
  // Unpaired surrogates would all become the same replacement character, and different keys equal.
  if (length !== text.length && /\p{Surrogate}/u.test(text)) throw wrongPart(key, text);
  if (length <= 126) {
    bytes[start] = 0x80 + length;
  } else if (length <= 255) {
    bytes.copyWithin(start + 2, start + 1, writer.at);
    bytes[start] = 0xff;
    bytes[start + 1] = length;
    writer.at++;
  } else hashFrom(writer, start, start + 1, 0x7f);
}

/** Replaces what follows `start` by a tag and the hash of the bytes from `from` on. */
function hashFrom(writer: ByteWriter, start: number, from: number, tag: number): void {
  const hash = createHash("sha256").update(writer.bytes.subarray(from, writer.at)).digest();
  writer.bytes[start] = tag;
  hash.copy(writer.bytes, start + 1);
  writer.at = start + 33;
}

function boundKey(writer: ByteWriter, start: number): void {
  if (writer.at - start > maxKeyBytes) hashFrom(writer, start, start, 0x7e);
}

/** An integer of 64 bits given as two words, in as few bytes as hold it. */
function writeInteger(writer: ByteWriter, tag: number, high: number, low: number): void {
  writer.reserve(9);
  const { bytes } = writer;
  const length = high !== low >> 31 ? 4 + wordLength(high, 1) : wordLength(low, low === 0 ? 0 : 1);
  let at = writer.at;
  bytes[at++] = tag + length;
  for (let i = length - 1; i >= 4; i--) bytes[at++] = high >> ((i - 4) * 8);
  for (let i = Math.min(length, 4) - 1; i >= 0; i--) bytes[at++] = low >> (i * 8);
  writer.at = at;
}

function wordLength(word: number, least: number): number {
  if (word >= -128 && word <= 127) return least;
  if (word >= -32768 && word <= 32767) return 2;
  return word >= -8388608 && word <= 8388607 ? 3 : 4;
}

/** Days since 1970-01-01 of a calendar day in any accepted form; undefined when it is none. */
export function daysOf(value: unknown): number | undefined {
  if (typeof value === "number") return (value | 0) === value ? value : undefined;
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? undefined : Math.floor(value.getTime() / 86_400_000);
  }
  if (typeof value !== "string" || !/^\d{4}-\d{2}-\d{2}$/.test(value)) return undefined;
  const ms = Date.parse(`${value}T00:00:00Z`);
  // Some engines read 30 February as 2 March: the day must survive.
  return Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== value ? undefined : ms / 86_400_000;
}

/** The text of a calendar day: the other way round. */
export function dayText(days: number): string {
  return new Date(days * 86_400_000).toISOString().slice(0, 10);
}
