/** The online store in Redis: one server, or a Cluster. */
import { randomBytes } from "node:crypto";
import { VarveError } from "../errors.ts";
import { packed } from "./encoding_batch.ts";
import { throwIfAborted } from "./online_cancel.ts";
import { parseState, stateKey, stateText } from "./online_state.ts";
import type { Collection, OnlineStore, PackedBatch, ViewState, WriteBatch } from "./online_store.ts";
import { type RedisAddress, type RedisCall, RedisConnection } from "./redis_client.ts";
import { collectionPattern, controlKeys } from "./redis_keys.ts";
import { RedisReader } from "./redis_reads.ts";
import { nextCollectionScript, setStateScript } from "./redis_scripts.ts";
import { RedisWriter } from "./redis_write.ts";

/** How to reach the store and whose it is. */
export interface RedisOnlineStoreOptions extends RedisAddress {
  readonly workspace: string;
}

/** An online store in Redis. Nothing is connected before the first call. */
export function redisOnlineStore(options: RedisOnlineStoreOptions): OnlineStore {
  return new RedisOnlineStore(options);
}

class RedisOnlineStore implements OnlineStore {
  readonly description: string;
  readonly #connection: RedisConnection;
  readonly #reader: RedisReader;
  readonly #writer: RedisWriter;
  readonly #keys: ReturnType<typeof controlKeys>;

  constructor(options: RedisOnlineStoreOptions) {
    this.#connection = new RedisConnection(options);
    this.#reader = new RedisReader(this.#connection);
    this.#writer = new RedisWriter(this.#connection);
    this.#keys = controlKeys(options.workspace);
    this.description = this.#connection.description;
  }

  async load(collection: Collection, batch: WriteBatch | PackedBatch, signal?: AbortSignal): Promise<void> {
    await this.#writer.write(collection, packed(batch), false, signal);
  }

  async merge(collection: Collection, batch: WriteBatch | PackedBatch, signal?: AbortSignal): Promise<number> {
    return await this.#writer.write(collection, packed(batch), true, signal);
  }

  getMany(
    collections: readonly Collection[],
    keys: readonly Uint8Array[],
    signal?: AbortSignal,
  ): Promise<(Uint8Array | undefined)[]> {
    return this.#reader.getMany(collections, keys, signal);
  }

  async newCollection(): Promise<Collection> {
    const number = await this.#connection.call("eval", nextCollectionScript.text, 1, this.#keys.collections);
    return Number(String(number)).toString(36);
  }

  async drop(collection: Collection, signal?: AbortSignal): Promise<number> {
    const counts = await this.#connection.onMasters((call) =>
      unlinkAll(call, collection, this.#connection.isCluster, signal)
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Redis drops expired values by itself. */
  async prune(): Promise<number> {
    return 0;
  }

  async state(view: string, version: number): Promise<ViewState | undefined> {
    const stored = await this.#connection.call("hget", this.#keys.states, stateKey(view, version));
    return stored === null ? undefined : parseState(withoutToken(stored));
  }

  async states(): Promise<ViewState[]> {
    // The epoch first: states that are read after it are of it, or of a later one, which reads then find out.
    const epoch = await this.epoch();
    const stored = await this.#connection.call("hvals", this.#keys.states) as unknown[];
    // A loader may have written its state just after the store was emptied of what it had loaded.
    const states = stored.map((text) => parseState(withoutToken(text))).filter((state) =>
      state.epoch === undefined || state.epoch === epoch
    );
    this.#reader.expectEpoch(
      this.#keys.epoch,
      epoch,
      new Set(states.flatMap(({ collection }) => collection === undefined ? [] : [collection])),
    );
    return states;
  }

  async setState(next: ViewState, expected: ViewState | undefined): Promise<boolean> {
    const token = randomBytes(8).toString("hex");
    const field = stateKey(next.view, next.version);
    const before = expected ? stateText(expected) : "";
    const answer = await this.#connection.call(
      "eval",
      setStateScript.text,
      1,
      this.#keys.states,
      field,
      before,
      token + stateText(next),
    );
    return Number(answer) === 1;
  }

  async removeState(view: string, version: number): Promise<void> {
    await this.#connection.call("hdel", this.#keys.states, stateKey(view, version));
  }

  async epoch(): Promise<string> {
    const stored = await this.#connection.call("get", this.#keys.epoch);
    if (stored !== null) return String(stored);
    await this.#connection.call("set", this.#keys.epoch, randomBytes(12).toString("hex"), "NX");
    const made = await this.#connection.call("get", this.#keys.epoch);
    if (made === null) {
      throw new VarveError("UNAVAILABLE", `Cannot read the epoch of ${this.description}: it was emptied meanwhile`);
    }
    return String(made);
  }

  async life(): Promise<string> {
    const runs = await this.#connection.onMasters(async (call) =>
      /^run_id:(\S+)/m.exec(String(await call("info", "server")))?.[1] ?? ""
    );
    return [await this.epoch(), ...runs.sort()].join(" ");
  }

  async ping(signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    await this.#connection.call("ping");
  }

  async close(): Promise<void> {
    this.#writer.close();
    this.#reader.close();
    await this.#connection.close();
  }
}

function withoutToken(stored: unknown): string {
  return String(stored).slice(16);
}

/** Removes a server's keys of a collection, a page at a time, so that others get their turn. */
async function unlinkAll(
  call: RedisCall,
  collection: Collection,
  isCluster: boolean,
  signal?: AbortSignal,
): Promise<number> {
  let removed = 0;
  let cursor = "0";
  do {
    throwIfAborted(signal);
    const page = await call("scan", cursor, "MATCH", collectionPattern(collection), "COUNT", 1000) as [
      Buffer,
      Buffer[],
    ];
    cursor = String(page[0]);
    const keys = page[1];
    if (keys.length === 0) continue;
    // Keys of a page have many slots, and a Cluster takes only one slot per command.
    const counts = isCluster
      ? await Promise.all(keys.map((key) => call("unlink", key)))
      : [await call("unlink", ...keys)];
    for (const count of counts) removed += Number(count);
  } while (cursor !== "0");
  return removed;
}
