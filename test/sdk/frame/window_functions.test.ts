import { describe, expect, it } from "vitest";
import type { LiteralValue } from "../../../sdk/frame/expr_node.ts";
import { windowFunctionType, windowParameters } from "../../../sdk/frame/window_functions.ts";
import type { DataType } from "../../../sdk/schema.ts";

type Parameters = Readonly<Record<string, LiteralValue>>;

function typeOf(name: string, input?: DataType, parameters: Parameters = {}, by?: DataType): DataType {
  return windowFunctionType({ name: "x", function: name, parameters }, input, by);
}

describe("types of functions over windows", () => {
  it.each<[string, DataType | undefined, Parameters, DataType]>([
    ["count", undefined, {}, "int64"],
    ["count", { list: "string" }, {}, "int64"],
    ["sum", "int32", {}, "int64"],
    ["sum", "float32", {}, "float64"],
    ["sum", "duration", {}, "duration"],
    ["mean", "int64", {}, "float64"],
    ["min", "date", {}, "date"],
    ["skew", "int32", {}, "float64"],
    ["last", { list: "int32" }, {}, { list: "int32" }],
    ["lastN", "string", { n: 1000 }, { list: "string" }],
    ["lastDistinct", "binary", { n: 1 }, { list: "binary" }],
    ["maxN", "timestamp", { n: 3 }, { list: "timestamp" }],
    ["countDistinct", "boolean", {}, "int64"],
    ["approxCountDistinct", "string", {}, "int64"],
    ["approxPercentile", "int32", { quantile: 0.5 }, "float64"],
    ["topK", "string", { k: 3 }, { list: "string" }],
    ["valueCounts", "string", {}, {
      list: { struct: [{ name: "value", type: "string" }, { name: "count", type: "int64" }] },
    }],
    ["histogram", "float64", { bounds: [-1, 0, 2.5] }, { list: "int64" }],
    ["any", "boolean", {}, "boolean"],
  ])("%s of %j %j is %j", (name, input, parameters, expected) => {
    expect(typeOf(name, input, parameters)).toEqual(expected);
  });

  it.each<[string, DataType | undefined, Parameters, DataType | undefined, string]>([
    ["sum", "string", {}, undefined, "the input is string; it must be a number"],
    ["sum", "boolean", {}, undefined, "the input is boolean; it must be a number, cast it to int32"],
    ["sum", undefined, {}, undefined, "it needs an input column"],
    ["first", undefined, {}, undefined, "it needs an input column"],
    ["min", { list: "int32" }, {}, undefined, "values of type list<int32> have no order"],
    ["skew", "duration", {}, undefined, "the input is duration; it must be a number"],
    [
      "topK",
      { list: "int32" },
      { k: 2 },
      undefined,
      "the input is list<int32>; it must be neither a list nor a struct",
    ],
    ["all", "int32", {}, undefined, "the input is int32; it must be boolean"],
    ["minBy", "string", {}, undefined, "it needs a column that orders the rows; give by"],
    ["minBy", "string", {}, { list: "string" }, "values of type list<string> have no order"],
    ["last", "string", {}, "int32", "it takes no by; only minBy and maxBy do"],
    ["lastN", "string", {}, undefined, "n must be a whole number from 1 to 1000"],
    ["lastN", "string", { n: 1001 }, undefined, "n must be a whole number from 1 to 1000"],
    ["lastN", "string", { n: "2" }, undefined, "n must be a whole number from 1 to 1000"],
    ["lastN", "string", { n: 2, m: 1 }, undefined, 'it has no parameter "m"; it has n'],
    ["sum", "int32", { n: 2 }, undefined, 'it has no parameter "n"; it has none'],
    ["approxCountDistinct", "string", { precision: 3 }, undefined, "precision must be a whole number from 4 to 16"],
    ["approxPercentile", "int32", { quantile: 1.5 }, undefined, "quantile must be a number from 0 to 1"],
    [
      "approxPercentile",
      "int32",
      { quantile: 0.5, accuracy: 0 },
      undefined,
      "accuracy must be a number from 0.001 to 0.1",
    ],
    [
      "histogram",
      "int32",
      { bounds: [1, 1] },
      undefined,
      "bounds must be 1 to 1000 numbers, each greater than the one before",
    ],
    [
      "histogram",
      "int32",
      { bounds: [] },
      undefined,
      "bounds must be 1 to 1000 numbers, each greater than the one before",
    ],
    [
      "histogram",
      "int32",
      { bounds: [1, "NaN"] },
      undefined,
      "bounds must be 1 to 1000 numbers, each greater than the one before",
    ],
  ])("%s of %j %j by %j is refused: %s", (name, input, parameters, by, why) => {
    // As it was written, not as it is stored.
    const written = name.replace(/N$/, "(x, n)");
    expect(() => typeOf(name, input, parameters, by)).toThrow(
      expect.objectContaining({ code: "INVALID_DEFINITION", message: `Cannot aggregate "x" by ${written}: ${why}` }),
    );
  });

  it("names the functions there are", () => {
    expect(() => typeOf("toString", "int32")).toThrow(
      /by toString: there is no such function; functions are count, sum, min/,
    );
  });
});

describe("constants of functions over windows", () => {
  it("are written out with their defaults", () => {
    expect(windowParameters({ name: "x", function: "approxPercentile", parameters: { quantile: 0.9 } })).toEqual({
      quantile: 0.9,
      accuracy: 0.01,
    });
    expect(windowParameters({ name: "x", function: "approxCountDistinct" })).toEqual({ precision: 12 });
    expect(windowParameters({ name: "x", function: "sum" })).toEqual({});
  });
});
