/** What every engine must do: each step on small literal data, asserted as rows. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import "../../sdk/engine/install.ts";
import type { Engine, EngineSession } from "../../sdk/engine/engine.ts";
import {
  all,
  any,
  count,
  countDistinct,
  first,
  last,
  list,
  max,
  maxBy,
  mean,
  median,
  min,
  minBy,
  quantile,
  stddevPop,
  stddevSamp,
  sum,
  varPop,
  varSamp,
} from "../../sdk/frame/aggregates.ts";
import { col, lit } from "../../sdk/frame/expr.ts";
import type { Frame } from "../../sdk/frame/frame.ts";
import { fromRows, sql } from "../../sdk/frame/sources.ts";
import { descending } from "../../sdk/frame/steps.ts";
import type { Row } from "../../sdk/schema.ts";
import { Timestamp } from "../../sdk/time.ts";

const at = (text: string): Timestamp => Timestamp.from(text);

const trips = fromRows([
  { id: 1, city: "Oslo", fare: 10.5, paid: true, tags: ["a", "b"], at: "2001-01-01T10:00Z" },
  { id: 2, city: "Oslo", fare: null, paid: false, tags: [], at: "2001-01-02T10:00Z" },
  { id: 3, city: "Bergen", fare: 7, paid: true, tags: null, at: "2001-01-03T10:00Z" },
  { id: 4, city: null, fare: 3, paid: null, tags: ["c"], at: "2001-01-04T10:00Z" },
], {
  eventTimestamp: "at",
  schema: { id: "int32", city: "string", fare: "float64", paid: "boolean", tags: { list: "string" }, at: "timestamp" },
});

const cities = fromRows([
  { name: "Oslo", fare: 1, people: 700_000n },
  { name: "Bergen", fare: 2, people: 280_000n },
  { name: null, fare: 3, people: 1n },
], { schema: { name: "string", fare: "float64", people: "int64" } });

/** Runs the suite over an engine. */
export function testEngine(name: string, make: () => Engine): void {
  describe(`${name} as an engine`, () => {
    let engine: Engine;
    let session: EngineSession;
    beforeAll(async () => {
      engine = make();
      session = await engine.session();
    });
    afterAll(async () => {
      session.close();
      await engine.close();
    });
    // deno-lint-ignore no-explicit-any
    const rows = async (frame: Frame<any>): Promise<Row[]> =>
      await session.rows((await session.compile(frame.query)).sql);
    // deno-lint-ignore no-explicit-any
    const ids = async (frame: Frame<any>): Promise<unknown[]> => (await rows(frame)).map((row) => row["id"]);

    it("scan gives rows in order, with nulls", async () => {
      expect((await rows(trips))[1]).toEqual({
        id: 2,
        city: "Oslo",
        fare: null,
        paid: false,
        tags: [],
        at: at("2001-01-02T10:00Z"),
      });
    });

    it("filter keeps only rows for which the condition is true", async () => {
      expect(await ids(trips.filter(col("paid")))).toEqual([1, 3]);
      expect(await ids(trips.filter("paid"))).toEqual([1, 3]);
    });

    it("select keeps and orders columns, and names expressions", async () => {
      const [row] = await rows(trips.select("city", "id", { double: col("id").times(2) }).limit(1));
      expect(Object.entries(row!)).toEqual([["city", "Oslo"], ["id", 1], ["double", 2]]);
    });

    it("derive sees the columns as they were, and replaces in place", async () => {
      const [row] = await rows(
        trips.select("id", "fare").derive({ fare: col("fare").plus(1), was: col("fare"), id2: "id" }).limit(1),
      );
      expect(Object.entries(row!)).toEqual([["id", 1], ["fare", 11.5], ["was", 10.5], ["id2", 1]]);
    });

    it("rename can swap, drop leaves out", async () => {
      const [row] = await rows(trips.rename({ id: "fare", fare: "id" }).drop("tags", "at", "paid").limit(1));
      expect(row).toEqual({ fare: 1, city: "Oslo", id: 10.5 });
    });

    it("inner join matches equal keys of other names, and never null", async () => {
      const joined = trips.select("id", "city", "fare").join(cities, { city: "name" }).sort("id");
      expect(await rows(joined)).toEqual([
        { id: 1, city: "Oslo", fare: 10.5, fare_right: 1, people: 700_000n },
        { id: 2, city: "Oslo", fare: null, fare_right: 1, people: 700_000n },
        { id: 3, city: "Bergen", fare: 7, fare_right: 2, people: 280_000n },
      ]);
    });

    it("left, semi and anti join", async () => {
      const left = trips.select("id", "city").join(cities, { city: "name" }, { how: "left", suffix: "_city" }).sort(
        "id",
      );
      expect((await rows(left)).map((row) => row["people"])).toEqual([700_000n, 700_000n, 280_000n, null]);
      expect(await ids(trips.join(cities, { city: "name" }, { how: "semi" }).sort("id"))).toEqual([1, 2, 3]);
      expect(await ids(trips.join(cities, { city: "name" }, { how: "anti" }))).toEqual([4]);
    });

    it("as-of join takes the newest right row that is not newer, the last of equal ones, within the tolerance", async () => {
      const prices = fromRows([
        { city: "Oslo", at: "2001-01-01T10:00Z", price: 1 },
        { city: "Oslo", at: "2001-01-01T10:00Z", price: 2 },
        { city: "Oslo", at: "2001-01-02T11:00Z", price: 3 },
        { city: "Bergen", at: "2001-01-01T00:00Z", price: null },
        { city: null, at: "2001-01-01T00:00Z", price: 9 },
      ], { eventTimestamp: "at", schema: { city: "string", at: "timestamp", price: "int32" } });
      const joined = trips.select("id", "city", "at").asOfJoin(prices, "city").sort("id");
      expect((await rows(joined)).map((row) => [row["price"], row["at_right"]])).toEqual([
        [2, at("2001-01-01T10:00Z")],
        [2, at("2001-01-01T10:00Z")],
        [null, at("2001-01-01")],
        [null, null],
      ]);
      const fresh = trips.select("id", "city", "at").asOfJoin(prices, "city", { tolerance: "1d" }).sort("id");
      expect((await rows(fresh)).map((row) => row["price"])).toEqual([2, null, null, null]);
    });

    it("union matches columns by name and keeps duplicates", async () => {
      const more = trips.select("city", "id");
      expect(await rows(trips.select("id", "city").limit(1).union(more.limit(1)))).toEqual([{ id: 1, city: "Oslo" }, {
        id: 1,
        city: "Oslo",
      }]);
    });

    it("aggregate computes every function, skipping nulls", async () => {
      const data = fromRows([
        { k: "a", x: 1, t: 1 },
        { k: "a", x: 3, t: 3 },
        { k: "a", x: null, t: 9 },
        { k: "b", x: null, t: 1 },
      ], { schema: { k: "string", x: "int32", t: "int32" } });
      const result = data.groupBy("k").aggregate({
        n: count(),
        nx: count("x"),
        sum: sum("x"),
        min: min("x"),
        max: max("x"),
        mean: mean("x"),
        median: median("x"),
        q: quantile("x", 0.75),
        vp: varPop("x"),
        vs: varSamp("x"),
        sp: stddevPop("x"),
        ss: stddevSamp("x"),
        first: first("x", { by: "t" }),
        last: last("x", { by: "t" }),
        distinct: countDistinct("x"),
        minBy: minBy("x", col("t").negate()),
        maxBy: maxBy("k", "t"),
        list: list("x", { by: col("t").negate() }),
        any: any(col("x").gt(2)),
        all: all(col("x").gt(2)),
        late: count().where(col("t").gt(2)),
      }).sort("k");
      expect(await rows(result)).toEqual([
        {
          k: "a",
          n: 3n,
          nx: 2n,
          sum: 4n,
          min: 1,
          max: 3,
          mean: 2,
          median: 2,
          q: 2.5,
          vp: 1,
          vs: 2,
          sp: 1,
          ss: Math.sqrt(2),
          first: 1,
          last: 3,
          distinct: 2n,
          minBy: 3,
          maxBy: "a",
          list: [3, 1],
          any: true,
          all: false,
          late: 2n,
        },
        {
          k: "b",
          n: 1n,
          nx: 0n,
          sum: null,
          min: null,
          max: null,
          mean: null,
          median: null,
          q: null,
          vp: null,
          vs: null,
          sp: null,
          ss: null,
          first: null,
          last: null,
          distinct: 0n,
          minBy: null,
          maxBy: "b",
          list: [],
          any: null,
          all: null,
          late: 0n,
        },
      ]);
    });

    it("aggregate without groups gives one row, also of no rows (S7)", async () => {
      const none = trips.filter(lit(false)).groupBy().aggregate({ n: count(), total: sum("fare"), all: list("id") });
      expect(await rows(none)).toEqual([{ n: 0n, total: null, all: [] }]);
    });

    it("first and last go by the source's event timestamp", async () => {
      const result = trips.groupBy("city").aggregate({ first: first("id"), last: last("id") }).sort("city");
      expect(await rows(result)).toEqual([
        { city: "Bergen", first: 3, last: 3 },
        { city: "Oslo", first: 1, last: 2 },
        { city: null, first: 4, last: 4 },
      ]);
    });

    it("a sum that leaves 64 bits is an error", async () => {
      const big = fromRows([{ x: 2n ** 62n }, { x: 2n ** 62n }]).groupBy().aggregate({ total: sum("x") });
      await expect(rows(big)).rejects.toMatchObject({ code: "SCHEMA_MISMATCH" });
    });

    it("distinct keeps one row of equal ones, the first by some columns", async () => {
      expect(await ids(trips.distinct("city").sort("id"))).toEqual([1, 3, 4]);
      expect(await rows(trips.select("city").distinct().sort("city"))).toEqual([{ city: "Bergen" }, { city: "Oslo" }, {
        city: null,
      }]);
      expect(await ids(trips.sort(descending("id")).distinct("city").sort("id"))).toEqual([2, 3, 4]);
    });

    it("sort puts nulls last unless told", async () => {
      expect(await ids(trips.sort("fare"))).toEqual([4, 3, 1, 2]);
      expect(await ids(trips.sort({ by: "fare", descending: true, nulls: "first" }))).toEqual([2, 1, 3, 4]);
      expect(await ids(trips.sort(col("id").modulo(2), descending("id")))).toEqual([4, 2, 3, 1]);
    });

    it("limit counts after its offset", async () => {
      expect(await ids(trips.limit(2, 1))).toEqual([2, 3]);
      expect(await ids(trips.limit(0))).toEqual([]);
    });

    it("unnest gives a row for each element", async () => {
      const tags = async (keepEmpty: boolean): Promise<unknown[]> =>
        (await rows(trips.select("id", "tags").unnest("tags", { keepEmpty }).sort("id", "tags"))).map((
          row,
        ) => [row["id"], row["tags"]]);
      expect(await tags(false)).toEqual([[1, "a"], [1, "b"], [4, "c"]]);
      expect(await tags(true)).toEqual([[1, "a"], [1, "b"], [2, null], [3, null], [4, "c"]]);
    });

    it("sample is the same in every run, and of the wanted size", async () => {
      const many = fromRows(Array.from({ length: 1000 }, (_, id) => ({ id })));
      const once = await ids(many.sample({ rows: 50, seed: 7 }));
      expect(once).toHaveLength(50);
      expect(await ids(many.sample({ rows: 50, seed: 7 }))).toEqual(once);
      expect(await ids(many.sample({ rows: 50, seed: 8 }))).not.toEqual(once);
      const part = await ids(many.sample({ fraction: 0.5, seed: 1 }));
      expect(part.length).toBeGreaterThan(400);
      expect(part.length).toBeLessThan(600);
      expect(await ids(many.sample({ fraction: 1 }))).toHaveLength(1000);
      expect(await ids(many.sample({ fraction: 0 }))).toHaveLength(0);
    });

    it("sql reads named frames, and its results get varve's types", async () => {
      const result = sql(
        'with x as (select city, sum(id) as total, max("at")::timestamp as latest from t group by 1) select * from x order by 1 -- end',
        { t: trips },
      );
      expect(result.schema.map((field) => field.type)).toEqual(["string", "int64", "timestamp"]);
      expect(await rows(result.filter(col("city").eq("Oslo")))).toEqual([{
        city: "Oslo",
        total: 3n,
        latest: at("2001-01-02T10:00Z"),
      }]);
    });

    it("position grows with the source's order where rows are kept one by one", async () => {
      const kept = await session.compile(trips.filter(col("id").ne(2)).derive({ x: lit(1) }).select("id").query, {
        position: true,
      });
      expect(kept.position).toBe(true);
      expect(kept.schema.at(-1)).toEqual({ name: "__position", type: "int64" });
      const found = await session.rows(`SELECT * FROM (${kept.sql}) ORDER BY __position`);
      expect(found.map((row) => row["id"])).toEqual([1, 3, 4]);
      const unique = cities.groupBy("name").aggregate({ n: count() });
      const positioned = async (frame: { query: Frame["query"] }): Promise<unknown> =>
        (await session.compile(frame.query, { position: true })).position;
      expect(await positioned(trips.join(cities, { city: "name" }, { how: "left" }))).toBe(false);
      expect(await positioned(trips.join(unique, { city: "name" }, { how: "left" }))).toBe(true);
      expect(await positioned(trips.join(cities, { city: "name" }, { how: "semi" }))).toBe(true);
      expect(await positioned(trips.union(trips))).toBe(false);
    });

    it("batches, collectBatches, fill and table keep values of every type", async () => {
      const schema = {
        s: "string",
        b: "boolean",
        i: "int32",
        l: "int64",
        f: "float32",
        d: "float64",
        day: "date",
        t: "timestamp",
        u: "duration",
        x: "binary",
        list: { list: "int64" },
        st: { struct: [{ name: "a", type: "int32" }, { name: "b", type: { list: "string" } }] },
      } as const;
      const values = {
        s: "naïve 🦊 longer than twelve bytes",
        b: true,
        i: -2147483648,
        l: 9223372036854775807n,
        f: 0.5,
        d: -0.1,
        day: "1969-12-31",
        t: at("9999-12-31T23:59:59.999999Z"),
        u: -1n,
        x: new Uint8Array([0, 255]),
        list: [1n, null, 2n ** 60n],
        st: { a: null, b: ["x", null] },
      };
      const empty = Object.fromEntries(Object.keys(schema).map((name) => [name, null]));
      const data = [values, empty, {
        ...values,
        s: "",
        d: Number.NaN,
        f: Number.POSITIVE_INFINITY,
        list: [],
        day: "2000-02-29",
      }];
      const frame = fromRows(data, { schema });
      const relation = await session.compile(frame.query);
      expect(await session.rows(relation.sql)).toEqual(data);
      const batches = await session.collectBatches(relation.sql, relation.schema);
      const filled = await session.fill("filled", relation.schema, batches);
      expect(await session.rows(filled.sql)).toEqual(data);
      const again = await session.table("again", data, frame.schema);
      expect(await session.rows(again.sql)).toEqual(data);
      expect(batches[0]!.columns[2]!.values).toBeInstanceOf(Int32Array);
      expect(batches[0]!.columns[7]!.values).toBeInstanceOf(BigInt64Array);
      expect(batches[0]!.columns[0]!.isNull(1)).toBe(true);
    });

    it("collectInto puts a whole result into arrays of the caller's, and refuses more rows than there is room for", async () => {
      const rows = 5_000; // more than the engine gives at a time
      const sql = `SELECT range::INTEGER AS i, range * 2 AS l, range / 4 AS d FROM range(${rows})`;
      const columns = [new Int32Array(rows), new BigInt64Array(rows + 1), new Float64Array(rows)] as const;
      expect(await session.collectInto(sql, columns)).toBe(rows);
      expect(columns.map((values) => values[rows - 1])).toEqual([4_999, 9_998n, 1_249.75]);
      expect(await session.collectInto(`${sql} WHERE range < 3`, [new Int32Array(3)])).toBe(3);
      await expect(session.collectInto(sql, [new Int32Array(rows - 1)])).rejects.toThrow("5000 rows where 4999");
    });

    it("an aborted signal interrupts a running query, and the session lives", async () => {
      const abort = new AbortController();
      const endless = session.rows(
        "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b",
        abort.signal,
      );
      queueMicrotask(() => abort.abort());
      await expect(endless).rejects.toMatchObject({ code: "CANCELLED" });
      await expect(session.rows("SELECT 1", abort.signal)).rejects.toMatchObject({ code: "CANCELLED" });
      expect(await session.rows("SELECT 1 AS x")).toEqual([{ x: 1 }]);
    });

    it("batches that are left early leave the session to others at once", async () => {
      for (const read of ["batches", "borrowedBatches"] as const) {
        for (let left = 1; left <= 3; left++) {
          let seen = 0;
          for await (const { rowCount } of session[read](numbers(1_000_000), number)) {
            seen += rowCount;
            if (seen >= left * 2048) break;
          }
          expect(seen).toBe(left * 2048);
          expect(await session.rows("SELECT 1 AS x")).toEqual([{ x: 1 }]);
        }
      }
    });

    it("what fails while a batch is used is told to who asks for the next one", async () => {
      const sql =
        "SELECT CASE WHEN range = 500000 THEN error('no more') ELSE range END::INTEGER AS x FROM range(1000000)";
      const batches = session.batches(sql, number);
      await expect((async () => {
        for await (const _ of batches) await new Promise((resolve) => setImmediate(resolve));
      })()).rejects.toThrow("no more");
      expect(await session.rows("SELECT 1 AS x")).toEqual([{ x: 1 }]);
    });

    it("an aborted signal ends batches, whether or not one is waited for", async () => {
      const abort = new AbortController();
      let seen = 0;
      const read = async () => {
        for await (const _ of session.batches(numbers(100_000_000), number, abort.signal)) {
          if (++seen === 3) abort.abort();
        }
      };
      await expect(read()).rejects.toMatchObject({ code: "CANCELLED" });
      expect(seen).toBeLessThan(6);
      expect(await session.rows("SELECT 1 AS x")).toEqual([{ x: 1 }]);
    });
  });
}

const number = [{ name: "x", type: "int32" as const }];

function numbers(rows: number): string {
  return `SELECT range::INTEGER AS x FROM range(${rows})`;
}
