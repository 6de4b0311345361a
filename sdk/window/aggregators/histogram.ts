/** How many values lie between bounds. */
import type { Aggregator, States } from "../aggregator.ts";

type Counts = number[] | null;

const counts = (states: States) => states[0] as Counts[];

/**
 * How many values lie below the first bound, from each bound to the next, and from the last on, where NaN counts. State: a
 * double per part, once there are rows.
 */
export function histogramAggregator(bounds: readonly number[]): Aggregator {
  const parts = bounds.length + 1;
  const at = (states: States, i: number): number[] => counts(states)[i] ??= new Array<number>(parts).fill(0);
  const addAll = (into: States, i: number, from: States, j: number, times: 1 | -1): void => {
    const other = counts(from)[j]!;
    if (other === null) return;
    const list = at(into, i);
    for (let k = 0; k < parts; k++) list[k]! += times * other[k]!;
  };
  return {
    slots: [{ name: "counts", type: { list: "float64" } }],
    result: { list: "int64" },
    clear: (states, i) => {
      counts(states)[i] = null;
    },
    update: (states, i, value) => {
      at(states, i)[partOf(bounds, Number(value))]! += 1;
    },
    merge: (into, i, from, j) => addAll(into, i, from, j, 1),
    subtract: (into, i, from, j) => addAll(into, i, from, j, -1),
    finalize: (states, i) => (counts(states)[i] ?? new Array<number>(parts).fill(0)).map(BigInt),
  };
}

/** How many bounds are at or below a value. */
function partOf(bounds: readonly number[], value: number): number {
  let low = 0;
  let high = bounds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (value < bounds[middle]!) high = middle;
    else low = middle + 1;
  }
  return low;
}
