/** Redis commands as bytes, straight from a packed batch: one command for a group of rows. */
import type { ByteWriter } from "./byte_writer.ts";
import type { Collection, PackedBatch } from "./online_store.ts";
import { keyOverhead, putKey, redisKey } from "./redis_keys.ts";
import { mergeScript } from "./redis_scripts.ts";

/** How rows are written: plainly, plainly with an expiry, or where newer wins. */
export type WriteKind = "mset" | "set" | "merge";

/** The most rows in one command: a longer one would keep other clients of the server waiting. */
export const maxGroupRows = 200;
const maxGroupBytes = 128 * 1024;

/** Writes groups of rows of one batch as commands. */
export class GroupEncoder {
  readonly kind: WriteKind;
  readonly #collection: Collection;
  readonly #batch: PackedBatch;
  /** The rows in the order of writing. */
  readonly #order: Uint32Array | undefined;

  constructor(kind: WriteKind, collection: Collection, batch: PackedBatch, order?: Uint32Array) {
    this.kind = kind;
    this.#collection = collection;
    this.#batch = batch;
    this.#order = order;
  }

  /** Where the group that starts at `from` ends: at `limit` at the latest. */
  groupEnd(from: number, limit: number): number {
    if (this.kind === "set") return from + 1;
    const { keyOffsets, valueOffsets } = this.#batch;
    const end = Math.min(limit, from + maxGroupRows);
    if (!this.#order) {
      const all = keyOffsets[end]! - keyOffsets[from]! + valueOffsets[end]! - valueOffsets[from]!;
      if (all <= maxGroupBytes) return end;
    }
    let bytes = 0;
    for (let i = from; i < end; i++) {
      const row = this.#row(i);
      bytes += keyOffsets[row + 1]! - keyOffsets[row]! + valueOffsets[row + 1]! - valueOffsets[row]!;
      if (bytes > maxGroupBytes && i > from) return i;
    }
    return end;
  }

  /** Appends the command of rows `from … to`. */
  append(writer: ByteWriter, from: number, to: number): void {
    const count = to - from;
    switch (this.kind) {
      case "mset":
        putText(writer, `*${1 + 2 * count}\r\n$4\r\nMSET\r\n`);
        for (let i = from; i < to; i++) {
          this.#key(writer, i);
          this.#value(writer, i);
        }
        return;
      case "set":
        putText(writer, this.#expires(from) ? "*5\r\n$3\r\nSET\r\n" : "*3\r\n$3\r\nSET\r\n");
        this.#key(writer, from);
        this.#value(writer, from);
        if (this.#expires(from)) putText(writer, `$4\r\nPXAT\r\n${bulk(this.#expiry(from))}`);
        return;
      case "merge": {
        const expires = this.#batch.expireAt !== undefined;
        const words = 3 + count * (expires ? 3 : 2);
        putText(writer, `*${words}\r\n$7\r\nEVALSHA\r\n${bulk(mergeScript.sha)}${bulk(String(count))}`);
        for (let i = from; i < to; i++) this.#key(writer, i);
        for (let i = from; i < to; i++) this.#value(writer, i);
        if (expires) { for (let i = from; i < to; i++) putText(writer, bulk(this.#expires(i) ? this.#expiry(i) : "")); }
      }
    }
  }

  /** The whole key of row `i`: a Cluster sends the command where it lives. */
  firstKey(i: number): Buffer {
    const row = this.#row(i);
    return redisKey(
      this.#collection,
      this.#batch.keys.subarray(this.#batch.keyOffsets[row], this.#batch.keyOffsets[row + 1]),
    );
  }

  #row(i: number): number {
    return this.#order ? this.#order[i]! : i;
  }

  #expires(i: number): boolean {
    return Number.isFinite(this.#batch.expireAt?.[this.#row(i)] ?? Infinity);
  }

  /** At least 1: Redis refuses instants at or before 1970. */
  #expiry(i: number): string {
    return String(Math.max(1, this.#batch.expireAt![this.#row(i)]!));
  }

  #key(writer: ByteWriter, i: number): void {
    const row = this.#row(i);
    const start = this.#batch.keyOffsets[row]!;
    const end = this.#batch.keyOffsets[row + 1]!;
    const length = this.#collection.length + keyOverhead + end - start;
    writer.reserve(length + 16);
    putLength(writer, length);
    writer.at = putKey(writer.bytes, writer.at, this.#collection, this.#batch.keys, start, end);
    putEnd(writer);
  }

  #value(writer: ByteWriter, i: number): void {
    const row = this.#row(i);
    const start = this.#batch.valueOffsets[row]!;
    const end = this.#batch.valueOffsets[row + 1]!;
    writer.reserve(end - start + 16);
    putLength(writer, end - start);
    writer.bytes.set(this.#batch.values.subarray(start, end), writer.at);
    writer.at += end - start;
    putEnd(writer);
  }
}

/** Text as a bulk string; ASCII only. */
export function bulk(text: string): string {
  return `$${text.length}\r\n${text}\r\n`;
}

/** Appends ASCII text. */
export function putText(writer: ByteWriter, text: string): void {
  const { length } = text;
  writer.reserve(length);
  const { bytes } = writer;
  // Short as it is, a loop beats the call into C++.
  let { at } = writer;
  for (let i = 0; i < length; i++) bytes[at++] = text.charCodeAt(i);
  writer.at = at;
}

/** Appends `$<length>` and the line end; the room must be there. */
export function putLength(writer: ByteWriter, length: number): void {
  const { bytes } = writer;
  let at = writer.at;
  bytes[at++] = 0x24;
  let scale = 1;
  while (scale * 10 <= length) scale *= 10;
  for (; scale >= 1; scale = Math.floor(scale / 10)) bytes[at++] = 0x30 + Math.floor(length / scale) % 10;
  bytes[at++] = 0x0d;
  bytes[at++] = 0x0a;
  writer.at = at;
}

/** Appends the line end; the room must be there. */
export function putEnd(writer: ByteWriter): void {
  writer.bytes[writer.at++] = 0x0d;
  writer.bytes[writer.at++] = 0x0a;
}
