/** Numbers of rows: count, and any and all, which are counts of true and false. */
import type { Aggregator } from "../aggregator.ts";
import type { WritingAggregator } from "../result_column.ts";

/** Most windows have few rows; a number that is at hand costs less than a new one. */
const few: readonly bigint[] = Array.from({ length: 1024 }, (_, count) => BigInt(count));

/** The number of rows. State: a double. */
export function countAggregator(): WritingAggregator {
  return {
    slots: [{ name: "count", type: "float64" }],
    result: "int64",
    clear: ([counts], i) => {
      (counts as Float64Array)[i] = 0;
    },
    update: ([counts], i) => {
      (counts as Float64Array)[i]! += 1;
    },
    updateAll: ([counts], i, values, nulls, from, to) => {
      (counts as Float64Array)[i]! += values === undefined ? to - from : countValues(values, nulls, from, to);
    },
    merge: ([into], i, [from], j) => {
      (into as Float64Array)[i]! += (from as Float64Array)[j]!;
    },
    subtract: ([into], i, [from], j) => {
      (into as Float64Array)[i]! -= (from as Float64Array)[j]!;
    },
    difference: ([into], i, [from], a, b) => {
      (into as Float64Array)[i] = (from as Float64Array)[b]! - (from as Float64Array)[a]!;
    },
    writeDifferences: ([states], { los, his, at, step, first, end }, { copied, nulls }) => {
      const counts = states as Float64Array;
      const words = copied as Int32Array;
      for (let row = first; row < end; row++, at += step) {
        const a = los[at]!;
        const b = his[at]!;
        const count = b > a ? counts[b]! - counts[a]! : 0;
        words[2 * row] = count;
        words[2 * row + 1] = count / 2 ** 32;
        nulls[row] = 0;
      }
    },
    accumulate: ([states], bounds, count, values, nulls) => {
      const counts = states as Float64Array;
      counts[0] = 0;
      for (let k = 1; k < count; k++) {
        const from = bounds[k - 1]!;
        const to = bounds[k]!;
        counts[k] = counts[k - 1]! + (values === undefined ? to - from : countValues(values, nulls, from, to));
      }
    },
    finalize: ([counts], i) => {
      const count = (counts as Float64Array)[i]!;
      return few[count] ?? BigInt(count);
    },
  };
}

function countValues(values: ArrayLike<unknown>, nulls: Uint8Array | undefined, from: number, to: number): number {
  let count = to - from;
  if (nulls) { for (let row = from; row < to; row++) count -= nulls[row]!; }
  else if (Array.isArray(values)) { for (let row = from; row < to; row++) if (values[row] === null) count--; }
  return count;
}

/** Whether some (any), or every (all) value is true. State: two doubles. */
export function booleanAggregator(kind: "any" | "all"): Aggregator {
  const columns = (states: readonly unknown[]) => states as readonly [Float64Array, Float64Array];
  return {
    slots: [{ name: "count", type: "float64" }, { name: "true", type: "float64" }],
    result: "boolean",
    clear(states, i) {
      for (const column of columns(states)) column[i] = 0;
    },
    update(states, i, value) {
      const [counts, trues] = columns(states);
      counts[i]! += 1;
      if (value === true) trues[i]! += 1;
    },
    merge(into, i, from, j) {
      columns(into).forEach((column, k) => column[i]! += columns(from)[k]![j]!);
    },
    subtract(into, i, from, j) {
      columns(into).forEach((column, k) => column[i]! -= columns(from)[k]![j]!);
    },
    finalize(states, i) {
      const [counts, trues] = columns(states);
      if (counts[i] === 0) return null;
      return kind === "any" ? trues[i]! > 0 : trues[i] === counts[i];
    },
  };
}
