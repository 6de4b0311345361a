import { describe, expect, expectTypeOf, it } from "vitest";
import { entity } from "../../../sdk/define/entity.ts";
import { service } from "../../../sdk/define/service.ts";
import { view } from "../../../sdk/define/view.ts";
import { airport, fileFrame, flights, route } from "../../support/flight_views.ts";

const daily = { schedule: "1d", start: "2001-01-01" } as const;
const airports = view("airports", flights().by(airport), {
  ...daily,
  features: ["delay", "distance"],
  defaults: { delay: 0 },
});
const routes = view("routes", flights().by(route), { ...daily, features: ["delay"] });

describe("service()", () => {
  it("reads whole views and selections, in order", () => {
    const model = service("model", [airports.select("distance"), routes], { owner: "ana" });
    expect(model.definition).toEqual({
      kind: "service",
      name: "model",
      views: [
        { view: "airports", alias: "airports", features: [{ feature: "distance", as: "distance" }], joinKeyMap: {} },
        { view: "routes", alias: "routes", features: [{ feature: "delay", as: "delay" }], joinKeyMap: {} },
      ],
      owner: "ana",
    });
    expect(model.featureNames).toEqual(["distance", "delay"]);
    expect(model.definitions.map((each) => `${each.kind}:${each.name}`)).toEqual([
      "entity:airport",
      "entity:route",
      "view:airports",
      "view:routes",
      "service:model",
    ]);
  });

  it("reads a view twice under two names and other keys", () => {
    const model = service("model", [
      airports.select("delay").as("origin").prefix("origin_"),
      airports.select("delay").mapKeys({ origin: "destination" }).as("destination").rename({
        delay: "destination_delay",
      }),
    ]);
    expect(model.definition.views).toEqual([
      { view: "airports", alias: "origin", features: [{ feature: "delay", as: "origin_delay" }], joinKeyMap: {} },
      {
        view: "airports",
        alias: "destination",
        features: [{ feature: "delay", as: "destination_delay" }],
        joinKeyMap: { origin: "destination" },
      },
    ]);
    type Model = (typeof model)["types"];
    expectTypeOf<Model["request"]>().toEqualTypeOf<{ origin: string | null; destination: string | null }>();
    expectTypeOf<Model["features"]>().toEqualTypeOf<{ origin_delay: number; destination_delay: number }>();
  });

  it("changes no selection by a call on it", () => {
    const all = airports.selection;
    all.select("delay").prefix("x_");
    expect(all.use.features.map((each) => each.as)).toEqual(["delay", "distance"]);
  });

  it("drops a key map that maps a key to itself", () => {
    expect(airports.mapKeys({ origin: "airport" }).mapKeys({ airport: "origin" } as never).use.joinKeyMap).toEqual({});
  });
});

describe("service() refuses", () => {
  const number = entity("airport_number", { origin: "int64" });
  const numbered = view(
    "numbered",
    fileFrame({ origin: "int64", at: "timestamp", n: "int32" }, { eventTimestamp: "at" }).by(number),
    daily,
  );
  const keyNamed = view("key_named", flights().by(airport), { ...daily, features: ["destination"] });

  it.each<[string, () => unknown, string]>([
    ["a bad name", () => service("", [airports]), "it is empty"],
    ["no views", () => service("m", []), "there are none; give at least one view"],
    [
      "one name for two features",
      () => service("m", [airports, routes]),
      'the name is there in view "airports" and in view "routes"; use .rename({ delay: "…" }) or .prefix("routes_")',
    ],
    ["names that differ in case", () => service("m", [airports, routes.rename({ delay: "DELAY" })]), "features.DELAY"],
    [
      "one view twice",
      () => service("m", [routes, routes.prefix("x_")]),
      'it reads view "routes" twice; name each use: .as("…")',
    ],
    [
      "two views of one alias",
      () => service("m", [airports.as("a"), routes.prefix("x_").as("A")]),
      'two views are called "A"',
    ],
    [
      "a key of two types",
      () => service("m", [airports, numbered]),
      'view "airports" wants string, view "numbered" wants int64; use .mapKeys',
    ],
    [
      "a feature named as a key",
      () => service("m", [keyNamed, routes]),
      '"destination" of view "key_named" is also a join key of the request',
    ],
    ["two definitions of one view", () => {
      const other = view("routes", flights().by(route), { ...daily, features: ["distance"] });
      return service("m", [routes, other.as("b")]);
    }, "two definitions of this view are mixed"],
    [
      "an unknown feature",
      () => airports.select("dely" as never),
      'Cannot select feature "dely" of view "airports": features are delay, distance',
    ],
    ["a feature selected twice", () => airports.select("delay", "delay"), '"delay" is there twice'],
    ["nothing selected", () => airports.select(), "name at least one feature"],
    ["renaming what is not there", () => airports.rename({ dely: "x" } as never), 'Cannot rename feature "dely"'],
    ["renaming to one name", () => airports.rename({ delay: "distance" }), '"distance" is there twice'],
    ["a reserved name", () => airports.rename({ delay: "event_timestamp" }), "reserved for the times"],
    ["a bad prefix", () => airports.prefix("a b "), "names start with an ASCII letter"],
    ["a bad alias", () => airports.as("a.b"), "names start with an ASCII letter"],
    [
      "mapping an unknown key",
      () => airports.mapKeys({ airport: "x" } as never),
      "there is no such join key; keys are origin",
    ],
    ["mapping two keys to one", () => routes.mapKeys({ origin: "destination" }), '"destination" is there twice'],
  ])("%s", (_, make, message) => {
    expect(make).toThrow(message);
  });
});

describe("types of service()", () => {
  it("make misspelt names errors and merge all features", () => {
    // @ts-expect-error no such feature
    expect(() => airports.select("dely")).toThrow();
    // @ts-expect-error no such feature
    expect(() => airports.rename({ dely: "x" })).toThrow();
    // @ts-expect-error no such key
    expect(() => airports.mapKeys({ destination: "x" })).toThrow();
    // @ts-expect-error delay was renamed
    expect(() => airports.prefix("a_").select("delay")).toThrow();
    const model = service("m", [airports.prefix("a_"), routes]);
    expectTypeOf<(typeof model)["types"]["features"]>().toEqualTypeOf<
      { a_delay: number; a_distance: bigint | null; delay: number | null }
    >();
    expectTypeOf<(typeof model)["types"]["request"]>().toEqualTypeOf<
      { origin: string | null; destination: string | null }
    >();
  });
});
