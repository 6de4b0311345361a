import { tableFromArrays, tableFromIPC, tableToIPC } from "apache-arrow";
import pl from "nodejs-polars";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import "../../../sdk/engine/install.ts";
import { createDuckDbEngine } from "../../../sdk/engine/duckdb.ts";
import type { ColumnBatch, EngineSession } from "../../../sdk/engine/engine.ts";
import type { DataFrame } from "../../../sdk/engine/polars.ts";
import { fromArrow, fromPolars, fromRows } from "../../../sdk/frame/sources.ts";
import type { Row, Schema } from "../../../sdk/schema.ts";
import { Timestamp } from "../../../sdk/time.ts";

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
  list: { list: "string" },
  st: { struct: [{ name: "a", type: "int64" }, { name: "b", type: { list: "int32" } }] },
} as const;

const full: Row = {
  s: "naïve 🦊, longer than twelve bytes",
  b: true,
  i: -2147483648,
  l: 9223372036854775807n,
  f: 0.5,
  d: -0.1,
  day: "1969-12-31",
  t: Timestamp.from("2001-02-03T04:05:06.000007Z"),
  u: -90_061_000_001n,
  x: new Uint8Array([0, 255]),
  list: ["a", null, ""],
  st: { a: 2n ** 60n, b: [1, null] },
};
const empty: Row = Object.fromEntries(Object.keys(schema).map((name) => [name, null]));
const data: Row[] = [full, empty, {
  ...full,
  s: "",
  l: -(2n ** 63n),
  d: Number.NaN,
  f: Number.POSITIVE_INFINITY,
  list: [],
  b: false,
}];

describe("exchange", () => {
  const engine = createDuckDbEngine();
  let session: EngineSession;
  beforeAll(async () => {
    session = await engine.session();
  });
  afterAll(async () => {
    session.close();
    await engine.close();
  });

  it("a DataFrame has every value and the right types", async () => {
    const frame = await fromRows(data, { schema }).collect();
    expect(frame.columns).toEqual(Object.keys(schema));
    const type = (name: string): string => frame.getColumn(name).dtype.toString();
    expect(
      [type("s"), type("b"), type("i"), type("l"), type("f"), type("d"), type("day")].map((text) =>
        text.replace(/DataType\((\w+).*/, "$1")
      ),
    )
      .toEqual(["String", "Bool", "Int32", "Int64", "Float32", "Float64", "Date"]);
    expect(frame.getColumn("t").dtype.equals(pl.Datetime("us", "UTC"))).toBe(true);
    // The library says "ms" of every duration when it is asked for the type.
    expect(frame.getColumn("u").toString()).toContain("duration[μs]");
    expect(frame.getColumn("s").toArray()).toEqual(data.map((row) => row["s"]));
    expect(frame.getColumn("b").toArray()).toEqual([true, null, false]);
    expect(frame.getColumn("l").cast(pl.Utf8).toArray()).toEqual(["9223372036854775807", null, "-9223372036854775808"]);
    expect(frame.getColumn("d").toArray()).toEqual([-0.1, null, Number.NaN]);
    expect(frame.getColumn("t").cast(pl.Int64).cast(pl.Utf8).toArray()).toEqual([
      "981173106000007",
      null,
      "981173106000007",
    ]);
    expect(frame.getColumn("day").cast(pl.Int32).toArray()).toEqual([-1, null, -1]);
    expect(frame.getColumn("u").cast(pl.Int64).cast(pl.Utf8).toArray()).toEqual(["-90061000001", null, "-90061000001"]);
  });

  it("a DataFrame goes in as it came out", async () => {
    const out = await fromRows(data, { schema }).collect();
    const back = fromPolars(out);
    expect(back.schema).toEqual(fromRows(data, { schema }).schema);
    expect(await back.rows()).toEqual(data);
    const relation = await session.table("frame", out);
    expect(await session.rows(relation.sql)).toEqual(data);
  });

  it("polars types of its own are normalised", async () => {
    const frame: DataFrame = pl.DataFrame({ n: [1, 2, null], c: ["x", "y", null], t: [new Date(0), null, new Date(1)] })
      .withColumns(
        pl.col("n").cast(pl.UInt8).alias("u8"),
        pl.col("c").cast(pl.Categorical).alias("cat"),
        pl.col("n").cast(pl.Duration("ms")).alias("dur"),
      );
    const back = fromPolars(frame, { eventTimestamp: "t" });
    expect(Object.fromEntries(back.schema.map((field) => [field.name, field.type])))
      .toEqual({ n: "float64", c: "string", t: "timestamp", u8: "int32", cat: "string", dur: "duration" });
    expect((await back.rows())[1]).toEqual({ n: 2, c: "y", t: null, u8: 2, cat: "y", dur: 2000n });
    expect((await back.rows())[2]!["t"]).toEqual(Timestamp.from(new Date(1)));
  });

  it("durations within lists and structs are refused: they would come as integers of any unit", () => {
    const frame: DataFrame = pl.DataFrame({ n: [5000] }).withColumns(
      pl.col("n").cast(pl.Int64).cast(pl.Duration("ms")).alias("u"),
    );
    for (const nested of [pl.struct(pl.col("u")).alias("v"), pl.concatList(["u"]).alias("v")]) {
      expect(() => fromPolars(frame.select(nested))).toThrow(
        expect.objectContaining({
          code: "UNSUPPORTED",
          message: expect.stringMatching(/column "v" .*durations within/),
        }),
      );
    }
  });

  it("an empty result is an empty DataFrame and an empty Arrow table", async () => {
    const none = fromRows([], { schema });
    const frame = await none.collect();
    expect([frame.height, frame.columns]).toEqual([0, Object.keys(schema)]);
    expect((await none.toArrow()).numRows).toBe(0);
    expect(await fromPolars(frame).rows()).toEqual([]);
  });

  it("Arrow tables go out and in", async () => {
    const table = await fromRows(data, { schema }).toArrow();
    expect(table.getChild("s")!.toArray()).toEqual(data.map((row) => row["s"]));
    expect(table.getChild("l")!.get(0)).toBe(9223372036854775807n);
    expect(await fromArrow(table).select("s", "b", "i", "l", "f", "d", "day", "t", "u", "x", "list", "st").rows())
      .toEqual(data);
    const made = tableFromIPC(tableToIPC(tableFromArrays({ a: Int32Array.of(1, 2), s: ["x", "y"] })));
    expect(await fromArrow(made).rows()).toEqual([{ a: 1, s: "x" }, { a: 2, s: "y" }]);
  });

  it("batches are added to a table one by one, each copied before the next is made", async () => {
    const columns: Schema = [{ name: "n", type: "float64" }, { name: "s", type: "string" }];
    const values = new Float64Array(3000);
    const texts = new Array<string>(3000);
    function* batches(first: number, count: number): Iterable<ColumnBatch> {
      for (let batch = first; batch < first + count; batch++) {
        values.fill(batch);
        texts.fill(`batch ${batch}`);
        const never = { isNull: () => false, hasNulls: false };
        yield { rowCount: values.length, columns: [{ values, ...never }, { values: texts, ...never }] };
      }
    }
    const { sql } = await session.fill("added", columns, batches(0, 1));
    await session.append("added", columns, batches(1, 2));
    await session.append("added", columns, []);
    const runs = await session.rows(
      `SELECT n, s, count(*) AS c, min(rowid) AS first FROM added GROUP BY ALL ORDER BY n`,
    );
    expect(runs).toEqual([0, 1, 2].map((n) => ({ n, s: `batch ${n}`, c: 3000n, first: BigInt(n) * 3000n })));
    expect((await session.rows(`SELECT * FROM (${sql}) LIMIT 1`))[0]).toEqual({ n: 0, s: "batch 0" });
    function* failing(): Iterable<ColumnBatch> {
      yield* batches(3, 1);
      throw new RangeError("the maker's own");
    }
    await expect(session.append("added", columns, failing())).rejects.toThrow(new RangeError("the maker's own"));
    await expect(session.append("no_such_table", columns, batches(0, 1))).rejects.toThrow(/no_such_table/);
  });

  it("nulls of a batch are not those of the batch before", async () => {
    const columns: Schema = [{ name: "n", type: "int32" }, { name: "big", type: "int64" }];
    const rowCount = 5000;
    const isNull = (batch: number, row: number) => batch % 3 === 0 && (row + batch) % 7 === 0;
    function* batches(): Iterable<ColumnBatch> {
      for (let batch = 0; batch < 5; batch++) {
        const nulls = Uint8Array.from({ length: rowCount }, (_, row) => Number(isNull(batch, row)));
        const told = { hasNulls: batch % 3 === 0, isNull: (row: number) => nulls[row] === 1 };
        const n = { values: Int32Array.from({ length: rowCount }, (_, row) => row), ...told };
        const big = { values: BigInt64Array.from({ length: rowCount }, (_, row) => BigInt(row)), ...told, nulls };
        yield { rowCount, columns: [n, big] };
      }
    }
    await session.fill("some_nulls", columns, batches());
    const found = await session.rows("SELECT n, big FROM some_nulls ORDER BY rowid");
    const expected = Array.from({ length: 5 * rowCount }, (_, i) => {
      const row = i % rowCount;
      const isNullRow = isNull(Math.floor(i / rowCount), row);
      return { n: isNullRow ? null : row, big: isNullRow ? null : BigInt(row) };
    });
    expect(found).toEqual(expected);
  });

  it("parts of structs and lists that are null are null too, whatever lay in memory before", async () => {
    const struct = { struct: [{ name: "s", type: "string" }, { name: "l", type: { list: "string" } }] } as const;
    const columns: Schema = [{ name: "st", type: struct }, { name: "li", type: { list: struct } }];
    const value = { s: "longer than twelve bytes", l: ["longer than twelve bytes", null] };
    function* batches(): Iterable<ColumnBatch> {
      for (let batch = 0; batch < 40; batch++) {
        const isNull = () => batch % 2 === 1;
        const of = (each: unknown) => ({ values: new Array(2048).fill(each), hasNulls: true, isNull });
        yield { rowCount: 2048, columns: [of(value), of([value])] };
      }
    }
    await session.fill("nulls", columns, batches());
    const [found] = await session.rows(
      `SELECT count(st) AS st, count(st.s) AS s, count(st.l) AS l, count(li) AS li, count(li[1].s) AS inner FROM nulls`,
    );
    const half = 20n * 2048n;
    expect(found).toEqual({ st: half, s: half, l: half, li: half, inner: half });
  });

  it("later changes to data are not seen", async () => {
    const rows = [{ a: 1 }];
    const frame = fromRows(rows);
    rows.push({ a: 2 });
    rows[0]!.a = 9;
    expect(await frame.rows()).toEqual([{ a: 1 }]);
    const polars = pl.DataFrame({ a: [1] });
    const other = fromPolars(polars);
    polars.columns = ["b"];
    expect(await other.rows()).toEqual([{ a: 1 }]);
  });

  it("data is refused with a reason when it is no data", () => {
    expect(() => fromPolars({ a: 1 })).toThrow(/give rows, a polars DataFrame or an Arrow table/);
    expect(() => fromPolars(pl.DataFrame({ a: [1] }).lazy())).toThrow(/collect it first/);
  });

  it("many rows keep their order in every form", async () => {
    const relation = {
      sql: "SELECT range AS n, 'value ' || range AS s FROM range(300000)",
      schema: [{ name: "n", type: "int64" }, { name: "s", type: "string" }] as const,
    };
    const frame = await session.dataFrame(relation.sql, relation.schema) as DataFrame;
    const numbers = frame.getColumn("n").toTypedArray() as BigInt64Array;
    expect(numbers.every((value, i) => value === BigInt(i))).toBe(true);
    expect(frame.getColumn("s").get(299_999)).toBe("value 299999");
    const table = await session.table("many", frame);
    let next = 0n;
    for await (const batch of session.batches(table.sql, table.schema)) {
      for (const value of batch.columns[0]!.values as BigInt64Array) {
        if (value !== next++) throw new Error(`row ${next} is ${value}`);
      }
    }
    expect(next).toBe(300_000n);
  });
});
