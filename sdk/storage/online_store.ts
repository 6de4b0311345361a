/** The contract of the online store: a cache of committed state, newest value per key and view. */
import type { Micros } from "../time.ts";

/**
 * A collection holds the values of one load of one view version. A fresh load always gets a fresh collection, which nobody
 * reads before it is complete and nobody else writes: so a first load needs no comparing, and a writer that wakes up late
 * writes into a collection that is no longer read. The name is `[a-z0-9]{1,16}`, unique in the workspace.
 */
export type Collection = string;

/** Orders values of a key: a value is replaced only by one with a greater (event time, sequence). */
export interface Header {
  readonly eventTimestamp: Micros;
  /** Version of the offline commit that held the row. */
  readonly sequence: bigint;
}

/** Values to write, as packed bytes. `keys[i]` is an encoded entity key (storage/encoding.ts). */
export interface WriteBatch {
  readonly keys: readonly Uint8Array[];
  /** Header and payload in the layout of encoding.ts. */
  readonly values: readonly Uint8Array[];
  /** When values may be dropped by the store at the latest (a clean-up, not a meaning: S6 is checked at read); undefined: never. */
  readonly expireAt?: readonly (Micros | undefined)[];
}

/**
 * The same values in two big buffers, as the batch packer makes them: row i's key is `keys[keyOffsets[i] … keyOffsets[i + 1]]`,
 * likewise its value. Nothing is allocated per row; a batch must not be changed before its write has ended.
 */
export interface PackedBatch {
  readonly count: number;
  readonly keys: Uint8Array;
  /** `count + 1` offsets. */
  readonly keyOffsets: Uint32Array;
  readonly values: Uint8Array;
  /** `count + 1` offsets. */
  readonly valueOffsets: Uint32Array;
  /** Milliseconds since the epoch, Infinity: never. Absent: never for all. */
  readonly expireAt?: Float64Array;
}

/** What the online store holds of one view: written by loaders, read by servers. */
export interface ViewState {
  /** The view. */
  readonly view: string;
  /** Which version of it. */
  readonly version: number;
  /** The collection that is served; undefined while the first load runs. */
  readonly collection?: Collection;
  /** Offline table version whose rows are all applied. */
  readonly appliedVersion: number;
  /** Up to when (exclusive) rows by event time are in it. */
  readonly watermark: string;
  /** Hash of what the load depended on (features, encoding, ttl): another hash asks for a fresh load. */
  readonly layout: string;
  /** When this was last changed. */
  readonly updatedAt: string;
  /** The store's {@link OnlineStore.epoch} in which the collection was filled: a state of another one has lost its values. */
  readonly epoch?: string;
  /** About how many keys have more rows in reach of windows than are kept (`edge: "exact"`); absent where all rows are kept. */
  readonly cutKeys?: number;
}

/** Where servers read and loaders write. A few `load` or `merge` calls may run at once: that keeps the store busy while the next batch is made. */
export interface OnlineStore {
  /** How errors and `varve status` name it; without credentials. */
  readonly description: string;
  /** Writes into a fresh collection that nobody else writes: no comparing, fastest. */
  load(collection: Collection, batch: WriteBatch | PackedBatch, signal?: AbortSignal): Promise<void>;
  /** Writes where newer (event time, sequence) wins; gives how many were taken. Safe to repeat, in any order, by anyone. */
  merge(collection: Collection, batch: WriteBatch | PackedBatch, signal?: AbortSignal): Promise<number>;
  /** Values by (collection, key), undefined where there is none, in one round trip per event-loop turn. */
  getMany(
    collections: readonly Collection[],
    keys: readonly Uint8Array[],
    signal?: AbortSignal,
  ): Promise<(Uint8Array | undefined)[]>;
  /** A collection name that was never given out before. */
  newCollection(): Promise<Collection>;
  /** Removes a collection's values, in small steps; gives how many. */
  drop(collection: Collection, signal?: AbortSignal): Promise<number>;
  /** Removes values whose `expireAt` has passed, where the store does not do it by itself; gives how many. */
  prune(signal?: AbortSignal): Promise<number>;
  /** The state of a view version. */
  state(view: string, version: number): Promise<ViewState | undefined>;
  /** All states, but for those whose values went when the store was emptied. Reads that follow are refused as UNAVAILABLE, where the store can tell, once it was emptied after this look. */
  states(): Promise<ViewState[]>;
  /**
   * Moves a view version's state if it is still what `expected` says (undefined: absent); says whether it did.
   * So two loaders never undo each other.
   */
  setState(next: ViewState, expected: ViewState | undefined): Promise<boolean>;
  removeState(view: string, version: number): Promise<void>;
  /** A random id that changes when the store is emptied or replaced (S: rebuild from offline). */
  epoch(): Promise<string>;
  /**
   * Changes whenever something that was acknowledged may have been lost: the store was emptied or replaced, or came back from
   * its disk. Unlike the epoch it says nothing against values that were complete before.
   */
  life(): Promise<string>;
  /** Throws UNAVAILABLE when the store does not answer. */
  ping(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
