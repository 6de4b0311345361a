import { expect, test } from "vitest";
import { packed } from "../../../sdk/storage/encoding.ts";
import type { OnlineStore, PackedBatch } from "../../../sdk/storage/online_store.ts";
import { writeBatches } from "../../../sdk/storage/online_write.ts";
import { batchOf } from "../../support/online_rows.ts";

/** A store that only remembers what it is given. */
function recorder(write: (batch: PackedBatch, call: number) => Promise<number> = async (batch) => batch.count) {
  const written = new Map<string, string>();
  const expiries = new Map<string, number>();
  const counts = { calls: 0, running: 0, most: 0 };
  const merge = async (_collection: string, given: unknown) => {
    const batch = given as PackedBatch;
    counts.most = Math.max(counts.most, ++counts.running);
    try {
      for (let i = 0; i < batch.count; i++) {
        const key = Buffer.from(batch.keys.subarray(batch.keyOffsets[i], batch.keyOffsets[i + 1])).toString("hex");
        written.set(
          key,
          Buffer.from(batch.values.subarray(batch.valueOffsets[i], batch.valueOffsets[i + 1])).toString("hex"),
        );
        if (batch.expireAt) expiries.set(key, batch.expireAt[i]!);
      }
      return await write(batch, counts.calls++);
    } finally {
      counts.running--;
    }
  };
  return {
    store: { merge, load: async (c: string, b: unknown) => void await merge(c, b) } as unknown as OnlineStore,
    written,
    expiries,
    counts,
  };
}

const part = (from: number, count: number) =>
  packed(batchOf(Array.from({ length: count }, (_, i) => [from + i, from + i, 1, from + i] as const)));

test("writeBatches() joins small batches and loses no row", async () => {
  const { store, written, counts } = recorder();
  const parts = Array.from({ length: 25 }, (_, i) => part(i * 1000, 1000));
  const whole = packed(batchOf(Array.from({ length: 25_000 }, (_, i) => [i, i, 1, i] as const)));
  expect(await writeBatches(store, "a", parts, { merge: true })).toEqual({ rows: 25_000, taken: 25_000 });
  expect(counts.calls).toBe(3);
  const wanted = recorder();
  await writeBatches(wanted.store, "a", [whole], { merge: false });
  expect(written).toEqual(wanted.written);
});

test("writeBatches() keeps expiries with their rows when only some batches have them", async () => {
  const { store, expiries } = recorder();
  const expiring = { ...part(10, 2), expireAt: Float64Array.of(5, 7) };
  await writeBatches(store, "a", [part(0, 2), expiring, part(20, 1)], { merge: false });
  expect([...expiries.values()]).toEqual([Infinity, Infinity, 5, 7, Infinity]);
});

test("writeBatches() has a bounded number under way, and tells progress", async () => {
  const { store, counts } = recorder(async (batch) => {
    await new Promise((resolve) => setImmediate(resolve));
    return batch.count;
  });
  const progress: number[] = [];
  const parts = Array.from({ length: 12 }, (_, i) => part(i * 10_000, 9000));
  const options = { merge: true, inFlight: 2, onProgress: (rows: number) => void progress.push(rows) };
  expect(await writeBatches(store, "a", parts, options)).toEqual({ rows: 108_000, taken: 108_000 });
  expect(counts).toMatchObject({ calls: 12, most: 2 });
  expect(progress).toEqual(Array.from({ length: 12 }, (_, i) => (i + 1) * 9000));
});

test("writeBatches() stops at the first error, after what is under way has ended", async () => {
  const { store, counts } = recorder(async (batch, call) => {
    await new Promise((resolve) => setImmediate(resolve));
    if (call === 2) throw new Error("full");
    return batch.count;
  });
  const parts = new Array<PackedBatch>(100).fill(part(0, 9000));
  await expect(writeBatches(store, "a", parts, { merge: false })).rejects.toThrow("full");
  expect(counts.running).toBe(0);
  expect(counts.calls).toBeLessThan(10);
});

test("writeBatches() stops when it is cancelled", async () => {
  const controller = new AbortController();
  const { store, counts } = recorder(async (batch) => {
    controller.abort();
    return batch.count;
  });
  const parts = new Array<PackedBatch>(100).fill(part(0, 9000));
  await expect(writeBatches(store, "a", parts, { merge: false, signal: controller.signal })).rejects.toMatchObject({
    code: "CANCELLED",
  });
  expect(counts.calls).toBeLessThan(10);
});

test("writeBatches() waits for writes under way when its source fails", async () => {
  let finish = () => {};
  const held = new Promise<void>((resolve) => finish = resolve);
  const { store, counts } = recorder(async (batch) => {
    await held;
    return batch.count;
  });
  async function* source(): AsyncIterable<PackedBatch> {
    yield part(0, 8192);
    await Promise.resolve();
    queueMicrotask(finish);
    throw new Error("the source broke");
  }
  await expect(writeBatches(store, "c", source(), { merge: true })).rejects.toThrow("the source broke");
  expect(counts).toMatchObject({ calls: 1, running: 0 });
});
