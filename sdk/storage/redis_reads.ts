/** Reads of one event-loop turn in one MGET (a Cluster: one per bucket). A command costs far more than another key in it. */
import { VarveError } from "../errors.ts";
import { ByteWriter } from "./byte_writer.ts";
import { abortError } from "./online_cancel.ts";
import type { Collection } from "./online_store.ts";
import type { RedisConnection } from "./redis_client.ts";
import { putEnd, putLength } from "./redis_encode.ts";
import { bucketOf, keyOverhead, putKey, redisKey } from "./redis_keys.ts";
import { RedisPipeline } from "./redis_pipeline.ts";

/** More keys in one command would keep other clients of the server waiting. */
const maxKeysPerCommand = 512;

/** One caller's keys, and how many answers are missing. */
interface Waiter {
  readonly values: (Uint8Array | undefined)[];
  missing: number;
  readonly resolve: (values: (Uint8Array | undefined)[]) => void;
  readonly reject: (error: unknown) => void;
  readonly signal: AbortSignal | undefined;
}

/** Keys that go into one command; `waiters[i]` gets the i-th answer at `places[i]` of its own. */
interface Batch {
  readonly body: ByteWriter;
  readonly waiters: Waiter[];
  readonly places: number[];
  readonly routing: Buffer;
  /** What held when its collections were chosen. */
  readonly epoch: Epoch | undefined;
}

/** What every read checks, as the end of its command. */
interface Epoch {
  readonly value: string;
  readonly bytes: Buffer;
}

/** Collects what is asked for in a turn. */
export class RedisReader {
  readonly #connection: RedisConnection;
  /** Absent: a Cluster, where a command has to find its server. */
  readonly #pipeline: RedisPipeline | undefined;
  #batches = new Map<number, Batch>();
  #isScheduled = false;
  readonly #spare: ByteWriter[] = [];
  #epoch: Epoch | undefined;
  /** Loaded under that epoch. */
  #collections: ReadonlySet<Collection> = new Set();
  /** The epoch before, until states are read again: whoever has not seen the new states asks for its collections. */
  #before: { readonly epoch: Epoch; readonly collections: ReadonlySet<Collection> } | undefined;
  /**
   * Commands that were sent and have no answer, a few. No Set: one from which much is taken is built anew again and again, and each of
   * its old tables keeps the next alive, with all that was in it, until the whole heap is collected.
   */
  readonly #sent: Batch[] = [];
  /** Signals that are listened to: a listener for each of the requests that share one would cost more than what they read. */
  readonly #signals = new WeakSet<AbortSignal>();

  constructor(connection: RedisConnection) {
    this.#connection = connection;
    const target = connection.direct;
    this.#pipeline = target && new RedisPipeline(connection, target);
  }

  close(): void {
    this.#pipeline?.close();
  }

  /**
   * From now on reads fail when the server was emptied since: an empty store looks like one that has no value for anybody. Reads of
   * collections of another epoch than theirs fail too. One more key in a command costs nothing; in a Cluster it would be another
   * command, and is left out.
   */
  expectEpoch(key: string, value: string, collections: ReadonlySet<Collection>): void {
    if (this.#connection.isCluster) return;
    const current = this.#epoch;
    if (current?.value === value) this.#before = undefined;
    else {
      this.#before = current && { epoch: current, collections: this.#collections };
      this.#epoch = { value, bytes: Buffer.from(`$${key.length}\r\n${key}\r\n`, "latin1") };
    }
    this.#collections = collections;
  }

  /** The values of keys, in order. */
  getMany(
    collections: readonly Collection[],
    keys: readonly Uint8Array[],
    signal?: AbortSignal,
  ): Promise<(Uint8Array | undefined)[]> {
    if (keys.length === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(this.#late(signal));
      if (signal && !this.#signals.has(signal)) this.#listenTo(signal);
      const waiter: Waiter = { values: new Array(keys.length), missing: keys.length, resolve, reject, signal };
      for (let i = 0; i < keys.length; i++) this.#add(collections[i]!, keys[i]!, waiter, i);
    });
  }

  /** Lets callers go when they give up; their keys are read all the same, together with the others'. */
  #listenTo(signal: AbortSignal): void {
    this.#signals.add(signal);
    const stop = () => {
      for (const { waiters } of [...this.#batches.values(), ...this.#sent]) {
        for (const waiter of waiters) if (waiter.signal === signal) waiter.reject(this.#late(signal));
      }
    };
    signal.addEventListener("abort", stop, { once: true });
  }

  #add(collection: Collection, key: Uint8Array, waiter: Waiter, place: number): void {
    // Only a Cluster asks for keys of one slot.
    const bucket = this.#connection.isCluster ? bucketOf(key) : 0;
    const epoch = this.#before?.collections.has(collection) ? this.#before.epoch : this.#epoch;
    let batch = this.#batches.get(bucket);
    if (batch && batch.epoch !== epoch) {
      void this.#send(batch);
      batch = undefined;
    }
    if (!batch) {
      batch = {
        body: this.#spare.pop() ?? new ByteWriter(4096),
        waiters: [],
        places: [],
        routing: redisKey(collection, key),
        epoch,
      };
      this.#batches.set(bucket, batch);
      if (!this.#isScheduled) {
        this.#isScheduled = true;
        setImmediate(() => this.#flush());
      }
    }
    const { body } = batch;
    const length = collection.length + keyOverhead + key.length;
    body.reserve(length + 16);
    putLength(body, length);
    body.at = putKey(body.bytes, body.at, collection, key, 0, key.length);
    putEnd(body);
    batch.waiters.push(waiter);
    batch.places.push(place);
    if (batch.places.length >= maxKeysPerCommand) {
      this.#batches.delete(bucket);
      void this.#send(batch);
    }
  }

  #flush(): void {
    this.#isScheduled = false;
    const batches = this.#batches;
    this.#batches = new Map();
    for (const batch of batches.values()) void this.#send(batch);
  }

  #late(signal: AbortSignal): VarveError {
    return abortError(signal, "read", this.#connection.description);
  }

  #emptied(): VarveError {
    return new VarveError(
      "UNAVAILABLE",
      `Cannot read ${this.#connection.description}: it was emptied; it is being loaded again, try later`,
    );
  }

  async #send(batch: Batch): Promise<void> {
    const { body, waiters, places, epoch } = batch;
    const head = `*${places.length + (epoch ? 2 : 1)}\r\n$4\r\nMGET\r\n`;
    const end = head.length + body.at;
    const bytes = Buffer.allocUnsafe(end + (epoch?.bytes.length ?? 0));
    bytes.write(head, "latin1");
    body.bytes.copy(bytes, head.length, 0, body.at);
    epoch?.bytes.copy(bytes, end);
    body.at = 0;
    if (this.#spare.length < 16 && body.bytes.length <= 65_536) this.#spare.push(body);
    this.#sent.push(batch);
    try {
      const answers = await (this.#pipeline
        ? this.#pipeline.read(bytes, places.length + (epoch ? 1 : 0))
        : this.#connection.callPrepared("mget", [batch.routing], bytes) as Promise<(Buffer | null)[]>);
      if (epoch && String(answers[places.length]) !== epoch.value) {
        throw this.#emptied();
      }
      for (let i = 0; i < places.length; i++) {
        const waiter = waiters[i]!;
        waiter.values[places[i]!] = answers[i] ?? undefined;
        if (--waiter.missing === 0) {
          waiter.resolve(waiter.values);
        }
      }
    } catch (error) {
      for (const waiter of waiters) waiter.reject(error);
    } finally {
      this.#sent.splice(this.#sent.indexOf(batch), 1);
    }
  }
}
