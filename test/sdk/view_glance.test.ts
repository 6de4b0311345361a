/** What a view shows of its features without being asked for a profile: from its source, from a store, of much and of nothing. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { col, connect, count, csv, entity, fromRows, ManualClock, mean, type Store, sum, view } from "varve";
import { frameEngine } from "../../sdk/engine/install.ts";
import { viewGlance } from "../../sdk/retrieve/view_glance.ts";

const city = entity("city", { city: "string" });
const start = Date.UTC(2001, 0, 1);
const hour = 3_600_000;
const sales = Array.from({ length: 200 }, (_, i) => ({
  city: `c${i % 5}`,
  at: new Date(start + i * hour),
  amount: i % 4 === 0 ? null : i,
  kind: i % 3 === 0 ? "a" : "b",
}));
const frame = fromRows(sales, { eventTimestamp: "at" });
const options = { schedule: "1d", start: "2001-01-01" } as const;
/** A computer that has much else to do may need several looks: none takes longer than a moment. */
async function text(of: { toMimeBundle(): Promise<{ "text/plain": string }> }): Promise<string> {
  for (;;) {
    const { "text/plain": found } = await of.toMimeBundle();
    if (!found.includes("takes longer than a moment")) return found;
  }
}
const line = (all: string, name: string) => all.split("\n").find((each) => each.startsWith(name));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "varve-glance-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("a view that is not published", () => {
  it("shows nulls, values and a line over time of its source's rows, and says how many there are", async () => {
    const shown = view("sales", frame.by(city), options);
    expect(inspect(shown)).toBe(String(shown));
    const all = await text(shown);
    expect(line(all, "amount")).toMatch(/^amount +int32 +25\.0 % +[▁-█]{16} +[▁-█]{9}$/);
    expect(line(all, "kind")).toMatch(/ 0 % +b \d+ %, a \d+ %/);
    expect(all).toContain("values: 200 rows of the source · 2001-01-01 to 2001-01-09");
    // What has been seen is there for a console too, which cannot wait.
    expect(line(inspect(shown), "amount")).toBe(line(all, "amount"));
  });

  it("counts a default as a value", async () => {
    const all = await text(view("sales", frame.by(city), { ...options, defaults: { amount: 7 } }));
    expect(line(all, "amount")).toMatch(/ 0 % +[▁-█]/);
  });

  it("shows what windows give", async () => {
    const windows = frame.by(city).aggregate({ sold: count(), total: sum("amount") }, {
      windows: ["24h"],
      every: "1d",
    });
    const all = await text(view("sold", windows, options));
    expect(line(all, "sold_24h")).toMatch(/^sold_24h +int64 +count\(\) over 24h +0 % +[▁-█]+ +[▁-█]+/);
    expect(all).toMatch(/values: from the source · 45 values of keys, one every 1d · 5 keys of city/);
  });

  it("looks at the same sample of many rows every time, and says that it is one", async () => {
    const many = fromRows(
      Array.from({ length: 30_000 }, (_, i) => ({
        city: `c${i % 50}`,
        at: new Date(start + i * 60_000),
        x: i % 10 === 0 ? null : i,
      })),
      { eventTimestamp: "at" },
    );
    const all = await text(view("many", many.by(city), options));
    expect(all).toContain("values: a sample of 10,000 rows of the source");
    expect(line(all, "x")).toMatch(/ (9|10|11)(\.\d)? % /);
    expect(await text(view("many", many.by(city), options))).toBe(all);
    const windows = many.by(city).aggregate({ m: mean("x") }, { windows: ["24h"], every: "1h" });
    const newest = await text(view("many", windows, { schedule: "1h", start: "2001-01-01" }));
    expect(newest).toMatch(/values: the newest 24 slices of the source · 1,200 values of keys, one every 1h/);
    expect(newest).toContain("2001-01-21");
  });

  it("looks at the first of very many features", async () => {
    const many = fromRows([{
      city: "a",
      at: new Date(start),
      ...Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`f${i}`, i])),
    }], { eventTimestamp: "at" });
    const all = await text(view("many", many.by(city), options));
    expect(all).toContain("values: 1 row of the source · 2001-01-01 to 2001-01-01 · the first 100 features");
    expect(line(all, "f99")).toMatch(/^f99 +int32 +0 %/);
    expect(line(all, "f100")).toMatch(/^f100 +int32$/);
  });

  it("shows its definition, and why there is no more, when its file is gone", async () => {
    const path = join(folder, "gone.csv");
    await writeFile(path, "city,at,x\na,2001-01-01T00:00:00Z,1\n");
    const file = csv(path, { eventTimestamp: "at", schema: { city: "string", at: "timestamp", x: "int64" } });
    const shown = view("gone", file.by(city), options);
    expect(line(await text(shown), "x")).toMatch(/^x +int64 +0 %/);
    await rm(path);
    const other = view("gone", file.filter(col("x").gt(0)).by(city), options);
    const all = await text(other);
    expect(line(all, "x")).toBe("x        int64");
    expect(all).toMatch(/values are not shown: .*gone\.csv/);
  });

  it("says that there are no rows", async () => {
    expect(await text(view("none", frame.filter(col("amount").gt(1000)).by(city), options))).toContain(
      "no rows of the source",
    );
    expect(await text(view("future", frame.by(city), { ...options, start: "9000-01-01" }))).toContain(
      "no rows of the source",
    );
  });

  it("gives up when it takes too long", async () => {
    const { definition } = view("sales", frame.by(city), options);
    const found = await viewGlance(await frameEngine(), { definition, version: 0 }, { now: 10n ** 15n, patienceMs: 0 });
    expect(found).toEqual({
      lines: ["values are not shown: reading a sample takes longer than a moment; profile() waits for it"],
    });
  });
});

describe("a view in a store", () => {
  const clock = new ManualClock("2001-01-06");
  let store: Store;
  beforeAll(async () => {
    store = await connect({ path: join(folder, "store"), clock, workspace: "glance" });
  });
  afterAll(async () => {
    await store?.close();
  });

  it("is looked up in its source until it is published, and in its table then", async () => {
    const shown = view("sales", frame.by(city), options);
    const before = await text(shown);
    expect(before).toContain("not published in workspace glance");
    // Nothing is known of what has not happened yet.
    expect(before).toContain("values: 120 rows of the source · 2001-01-01 to 2001-01-05");
    await (await store.publish(shown)).apply();
    const after = await text(shown);
    expect(after).toContain("version 1 serves");
    expect(after).toContain("values: 120 rows of version 1 · 2001-01-01 to 2001-01-05");
    expect(line(after, "amount")).toBe(line(before, "amount"));
  });

  it("shows windows out of tiles as out of the source", async () => {
    const windows = frame.by(city).aggregate({ total: sum("amount") }, { windows: ["24h"], every: "1d" });
    const shown = view("sold", windows, options);
    const before = await text(shown);
    await (await store.publish(shown)).apply();
    const after = await text(shown);
    expect(line(after, "total_24h")).toBe(line(before, "total_24h"));
    expect(after).toContain("values: from version 1 · 25 values of keys, one every 1d · 5 keys of city");
    // Another definition of that name is not what is stored.
    const other = view("sold", windows, { ...options, description: "another" });
    expect(await text(other)).toMatch(/not published as it is here/);
  });
});

describe("a store of more tiles than are quickly read", () => {
  it("shows windows of the newest slices", async () => {
    const many = fromRows(
      Array.from(
        { length: 24_000 },
        (_, i) => ({ city: `c${i % 100}`, at: new Date(start + Math.floor(i / 100) * hour) }),
      ),
      { eventTimestamp: "at" },
    );
    const clock = new ManualClock("2001-01-11");
    const store = await connect({ path: join(folder, "many"), clock, workspace: "many" });
    const windows = many.by(city).aggregate({ n: count() }, { windows: ["2h"], every: "1h" });
    const shown = view("many", windows, { schedule: "6h", start: "2001-01-01" });
    await (await store.publish(shown)).apply();
    const all = await text(shown);
    expect(all).toContain(
      "values: the newest 24 slices of version 1 · 2,400 values of keys, one every 6h · 100 keys of city",
    );
    expect(all).toContain("2001-01-05 06:00 to 2001-01-11");
    await store.close();
  });
});
