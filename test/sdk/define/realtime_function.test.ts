import { describe, expect, expectTypeOf, it } from "vitest";
import type { Definition, RealtimeFunction } from "../../../sdk/define/definitions.ts";
import { entity } from "../../../sdk/define/entity.ts";
import { parseDefinition } from "../../../sdk/define/parse.ts";
import { realtimeView } from "../../../sdk/define/realtime_view.ts";
import { view } from "../../../sdk/define/view.ts";
import { VarveError } from "../../../sdk/errors.ts";
import { col } from "../../../sdk/frame/expr.ts";
import type { Timestamp } from "../../../sdk/time.ts";
import { fileFrame } from "../../support/flight_views.ts";

const user = entity("user", { user: "int64" });
const types = { user: "int64", at: "timestamp", mean: "float64", n: "int64" } as const;
const spend = view("spend", fileFrame(types, { eventTimestamp: "at" }).by(user), {
  schedule: "1d",
  start: "2001-01-01",
  defaults: { n: 0 },
});

const risk = realtimeView("risk", {
  request: { amount: "float64" },
  from: [spend],
  output: { score: "float64", band: "string" },
  compute: (row) => {
    return { score: (row.amount ?? 0) / (row.mean ?? 1), band: row.n > 3n ? "old" : null };
  },
  defaults: { band: "new" },
  descriptions: { score: "against the mean" },
  owner: "ana",
});

const rate = 3;

/** What is wrong with a function over no inputs. */
function problem(compute: unknown, output: object = { x: "float64" }): string {
  try {
    realtimeView("v", { request: { a: "float64" }, output, compute } as never);
  } catch (error) {
    return (error as VarveError).message;
  }
  return "";
}

describe("realtimeView() of a function", () => {
  it("is plain frozen data", () => {
    const { compute, features } = risk.definition;
    expect(compute).toEqual({
      kind: "function",
      source: expect.stringMatching(/^\(row\) => \{/),
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(Object.isFrozen(compute)).toBe(true);
    expect(features).toEqual([
      { name: "score", type: "float64", description: "against the mean" },
      { name: "band", type: "string", default: "new" },
    ]);
    expect(String(risk)).toMatch(
      /^realtime view risk, request amount float64, reads spend\.mean, spend\.n\n {2}score float64\n {2}band string, default "new"\n {2}function [0-9a-f]{12}:\n {4}\(row\) => \{\n {6}return/,
    );
  });

  it("knows its types", () => {
    expectTypeOf<(typeof risk)["types"]["features"]>().toEqualTypeOf<{ score: number | null; band: string }>();
    const typed = () =>
      realtimeView("typed", {
        request: { amount: "float64", since: "timestamp" },
        from: [spend.select("n")],
        output: { x: "int64", at: "timestamp" },
        compute: (row) => {
          expectTypeOf(row).toEqualTypeOf<
            { amount: number | null; since: Timestamp | null; n: bigint; readonly requestTimestamp: Timestamp }
          >();
          return { x: row.n, at: row.requestTimestamp };
        },
      });
    expect(typed).toThrow('it captures "expectTypeOf"');
    const wrong = () => {
      // @ts-expect-error: an answer is of the output
      realtimeView("wrong", { output: { x: "int64" }, compute: () => ({ x: "text" }) });
      // @ts-expect-error: a row has the fields of the request
      realtimeView("wrong", { request: { a: "int64" }, output: { x: "int64" }, compute: (row) => ({ x: row.b }) });
    };
    expect(wrong).not.toThrow();
  });

  it("names whatever keeps a function from standing alone", () => {
    expect(problem((row: { a: number }) => ({ x: row.a * rate }))).toBe(
      'Cannot define realtime view "v": compute, line 1: it captures "rate"; move it into the function, or give it as a field of the row',
    );
    expect(problem(() => ({ x: col("a") }))).toContain('it captures "col"');
    expect(problem(() => ({ x: Date.now() }))).toContain("Date.now");
    expect(problem(() => ({ x: Math.random() }))).toContain("Math.random");
    expect(problem(() => ({ x: new Date().getTime() }))).toContain("new Date()");
    expect(problem(async () => await Promise.resolve({ x: 1 }))).toContain("it is async");
    expect(problem(Math.abs)).toContain("it is built in");
    expect(problem(null)).toBe('Cannot define realtime view "v": compute: it is null, not a function');
    expect(problem(undefined)).toContain("compute: it is missing; give the function that gives the output");
    expect(problem(() => ({ x: Date.now() + rate }))).toMatch(/Date\.now.*\n.*captures "rate"/s);
    expect(problem(() => ({}), {})).toContain("output: there are none");
    expect(problem(() => ({}), { x: "float" })).toContain("output.x: ");
    expect(problem(() => ({}), { __proto: "int64", ["__x"]: "int64" })).toContain("features.__x");
    expect(() =>
      realtimeView("v", {
        request: { requestTimestamp: "timestamp" },
        output: { x: "int64" },
        compute: () => ({ x: 1 }),
        features: {},
      } as never)
    ).toThrow(/features: a function gives the features.*\n.*request\.requestTimestamp: .*rename it/s);
  });

  it("comes back from JSON as it was, and is not taken on trust", () => {
    const json = () => JSON.parse(JSON.stringify(risk.definition)) as Definition & { compute: RealtimeFunction };
    expect(parseDefinition(json())).toEqual(risk.definition);
    const withCompute = (change: Partial<RealtimeFunction>) => () =>
      parseDefinition({ ...json(), compute: { ...json().compute, ...change } });
    expect(withCompute({ hash: "0".repeat(64) })).toThrow(expect.objectContaining({ code: "CORRUPT" }));
    expect(withCompute({ source: "(row) => ({ score: 1, band: 'x' })" })).toThrow(
      expect.objectContaining({ code: "CORRUPT" }),
    );
    expect(withCompute({ source: "(row) => ({ score: rate })" })).toThrow(
      expect.objectContaining({ code: "INVALID_DEFINITION", message: expect.stringContaining('captures "rate"') }),
    );
    expect(withCompute({ source: "not code" })).toThrow("cannot be read as JavaScript");
  });
});
