/** What every online store must do. */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeKey, packed, readHeader, rowLayout } from "../../sdk/storage/encoding.ts";
import type { OnlineStore, ViewState } from "../../sdk/storage/online_store.ts";
import { batchOf, keyOf, layout, read } from "../support/online_rows.ts";

/** One store's data, which any number of handles may open. */
export interface OnlineStoreFixture {
  /** Opens a handle as another process would. */
  open(): OnlineStore;
  /** Closes what the fixture itself holds and removes the data. */
  dispose(): Promise<void>;
}

const state = (changes: Partial<ViewState> = {}): ViewState => ({
  view: "trips",
  version: 1,
  appliedVersion: 1,
  watermark: "2001-01-01T00:00:00Z",
  layout: "abc",
  updatedAt: "2001-01-02T00:00:00Z",
  ...changes,
});

/** Runs the suite over one implementation. */
export function onlineStoreSuite(name: string, make: () => Promise<OnlineStoreFixture>): void {
  describe(`OnlineStore: ${name}`, () => {
    let fixture: OnlineStoreFixture;
    let store: OnlineStore;
    beforeAll(async () => {
      fixture = await make();
      store = fixture.open();
    });
    afterAll(async () => {
      await store?.close();
      await fixture?.dispose();
    });

    describe("load(), merge(), getMany()", () => {
      const shared = {
        get store() {
          return store;
        },
        open: () => fixture.open(),
      };
      writingTests(shared);
      racingTests(shared);
    });
    describe("states and collections", () =>
      stateTests({
        get store() {
          return store;
        },
        open: () => fixture.open(),
      }));
  });
}

interface Shared {
  readonly store: OnlineStore;
  open(): OnlineStore;
}

function writingTests(shared: Shared): void {
  test("getMany() gives what load() wrote, undefined where there is nothing, in the order asked", async () => {
    const { store } = shared;
    const [a, b] = [await store.newCollection(), await store.newCollection()];
    await store.load(a, batchOf([[1, 5, 1, 1.5], [2, 5, 1, -0]]));
    await store.load(b, batchOf([[1, 5, 1, 9]]));
    const values = await store.getMany([b, a, a, b, a], [1, 2, 3, 2, 1].map(keyOf));
    expect(values.map((value) => value && layout.decode(value)[0])).toStrictEqual([9, -0, undefined, undefined, 1.5]);
    expect(readHeader(values[0]!)).toEqual({ eventTimestamp: 5n, sequence: 1n, layout: layout.id });
  });

  test("an empty batch and an empty read are fine", async () => {
    const { store } = shared;
    const collection = await store.newCollection();
    await store.load(collection, { keys: [], values: [] });
    expect(await store.merge(collection, { keys: [], values: [] })).toBe(0);
    expect(await store.getMany([], [])).toEqual([]);
  });

  test("merge() takes newer values only: by event time, then sequence, before 1970 too", async () => {
    const { store } = shared;
    const collection = await store.newCollection();
    const steps: [at: number, sequence: number, taken: number][] = [
      [-10, 5, 1],
      [-11, 9, 0],
      [-10, 5, 0],
      [-10, 6, 1],
      [-1, 0, 1],
      [0, 0, 1],
      [0, 0, 0],
      [2 ** 40, 1, 1],
      [2 ** 33, 9, 0],
      [2 ** 40, 2 ** 35, 1],
      [2 ** 40, 2 ** 34 + 5, 0],
      [2 ** 40 + 1, 0, 1],
      [-1, 2 ** 40, 0],
    ];
    for (const [at, sequence, taken] of steps) {
      expect(await store.merge(collection, batchOf([[1, at, sequence, at + sequence]])), `${at} ${sequence}`).toBe(
        taken,
      );
    }
    expect(await read(store, collection, [1])).toEqual([2 ** 40 + 1]);
  });

  test("merge() settles a key that occurs several times in one batch", async () => {
    const { store } = shared;
    const collection = await store.newCollection();
    expect(await store.merge(collection, batchOf([[1, 3, 1, 3], [1, 5, 1, 5], [1, 4, 1, 4], [2, 1, 1, 1]]))).toBe(3);
    expect(await read(store, collection, [1, 2])).toEqual([5, 1]);
  });

  test("a load that wakes up late writes into a collection that nobody reads", async () => {
    const { store } = shared;
    const [old, fresh] = [await store.newCollection(), await store.newCollection()];
    await store.load(fresh, batchOf([[1, 9, 1, 9]]));
    await store.load(old, batchOf([[1, 1, 1, 1]]));
    expect(await read(store, fresh, [1])).toEqual([9]);
  });

  test("takes packed batches, large ones, and large values and keys", async () => {
    const { store } = shared;
    const collection = await store.newCollection();
    const ids = Array.from({ length: 5000 }, (_, i) => i * 7 - 9000);
    await store.load(collection, packed(batchOf(ids.map((id) => [id, 1, 1, id]))));
    expect(await store.merge(collection, packed(batchOf(ids.map((id) => [id, id % 2 === 0 ? 2 : 0, 1, -id]))))).toBe(
      2500,
    );
    expect(await read(store, collection, ids)).toEqual(ids.map((id) => id % 2 === 0 ? -id : id));
    const texts = rowLayout([{ name: "text", type: "string" }]);
    const big = ["", "é".repeat(1_000_000), "x", "y".repeat(300_000)];
    const keys = big.map((_, i) => encodeKey([{ name: "k", type: "string" }], ["z".repeat(250 + i)])!);
    const values = big.map((text) => texts.encode({ eventTimestamp: 1n, sequence: 1n }, [text]));
    await store.load(collection, { keys, values });
    expect(await store.merge(collection, { keys, values })).toBe(0);
    const stored = await store.getMany(keys.map(() => collection), keys);
    expect(stored.map((value) => texts.decode(value!)[0] === big[stored.indexOf(value)])).toEqual([
      true,
      true,
      true,
      true,
    ]);
  });

  test("a write that is cancelled says so", async () => {
    const { store } = shared;
    const collection = await store.newCollection();
    const signal = AbortSignal.abort();
    await expect(store.load(collection, batchOf([[1, 1, 1, 1]]), signal)).rejects.toMatchObject({ code: "CANCELLED" });
    await expect(store.getMany([collection], [keyOf(1)], signal)).rejects.toMatchObject({ code: "CANCELLED" });
    expect(await read(store, collection, [1])).toEqual([undefined]);
  });

  test("drop() removes one collection and no other", async () => {
    const { store } = shared;
    const [a, b] = [await store.newCollection(), await store.newCollection()];
    const rows = Array.from({ length: 4500 }, (_, id) => [id, 1, 1, id] as const);
    for (const collection of [a, b]) await store.load(collection, batchOf(rows));
    expect(await store.drop(a)).toBe(4500);
    expect(await store.drop(a)).toBe(0);
    expect(await read(store, a, [0, 4499])).toEqual([undefined, undefined]);
    expect(await read(store, b, [0, 4499])).toEqual([0, 4499]);
    expect(await store.drop(b)).toBe(4500);
  });
}

function racingTests(shared: Shared): void {
  test("the newest wins in all orders, with many writers, duplicates and batches that overlap (S3)", async () => {
    const { store } = shared;
    const row = fc.tuple(
      fc.integer({ min: 0, max: 12 }),
      fc.integer({ min: -4, max: 4 }),
      fc.integer({ min: 0, max: 3 }),
    );
    const writers = fc.array(fc.array(fc.array(row, { minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 4 }), {
      minLength: 2,
      maxLength: 4,
    });
    const handles = [store, shared.open(), shared.open(), shared.open()];
    try {
      await fc.assert(
        fc.asyncProperty(writers, fc.boolean(), async (work, isLoadedFirst) => {
          const collection = await store.newCollection();
          // The value tells the header, so equal headers have equal values, as the offline store makes sure.
          const full = (part: readonly [number, number, number][]) =>
            part.map(([id, at, sequence]) => [id, at, sequence, at * 100 + sequence] as const);
          const newest = new Map<number, number>();
          for (const [id, at, sequence] of work.flat(2)) {
            newest.set(id, Math.max(newest.get(id) ?? -Infinity, at * 100 + sequence));
          }
          if (isLoadedFirst) {
            await store.load(collection, batchOf(full(work[0]![0]!)));
          }
          await Promise.all(work.map(async (parts, w) => {
            for (const part of parts) await handles[w % handles.length]!.merge(collection, batchOf(full(part)));
          }));
          // What was loaded without comparing comes again in a merge: a repeated commit.
          await store.merge(collection, batchOf(full(work[0]![0]!)));
          const ids = [...newest.keys()];
          expect(await read(store, collection, ids)).toEqual(ids.map((id) => newest.get(id)));
        }),
        { numRuns: 40 },
      );
    } finally {
      await Promise.all(handles.slice(1).map((handle) => handle.close()));
    }
  });

  test("setState() has one winner of many", async () => {
    const { store } = shared;
    const handles = [store, shared.open(), shared.open()];
    try {
      let current: ViewState | undefined;
      for (let round = 0; round < 10; round++) {
        const wanted = Array.from(
          { length: 9 },
          (_, i) => state({ view: "race", appliedVersion: round, updatedAt: `${round}.${i}` }),
        );
        const won = await Promise.all(wanted.map((next, i) => handles[i % 3]!.setState(next, current)));
        expect(won.filter(Boolean)).toHaveLength(1);
        current = await store.state("race", 1);
        expect(current).toEqual(wanted[won.indexOf(true)]);
      }
    } finally {
      await Promise.all(handles.slice(1).map((handle) => handle.close()));
    }
  });

  test("newCollection() never gives a name twice", async () => {
    const other = shared.open();
    try {
      const names = await Promise.all(
        Array.from({ length: 40 }, (_, i) => (i % 2 ? shared.store : other).newCollection()),
      );
      expect(new Set(names).size).toBe(40);
      for (const name of names) expect(name).toMatch(/^[a-z0-9]{1,16}$/);
    } finally {
      await other.close();
    }
  });
}

function stateTests(shared: Shared): void {
  test("setState() moves a state only from what was expected", async () => {
    const { store } = shared;
    const first = state();
    const second = state({ collection: "1a", appliedVersion: 2 });
    expect(await store.state("trips", 1)).toBeUndefined();
    expect(await store.setState(second, first)).toBe(false);
    expect(await store.setState(first, undefined)).toBe(true);
    expect(await store.setState(second, undefined)).toBe(false);
    expect(await store.setState(second, { ...first, layout: "other" })).toBe(false);
    expect(await store.setState(second, first)).toBe(true);
    expect(await store.state("trips", 1)).toEqual(second);
    expect(await store.setState(state({ version: 2 }), undefined)).toBe(true);
    expect((await store.states()).filter(({ view }) => view === "trips").map(({ version }) => version).sort()).toEqual([
      1,
      2,
    ]);
    await store.removeState("trips", 1);
    await store.removeState("trips", 1);
    expect(await store.state("trips", 1)).toBeUndefined();
    expect(await store.state("trips", 2)).toEqual(state({ version: 2 }));
  });

  test("epoch() and life() are the same for every handle", async () => {
    const other = shared.open();
    try {
      expect(await other.epoch()).toBe(await shared.store.epoch());
      expect(await other.life()).toBe(await shared.store.life());
    } finally {
      await other.close();
    }
  });

  test("ping() answers, and a closed store says that it was closed", async () => {
    const other = shared.open();
    await other.ping();
    await other.close();
    await other.close();
    await expect(other.ping()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(other.getMany(["a"], [keyOf(1)])).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(other.merge("a", batchOf([[1, 1, 1, 1]]))).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });
}
