import { describe, expect, it } from "vitest";
import type { DataType } from "../../../sdk/schema.ts";
import { type Aggregator, makeStates } from "../../../sdk/window/aggregator.ts";
import { aggregatorOf } from "../../../sdk/window/aggregator_of.ts";
import { maxBins } from "../../../sdk/window/aggregators/percentile.ts";
import { Random } from "../../conformance/expr_values.ts";
import { mergedState, stateOf, storedAndRead, type WindowRow } from "./window_cases.ts";

const seed = Number(process.env["VARVE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

const rowsOf = (values: readonly unknown[]): WindowRow[] =>
  values.map((value, time) => ({ value, time, by: null, key: null }));

function distinct(input: DataType, precision: number): Aggregator {
  return aggregatorOf({ name: "x", function: "approxCountDistinct", parameters: { precision } }, { input });
}

function percentile(quantile: number, accuracy = 0.01): Aggregator {
  const parameters = { quantile, accuracy };
  return aggregatorOf({ name: "x", function: "approxPercentile", parameters }, { input: "float64" });
}

function shuffled<T>(values: readonly T[], random: Random): T[] {
  return values.map((value) => [random.next(), value] as const).sort((a, b) => a[0] - b[0]).map(([, value]) => value);
}

describe("approxCountDistinct", () => {
  /** Values in rows, as sources have them: hashes must not show that they are. */
  const kinds: readonly (readonly [DataType, (i: number, trial: number) => unknown])[] = [
    ["int32", (i, trial) => i + trial * 100_003],
    ["int64", (i, trial) => BigInt(i * 2 + trial * 7919)],
    ["int64", (i, trial) => BigInt(i) * 4294967296n + BigInt(trial)],
    ["float64", (i, trial) => i / 100 + trial],
    ["string", (i, trial) => `user_${trial}_${i}`],
    ["binary", (i, trial) => Uint8Array.from([i, i >> 8, trial])],
  ];

  it.each(kinds)("of %s has the standard error that is documented", (type, value) => {
    const [precision, trials] = [8, 60];
    const aggregator = distinct(type, precision);
    for (const n of [100, 3_000]) {
      let squares = 0;
      for (let trial = 0; trial < trials; trial++) {
        const states = stateOf(aggregator, []);
        for (let i = 0; i < n; i++) aggregator.update(states, 0, value(i, trial), 0, null);
        squares += ((Number(aggregator.finalize(states, 0)) - n) / n) ** 2;
      }
      // Of 60 trials of a standard error of 1, the root of the mean square is hardly ever above 1.4.
      expect(Math.sqrt(squares / trials)).toBeLessThan(1.4 * 1.04 / Math.sqrt(2 ** precision));
    }
  });

  it("is exact, or nearly, of few values", () => {
    const aggregator = distinct("string", 12);
    for (let n = 0; n <= 50; n++) {
      const states = stateOf(aggregator, rowsOf(Array.from({ length: n }, (_, i) => `value ${i}`)));
      expect(Math.abs(Number(aggregator.finalize(states, 0)) - n)).toBeLessThan(2);
    }
  });

  it("takes equal values for one", () => {
    const aggregator = distinct("float64", 8);
    const nan = new Float64Array(new BigUint64Array([0xfff8000000000001n]).buffer)[0];
    const states = stateOf(aggregator, rowsOf([0, -0, NaN, nan, 1, 1]));
    expect(aggregator.finalize(states, 0)).toBe(3n);
  });

  it.each<[DataType, unknown[], number[]]>([
    ["string", ["a", "b", "varve", "é😀"], [15, 0, 1, 60, 0, 3, 80, 0, 5, 200, 0, 1]],
    ["float64", [0, 0.5, NaN], [1, 0, 1, 148, 0, 1, 240, 0, 1]],
    ["int64", [0n, -1n, 2n ** 62n], [34, 0, 1, 148, 0, 1, 209, 0, 1]],
    ["binary", [new Uint8Array([1]), new Uint8Array([1, 2, 3, 4, 5])], [42, 0, 1, 89, 0, 1]],
  ])("hashes %s as ever, so that stored registers stay of use", (type, values, registers) => {
    expect(stateOf(distinct(type, 8), rowsOf(values))[0]![0]).toEqual(new Uint8Array(registers));
  });

  it("has registers that depend on neither order nor tiles", () => {
    const random = new Random(seed);
    for (const [precision, count] of [[4, 3], [8, 60], [8, 400], [12, 70], [12, 300], [12, 4_000]] as const) {
      const aggregator = distinct("int32", precision);
      const rows = rowsOf(Array.from({ length: count }, () => random.below(10_000)));
      const expected = storedAndRead(aggregator, stateOf(aggregator, rows));
      for (let i = 0; i < 10; i++) {
        const merged = mergedState(aggregator, shuffled(rows, random), random);
        expect(storedAndRead(aggregator, merged)).toEqual(expected);
      }
    }
  });
});

describe("approxPercentile", () => {
  it("is within its accuracy, of negative values and zeros too", () => {
    const random = new Random(seed);
    for (const accuracy of [0.001, 0.01, 0.1]) {
      const values = Array.from(
        { length: 500 },
        () => random.chance(0.1) ? 0 : Math.exp(random.next() * 30 - 15) * random.pick([1, -1]),
      );
      const sorted = [...values].sort((a, b) => a - b);
      for (const quantile of [0, 0.01, 0.25, 0.5, 0.9, 1]) {
        const found = percentile(quantile, accuracy);
        const expected = sorted[Math.floor(quantile * 499)]!;
        const actual = found.finalize(stateOf(found, rowsOf(values)), 0) as number;
        expect(Math.abs(actual - expected)).toBeLessThanOrEqual(Math.abs(expected) * accuracy * (1 + 1e-9));
      }
    }
  });

  it("gives a lone value itself, and orders what is not finite", () => {
    const median = percentile(0.5);
    const of = (...values: number[]): unknown => median.finalize(stateOf(median, rowsOf(values)), 0);
    expect(of(5)).toBe(5);
    expect(of(5, 5, 5)).toBe(5);
    expect(of(-0, -0)).toBe(0);
    expect(of(-Infinity, 1, NaN)).toBeCloseTo(1, 1);
    expect(of(-Infinity, -Infinity, NaN)).toBe(-Infinity);
    expect(of(1, NaN, NaN)).toBeNaN();
    expect(of(1, Infinity, NaN)).toBe(Infinity);
    expect(of(Number.MAX_VALUE, Number.MAX_VALUE)).toBe(Number.MAX_VALUE);
  });

  it("has bins that depend on neither order nor tiles, also when they have grown wider", () => {
    const random = new Random(seed);
    const median = percentile(0.5, 0.001);
    // More bins than there may be: the widths double, and double again.
    const values = Array.from({ length: 6_000 }, (_, i) => Math.exp((i - 3_000) / 10) * (i % 3 === 0 ? -1 : 1));
    const expected = storedAndRead(median, stateOf(median, rowsOf(values)));
    expect(expected[0]![0]).toBeGreaterThan(0);
    expect((expected[3]![0] as unknown as number[]).length).toBeLessThanOrEqual(maxBins);
    for (let i = 0; i < 3; i++) {
      const merged = mergedState(median, rowsOf(shuffled(values, random)), random);
      expect(storedAndRead(median, merged)).toEqual(expected);
    }
    // As wide as they are, the bins say how far they may be off.
    const width = Math.log(1.001 / 0.999) * 2 ** (expected[0]![0] as number);
    const error = (Math.exp(width) - 1) / (Math.exp(width) + 1);
    const truth = [...values].sort((a, b) => a - b)[Math.floor(0.5 * 5_999)]!;
    const actual = median.finalize(expected, 0) as number;
    expect(Math.abs(actual - truth)).toBeLessThanOrEqual(Math.abs(truth) * error * (1 + 1e-9));
  });

  it("keeps states apart that lie in the same columns", () => {
    const median = percentile(0.5);
    const states = makeStates(median, 2);
    for (const i of [0, 1]) median.clear(states, i);
    median.update(states, 0, 1, 0, null);
    median.merge(states, 1, states, 0);
    median.update(states, 1, 100, 0, null);
    median.update(states, 1, 100, 0, null);
    expect(median.finalize(states, 0)).toBe(1);
    expect(median.finalize(states, 1)).toBeCloseTo(100, -1);
  });
});
