/** Sums and means of floats, rounded once at the end. */
import type { Aggregator, States } from "../aggregator.ts";
import type { WritingAggregator } from "../result_column.ts";
import { addToSum, huge, meanAt, sumAt } from "./exact_sum.ts";
import { addRest, packRest, type RestColumn } from "./rest.ts";
import { sumError } from "./two_sum.ts";

type Columns = readonly [counts: Float64Array, heads: Float64Array, tails: Float64Array, rests: RestColumn];

const columns = (states: States): Columns => states as unknown as Columns;

/** The sum. State: three doubles, and now and then some bytes. */
export function floatSumAggregator(): WritingAggregator {
  return {
    ...floatSums,
    writeDifferences(states, { los, his, at, step, first, end }, results) {
      const all = columns(states);
      const counts = all[0];
      const values = results.values as Float64Array;
      for (let row = first; row < end; row++, at += step) {
        const a = los[at]!;
        const b = his[at]!;
        if (b > a && counts[b] !== counts[a]) {
          results.nulls[row] = 0;
          values[row] = differenceOf(all, a, b);
        } else {
          results.nulls[row] = 1;
          results.hasNulls = true;
        }
      }
    },
    finalize(states, i) {
      const all = columns(states);
      return all[0][i] === 0 ? null : sumAt(all[1], all[2], all[3], i);
    },
  };
}

/** The mean. State: as of sums. */
export function floatMeanAggregator(): Aggregator {
  return {
    ...floatSums,
    finalize(states, i) {
      const all = columns(states);
      const count = all[0][i]!;
      return count === 0 ? null : meanAt(all[1], all[2], all[3], i, count);
    },
  };
}

/** The sum of what state b has more than state a: as `difference` makes it, in registers unless something is left over. */
function differenceOf(states: Columns, a: number, b: number): number {
  const [, heads, tails, rests] = states;
  if (rests[a] === null && rests[b] === null) {
    const lessHead = -heads[a]!;
    const sum = heads[b]! + lessHead;
    const error = sumError(heads[b]!, lessHead, sum);
    const low = tails[b]! + error;
    const head = sum + low;
    const tail = sumError(sum, low, head);
    const lessTail = -tails[a]!;
    const whole = head + lessTail;
    const rest = sumError(head, lessTail, whole);
    const last = tail + rest;
    if (sumError(tails[b]!, error, low) === 0 && sumError(tail, rest, last) === 0) return whole + last + 0;
  }
  floatSums.difference!(difference, 0, states, a, b);
  return sumAt(difference[1], difference[2], difference[3], 0);
}

const difference: Columns = [new Float64Array(1), new Float64Array(1), new Float64Array(1), [null]];

// Places of columns rather than destructuring: these run for every row.
const floatSums: Omit<Aggregator, "finalize"> = {
  slots: [
    { name: "count", type: "float64" },
    { name: "head", type: "float64" },
    { name: "tail", type: "float64" },
    { name: "rest", type: "binary" },
  ],
  result: "float64",
  clear(states, i) {
    const [counts, heads, tails, rests] = columns(states);
    counts[i] = heads[i] = tails[i] = 0;
    rests[i] = null;
  },
  update(states, i, value) {
    const all = columns(states);
    all[0][i]! += 1;
    addToSum(all[1], all[2], all[3], i, value as number, 0, 1);
  },
  updateAll(states, i, values, nulls, from, to) {
    const all = columns(states);
    let count = 0;
    for (let row = from; row < to; row++) {
      if (nulls !== undefined && nulls[row] === 1) continue;
      count++;
      addToSum(all[1], all[2], all[3], i, values![row] as number, 0, 1);
    }
    all[0][i]! += count;
  },
  merge(into, i, from, j) {
    const all = columns(into);
    const other = columns(from);
    if (all[0][i] === 0) {
      all[1][i] = other[1][j]!;
      all[2][i] = other[2][j]!;
      all[0][i] = other[0][j]!;
      all[3][i] = null;
      if (other[3][j] !== null) addRest(all[3], i, other[3], j, 1, 1);
      return;
    }
    all[0][i]! += other[0][j]!;
    addToSum(all[1], all[2], all[3], i, other[1][j]!, 0, 1);
    if (other[2][j] !== 0) addToSum(all[1], all[2], all[3], i, other[2][j]!, 0, 1);
    if (other[3][j] !== null) addRest(all[3], i, other[3], j, 1, 1);
  },
  subtract(into, i, from, j) {
    const all = columns(into);
    const other = columns(from);
    all[0][i]! -= other[0][j]!;
    addToSum(all[1], all[2], all[3], i, -other[1][j]!, 0, 1);
    if (other[2][j] !== 0) addToSum(all[1], all[2], all[3], i, -other[2][j]!, 0, 1);
    if (other[3][j] !== null) addRest(all[3], i, other[3], j, 1, -1);
  },
  difference(into, i, from, a, b) {
    const all = columns(into);
    const other = columns(from);
    const rests = other[3];
    all[0][i] = other[0][b]! - other[0][a]!;
    all[1][i] = other[1][b]!;
    all[2][i] = other[2][b]!;
    all[3][i] = null;
    if (rests[b] !== null) addRest(all[3], i, rests, b, 1, 1);
    addToSum(all[1], all[2], all[3], i, -other[1][a]!, 0, 1);
    if (other[2][a] !== 0) addToSum(all[1], all[2], all[3], i, -other[2][a]!, 0, 1);
    if (rests[a] !== null) addRest(all[3], i, rests, a, 1, -1);
  },
  accumulate(states, bounds, count, values, nulls) {
    const [counts, heads, tails, rests] = columns(states);
    floatSums.clear(states, 0);
    for (let k = 1; k < count; k++) {
      const to = bounds[k]!;
      let added = counts[k - 1]!;
      let head = heads[k - 1]!;
      let tail = tails[k - 1]!;
      // As addToSum does it, in registers, up to a value that leaves something over.
      let row = bounds[k - 1]!;
      for (; row < to; row++) {
        if (nulls !== undefined && nulls[row] === 1) continue;
        const value = values![row] as number;
        if (!(value < huge && value > -huge)) break;
        const sum = head + value;
        const error = sumError(head, value, sum);
        const low = tail + error;
        if (sumError(tail, error, low) !== 0) break;
        head = sum + low;
        tail = sumError(sum, low, head);
        added++;
      }
      counts[k] = added;
      heads[k] = head;
      tails[k] = tail;
      rests[k] = null;
      if (rests[k - 1] !== null) addRest(rests, k, rests, k - 1, 1, 1);
      if (row < to) floatSums.updateAll!(states, k, values, nulls, row, to);
    }
  },
  pack(states, i) {
    packRest(columns(states)[3], i);
  },
};
