import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AggregateView, AggregationDefinition } from "../../../sdk/define/definitions.ts";
import type { Query } from "../../../sdk/frame/query.ts";
import type { Row } from "../../../sdk/schema.ts";
import { registerAggregation } from "../../../sdk/window/aggregators/user_defined.ts";
import { aggregatorOf } from "../../../sdk/window/aggregator_of.ts";
import { january, Rig } from "./rig.ts";

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.open();
});
afterEach(async () => {
  expect(await rig.leftOvers()).toEqual([]);
  await rig.close();
});

const v = { kind: "column", name: "v" } as const;
const aggregations: readonly AggregationDefinition[] = [
  { name: "n", function: "count" },
  { name: "newest", function: "last", input: v },
];

function view(more: Partial<AggregateView> = {}): AggregateView {
  const { mode: _mode, features: _features, ...base } = rig.definition();
  return {
    ...base,
    mode: "aggregates",
    every: "1h",
    edge: "complete",
    boundary: "inclusive",
    aggregations,
    features: [],
    ...more,
  };
}

const rows = [
  { a: "x", b: 1, t: "2001-01-01T06:00Z", w: "2001-01-01T07:00Z", v: 1 },
  { a: "x", b: 1, t: "2001-01-01T06:59:59.999999Z", w: "2001-01-01T06:30Z", v: 2 },
  { a: "x", b: 1, t: "2001-01-01T06:00Z", w: "2001-01-01T07:00Z", v: 1 },
  { a: "y", b: 1, t: "2001-01-02T07:00Z", v: null },
  { a: "x", b: 1, t: "2001-01-04T00:00Z", v: 4 },
];

/** Key, time and states of tiles: the columns that tell them apart. */
function short(row: Row): unknown[] {
  return [row["a"], String(row["event_timestamp"]).slice(8, 13), row["n__count"], row["newest__value"]];
}

describe("materialize() of aggregates", () => {
  it("stores tiles: one per key and interval with rows, counting or not", async () => {
    await rig.write(rows);
    const result = await rig.run(1, 6, { definition: view() });
    expect(result).toMatchObject({ outcome: "committed", slices: 5, rows: 3, dropped: { nullKey: 0 } });
    const stored = await rig.stored();
    expect(Object.keys(stored[0]!)).toEqual([
      "a",
      "b",
      "event_timestamp",
      "effective_timestamp",
      "written_timestamp",
      "n__count",
      ...aggregatorOf(aggregations[1]!, { input: "float64" }).slots.map(({ name }) => `newest__${name}`),
    ]);
    expect(stored.map(short)).toEqual([["x", "01T06", 3, 2], ["x", "04T00", 1, 4], ["y", "02T07", 1, 0]]);
    expect(stored.map((row) => [String(row["effective_timestamp"]), row["written_timestamp"]?.toString()])).toEqual([
      ["2001-01-02T02:00:00Z", "2001-01-01T07:00:00Z"],
      ["2001-01-05T02:00:00Z", undefined],
      ["2001-01-03T02:00:00Z", undefined],
    ]);
    const { files, slices } = await rig.table().snapshot();
    expect([...slices.keys()].sort()).toEqual([1, 2, 3, 4, 5].map(january));
    // What bounds of files say is true of the column, so that any engine may leave files out.
    expect(files.map((file) => [file.minEventTimestamp, file.maxEventTimestamp])).toEqual([
      [january(1) + 6n * 3_600_000_000n, january(1) + 6n * 3_600_000_000n],
      [january(2) + 7n * 3_600_000_000n, january(2) + 7n * 3_600_000_000n],
      [january(4), january(4)],
    ]);
  });

  it("stores the rows themselves where edges are exact: duplicates, in order", async () => {
    await rig.write([...rows, { a: "x", b: 1, t: "2001-01-01T06:00Z", v: 9 }]);
    await rig.run(1, 6, { definition: view({ edge: "exact", maxRows: 10 }) });
    const stored = await rig.stored();
    expect(Object.keys(stored[0]!)).toEqual([
      "a",
      "b",
      "event_timestamp",
      "effective_timestamp",
      "written_timestamp",
      "input_0",
    ]);
    const [file] = (await rig.table().snapshot()).files;
    const [path] = await rig.table().localPaths([file!]);
    const session = await rig.engine.session();
    // Unknown written times come first, as of attributes (S3).
    expect((await session.rows(`SELECT input_0 FROM read_parquet('${path}')`)).map((row) => row["input_0"]))
      .toEqual([9, 1, 1, 2]);
    session.close();
    expect(stored).toHaveLength(6);
  });

  it("takes the clock as written timestamp where the source has none", async () => {
    await rig.write(rows);
    const { writtenTimestamp: _, ...rest } = view();
    await rig.run(1, 3, { definition: rest });
    expect((await rig.stored()).map((row) => String(row["written_timestamp"]))).toEqual([
      "2001-02-01T00:00:00Z",
      "2001-02-01T00:00:00Z",
    ]);
  });

  it("drops rows without a key, a secondary key or a time, and counts them", async () => {
    await rig.write([
      ...rows,
      { a: null, b: 1, t: "2001-01-01T06:00Z", v: 1 },
      { a: "q", b: 1, t: null, v: 1 },
      { a: "q", b: null, t: "2001-01-01T06:00Z", v: null },
    ]);
    const result = await rig.run(1, 5, { definition: view() });
    expect(result.dropped).toEqual({ nullKey: 2, nullTimestamp: 1 });
    rig.use("secondary");
    const grouped = view({ secondaryKey: { name: "v", type: "float64" }, aggregations: aggregations.slice(0, 1) });
    expect((await rig.run(1, 5, { definition: grouped })).dropped).toEqual({ nullKey: 3, nullTimestamp: 1 });
    expect((await rig.stored()).map((row) => [row["a"], row["n__groupKeys"], row["n__count"]])).toEqual([
      ["x", [1, 2], [2, 1]],
      ["x", [4], [1]],
    ]);
  });

  it("refuses rows that a query moves out of their slice", async () => {
    await rig.write(rows);
    const sql = "SELECT a, b, t + INTERVAL 20 HOUR AS t, w, v FROM source";
    const source = rig.scan();
    const query: Query = { kind: "sql", sql, inputs: { source }, schema: source.schema };
    await expect(rig.run(1, 3, { definition: view({ query }) })).rejects.toThrow(/of another schedule interval/);
    expect((await rig.table().snapshot()).slices.size).toBe(0);
  });

  it("gives what one query per slice gives, whatever the query does", async () => {
    const many = Array.from({ length: 60 }, (_, i) => ({
      a: "xyz"[i % 3]!,
      b: i % 2,
      t: `2001-01-0${1 + i % 4}T0${i % 5}:00Z`,
      v: i % 7,
    }));
    await rig.write(many);
    const scan = rig.scan(["a", "b", "t", "v"]);
    const input: Query = {
      ...scan,
      source: { kind: "file", format: "parquet", paths: [rig.source], eventTimestamp: "t" },
    };
    const queries: Record<string, Query> = {
      union: { kind: "union", inputs: [input, input] },
      distinct: { kind: "distinct", input, columns: ["a", "v"] },
      groups: {
        kind: "aggregate",
        input,
        by: ["a", "b", "t"],
        aggregates: [{ name: "v", function: "sum", input: v }],
      },
      sql: {
        kind: "sql",
        sql: "SELECT a, b, max(t) AS t, sum(v) AS v FROM source GROUP BY a, b",
        inputs: { source: input },
        schema: input.schema,
      },
    };
    const { writtenTimestamp: _, ...rest } = view();
    for (const [name, query] of Object.entries(queries)) {
      for (const edge of ["complete", "exact"] as const) {
        const definition = { ...rest, query, edge };
        rig.use(`${name}-${edge}-together`);
        await rig.run(1, 5, { definition });
        const together = await rig.stored();
        expect(together.length).toBeGreaterThan(3);
        rig.use(`${name}-${edge}-apart`);
        for (const day of [3, 1, 4, 2]) await rig.run(day, day + 1, { definition });
        expect(await rig.stored()).toEqual(together);
      }
    }
  });

  it("orders equal times by value where the query has lost the source's order", async () => {
    const t = "2001-01-01T06:00Z";
    await rig.write([4, 6, null, 5].map((value) => ({ a: "x", b: 1, t, v: value })));
    const query: Query = { kind: "union", inputs: [rig.scan(), rig.scan()] };
    await rig.run(1, 2, { definition: view({ query }) });
    expect((await rig.stored()).map(short)).toEqual([["x", "01T06", 8, 6]]);
  });

  it("sees future-dated rows when their slice has closed, and no row before the start", async () => {
    await rig.write([
      { a: "old", b: 1, t: "2000-12-31T23:59Z", v: 1 },
      { a: "x", b: 1, t: "2001-02-01T12:00Z", v: 2 },
    ]);
    await rig.run(1, 31, { definition: view() });
    expect(await rig.stored()).toEqual([]);
    rig.clock.set("2001-02-02T02:00");
    await rig.run(31, 33, { definition: view() });
    expect((await rig.stored()).map(short)).toEqual([["x", "01T12", 1, 2]]);
    await expect(rig.run(0, 1, { definition: view() })).rejects.toThrow(/slices that have closed are/);
  });
});

describe("writing tiles", () => {
  /** One row a second of a day, of some keys, of which one has half of all rows. */
  async function writeSeconds(keys: number): Promise<void> {
    await rig.writeSql(
      `SELECT CASE WHEN i % 2 = 0 THEN 'hot' ELSE 'key ' || hash(i) % ${keys} END AS a, 7::BIGINT AS b, ` +
        "TIMESTAMPTZ '2001-01-01' + INTERVAL (i) SECOND AS t, NULL::TIMESTAMPTZ AS w, (i % 1000)::DOUBLE AS v FROM range(86400) r(i)",
    );
  }

  async function queryAll(sql: (files: string) => string): Promise<Row[]> {
    const { files } = await rig.table().snapshot();
    const paths = await rig.table().localPaths(files);
    const session = await rig.engine.session();
    try {
      return await session.rows(
        sql(`read_parquet([${paths.map((path) => `'${path}'`).join()}], filename = true, file_row_number = true)`),
      );
    } finally {
      session.close();
    }
  }

  it("gives what SQL gives, over many blocks of states", async () => {
    await writeSeconds(200);
    const definition = view({
      every: "1m",
      aggregations: [...aggregations, { name: "least", function: "min", input: v }],
    });
    await rig.run(1, 2, { definition });
    const wrong = await queryAll((files) =>
      `SELECT a, tile, n, least, newest FROM (SELECT a, time_bucket(INTERVAL 1 MINUTE, t) AS tile, count(*)::DOUBLE AS n,
       min(v) AS least, arg_max(v, t) AS newest FROM read_parquet('${rig.source}') GROUP BY ALL)
       FULL JOIN (SELECT a, event_timestamp AS tile, n__count AS n, least__value AS least, newest__value AS newest FROM ${files})
       s USING (a, tile, n, least, newest) WHERE s.a IS NULL OR s.n IS NULL OR n IS NULL LIMIT 3`
    );
    expect(wrong).toEqual([]);
    const [count] = await queryAll((files) => `SELECT count(*) AS n FROM ${files}`);
    expect(count!["n"]).toBeGreaterThan(20_000n);
  });

  it("writes a large slice in several sorted parts, none of which shares a key with another", async () => {
    await writeSeconds(300);
    await rig.run(1, 2, { definition: view({ every: "1m" }), context: { maxRowsPerPart: 5_000 } });
    const parts = await queryAll((files) =>
      `SELECT filename, min(a) AS first, max(a) AS last, count(*) AS n FROM ${files} GROUP BY 1 ORDER BY first`
    );
    expect(parts.length).toBeGreaterThan(3);
    for (const part of parts.slice(0, -1)) expect(part["n"]).toBeGreaterThanOrEqual(5_000n);
    expect((await rig.table().snapshot()).files).toHaveLength(parts.length);
    for (const [i, part] of parts.slice(1).entries()) expect(part["first"] > parts[i]!["last"]).toBe(true);
    const unsorted = await queryAll((files) =>
      `SELECT * FROM (SELECT (a, event_timestamp) <= lag((a, event_timestamp)) OVER (PARTITION BY filename ORDER BY file_row_number) AS wrong FROM ${files}) WHERE wrong`
    );
    expect(unsorted).toEqual([]);
    const [total] = await queryAll((files) => `SELECT sum(n__count) AS n FROM ${files}`);
    expect(total!["n"]).toBe(86_400);
  });

  it("sorts slices of many keys part by part, and gives the same tiles", async () => {
    await rig.writeSql(
      "SELECT 'k' || hash(i) % 3000 AS a, 7::BIGINT AS b, TIMESTAMPTZ '2001-01-01' + INTERVAL (i * 10) SECOND AS t, NULL::TIMESTAMPTZ AS w, (i % 1000)::DOUBLE AS v FROM range(26000) r(i)",
    );
    const definition = view({ every: "1h" });
    await rig.run(1, 5, { definition });
    const whole = await rig.stored();
    expect(whole.length).toBeGreaterThan(20_000);
    rig.use("parts");
    await rig.run(1, 5, { definition, context: { maxRowsPerPart: 1_000 } });
    expect((await rig.table().snapshot()).files.length).toBeGreaterThan(9);
    expect(await rig.stored()).toEqual(whole);
    const unsorted = await queryAll((files) =>
      `SELECT * FROM (SELECT (a, event_timestamp) <= lag((a, event_timestamp)) OVER (PARTITION BY filename ORDER BY file_row_number) AS wrong FROM ${files}) WHERE wrong`
    );
    expect(unsorted).toEqual([]);
  });

  it("knows keys of any name from its own", async () => {
    const names = ["rowid", "s", "k"];
    const columns = names.map((name, i) => `'${i}' || hash(i + ${i}) % 5 AS "${name}"`).join(", ");
    await rig.writeSql(
      `SELECT ${columns}, TIMESTAMPTZ '2001-01-01' + INTERVAL (i) MINUTE AS t, i::DOUBLE AS v FROM range(1000) r(i)`,
    );
    const scan = rig.scan(["t", "v"]);
    const keys = names.map((name) => ({ name, type: "string" }) as const);
    const { writtenTimestamp: _, ...rest } = view({
      entity: { kind: "entity", name: "thing", joinKeys: keys },
      query: {
        ...scan,
        source: { kind: "file", format: "parquet", paths: [rig.source], eventTimestamp: "t" },
        schema: [...keys, ...scan.schema],
      },
    });
    await rig.run(1, 2, { definition: rest, context: { maxRowsPerPart: 100 } });
    const list = names.map((name) => `"${name}"`).join(", ");
    const wrong = await queryAll((files) =>
      `SELECT * FROM (SELECT ${list}, time_bucket(INTERVAL 1 HOUR, t) AS tile, count(*)::DOUBLE AS n FROM read_parquet('${rig.source}') GROUP BY ALL)
       FULL JOIN (SELECT ${list}, event_timestamp AS tile, n__count AS n FROM ${files}) s USING (${list}, tile, n)
       WHERE s.tile IS NULL OR tile IS NULL OR n IS NULL`
    );
    expect(wrong).toEqual([]);
    const [count] = await queryAll((files) => `SELECT sum(n__count) AS n, count(*) AS tiles FROM ${files}`);
    expect(count).toMatchObject({ n: 1000 });
  });

  it("reads long values a few at a time", async () => {
    await rig.writeSql(
      "SELECT 'x' AS a, 7::BIGINT AS b, TIMESTAMPTZ '2001-01-01' + INTERVAL (i) SECOND AS t, NULL::TIMESTAMPTZ AS w, repeat(chr(97 + (i % 26)::INTEGER), 4000) AS v FROM range(20000) r(i)",
    );
    const scan = rig.scan();
    const schema = scan.schema.map((field) => field.name === "v" ? { name: "v", type: "string" as const } : field);
    const definition = view({ query: { ...scan, schema }, every: "1m" });
    await rig.run(1, 2, { definition });
    const found = await queryAll((files) =>
      `SELECT n__count AS n, length(newest__value) AS size, newest__value[1] AS first FROM ${files} ORDER BY event_timestamp`
    );
    expect(found).toHaveLength(334);
    expect(
      found.slice(0, -1).every((row, i) =>
        row["n"] === 60 && row["first"] === String.fromCharCode(97 + (60 * i + 59) % 26)
      ),
    )
      .toBe(true);
    expect(found[0]!["size"]).toBe(4_000n);
  });

  it("says of which key and slice an aggregator failed", async () => {
    await rig.writeSql(
      "SELECT 'x' AS a, 7::BIGINT AS b, TIMESTAMPTZ '2001-01-02' + INTERVAL (i) SECOND AS t, NULL::TIMESTAMPTZ AS w, i::DOUBLE AS v FROM range(20000) r(i)",
    );
    const definition = view({
      every: "1d",
      secondaryKey: { name: "v", type: "float64" },
      aggregations: [{ name: "perValue", function: "count" }],
    });
    const failure = rig.run(1, 4, { definition });
    await expect(failure).rejects.toMatchObject({
      code: "UNSUPPORTED",
      details: { view: "values", aggregation: "perValue", key: { a: "x", b: 7n } },
    });
    await expect(failure).rejects.toThrow(
      /view "values" version 1: aggregation "perValue" failed for a x, b 7 in the slice \[2001-01-02T00:00:00Z, 2001-01-03/,
    );
    expect((await rig.table().snapshot()).slices.size).toBe(0);
  });

  it("computes a user's own function, and says when this process has it not", async () => {
    await rig.write(rows);
    const definition = (name: string) => view({ aggregations: [{ name: "own", function: name, input: v }] });
    await expect(rig.run(1, 2, { definition: definition("nobodys@1") })).rejects.toThrow(
      /view "values" version 1: .*"own".*registerAggregation/,
    );
    expect((await rig.table().snapshot()).version).toBe(-1);
    const own = registerAggregation({
      name: "lengthOfTexts",
      version: 2,
      resultType: () => "int32",
      make: () => ({
        slots: [{ name: "texts", type: { list: "string" } }],
        result: "int32",
        clear: ([texts], i) => void (texts![i] = [] as never),
        update: ([texts], i, value) => void (texts![i] as unknown as string[]).push(`<${String(value)}>`),
        merge: ([into], i, [from], j) =>
          void (into as unknown as string[][])[i]!.push(...(from as unknown as string[][])[j]!),
        finalize: ([texts], i) => (texts as unknown as string[][])[i]!.join("").length,
      }),
    });
    await rig.run(1, 3, { definition: definition(own) });
    expect((await rig.stored()).map((row) => row["own__texts"])).toEqual([["<1>", "<1>", "<2>"], []]);
  });
});
