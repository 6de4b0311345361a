import { describe, expect, expectTypeOf, it } from "vitest";
import {
  approxCountDistinct,
  approxPercentile,
  count,
  countDistinct,
  custom,
  first,
  histogram,
  last,
  lastDistinct,
  list,
  max,
  maxBy,
  mean,
  median,
  min,
  quantile,
  skew,
  sum,
  topK,
  valueCounts,
} from "../../../sdk/frame/aggregates.ts";
import { col } from "../../../sdk/frame/expr.ts";
import { addUserFunction } from "../../../sdk/frame/window_functions.ts";
import type { AggregateOptions } from "../../../sdk/frame/window_types.ts";
import { series } from "../../../sdk/frame/windows.ts";
import { airport, flights, route } from "../../support/flight_views.ts";

const keyed = flights().by(airport);
type Options = Partial<AggregateOptions> & Record<string, unknown>;

/** Untyped, so that mistakes can be tried. */
function aggregate(aggregates: unknown, options: Options = {}) {
  return keyed.aggregate(aggregates as never, { windows: ["24h"], ...options } as never);
}

describe("by(entity).aggregate()", () => {
  it("names features after aggregations and windows, window by window", () => {
    const delays = keyed.aggregate({ delayMean: mean("delay"), departures: count() }, { windows: ["1h", "24h"] });
    expect(delays.features).toEqual(["delayMean_1h", "departures_1h", "delayMean_24h", "departures_24h"]);
  });

  it("names those of a list after column and function", () => {
    const features = keyed.aggregate([
      count(),
      count("delay"),
      mean("delay"),
      last("delay", 10),
      min("delay", 2),
      lastDistinct("destination", 5),
      approxPercentile("delay", 0.95),
      approxPercentile("delay", 0.5),
      approxPercentile("delay", 0.999),
      approxPercentile("delay", 0.05),
      approxPercentile("delay", 1),
      approxCountDistinct("destination"),
      topK("destination", 3),
      maxBy("destination", "delay"),
      sum(col("distance")),
    ], { windows: ["7d"] }).features;
    expect(features).toEqual([
      "count_7d",
      "delay_count_7d",
      "delay_mean_7d",
      "delay_last_10_7d",
      "delay_min_2_7d",
      "destination_last_distinct_5_7d",
      "delay_p95_7d",
      "delay_p50_7d",
      "delay_p999_7d",
      "delay_p05_7d",
      "delay_p100_7d",
      "destination_approx_count_distinct_7d",
      "destination_top_3_7d",
      "destination_max_by_7d",
      "distance_sum_7d",
    ]);
  });

  it("names windows after what was written, or as told", () => {
    const windows = [
      "90m",
      "lifetime",
      { window: "24h", offset: "-7d" },
      { window: "24h", offset: "-14d", name: "two_weeks_ago" },
      { window: "lifetime", offset: "-1d" },
      series({ window: "1d", from: "-7d" }),
      series({ window: "1h", step: "15m", from: "-24h", to: "-1h" }),
      series({ window: "1d", from: "-3d", name: "each_day" }),
    ] as const;
    const flown = keyed.aggregate({ n: count() }, { windows });
    expect(flown.features).toEqual([
      "n_90m",
      "n_lifetime",
      "n_24h_offset_7d",
      "n_two_weeks_ago",
      "n_lifetime_offset_1d",
      "n_1d_series_7d",
      "n_1h_series_24h_to_1h_step_15m",
      "n_each_day",
    ]);
    expect(flown.spec.features.map(({ window }) => window)).toEqual([
      { kind: "time", size: "1h30m", offset: "0s" },
      { kind: "lifetime", offset: "0s" },
      { kind: "time", size: "1d", offset: "7d" },
      { kind: "time", size: "1d", offset: "14d" },
      { kind: "lifetime", offset: "1d" },
      { kind: "series", size: "1d", step: "1d", from: "7d", to: "0s" },
      { kind: "series", size: "1h", step: "15m", from: "1d", to: "1h" },
      { kind: "series", size: "1d", step: "1d", from: "3d", to: "0s" },
    ]);
    expectTypeOf<keyof (typeof flown)["values"]>().toEqualTypeOf<
      | "n_90m"
      | "n_lifetime"
      | "n_24h_offset_7d"
      | "n_two_weeks_ago"
      | "n_lifetime_offset_1d"
      | "n_1d_series_7d"
      | "n_1h_series_24h_to_1h_step_15m"
      | "n_each_day"
    >();
  });

  it("lists the values of a secondary key beside the features", () => {
    const { features, spec } = keyed.aggregate([count(), mean("delay")], {
      windows: ["1h", "7d"],
      secondaryKey: "destination",
    });
    expect(features).toEqual([
      "destination_keys_1h",
      "count_1h",
      "delay_mean_1h",
      "destination_keys_7d",
      "count_7d",
      "delay_mean_7d",
    ]);
    expect(spec.features[0]).toEqual({
      name: "destination_keys_1h",
      window: { kind: "time", size: "1h", offset: "0s" },
    });
  });

  it("computes equal aggregations once, and sorts them", () => {
    const { spec } = keyed.aggregate(
      { b: mean("delay"), a: mean("delay"), late: mean("delay").where(col("delay").gt(15)) },
      { windows: ["1h"] },
    );
    expect(spec.aggregations.map(({ name }) => name)).toEqual(["a", "late"]);
    expect(spec.features.map(({ name, aggregation }) => [name, aggregation])).toEqual([
      ["b_1h", "a"],
      ["a_1h", "a"],
      ["late_1h", "late"],
    ]);
  });

  it("fills in constants", () => {
    const { spec } = aggregate({
      p: approxPercentile("delay", 0.9),
      d: approxCountDistinct("destination"),
    });
    expect(spec.aggregations).toEqual([
      {
        name: "d",
        function: "approxCountDistinct",
        input: { kind: "column", name: "destination" },
        parameters: { precision: 12 },
      },
      {
        name: "p",
        function: "approxPercentile",
        input: { kind: "column", name: "delay" },
        parameters: { quantile: 0.9, accuracy: 0.01 },
      },
    ]);
  });

  it("has defaults for what is not said", () => {
    expect(aggregate([count()]).spec).toMatchObject({ edge: "complete", boundary: "inclusive" });
    expect(aggregate([count()]).spec.every).toBeUndefined();
    expect(aggregate([count()], { edge: "exact" }).spec.maxRows).toBe(1000);
    expect(aggregate([count()], { every: "60m" }).spec.every).toBe("1h");
  });

  it("takes a user's own function by the name and version that this process knows", () => {
    addUserFunction({
      name: "spread",
      version: 2,
      resultType(input, _, { unit }) {
        if (input !== "int32") throw new TypeError("it takes int32");
        return unit === "days" ? "float64" : "int32";
      },
    });
    const own = keyed.aggregate([custom("spread@2", "delay", { parameters: { unit: "days" } })], { windows: ["24h"] });
    expect(own.features).toEqual(["delay_spread_24h"]);
    expectTypeOf<keyof (typeof own)["values"]>().toEqualTypeOf<"delay_spread_24h">();
    expect(String(own)).toContain("delay_spread_24h float64, 24h");
    expect(() => aggregate([custom("spread@1", "delay")])).toThrow(
      "this process has no such function; it has spread@2",
    );
    expect(() => aggregate([custom("spread@2", "origin")])).toThrow("origin_spread: spread@2: it takes int32");
    expect(() => aggregate([custom("spread" as "spread@1", "delay")])).toThrow("there is no such function");
  });

  it("does not change its receiver, and freezes what it gives", () => {
    const delays = keyed.aggregate({ n: count() }, { windows: ["1h", "7d"] });
    const renamed = delays.rename({ n_1h: "hourly" });
    expect(delays.features).toEqual(["n_1h", "n_7d"]);
    expect(renamed.features).toEqual(["hourly", "n_7d"]);
    expectTypeOf<(typeof renamed)["values"]>().toEqualTypeOf<{ hourly: bigint; n_7d: bigint }>();
    expect(Object.isFrozen(delays) && Object.isFrozen(delays.spec) && Object.isFrozen(delays.spec.features[0])).toBe(
      true,
    );
    // @ts-expect-error no such feature
    expect(() => delays.rename({ n_2h: "x" })).toThrow("there is no such feature; features are n_1h, n_7d");
  });

  it("is made of aggregates that print as they are written", () => {
    expect(String(last("delay", 10).where(col("delay").gt(0)))).toBe("last(delay, 10) where delay > 0");
    expect(String(approxPercentile("delay", 0.95))).toBe("approxPercentile(delay, quantile 0.95)");
    expect(String(maxBy("destination", "distance"))).toBe("maxBy(destination, by distance)");
    expect(String(count())).toBe("count()");
  });

  it("prints what it computes and gives", () => {
    const text = String(keyed.aggregate(
      { late: mean("delay").where(col("delay").gt(15)), lastDelays: last("delay", 10) },
      { windows: ["24h", { window: "24h", offset: "-7d" }], every: "5m", edge: "fresh", boundary: "exclusive" },
    ));
    expect(text.split("\n").slice(1)).toEqual([
      "  .by(airport: origin)",
      "  .aggregate edge fresh, exclusive, every 5m",
      "    lastDelays = last(delay, 10)",
      "    late = mean(delay) where delay > 15",
      "  gives",
      "    late_24h float64, 24h",
      "    lastDelays_24h list<int32>, 24h",
      "    late_24h_offset_7d float64, 24h ending 7d before",
      "    lastDelays_24h_offset_7d list<int32>, 24h ending 7d before",
    ]);
  });

  it("hands itself to the store that it is published to", () => {
    const store = { publish: (what: { features: string[] }, { name }: { name: string }) => [name, ...what.features] };
    expect(keyed.aggregate([count()], { windows: ["1h"] }).publish(store, { name: "n" })).toEqual(["n", "count_1h"]);
  });
});

describe("by(entity).aggregate() refuses", () => {
  const one = { n: count() };
  it.each<[string, unknown, Options, string]>([
    ["no aggregates", {}, {}, "there are no aggregates"],
    ["what is no aggregate", { n: "mean" }, {}, "n: it is no aggregate"],
    ["a missing column", { n: mean("dely") }, {}, "columns are date, loaded, origin, destination, delay, distance"],
    ["a missing column of a condition", { n: count().where(col("x").gt(1)) }, {}, "columns are date"],
    ["a condition that is none", { n: count().where(col("delay")) }, {}, "the condition is int32; it must be boolean"],
    ["a function for another type", { n: mean("origin") }, {}, "mean: the input is string; it must be a number"],
    ["a median", { n: median("delay") }, {}, "median: it is not there over windows; use approxPercentile(x, 0.5)"],
    ["a quantile", { n: quantile("delay", 0.9) }, {}, "use approxPercentile(x, 0.9)"],
    ["a list", { n: list("delay") }, {}, "last(x, n) lists the newest"],
    [
      "another order",
      { n: last("delay", { by: "distance" }) },
      {},
      "it goes by the event time: leave by out, or use maxBy(x, by)",
    ],
    ["nothing at all", undefined, {}, "there are no aggregates"],
    ["more features than anybody reads", Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`n${i}`, count()])), {
      windows: Array.from({ length: 41 }, (_, i) => `${i + 1}h`),
    }, "there are 2050 features, at most 2000 are allowed"],
    ["endless windows", one, { windows: Array(100_000).fill("1h") }, "there are 100000 features"],
    [
      "a window whose name is no text",
      one,
      { windows: [{ window: "1h", name: 5 as never }] },
      "windows[0].name: it is 5",
    ],
    [
      "a constant out of bounds",
      { n: last("delay", 5000) },
      {},
      "n: last(x, n): n must be a whole number from 1 to 1000",
    ],
    [
      "two aggregates of one name",
      [mean("delay"), mean("delay").where(col("delay").gt(0))],
      {},
      "delay_mean: two are called so; name them",
    ],
    ["an expression without a name", [mean(col("delay").times(2))], {}, "name it: { name: mean(…) }"],
    ["no windows", one, { windows: [] }, "windows: there are none"],
    ["windows that are no list", one, { windows: "24h" as never }, 'windows: "24h" is no list'],
    ["a window that is none", one, { windows: [24 as never] }, "windows[0]: 24 is no window"],
    ["a window in words", one, { windows: ["a day"] }, 'windows[0]: "a day": it is not a duration'],
    ["a window of no length", one, { windows: ["0s"] }, "it is zero"],
    ["a window without end", one, { windows: ["40000d"] }, 'at most 36525d are allowed; use "lifetime"'],
    [
      "an offset in the future",
      one,
      { windows: [{ window: "1h", offset: "7d" }] },
      'windows[0].offset: "7d" is in the future, of which nothing is known; offsets are negative: "-7d"',
    ],
    ["a misspelt offset", one, { windows: [{ window: "1h", ofset: "-7d" } as never] }, "windows[0].ofset"],
    ["two windows of one name", one, { windows: ["1h", "1h"] }, 'two are called "1h"'],
    [
      "a series without room",
      one,
      { windows: [series({ window: "1d", from: "-7d", to: "-7d" })] },
      "no window of 1d fits between -7d and -7d",
    ],
    [
      "a series of too many windows",
      one,
      { windows: [series({ window: "1m", from: "-1d" })] },
      "the series has 1440 windows, at most 1000 are allowed",
    ],
    ["a series in the future", one, { windows: [series({ window: "1d", from: "7d" })] }, 'windows[0].from: "7d" is in'],
    [
      "too many windows in all",
      one,
      { windows: Array.from({ length: 6 }, (_, i) => series({ window: "1m", from: `-${900 + i}m`, name: `s${i}` })) },
      "at most 5000 are allowed",
    ],
    [
      "a series with a secondary key",
      one,
      { windows: [series({ window: "1d", from: "-7d" })], secondaryKey: "destination" },
      "a series cannot go with a secondaryKey",
    ],
    ["a secondary key that is no column", one, { secondaryKey: "dest" }, 'there is no column "dest"; columns are'],
    ["a secondary key that is a join key", one, { secondaryKey: "origin" }, "it has one value only"],
    ["a secondary key that is a time", one, { secondaryKey: "loaded" }, "types are string, int64, int32"],
    ["a window that tiles do not fill", one, { windows: ["1h"], every: "7m" }, "1h is not a multiple of every, 7m"],
    [
      "an offset that tiles do not fill",
      one,
      { windows: [{ window: "1h", offset: "-90s" }], every: "1m" },
      "1h ending 90s before: 90s is not a multiple of every, 1m",
    ],
    ["a tile of micros", one, { every: "5ms" }, "every: 5ms is not between 1s and 366d"],
    ["a tile in words", one, { every: "often" }, 'every: "often": it is not a duration'],
    ["endless tiles", one, { windows: ["3650d"], every: "1s" }, "tiles of 1s; use a longer every"],
    ["tiles with exact edges", one, { edge: "exact", every: "5m" }, "there are no tiles; leave it out"],
    ["another edge", one, { edge: "sawtooth" as never }, "is not one of complete, exact, fresh"],
    ["another boundary", one, { boundary: "both" as never }, "is not one of inclusive, exclusive"],
    ["a bound on rows without rows", one, { maxRows: 5 }, 'it bounds the rows of edge "exact"'],
    ["a large bound on rows", one, { edge: "exact", maxRows: 10_001 }, "is not a number of rows from 1 to 10000"],
    ["half a row", one, { edge: "exact", maxRows: 1.5 }, "is not a number of rows"],
    ["a misspelt option", one, { windws: [] }, "windws: there is no such option; there are windows, every"],
    ["a default of nothing", one, { defaults: { m: 0 } as never }, "defaults.m: there is no such aggregation"],
    ["a description that is no text", one, { descriptions: { n: 5 } as never }, "descriptions.n: it is not text"],
    ["a description of nothing", one, { descriptions: { m: "x" } as never }, "descriptions.m"],
  ])("%s", (_, aggregates, options, message) => {
    expect(() => aggregate(aggregates, options)).toThrow(message);
  });

  it("with all problems at once", () => {
    const attempt = () => aggregate({ a: mean("origin"), b: median("delay") }, { windows: ["x", "2h"], every: "7m" });
    for (const part of ["a: mean", "b: median", 'windows[0]: "x"', "2h is not a multiple"]) {
      expect(attempt).toThrow(part);
    }
  });
});

describe("a group-by refuses", () => {
  it.each([[last("delay", 3)], [approxPercentile("delay", 0.5)], [topK("destination", 3)], [skew("delay")]])(
    "a function over windows: %#",
    (aggregate) => {
      expect(() => flights().groupBy("origin").aggregate({ x: aggregate })).toThrow(
        /Cannot aggregate "x" by (\w+|last\(x, n\)): it is a function over windows/,
      );
    },
  );
});

describe("types of by(entity).aggregate()", () => {
  it("follow functions: counts are there, the rest may be null", () => {
    const all = keyed.aggregate({
      n: count(),
      different: countDistinct("destination"),
      about: approxCountDistinct("destination"),
      total: sum("delay"),
      average: mean("delay"),
      least: min("distance"),
      leasts: min("distance", 2),
      newest: last("destination"),
      newests: last("destination", 3),
      firsts: first("date", 3),
      often: topK("destination", 3),
      counts: valueCounts("destination"),
      below: histogram("delay", [0, 15]),
      farthest: maxBy("destination", "distance"),
      where: count().where(col("delay").gt(15)),
      twice: max(col("delay").times(2)),
    }, { windows: ["1h"] });
    type Expected = {
      n_1h: bigint;
      different_1h: bigint;
      about_1h: bigint;
      total_1h: number | bigint | null;
      average_1h: number | null;
      least_1h: bigint | null;
      leasts_1h: readonly bigint[];
      newest_1h: string | null;
      newests_1h: readonly string[];
      often_1h: readonly string[];
      counts_1h: readonly { readonly value: string; readonly count: bigint }[];
      below_1h: readonly bigint[];
      farthest_1h: string | null;
      where_1h: bigint;
      twice_1h: number | null;
    };
    expectTypeOf<Omit<(typeof all)["values"], "firsts_1h">>().toEqualTypeOf<Expected>();
    expect(all.features).toHaveLength(16);
  });

  it("follow windows, lists and secondary keys", () => {
    const listed = keyed.aggregate([count(), mean("delay"), approxPercentile("delay", 0.95)], {
      windows: ["1h", { window: "24h", offset: "-7d" }, series({ window: "1d", from: "-7d" })],
      defaults: { delay_mean: 0 },
    });
    expectTypeOf<(typeof listed)["values"]>().toEqualTypeOf<{
      count_1h: bigint;
      delay_mean_1h: number;
      delay_p95_1h: number | null;
      count_24h_offset_7d: bigint;
      delay_mean_24h_offset_7d: number;
      delay_p95_24h_offset_7d: number | null;
      count_1d_series_7d: readonly bigint[];
      delay_mean_1d_series_7d: readonly (number | null)[];
      delay_p95_1d_series_7d: readonly (number | null)[];
    }>();
    const keys = keyed.aggregate({ n: count(), delay: mean("delay") }, {
      windows: ["1h"],
      secondaryKey: "destination",
    });
    expectTypeOf<(typeof keys)["values"]>().toEqualTypeOf<{
      destination_keys_1h: readonly string[];
      n_1h: readonly bigint[];
      delay_1h: readonly (number | null)[];
    }>();
    expect(keys.features).toHaveLength(3);
  });

  it("make mistakes errors", () => {
    const windows = ["1h"] as const;
    // @ts-expect-error no such column
    expect(() => keyed.aggregate({ n: mean("dely") }, { windows })).toThrow();
    // @ts-expect-error no such column
    expect(() => keyed.aggregate([mean("dely")], { windows })).toThrow();
    // @ts-expect-error no such column
    expect(() => keyed.aggregate({ n: count().where(col("dely").gt(1)) }, { windows })).toThrow();
    // @ts-expect-error no such column
    expect(() => keyed.aggregate({ n: count() }, { windows, secondaryKey: "dest" })).toThrow();
    // @ts-expect-error no such option
    expect(() => keyed.aggregate({ n: count() }, { windows, evry: "5m" })).toThrow();
    // @ts-expect-error no such aggregation
    expect(() => keyed.aggregate({ n: mean("delay") }, { windows, defaults: { m: 0 } })).toThrow();
    // @ts-expect-error not a number
    keyed.aggregate({ n: mean("delay") }, { windows, defaults: { n: "0" } });
    // @ts-expect-error no windows
    expect(() => keyed.aggregate({ n: count() }, {})).toThrow();
    // @ts-expect-error no such option of a window
    expect(() => keyed.aggregate({ n: count() }, { windows: [{ window: "1h", ofset: "-7d" }] })).toThrow();
    // @ts-expect-error no such window
    expect(() => keyed.aggregate({ n: count() }, { windows: [24] })).toThrow();
    expect(flights().by(route).aggregate([mean("delay")], { windows }).features).toEqual(["delay_mean_1h"]);
  });
});
