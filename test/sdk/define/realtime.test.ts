import { describe, expect, expectTypeOf, it } from "vitest";
import type { RealtimeExpressions } from "../../../sdk/define/definitions.ts";
import { entity } from "../../../sdk/define/entity.ts";
import { parseDefinition } from "../../../sdk/define/parse.ts";
import { realtimeView } from "../../../sdk/define/realtime_view.ts";
import { service } from "../../../sdk/define/service.ts";
import { view } from "../../../sdk/define/view.ts";
import { col } from "../../../sdk/frame/expr.ts";
import { requestTimestamp } from "../../../sdk/frame/request_time.ts";
import { fileFrame } from "../../support/flight_views.ts";

const user = entity("user", { user: "int64" });
const types = { user: "int64", at: "timestamp", mean: "float64", n: "int64" } as const;
const spend = view("spend", fileFrame(types, { eventTimestamp: "at" }).by(user), {
  schedule: "1d",
  start: "2001-01-01",
  defaults: { n: 0 },
});

const ratio = realtimeView("amount_ratio", {
  request: { amount: "float64" },
  from: [spend.select("mean").rename({ mean: "usual" })],
  features: { ratio: col("amount").divide(col("usual")), hour: requestTimestamp().dt.hour() },
  defaults: { ratio: 1 },
  descriptions: { hour: "of the request, UTC" },
  owner: "ana",
});

describe("realtimeView()", () => {
  it("is plain frozen data", () => {
    expect(ratio.definition).toEqual({
      kind: "realtimeView",
      name: "amount_ratio",
      request: [{ name: "amount", type: "float64" }],
      from: [{ view: "spend", alias: "spend", features: [{ feature: "mean", as: "usual" }], joinKeyMap: {} }],
      inputs: [{ name: "usual", type: "float64" }],
      joinKeys: [{ name: "user", type: "int64" }],
      compute: {
        kind: "expressions",
        expressions: {
          ratio: col("amount").divide(col("usual")).node,
          hour: requestTimestamp().dt.hour().node,
        },
      },
      features: [
        { name: "ratio", type: "float64", default: 1 },
        { name: "hour", type: "int32", description: "of the request, UTC" },
      ],
      owner: "ana",
    });
    expect(Object.isFrozen((ratio.definition.compute as RealtimeExpressions).expressions)).toBe(true);
    expect(ratio.definitions.map(({ kind, name }) => `${kind}:${name}`)).toEqual([
      "entity:user",
      "view:spend",
      "realtimeView:amount_ratio",
    ]);
    expect(String(ratio)).toBe(
      "realtime view amount_ratio, request amount float64, reads spend.mean as usual\n" +
        "  ratio float64 = amount / usual, default 1\n" +
        "  hour int32 = hour(requestTimestamp())",
    );
  });

  it("comes back from JSON as it was", () => {
    expect(parseDefinition(JSON.parse(JSON.stringify(ratio.definition)))).toEqual(ratio.definition);
    const broken = (change: object) => () => parseDefinition({ ...ratio.definition, ...change });
    expect(broken({ compute: { kind: "wasm", source: "x" } })).toThrow("compute.kind");
    expect(broken({ compute: { kind: "expressions", expressions: {} } })).toThrow("there is no expression for it");
    expect(broken({ inputs: [] })).toThrow("from gives usual");
    expect(broken({ sql: "x" })).toThrow("there is no such property");
  });

  it("knows its types", () => {
    type Ratio = (typeof ratio)["types"];
    expectTypeOf<Ratio["keys"]>().toEqualTypeOf<{ readonly user: "int64" }>();
    expectTypeOf<Ratio["fields"]>().toEqualTypeOf<{ amount: number | null }>();
    expectTypeOf<Ratio["features"]>().toEqualTypeOf<{ ratio: number; hour: number | null }>();
    const model = service("model", [spend, ratio.mapKeys({ user: "buyer" }).prefix("b_")]);
    type Model = (typeof model)["types"];
    expectTypeOf<Model["request"]>().toEqualTypeOf<{ user: bigint | null; buyer: bigint | null }>();
    expectTypeOf<Model["fields"]>().toEqualTypeOf<{ amount: number | null }>();
    const plain = service("plain", [spend]);
    expectTypeOf<keyof (typeof plain)["types"]["fields"]>().toEqualTypeOf<never>();
  });

  it("needs neither views nor request fields", () => {
    const clock = realtimeView("clock", { features: { weekday: requestTimestamp().dt.dayOfWeek() } });
    expect(clock.definition).toMatchObject({ request: [], from: [], inputs: [], joinKeys: [] });
    expectTypeOf<keyof (typeof clock)["types"]["keys"]>().toEqualTypeOf<never>();
  });

  const refused = (options: object) => () => realtimeView("x", options as Parameters<typeof realtimeView>[1]);

  it.each([
    [{ features: {} }, "there are none"],
    [{ features: { x: 5 } }, "it is no expression"],
    [
      { request: { amount: "float64" }, from: [spend], features: { x: col("amonut") } },
      'features.x: there is no column "amonut"; columns are amount, mean, n, and requestTimestamp()',
    ],
    [{ request: { a: "string" }, features: { x: col("a").plus(1) } }, "features.x"],
    [{ request: { a: "text" }, features: { x: col("a") } }, "request.a"],
    [
      { request: { user: "int64" }, from: [spend], features: { x: "user" } },
      '"user" is also a join key of what it reads; rename one: .mapKeys({ … })',
    ],
    [
      { request: { mean: "float64" }, from: [spend], features: { x: "n" } },
      '"mean" is also a feature that it reads; rename one: .rename({ … })',
    ],
    [
      { request: { x: "float64" }, features: { x: "x" } },
      '"x" is also a feature that it computes; give the field or the feature another name',
    ],
    [{ request: { "é": "float64" }, features: { x: "é" } }, "hold ASCII letters, digits, _ and -"],
    [{ features: { "金額": requestTimestamp().dt.hour() } }, "names start with an ASCII letter or _"],
    [{ output: { x: "int64" } }, 'view "x": compute: it is missing; give the function that gives the output'],
    [{ request: { A: "float64", a: "float64" }, features: { x: "a" } }, "differs"],
    [{ request: { __a: "float64" }, features: { x: "__a" } }, "names that start with __ are reserved"],
    [{ from: [spend, spend.as("again")], features: { x: "n" } }, '.rename({ mean: "…" }) or .prefix("again_")'],
    [{ from: [ratio], features: { x: "ratio" } }, '"amount_ratio" is a realtime view itself'],
    [
      { from: [spend], features: { x: "n" }, defaults: { y: 1 } },
      "defaults.y: there is no such feature; features are x",
    ],
    [{ from: [spend], features: { x: "n" }, defaults: { x: "many" } }, "features.x.default"],
    [
      { from: [spend], feature: { x: "n" }, features: { x: "n" } },
      "feature: there is no such option; there are request",
    ],
    [{ from: [spend], features: { x: "n" }, descriptions: { y: "?" } }, "descriptions.y"],
  ])("refuses %j", (options, message) => {
    expect(refused(options)).toThrow(message);
  });

  it("makes services say which names clash", () => {
    const other = realtimeView("other", { request: { amount: "int64" }, features: { y: "amount" } });
    expect(() => service("model", [ratio, other])).toThrow(
      'realtime view "amount_ratio" wants amount float64, realtime view "other" wants amount int64',
    );
    expect(() => service("model", [spend.rename({ mean: "amount" }), ratio])).toThrow(
      '"amount" of view "spend" is also a field of the request; rename the feature',
    );
    expect(() => service("model", [spend.mapKeys({ user: "amount" }), ratio])).toThrow("is also a join key");
    const newer = view("spend", fileFrame(types, { eventTimestamp: "at" }).by(user), {
      schedule: "1h",
      start: "2001-01-01",
    });
    expect(() => service("model", [newer, ratio])).toThrow("two definitions of this view are mixed");
  });

  it("is written back as a module", () => {
    const model = service("model", [spend.select("n"), ratio.as("r").prefix("r_")]);
    expect(String(model.source())).toContain(
      `export const amountRatio = realtimeView("amount_ratio", {
  request: { amount: "float64" },
  from: [spend.select("mean").rename({ mean: "usual" })],
  features: { ratio: col("amount").divide(col("usual")), hour: requestTimestamp().dt.hour() },
  defaults: { ratio: 1 },
  descriptions: { hour: "of the request, UTC" },
  owner: "ana",
});

export const model = service("model", [spend.select("n"), amountRatio.prefix("r_").as("r")]);`,
    );
  });
});
