import { describe, expect, it } from "vitest";
import { type Aggregator, makeStates, type States } from "../../../sdk/window/aggregator.ts";
import { countAggregator } from "../../../sdk/window/aggregators/count.ts";
import { floatMeanAggregator, floatSumAggregator } from "../../../sdk/window/aggregators/float_sum.ts";
import { kindOf } from "../../../sdk/window/columns.ts";
import { ResultColumn, type WritingAggregator } from "../../../sdk/window/result_column.ts";
import { Random } from "../../conformance/expr_values.ts";

const seed = Number(process.env["VARVE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const runs = process.env["VARVE_DEEP"] ? 20_000 : 500;

/** Values that a sum of two doubles holds, and some that it does not. */
const usual = [0, -0, 1, 0.1, -2.5, 1e15, 3e-9];
const unusual = [NaN, Infinity, -Infinity, 1e308, -1e308, 2 ** 960, 5e-324, 1e-200, 1e200];

function randomValues(random: Random, count: number): { values: Float64Array; nulls: Uint8Array | undefined } {
  const oddity = random.pick([0, 0, 0.05, 0.5]);
  return {
    values: Float64Array.from({ length: count }, () => random.pick(random.chance(oddity) ? unusual : usual)),
    nulls: random.chance(0.5) ? Uint8Array.from({ length: count }, () => random.below(2)) : undefined,
  };
}

function randomBounds(random: Random, rows: number): Int32Array {
  const all = Array.from({ length: rows + 1 }, (_, row) => row).filter(() => random.chance(0.4));
  return Int32Array.from(all.length > 1 ? all : [0, rows]);
}

/** The states as they are stored, which leaves one form for each. */
function stored(aggregator: Aggregator, states: States, count: number): unknown[] {
  return Array.from({ length: count }, (_, i) => {
    aggregator.pack?.(states, i);
    return [...states.map((slot) => slot[i]), aggregator.finalize(states, i)];
  });
}

const aggregators: readonly [string, () => WritingAggregator][] = [
  ["count", countAggregator],
  ["sum", floatSumAggregator],
  ["mean", floatMeanAggregator],
];

describe.each(aggregators)("%s of running states", (name, make) => {
  it(`is in one loop what it is bound by bound (VARVE_SEED=${seed})`, () => {
    const random = new Random(seed);
    const aggregator = make();
    for (let run = 0; run < runs; run++) {
      const rows = 1 + random.below(30);
      const given = randomValues(random, rows);
      const { values, nulls } = name === "count" && random.chance(0.3)
        ? { values: undefined, nulls: undefined }
        : given;
      const bounds = randomBounds(random, rows);
      const count = bounds.length;
      const [found, expected] = [makeStates(aggregator, count), makeStates(aggregator, count)];
      aggregator.accumulate!(found, bounds, count, values, nulls);
      aggregator.clear(expected, 0);
      for (let k = 1; k < count; k++) {
        aggregator.clear(expected, k);
        aggregator.merge(expected, k, expected, k - 1);
        aggregator.updateAll!(expected, k, values, nulls, bounds[k - 1]!, bounds[k]!);
      }
      const [b, a] = [random.below(count), random.below(count)].sort((x, y) => y - x) as [number, number];
      const [difference, rest] = [makeStates(aggregator, 1), makeStates(aggregator, 1)];
      aggregator.difference!(difference, 0, found, a, b);
      aggregator.clear(rest, 0);
      aggregator.merge(rest, 0, expected, b);
      aggregator.subtract!(rest, 0, expected, a);
      expect(stored(aggregator, difference, 1), `run ${run}`).toEqual(stored(aggregator, rest, 1));
      if (aggregator.writeDifferences) {
        const bound = () => Int32Array.from({ length: 6 }, () => random.below(count));
        const [los, his] = [bound(), bound()];
        const results = new ResultColumn(kindOf(aggregator.result), 4);
        aggregator.writeDifferences(found, { los, his, at: 1, step: 2, first: 1, end: 4 }, results);
        const written = results.column();
        for (const [row, at] of [[1, 1], [2, 3], [3, 5]] as const) {
          aggregator.clear(rest, 0);
          if (his[at]! > los[at]!) aggregator.difference!(rest, 0, found, los[at]!, his[at]!);
          expect(written.nulls?.[row] === 1 ? null : written.values[row], `run ${run}`).toEqual(
            aggregator.finalize(rest, 0),
          );
        }
      }
      expect(stored(aggregator, found, count), `run ${run}`).toEqual(stored(aggregator, expected, count));
    }
  });
});
