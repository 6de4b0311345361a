/** What explains a value: it is the value that training and requests get, of the very rows that a plain loop finds. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect } from "../../sdk/connect.ts";
import { entity } from "../../sdk/define/entity.ts";
import { service } from "../../sdk/define/service.ts";
import { view } from "../../sdk/define/view.ts";
import { count, sum } from "../../sdk/frame/aggregates.ts";
import { col } from "../../sdk/frame/expr.ts";
import { setWarningHook } from "../../sdk/frame/runtime.ts";
import { fromRows, parquet } from "../../sdk/frame/sources.ts";
import { series } from "../../sdk/frame/windows.ts";
import { windowFunctions } from "../../sdk/frame/window_functions.ts";
import { floatTolerance, sameValue } from "../../sdk/retrieve/same_value.ts";
import type { Store } from "../../sdk/store.ts";
import { durationToMicros, ManualClock, Timestamp, toMicros } from "../../sdk/time.ts";
import { Random } from "../conformance/expr_values.ts";
import { windowsOracle } from "../oracle/windows.ts";
import { driver, StoreRig, trips } from "./store_rig.ts";
import { askedKeys, RandomRows } from "./windows_random_rows.ts";
import { type RandomView, randomView, type Row } from "./windows_random_view.ts";

const seed = Number(process.env["VARVE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

let rig: StoreRig;
let store: Store;
beforeEach(async () => {
  setWarningHook(() => undefined);
  rig = await StoreRig.open();
  await rig.write(trips);
  store = await rig.connect();
});
afterEach(() => rig.close());

const x = { driver: "x", zone: 1n };

/** Rules with how many rows, and the first of them. */
function rules(found: Awaited<ReturnType<Store["explain"]>>, feature: string) {
  const { used, leftOut } = found.feature(feature);
  return [used, ...leftOut].map(({ rule, reason, count, rows }) => [rule, reason, count, rows[0]?.time.toString()]);
}

describe("Store.explain() of attributes", () => {
  it("says which row counts and by which rule the others do not", async () => {
    await rig.write([
      ...trips,
      { driver: "x", zone: 1, at: "2000-12-31T06:00Z", amount: 9 }, // before the start
      { driver: "x", zone: 1, at: "2001-01-02T06:00Z", amount: 2.5 }, // the last of its instant in the source
    ]);
    const each = rig.view(1, { dataDelay: "2h" });
    const found = await store.explain(each, x, { at: "2001-01-04T01:00Z" });
    expect(found.from).toBe("source");
    expect(found.feature("amount")).toMatchObject({ value: 2.5, status: "PRESENT", version: 0, notes: [] });
    expect(rules(found, "amount")).toEqual([
      ["used", "the rows behind the value", 1, "2001-01-02T06:00:00Z"],
      ["S4", "effective only at 2001-01-05T02:00:00Z", 1, "2001-01-04T00:00:00Z"],
      ["S3", "of equal event timestamps the last written wins", 1, "2001-01-02T06:00:00Z"],
      ["S3", "an older row", 1, "2001-01-01T06:00:00Z"],
      ["start", "before the view's start", 1, "2000-12-31T06:00:00Z"],
    ]);
    expect(found.rows("amount")[0]).toEqual({
      feature: "amount",
      rule: "used",
      reason: "the rows behind the value",
      time: Timestamp.from("2001-01-02T06:00Z"),
      effective: Timestamp.from("2001-01-03T02:00Z"),
      values: { amount: 2.5 },
    });
    expect(
      rules(await store.explain(each, x, { at: "2001-01-02T00:00Z" }), "amount").map((
        [rule, reason],
      ) => [rule, reason]),
    ).toContainEqual([
      "S3",
      "after the instant that is asked for",
    ]);
  });

  it("tells expired values, defaults, missing rows and null keys", async () => {
    const each = view("short", rig.trips().by(driver), {
      schedule: "1d",
      start: "2001-01-01",
      ttl: "1d",
      defaults: { amount: -1 },
    });
    const old = await store.explain(each, x, { at: "2001-01-03T06:00Z" });
    expect(old.feature("amount")).toMatchObject({
      value: -1,
      status: "EXPIRED",
      used: { count: 0 },
      notes: ["S7: a default, -1, stands for null"],
    });
    expect(rules(old, "amount")).toContainEqual([
      "S6",
      "expired: event timestamp + 1d is not after the instant",
      1,
      "2001-01-02T06:00:00Z",
    ]);
    const none = await store.explain(each, { driver: null, zone: 1n });
    expect(none.feature("amount")).toMatchObject({ status: "NULL_KEY", used: { count: 0 }, leftOut: [] });
    const unknown = await store.explain(each, { driver: "x", zone: "77" } as never);
    expect(unknown.feature("amount")).toMatchObject({ status: "MISSING", used: { count: 0 }, leftOut: [] });
    await expect(store.explain(each, { driver: "x" } as never)).rejects.toThrow(
      /join key "zone" is missing; join keys are driver string, zone int64/,
    );
  });

  it("says where what is stored and served differs from the source, and which rows came late", async () => {
    const types = {
      driver: "string",
      zone: "int64",
      at: "timestamp",
      written: "timestamp",
      amount: "float64",
    } as const;
    const row = (at: string, written: string, amount: number) => ({
      ...x,
      at: new Date(at),
      written: new Date(written),
      amount,
    });
    const rows = [row("2001-01-02T06:00Z", "2001-01-02T06:00Z", 2), row("2001-01-03T06:00Z", "2001-01-03T06:00Z", 3)];
    await fromRows(rows, { schema: types }).toParquet(rig.path);
    const source = parquet(rig.path, { eventTimestamp: "at", writtenTimestamp: "written", schema: types });
    const newest = view("newest", source.by(driver), { schedule: "1d", start: "2001-01-01", online: true });
    const sums = view("sums", source.by(driver).aggregate({ total: sum("amount") }, { windows: ["5d"] }), {
      schedule: "1d",
      start: "2001-01-01",
      online: true,
    });
    const model = service("model", [newest, sums]);
    await (await store.publish(model)).apply();
    const before = await store.explain(model, x);
    expect(before.features.map(({ value, notes }) => [value, notes])).toEqual([[3, []], [5, []]]);
    expect(before.from).toBe("offline");

    rig.clock.set("2001-01-06T12:00Z");
    rows.push(row("2001-01-03T07:00Z", "2001-01-06T06:00Z", 10));
    await fromRows(rows, { schema: types }).toParquet(rig.path);
    const late = await store.explain("model", x);
    expect(await store.online("model", x)).toEqual({ amount: 3, total_5d: 5 });
    for (const [name, value, now] of [["amount", 3, 10], ["total_5d", 5, 15]] as const) {
      const found = late.feature(name);
      expect([found.value, found.notes]).toEqual([value, [
        expect.stringContaining(`The source gives another value now: ${now}.`),
      ]]);
      expect(rules(late, name)).toContainEqual([
        "S10",
        "late: written after its slice was computed, and not materialized since",
        1,
        "2001-01-03T07:00:00Z",
      ]);
    }
    expect((await store.explain(model, x, { from: "source" })).features.map(({ value }) => value)).toEqual([10, 15]);
    await store.materialize("newest", { overwrite: true });
    await store.materialize("sums", { overwrite: true });
    expect((await store.explain(model, x)).features.map(({ value, notes }) => [value, notes])).toEqual([[10, []], [
      15,
      [],
    ]]);

    // Days that have passed since are not stored yet.
    rows.push(row("2001-01-06T07:00Z", "2001-01-06T07:00Z", 100));
    await fromRows(rows, { schema: types }).toParquet(rig.path);
    rig.clock.set("2001-01-07T00:00Z");
    expect(rules(await store.explain(model, x), "amount")).toContainEqual([
      "S10",
      "its slice is not materialized",
      1,
      "2001-01-06T07:00:00Z",
    ]);

    await rm(rig.path);
    const gone = await store.explain(model, x, { features: ["amount"] });
    expect(gone.features).toMatchObject([{
      value: 10,
      used: { count: 0 },
      notes: [expect.stringMatching(/^The source cannot be read/)],
    }]);
  });
});

describe("Store.explain() of a service", () => {
  it("asks for the keys of what is explained, and not for those of other views", async () => {
    const zones = view(
      "zone_amounts",
      rig.trips().rename({ amount: "zone_amount" }).by(entity("zone", { zone: "int64" })),
      {
        schedule: "1d",
        start: "2001-01-01",
        online: true,
        features: ["zone_amount"],
      },
    );
    const model = service("model", [rig.view().select("amount"), zones]);
    await (await store.publish(model)).apply();
    // deno-lint-ignore no-explicit-any
    const found = await store.explain(model, { zone: 1n } as any, { features: ["zone_amount"] });
    expect(found.from).toBe("offline");
    expect(found.feature("zone_amount")).toMatchObject({ status: "PRESENT", notes: [] });
    // deno-lint-ignore no-explicit-any
    await expect(store.explain(model, { zone: 1n } as any)).rejects.toThrow('join key "driver" is missing');
  });
});

describe("Store.explain() of windows", () => {
  it("says which rows lie in the window and count", async () => {
    await rig.write([
      { driver: "x", zone: 1, at: "2000-12-31T00:00Z", amount: 1 },
      { driver: "x", zone: 1, at: "2001-01-01T00:00Z", amount: 2 },
      { driver: "x", zone: 1, at: "2001-01-02T00:00Z", amount: 3 },
      { driver: "x", zone: 1, at: "2001-01-02T12:00Z", amount: null },
      { driver: "x", zone: 1, at: "2001-01-02T13:00Z", amount: -1 },
      { driver: "x", zone: 1, at: "2001-01-03T00:00Z", amount: 4 },
      { driver: "x", zone: 1, at: "2001-01-03T06:00Z", amount: 5 },
      { driver: "x", zone: 1, at: "2001-01-05T06:00Z", amount: 6 },
    ]);
    const each = view(
      "windows",
      rig.trips().by(driver).aggregate({
        total: sum("amount").where(col("amount").gt(0).or(col("amount").isNull())),
        n: count(),
      }, {
        windows: ["1d", { window: "1d", offset: "-1d" }, series({ window: "1d", from: "-2d" })],
      }),
      { schedule: "1d", start: "2001-01-01" },
    );
    const found = await store.explain(each, x, { at: "2001-01-03T12:00Z" });
    expect(found.feature("total_1d")).toMatchObject({
      value: 3,
      windows: ["[2001-01-02T00:00:00Z, 2001-01-03T00:00:00Z)"],
    });
    expect(rules(found, "total_1d")).toEqual([
      ["used", "the rows behind the value", 1, "2001-01-02T00:00:00Z"],
      ["S3", "after the instant that is asked for", 1, "2001-01-05T06:00:00Z"],
      ["S4", "effective only later, the first at 2001-01-04T00:00:00Z", 2, "2001-01-03T06:00:00Z"],
      ["where", "its condition does not hold", 1, "2001-01-02T13:00:00Z"],
      ["S7", "its input is null", 1, "2001-01-02T12:00:00Z"],
      ["S5", "before the window [2001-01-02T00:00:00Z, 2001-01-03T00:00:00Z)", 1, "2001-01-01T00:00:00Z"],
      ["start", "before the view's start", 1, "2000-12-31T00:00:00Z"],
    ]);
    expect(rules(found, "n_1d_offset_1d").slice(0, 4)).toEqual([
      ["used", "the rows behind the value", 1, "2001-01-01T00:00:00Z"],
      ["S3", "after the instant that is asked for", 1, "2001-01-05T06:00:00Z"],
      ["S4", "effective only later, the first at 2001-01-04T00:00:00Z", 2, "2001-01-03T06:00:00Z"],
      ["S5", "after the window [2001-01-01T00:00:00Z, 2001-01-02T00:00:00Z)", 2, "2001-01-02T13:00:00Z"],
    ]);
    expect(rules(found, "n_1d_offset_1d")[4]).toEqual(
      [
        "S5",
        "at the end of the window [2001-01-01T00:00:00Z, 2001-01-02T00:00:00Z), which is half-open",
        1,
        "2001-01-02T00:00:00Z",
      ],
    );
    expect(found.feature("n_1d_series_2d")).toMatchObject({ value: [1n, 3n], used: { count: 4 } });
    expect(found.feature("n_1d").used.rows.map(({ values }) => Object.values(values)[0])).toEqual([-1, null, 3]);
    expect(String(found)).toContain("total_1d = 3 over [2001-01-02T00:00:00Z, 2001-01-03T00:00:00Z)");
    const html = (await found.toMimeBundle())["text/html"];
    expect(html).toContain(">its condition does not hold<");
    expect(() => found.feature("total")).toThrow(/features are total_1d, n_1d/);
  });

  it("finds the rows that a plain loop finds, for random views, keys and instants", async () => {
    const random = new Random(seed);
    const seen = { values: 0, used: 0, rules: new Set<string>() };
    for (let i = 0; i < 6; i++) await checkRandom(random, seen);
    expect(seen.values).toBeGreaterThan(100);
    expect(seen.used).toBeGreaterThan(50);
    for (const rule of ["S3", "S4", "S5", "S7", "start"]) expect([...seen.rules]).toContain(rule);
  });
});

async function checkRandom(random: Random, seen: { values: number; used: number; rules: Set<string> }): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "varve-explain-"));
  const each = randomView(random, ["m", "z"].map((name) => join(folder, `${name}.parquet`)));
  const slice = durationToMicros(each.meaning.schedule);
  const start = toMicros(each.meaning.start);
  const rows = new RandomRows(random, each, 200, 8);
  const now = start + 5n * slice + BigInt(random.below(1_000_000));
  const clock = new ManualClock(new Timestamp(now));
  const own = await connect({ path: join(folder, "store"), clock, memoryLimit: "256MB", threads: 1 });
  try {
    await rows.advance(now);
    await (await own.publish(each.view)).apply();
    for (let probe = 0; probe < 6; probe++) {
      const at = probe < 2 ? now : start + BigInt(Math.floor(random.next() * Number(now - start)));
      const key = random.pick(askedKeys);
      const asked = `key ${key.a} ${key.b}, at ${new Timestamp(at)}`;
      const note = `seed ${seed}, ${JSON.stringify(each.view.definition)}, ${asked}`;
      const found = await own.explain(each.view, key, { at: new Timestamp(at), limit: 1_000 });
      expect(found.from).toBe("offline");
      const [trained] = await (await own.train(each.view, [{ ...key, ts: new Timestamp(at) }], {
        schema: { a: "string", b: "int64", ts: "timestamp" },
      })).rows();
      const served: Row | undefined = at === now ? await own.online(each.view, key as never) as never : undefined;
      for (const { feature, value, used, leftOut, notes } of found.features) {
        expect(sameValue(value, trained![feature], floatTolerance), `${feature}: ${note}`).toBe(true);
        if (served) expect(sameValue(value, served[feature], floatTolerance), `${feature}: ${note}`).toBe(true);
        const expected = expectedRows(each, rows.present, key, at, feature);
        expect(used.rows.map(({ time }) => time.micros), `${feature}: ${note}`).toEqual(expected.used);
        const all = [used, ...leftOut].reduce((sum, { count }) => sum + count, 0);
        expect(all, `${feature}: ${note}`).toBe(expected.all);
        expect(notes, note).not.toContainEqual(expect.stringContaining("another value"));
        for (const { rule } of leftOut) seen.rules.add(rule);
        seen.values++;
        seen.used += used.count;
      }
    }
  } finally {
    await own.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The event times of the rows behind a value, the newest first, and how many rows the key has. */
function expectedRows(
  { meaning, windows, aggregations, secondaryKey, filter }: RandomView,
  present: readonly Row[],
  key: (typeof askedKeys)[number],
  at: bigint,
  feature: string,
): { used: bigint[]; all: number } {
  if (key.a === null || key.b === null) return { used: [], all: 0 };
  const own = present.filter((row) =>
    row["a"] === key.a && row["b"] === key.b && row["t"] !== null && (filter === undefined || row[filter] === true)
  );
  const counting = own.filter((row) => secondaryKey === undefined || row[secondaryKey.name] !== null);
  const lookup = windowsOracle(
    meaning,
    counting.map((row) => ({ ...row, time: row["t"] as bigint }) as { time: bigint } & Row),
    at,
  );
  const place = Number(/_w(\d+)$/.exec(feature)![1]);
  expect(windows[place]).toBeDefined();
  const inWindows = [...new Set(lookup.windows[place]!.flat())];
  const aggregation = aggregations.findIndex(({ name }) => feature === `${name}_w${place}`);
  const used = inWindows.filter((row) => {
    if (aggregation < 0) return true;
    const { type, input, where, function: called } = aggregations[aggregation]!;
    const ordered = called in windowFunctions && "by" in windowFunctions[called as keyof typeof windowFunctions];
    return (!where || where.holds(row)) && (type === undefined || row[`x${input}`] !== null) &&
      (!ordered || row["o"] !== null);
  });
  return { used: used.map(({ time }) => time).sort((p, q) => p < q ? 1 : p > q ? -1 : 0), all: own.length };
}
