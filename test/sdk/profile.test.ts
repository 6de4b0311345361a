/** Profiles of views against plain loops over the same rows. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { entity } from "../../sdk/define/entity.ts";
import { type FeatureView, view } from "../../sdk/define/view.ts";
import { col } from "../../sdk/frame/expr.ts";
import { count, last, mean } from "../../sdk/frame/aggregates.ts";
import { fromRows } from "../../sdk/frame/sources.ts";
import type { Store } from "../../sdk/store.ts";
import { StoreRig } from "./store_rig.ts";
import "../../sdk/mod.ts";

interface Sale {
  readonly shop: string;
  readonly at: Date;
  readonly amount: number | null;
  readonly returned: boolean | null;
  readonly kind: string;
}

const day = 86_400_000;
const first = Date.parse("2001-01-01T00:00Z");
const types = { shop: "string", at: "timestamp", amount: "float64", returned: "boolean", kind: "string" } as const;

/** Rows of a small generator that is the same in every run. */
function sales(count: number): Sale[] {
  let state = 1;
  const next = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  return Array.from({ length: count }, (_, i) => {
    const shop = `shop ${Math.floor(next() * next() * 8)}`;
    return {
      shop,
      at: new Date(first + Math.floor(next() * 5 * day) + i),
      amount: next() < 0.2 ? null : i === 3 ? Infinity : Math.round(next() * 100),
      returned: next() < 0.1 ? null : next() < 0.3,
      kind: ["new", "old", "odd"][Math.floor(next() * 3)]!,
    };
  });
}

const rows = sales(600);
const numbers = (list: readonly Sale[]) =>
  list.flatMap(({ amount }) => amount === null || !Number.isFinite(amount) ? [] : [amount]);
const average = (list: readonly number[]) => list.reduce((sum, each) => sum + each, 0) / list.length;

const shop = entity("shop", { shop: "string" });
const frame = fromRows(rows, { eventTimestamp: "at", schema: types });
const salesView = view("sales", frame.by(shop), { schedule: "1d", start: "2001-01-01", end: "2001-01-06" });
const windows = frame.by(shop).aggregate({ sold: count(), amountMean: mean("amount"), lastKinds: last("kind", 2) }, {
  windows: ["1d", "2d"],
});
const windowView = view("windows", windows, {
  schedule: "1d",
  start: "2001-01-01",
  end: "2001-01-06",
  dataDelay: "2h",
});

let rig: StoreRig;
let store: Store;
beforeAll(async () => {
  rig = await StoreRig.open();
  store = await rig.connect();
  rig.clock.set("2001-02-01");
  await (await store.publish([salesView, windowView])).apply();
});
afterAll(() => rig.close());

describe.each(["source", "store"] as const)("view.profile() of rows, from the %s", (where) => {
  const profiled = (options: Parameters<typeof salesView.profile>[0] = {}) =>
    salesView.profile({ ...options, ...(where === "store" && { store }) });

  it("counts rows, keys, nulls and values", async () => {
    const profile = await profiled();
    expect(profile).toMatchObject({
      view: "sales",
      from: where === "store" ? "offline" : "source",
      of: "rows",
      every: "1d",
      rowCount: rows.length,
      rowsRead: rows.length,
      keys: new Set(rows.map((row) => row.shop)).size,
    });
    const nulls = rows.filter(({ amount }) => amount === null).length;
    expect(profile.feature("amount")).toMatchObject({
      type: "float64",
      rows: rows.length,
      nulls,
      nullShare: nulls / rows.length,
      notFinite: 1,
      min: Math.min(...numbers(rows)),
      max: Math.max(...numbers(rows)),
      distinct: new Set(rows.flatMap(({ amount }) => amount ?? [])).size,
    });
    expect(profile.feature("amount").mean).toBeCloseTo(average(numbers(rows)), 9);
    const told = rows.filter(({ returned }) => returned !== null);
    expect(profile.feature("returned").mean).toBeCloseTo(
      told.filter(({ returned }) => returned).length / told.length,
      9,
    );
    const kinds = ["new", "old", "odd"].map((value) => ({
      value,
      rows: rows.filter(({ kind }) => kind === value).length,
    }));
    expect(profile.feature("kind").values).toEqual(kinds.sort((a, b) => b.rows - a.rows));
  });

  it("tells how a number lies", async () => {
    const { bins, quantiles } = (await profiled()).feature("amount");
    const all = numbers(rows).sort((a, b) => a - b);
    expect(bins.reduce((sum, bin) => sum + bin.rows, 0)).toBe(all.length);
    expect([bins[0]!.from, bins.at(-1)!.to]).toEqual([all[0], all.at(-1)]);
    for (const bin of bins.slice(0, -1)) {
      expect(bin.rows).toBe(all.filter((each) => each >= bin.from && each < bin.to).length);
    }
    expect(quantiles!.p50).toBe((all[Math.floor((all.length - 1) / 2)]! + all[Math.ceil((all.length - 1) / 2)]!) / 2);
  });

  it("follows a feature over time and by entity", async () => {
    const { overTime, byEntity } = (await profiled({ entities: 2 })).feature("amount");
    for (const [i, interval] of overTime.entries()) {
      const inside = rows.filter(({ at }) => Math.floor((at.getTime() - first) / day) === i);
      expect(interval).toMatchObject({ rows: inside.length });
      expect(interval.at.toDate().getTime()).toBe(first + i * day);
      expect(interval.mean).toBeCloseTo(average(numbers(inside)), 9);
      expect(interval.nullShare).toBeCloseTo(inside.filter(({ amount }) => amount === null).length / inside.length, 9);
    }
    expect(overTime).toHaveLength(5);
    const shops = [...new Set(rows.map((row) => row.shop))].map((name) => rows.filter((row) => row.shop === name))
      .sort((a, b) => b.length - a.length).slice(0, 2);
    expect(byEntity.map(({ key, rows }) => [key["shop"], rows])).toEqual(shops.map((of) => [of[0]!.shop, of.length]));
    for (const [i, of] of shops.entries()) expect(byEntity[i]!.mean).toBeCloseTo(average(numbers(of)), 9);
  });

  it("looks at the features, times and number of rows that it is told to", async () => {
    const profile = await profiled({ features: ["kind"], start: "2001-01-02", end: "2001-01-04", every: "2d" });
    expect(profile.features.map(({ feature }) => feature)).toEqual(["kind"]);
    const inside = rows.filter(({ at }) => at.getTime() >= first + day && at.getTime() < first + 3 * day);
    expect(profile.rowCount).toBe(inside.length);
    expect(profile.feature("kind").overTime.map(({ rows }) => rows).reduce((a, b) => a + b)).toBe(inside.length);
    const sample = await profiled({ maxRows: 100 });
    expect(sample.rowCount).toBe(rows.length);
    expect(sample.rowsRead).toBeGreaterThan(50);
    expect(sample.rowsRead).toBeLessThan(150);
    expect(sample.summary()).toContain(`a sample of ${sample.rowsRead} of 600 rows`);
    expect((await profiled({ maxRows: 100 })).rows()).toEqual(sample.rows());
  });
});

describe.each(["source", "store"] as const)("view.profile() of windows, from the %s", (where) => {
  it("asks at the end of each interval, from each key's first row on", async () => {
    const profile = await windowView.profile(where === "store" ? { store } : {});
    expect(profile).toMatchObject({ of: "windows", every: "1d" });
    const shops = [...new Set(rows.map((row) => row.shop))];
    const asked = shops.flatMap((name) => {
      const of = rows.filter((row) => row.shop === name);
      const start = Math.min(...of.map(({ at }) => at.getTime()));
      return [1, 2, 3, 4, 5].map((days) => first + days * day).filter((at) => at > start).map((at) => ({
        at,
        name,
        inside: of.filter((row) => row.at.getTime() >= at - day && row.at.getTime() < at),
      }));
    });
    expect(profile.rowCount).toBe(asked.length);
    expect(profile.rowsRead).toBe(asked.length);
    const sold = profile.feature("sold_1d");
    expect(sold.mean).toBeCloseTo(average(asked.map(({ inside }) => inside.length)), 9);
    for (const { at, rows: n, mean } of sold.overTime) {
      const then = asked.filter((each) => each.at === at.toDate().getTime());
      expect(n).toBe(then.length);
      expect(mean).toBeCloseTo(average(then.map(({ inside }) => inside.length)), 9);
    }
    expect(sold.overTime).toHaveLength(5);
    for (const { key, mean } of sold.byEntity) {
      const of = asked.filter(({ name }) => name === key["shop"]);
      expect(mean).toBeCloseTo(average(of.map(({ inside }) => inside.length)), 9);
    }
    expect(profile.feature("lastKinds_2d")).toMatchObject({ distinct: null, mean: null, bins: [], nulls: 0 });
  });

  it("looks at some of the keys where they are many, and at those with the most rows all the same", async () => {
    const profile = await windowView.profile({ maxRows: 10, entities: 8, ...(where === "store" && { store }) });
    expect(profile.rowsRead).toBeLessThan(profile.rowCount);
    for (const { mean } of profile.feature("sold_1d").byEntity) expect(mean).not.toBeNull();
  });
});

describe("profiles", () => {
  it("of a name that is not known say which there are", async () => {
    // @ts-expect-error there is no such feature
    await expect(salesView.profile({ features: ["amuont"] })).rejects.toThrow(
      'Cannot profile feature "amuont" of view "sales": features are amount, returned, kind',
    );
    const profile = await salesView.profile({ features: ["amount"] });
    // @ts-expect-error it was not looked at
    expect(() => profile.feature("kind")).toThrow(/it has amount/);
    await expect(salesView.profile({ every: "5h" })).rejects.toThrow(/the schedule is 1d; give a multiple of it/);
    await expect(salesView.profile({ maxRows: 0 })).rejects.toThrow(/maxRows 0/);
    await expect(store.profile("nothing")).rejects.toThrow(/nothing/);
  });

  it("of no rows are empty", async () => {
    for (const options of [{}, { store }]) {
      for (const each of [salesView, windowView] as FeatureView[]) {
        const profile = await each.profile({ start: "2000-01-01", end: "2000-06-01", ...options });
        expect(profile).toMatchObject({ rowCount: 0, rowsRead: 0, keys: 0, range: undefined });
        expect(profile.features[0]).toMatchObject({ nulls: 0, nullShare: 0, mean: null, overTime: [], byEntity: [] });
      }
    }
  });

  it("keep names of columns apart from their own, and take any values", async () => {
    const odd = fromRows(
      [
        { at: 1n, n: 1e308, first: 5n, sampled: "x", when: new Date(first) },
        { at: 1n, n: -1e308, first: null, sampled: "y", when: new Date(first + 1) },
        { at: 2n, n: NaN, first: 2n ** 62n, sampled: "", when: new Date(first + 2) },
      ],
      {
        eventTimestamp: "when",
        schema: { at: "int64", n: "float64", first: "int64", sampled: "string", when: "timestamp" },
      },
    );
    const key = entity("key", { at: "int64" });
    const options = { schedule: "1d", start: "2001-01-01" } as const;
    const found = await view("odd", odd.by(key), options).profile();
    expect(found.feature("n")).toMatchObject({ min: -1e308, max: 1e308, notFinite: 1, nulls: 0 });
    expect(found.feature("n").bins.reduce((sum, { rows }) => sum + rows, 0)).toBe(2);
    expect(found.feature("first").max).toBe(2n ** 62n);
    const windowed = view(
      "odd",
      odd.filter(col("n").isNotNull()).by(key).aggregate([count()], { windows: ["1d"] }),
      options,
    );
    expect((await windowed.profile()).feature("count_1d").mean).toBe(1.5);
  });
});
