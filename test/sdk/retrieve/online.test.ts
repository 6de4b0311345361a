import { describe, expect, it } from "vitest";
import type { AttributeView, FeatureDefinition } from "../../../sdk/define/definitions.ts";
import { type FeatureRead, readsOf } from "../../../sdk/retrieve/feature_read.ts";
import { compileService } from "../../../sdk/retrieve/online.ts";
import type { Field } from "../../../sdk/schema.ts";
import { encodeKey, rowLayout } from "../../../sdk/storage/encoding.ts";
import type { OnlineStore, ViewState } from "../../../sdk/storage/online_store.ts";
import { Timestamp } from "../../../sdk/time.ts";

const hour = 3_600_000_000n;
const userKeys: readonly Field[] = [{ name: "user", type: "string" }];
const pairKeys: readonly Field[] = [{ name: "a", type: "int64" }, { name: "b", type: "int64" }];

function view(
  name: string,
  joinKeys: readonly Field[],
  features: readonly FeatureDefinition[],
  more: Partial<AttributeView> = {},
): AttributeView {
  return {
    kind: "view",
    name,
    mode: "attributes",
    entity: { kind: "entity", name: "e", joinKeys },
    query: undefined as never, // not read
    eventTimestamp: "t",
    features,
    schedule: "1h",
    dataDelay: "30m",
    start: "1970-01-01T00:00:00Z",
    ttl: "forever",
    lookback: 0,
    online: true,
    offline: true,
    ...more,
  };
}

const users = view("users", userKeys, [
  { name: "score", type: "float64", default: 0.5 },
  { name: "visits", type: "int64" },
  { name: "seen", type: "timestamp", default: "0" },
], { ttl: "3h" });
const pairs = view("pairs", pairKeys, [{ name: "note", type: "string" }]);

function readOf(definition: AttributeView, more: Partial<FeatureRead> = {}): FeatureRead {
  const features = definition.features.map(({ name }) => ({ feature: name, as: name }));
  return { alias: definition.name, definition, version: 1, features, joinKeyMap: {}, ...more };
}

/** A store of which only look-ups are needed: it counts them. */
class FakeStore {
  readonly values = new Map<string, Uint8Array>();
  readonly states = new Map<string, ViewState>();
  calls = 0;

  put(
    collection: string,
    definition: AttributeView,
    key: readonly unknown[],
    eventTimestamp: bigint,
    values: readonly unknown[],
  ): void {
    const bytes = rowLayout(definition.features).encode({ eventTimestamp, sequence: 1n }, values);
    this.values.set(`${collection} ${Buffer.from(encodeKey(definition.entity.joinKeys, key)!).toString("hex")}`, bytes);
  }

  serve(view: string, collection: string): void {
    this.states.set(view, {
      view,
      version: 1,
      collection,
      appliedVersion: 1,
      watermark: "",
      layout: "",
      updatedAt: "",
    });
  }

  reader(reads: readonly FeatureRead[]) {
    const store = {
      getMany: (collections: string[], keys: Uint8Array[]) => this.#getMany(collections, keys),
    } as unknown as OnlineStore;
    return compileService("model", reads, store, (name) => this.states.get(name));
  }

  async #getMany(collections: string[], keys: Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.calls++;
    return await Promise.resolve(
      keys.map((key, i) => this.values.get(`${collections[i]} ${Buffer.from(key).toString("hex")}`)),
    );
  }
}

function filled(): FakeStore {
  const store = new FakeStore();
  store.serve("users", "c1");
  store.serve("pairs", "c2");
  store.put("c1", users, ["ann"], 10n * hour, [1.5, 2n ** 60n, new Timestamp(7n)]);
  store.put("c1", users, ["nil"], 10n * hour, [null, null, null]);
  store.put("c2", pairs, [1n, 12n], 9n * hour, ["first"]);
  store.put("c2", pairs, [11n, 2n], 9n * hour, ["second"]);
  return store;
}

describe("compileService()", () => {
  it("answers in the order of features, with statuses and effective times (S4), by one look-up for a whole batch", async () => {
    const store = filled();
    const reader = store.reader([readOf(pairs), readOf(users)]);
    expect(reader.features.map(({ namespace, name }) => `${namespace}.${name}`)).toEqual([
      "pairs.note",
      "users.score",
      "users.visits",
      "users.seen",
    ]);
    expect(reader.joinKeys.map(({ name }) => name)).toEqual(["a", "b", "user"]);
    const answers = await reader.read([{ a: 1n, b: 12, user: "ann" }, { a: "11", b: 2n, user: "bob" }], {
      at: 12n * hour,
    });
    expect(store.calls).toBe(1);
    const rowOf = (collection: string, nth = 0) =>
      [...store.values].filter(([key]) => key.startsWith(collection))[nth]![1];
    const shown = answers.map(({ values, statuses, effectiveTimes, eventTimes, storedBytes, storedRows }) => ({
      values,
      statuses,
      effectiveTimes,
      eventTimes,
      storedBytes,
      storedRows,
    }));
    expect(shown).toEqual([
      {
        values: ["first", 1.5, 2n ** 60n, new Timestamp(7n)],
        statuses: ["PRESENT", "PRESENT", "PRESENT", "PRESENT"],
        effectiveTimes: [10n * hour + hour / 2n, ...Array(3).fill(11n * hour + hour / 2n)],
        eventTimes: [9n * hour, ...Array(3).fill(10n * hour)],
        storedBytes: rowOf("c2").length + rowOf("c1").length,
        storedRows: [rowOf("c2"), rowOf("c1")],
      },
      {
        values: ["second", 0.5, null, new Timestamp(0n)],
        statuses: ["PRESENT", "MISSING", "MISSING", "MISSING"],
        effectiveTimes: [10n * hour + hour / 2n, undefined, undefined, undefined],
        eventTimes: [9n * hour, undefined, undefined, undefined],
        storedBytes: rowOf("c2", 1).length,
        storedRows: [rowOf("c2", 1), undefined],
      },
    ]);
  });

  it("expires values while their event timestamp is not > t − ttl (S6)", async () => {
    const reader = filled().reader([readOf(users)]);
    const [before] = await reader.read([{ user: "ann" }], { at: 13n * hour - 1n });
    const [after] = await reader.read([{ user: "ann" }], { at: 13n * hour });
    expect([before!.statuses[0], before!.values[0]]).toEqual(["PRESENT", 1.5]);
    expect([after!.statuses[0], after!.values[0], after!.values[1]]).toEqual(["EXPIRED", 0.5, null]);
  });

  it("replaces nulls by defaults, and does not look up null keys (S7)", async () => {
    const store = filled();
    const reader = store.reader([readOf(pairs), readOf(users)]);
    const [answer] = await reader.read([{ a: null, b: 12n, user: "nil" }], { at: 12n * hour });
    expect(answer!.values).toEqual([null, 0.5, null, new Timestamp(0n)]);
    expect(answer!.statuses).toEqual(["NULL_KEY", "PRESENT", "PRESENT", "PRESENT"]);
    await store.reader([readOf(users)]).read([{ user: null }], { at: 0n });
    expect(store.calls).toBe(1);
  });

  it("reads a view twice under other keys and names", async () => {
    const store = filled();
    const twice = ["from", "to"].map((alias) =>
      readOf(users, { alias, joinKeyMap: { user: alias }, features: [{ feature: "score", as: `${alias}_score` }] })
    );
    const reader = store.reader(twice);
    expect(reader.joinKeys).toEqual([{ name: "from", type: "string" }, { name: "to", type: "string" }]);
    const [answer] = await reader.read([{ from: "ann", to: "nobody" }], { at: 12n * hour });
    expect(answer!.values).toEqual([1.5, 0.5]);
  });

  it("follows the collection that is served", async () => {
    const store = filled();
    const reader = store.reader([readOf(users)]);
    store.put("c9", users, ["ann"], 11n * hour, [9.5, 1n, null]);
    store.serve("users", "c9");
    expect((await reader.read([{ user: "ann" }], { at: 12n * hour }))[0]!.values[0]).toBe(9.5);
    store.states.clear();
    await expect(reader.read([{ user: "ann" }], { at: 12n * hour })).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("refuses missing keys and wrong types by name", async () => {
    const reader = filled().reader([readOf(pairs), readOf(users, { joinKeyMap: { user: "uid" } })]);
    await expect(reader.read([{ a: 1n }], { at: 0n })).rejects.toThrow(
      /join keys "b", "uid" are missing; join keys are a int64, b int64, uid string/,
    );
    await expect(reader.read([{ a: 1n, b: 2n, uid: 3 }], { at: 0n })).rejects.toThrow(
      /Cannot use 3 as join key "uid": it is of type string/,
    );
    await expect(reader.read([Object.create({ a: 1n, b: 2n, uid: "x" })], { at: 0n })).rejects.toThrow(/are missing/);
    await expect(reader.read([{ a: 1n, b: 2n, uid: "x" }, { a: 1n, b: 2n, uid: 3 }], { at: 0n })).rejects.toMatchObject(
      {
        message: expect.stringMatching(/join key "uid".*\(row 1 of 2, from 0\)/),
        details: { joinKey: "uid", row: 1 },
      },
    );
  });

  it("refuses views that are not kept online", () => {
    expect(() => filled().reader([readOf({ ...users, online: false })])).toThrow(
      /view "users" is not kept online; publish it with online: true/,
    );
  });
});

describe("readsOf()", () => {
  const use = { view: "users", alias: "users", features: [{ feature: "score", as: "score" }], joinKeyMap: {} };

  it("names the view or feature that is not there", () => {
    const service = { kind: "service", name: "model", views: [use] } as const;
    expect(() => readsOf(service, () => undefined)).toThrow(/view "users" has no version that is complete/);
    expect(() => readsOf(service, () => ({ definition: pairs, version: 2 }))).toThrow(
      /view "users" version 2 has no feature "score"; features are note/,
    );
    expect(readsOf(service, () => ({ definition: users, version: 2 }))).toEqual([{
      ...readOf(users, { version: 2 }),
      features: use.features,
    }]);
  });
});
