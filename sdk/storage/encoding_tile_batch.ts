/** Gathers values of tiles into batches for the online store. */
import { ByteWriter } from "./byte_writer.ts";
import { appendTiles, type TileLayout, type TileValue } from "./encoding_tiles.ts";
import type { PackedBatch } from "./online_store.ts";

/** A batch is full at so many values or bytes: values may be large. */
const batchValues = 8192;
const batchBytes = 4 << 20;

/** Values under way. */
export class TileBatch {
  readonly #layout: TileLayout;
  #keys = new ByteWriter(64 * 1024);
  #values = new ByteWriter(1 << 20);
  #keyOffsets = new Uint32Array(batchValues + 1);
  #valueOffsets = new Uint32Array(batchValues + 1);
  #expireAt = new Float64Array(batchValues);
  #count = 0;
  #expires = false;

  constructor(layout: TileLayout) {
    this.#layout = layout;
  }

  /** Whether the batch should be taken before another value comes. */
  get isFull(): boolean {
    return this.#count >= batchValues || this.#values.at >= batchBytes;
  }

  /** Adds a value; `expireAt` in milliseconds, Infinity: never. */
  add(key: Uint8Array, value: TileValue, expireAt: number): void {
    const i = this.#count++;
    this.#keys.reserve(key.length);
    this.#keys.bytes.set(key, this.#keys.at);
    this.#keys.at += key.length;
    appendTiles(this.#values, this.#layout, value);
    this.#keyOffsets[i + 1] = this.#keys.at;
    this.#valueOffsets[i + 1] = this.#values.at;
    this.#expireAt[i] = expireAt;
    if (expireAt !== Infinity) this.#expires = true;
  }

  /** The values so far; the next ones begin another batch. Undefined when there are none. */
  take(): PackedBatch | undefined {
    const count = this.#count;
    if (count === 0) return undefined;
    const batch: PackedBatch = {
      count,
      keys: this.#keys.copy(),
      keyOffsets: this.#keyOffsets.slice(0, count + 1),
      values: this.#values.copy(),
      valueOffsets: this.#valueOffsets.slice(0, count + 1),
      ...(this.#expires && { expireAt: this.#expireAt.slice(0, count) }),
    };
    this.#keys.at = 0;
    this.#values.at = 0;
    this.#count = 0;
    this.#expires = false;
    return batch;
  }
}
