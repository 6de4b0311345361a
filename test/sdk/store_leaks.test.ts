import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Store } from "../../sdk/store.ts";
import { Timestamp, toMicros } from "../../sdk/time.ts";
import { StoreRig, trips } from "./store_rig.ts";

let rig: StoreRig;
let store: Store;
beforeEach(async () => {
  rig = await StoreRig.open();
  await rig.write(trips);
  store = await rig.connect();
});
afterEach(() => rig.close());

const at = (time: string) => new Timestamp(toMicros(time));

describe("Store.leaks() (S4)", () => {
  it("names the features that a join by event time gets from the future, with their rows", async () => {
    await (await store.publish(rig.view())).apply();
    const spine = [
      { driver: "x", zone: 1n, asked: at("2001-01-02T12:00Z") }, // 2 happened at 06:00, and is served the day after
      { driver: "x", zone: 1n, asked: at("2001-01-03T12:00Z") },
      { driver: "y", zone: 1n, asked: at("2001-01-02T08:00Z") }, // 3, too
      { driver: "nobody", zone: 1n, asked: at("2001-01-05T00:00Z") },
    ];
    const found = await store.leaks("driver_amounts", spine);
    expect(found).toMatchObject({ rows: 4, changed: 2, features: [{ feature: "amount", rows: 2, share: 0.5 }] });
    expect(found.examples).toEqual([
      { row: spine[0], feature: "amount", event: 2, effective: 1 },
      { row: spine[2], feature: "amount", event: 3, effective: null },
    ]);
    expect(await store.leaks(rig.view(), spine, { from: "source" })).toEqual(found);
  });

  it("finds nothing where everything was known in time", async () => {
    await (await store.publish(rig.view())).apply();
    const found = await store.leaks("driver_amounts", [{ driver: "x", zone: 1n, asked: at("2001-01-03T00:00Z") }]);
    expect(found).toEqual({ rows: 1, changed: 0, features: [{ feature: "amount", rows: 0, share: 0 }], examples: [] });
  });
});
