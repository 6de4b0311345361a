import { describe, expect, expectTypeOf, it } from "vitest";
import "../../../sdk/engine/install.ts";
import { count, last, max, mean, sum } from "../../../sdk/frame/aggregates.ts";
import { col, lit } from "../../../sdk/frame/expr.ts";
import type { Frame } from "../../../sdk/frame/frame.ts";
import { parseQuery } from "../../../sdk/frame/query_json.ts";
import { queryText } from "../../../sdk/frame/query_text.ts";
import { fromRows, parquet } from "../../../sdk/frame/sources.ts";
import { descending } from "../../../sdk/frame/steps.ts";
import { canonicalJson } from "../../../sdk/frame/hash.ts";
import type { Timestamp } from "../../../sdk/time.ts";

const flights = parquet("/data/flights.parquet", {
  eventTimestamp: "date",
  schema: { date: "timestamp", delay: "int32", origin: "string", tags: { list: "string" } },
});
const airports = fromRows([], { schema: { code: "string", city: "string", delay: "float64" } });

describe("Frame", () => {
  it("is immutable, and a branch does not change the trunk", () => {
    const before = JSON.stringify(flights.query);
    flights.filter(col("delay").gt(1)).derive({ late: lit(true) }).sort("delay");
    expect(JSON.stringify(flights.query)).toBe(before);
    expect(Object.isFrozen(flights)).toBe(true);
    expect(() => (flights.query as { kind: string }).kind = "x").toThrow(TypeError);
    expect(() => ((flights.query as unknown as { schema: { name: string }[] }).schema[0]!.name = "x")).toThrow(
      TypeError,
    );
  });

  it("row types grow with the chain", () => {
    type Row = {
      date: Timestamp | null;
      delay: number | null;
      origin: string | null;
      tags: readonly (string | null)[] | null;
    };
    expectTypeOf(flights).toEqualTypeOf<Frame<Row>>();
    const derived = flights.derive({ late: col("delay").gt(15), twice: col("delay").times(2), same: "origin" });
    expectTypeOf<typeof derived.row.late>().toEqualTypeOf<boolean | null>();
    expectTypeOf<typeof derived.row.twice>().toEqualTypeOf<number | null>();
    expectTypeOf<typeof derived.row.same>().toEqualTypeOf<string | null>();
    const selected = flights.select("origin", { d: "delay" });
    expectTypeOf<typeof selected.row>().toEqualTypeOf<{ origin: string | null; d: number | null }>();
    const renamed = flights.rename({ delay: "minutes" });
    expectTypeOf<typeof renamed.row.minutes>().toEqualTypeOf<number | null>();
    const dropped = flights.drop("delay", "tags");
    expectTypeOf<typeof dropped.row>().toEqualTypeOf<{ date: Timestamp | null; origin: string | null }>();
    const unnested = flights.unnest("tags");
    expectTypeOf<typeof unnested.row.tags>().toEqualTypeOf<string | null>();
    const grouped = flights.groupBy("origin").aggregate({ n: count(), most: max("delay"), meanDelay: mean("delay") });
    expectTypeOf<typeof grouped.row>().toEqualTypeOf<
      { origin: string | null; n: bigint; most: number | null; meanDelay: number | null }
    >();
    const joined = flights.join(airports, { origin: "code" }, { how: "left" });
    expectTypeOf<typeof joined.row.city>().toEqualTypeOf<string | null>();
    expectTypeOf<typeof joined.row.delay_right>().toEqualTypeOf<number | null>();
  });

  it("a misspelt column is a compile error, and an error at the call that lists the columns", () => {
    const columns = "columns are date, delay, origin, tags";
    // @ts-expect-error no such column
    expect(() => flights.select("trps")).toThrow(`Cannot select column "trps": ${columns}`);
    // @ts-expect-error no such column
    expect(() => flights.filter(col("dely").gt(1))).toThrow(columns);
    // @ts-expect-error no such column
    expect(() => flights.derive({ x: col("dely") })).toThrow(columns);
    // @ts-expect-error no such column
    expect(() => flights.drop("x")).toThrow(`Cannot drop column "x": ${columns}`);
    // @ts-expect-error no such column
    expect(() => flights.rename({ x: "y" })).toThrow(`Cannot rename column "x": ${columns}`);
    // @ts-expect-error no such column
    expect(() => flights.groupBy("x")).toThrow(`Cannot group by column "x": ${columns}`);
    // @ts-expect-error no such column
    expect(() => flights.groupBy("origin").aggregate({ m: mean("dely") })).toThrow(columns);
    // @ts-expect-error no such column
    expect(() => flights.sort("x")).toThrow(columns);
    // @ts-expect-error no such column
    expect(() => flights.distinct("x")).toThrow(columns);
    // @ts-expect-error no such column
    expect(() => flights.unnest("x")).toThrow(columns);
    // @ts-expect-error no such column on the right
    expect(() => flights.join(airports, { origin: "x" })).toThrow("columns are code, city, delay");
  });

  it("says what else does not fit, at the call", () => {
    expect(() => flights.filter("delay")).toThrow("Cannot filter by a condition of type int32: it must be boolean");
    expect(() => flights.filter((1 < 2) as never)).toThrow("not JavaScript's ==");
    expect(() => flights.select()).toThrow("Cannot select no columns");
    expect(() => flights.derive({ __x: lit(1) })).toThrow("reserved");
    expect(() => flights.rename({ delay: "origin" })).toThrow('Cannot rename column "origin": the name is there twice');
    expect(() => flights.drop("date", "delay", "origin", "tags")).toThrow("at least one must stay");
    expect(() => flights.join(airports, { delay: "code" })).toThrow(
      'Cannot join "delay" with "code": they are int32 and string; cast one of them',
    );
    expect(() => flights.unnest("delay")).toThrow('Cannot unnest column "delay": it is int32, not a list');
    expect(() => flights.union(flights.drop("tags") as never)).toThrow("Cannot union frames of other columns");
    expect(() => flights.union(flights.derive({ delay: "origin" }) as never)).toThrow(
      'Cannot union column "delay": it is int32 and string',
    );
    expect(() => flights.limit(-1)).toThrow("count is -1");
    expect(() => flights.limit(1.5)).toThrow("count is 1.5");
    expect(() => flights.sample({ fraction: 2 })).toThrow("fraction is 2");
    expect(() => flights.groupBy("origin").aggregate({ x: sum("origin") })).toThrow(
      'Cannot aggregate "x" by sum: the input is string; it must be a number',
    );
    expect(() => flights.groupBy("origin").aggregate({ x: max("tags") })).toThrow("have no order");
    expect(() => airports.groupBy("code").aggregate({ x: last("city") })).toThrow("give by");
    expect(() => flights.asOfJoin(airports.rename({ code: "origin" }), "origin")).toThrow(
      /the right frame has no event timestamp; name its column with time: { left, right }, columns are origin, /,
    );
  });

  it("by() checks the join keys of an entity", () => {
    const airport = { name: "airport", joinKeys: [{ name: "origin", type: "string" as const }] };
    const keyed = flights.by(airport);
    expect(keyed.entity.name).toBe("airport");
    expect(keyed.query).toBe(flights.query);
    expect(() => flights.drop("origin").by(airport)).toThrow(
      'Cannot key by entity "airport": join key "origin": columns are date, delay, tags',
    );
    expect(() => flights.derive({ origin: col("delay") }).by(airport)).toThrow(
      'column "origin" is int32 and the join key is string',
    );
    const plan = keyed.publish({
      publish: (features, options: { name: string }) => `${features.entity.name}:${options.name}`,
    }, { name: "delays" });
    expectTypeOf(plan).toEqualTypeOf<string>();
    expect(plan).toBe("airport:delays");
  });

  it("knows which column is the event timestamp", () => {
    expect(flights.eventTimestamp).toBe("date");
    expect(flights.rename({ date: "at" }).filter(col("delay").gt(1)).eventTimestamp).toBe("at");
    expect(flights.select("origin", { when: "date" }).eventTimestamp).toBe("when");
    expect(flights.drop("date").eventTimestamp).toBeUndefined();
    expect(flights.derive({ date: col("origin") }).eventTimestamp).toBeUndefined();
    expect(flights.groupBy("origin").aggregate({ n: count() }).eventTimestamp).toBeUndefined();
    expect(flights.groupBy("origin", "date").aggregate({ n: count() }).eventTimestamp).toBe("date");
  });

  it("prints as text, one line a step", () => {
    const frame = flights.filter(col("delay").gt(15)).join(airports, { origin: "code" }).groupBy("city")
      .aggregate({ n: count(), late: mean("delay").where(col("delay").gt(60)), final: last("delay") }).sort(
        descending("n"),
      ).limit(3);
    expect(String(frame)).toBe(
      `parquet(/data/flights.parquet), event timestamp date: date timestamp, delay int32, origin string, tags list<string>
  filter delay > 15
  inner join on origin = code
    memory(0 rows, ${/memory\(0 rows, (\w+)/.exec(String(frame))![1]}): code string, city string, delay float64
  group by city: n = count(), late = mean(delay) where delay > 60, final = last(delay, by date)
  sort by n descending
  limit 3`,
    );
  });
});

describe("parseQuery()", () => {
  const everything = flights.filter(col("delay").gt(15)).derive({ x: lit(1) }).select("date", "delay", "origin", "x", {
    y: "x",
  }).rename({ x: "z" }).drop("z")
    .join(airports, { origin: "code" }, { how: "left" }).asOfJoin(flights.select("origin", "date"), "origin", {
      tolerance: "90m",
    }).distinct("origin")
    .union(
      flights.select("date", "delay", "origin").derive({
        y: lit(1),
        city: lit("a"),
        delay_right: lit(1.5),
        date_right: "date",
      }),
    )
    .groupBy("origin").aggregate({ n: count(), all: max("delay").where(col("delay").gt(1)) }).sort({
      by: "n",
      descending: true,
      nulls: "first",
    }).limit(5, 1).sample({ fraction: 0.5, seed: 3 });

  it("reads back what toJSON wrote, frozen and with the same hash", () => {
    const again = parseQuery(JSON.parse(JSON.stringify(everything)));
    expect(again).toEqual(everything.query);
    expect(canonicalJson(again)).toBe(canonicalJson(everything.query));
    expect(queryText(again)).toBe(String(everything));
    expect(Object.isFrozen((again as { input: unknown }).input)).toBe(true);
  });

  it.each([
    [null, "query is not an object"],
    [{ kind: "evil" }, 'query.kind is "evil", which is no step'],
    [{ kind: "limit", input: flights.query, count: "5", offset: 0 }, "query.count is not a number"],
    [{ kind: "limit", input: flights.query, count: 5, offset: 0, extra: 1 }, "query.extra is not known"],
    [{ kind: "drop", input: flights.query, columns: ["nope"] }, 'Cannot drop column "nope"'],
    [
      { kind: "filter", input: flights.query, where: { kind: "call", operation: "explode", args: [] } },
      "query.where is not an expression",
    ],
    [{ kind: "sample", input: flights.query, rows: 1, seed: "1); drop table x" }, "query.seed is not a number"],
    [{ kind: "scan", source: { kind: "memory", id: 'x"; drop', rowCount: 1 }, schema: [] }, "is not a content hash"],
    [
      { kind: "scan", source: { kind: "file", format: "exe", paths: [] }, schema: [] },
      "must be one of parquet, csv, json, ndjson",
    ],
    [
      { kind: "scan", source: { kind: "file", format: "csv", paths: ["a"], options: { "x) --": 1 } }, schema: [] },
      "is not the name of an option",
    ],
  ])("refuses what is no query: %#", (json, message) => {
    expect(() => parseQuery(json)).toThrow(message);
  });

  it("refuses a chain that is deeper than anybody writes", () => {
    let json: unknown = flights.query;
    for (let i = 0; i < 2000; i++) json = { kind: "limit", input: json, count: 1, offset: 0 };
    expect(() => parseQuery(json)).toThrow("nested more than 500 deep");
  });
});
