import { describe, expect, it } from "vitest";
import { VarveError } from "../../../sdk/errors.ts";
import type { WindowFunctionName } from "../../../sdk/frame/window_functions.ts";
import type { DataType } from "../../../sdk/schema.ts";
import type { Aggregator, States } from "../../../sdk/window/aggregator.ts";
import { aggregatorOf } from "../../../sdk/window/aggregator_of.ts";
import { maxGroups } from "../../../sdk/window/aggregators/grouped.ts";
import { maxDifferent } from "../../../sdk/window/aggregators/value_counts.ts";
import { stateOf } from "./window_cases.ts";

function over(name: WindowFunctionName, input: DataType, parameters = {}): Aggregator {
  return aggregatorOf({ name: "x", function: name, parameters }, { input });
}

function state(aggregator: Aggregator, values: readonly unknown[]): States {
  return stateOf(aggregator, values.map((value, time) => ({ value, time, by: null, key: null })));
}

function result(aggregator: Aggregator, values: readonly unknown[]): unknown {
  return aggregator.finalize(state(aggregator, values), 0);
}

const most = 2n ** 63n - 1n;

describe("sums of integers", () => {
  it("are exact to 64 bits, and an error that names them beyond", () => {
    expect(result(over("sum", "int64"), [most, -1n, 1n])).toBe(most);
    expect(result(over("sum", "int64"), [-most, -1n])).toBe(-most - 1n);
    expect(() => result(over("sum", "int64"), [most, 1n])).toThrow(
      new VarveError(
        "SCHEMA_MISMATCH",
        'Cannot compute "x": a sum of int64 leaves 64 bits; cast the input to float64',
        {
          details: { aggregation: "x" },
        },
      ),
    );
    expect(() => result(over("sum", "duration"), [most, most])).toThrow(/sum shorter durations/);
  });

  it("may leave 64 bits on the way", () => {
    const sum = over("sum", "int64");
    const before = state(sum, [most, most, most]);
    const all = state(sum, [most, most, most, -5n]);
    sum.subtract!(all, 0, before, 0);
    expect(sum.finalize(all, 0)).toBe(-5n);
    expect(result(sum, [most, most, -most, -most, 7n])).toBe(7n);
  });

  it("are refused, not wrong, where even doubles of their upper halves do not suffice", () => {
    const sum = over("sum", "int64");
    const all = state(sum, [most]);
    // 2^22 times the greatest value, and away again.
    const times = 22;
    for (let i = 0; i < times; i++) sum.merge(all, 0, all, 0);
    const same = state(sum, [most]);
    for (let i = 0; i < times - 1; i++) sum.merge(same, 0, same, 0);
    sum.subtract!(all, 0, same, 0);
    sum.subtract!(all, 0, same, 0);
    sum.update(all, 0, 5n, 0, null);
    expect(() => sum.finalize(all, 0)).toThrow(/leaves 64 bits/);
  });

  it("have means that are rounded once", () => {
    expect(result(over("mean", "int64"), [most, most, most])).toBe(Number(most));
    expect(result(over("mean", "int64"), [2n ** 53n + 1n, 2n ** 53n + 2n])).toBe(2 ** 53 + 2);
    expect(result(over("mean", "int32"), [1, 2])).toBe(1.5);
  });
});

describe("sums of floats", () => {
  it("lose nothing to what is greater, and do not overflow on the way", () => {
    expect(result(over("sum", "float64"), [1e16, 1, -1e16])).toBe(1);
    expect(result(over("sum", "float64"), [1e308, 1, 1e308, -1e308, -1e308])).toBe(1);
    expect(result(over("mean", "float64"), [1e308, 1e308, 1e308])).toBe(1e308);
    expect(result(over("sum", "float64"), [1e308, 1e308])).toBe(Infinity);
    expect(result(over("sum", "float64"), Array.from({ length: 10 }, () => 0.1))).toBe(1);
    expect(result(over("sum", "float64"), [-0, -0])).toBe(0);
  });

  it("take NaN and infinities away again", () => {
    const sum = over("sum", "float64");
    const all = state(sum, [NaN, Infinity, -Infinity, 1e300, 2]);
    expect(sum.finalize(all, 0)).toBeNaN();
    sum.subtract!(all, 0, state(sum, [NaN]), 0);
    expect(sum.finalize(all, 0)).toBeNaN();
    sum.subtract!(all, 0, state(sum, [Infinity]), 0);
    expect(sum.finalize(all, 0)).toBe(-Infinity);
    sum.subtract!(all, 0, state(sum, [-Infinity, 1e300]), 0);
    expect(sum.finalize(all, 0)).toBe(2);
    sum.subtract!(all, 0, state(sum, [2]), 0);
    expect(sum.finalize(all, 0)).toBeNull();
  });
});

describe("variances", () => {
  it("do not suffer from far means", () => {
    expect(result(over("varPop", "float64"), [1e15, 1e15 + 1, 1e15 + 2])).toBe(2 / 3);
    expect(result(over("stddevSamp", "float64"), Array.from({ length: 9 }, () => 9.99))).toBe(0);
    expect(result(over("varSamp", "float64"), [1e300, 1e300, -1e300])).toBe(Infinity);
    expect(result(over("varPop", "float64"), [5e-324, 5e-324])).toBe(0);
  });

  it("forget an outlier that is taken away", () => {
    const variance = over("varPop", "float64");
    const all = state(variance, [1e200, 0.1, 0.2, 0.4]);
    variance.subtract!(all, 0, state(variance, [1e200]), 0);
    expect(variance.finalize(all, 0)).toBe(result(variance, [0.1, 0.2, 0.4]));
  });

  it("are NaN where a value is not finite, and null without enough values", () => {
    expect(result(over("varPop", "float64"), [1, Infinity])).toBeNaN();
    expect(result(over("varSamp", "float64"), [1])).toBeNull();
    expect(result(over("varPop", "float64"), [1])).toBe(0);
    expect(result(over("varPop", "float64"), [NaN])).toBeNaN();
  });
});

describe("windows without rows", () => {
  it.each<[WindowFunctionName, DataType, object, unknown]>([
    ["count", "string", {}, 0n],
    ["countDistinct", "string", {}, 0n],
    ["approxCountDistinct", "string", {}, 0n],
    ["histogram", "int32", { bounds: [0, 1] }, [0n, 0n, 0n]],
    ["lastN", "int32", { n: 2 }, []],
    ["lastDistinct", "int32", { n: 2 }, []],
    ["topK", "int32", { k: 2 }, []],
    ["valueCounts", "int32", {}, []],
    ["minN", "int32", { n: 2 }, []],
    ["sum", "int32", {}, null],
    ["sum", "float64", {}, null],
    ["mean", "int32", {}, null],
    ["min", "float64", {}, null],
    ["min", "string", {}, null],
    ["last", "int64", {}, null],
    ["approxPercentile", "float64", { quantile: 0.5 }, null],
    ["any", "boolean", {}, null],
    ["all", "boolean", {}, null],
    ["kurtosis", "float64", {}, null],
  ])("%s of %s", (name, input, parameters, expected) => {
    expect(result(over(name, input, parameters), [])).toEqual(expected);
  });
});

describe("exact counts of values", () => {
  it("hold at most a million values", () => {
    const distinct = over("countDistinct", "int32");
    const states = state(distinct, []);
    for (let i = 0; i < maxDifferent; i++) distinct.update(states, 0, i, 0, null);
    expect(distinct.finalize(states, 0)).toBe(BigInt(maxDifferent));
    distinct.update(states, 0, 5, 0, null);
    expect(() => distinct.update(states, 0, maxDifferent, 0, null)).toThrow(
      /Cannot compute "x": one key has more than 1000000 different values; use approxCountDistinct/,
    );
  });
});

describe("secondary keys", () => {
  it("have at most ten thousand values", () => {
    const grouped = aggregatorOf({ name: "x", function: "count" }, { secondaryKey: "int32" });
    const states = state(grouped, []);
    for (let i = 0; i < maxGroups; i++) grouped.update(states, 0, undefined, 0, null, i);
    expect(() => grouped.update(states, 0, undefined, 0, null, -1)).toThrow(
      /more than 10000 values of the secondary key/,
    );
    expect(grouped.finalize(states, 0)).toHaveLength(maxGroups);
  });

  it("that are null make no element", () => {
    const grouped = aggregatorOf({ name: "x", function: "count" }, { secondaryKey: "binary" });
    const states = state(grouped, []);
    grouped.update(states, 0, undefined, 0, null, null);
    grouped.update(states, 0, null, 0, null, new Uint8Array([2]));
    grouped.update(states, 0, undefined, 0, null, new Uint8Array([1]));
    grouped.update(states, 0, undefined, 0, null, new Uint8Array([1]));
    expect(grouped.grouped!.keys(states, 0)).toEqual([new Uint8Array([1]), new Uint8Array([2])]);
    expect(grouped.finalize(states, 0)).toEqual([2n, 0n]);
  });
});
