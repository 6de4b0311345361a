import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Store } from "../../sdk/store.ts";
import { view } from "../../sdk/define/view.ts";
import { sum } from "../../sdk/frame/aggregates.ts";
import { driver, StoreRig, trips } from "./store_rig.ts";

let rig: StoreRig;
let store: Store;
beforeEach(async () => {
  rig = await StoreRig.open();
  await rig.write(trips);
  store = await rig.connect();
});
afterEach(() => rig.close());

describe("Store.skew() (S11)", () => {
  it("finds nothing when a view is served as it is defined", async () => {
    await (await store.publish(rig.view())).apply();
    const found = await store.skew("driver_amounts");
    expect(found).toMatchObject({ version: 1, at: "2001-01-06T00:00:00Z", keys: 4, values: 4, mismatches: 0 });
    expect(found.features).toEqual([{ feature: "amount", served: 0, stored: 0 }]);
  });

  it("looks at the last instant for which everything is loaded", async () => {
    await (await store.publish(rig.view())).apply();
    rig.clock.set("2001-01-20T12:00Z");
    await rig.write([...trips, { driver: "x", zone: 1, at: "2001-01-08T00:00Z", amount: 9 }]);
    // The slice of 8 January is not materialized: that is a delay, and no skew.
    expect(await store.skew("driver_amounts")).toMatchObject({ at: "2001-01-06T23:59:59.999999Z", mismatches: 0 });
    expect(await store.skew("driver_amounts", { at: "2001-01-20T12:00Z" })).toMatchObject({ mismatches: 1 });
  });

  it("names keys and features whose source has changed since", async () => {
    await (await store.publish(rig.view())).apply();
    await rig.write(trips.map((trip) => trip.driver === "y" ? { ...trip, amount: 33 } : trip));
    const found = await store.skew("driver_amounts");
    expect(found.mismatches).toBe(1);
    expect(found.features).toEqual([{ feature: "amount", served: 1, stored: 1 }]);
    expect(found.examples).toEqual([
      { key: { driver: "y", zone: 1n }, feature: "amount", source: 33, served: 3, stored: 3 },
    ]);
  });

  it("says of how many keys requests leave out rows, as do the status and an explanation (S5)", async () => {
    const amounts = rig.trips().by(driver).aggregate({ amount: sum("amount") }, {
      windows: ["30d"],
      edge: "exact",
      maxRows: 2,
    });
    const windows = view("recent_amounts", amounts, { schedule: "1d", start: "2001-01-01", online: true });
    await (await store.publish(windows)).apply();
    const found = await store.skew(windows);
    expect(found).toMatchObject({ keys: 4, cutKeys: 1, mismatches: 1 });
    expect(String(found)).toContain("1 of them cut: windows reach more rows than maxRows");
    expect(String(await store.status())).toContain("up to date, 1 key cut");
    expect(String(await store.explain(windows, { driver: "x", zone: 1n }))).toContain(
      "Served is another value: 6. Requests see the newest 2 rows of a key only (maxRows)",
    );
  });

  it("compares as many keys as it is told, and the same ones every time", async () => {
    await (await store.publish(rig.view())).apply();
    expect(await store.skew("driver_amounts", { keys: 2 })).toMatchObject({ keys: 2, mismatches: 0 });
    await expect(store.skew("driver_amounts", { keys: 0 })).rejects.toThrow(/from 1 to 100000/);
  });

  it("says why nothing can be compared", async () => {
    await expect(store.skew("nothing")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await (await store.publish(rig.view(1, { online: false }))).apply();
    await expect(store.skew("driver_amounts")).rejects.toThrow(/not kept online; publish it with online: true/);
  });
});
