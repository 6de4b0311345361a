/** The embedded online store: one LMDB file that several processes share, and the door to `lmdb`. */
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { type Database, open, type RootDatabase } from "lmdb";
import { messageOf, VarveError } from "../errors.ts";
import { type Clock, systemClock } from "../time.ts";
import { bufferOf } from "./byte_writer.ts";
import { packed } from "./encoding_batch.ts";
import { isNewer } from "./encoding_row.ts";
import { abortError, throwIfAborted } from "./online_cancel.ts";
import { parseState, stateKey, stateText } from "./online_state.ts";
import type { Collection, OnlineStore, PackedBatch, ViewState, WriteBatch } from "./online_store.ts";

/** Settings of an embedded online store. */
export interface LmdbOnlineStoreOptions {
  /** Tells which values `prune` may remove. @default systemClock */
  readonly clock?: Clock;
}

/** An online store in a folder of the local disk, made if it is not there. Any number of processes may open it. */
export function lmdbOnlineStore(folder: string, options: LmdbOnlineStoreOptions = {}): OnlineStore {
  return new LmdbOnlineStore(folder, options.clock ?? systemClock);
}

/** Rows in one write transaction: others wait that long. */
const rowsPerStep = 2000;

/** In front of every stored value: its expiry in ms, as a float64; Infinity: never. */
const expiryBytes = 8;

class LmdbOnlineStore implements OnlineStore {
  readonly description: string;
  readonly #clock: Clock;
  readonly #root: RootDatabase;
  readonly #values: Database<Buffer, Buffer>;
  readonly #states: Database<string, string>;
  readonly #meta: Database<string, string>;
  #isClosed = false;
  #turn: Promise<void> | undefined;

  constructor(folder: string, clock: Clock) {
    this.description = `LMDB in ${folder}`;
    this.#clock = clock;
    try {
      mkdirSync(folder, { recursive: true });
      // Batches of an event turn have a promise of their own that nobody gets: when a commit fails, it would end the process.
      this.#root = open({ path: folder, noSubdir: false, maxDbs: 8, eventTurnBatching: false });
      this.#values = this.#root.openDB({ name: "values", encoding: "binary", keyEncoding: "binary" });
      this.#states = this.#root.openDB({ name: "states", encoding: "string" });
      this.#meta = this.#root.openDB({ name: "meta", encoding: "string" });
    } catch (error) {
      throw this.#translate(error);
    }
  }

  async load(collection: Collection, batch: WriteBatch | PackedBatch, signal?: AbortSignal): Promise<void> {
    await this.#write(collection, packed(batch), false, signal);
  }

  async merge(collection: Collection, batch: WriteBatch | PackedBatch, signal?: AbortSignal): Promise<number> {
    return await this.#write(collection, packed(batch), true, signal);
  }

  async #write(collection: Collection, batch: PackedBatch, isMerge: boolean, signal?: AbortSignal): Promise<number> {
    const keys = bufferOf(batch.keys);
    const values = bufferOf(batch.values);
    const order = inKeyOrder(keys, batch);
    let taken = 0;
    for (let from = 0; from < batch.count; from += rowsPerStep) {
      throwIfAborted(signal);
      const to = Math.min(batch.count, from + rowsPerStep);
      taken += await this.#transaction(() => {
        let count = 0;
        for (let n = from; n < to; n++) {
          const i = order[n]!;
          const key = lmdbKey(collection, keys.subarray(batch.keyOffsets[i], batch.keyOffsets[i + 1]));
          const value = values.subarray(batch.valueOffsets[i], batch.valueOffsets[i + 1]);
          if (isMerge) {
            const stored = this.#values.getBinaryFast(key);
            // Only its own length is right for that buffer, not what subarray() thinks: both ends are given.
            if (stored && !isNewer(value, stored.subarray(expiryBytes, stored.length))) continue;
          }
          this.#values.putSync(key, withExpiry(value, batch.expireAt?.[i] ?? Infinity));
          count++;
        }
        return count;
      });
    }
    return taken;
  }

  async getMany(
    collections: readonly Collection[],
    keys: readonly Uint8Array[],
    signal?: AbortSignal,
  ): Promise<(Uint8Array | undefined)[]> {
    await (this.#turn ??= this.#endOfTurn());
    if (signal?.aborted) throw abortError(signal, "read");
    const values = new Array<Uint8Array | undefined>(keys.length);
    try {
      const database = this.#open(this.#values);
      for (let i = 0; i < keys.length; i++) {
        values[i] = withoutExpiry(database.getBinaryFast(shortLivedKey(collections[i]!, keys[i]!)));
      }
    } catch (error) {
      throw this.#translate(error);
    }
    return values;
  }

  /**
   * Reads of an event-loop turn are made together at its end. A busy server then answers many requests in a row: answers that go out
   * one by one wake their clients one by one, which costs more than the reads.
   */
  #endOfTurn(): Promise<void> {
    return new Promise((resolve) =>
      setImmediate(() => {
        this.#turn = undefined;
        resolve();
      })
    );
  }

  async newCollection(): Promise<Collection> {
    return await this.#transaction(() => {
      const following = Number(this.#meta.get("collections") ?? 0) + 1;
      this.#meta.putSync("collections", String(following));
      return following.toString(36);
    });
  }

  async drop(collection: Collection, signal?: AbortSignal): Promise<number> {
    const start = lmdbKey(collection, Buffer.alloc(0));
    const end = Buffer.from(start);
    end[end.length - 1] = 1;
    return await this.#removeWhere(start, end, () => true, signal);
  }

  async prune(signal?: AbortSignal): Promise<number> {
    const now = Number(this.#clock.now() / 1000n);
    return await this.#removeWhere(
      Buffer.alloc(1),
      Buffer.from([0xff]),
      (stored) => stored.readDoubleBE(0) <= now,
      signal,
    );
  }

  /** Removes in small steps, so that other writers get their turn. Each step looks again under the write lock. */
  async #removeWhere(
    start: Buffer,
    end: Buffer,
    isGone: (stored: Buffer) => boolean,
    signal?: AbortSignal,
  ): Promise<number> {
    let removed = 0;
    let from: Buffer | undefined = start;
    while (from !== undefined) {
      throwIfAborted(signal);
      const first: Buffer = from;
      from = await this.#transaction(() => {
        let next: Buffer | undefined;
        const gone: Buffer[] = [];
        let count = 0;
        for (const { key, value } of this.#values.getRange({ start: first, end })) {
          if (count++ >= rowsPerStep) {
            next = Buffer.from(key);
            break;
          }
          if (isGone(value)) gone.push(Buffer.from(key));
        }
        for (const key of gone) this.#values.removeSync(key);
        removed += gone.length;
        return next;
      });
    }
    return removed;
  }

  async state(view: string, version: number): Promise<ViewState | undefined> {
    const text = this.#open(this.#states).get(stateKey(view, version));
    return text === undefined ? undefined : parseState(text);
  }

  async states(): Promise<ViewState[]> {
    return Array.from(this.#open(this.#states).getRange(), ({ value }) => parseState(value));
  }

  async setState(next: ViewState, expected: ViewState | undefined): Promise<boolean> {
    const key = stateKey(next.view, next.version);
    return await this.#transaction(() => {
      if (this.#states.get(key) !== (expected && stateText(expected))) return false;
      this.#states.putSync(key, stateText(next));
      return true;
    });
  }

  async removeState(view: string, version: number): Promise<void> {
    await this.#transaction(() => void this.#states.removeSync(stateKey(view, version)));
  }

  async epoch(): Promise<string> {
    return this.#open(this.#meta).get("epoch") ?? await this.#transaction(() => {
      const epoch = this.#meta.get("epoch") ?? randomBytes(12).toString("hex");
      this.#meta.putSync("epoch", epoch);
      return epoch;
    });
  }

  /** What is committed stays; a writer does not outlive the computer. */
  async life(): Promise<string> {
    return await this.epoch();
  }

  async ping(signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    this.#open(this.#meta).get("epoch");
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#root.close();
  }

  /** Runs work under the write lock of all processes; it is committed when the promise resolves. */
  async #transaction<T>(work: () => T): Promise<T> {
    try {
      return await this.#open(this.#root).transaction(work);
    } catch (error) {
      // Of transactions that were committed together, one has the reason and the others a promise of it.
      const commitError = error instanceof Error && "commitError" in error ? error.commitError : undefined;
      throw this.#translate(await Promise.resolve(commitError ?? error).catch((reason: unknown) => reason));
    }
  }

  #open<D>(database: D): D {
    if (this.#isClosed) throw new VarveError("UNAVAILABLE", `Cannot use ${this.description}: it was closed`);
    return database;
  }

  #translate(error: unknown): VarveError {
    if (error instanceof VarveError) return error;
    const message = messageOf(error);
    // LMDB says "Input/output error" of a write that was cut short, as on a full disk.
    const isFull = /no space left|input\/output error|MAP_FULL|mapsize limit|file too large|disk quota/i.test(message);
    const isTorn = /CORRUPTED|INVALID|PANIC|VERSION_MISMATCH|not an LMDB file/i.test(message);
    return new VarveError(
      isFull ? "EXHAUSTED" : isTorn ? "CORRUPT" : "UNAVAILABLE",
      `Cannot use ${this.description}: ${message}; ${
        isFull
          ? "make room on the disk"
          : isTorn
          ? "remove the folder, and the views are loaded again"
          : "check the folder and who may write it"
      }`,
      { cause: error },
    );
  }
}

/** Collection, a zero byte, entity key: a collection's keys lie together. */
function lmdbKey(collection: Collection, key: Uint8Array): Buffer {
  return putKey(Buffer.allocUnsafe(collection.length + 1 + key.length), collection, key);
}

/** Buffers for keys, by length: LMDB copies a key before it gives the value. */
const keyBuffers: Buffer[] = [];

/** The same, until the next key is made. */
function shortLivedKey(collection: Collection, key: Uint8Array): Buffer {
  const length = collection.length + 1 + key.length;
  return putKey(keyBuffers[length] ??= Buffer.allocUnsafeSlow(length), collection, key);
}

function putKey(bytes: Buffer, collection: Collection, key: Uint8Array): Buffer {
  const { length } = collection;
  for (let i = 0; i < length; i++) bytes[i] = collection.charCodeAt(i);
  bytes[length] = 0;
  for (let i = 0; i < key.length; i++) bytes[length + 1 + i] = key[i]!;
  return bytes;
}

/** Rows in the order of their keys, which fills pages one after the other; rows of one key keep their order. */
function inKeyOrder(keys: Buffer, batch: PackedBatch): Uint32Array {
  const { keyOffsets } = batch;
  const compare = (a: number, b: number) =>
    keys.compare(keys, keyOffsets[b], keyOffsets[b + 1], keyOffsets[a], keyOffsets[a + 1]) || a - b;
  return Uint32Array.from({ length: batch.count }, (_, i) => i).sort(compare);
}

/** A copy: LMDB reads the next value into the same buffer. One of the pool, since a buffer of its own costs twice the read. */
function withoutExpiry(stored: Buffer | undefined): Buffer | undefined {
  if (stored === undefined) return undefined;
  const value = Buffer.allocUnsafe(stored.length - expiryBytes);
  stored.copy(value, 0, expiryBytes, stored.length);
  return value;
}

function withExpiry(value: Uint8Array, expireAt: number): Buffer {
  const stored = Buffer.allocUnsafe(expiryBytes + value.length);
  stored.writeDoubleBE(expireAt, 0);
  stored.set(value, expiryBytes);
  return stored;
}
