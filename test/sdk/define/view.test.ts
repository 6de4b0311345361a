import { describe, expect, expectTypeOf, it } from "vitest";
import { entity } from "../../../sdk/define/entity.ts";
import { type FeatureView, view } from "../../../sdk/define/view.ts";
import type { ViewOptions } from "../../../sdk/define/view_types.ts";
import { count, max } from "../../../sdk/frame/aggregates.ts";
import { col } from "../../../sdk/frame/expr.ts";
import { Frame } from "../../../sdk/frame/frame.ts";
import { airport, delays, fileFrame, flights, route } from "../../support/flight_views.ts";

const byAirport = flights().by(airport);
const daily = { schedule: "1d", start: "2001-01-01" } as const;

describe("view()", () => {
  it("takes every column that is not a key or a time as a feature", () => {
    const all = view("all", flights({ writtenTimestamp: "loaded" }).by(route), daily);
    expect(all.definition.features.map((feature) => feature.name)).toEqual(["delay", "distance"]);
    expect(all.definition.eventTimestamp).toBe("date");
    expect(all.definition.writtenTimestamp).toBe("loaded");
  });

  it("fills defaults and writes times canonically", () => {
    const { query: _, entity: __, features: ___, ...rest } = view("v", byAirport, {
      schedule: "24h",
      start: new Date("2001-01-01T13:00:00Z"),
      end: "2001-02-01T01:00",
      dataDelay: "90m",
      ttl: "2w",
    }).definition;
    expect(rest).toEqual({
      kind: "view",
      name: "v",
      mode: "attributes",
      eventTimestamp: "date",
      schedule: "1d",
      dataDelay: "1h30m",
      start: "2001-01-01T00:00:00Z", // a slice is whole: the start moves back
      end: "2001-02-02T00:00:00Z", // and the end forward
      ttl: "14d",
      lookback: 0,
      online: false,
      offline: true,
    });
  });

  it("gives equal JSON for equal definitions", () => {
    const a = view("v", byAirport, {
      ...daily,
      features: ["delay", "distance"],
      defaults: { delay: 0 },
      tags: { a: "1", b: "2" },
    });
    const b = view("v", byAirport, {
      tags: { b: "2", a: "1" },
      features: { distance: true, delay: { default: 0 } },
      start: new Date("2001-01-01"),
      schedule: "24h",
      description: "",
    });
    expect(JSON.stringify(a.definition)).toBe(JSON.stringify(b.definition));
  });

  it("encodes defaults by the feature's type (S7)", () => {
    const features = view("v", byAirport, {
      ...daily,
      features: { delay: { default: -1, description: "minutes" }, distance: { default: 5n } },
    }).definition.features;
    expect(features).toEqual([
      { name: "delay", type: "int32", default: -1, description: "minutes" },
      { name: "distance", type: "int64", default: "5" },
    ]);
  });

  it("reads a date as the midnight that begins it", () => {
    const days = fileFrame({ day: "date", origin: "string", n: "int32" }, { eventTimestamp: "day" });
    const { query, eventTimestamp } = view("v", days.by(airport), daily).definition;
    expect(eventTimestamp).toBe("day");
    expect(query).toMatchObject({
      kind: "derive",
      columns: [{ name: "day", expr: { kind: "cast", to: "timestamp" } }],
    });
  });

  it("widens int32 columns to int64 keys", () => {
    const carrier = entity("carrier", { delay: "int64" });
    const { query } = view("v", flights().by(carrier), { ...daily, features: ["distance"] }).definition;
    expect(query).toMatchObject({ kind: "derive", columns: [{ name: "delay", expr: { kind: "cast", to: "int64" } }] });
  });

  it("takes another column of the source as event timestamp when told", () => {
    const { definition } = view("v", flights().rename({ loaded: "seen" }).by(airport), {
      ...daily,
      eventTimestamp: "seen",
    });
    expect(definition.eventTimestamp).toBe("seen");
    expect(definition.query).toMatchObject({
      kind: "rename",
      input: { kind: "scan", source: { eventTimestamp: "loaded" } },
    });
    expect(definition.features.map((feature) => feature.name)).toContain("date");
  });

  it("keeps groups by a rounded event timestamp", () => {
    const hourly = flights().derive({ hour: col("date").dt.truncate("hour") }).groupBy("origin", "hour").aggregate({
      departures: count(),
    });
    expect(view("v", hourly.by(airport), daily).definition.eventTimestamp).toBe("hour");
    expect(() => view("v", hourly.by(airport), { ...daily, schedule: "30m" })).toThrow(
      "is rounded to 1h, of which the schedule, 30m, is not a multiple",
    );
  });

  it("keeps the newest event timestamp of a group", () => {
    const latest = flights().groupBy("origin").aggregate({ at: max("date"), departures: count() });
    expect(view("v", latest.by(airport), daily).definition.eventTimestamp).toBe("at");
  });

  it("hands itself to the store that it is published to", () => {
    const store = { publish: (what: FeatureView, options: { reason?: string }) => [what.name, options.reason] };
    expect(view("v", byAirport, daily).publish(store, { reason: "why" })).toEqual(["v", "why"]);
  });

  it("warns about a right side that has times of its own", () => {
    const joined = flights().join(flights().select("origin", "distance", "date"), "origin", { suffix: "_2" });
    expect(view("v", joined.by(airport), daily).warnings.join()).toContain("use asOfJoin");
    expect(view("v", byAirport, daily).warnings).toEqual([]);
  });
});

describe("view() refuses", () => {
  it.each<[string, Partial<ViewOptions> & { name?: string }, string]>([
    ["a bad name", { name: "a.b" }, "names start with an ASCII letter"],
    ["no schedule", { schedule: undefined as never }, "schedule: it is missing"],
    ["a schedule that is no duration", { schedule: "daily" }, 'schedule: "daily": it is not a duration'],
    ["a schedule of seconds", { schedule: "10s" }, "10s is not between 1m and 366d"],
    ["a schedule of years", { schedule: "800d" }, "800d is not between"],
    ["no start", { start: undefined as never }, "start: it is missing"],
    ["a start that is no instant", { start: "yesterday" }, "yesterday"],
    ["an end before the start", { end: "2000-01-01" }, "is not after the start"],
    ["a ttl of zero", { ttl: "0s" }, 'ttl: "0s": it is zero'],
    ["a negative delay", { dataDelay: "-1h" }, "it is not a duration"],
    ["half a slice of lookback", { lookback: 1.5 }, "lookback: 1.5 is not a number of slices"],
    ["endless lookback", { lookback: 5_000 }, "lookback: 5000"],
    [
      "an unknown feature",
      { features: ["dely"] },
      "those that can be features are loaded, destination, delay, distance",
    ],
    ["a key as feature", { features: ["origin"] }, "it is a join key"],
    ["the event timestamp as feature", { features: ["date"] }, "it is the event timestamp"],
    [
      "a feature twice",
      { features: { delay: { default: 1 } }, defaults: { delay: 2 } },
      "it has a default in features already",
    ],
    ["a default of another type", { defaults: { delay: "none" } }, "features.delay.default"],
    ["a default that does not fit", { defaults: { delay: 3_000_000_000 } }, "features.delay.default"],
    ["a default for no feature", { defaults: { dely: 1 } }, "there is no such feature"],
    ["an event timestamp that is not there", { eventTimestamp: "when" }, 'the query has no column "when"'],
    ["an event timestamp that is no time", { eventTimestamp: "delay" }, "is int32, not a timestamp"],
    ["tags that are not texts", { tags: { n: 1 as unknown as string } }, "tags.n: it is 1, not text"],
  ])("%s", (_, options, message) => {
    expect(() => delays(options)).toThrow(message);
  });

  it("a source without event timestamp, and names its columns that could be", () => {
    const frame = fileFrame({ origin: "string", at: "timestamp", n: "int32" });
    expect(() => view("v", frame.by(airport), daily)).toThrow(
      "its source has no event timestamp; name one of its columns (at) with the option eventTimestamp",
    );
    expect(view("v", frame.by(airport), { ...daily, eventTimestamp: "at" }).definition.features).toEqual([{
      name: "n",
      type: "int32",
    }]);
  });

  it.each([
    ["select", flights().select("origin", "delay"), 'column "date" is lost in select; keep the column'],
    ["drop", flights().drop("date"), 'column "date" is lost in drop'],
    [
      "aggregate",
      flights().groupBy("origin").aggregate({ n: count() }),
      'column "date" is lost in aggregate; group by it too',
    ],
    ["derive", flights().derive({ date: col("loaded") }), "it is replaced by something that is not the same time"],
  ])("a %s that loses the event timestamp", (_, frame, message) => {
    expect(() => view("v", frame.by(airport) as never, daily)).toThrow(message);
  });

  it("an event timestamp that is computed or comes from the right side", () => {
    const later = flights().derive({ later: col("date").dt.truncate("week") });
    expect(() => view("v", later.by(airport), { ...daily, eventTimestamp: "later" })).toThrow(
      'column "later" cannot be it: it is computed by derive',
    );
    const joined = flights().join(fileFrame({ origin: "string", opened: "timestamp" }), "origin");
    expect(() => view("v", joined.by(airport), { ...daily, eventTimestamp: "opened" })).toThrow(
      "comes from the right side of a join",
    );
  });

  it("steps that cut slices", () => {
    expect(() => view("v", flights().limit(10).by(airport), daily)).toThrow("limit cannot be in a view");
    expect(() => view("v", flights().sample({ rows: 10 }).by(airport), daily)).toThrow("sample cannot be in a view");
  });

  it("reserved and clashing feature names", () => {
    const named = flights().rename({ delay: "effective_timestamp" });
    expect(() => view("v", named.by(airport), daily)).toThrow("reserved for the times of stored rows");
    const placed = flights().rename({ delay: "file_row_number" });
    expect(() => view("v", placed.by(airport), daily)).toThrow("reserved for the places of stored rows");
    expect(() => view("v", flights().select("origin", "date").by(airport), daily)).toThrow(
      "there are none: every column is a join key or a time",
    );
  });

  it("with all problems at once", () => {
    const attempt = () => delays({ name: "a b", schedule: "x", ttl: "y", lookback: -1, features: ["nope"] });
    for (const part of ['"a b"', "schedule", "ttl", "lookback", "nope"]) expect(attempt).toThrow(part);
  });
});

describe("types of view()", () => {
  it("flow from the frame and the options", () => {
    const plain = view("v", byAirport, { ...daily, eventTimestamp: "date" });
    expectTypeOf<(typeof plain)["types"]["features"]["delay"]>().toEqualTypeOf<number | null>();
    expectTypeOf<keyof (typeof plain)["types"]["features"]>().toEqualTypeOf<
      "loaded" | "destination" | "delay" | "distance"
    >();
    expectTypeOf<(typeof plain)["types"]["keys"]>().toEqualTypeOf<{ readonly origin: "string" }>();
    const chosen = view("v", byAirport, { ...daily, features: ["delay", "distance"], defaults: { delay: 0 } });
    expectTypeOf<(typeof chosen)["types"]["features"]>().toEqualTypeOf<{ delay: number; distance: bigint | null }>();
    const detailed = view("v", byAirport, { ...daily, features: { delay: true, distance: { default: 0n } } });
    expectTypeOf<(typeof detailed)["types"]["features"]>().toEqualTypeOf<{ delay: number | null; distance: bigint }>();
  });

  it("leave frames without declared columns open", () => {
    const untyped = view("v", new Frame(flights().query).by(airport), {
      ...daily,
      features: ["delay"],
      defaults: { delay: 0 },
    });
    expectTypeOf<keyof (typeof untyped)["types"]["features"]>().toEqualTypeOf<"delay">();
    const all: FeatureView = untyped; // every view is a view
    expect(all.select("delay").use.features).toEqual([{ feature: "delay", as: "delay" }]);
  });

  it("make misspelt names errors", () => {
    // @ts-expect-error no such column
    expect(() => view("v", byAirport, { ...daily, features: ["dely"] })).toThrow();
    // @ts-expect-error no such column
    expect(() => view("v", byAirport, { ...daily, features: { dely: true } })).toThrow();
    // @ts-expect-error no such column
    expect(() => view("v", byAirport, { ...daily, defaults: { dely: 0 } })).toThrow();
    // @ts-expect-error not a number
    expect(() => view("v", byAirport, { ...daily, defaults: { delay: "0" } })).toThrow();
    // @ts-expect-error no such option
    expect(() => view("v", byAirport, { ...daily, lokback: 1 })).toThrow(
      /lokback: there is no such option; .* lookback/,
    );
    // @ts-expect-error no schedule
    expect(() => view("v", byAirport, { start: "2001-01-01" })).toThrow();
  });
});
