import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from "vitest";
import { realtimeView } from "../../sdk/define/realtime_view.ts";
import { service } from "../../sdk/define/service.ts";
import { view } from "../../sdk/define/view.ts";
import { last } from "../../sdk/frame/aggregates.ts";
import { col } from "../../sdk/frame/expr.ts";
import { requestTimestamp } from "../../sdk/frame/request_time.ts";
import { fromRows } from "../../sdk/frame/sources.ts";
import { render } from "../../sdk/notebook/render.ts";
import type { Store } from "../../sdk/store.ts";
import { driver, StoreRig, trips } from "./store_rig.ts";

let rig: StoreRig;
let store: Store;
beforeEach(async () => {
  rig = await StoreRig.open();
  await rig.write(trips);
  store = await rig.connect();
});
afterEach(() => rig.close());

const daily = { schedule: "1d", start: "2001-01-01", online: true } as const;
const x = { driver: "x", zone: 1n };
const nobody = { driver: "nobody", zone: 1n };

/** The amount of a request against the mean of the last ten. */
function seed() {
  const amounts = rig.trips().by(driver).aggregate({ newest: last("amount", 10) }, { windows: ["5d"] });
  const spend = view("spend", amounts, daily);
  const ratio = realtimeView("amount_ratio", {
    request: { amount: "float64" },
    from: [spend.select("newest_5d")],
    features: { ratio: col("amount").divide(col("newest_5d").list.mean()), hour: requestTimestamp().dt.hour() },
  });
  return { spend, ratio, model: service("model", [ratio, spend]) };
}

describe("a store, of realtime views", () => {
  it("serves what a request and what is stored give together, and trains on the same", async () => {
    const { ratio, model } = seed();
    const plan = await store.publish(model);
    expect(String(plan)).toContain(
      "+ realtime view amount_ratio, version 1\n    request amount float64\n    reads spend.newest_5d\n" +
        "    ratio = amount / listMean(newest_5d)",
    );
    await plan.apply();
    expect((await store.publish(model)).isEmpty).toBe(true);
    rig.clock.set("2001-01-06T13:30:00Z");
    // 7 / 3 is the mean of 1, 2 and 4.
    const answer = await store.online(model, x, { request: { amount: 14 } });
    expect(answer).toEqual({ ratio: 14 / ((1 + 2 + 4) / 3), hour: 13, newest_5d: [1, 2, 4] });
    expectTypeOf(answer).toEqualTypeOf<
      { ratio: number | null; hour: number | null; newest_5d: readonly number[] }
    >();
    expect(await store.online(model, nobody, { request: { amount: 14 } })).toEqual({
      ratio: null,
      hour: 13,
      newest_5d: [],
    });
    expect(await store.online(ratio, [x, nobody], { request: [{ amount: null }, { amount: 1 }] })).toEqual([
      { ratio: null, hour: 13 },
      { ratio: null, hour: 13 },
    ]);
    const { answers, features } = await store.onlineDetails("model", [x], { request: { amount: 7 } });
    expect(features.map(({ namespace, name, view, version }) => [namespace, name, view, version])).toEqual([
      ["amount_ratio", "ratio", "amount_ratio", 1],
      ["amount_ratio", "hour", "amount_ratio", 1],
      ["spend", "newest_5d", "spend", 1],
    ]);
    expect(answers[0]).toMatchObject({
      statuses: ["PRESENT", "PRESENT", "PRESENT"],
      effectiveTimes: [rig.clock.now(), rig.clock.now(), expect.anything()],
    });

    const spine = fromRows(
      [{ ...x, amount: 14, at: "2001-01-06T13:30:00Z" }, { ...nobody, amount: 14, at: "2001-01-06T13:30:00Z" }],
      { schema: { driver: "string", zone: "int64", amount: "int32", at: "timestamp" } },
    );
    for (const from of ["offline", "source"] as const) {
      const train = await store.train(model, spine, { from, statuses: true, effectiveTimestamps: true });
      const rows = await train.rows();
      expect(rows.map(({ ratio, hour, newest_5d }) => ({ ratio, hour, newest_5d }))).toEqual([
        answer,
        { ratio: null, hour: 13, newest_5d: [] },
      ]);
      expect(rows[1]).toMatchObject({ amount_ratio__status: "PRESENT", spend__status: "MISSING" });
      expect(train.schema.map(({ name }) => name)).toEqual(Object.keys(rows[0]!));
      expect(String(train.versions["amount_ratio"]?.view)).toBe("amount_ratio");
    }
  });

  it("says which request fields there are", async () => {
    const { model, spend } = seed();
    await (await store.publish(model)).apply();
    const read = (request: unknown) => store.online(model, x, { request } as never);
    await expect(store.online("model", x)).rejects.toThrow(
      'Cannot read service "model": request field "amount" is missing (null where there is none); request fields are amount float64',
    );
    await expect(read({ amount: "12" })).rejects.toThrow('request field "amount" does not fit: "12" is not float64');
    await expect(read({ amount: 1, amonut: 2 })).rejects.toThrow('there is no request field "amonut"');
    await expect(read([{ amount: 1 }, { amount: 2 }])).rejects.toThrow("there are 1 keys and 2 requests");
    await expect(store.online(model, [x, x], { request: [{ amount: 1 }, {}] } as never)).rejects.toThrow(
      "(row 1 of 2, from 0)",
    );
    await expect(store.online(spend, x, { request: { amount: 1 } })).rejects.toThrow(
      /^Cannot read view "spend": .*request fields are none/,
    );
    const spine = fromRows([{ ...x, at: "2001-01-06T13:30:00Z" }], {
      schema: { driver: "string", zone: "int64", at: "timestamp" },
    });
    await expect(store.train(model, spine)).rejects.toThrow('request field "amount": the spine has no such column');
    await expect(store.train(model, spine.derive({ amount: col("driver") }))).rejects.toThrow(
      "the spine has it as string, requests give float64; cast it",
    );
    // @ts-expect-error: the fields of a request are missing
    await expect(store.online(model, x)).rejects.toThrow("is missing");
  });

  it("wants structs of requests whole", async () => {
    const pair = realtimeView("pair", {
      request: { pairs: { list: { struct: [{ name: "a", type: "int64" }, { name: "b", type: "string" }] } } },
      features: { first: col("pairs").list.first() },
    });
    await (await store.publish(service("pairs", [pair]))).apply();
    const read = (...pairs: unknown[]) => store.online("pairs", {}, { request: { pairs } });
    expect(await read({ a: 1n, b: null })).toEqual({ first: { a: 1n, b: null } });
    await expect(read({ a: 1n, b: "", c: 2 })).rejects.toThrow(
      'there is no field "c"; it is struct<a int64, b string>',
    );
    await expect(read({ b: "" })).rejects.toThrow('field "a" is missing (null where there is none)');
  });

  it("looks the same keys up once, and others again, and fills defaults in before and after", async () => {
    const spend = view("spend", rig.trips().by(driver), { ...daily, features: ["amount"], defaults: { amount: 2 } });
    const doubled = realtimeView("doubled", {
      request: { factor: "int64" },
      from: [spend],
      features: { product: col("amount").times(col("factor")) },
      defaults: { product: -1 },
    });
    const model = service("model", [
      spend,
      doubled,
      doubled.mapKeys({ driver: "other" }).as("other").rename({ product: "other_product" }),
    ]);
    await (await store.publish(model)).apply();
    const online = await store.onlineDetails(model, [{ ...x, other: "nobody" }, { ...x, other: null }], {
      request: [{ factor: 3n }, { factor: null }],
    });
    expect(online.answers.map(({ values }) => values)).toEqual([[4, 12, 6], [4, -1, -1]]);
    expect(online.features.map(({ name }) => name)).toEqual(["amount", "product", "other_product"]);
    const spine = fromRows(
      [
        { ...x, other: "nobody", factor: 3n, at: "2001-01-06T00:00Z" },
        { ...x, other: null, factor: null, at: "2001-01-06T00:00Z" },
      ],
      { schema: { driver: "string", zone: "int64", other: "string", factor: "int64", at: "timestamp" } },
    );
    const train = await store.train(model, spine);
    expect((await train.rows()).map((row) => [row["amount"], row["product"], row["other_product"]])).toEqual([
      [4, 12, 6],
      [4, -1, -1],
    ]);
    expect(train.schema.map(({ name }) => name)).toEqual(
      ["driver", "zone", "other", "factor", "at", "amount", "product", "other_product"],
    );
  });

  it("refuses values that have no result, naming the row", async () => {
    const clock = realtimeView("whole", { request: { n: "int32" }, features: { more: col("n").plus(1) } });
    await (await store.publish(clock)).apply();
    expect(await store.online(clock, {}, { request: { n: 1 } })).toEqual({ more: 2 });
    const tooMuch = { n: 2 ** 31 - 1 };
    await expect(store.online(clock, [{}, {}], { request: [{ n: 1 }, tooMuch] })).rejects.toMatchObject({
      code: "INVALID_REQUEST",
      message: expect.stringMatching(/feature "more" of realtime view "whole" for row 1 of 2.*out of range/),
    });
    const spine = fromRows([tooMuch].map((row) => ({ ...row, at: new Date(0) })));
    const train = await store.train(clock, spine);
    await expect(train.rows()).rejects.toThrow("for row 0 of the spine");
  });

  it("is what it was until the views that it reads are complete", async () => {
    const { model } = seed();
    await (await store.publish(model)).apply();
    const first = await store.online("model", x, { request: { amount: 14 } });
    const richer = view(
      "spend",
      rig.trips().by(driver).aggregate({ newest: last("amount", 2), n: last("zone", 1) }, { windows: ["5d"] }),
      daily,
    );
    const changed = realtimeView("amount_ratio", {
      request: { amount: "float64" },
      from: [richer],
      features: { ratio: col("amount").plus(col("newest_5d").list.mean()), hour: col("n_5d").list.length() },
    });
    // The plan of the view alone would leave nothing that reads it behind.
    const without = view("spend", rig.trips().by(driver).aggregate({ n: last("zone", 1) }, { windows: ["5d"] }), daily);
    await expect(store.publish(without)).rejects.toThrow(
      'realtimeView:amount_ratio: from.spend: view "spend" has no feature "newest_5d"; features are n_5d; ' +
        "this plan would break it",
    );
    const next = service("model", [changed, richer]);
    const plan = await store.publish(next);
    expect(String(plan)).toContain("~ realtime view amount_ratio, version 2\n    adds n_5d (spend.n_5d)");
    await plan.plan.apply();
    expect(await store.online("model", x, { request: { amount: 14 } })).toMatchObject({ ratio: 6 });
    await store.catchUp();
    expect(await store.online("model", x, { request: { amount: 14 } })).toMatchObject({ ratio: 14 + 3, hour: 1 });
    await expect(store.rollback("spend")).rejects.toThrow(
      /realtimeView:amount_ratio: from\.spend: view "spend" has no feature "n_5d".*\n.*Name what was changed together in one rollback, as in `varve rollback spend amount_ratio model`/s,
    );
    await expect(store.rollback(["spend", "amount_ratio"], 1)).rejects.toThrow("a version is of one view");
    const change = await store.rollback([next, changed, "spend"]);
    expect([change.reason, change.actions.map(({ kind }) => kind)]).toEqual([
      "rollback of model, amount_ratio, spend",
      ["putService", "putRealtimeView", "serve"],
    ]);
    expect(await store.online("model", x, { request: { amount: 14 } })).toEqual(first);
    // And back again.
    await store.rollback(["spend", "amount_ratio", "model"]);
    expect(await store.online("model", x, { request: { amount: 14 } })).toMatchObject({ ratio: 14 + 3, hour: 1 });
  });

  it("is rolled back to the definition before", async () => {
    const fixed = (n: number) =>
      realtimeView("fixed", { request: { amount: "float64" }, features: { total: col("amount").plus(n) } });
    await (await store.publish(fixed(1))).apply();
    const plan = await store.publish(fixed(2));
    expect(String(plan)).toBe(
      "~ realtime view fixed, version 2\n    feature total: amount + 1 -> amount + 2",
    );
    await plan.apply();
    await expect(store.online("fixed", {})).rejects.toThrow(
      'Cannot read realtime view "fixed": request field "amount"',
    );
    const total = async () => (await store.online("fixed", {}, { request: { amount: 1 } }))["total"];
    expect(await total()).toBe(3);
    await store.rollback("fixed");
    expect(await total()).toBe(2);
    await store.rollback("fixed", 2);
    expect(await total()).toBe(3);
    await expect(store.rollback("fixed", 9)).rejects.toThrow("earlier versions are 1, 2, 3");
  });

  it("is deleted before what it reads, and after what reads it", async () => {
    const { model } = seed();
    await (await store.publish(model)).apply();
    await expect(store.delete("service:model", "view:spend")).rejects.toThrow(
      'realtimeView:amount_ratio: it reads view "spend", to be deleted; delete the realtime view too',
    );
    await expect(store.delete("realtimeView:amount_ratio")).rejects.toThrow(
      'service:model: it reads view "amount_ratio", to be deleted',
    );
    await (await store.delete("view:spend", "realtimeView:amount_ratio", "service:model")).apply();
    await expect(store.online("amount_ratio", x)).rejects.toThrow("views are none");
  });

  it("rebuilds a training set byte for byte after its definition has changed", async () => {
    const { model } = seed();
    await (await store.publish(model)).apply();
    const spine = fromRows([{ ...x, amount: 14.5, at: "2001-01-06T13:30:00Z" }], {
      schema: { driver: "string", zone: "int64", amount: "float64", at: "timestamp" },
    });
    const first = await store.train(model, spine);
    const record = JSON.parse(JSON.stringify(first.record)) as typeof first.record;
    expect(record.format).toBe(2);
    const changed = realtimeView("amount_ratio", {
      request: { amount: "float64" },
      features: { ratio: col("amount"), hour: requestTimestamp().dt.minute() },
    });
    await (await store.publish(changed)).apply();
    expect((await (await store.train("model", spine)).rows())[0]).toMatchObject({ ratio: 14.5, hour: 30 });
    const again = await store.retrain(record, spine);
    expect(await again.rows()).toEqual(await first.rows());
    const bytes = async (set: Pick<typeof first, "parquet">, name: string) => {
      const { readFile } = await import("node:fs/promises");
      const path = `${rig.folder}/${name}.parquet`;
      await set.parquet(path);
      return await readFile(path);
    };
    expect((await bytes(again, "b")).equals(await bytes(first, "a"))).toBe(true);
  });

  it("finds no leak in what the request itself gives", async () => {
    const { model } = seed();
    await (await store.publish(model)).apply();
    const spine = fromRows([{ ...x, amount: 14, at: "2001-01-04T10:00:00Z" }], {
      schema: { driver: "string", zone: "int64", amount: "float64", at: "timestamp" },
    });
    const report = await store.leaks(model, spine);
    expect(report.features.map(({ feature, rows }) => [feature, rows])).toContainEqual(["hour", 0]);
  });

  it("explains what was computed, of what, and where that comes from", async () => {
    const { ratio, spend, model } = seed();
    const keys = { ...x };
    const fresh = await store.explain(ratio, keys, { request: { amount: 14 }, from: "source" });
    expect(fresh.features.map(({ feature, view, value }) => [feature, view, value])).toEqual([
      ["ratio", "amount_ratio", 6],
      ["hour", "amount_ratio", 0],
      ["amount_ratio.newest_5d", "spend", [1, 2, 4]],
    ]);
    await (await store.publish(model)).apply();
    const found = await store.explain(model, keys, { request: { amount: "14" }, at: "2001-01-06T09:00Z" });
    expect(found.from).toBe("offline");
    expect(found.feature("ratio")).toMatchObject({
      value: 6,
      status: "PRESENT",
      used: { rule: "computed", reason: "at the request: amount / listMean(newest_5d)", count: 0 },
      notes: ["amount = 14, from the request", "newest_5d = [1,2,4], from newest_5d"],
    });
    expect(found.feature("hour")).toMatchObject({
      value: 9,
      notes: ['requestTimestamp() = "2001-01-06T09:00:00Z", from the request'],
    });
    expect(found.feature("newest_5d").used.count).toBe(3);
    expect(String(found)).toContain("computed");
    const one = await store.explain(model, keys, { request: { amount: 14 }, features: ["ratio"] });
    expect(one.features.map(({ feature }) => feature)).toEqual(["ratio", "amount_ratio.newest_5d"]);
    await expect(store.explain(model, keys)).rejects.toThrow('request field "amount" is missing');
    expect((await store.explain(spend, keys)).features).toHaveLength(1);
  });

  it("is written back, listed and shown", async () => {
    const { ratio, model } = seed();
    await (await store.publish(model)).apply();
    const text = String(await store.source("amount_ratio"));
    expect(text).toContain("export const spend = view(");
    expect(text).toContain("export const amountRatio = realtimeView(");
    const status = await store.status();
    expect(status.realtimeViews).toEqual([{ name: "amount_ratio", serving: 1, reads: ["spend"] }]);
    expect(String(status)).toContain("realtime views: amount_ratio version 1 of spend");
    const shown = (value: object) => render(value).first["text/plain"];
    expect(shown(ratio)).toContain("amount / listMean(newest_5d)");
    expect(shown(ratio)).toContain("requests give amount float64 · reads spend.newest_5d");
    expect(shown(model)).toContain("looked up by driver, zone · requests give amount float64");
    await expect(store.skew("amount_ratio")).rejects.toThrow('compare what it reads, "spend"');
    await expect(store.preview("amount_ratio").rows()).rejects.toThrow("it is computed at the request; give train");
  });
});
