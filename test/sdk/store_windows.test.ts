import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from "vitest";
import "../../sdk/preview_windows.ts";
import { service } from "../../sdk/define/service.ts";
import { view } from "../../sdk/define/view.ts";
import { count, last, mean, sum, varPop, varSamp } from "../../sdk/frame/aggregates.ts";
import { lit } from "../../sdk/frame/expr.ts";
import { fromRows } from "../../sdk/frame/sources.ts";
import { series } from "../../sdk/frame/windows.ts";
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

function amounts() {
  return rig.trips().by(driver).aggregate(
    { n: count(), total: sum("amount"), newest: last("amount", 2) },
    { windows: ["1d", "5d", { window: "2d", offset: "-3d" }, series({ window: "1d", from: "-3d" })] },
  );
}

const ofX = {
  n_1d: 0n,
  total_1d: null,
  newest_1d: [],
  n_5d: 3n,
  total_5d: 7,
  newest_5d: [2, 4],
  n_2d_offset_3d: 2n,
  total_2d_offset_3d: 3,
  newest_2d_offset_3d: [1, 2],
  n_1d_series_3d: [0n, 1n, 0n],
  total_1d_series_3d: [null, 4, null],
  newest_1d_series_3d: [[], [4], []],
};

describe("a store, of aggregations over windows", () => {
  it("publishes them by name, serves them, and trains on the same values", async () => {
    const plan = await amounts().publish(store, { name: "amounts", ...daily });
    expect(String(plan)).toContain("tiles of 1d, edge complete");
    await plan.apply();
    expect((await amounts().publish(store, { name: "amounts", ...daily })).isEmpty).toBe(true);
    expect(await store.online("amounts", x)).toEqual(ofX);
    await expect(store.range("amounts", { start: "2001-01-01", end: "2001-01-03" }).rows()).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("train on a spine of the keys and instants"),
    });

    const spine = fromRows([{ ...x, at: "2001-01-06T00:00:00Z" }, {
      driver: "z",
      zone: 1n,
      at: "2001-01-06T00:00:00Z",
    }], {
      eventTimestamp: "at",
      schema: { driver: "string", zone: "int64", at: "timestamp" },
    });
    const [trained, unknown] = await (await store.train("amounts", spine)).rows();
    expect(trained).toMatchObject(ofX);
    expect(unknown).toMatchObject({ n_5d: 0n, total_5d: null, newest_5d: [], n_1d_series_3d: [0n, 0n, 0n] });
  });

  it.each([
    ["their", { a_mean: mean("amount"), b_sum: sum("amount"), c_pop: varPop("amount"), d_samp: varSamp("amount") }],
    ["another", { b_sum: sum("amount"), d_samp: varSamp("amount"), c_pop: varPop("amount"), a_mean: mean("amount") }],
  ])("serves each result of what is added up once, asked for in %s order", async (_, aggregations) => {
    const frame = rig.trips().by(driver).aggregate(aggregations, { windows: ["5d"] });
    await (await frame.publish(store, { name: "shared", ...daily })).apply();
    const squares = 1 + 4 + 16 - 49 / 3;
    const served = await store.online("shared", x);
    expect(Object.keys(served)).toEqual(Object.keys(aggregations).map((name) => `${name}_5d`));
    expect(served).toEqual({
      a_mean_5d: 7 / 3,
      b_sum_5d: 7,
      c_pop_5d: expect.closeTo(squares / 3, 12),
      d_samp_5d: expect.closeTo(squares / 2, 12),
    });
  });

  it("names the view and the aggregation that has no value, in previews, training and requests", async () => {
    const huge = rig.trips().derive({ huge: lit(2n ** 62n) }).by(driver);
    const totals = view("totals", huge.aggregate({ total: sum("huge") }, { windows: ["5d"], every: "1d" }), daily);
    await (await store.publish(totals)).apply();
    const message =
      'Cannot read view "totals": Cannot compute "total": a sum of int64 leaves 64 bits; cast the input ' +
      "to float64";
    const wrong = expect.objectContaining({ code: "SCHEMA_MISMATCH", message });
    await expect(store.online(totals, x)).rejects.toThrow(wrong);
    await expect(store.preview(totals).rows()).rejects.toThrow(wrong);
    const spine = [{ ...x, at: new Date("2001-01-06T00:00Z") }];
    for (const from of ["source", "offline"] as const) {
      await expect(store.train(totals, spine, { from }).then((set) => set.rows())).rejects.toThrow(wrong);
    }
    // Others are not concerned.
    expect(await store.online(totals, { driver: "y", zone: 1n })).toEqual({ total_5d: 2n ** 62n });
  });

  it("serves what a service selects, renamed, with defaults", async () => {
    const model = service("model", [
      view("amounts", amounts().rename({ n_5d: "trips" }), { ...daily, defaults: { total_1d: -1 } })
        .select("trips", "total_1d").prefix("driver_"),
    ]);
    await (await store.publish(model)).apply();
    const answer = await store.online(model, x);
    expectTypeOf(answer).toEqualTypeOf<{ driver_trips: bigint; driver_total_1d: number | bigint }>();
    expect(answer).toEqual({ driver_trips: 3n, driver_total_1d: -1 });
  });

  it("adds windows that tiles have in place, and builds a version for those that they have not", async () => {
    const counts = (...windows: string[]) =>
      view("counts", rig.trips().by(driver).aggregate({ n: count() }, { windows, every: "1d" }), daily);
    await (await store.publish(counts("5d"))).apply();
    const added = await store.publish(counts("5d", "2d"));
    expect([added.items[1]!.change, added.slices]).toEqual(["update", 0]);
    await added.apply();
    expect(await store.online("counts", x)).toEqual({ n_5d: 3n, n_2d: 1n });
    const longer = await store.publish(counts("5d", "lifetime"));
    expect([longer.items[1]!.change, longer.slices]).toEqual(["newVersion", 5]);
    await longer.apply();
    expect(await store.online("counts", x)).toEqual({ n_5d: 3n, n_lifetime: 3n });
  });

  it("previews them, published or not", async () => {
    const keyed = amounts();
    const [first] = (await keyed.preview({ at: "2001-01-06", limit: 10 })).filter((row) => row.driver === "x");
    expect(first).toEqual({ ...x, ...ofX });
    expectTypeOf(first!.total_5d).toEqualTypeOf<number | bigint | null>();
    const rows = await store.preview(view("amounts", keyed, daily), { at: "2001-01-06" }).rows();
    expect(rows.find((row) => row["driver"] === "x")).toEqual({ ...x, ...ofX });
    expect(await keyed.preview({ at: "2001-01-06", limit: 2 })).toHaveLength(2);
    const none = await keyed.preview({ at: "1999-01-06" });
    expect(none).toEqual([]);
    expect(String(none)).toContain("no row in any window at 1999-01-06T00:00:00Z: give the time to look at");
    expect(String(await keyed.preview({ at: "2001-01-06" }))).toMatch(/^features at 2001-01-06T00:00:00Z[^]*driver/);
    expect(await keyed.preview({ at: "2001-03-01" })).toEqual([]);
    await expect(keyed.preview({ at: "soon" })).rejects.toThrow('Cannot read "soon" as an instant');
    await expect(keyed.preview({ at: "1500-01-01" })).rejects.toThrow("between the years 1685 and 2255");
    await expect(keyed.preview({ limit: 0 })).rejects.toThrow("limit is a whole number from 1 on");
  });

  it("previews up to the very instant, before a schedule says what is known then", async () => {
    const rows = async (edge: "complete" | "exact" | "fresh", boundary: "inclusive" | "exclusive") =>
      (await rig.trips().by(driver).aggregate({ n: count() }, { windows: ["1d"], edge, boundary })
        .preview({ at: "2001-01-02T06:00:00Z" })).find((row) => row.driver === "x");
    // Its rows are at 1 January 06:00 and 2 January 06:00.
    expect(await rows("complete", "inclusive")).toMatchObject({ n_1d: 1n }); // 1 January
    expect(await rows("exact", "inclusive")).toMatchObject({ n_1d: 1n }); // without the first, with the second
    expect(await rows("exact", "exclusive")).toMatchObject({ n_1d: 1n }); // with the first, without the second
    expect(await rows("fresh", "inclusive")).toMatchObject({ n_1d: 2n });
  });
});
