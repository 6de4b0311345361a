import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { view } from "../../sdk/define/view.ts";
import { createDuckDbEngine } from "../../sdk/engine/duckdb.ts";
import { count } from "../../sdk/frame/aggregates.ts";
import { col } from "../../sdk/frame/expr.ts";
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

describe("a source of which a late row cannot be read", () => {
  const columns = { driver: "string", zone: "int64", at: "timestamp", amount: "string" } as const;

  /** More than an engine computes before the first rows are used. */
  async function writeMany(): Promise<void> {
    const engine = createDuckDbEngine();
    const session = await engine.session();
    const at = "TIMESTAMPTZ '2001-01-01 00:00:00Z' + INTERVAL 1 SECOND * range";
    const amount = "CASE WHEN range = 390000 THEN 'many' ELSE '1' END";
    await session.writeParquet(
      `SELECT 'x' AS driver, 1::BIGINT AS zone, ${at} AS at, ${amount} AS amount FROM range(400000)`,
      rig.path,
    );
    session.close();
    await engine.close();
  }

  it("is an error of previews, training and backfills, never fewer rows", async () => {
    await writeMany();
    const read = parquet(rig.path, { eventTimestamp: "at", schema: columns }).derive({
      amount: col("amount").cast("int32"),
    });
    const lost = { code: "SCHEMA_MISMATCH", message: expect.stringContaining(`Cannot cast string "many" to int32`) };
    await expect(read.rows()).rejects.toMatchObject(lost);
    await expect(read.collect()).rejects.toMatchObject(lost);
    const ones = read.by(driver).aggregate({ n: count().where(col("amount").eq(1)) }, { windows: ["9d"] });
    const spine = fromRows([{ driver: "x", zone: 1n, at: "2001-01-06T00:00Z" }], {
      schema: { driver: "string", zone: "int64", at: "timestamp" },
      eventTimestamp: "at",
    });
    const store = await rig.connect();
    const definition = view("ones", ones, settings);
    await expect((async () => await (await store.train(definition, spine, { from: "source" })).rows())())
      .rejects.toMatchObject(lost);
    const plan = await store.publish(definition);
    await expect(plan.apply()).rejects.toMatchObject({ message: lost.message });
  });
});
