import { describe, expect, expectTypeOf, it } from "vitest";
import type { AggregateView } from "../../../sdk/define/definitions.ts";
import { entity } from "../../../sdk/define/entity.ts";
import { parseDefinition } from "../../../sdk/define/parse.ts";
import { service } from "../../../sdk/define/service.ts";
import { type FeatureView, view } from "../../../sdk/define/view.ts";
import type { ViewOptions } from "../../../sdk/define/view_types.ts";
import { type Aggregate, count, last, max, mean } from "../../../sdk/frame/aggregates.ts";
import { col } from "../../../sdk/frame/expr.ts";
import { series } from "../../../sdk/frame/windows.ts";
import { airport, fileFrame, flights } from "../../support/flight_views.ts";

const daily = { schedule: "1d", start: "2001-01-01" } as const;
const keyed = flights().by(airport);
const windowed = keyed.aggregate(
  { delayMean: mean("delay"), departures: count(), lastDelays: last("delay", 10) },
  { windows: ["1h", "24h", { window: "24h", offset: "-7d" }], every: "5m", defaults: { delayMean: 0 } },
);

function define(view: FeatureView): AggregateView {
  return view.definition as AggregateView;
}

/** A view of one count, untyped so that tests can vary it. */
function counts(options: Record<string, unknown> = {}, more: Partial<ViewOptions> = {}): AggregateView {
  const frame = keyed.aggregate({ n: count(), m: mean("delay") }, { windows: ["1h"], ...options } as never);
  return define(view("counts", frame, { ...daily, ...more } as never));
}

function copy(value: unknown): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value));
}

describe("view() of aggregations over windows", () => {
  it("stores what is computed over which windows", () => {
    const { query: _, entity: __, features, aggregations, ...rest } = define(
      view("delays", windowed, { ...daily, schedule: "60m", dataDelay: "2h", online: true }),
    );
    expect(rest).toEqual({
      kind: "view",
      name: "delays",
      mode: "aggregates",
      eventTimestamp: "date",
      every: "5m",
      edge: "complete",
      boundary: "inclusive",
      schedule: "1h",
      dataDelay: "2h",
      start: "2001-01-01T00:00:00Z",
      ttl: "forever",
      lookback: 0,
      online: true,
      offline: true,
    });
    expect(aggregations.map(({ name }) => name)).toEqual(["delayMean", "departures", "lastDelays"]);
    expect(features.slice(3, 6)).toEqual([
      {
        name: "delayMean_24h",
        type: "float64",
        aggregation: "delayMean",
        window: { kind: "time", size: "1d", offset: "0s" },
        default: 0,
      },
      {
        name: "departures_24h",
        type: "int64",
        aggregation: "departures",
        window: { kind: "time", size: "1d", offset: "0s" },
      },
      {
        name: "lastDelays_24h",
        type: { list: "int32" },
        aggregation: "lastDelays",
        window: { kind: "time", size: "1d", offset: "0s" },
      },
    ]);
  });

  it("gives equal JSON for equal definitions", () => {
    const one = keyed.aggregate({ b: count(), a: mean("delay"), c: mean("delay") }, {
      windows: ["24h", series({ window: "60m", from: "-1d", to: "-30m" })],
      every: "60m",
    });
    const other = keyed.aggregate({ b: count(), a: mean("delay"), c: mean(col("delay")) }, {
      windows: [{ window: "1d", name: "24h" }, {
        ...series({ window: "1h", step: "1h", from: "-24h", to: "-1h" }),
        name: "60m_series_1d_to_30m",
      }],
      every: "1h",
      edge: "complete",
    });
    expect(JSON.stringify(view("v", one, daily).definition)).toBe(JSON.stringify(view("v", other, daily).definition));
  });

  it("keeps the features that are chosen, and what they need, in the order of windows", () => {
    const definition = define(view("v", windowed, {
      ...daily,
      features: {
        lastDelays_24h: { description: "newest last" },
        delayMean_24h_offset_7d: { default: -1 },
        delayMean_1h: true,
      },
    }));
    expect(definition.features.map(({ name, default: value, description }) => [name, value, description])).toEqual([
      ["delayMean_1h", 0, undefined],
      ["lastDelays_24h", undefined, "newest last"],
      ["delayMean_24h_offset_7d", -1, undefined],
    ]);
    expect(definition.aggregations.map(({ name }) => name)).toEqual(["delayMean", "lastDelays"]);
  });

  it("gives defaults and descriptions of aggregations to their features", () => {
    const frame = keyed.aggregate({ delay: mean("delay") }, {
      windows: ["1h", series({ window: "1d", from: "-7d" })],
      defaults: { delay: 0.5 },
      descriptions: { delay: "minutes" },
    });
    expect(define(view("v", frame, { ...daily, defaults: { delay_1h: 1 } })).features).toMatchObject([
      { name: "delay_1h", default: 1, description: "minutes" },
      { name: "delay_1d_series_7d", description: "minutes" },
    ]);
    expect(define(view("v", frame, daily)).features.map((each) => each.default)).toEqual([0.5, undefined]);
  });

  it.each<[string, Record<string, unknown>, Partial<ViewOptions>, string]>([
    ["the longest that divides windows and schedule", { windows: ["100m", "24h"] }, { schedule: "1d" }, "20m"],
    ["no longer than the schedule", { windows: ["7d", "30d"] }, { schedule: "1d" }, "1d"],
    ["of offsets too", { windows: [{ window: "24h", offset: "-1h" }] }, { schedule: "1d" }, "1h"],
    [
      "of series too",
      { windows: [series({ window: "24h", step: "15m", from: "-25h" })] },
      { schedule: "1d" },
      "15m",
    ],
    ["for a lifetime the schedule", { windows: ["lifetime"] }, { schedule: "6h" }, "6h"],
    ["a minute for fresh windows below 1h", { windows: ["30m", "24h"], edge: "fresh" }, { schedule: "1d" }, "1m"],
    ["5m below 10h", { windows: ["1h"], edge: "fresh" }, { schedule: "1d" }, "5m"],
    ["else 1h", { windows: ["24h", "30d"], edge: "fresh" }, { schedule: "1d" }, "1h"],
    ["which windows divide", { windows: ["61m"], edge: "fresh" }, { schedule: "1d" }, "1m"],
    ["without tiles the schedule", { windows: ["61s"], edge: "exact" }, { schedule: "1d" }, "1d"],
  ])("chooses a tile: %s", (_, options, more, every) => {
    expect(counts(options, more).every).toBe(every);
  });

  it("works with keys that are widened, dates as times, and another event timestamp", () => {
    const carrier = entity("carrier", { delay: "int64" });
    const wide = flights().by(carrier).aggregate({ newest: last("delay") }, { windows: ["1d"] });
    expect(define(view("v", wide, daily)).features[0]!.type).toBe("int64");
    const days = fileFrame({ day: "date", at: "timestamp", origin: "string", n: "int32" }, { eventTimestamp: "day" });
    const daysView = days.by(airport).aggregate([max("n")], { windows: ["7d"] });
    expect(define(view("v", daysView, daily)).eventTimestamp).toBe("day");
    expect(define(view("v", daysView, { ...daily, eventTimestamp: "at" })).eventTimestamp).toBe("at");
  });

  it("is selected, renamed and served like any view", () => {
    const delays = view("delays", windowed, { ...daily, online: true });
    const model = service("model", [delays.select("delayMean_1h", "departures_24h").prefix("origin_")]);
    expect(model.featureNames).toEqual(["origin_delayMean_1h", "origin_departures_24h"]);
    expectTypeOf<(typeof model)["types"]["features"]>().toEqualTypeOf<
      { origin_delayMean_1h: number; origin_departures_24h: bigint }
    >();
    expectTypeOf<(typeof delays)["types"]["keys"]>().toEqualTypeOf<{ readonly origin: "string" }>();
    const plain = view("v", keyed.aggregate([mean("delay")], { windows: ["1h", "7d"] }), {
      ...daily,
      defaults: { delay_mean_7d: 0 },
    });
    expectTypeOf<(typeof plain)["types"]["features"]>().toEqualTypeOf<
      { delay_mean_1h: number | null; delay_mean_7d: number }
    >();
  });

  it("prints itself", () => {
    expect(String(view("delays", windowed, { ...daily, features: ["delayMean_1h", "departures_24h"] }))).toBe(
      `view delays of airport (origin string), every 1d, tiles of 5m, edge complete, not online
  delayMean = mean(delay)
  departures = count()
  delayMean_1h float64, default 0: delayMean over 1h
  departures_24h int64: departures over 24h`,
    );
    const exact = keyed.aggregate([count()], {
      windows: ["1h"],
      edge: "exact",
      boundary: "exclusive",
      secondaryKey: "destination",
      maxRows: 50,
    });
    expect(String(view("v", exact, { ...daily, dataDelay: "1h", online: true }))).toBe(
      `view v of airport (origin string), every 1d, data 1h later, edge exact of at most 50 rows, boundary exclusive, by destination, online
  count = count()
  destination_keys_1h list<string>: keys over 1h
  count_1h list<int64>: count over 1h`,
    );
  });

  it.each<[string, Record<string, unknown>, Partial<ViewOptions>, string | undefined]>([
    ["nothing", { windows: ["1d", "7d"] }, {}, undefined],
    ["windows between schedules", { windows: ["1h", "7d"] }, {}, "windows of 1h are shorter than the schedule, 1d"],
    [
      "rows that come too late",
      { windows: ["1d"], edge: "fresh" },
      { dataDelay: "1h" },
      "windows of 1d are shorter than schedule and dataDelay, 1d1h",
    ],
    ["coarse tiles", { windows: ["3d"], edge: "fresh", every: "12h" }, {}, "windows of 3d begin at multiples of 12h"],
    [
      "lifetimes of bounded rows",
      { windows: ["lifetime"], edge: "exact" },
      { online: true },
      "requests know the newest 1000 rows of a key only",
    ],
  ])("warns of %s", (_, options, more, warning) => {
    const frame = keyed.aggregate({ n: count() }, { windows: ["1h"], ...options } as never);
    const { warnings } = view("v", frame, { ...daily, ...more } as never);
    if (warning === undefined) expect(warnings).toEqual([]);
    else expect(warnings.join("\n")).toContain(warning);
  });
});

describe("view() of aggregations over windows refuses", () => {
  it.each<[string, Record<string, unknown>, Partial<ViewOptions>, string]>([
    ["a ttl", {}, { ttl: "7d" }, "ttl: windows say how long rows count; leave it out"],
    [
      "a schedule that cuts tiles",
      { every: "1h" },
      { schedule: "90m" },
      "the schedule, 1h30m, is not a multiple of it",
    ],
    ["a fresh schedule that cuts tiles", { every: "1h", edge: "fresh" }, { schedule: "90m" }, "is not a multiple"],
    [
      "windows without a common tile",
      { windows: ["61s"] },
      {},
      ": windows: no tile of 1m or more divides them and the schedule",
    ],
    ["a start before 1685", {}, { start: "1684-01-01" }, "start: 1684-01-01T00:00:00Z is not between 1685"],
    ["an end after 2255", {}, { end: "2300-01-01" }, "end: 2300-01-01T00:00:00Z is not between 1685"],
    ["no schedule", {}, { schedule: undefined as never }, "schedule: it is missing"],
    [
      "a misspelt feature",
      {},
      { features: ["n_2h"] },
      "features.n_2h: there is no such feature; features are n_1h, m_1h",
    ],
    ["no features", {}, { features: [] }, "features: there are none"],
    ["a default for no feature", {}, { defaults: { m_2h: 0 } }, "defaults.m_2h: there is no such feature"],
    ["a default of another type", {}, { defaults: { m_1h: "0" } }, "features.m_1h.default"],
    ["a default of a count", {}, { defaults: { n_1h: 1 } }, "features.n_1h.default: counts and lists are never null"],
    [
      "a default of a list",
      { secondaryKey: "destination", defaults: { m: 0 } },
      {},
      "features.m_1h.default: counts and",
    ],
    ["a written timestamp that is the event timestamp", {}, { writtenTimestamp: "date" }, "is the event timestamp"],
  ])("%s", (_, options, more, message) => {
    expect(() => counts(options, more)).toThrow(message);
  });

  it("names that cannot be columns, or are taken", () => {
    const named = (aggregates: Record<string, Aggregate<"delay">>, windows: unknown = ["1h"]) => () =>
      view("v", keyed.aggregate(aggregates, { windows } as never), daily as never);
    expect(named({ "a b": count() })).toThrow('aggregations.a b: "a b" cannot be a name');
    expect(named({ __n: count() })).toThrow("names that start with __ are reserved");
    expect(named({ n: count(), N: count("delay") })).toThrow('"n" differs from "N" in case only');
    expect(named({ n: count() }, [{ window: "1h", name: "a b" }])).toThrow("features.n_a b");
    expect(named({ n: count(), n_1h: count("delay") }, ["1h", { window: "1d", name: "1h_1h" }])).toThrow(
      '"n_1h_1h" is there twice',
    );
    expect(() => view("v", keyed.aggregate([count()], { windows: ["1h"] }).rename({ count_1h: "origin" }), daily))
      .toThrow("features.origin: it is a join key");
  });

  it("keys whose names the table needs for itself", () => {
    const key = (name: string) => entity("e", { [name]: "string" });
    const rows = (name: string) =>
      fileFrame({ at: "timestamp", [name]: "string", x: "int32" }, { eventTimestamp: "at" }).by(key(name));
    expect(() => view("v", rows("input_3").aggregate([count()], { windows: ["1h"] }), daily)).toThrow(
      '"input_3" cannot be the name of a key or time',
    );
    expect(() => view("v", rows("n__count").aggregate({ n: count() }, { windows: ["1h"] }), daily)).toThrow(
      'aggregations.n: column "n__count" starts like the columns of its state',
    );
  });

  it("steps that cut slices, and lost timestamps, as of any view", () => {
    const limited = flights().limit(5).by(airport).aggregate([count()], { windows: ["1h"] });
    expect(() => view("v", limited, daily)).toThrow("limit cannot be in a view");
    const lost = flights().drop("date").by(airport).aggregate([count()], { windows: ["1h"] });
    expect(() => view("v", lost, daily)).toThrow('column "date" is lost in drop');
  });

  it("with all problems at once", () => {
    const attempt = () => counts({ every: "1h" }, { schedule: "90m", ttl: "1d", start: "1600-01-01", features: ["x"] });
    for (const part of ["every: the schedule", "ttl", "start", "features.x"]) expect(attempt).toThrow(part);
  });
});

describe("parseDefinition() of aggregates", () => {
  const rich = define(view(
    "rich",
    flights({ writtenTimestamp: "loaded" }).by(airport).aggregate({
      late: mean("delay").where(col("delay").gt(15)),
      lastDelays: last("delay", 10),
      n: count(),
    }, { windows: ["1h", "lifetime", series({ window: "1d", from: "-7d" })], every: "15m", edge: "fresh" }),
    { ...daily, defaults: { late_1h: 0 }, tags: { a: "1" }, end: "2002-01-01", online: true },
  ));
  const exact = counts({ edge: "exact", secondaryKey: "destination", boundary: "exclusive" });

  it.each([rich, exact, counts()])("gives back $name as it was written", (definition) => {
    const parsed = parseDefinition(copy(definition));
    expect(JSON.stringify(parsed)).toBe(JSON.stringify(definition));
    const frozen = parsed as AggregateView;
    expect(
      [frozen, frozen.features, frozen.features[0], frozen.features[0]!.window, frozen.aggregations[0]].every(
        Object.isFrozen,
      ),
    )
      .toBe(true);
  });

  it("writes durations canonically, fills constants, and computes equal aggregations once", () => {
    const json = copy(rich);
    const [late, ...features] = json["features"] as Record<string, unknown>[];
    const again = { ...late, name: "again", aggregation: "zz" };
    Object.assign(json, {
      every: "900s",
      features: [{ ...late, window: { kind: "time", size: "60m", offset: "0m" } }, ...features, again],
    });
    (json["aggregations"] as unknown[]).push({ ...rich.aggregations.find(({ name }) => name === "late"), name: "zz" });
    const parsed = parseDefinition(json) as AggregateView;
    expect(parsed.aggregations).toEqual(rich.aggregations);
    expect(parsed.features.at(-1)).toMatchObject({ name: "again", aggregation: "late" });
    expect({ ...parsed, features: parsed.features.slice(0, -1) }).toEqual(rich);
    // Without tiles, their length means nothing.
    expect(parseDefinition({ ...copy(exact), every: "7m" })).toEqual(exact);
  });

  const feature = (change: object) => ({ ...copy(rich), features: [{ ...rich.features[0], ...change }] });
  const aggregation = (change: object) => ({ ...copy(rich), aggregations: [{ ...rich.aggregations[1], ...change }] });
  const lifetimes = { ...copy(rich), features: [{ ...rich.features[0], name: "a" }] };
  it.each<[string, unknown, string]>([
    ["another edge", { ...copy(rich), edge: "sawtooth" }, 'edge: it is "sawtooth", not one of complete, exact, fresh'],
    ["no boundary", { ...copy(rich), boundary: undefined }, "boundary: it is missing"],
    ["a ttl", { ...copy(rich), ttl: "7d" }, "ttl: it is 7d; windows say"],
    ["a tile that is none", { ...copy(rich), every: "often" }, 'every: Cannot read every "often"'],
    ["a tile that cuts windows", { ...copy(rich), every: "7m" }, "is not a multiple of every, 7m"],
    ["a tile that cuts slices", { ...copy(rich), every: "15m", schedule: "20m" }, "slices would cut tiles"],
    ["rows of tiles", { ...copy(rich), maxRows: 5 }, 'it bounds the rows of edge "exact"'],
    ["exact edges without a bound", { ...copy(exact), maxRows: undefined }, "maxRows: it is missing"],
    ["a bound that is none", { ...copy(exact), maxRows: 0 }, "is not a number of rows from 1 to 10000"],
    ["a bound that is text", { ...copy(exact), maxRows: "5" }, 'maxRows: it is "5", not a number'],
    [
      "a secondary key of another type",
      { ...copy(exact), secondaryKey: { name: "destination", type: "int32" } },
      "it is int32, the query gives string",
    ],
    [
      "a secondary key that is not there",
      { ...copy(exact), secondaryKey: { name: "x", type: "string" } },
      'the query has no column "x"',
    ],
    [
      "a secondary key that is a key",
      { ...copy(exact), secondaryKey: { name: "origin", type: "string" } },
      "it has one value only",
    ],
    [
      "an unknown function",
      aggregation({ function: "explode" }),
      "there is no such function; functions are count, sum",
    ],
    [
      "a function of another process",
      aggregation({ function: "mine@1" }),
      "call registerAggregation before it is used: commands load VARVE_MODULES first",
    ],
    ["a function of a group-by", aggregation({ function: "median" }), "there is no such function"],
    ["an input that is missing", aggregation({ input: undefined }), "it needs an input column"],
    ["an input that is no expression", aggregation({ input: { kind: "evil" } }), "aggregations[0].input: Cannot read"],
    ["an input of another type", aggregation({ input: { kind: "column", name: "origin" } }), "it must be a number"],
    ["a condition that is none", aggregation({ where: { kind: "column", name: "delay" } }), "it must be boolean"],
    ["unknown constants", aggregation({ parameters: { n: 5 } }), 'it has no parameter "n"'],
    ["constants that are none", aggregation({ parameters: [5] }), "they are not a record of constants"],
    ["endless constants", aggregation({ parameters: { n: Array(20_000).fill(1) } }), "there are more than 10000"],
    [
      "deep constants",
      aggregation({ parameters: { n: JSON.parse("[".repeat(10) + "]".repeat(10)) } }),
      "nested more than 8 deep",
    ],
    ["an order that nobody takes", aggregation({ by: { kind: "column", name: "delay" } }), "it takes no by"],
    ["a feature without its aggregation", feature({ aggregation: "gone" }), 'there is no aggregation "gone"'],
    [
      "a feature of no aggregation",
      feature({ aggregation: undefined }),
      "there is no secondaryKey whose values it could list",
    ],
    ["a feature of another type", feature({ type: "string" }), "it is string, the aggregation gives float64"],
    [
      "a feature without a window",
      feature({ window: undefined }),
      "features[0].window: it is undefined, not an object",
    ],
    [
      "a window of another kind",
      feature({ window: { kind: "session" } }),
      'it is "session", not one of time, lifetime, series',
    ],
    [
      "a window in words",
      feature({ window: { kind: "time", size: "a day", offset: "0s" } }),
      'features.late_1h.window: "a day"',
    ],
    ["a negative offset", feature({ window: { kind: "time", size: "1h", offset: "-1h" } }), "it is not a duration"],
    [
      "a series without a step",
      feature({ window: { kind: "series", size: "1h", step: "0s", from: "1d", to: "0s" } }),
      "a series needs a step",
    ],
    [
      "an endless series",
      feature({ window: { kind: "series", size: "15m", step: "15m", from: "30d", to: "0s" } }),
      "at most 1000 are allowed",
    ],
    [
      "a misspelt option of a window",
      feature({ window: { kind: "lifetime", offset: "0s", size: "1d" } }),
      "features[0].window.size: there is no such property",
    ],
    ["a default of a list", feature({ ...rich.features[1], default: [] }), "it is never null"],
    ["a default of null", feature({ default: null }), "null is what a default replaces"],
    [
      "more features than anybody reads",
      { ...copy(rich), features: Array.from({ length: 2001 }, (_, i) => ({ ...rich.features[0], name: `a${i}` })) },
      "there are 2001 features, at most 2000 are allowed",
    ],
    ["one name twice", { ...copy(rich), features: [rich.features[0], rich.features[0]] }, '"late_1h" is there twice'],
    ["attributes with windows", { ...lifetimes, mode: "attributes" }, "there is no such property"],
  ])("refuses %s", (_, json, message) => {
    expect(() => parseDefinition(JSON.parse(JSON.stringify(json)))).toThrow(message);
  });
});
