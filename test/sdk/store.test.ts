import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { fromRows, parquet, sql } from "../../sdk/frame/sources.ts";
import { setWarningHook } from "../../sdk/frame/runtime.ts";
import { sum } from "../../sdk/mod.ts";
import { InProcessQueue } from "../../sdk/queue/in_process.ts";
import type { Progress } from "../../sdk/materialize/progress.ts";
import type { Store } from "../../sdk/store.ts";
import { entity } from "../../sdk/define/entity.ts";
import { service } from "../../sdk/define/service.ts";
import { view } from "../../sdk/define/view.ts";
import { systemClock, toMicros } from "../../sdk/time.ts";
import { driver, StoreRig, trips, tripTypes } from "./store_rig.ts";

let rig: StoreRig;
let store: Store;
beforeEach(async () => {
  rig = await StoreRig.open();
  await rig.write(trips);
  store = await rig.connect();
});
afterEach(() => rig.close());

const x = { driver: "x", zone: 1n };
const amount = async (keys = x) => (await store.online(rig.service(), keys)).amount;

describe("connect()", () => {
  it("gives an empty store that a second connection may share", async () => {
    const other = await rig.connect();
    await (await store.publish(rig.view())).apply();
    expect((await other.status()).views.map((view) => view.name)).toEqual(["driver_amounts"]);
    expect(await other.online("driver_amounts", x)).toEqual({ amount: 4 });
  });

  it("refuses a workspace that cannot be, and storage that it does not know", async () => {
    await expect(rig.connect({ workspace: "a b" })).rejects.toMatchObject({ code: "INVALID_CONFIG" });
    await expect(rig.connect({ path: "ftp://host/x" })).rejects.toMatchObject({ code: "INVALID_CONFIG" });
  });

  it("says at once that Redis is down", async () => {
    await expect(rig.connect({ redis: "redis://127.0.0.1:1" })).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("is of no use once it is closed", async () => {
    await store.close();
    await expect(store.status()).rejects.toThrow(/closed: connect again/);
  });
});

describe("Store.plan()", () => {
  it("tells slices, rows and bytes, and changes nothing", async () => {
    const plan = await store.plan(rig.service());
    expect(plan.isEmpty).toBe(false);
    expect(plan.items.map((item) => [item.kind, item.name, item.change])).toEqual([
      ["entity", "driver", "create"],
      ["view", "driver_amounts", "create"],
      ["service", "model", "create"],
    ]);
    const { backfill } = plan.items[1]!;
    expect(backfill).toMatchObject({ slices: 5, rows: 6 });
    expect(backfill!.bytes).toBeGreaterThan(0);
    expect(String(plan)).toContain("5 slices");
    expect((await store.status()).revision).toBe(0);
  });

  it("warns of null and future event timestamps", async () => {
    await rig.write([...trips, { driver: "x", zone: 1, at: null, amount: 1 }, {
      driver: "x",
      zone: 1,
      at: "2003-01-01",
      amount: 1,
    }]);
    const messages = (await store.plan(rig.view())).warnings.map((warning) => warning.message).join("\n");
    expect(messages).toMatch(/1 row of the source has no event timestamp/);
    expect(messages).toMatch(/future, up to 2003-01-01/);
  });

  it("warns of event timestamps that are infinite, or beyond what can be kept", async () => {
    await sql(
      "SELECT 'x' AS driver, 1::BIGINT AS zone, day::TIMESTAMPTZ AS at, 1.5::DOUBLE AS amount " +
        "FROM (VALUES ('2001-01-02'), ('20000-01-01'), ('infinity')) AS t(day)",
      {},
    ).toParquet(rig.path);
    const messages = (await store.plan(rig.view())).warnings.map((warning) => warning.message).join("\n");
    expect(messages).toMatch(/1 row of the source has no event timestamp/);
    expect(messages).toMatch(/future, up to 9999-12-31/);
  });

  it("publishes a frame by name", async () => {
    const plan = await rig.trips().by(driver).publish(store, {
      name: "raw_amounts",
      schedule: "1d",
      start: "2001-01-01",
    });
    expect(plan.items.map((item) => item.name)).toEqual(["driver", "raw_amounts"]);
    await plan.apply();
    expect((await store.status()).views[0]).toMatchObject({ name: "raw_amounts", serving: 1, isOnline: false });
  });

  it("says that the source is missing", async () => {
    const view = rig.view();
    await rm(rig.path);
    await expect(store.plan(view)).rejects.toThrow(/trips\.parquet": there is no such file/);
  });
});

describe("StorePlan.apply()", () => {
  it("computes, loads and serves, with progress to the end", async () => {
    const seen: Progress[] = [];
    const applied = await (await store.plan(rig.service())).apply({ onProgress: (progress) => seen.push(progress) });
    expect(applied.views).toEqual([
      { view: "driver_amounts", version: 1, slices: 5, rows: 6, bytes: expect.any(Number), onlineRows: 4 },
    ]);
    expect(seen.at(-1)).toMatchObject({ phase: "done", slicesDone: 5, slicesTotal: 5, rows: 6, onlineRows: 4 });
    expect(await amount()).toBe(4);
    expect(
      await store.online(rig.service(), [{ driver: "1", zone: 12n }, { driver: "11", zone: 2n }, {
        driver: "1",
        zone: 2n,
      }]),
    ).toEqual([
      { amount: 5 },
      { amount: 6 },
      { amount: null },
    ]);
  });

  it("does nothing the second time", async () => {
    await (await store.plan(rig.service())).apply();
    const before = await store.status();
    const plan = await store.plan(rig.service());
    expect(plan.isEmpty).toBe(true);
    expect((await plan.apply()).views).toMatchObject([{ slices: 0, rows: 0, onlineRows: 0 }]);
    const after = await store.status();
    expect(after.revision).toBe(before.revision);
    expect(after.views).toEqual(before.views);
  });

  it("builds a changed definition beside the old one, which serves until then; rollback moves back at once", async () => {
    await (await store.plan(rig.service())).apply();
    const plan = await store.plan(rig.service(10));
    expect(plan.items.find((item) => item.kind === "view")).toMatchObject({ change: "newVersion", version: 2 });
    const seen: unknown[] = [];
    await plan.apply({
      onProgress: ({ phase, slicesDone }) => {
        if (phase === "slices" && slicesDone > 0 && seen.length === 0) seen.push(amount());
      },
    });
    expect(await seen[0]).toBe(4);
    expect(await amount()).toBe(40);
    expect((await store.status()).views[0]).toMatchObject({
      serving: 2,
      versions: [{ state: "kept" }, { state: "serving" }],
    });
    await store.rollback("driver_amounts");
    expect(await amount()).toBe(4);
    await store.rollback("driver_amounts", 2);
    await expect(store.rollback("model")).rejects.toThrow(
      'Cannot roll back service "model": it was never defined otherwise',
    );
    expect(await amount()).toBe(40);
    expect((await store.history({ limit: 2 })).map((change) => change.reason)).toEqual([
      "rollback of driver_amounts",
      "rollback of driver_amounts",
    ]);
  });

  it("computes new slices as time goes by, and late rows of the last slices by lookback", async () => {
    const service = rig.service(1, { lookback: 1 });
    await (await store.plan(service)).apply();
    await rig.write([...trips, { driver: "y", zone: 1, at: "2001-01-05T10:00Z", amount: 50 }, {
      driver: "y",
      zone: 1,
      at: "2001-01-06T01:00Z",
      amount: 60,
    }]);
    rig.clock.set("2001-01-07");
    await (await store.plan(service)).apply();
    expect(await store.online(service, { driver: "y", zone: 1n })).toEqual({ amount: 60 });
    const late = await store.range("driver_amounts", { start: "2001-01-06", end: "2001-01-07" }).rows();
    expect(late.map((row) => row["amount"])).toContain(50);
  });

  it("computes slices again that got rows afterwards, attributes and windows alike (S10)", async () => {
    const types = { ...tripTypes, written: "timestamp" } as const;
    const row = (at: string, written: string, amount: number) => ({
      driver: "x",
      zone: 1n,
      at: toMicros(at),
      written: toMicros(written),
      amount,
    });
    const first = [row("2001-01-02T06:00Z", "2001-01-02T07:00Z", 1), row("2001-01-05T06:00Z", "2001-01-05T07:00Z", 2)];
    const write = (rows: readonly object[]) => fromRows(rows, { schema: types }).toParquet(rig.path);
    await write(first);
    const settings = { schedule: "1d", start: "2001-01-01", online: true } as const;
    const source = parquet(rig.path, { eventTimestamp: "at", writtenTimestamp: "written", schema: types });
    const amounts = view("amounts", source.by(driver), { ...settings, features: ["amount"] });
    const sums = view(
      "sums",
      source.by(driver).aggregate({ total: sum("amount") }, { windows: ["10d"], every: "1h" }),
      settings,
    );
    const model = service("model", [amounts, sums]);
    await (await store.plan(model)).apply();
    const served = () => store.online(model, { driver: "x", zone: 1n });
    expect(await served()).toEqual({ amount: 2, total_10d: 3 });
    await write([...first, row("2001-01-02T08:00Z", "2001-01-06T03:00Z", 10)]);
    rig.clock.set("2001-01-07T01:00Z");
    const lateSlices = async () =>
      (await store.status()).views.map(({ versions }) => versions.map((version) => version.lateSlices));
    expect(await lateSlices()).toEqual([[0], [0]]);
    await store.catchUp();
    expect(await served()).toEqual({ amount: 2, total_10d: 13 });
    expect(await lateSlices()).toEqual([[0], [0]]);
  });

  it("goes on where it was cancelled", async () => {
    const controller = new AbortController();
    const first = (await store.plan(rig.service())).apply({
      signal: controller.signal,
      onProgress: () => controller.abort(new Error("enough")),
    });
    await expect(first).rejects.toMatchObject({ code: "CANCELLED" });
    await (await store.plan(rig.service())).apply();
    expect(await amount()).toBe(4);
  });

  it("goes on where it was cancelled when the same plan is applied again, which commits once", async () => {
    const controller = new AbortController();
    const plan = await store.plan(rig.service());
    const first = plan.apply({
      signal: controller.signal,
      onProgress: () => controller.abort(new Error("enough")),
    });
    await expect(first).rejects.toMatchObject({ code: "CANCELLED" });
    await plan.apply();
    expect(await amount()).toBe(4);
    const { revision } = await store.status();
    expect(await plan.apply()).toMatchObject({ revision, views: [{ slices: 0 }] });
  });

  it("refuses what is no definition rather than find nothing to do", async () => {
    const trips = rig.trips();
    for (const wrong of [trips, [trips.by(driver)], [undefined], 5, null, {}]) {
      await expect(store.publish(wrong as never)).rejects.toThrow(/Cannot publish [^:]+: it is no view/);
    }
  });

  it("ends a job whose source is gone with a clear reason, and the store goes on", async () => {
    const plan = await store.plan(rig.service());
    await rm(rig.path);
    await expect(plan.apply()).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: expect.stringContaining("trips.parquet"),
    });
    const { failures } = (await store.status()).views[0]!;
    expect(failures[0]).toMatchObject({ state: "failed", reason: expect.stringContaining("trips.parquet") });
    await rig.write(trips);
    await store.catchUp();
    expect(await amount()).toBe(4);
  });

  it("names the column when the source does not fit any more", async () => {
    const plan = await store.plan(rig.service());
    await fromRows([{ driver: "x", zone: 1n, at: 5n }], {
      schema: { driver: "string", zone: "int64", at: "timestamp" },
    }).toParquet(rig.path);
    await expect(plan.apply()).rejects.toMatchObject({
      code: "SCHEMA_MISMATCH",
      message: expect.stringContaining('"amount"'),
    });
  });

  it("tells whoever comes second what changed", async () => {
    const other = await rig.connect({ author: "somebody else" });
    const [mine, theirs] = [await store.plan(rig.view(2)), await other.plan(rig.view(3))];
    await theirs.apply();
    await expect(mine.apply()).rejects.toMatchObject({
      code: "CONFLICT",
      message: expect.stringContaining("somebody else"),
    });
  });

  it("stores rows of this process first, so that nobody needs it afterwards", async () => {
    const rows = trips.map((trip) => ({ driver: trip.driver!, amount: trip.amount!, at: new Date(trip.at!) }));
    const frame = fromRows(rows, {
      eventTimestamp: "at",
      schema: { driver: "string", amount: "float64", at: "timestamp" },
    });
    await (await frame.by(entity("one", { driver: "string" })).publish(store, {
      name: "rows",
      schedule: "1d",
      start: "2001-01-01",
      online: true,
    })).apply();
    expect(await store.online("rows", { driver: "x" })).toEqual({ amount: 4 });
    expect((await store.vacuum({ apply: true })).deletedVersions).toEqual([]);
  });

  it("computes a slice that is larger than the memory limit", async () => {
    const rows =
      "SELECT 'driver ' || hash(i) AS driver, i AS zone, TIMESTAMPTZ '2001-01-03' + INTERVAL (i % 86400) SECOND AS at, i / 3 AS amount";
    await sql(`${rows} FROM range(800000) r(i)`).toParquet(rig.path);
    const small = await rig.connect({ memoryLimit: "60MB" });
    const applied = await (await small.plan(rig.view(1, { online: false }))).apply();
    expect(applied.views).toMatchObject([{ rows: 800_000 }]);
  });

  it("returns at once without wait, and the work goes on in this process", async () => {
    const applied = await (await store.plan(rig.service())).apply({ wait: false });
    expect(applied.views).toEqual([]);
    await store.catchUp("driver_amounts");
    expect(await amount()).toBe(4);
  });
});

describe("Store", () => {
  it("materialize() computes a range again and loads it", async () => {
    await (await store.plan(rig.service())).apply();
    await rig.write(trips.map((trip) => ({ ...trip, amount: trip.amount! * 100 })));
    expect(await store.materialize("driver_amounts", { start: "2001-01-04", end: "2001-01-05" })).toMatchObject([{
      slices: 0,
      onlineRows: 0,
    }]);
    const done = await store.materialize("driver_amounts", { start: "2001-01-04", end: "2001-01-05", overwrite: true });
    expect(done).toMatchObject([{ slices: 1, rows: 1, onlineRows: 1 }]);
    expect(await amount()).toBe(400);
    expect(await store.online(rig.service(), { driver: "y", zone: 1n })).toEqual({ amount: 3 });
  });

  it("materialize() computes what serves, also after a rollback, and tells how far it is", async () => {
    await (await store.plan(rig.service())).apply();
    await (await store.plan(rig.service(10))).apply();
    await store.rollback("driver_amounts");
    await rig.write(trips.map((trip) => ({ ...trip, amount: trip.amount! * 100 })));
    const told: Progress[] = [];
    const range = { start: "2001-01-04", end: "2001-01-05", overwrite: true };
    const done = await store.materialize("driver_amounts", { ...range, onProgress: (progress) => told.push(progress) });
    expect(done).toMatchObject([{ version: 1, slices: 1, rows: 1, onlineRows: 1 }]);
    expect(told.at(-1)).toMatchObject({ version: 1, phase: "done", slicesDone: 1, slicesTotal: 1 });
    expect(await amount()).toBe(400);
  });

  it("train() takes the types of plain rows as fromRows does", async () => {
    await (await store.plan(rig.service())).apply();
    const spine = [{ driver: null, zone: null, at: new Date("2001-01-05T00:00Z") }];
    const schema = { driver: "string", zone: "int64", at: "timestamp" } as const;
    const expected = [expect.objectContaining({ driver: null, amount: null })];
    const set = await store.train(rig.service(), spine, { schema });
    expect(await set.rows()).toEqual(expected);
    expect(await (await store.retrain(set.record, spine, { schema })).rows()).toEqual(expected);
    expect((await store.leaks(rig.service(), spine, { schema })).rows).toBe(1);
    const wrong = { ...schema, zone: "integer" as never };
    await expect(store.train(rig.service(), spine, { schema: wrong })).rejects.toThrow(/type of column "zone"/);
  });

  it("waits for many jobs without Node's suspicion of a leak", async () => {
    const told: string[] = [];
    const listen = (warning: Error) => told.push(warning.name);
    process.on("warning", listen);
    onTestFinished(() => void process.off("warning", listen));
    const views = Array.from(
      { length: 12 },
      (_, i) => view(`amounts_${i}`, rig.trips().by(driver), { schedule: "7d", start: "2000-12-28" }),
    );
    await (await store.plan(views)).apply();
    expect(told).not.toContain("MaxListenersExceededWarning");
  });

  it("tells whoever waits that no worker is alive, and what to do", async () => {
    const alone = await rig.connect({ queue: new InProcessQueue({ clock: systemClock }) });
    const stop = new AbortController();
    const told = await new Promise<Progress>((resolve) => {
      const applying = alone.plan(rig.service()).then((plan) =>
        plan.apply({ signal: stop.signal, onProgress: (progress) => progress.phase === "waiting" && resolve(progress) })
      );
      applying.catch(() => undefined);
    });
    expect(told).toMatchObject({ view: "driver_amounts", version: 1, slicesDone: 0, slicesTotal: 5 });
    stop.abort();
    // Where nobody follows it, it is a warning.
    const warning = await new Promise<string>((resolve) => {
      setWarningHook(resolve);
      onTestFinished(() => setWarningHook((message) => process.emitWarning(message, "VarveWarning")));
      alone.catchUp().catch(() => undefined);
    });
    expect(warning).toMatch(/^1 job waits and no worker is alive \(queue: in this process\): start `varve worker`/);
  });

  it("materialize() refuses what has not closed and what is not there", async () => {
    await (await store.plan(rig.service())).apply();
    await expect(store.materialize("driver_amounts", { start: "2002-01-01" })).rejects.toThrow(
      /slices that have closed are/,
    );
    await expect(store.materialize("nothing")).rejects.toThrow(/views are driver_amounts/);
  });

  it("train() gives the same from the source before publishing and offline afterwards", async () => {
    const spine = [
      { driver: "x", zone: 1n, time: new Date("2001-01-03T00:00Z") },
      { driver: "y", zone: 1n, time: new Date("2001-01-02T23:00Z") },
      { driver: "x", zone: 1n, time: new Date("2001-01-05T01:00Z") },
    ];
    const source = await store.train(rig.service(), spine, { from: "source" });
    const early = (await source.rows()).map((row) => row["amount"]);
    source.close();
    expect(early).toEqual([2, null, 4]);
    await expect(store.train(rig.service(), spine)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await (await store.plan(rig.service())).apply();
    const offline = await store.train("model", spine);
    expect((await offline.rows()).map((row) => row["amount"])).toEqual(early);
    await store.materialize("driver_amounts", { overwrite: true });
    const again = await store.retrain(offline.record, spine);
    expect((await again.rows()).map((row) => row["amount"])).toEqual(early);
    // Named, the service types the rows, and has to be the one that the record was made of.
    const typed = await store.retrain(offline.record, spine, { features: rig.service() });
    const values: (number | bigint | null)[] = (await typed.rows()).map(({ amount }) => amount);
    expect(values).toEqual(early);
    const other = service("other", [rig.view().rename({ amount: "sum" })]);
    await expect(store.retrain(offline.record, spine, { features: other })).rejects.toThrow(
      /Cannot rebuild a training set of "other": its features are .*sum .*; give the definition that the record/,
    );
    for (const set of [offline, again, typed]) set.close();
  });

  it("train() and range() refuse choices that are none", async () => {
    await (await store.plan(rig.view())).apply();
    const spine = rig.trips().select("driver", "zone", "at").limit(1);
    await expect(store.train(rig.view(), spine, { asOf: "evnt" as "event" })).rejects.toThrow(
      /asOf is "evnt"; it is "effective" or "event"/,
    );
    await expect(store.train(rig.view(), spine, { from: "sorce" as "source" })).rejects.toMatchObject({
      code: "INVALID_REQUEST",
    });
    expect(() => store.range("driver_amounts", { start: "2001-02-01", end: "2001-01-01" })).toThrow(/it is empty/);
  });

  it("preview() and range() read before and after publishing", async () => {
    const preview = await store.preview(rig.view(), { at: "2001-01-03T00:00Z" }).rows();
    expect(preview.map((row) => [row["driver"], row["amount"]])).toEqual([["x", 2], ["y", 3]]);
    await (await store.plan(rig.service())).apply();
    const range = await store.range("driver_amounts", { start: "2001-01-01", end: "2001-02-01" }).rows();
    expect(range.filter((row) => row["driver"] === "x").map((row) => [row["amount"], String(row["valid_from"])]))
      .toEqual([
        [1, "2001-01-02T00:00:00Z"],
        [2, "2001-01-03T00:00:00Z"],
        [4, "2001-01-05T00:00:00Z"],
      ]);
  });

  it("onlineDetails() tells missing, expired and null keys apart", async () => {
    const service = rig.service(1, { ttl: "3d" });
    await (await store.plan(service)).apply();
    const keys = [x, { driver: "nobody", zone: 1n }, { driver: null, zone: 1n }];
    const { features, answers } = await store.onlineDetails(service, keys);
    expect(features.map((feature) => feature.name)).toEqual(["amount"]);
    expect(answers.map((answer) => answer.statuses[0])).toEqual(["PRESENT", "MISSING", "NULL_KEY"]);
    const later = await store.onlineDetails(service, [x], { at: "2001-01-07T00:00Z" });
    expect(later.answers[0]).toMatchObject({ values: [null], statuses: ["EXPIRED"] });
  });

  it("delete() removes the view and, in time, its data", async () => {
    await (await store.plan(rig.service())).apply();
    await (await store.delete("service:model", "view:driver_amounts")).apply();
    expect((await store.status()).views).toEqual([]);
    await expect(store.online("model", x)).rejects.toMatchObject({ code: "NOT_FOUND" });
    const sentence = 'version 1 of view "driver_amounts", which is registered no more';
    expect(`${await store.vacuum()}`).toContain(`${sentence} could be removed`);
    expect(`${await store.vacuum({ apply: true })}`).toContain(`removed ${sentence}`);
    await expect(stat(join(rig.folder, "store/objects/default/views/driver_amounts/1/_delta_log"))).rejects.toThrow();
    expect((await store.vacuum()).deletedVersions).toEqual([]);
    expect(`${await store.vacuum()}`).toBe("nothing to remove");
  });

  it("cancel() stops jobs of a view", async () => {
    await (await store.plan(rig.service())).apply({ wait: false });
    expect(await store.cancel("driver_amounts")).toBe(1);
    expect((await store.status()).views[0]).toMatchObject({
      building: 1,
      failures: [{ state: "cancelled", reason: "cancelled by hand" }],
    });
    await store.catchUp();
    expect(await amount()).toBe(4);
  });

  it("rebuilds a lost online store from the offline one", async () => {
    await (await store.plan(rig.service())).apply();
    await store.close();
    await rm(join(rig.folder, "store/online"), { recursive: true });
    store = await rig.connect();
    await expect(store.online("model", x)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await rm(rig.path);
    expect((await store.catchUp())[0]).toMatchObject({ slices: 0, onlineRows: 4 });
    expect(await store.online("model", x)).toEqual({ amount: 4 });
  });

  it("status() shows coverage and how far behind it is", async () => {
    await (await store.plan(rig.service())).apply();
    rig.clock.set("2001-01-08T06:00Z");
    const { views, online } = await store.status();
    expect(online).toContain("LMDB");
    expect(views[0]!.versions[0]).toMatchObject({
      state: "serving",
      slicesDone: 5,
      slicesTotal: 7,
      rows: 6,
      files: 4,
      upTo: "2001-01-06T00:00:00Z",
      behind: "2d6h",
      online: { upToDate: true, watermark: "2001-01-06T00:00:00Z" },
    });
  });
});
