/** The audit log over a real store: what is served is logged, and computed again. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { entity } from "../../../sdk/define/entity.ts";
import { realtimeView } from "../../../sdk/define/realtime_view.ts";
import { service } from "../../../sdk/define/service.ts";
import { view } from "../../../sdk/define/view.ts";
import { count, last, mean } from "../../../sdk/frame/aggregates.ts";
import { col } from "../../../sdk/frame/expr.ts";
import { requestTimestamp } from "../../../sdk/frame/request_time.ts";
import { fromRows, parquet } from "../../../sdk/frame/sources.ts";
import { openServing } from "../../../sdk/serving.ts";
import type { AuditSettings, Serving } from "../../../sdk/serving.ts";
import type { Store } from "../../../sdk/store.ts";
import { toMicros } from "../../../sdk/time.ts";
import { StoreRig, trips } from "../store_rig.ts";

let rig: StoreRig;
let store: Store;
const servings: Serving[] = [];
beforeEach(async () => {
  rig = await StoreRig.open();
  await rig.write(trips);
  store = await rig.connect();
});
afterEach(async () => {
  for (const serving of servings.splice(0)) await serving.close();
  await rig.close();
});

async function open(audit: AuditSettings): Promise<Serving> {
  const serving = await openServing({ storage: join(rig.folder, "store"), clock: rig.clock, audit, pollMs: 20 });
  servings.push(serving);
  return serving;
}

async function ask(serving: Serving, name: string, ...requests: readonly Record<string, unknown>[]): Promise<void> {
  const reader = await serving.service(name);
  await reader.read(requests, { at: rig.clock.now() });
}

const x = { driver: "x", zone: 1 };
const everyKey = [...new Map(trips.map(({ driver, zone }) => [`${driver}/${zone}`, { driver, zone }])).values()];

async function parts(): Promise<string[]> {
  const folder = join(rig.folder, "store", "objects", "default", "audit");
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  return names.filter((name) => name.endsWith(".parquet")).map((name) => join(folder, name));
}

describe("the audit log", () => {
  it("has what was served, typed, for any engine to read", async () => {
    await (await store.publish(rig.service())).apply();
    const serving = await open({ share: 1, keys: "plain" });
    await ask(serving, "model", x, { driver: null, zone: 1 }, { driver: "nobody", zone: "9007199254740993" });
    expect(serving.audited()).toMatchObject({ logged: 0, waiting: 3 });
    await serving.close();
    expect(serving.audited()).toEqual({ logged: 3, dropped: 0, waiting: 0, parts: 1, failures: 0 });
    const [part] = await parts();
    expect(part).toMatch(
      /audit\/date=2001-01-06\/service=model\/20010106T000000Z-[0-9a-f]{16}-[0-9a-f-]{36}\.parquet$/,
    );

    const rows = await parquet(part!).rows();
    expect(rows).toMatchObject([
      {
        request_time: { micros: toMicros("2001-01-06") },
        service: "model",
        keys: { driver: "x", zone: 1n },
        features: { amount: 4 },
        views: {
          driver_amounts: {
            version: 1,
            status: "PRESENT",
            cut: false,
            event_time: { micros: toMicros("2001-01-04") },
            effective_time: { micros: toMicros("2001-01-05") },
            watermark: { micros: toMicros("2001-01-06") },
          },
        },
      },
      {
        keys: { driver: null, zone: 1n },
        features: { amount: null },
        views: { driver_amounts: { status: "NULL_KEY" } },
      },
      { keys: { driver: "nobody", zone: 9_007_199_254_740_993n }, views: { driver_amounts: { status: "MISSING" } } },
    ]);
    expect(new Set(rows.map((row) => row["key_hash"])).size).toBe(3);
  });

  it("hashes keys unless told otherwise, the same way in every process, and says so instead of comparing", async () => {
    await (await store.publish(rig.service())).apply();
    for (const zone of [1, "1"]) {
      const serving = await open({ share: 1 });
      await ask(serving, "model", { driver: "x", zone });
      await serving.close();
    }

    const rows = await parquet(await parts()).rows();
    expect(rows.map((row) => Object.keys(row))).not.toContain("keys");
    expect(rows).toHaveLength(2);
    expect(rows[0]!["key_hash"]).toMatch(/^[0-9a-f]{64}$/);
    expect(rows[1]!["key_hash"]).toBe(rows[0]!["key_hash"]);
    expect(await store.audit("model")).toMatchObject({
      rows: 2,
      values: 0,
      uncompared: 2,
      notes: [expect.stringMatching(/keys are hashed/)],
    });
  });

  it("takes a share of the keys: always the same ones", async () => {
    await (await store.publish(rig.service())).apply();
    const keys = Array.from({ length: 2_000 }, (_, zone) => ({ driver: "x", zone }));
    const logged = async () => {
      const serving = await open({ share: 0.25, keys: "plain" });
      await ask(serving, "model", ...keys);
      await ask(serving, "model", ...keys.toReversed());
      await serving.close();
      return serving.audited()!.logged;
    };
    const [first, second] = [await logged(), await logged()];
    // 2,000 draws of 1/4: six deviations are 116.
    expect(Math.abs(first / 2 - 500)).toBeLessThan(116);
    expect(second).toBe(first);

    const rows = await parquet(await parts()).rows();
    expect(new Set(rows.map((row) => row["key_hash"])).size).toBe(first / 2);
  });

  it("logs nothing of services when the share is 0", async () => {
    await (await store.publish(rig.service())).apply();
    const serving = await open({ share: 0 });
    await ask(serving, "model", x);
    expect(serving.audited()).toBeUndefined();
  });
});

describe("Store.audit() (S11)", () => {
  it("finds every answer as computed, through loads, new versions, ttl and late repairs", async () => {
    await (await store.publish(rig.service(1, { ttl: "3d" }))).apply();
    const serving = await open({ share: 1, keys: "plain" });
    await ask(serving, "model", ...everyKey, { driver: null, zone: 1 });
    rig.clock.set("2001-01-07T12:00Z"); // some have expired
    await ask(serving, "model", ...everyKey);
    // A row that came late repairs what had been served rightly before.
    await rig.write([...trips, { driver: "y", zone: 1, at: "2001-01-05T12:00Z", amount: 50 }]);
    await store.materialize("driver_amounts", { start: "2001-01-01", overwrite: true });
    await serving.definitions();
    await ask(serving, "model", ...everyKey);
    await (await store.publish(rig.service(10, { ttl: "3d" }))).apply();
    await serving.definitions();
    await ask(serving, "model", ...everyKey);
    await serving.close();
    rig.clock.set("2001-01-07T13:00Z");
    const found = await store.audit("model", { from: "2001-01-06" });
    expect(found).toMatchObject({
      rows: 4 * everyKey.length + 1,
      mismatches: 0,
      missing: 0,
      uncompared: 0,
      examples: [],
    });
    expect(found.values).toBe(found.rows);
    expect(`${found}`).toContain("0 mismatches and 0 missing");
    // By default those of the last day.
    expect((await store.audit("model")).rows).toBe(3 * everyKey.length);
    expect(await store.audit("model", { from: "2001-01-06", limit: 5 })).toMatchObject({ rows: 5, more: true });
  });

  it("finds windows of all edges as computed, also where a load was late", async () => {
    const user = entity("user", { user: "string" });
    const sales = fromRows(
      ["01T06:00", "02T07:00", "02T08:00", "04T09:00", "05T10:00", "06T11:00"].map((time, i) => ({
        user: i % 2 === 0 ? "a" : "b",
        at: toMicros(`2001-01-${time}Z`),
        price: i + 0.1,
      })),
      { schema: { user: "string", at: "timestamp", price: "float64" }, eventTimestamp: "at" },
    );
    const windows = ["1d", "2d"];
    const aggregations = { sold: count(), mean: mean("price"), lasts: last("price", 2) };
    const settings = { schedule: "1d", start: "2001-01-01", online: true } as const;
    const complete = view("complete", sales.by(user).aggregate(aggregations, { windows, every: "1d" }), settings);
    const exact = view("exact", sales.by(user).aggregate(aggregations, { windows, edge: "exact" }), settings);
    const fresh = view(
      "fresh",
      sales.by(user).aggregate(aggregations, { windows, edge: "fresh", every: "1h" }),
      settings,
    );
    await (await store.publish(
      service("sold", [complete, exact, fresh].map((each) => each.prefix(`${each.name}_`))),
    )).apply();
    const serving = await open({ share: 1, keys: "plain" });
    const users = [{ user: "a" }, { user: "b" }, { user: "c" }];
    for (const time of ["2001-01-06T00:00Z", "2001-01-06T13:30Z", "2001-01-07T14:00Z"]) {
      rig.clock.set(time); // the last one is after the end of what is loaded
      await ask(serving, "sold", ...users);
    }
    await store.catchUp();
    await serving.definitions();
    await ask(serving, "sold", ...users);
    await serving.close();
    const found = await store.audit("sold", { from: "2001-01-06" });
    expect(found).toMatchObject({ rows: 12, values: 12 * 18, mismatches: 0, missing: 0, uncompared: 0 });
  });

  it("names an answer that was not what it should have been", async () => {
    await (await store.publish(rig.service())).apply();
    const serving = await open({ share: 1, keys: "plain" });
    // Someone else wrote into the online store: x has another amount, y is gone.
    const { lmdbOnlineStore } = await import("../../../sdk/storage/online_lmdb.ts");
    const { encodeKey, rowLayout } = await import("../../../sdk/storage/encoding.ts");
    const online = lmdbOnlineStore(join(rig.folder, "store", "online", "default"), { clock: rig.clock });
    const state = (await online.state("driver_amounts", 1))!;
    const joinKeys = [{ name: "driver", type: "string" }, { name: "zone", type: "int64" }] as const;
    const layout = rowLayout([{ name: "amount", type: "float64" }]);
    const value = layout.encode({ eventTimestamp: toMicros("2001-01-05T23:00Z"), sequence: 9n }, [41]);
    await online.merge(state.collection!, { keys: [encodeKey(joinKeys, ["x", 1])!], values: [value] });
    await online.close();
    await ask(serving, "model", ...everyKey);
    await serving.close();
    const found = await store.audit("model");
    expect(found).toMatchObject({ rows: 4, values: 4, matches: 3, mismatches: 1, missing: 0 });
    expect(found.features).toEqual([{ feature: "amount", mismatches: 1, missing: 0 }]);
    expect(found.examples).toEqual([{
      at: "2001-01-06T00:00:00Z",
      key: { driver: "x", zone: 1n },
      feature: "amount",
      served: 41,
      offline: 4,
      status: "PRESENT",
    }]);
  });

  it("computes features of realtime views again, of what was looked up for them and what requests gave", async () => {
    const scored = (factor: number) =>
      realtimeView("scored", {
        request: { spent: "float64", since: "timestamp", words: { list: "string" } },
        from: [rig.view()],
        features: {
          ratio: col("spent").divide(col("amount")).times(factor),
          age: requestTimestamp().minus(col("since")),
          last: col("words").list.last(),
        },
      });
    await (await store.publish(service("m", [scored(1)]))).apply();
    const serving = await open({ share: 1, keys: "plain" });
    const context = [{ spent: 5, since: "2001-01-05", words: ["a", null] }, { spent: NaN, since: null, words: null }];
    const read = async () => {
      const requests = [x, { driver: "nobody", zone: 1 }];
      return await (await serving.service("m")).read(requests, { at: rig.clock.now(), context });
    };
    await read();
    await (await store.publish(scored(2))).apply();
    await serving.definitions();
    await read();
    await serving.close();
    const found = await store.audit("m");
    // An amount that was looked up, and three features that were computed, for each of four requests.
    expect(found).toMatchObject({ rows: 4, values: 16, matches: 16, uncompared: 0, notes: [] });
    expect(found.features.map(({ feature }) => feature)).toEqual([`${rig.view().name}.amount`, "ratio", "age", "last"]);
    const [part] = await parts();
    const rows = await parquet(part!).rows();
    expect(Object.keys(rows[0]!)).toEqual(
      ["request_time", "service", "key_hash", "keys", "views", "features", "request", "computed"],
    );
    await (await store.delete("service:m", "realtimeView:scored")).apply();
    expect(await store.audit("m")).toMatchObject({
      values: 4,
      uncompared: 12,
      notes: expect.arrayContaining(['realtime view "scored" version 1 is gone']),
    });
  });

  it("keeps what requests gave to itself where keys are hashed", async () => {
    const doubled = realtimeView("doubled", { request: { n: "int64" }, features: { twice: col("n").times(2n) } });
    await (await store.publish(service("m", [doubled, rig.view()]))).apply();
    const serving = await open({ share: 1, keys: "hashed" });
    await (await serving.service("m")).read([x], { at: rig.clock.now(), context: [{ n: 4n }] });
    await serving.close();
    const [row] = await parquet((await parts())[0]!).rows();
    expect(row).toMatchObject({ features: { amount: 4 }, computed: { twice: 8n } });
    expect(row).not.toHaveProperty("request");
    expect(await store.audit("m")).toMatchObject({ values: 0, uncompared: 2 });
  });

  it("says what it cannot compare", async () => {
    await (await store.publish(rig.service())).apply();
    await expect(store.audit("nothing")).rejects.toThrow(/no such service; services are model/);
    await expect(store.audit("model")).rejects.toThrow(/nothing was logged .*VARVE_AUDIT_SHARE/);
    const serving = await open({ share: 1, keys: "plain" });
    await ask(serving, "model", x);
    await serving.close();
    await (await store.delete("service:model", "view:driver_amounts")).apply();
    expect(await store.audit("model")).toMatchObject({
      rows: 1,
      values: 0,
      uncompared: 1,
      notes: ['view "driver_amounts" version 1 is gone'],
    });
    await expect(store.audit("model", { from: "2001-01-07" })).rejects.toMatchObject({ code: "INVALID_REQUEST" });
    await expect(store.audit("model", { from: "yesterday" })).rejects.toThrow(/Cannot read "yesterday" as an instant/);
    await expect(store.audit("model", { limit: 0 })).rejects.toMatchObject({ code: "INVALID_REQUEST" });
  });
});
