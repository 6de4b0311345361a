import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import "../../../sdk/engine/install.ts";
import { createDuckDbEngine } from "../../../sdk/engine/duckdb.ts";
import type { Engine, EngineSession } from "../../../sdk/engine/engine.ts";
import { count, last, list, max, sum } from "../../../sdk/frame/aggregates.ts";
import { col, lit } from "../../../sdk/frame/expr.ts";
import type { Frame } from "../../../sdk/frame/frame.ts";
import { fromRows, sql } from "../../../sdk/frame/sources.ts";
import { descending } from "../../../sdk/frame/steps.ts";
import type { Row } from "../../../sdk/schema.ts";
import { Timestamp } from "../../../sdk/time.ts";

const hour = 3_600_000_000n;
const base = -10n * hour; // slices before 1970 too

// deno-lint-ignore no-explicit-any
type AnyFrame = Frame<any>;

const right = fromRows(
  Array.from({ length: 12 }, (_, i) => ({ k: i % 4, at: base + BigInt(i) * hour, extra: `e${i}` })),
  {
    eventTimestamp: "at",
    schema: { k: "int32", at: "timestamp", extra: "string" },
  },
);

/** Chains whose lifted form must equal one query per slice. */
const chains: Readonly<Record<string, (frame: AnyFrame) => AnyFrame>> = {
  scan: (f) => f,
  "filter, derive, select, rename, drop": (f) =>
    f.filter(col("v").gt(3)).derive({ w: col("v").times(2) }).rename({ w: "double" }).select("k", "at", "double").drop(
      "at",
    ),
  "group by": (f) => f.groupBy("k").aggregate({ n: count(), total: sum("v"), last: last("v"), all: list("v") }),
  "aggregate without groups": (f) =>
    f.groupBy().aggregate({ n: count(), odd: count().where(lit(true)), most: max("v"), all: list("v") }),
  "group by after group by": (f) =>
    f.groupBy("k").aggregate({ n: count() }).groupBy("n").aggregate({ groups: count() }),
  "distinct": (f) => f.select("k", "v").distinct(),
  "distinct by": (f) => f.distinct("k"),
  "distinct by, after sort": (f) => f.sort(descending("v"), "k").distinct("k"),
  "union": (f) => f.select("k", "v").union(f.select("v", "k").filter(col("v").lt(5))).distinct(),
  "inner join": (f) => f.join(right, "k").groupBy("k").aggregate({ n: count() }),
  "left, semi and anti join": (f) =>
    f.join(right.filter(col("k").gt(1)), "k", { how: "left" }).join(right.filter(col("k").lt(3)), "k", { how: "semi" }),
  "as-of join": (f) => f.asOfJoin(right, "k", { tolerance: "3h" }),
  "unnest": (f) => f.unnest("tags").groupBy("tags").aggregate({ n: count() }),
  "sort": (f) => f.sort("v"),
  "right sides may hold what cannot be lifted": (f) =>
    f.join(sql("select k, count(*) as n from r group by k", { r: right }).sort("k").limit(2), "k"),
};

const rowOf = fc.record({
  k: fc.option(fc.integer({ min: 0, max: 4 })),
  v: fc.option(fc.integer({ min: 0, max: 9 })),
  at: fc.option(fc.bigInt({ min: base, max: base + 8n * hour - 1n }).map((micros) => micros - micros % 600_000_000n)),
  tags: fc.option(fc.array(fc.constantFrom("x", "y"), { maxLength: 3 })),
});

describe("slices", () => {
  let engine: Engine;
  let session: EngineSession;
  beforeAll(async () => {
    engine = createDuckDbEngine();
    session = await engine.session();
  });
  afterAll(async () => {
    session.close();
    await engine.close();
  });

  const text = (rows: Row[]): string[] =>
    rows.map((row) => JSON.stringify(row, (_, value) => typeof value === "bigint" ? String(value) : value)).sort();

  for (const [name, chain] of Object.entries(chains)) {
    it(`${name}: many slices at once equal one query for each`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(rowOf, { maxLength: 40, size: "max" }), async (data) => {
          const frame = chain(
            fromRows(data, {
              eventTimestamp: "at",
              schema: { k: "int32", v: "int32", at: "timestamp", tags: { list: "string" } },
            }),
          );
          const range = { start: base, end: base + 6n * hour };
          const lifted = await session.compile(frame.query, { slices: { range, interval: hour } });
          expect(lifted.schema[0]).toEqual({ name: "__slice", type: "timestamp" });
          const found = await session.rows(lifted.sql);
          const expected: Row[] = [];
          for (let start = range.start; start < range.end; start += hour) {
            const single = await session.compile(frame.query, { slices: { range: { start, end: start + hour } } });
            for (const row of await session.rows(single.sql)) expected.push({ __slice: new Timestamp(start), ...row });
          }
          expect(text(found)).toEqual(text(expected));
        }),
        { numRuns: 12 },
      );
    });
  }

  const data = fromRows([{ k: 1, at: new Timestamp(0n) }, { k: 2, at: null }], {
    eventTimestamp: "at",
    schema: { k: "int32", at: "timestamp" },
  });
  const slices = { range: { start: 0n, end: hour }, interval: hour };

  it("leave out rows without an event timestamp", async () => {
    const { sql: text } = await session.compile(data.query, { slices: { range: { start: -hour, end: hour } } });
    expect(await session.rows(text)).toEqual([{ k: 1, at: new Timestamp(0n) }]);
  });

  it.each([
    ["limit", data.limit(1)],
    ["sample", data.sample({ rows: 1 })],
    ["sql", sql("select * from d", { d: data })],
  ])("name the step that cannot be lifted: %s", async (step, frame) => {
    await expect(session.compile(frame.query, { slices })).rejects.toMatchObject({
      code: "UNSUPPORTED",
      details: { step },
    });
    await session.compile(frame.query, { slices: { range: slices.range } });
  });

  it("one slice of SQL reads inputs with an event timestamp in range, others whole", async () => {
    const names = fromRows([{ k: 1, name: "one" }, { k: 7, name: "seven" }]);
    const query = sql("select name, d.k from names n left join d on d.k = n.k", { d: data, names }).query;
    const one = await session.compile(query, { slices: { range: { start: hour, end: 2n * hour } } });
    expect((await session.rows(one.sql)).map((row) => [row["name"], row["k"]]).sort()).toEqual([["one", null], [
      "seven",
      null,
    ]]);
  });

  it("need an event timestamp on the driving path", async () => {
    await expect(session.compile(fromRows([{ a: 1 }]).query, { slices })).rejects.toMatchObject({
      code: "INVALID_DEFINITION",
    });
  });
});
