/** Writes a stream of packed batches into an online store, and keeps it busy. */
import { abortError } from "./online_cancel.ts";
import type { Collection, OnlineStore, PackedBatch } from "./online_store.ts";

/** What a stream of batches came to. */
export interface WriteResult {
  /** Rows sent. */
  readonly rows: number;
  /** Values taken: all of a load; of a merge those that were newer. */
  readonly taken: number;
}

/** Settings of {@link writeBatches}. */
export interface WriteBatchesOptions {
  /** Whether newer wins; false loads a fresh collection. */
  readonly merge: boolean;
  /** Batches under way at once. @default 3 */
  readonly inFlight?: number;
  readonly signal?: AbortSignal | undefined;
  /** Called after each batch that is acknowledged, with the rows so far. */
  readonly onProgress?: (rows: number) => void;
}

/** Small batches are joined up to this many rows or bytes: a write has a cost of its own. */
const joinedRows = 8192;
const joinedBytes = 4 << 20;

/** Writes all batches; resolves when everything is acknowledged. At the first error it stops reading and throws. */
export async function writeBatches(
  store: OnlineStore,
  collection: Collection,
  batches: AsyncIterable<PackedBatch> | Iterable<PackedBatch>,
  options: WriteBatchesOptions,
): Promise<WriteResult> {
  const { merge, inFlight = 3, signal, onProgress } = options;
  let rows = 0;
  let taken = 0;
  let failure: { readonly error: unknown } | undefined;
  const running = new Set<Promise<void>>();
  const send = async (batch: PackedBatch) => {
    try {
      // Not `taken += await …`, which adds to what it was before the wait.
      const count = merge
        ? await store.merge(collection, batch, signal)
        : await store.load(collection, batch, signal).then(() => batch.count);
      taken += count;
      rows += batch.count;
      onProgress?.(rows);
    } catch (error) {
      failure ??= { error };
    }
  };
  try {
    for await (const batch of joinBatches(batches)) {
      if (signal?.aborted) failure ??= { error: abortError(signal, "write") };
      if (failure) break;
      const task: Promise<void> = send(batch).finally(() => running.delete(task));
      running.add(task);
      if (running.size >= inFlight) await Promise.race(running);
    }
  } catch (error) {
    failure ??= { error }; // of the source: what is under way ends before the caller hears of it
  }
  await Promise.all(running);
  if (failure) throw failure.error;
  return { rows, taken };
}

async function* joinBatches(batches: AsyncIterable<PackedBatch> | Iterable<PackedBatch>): AsyncIterable<PackedBatch> {
  let parts: PackedBatch[] = [];
  let count = 0;
  let bytes = 0;
  for await (const batch of batches) {
    parts.push(batch);
    count += batch.count;
    bytes += batch.valueOffsets[batch.count]!;
    if (count < joinedRows && bytes < joinedBytes) continue;
    yield joinParts(parts, count);
    parts = [];
    count = 0;
    bytes = 0;
  }
  if (count > 0) yield joinParts(parts, count);
}

function joinParts(parts: readonly PackedBatch[], count: number): PackedBatch {
  if (parts.length === 1) return parts[0]!;
  const keyOffsets = new Uint32Array(count + 1);
  const valueOffsets = new Uint32Array(count + 1);
  const expireAt = parts.some((part) => part.expireAt) ? new Float64Array(count).fill(Infinity) : undefined;
  let at = 0;
  for (const part of parts) {
    const keyBase = keyOffsets[at]!;
    const valueBase = valueOffsets[at]!;
    for (let i = 1; i <= part.count; i++) {
      keyOffsets[at + i] = keyBase + part.keyOffsets[i]!;
      valueOffsets[at + i] = valueBase + part.valueOffsets[i]!;
    }
    if (part.expireAt) expireAt?.set(part.expireAt.subarray(0, part.count), at);
    at += part.count;
  }
  // Only the bytes that offsets speak of: a part's buffer may be longer.
  const keys = Buffer.concat(parts.map((part) => part.keys.subarray(0, part.keyOffsets[part.count])));
  const values = Buffer.concat(parts.map((part) => part.values.subarray(0, part.valueOffsets[part.count])));
  return { count, keys, keyOffsets, values, valueOffsets, ...(expireAt && { expireAt }) };
}
