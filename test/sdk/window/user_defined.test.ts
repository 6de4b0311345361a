import { describe, expect, it } from "vitest";
import { type Aggregator, makeStates, type States } from "../../../sdk/window/aggregator.ts";
import { aggregatorOf } from "../../../sdk/window/aggregator_of.ts";
import { registerAggregation, type UserAggregation } from "../../../sdk/window/aggregators/user_defined.ts";
import { Random } from "../../conformance/expr_values.ts";
import { mergedState, stateOf } from "./window_cases.ts";

/** The nth root of a product. */
const geometricMean: UserAggregation<"geometricMean", 1> = {
  name: "geometricMean",
  version: 1,
  resultType(input, _by, { base = 2 }) {
    if (input !== "float64") throw new TypeError("the input must be float64");
    if (base !== 2 && base !== 10) throw new TypeError("base must be 2 or 10");
    return "float64";
  },
  make({ parameters }): Aggregator {
    const log = parameters["base"] === 10 ? Math.log10 : Math.log2;
    const base = parameters["base"] === 10 ? 10 : 2;
    return {
      slots: [{ name: "count", type: "int32" }, { name: "logs", type: "float64" }],
      result: "float64",
      clear: ([counts, logs], i) => {
        counts![i] = 0;
        logs![i] = 0;
      },
      update: ([counts, logs], i, value) => {
        (counts as Int32Array)[i]! += 1;
        (logs as Float64Array)[i]! += log(value as number);
      },
      merge: ([counts, logs], i, [otherCounts, otherLogs], j) => {
        (counts as Int32Array)[i]! += otherCounts![j] as number;
        (logs as Float64Array)[i]! += otherLogs![j] as number;
      },
      finalize: ([counts, logs], i) => {
        const count = counts![i] as number;
        return count === 0 ? null : base ** ((logs![i] as number) / count);
      },
    };
  },
};

const rows = [2, 8, 4, 4].map((value, time) => ({ value, time, by: null, key: time < 2 ? "a" : "b" }));

const fails = (): never => {
  throw new Error("no luck");
};

describe("aggregations of users", () => {
  const name = registerAggregation(geometricMean);

  it("are stored by name and version, and computed as any other", () => {
    expect(name).toBe("geometricMean@1");
    const aggregator = aggregatorOf({ name: "x", function: name }, { input: "float64" });
    expect(aggregator.finalize(stateOf(aggregator, rows), 0)).toBe(4);
    expect(aggregator.finalize(stateOf(aggregator, []), 0)).toBeNull();
    const random = new Random(1);
    for (let i = 0; i < 20; i++) expect(aggregator.finalize(mergedState(aggregator, rows, random), 0)).toBe(4);
    const decimal = aggregatorOf({ name: "x", function: name, parameters: { base: 10 } }, { input: "float64" });
    expect(decimal.finalize(stateOf(decimal, rows), 0)).toBeCloseTo(4);
  });

  it("go with a secondary key", () => {
    const grouped = aggregatorOf({ name: "x", function: name }, { input: "float64", secondaryKey: "string" });
    expect(grouped.result).toEqual({ list: "float64" });
    expect(grouped.finalize(mergedState(grouped, rows, new Random(2)), 0)).toEqual([4, 4]);
    expect(grouped.grouped!.keys(stateOf(grouped, rows), 0)).toEqual(["a", "b"]);
  });

  it("are refused where they do not fit or are not known", () => {
    expect(() => aggregatorOf({ name: "x", function: name }, { input: "string" })).toThrow(
      'Cannot aggregate "x" by geometricMean@1: the input must be float64',
    );
    expect(() => aggregatorOf({ name: "x", function: name, parameters: { base: 3 } }, { input: "float64" })).toThrow(
      "base must be 2 or 10",
    );
    expect(() => aggregatorOf({ name: "x", function: "geometricMean@2" }, { input: "float64" })).toThrow(
      expect.objectContaining({
        code: "INVALID_DEFINITION",
        message:
          'Cannot aggregate "x" by geometricMean@2: this process has no such function; it has geometricMean@1; ' +
          "call registerAggregation before it is used: commands load VARVE_MODULES first",
      }),
    );
  });

  it("may be registered again, as cells of notebooks are run again", () => {
    registerAggregation({ ...geometricMean, resultType: () => "float64" });
    expect(() => aggregatorOf({ name: "x", function: name }, { input: "string" })).not.toThrow();
    registerAggregation(geometricMean);
    expect(() => aggregatorOf({ name: "x", function: name }, { input: "string" })).toThrow(/must be float64/);
  });

  it.each<[Partial<UserAggregation>, string]>([
    [
      { name: "a@b" },
      'Cannot register aggregation "a@b": the name must be a letter, then at most 62 letters, digits or _',
    ],
    [{ name: "" }, 'Cannot register aggregation "": the name must be a letter'],
    [
      { version: 0 },
      'Cannot register aggregation "geometricMean": the version is 0; it must be a whole number from 1 on',
    ],
  ])("with %j are refused", (wrong, message) => {
    expect(() => registerAggregation({ ...geometricMean, ...wrong })).toThrow(message);
  });

  const aggregator = geometricMean.make({ parameters: {} });
  it.each<[string, Partial<Record<keyof Aggregator, unknown>>, string]>([
    ["wrongType", { result: "int32" }, "its aggregator gives int32, but resultType says float64"],
    ["noSlots", { slots: [] }, "its aggregator must have slots with different names"],
    [
      "twoSlots",
      { slots: [aggregator.slots[0], aggregator.slots[0]] },
      "its aggregator must have slots with different names",
    ],
    [
      "badSlot",
      { slots: [{ name: "a_b", type: "int32" }] },
      'its aggregator has a slot "a_b"; slots are a letter, then',
    ],
    ["noMerge", { merge: undefined }, "its aggregator has no merge()"],
  ])("whose aggregator breaks the contract are refused: %s", (own, wrong, message) => {
    registerAggregation({ ...geometricMean, name: own, make: () => ({ ...aggregator, ...wrong }) as Aggregator });
    expect(() => aggregatorOf({ name: "x", function: `${own}@1` }, { input: "float64" })).toThrow(message);
  });

  it.each<[string, Partial<Aggregator>, string]>([
    ["update", { update: fails }, "failed in update(): no luck"],
    ["merge", { merge: fails }, "failed in merge(): no luck"],
    ["finalize", { finalize: fails }, "failed in finalize(): no luck"],
    ["anotherType", { finalize: () => "2" }, "failed in finalize(): it gave a string, and its result is float64"],
    ["anotherNumber", { finalize: () => 2n }, "failed in finalize(): it gave a bigint, and its result is float64"],
  ])("that fail are named: %s", (own, wrong, why) => {
    registerAggregation({ ...geometricMean, name: own, make: () => ({ ...aggregator, ...wrong }) });
    const made = aggregatorOf({ name: "x", function: `${own}@1` }, { input: "float64" });
    expect(() => made.finalize(mergedState(made, rows, new Random(3)), 0)).toThrow(
      expect.objectContaining({
        code: "FUNCTION_FAILED",
        message: `Cannot compute "x": ${own}@1 ${why}`,
        details: { aggregation: "x" },
      }),
    );
  });

  it("that are objects of classes are called as such", () => {
    class Sum implements Aggregator {
      readonly slots = [{ name: "sum", type: "float64" }] as const;
      readonly result = "float64";
      readonly start = 100;
      clear([sums]: States, i: number): void {
        sums![i] = this.start;
      }
      update([sums]: States, i: number, value: unknown): void {
        (sums as Float64Array)[i]! += value as number;
      }
      merge([sums]: States, i: number, [others]: States, j: number): void {
        (sums as Float64Array)[i]! += (others![j] as number) - this.start;
      }
      finalize([sums]: States, i: number): unknown {
        return (sums![i] as number) - this.start;
      }
    }
    registerAggregation({ ...geometricMean, name: "classy", make: () => new Sum() });
    const made = aggregatorOf({ name: "x", function: "classy@1" }, { input: "float64" });
    expect(made.finalize(mergedState(made, rows, new Random(4)), 0)).toBe(18);
  });

  it("that cannot be made say why", () => {
    const make = () => {
      throw new Error("no licence");
    };
    registerAggregation({ ...geometricMean, name: "unmade", make });
    expect(() => aggregatorOf({ name: "x", function: "unmade@1" }, { input: "float64" })).toThrow(
      'Cannot aggregate "x" by unmade@1: its aggregator cannot be made: no licence',
    );
  });

  it("leave states of others alone", () => {
    const mean = aggregatorOf({ name: "x", function: name }, { input: "float64" });
    const states = makeStates(mean, 2);
    for (const i of [0, 1]) mean.clear(states, i);
    mean.update(states, 1, 2, 0, null);
    expect(mean.finalize(states, 0)).toBeNull();
  });
});
