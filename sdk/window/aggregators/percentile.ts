/**
 * Percentiles from counts of bins whose widths grow with their values (DDSketch: Masson, Rim and Lee, 2019), so that the error is
 * relative. Where more than 2048 bins are in use all bins become twice as wide (UDDSketch: Epicoco and others, 2020), the error with
 * them; this depends on the values alone, and not on their order or on how states were merged, as t-digests do.
 *
 * Our own: @datadog/sketches-js 2.1.1 drops negative values when it merges, counts NaN as 0, and keeps objects that only become
 * bytes through protobufjs.
 */
import type { Aggregator, States } from "../aggregator.ts";

/** How many bins a state has at most. */
export const maxBins = 2048;

/**
 * Bins are numbers in the order of their values: a positive value's logarithm to the base of the bins, rounded up, is moved above
 * 0, and the bin of a negative value is the negative of its size's.
 */
const positive = 2 ** 20;
const [infinity, notANumber] = [2 ** 21, 2 ** 21 + 1];

type Columns = readonly [
  levels: Int32Array,
  leasts: Float64Array,
  greatests: Float64Array,
  bins: (number[] | null)[],
  counts: (number[] | null)[],
];

const columns = (states: States): Columns => states as unknown as Columns;

/** The value at a quantile. State: two doubles and, per bin that is in use, an int32 and a double. */
export function approxPercentileAggregator(quantile: number, accuracy: number): Aggregator {
  const width = Math.log((1 + accuracy) / (1 - accuracy));
  return {
    slots: [
      { name: "level", type: "int32" },
      { name: "least", type: "float64" },
      { name: "greatest", type: "float64" },
      { name: "bins", type: { list: "int32" } },
      { name: "counts", type: { list: "float64" } },
    ],
    result: "float64",
    clear(states, i) {
      const [levels, leasts, greatests, bins, counts] = columns(states);
      levels[i] = 0;
      leasts[i] = Infinity;
      greatests[i] = -Infinity;
      bins[i] = counts[i] = null;
    },
    update(states, i, value) {
      const all = columns(states);
      const number = Number(value) + 0;
      if (number < all[1][i]!) all[1][i] = number;
      if (number > all[2][i]!) all[2][i] = number;
      addTo(all, i, widened(binOf(number, width), all[0][i]!), 1, 0);
      collapse(all, i);
    },
    merge(into, i, from, j) {
      const all = columns(into);
      const other = columns(from);
      const bins = other[3][j]!;
      if (bins === null) return;
      all[1][i] = Math.min(all[1][i]!, other[1][j]!);
      all[2][i] = Math.max(all[2][i]!, other[2][j]!);
      if (all[3][i] === null) {
        all[0][i] = other[0][j]!;
        all[3][i] = bins.slice();
        all[4][i] = other[4][j]!.slice();
        return;
      }
      while (all[0][i]! < other[0][j]!) widen(all, i);
      const more = all[0][i]! - other[0][j]!;
      let place = 0;
      for (let k = 0; k < bins.length; k++) place = addTo(all, i, widened(bins[k]!, more), other[4][j]![k]!, place);
      collapse(all, i);
    },
    finalize(states, i) {
      const [levels, leasts, greatests, allBins, allCounts] = columns(states);
      const bins = allBins[i]!;
      if (bins === null) return null;
      const counts = allCounts[i]!;
      let total = 0;
      for (const count of counts) total += count;
      const place = Math.floor(quantile * (total - 1));
      let [k, passed] = [0, counts[0]!];
      while (passed <= place) passed += counts[++k]!;
      const bin = bins[k]!;
      if (bin === notANumber) return NaN;
      const value = valueOf(bin, width * 2 ** levels[i]!);
      return Math.min(Math.max(value, leasts[i]!), greatests[i]!);
    },
  };
}

function binOf(value: number, width: number): number {
  if (value === 0) return 0;
  if (value !== value) return notANumber;
  const size = Math.abs(value);
  const bin = size === Infinity ? infinity : positive + Math.ceil(Math.log(size) / width);
  return value < 0 ? -bin : bin;
}

/** The bin of a bin when all are twice as wide, as often as told. */
function widened(bin: number, times: number): number {
  const size = Math.abs(bin);
  if (times === 0 || bin === 0 || size >= infinity) return bin;
  const wider = positive + Math.ceil((size - positive) / 2 ** times);
  return bin < 0 ? -wider : wider;
}

/** A value that is within the accuracy of all values of a bin. */
function valueOf(bin: number, width: number): number {
  const size = Math.abs(bin);
  if (size === 0) return 0;
  // Halfway in ratio: 2γ^i / (γ + 1).
  const value = size === infinity
    ? Infinity
    : Math.min(Math.exp((size - positive) * width - Math.log((Math.exp(width) + 1) / 2)), Number.MAX_VALUE);
  return bin < 0 ? -value : value;
}

/** Adds to a bin that is not before the place `from`; gives its place. */
function addTo(all: Columns, i: number, bin: number, count: number, from: number): number {
  const bins = all[3][i] ??= [];
  const counts = all[4][i] ??= [];
  let low = from;
  // Merging asks for one bin after the other, and they often are the same ones.
  if (bins[low] !== bin && bins[++low] !== bin) {
    low = from;
    let high = bins.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (bins[middle]! < bin) low = middle + 1;
      else high = middle;
    }
  }
  if (bins[low] === bin) {
    counts[low]! += count;
  } else {
    bins.splice(low, 0, bin);
    counts.splice(low, 0, count);
  }
  return low;
}

function collapse(all: Columns, i: number): void {
  while (all[3][i]!.length > maxBins) widen(all, i);
}

/** Makes all bins twice as wide. */
function widen(all: Columns, i: number): void {
  const [bins, counts] = [all[3][i]!, all[4][i]!];
  const [wider, sums]: [number[], number[]] = [[], []];
  for (let k = 0; k < bins.length; k++) {
    const bin = widened(bins[k]!, 1);
    if (wider.at(-1) === bin) sums[sums.length - 1]! += counts[k]!;
    else {
      wider.push(bin);
      sums.push(counts[k]!);
    }
  }
  all[0][i]! += 1;
  all[3][i] = wider;
  all[4][i] = sums;
}
