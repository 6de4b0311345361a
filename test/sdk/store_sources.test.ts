import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { view } from "../../sdk/define/view.ts";
import { fromRows, parquet } from "../../sdk/frame/sources.ts";
import { driver, StoreRig, tripTypes } from "./store_rig.ts";

let rig: StoreRig;
beforeEach(async () => {
  rig = await StoreRig.open();
});
afterEach(() => rig.close());

/** The same instant, written three times; what was written last comes in the middle. */
const corrections = [
  { driver: "x", zone: 1n, at: "2001-01-01T06:00Z", amount: 1, written: "2001-01-01T07:00Z" },
  { driver: "x", zone: 1n, at: "2001-01-01T06:00Z", amount: 3, written: "2001-01-01T09:00Z" },
  { driver: "x", zone: 1n, at: "2001-01-01T06:00Z", amount: 2, written: "2001-01-01T08:00Z" },
];
const times = { eventTimestamp: "at", writtenTimestamp: "written" };
const settings = { schedule: "1d", start: "2001-01-01", online: true } as const;

describe("estimateSources()", () => {
  it.each(["rows", "parquet"])(
    "plans sources of %s that say when a row was written; the last written serves",
    async (kind) => {
      const schema = { ...tripTypes, written: "timestamp" } as const;
      const rows = fromRows(corrections, { schema, ...times });
      if (kind === "parquet") await rows.toParquet(rig.path);
      const source = kind === "parquet" ? parquet(rig.path, { schema, ...times }) : rows;
      const store = await rig.connect();
      const plan = await store.publish(view("amounts", source.by(driver), settings));
      expect(plan.items.find((item) => item.kind === "view")!.backfill).toMatchObject({ rows: 3, slices: 5 });
      await plan.apply();
      expect(await store.online("amounts", { driver: "x", zone: 1n })).toEqual({ amount: 3 });
    },
  );
});
