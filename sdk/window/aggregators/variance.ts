/** Variances and standard deviations from sums of values and of their squares that were never rounded. */
import type { Aggregator, States } from "../aggregator.ts";
import { addExact, type ExactNumber, exactOf, nearest, nearestQuotient } from "./exact_number.ts";
import { addToSum, total } from "./exact_sum.ts";
import { addRest, addSpecial, packRest, peekRest, restAt, type RestColumn, specialSum } from "./rest.ts";
import { productError, sumError } from "./two_sum.ts";

/** Sums in two columns, sums of squares in four, since a square alone has 106 bits. */
type Columns = readonly [
  counts: Float64Array,
  heads: Float64Array,
  tails: Float64Array,
  squares0: Float64Array,
  squares1: Float64Array,
  squares2: Float64Array,
  squares3: Float64Array,
  rests: RestColumn,
];

const columns = (states: States): Columns => states as unknown as Columns;

/** The greatest and the least values whose squares can be split without overflow and underflow. */
const [large, small] = [2 ** 470, 2 ** -470];

/** One of the four. State: seven doubles, and now and then some bytes. */
export function varianceAggregator(kind: "varPop" | "varSamp" | "stddevPop" | "stddevSamp"): Aggregator {
  const less = kind.endsWith("Samp") ? 1 : 0;
  const isRoot = kind.startsWith("stddev");
  return {
    slots: [
      ...["count", "head", "tail", "square0", "square1", "square2", "square3"].map((name) =>
        ({ name, type: "float64" }) as const
      ),
      { name: "rest", type: "binary" },
    ],
    result: "float64",
    clear(states, i) {
      const all = columns(states);
      for (let k = 0; k < 7; k++) all[k]![i] = 0;
      all[7][i] = null;
    },
    update(states, i, value) {
      const all = columns(states);
      all[0][i]! += 1;
      addValue(all, i, Number(value));
    },
    merge(into, i, from, j) {
      columns(into)[0][i]! += columns(from)[0][j]!;
      addMoments(columns(into), i, columns(from), j, 1);
    },
    subtract(into, i, from, j) {
      columns(into)[0][i]! -= columns(from)[0][j]!;
      addMoments(columns(into), i, columns(from), j, -1);
    },
    finalize(states, i) {
      const count = columns(states)[0][i]!;
      if (count <= less) return null;
      const variance = varianceAt(columns(states), i, count, count - less);
      return isRoot ? Math.sqrt(variance) : variance;
    },
    pack(states, i) {
      packRest(columns(states)[7], i);
    },
  };
}

function addValue(all: Columns, i: number, value: number): void {
  const size = Math.abs(value);
  if (!(size < large && size > small)) {
    if (value !== 0) addUnusual(all[7], i, value);
    return;
  }
  addToSum(all[1], all[2], all[7], i, value, 0, 2);
  const square = value * value;
  addSquare(all, i, square);
  const error = productError(value, value, square);
  if (error !== 0) addBelow(all, i, error);
}

function addUnusual(rests: RestColumn, i: number, value: number): void {
  const rest = restAt(rests, i, 2);
  if (!Number.isFinite(value)) return addSpecial(rest, value, 1);
  addExact(rest.exact[0]!, exactOf(value));
  addExact(rest.exact[1]!, exactOf(value, 2));
}

/** Adds to the first column of squares. */
function addSquare(all: Columns, i: number, value: number): void {
  const held = all[3][i]!;
  const sum = held + value;
  all[3][i] = sum;
  const error = sumError(held, value, sum);
  if (error !== 0) addBelow(all, i, error);
}

/** Adds to the other columns of squares: what rounding loses in one goes to the next. */
function addBelow(all: Columns, i: number, value: number): void {
  let carried = value;
  let held = all[4][i]!;
  let sum = held + carried;
  all[4][i] = sum;
  carried = sumError(held, carried, sum);
  if (carried === 0) return;
  held = all[5][i]!;
  sum = held + carried;
  all[5][i] = sum;
  carried = sumError(held, carried, sum);
  if (carried === 0) return;
  held = all[6][i]!;
  sum = held + carried;
  all[6][i] = sum;
  carried = sumError(held, carried, sum);
  if (carried !== 0) addExact(restAt(all[7], i, 2).exact[1]!, exactOf(carried));
}

function addMoments(into: Columns, i: number, from: Columns, j: number, times: 1 | -1): void {
  addToSum(into[1], into[2], into[7], i, times * from[1][j]!, 0, 2);
  if (from[2][j] !== 0) addToSum(into[1], into[2], into[7], i, times * from[2][j]!, 0, 2);
  addSquare(into, i, times * from[3][j]!);
  if (from[4][j] !== 0) addBelow(into, i, times * from[4][j]!);
  if (from[5][j] !== 0) addBelow(into, i, times * from[5][j]!);
  if (from[6][j] !== 0) addBelow(into, i, times * from[6][j]!);
  if (from[7][j] !== null) addRest(into[7], i, from[7], j, 2, times);
}

function varianceAt(all: Columns, i: number, count: number, divisor: number): number {
  const rest = peekRest(all[7], i, 2);
  if (rest && specialSum(rest) !== undefined) return NaN;
  if (count === 1) return 0;
  let parts: Parts;
  if (rest === null) {
    parts = [all[1][i]!, all[2][i]!, ...settle(all, i)];
  } else {
    parts = [...headAndTail(sumOf(all, i)), ...headAndTail(squaresOf(all, i))];
  }
  const near = spread(parts, count);
  if (near !== undefined) return near / (count * divisor);
  const n = BigInt(count);
  const sum = sumOf(all, i);
  const exact = total();
  addExact(exact, squaresOf(all, i), n);
  addExact(exact, { mantissa: sum.mantissa * sum.mantissa, exponent: 2 * sum.exponent }, -1n);
  return nearestQuotient(exact, n * BigInt(divisor));
}

type Parts = readonly [sum: number, sumRest: number, squares: number, squaresRest: number];

/** The sum of squares as its double and the double of what that leaves, in whatever way the columns hold it. */
function settle(all: Columns, i: number): readonly [number, number] {
  let a = all[3][i]!;
  let b = all[4][i]!;
  let c = all[5][i]!;
  let d = all[6][i]!;
  for (let pass = 0; pass < 3; pass++) {
    const low = c + d;
    d = sumError(c, d, low);
    const middle = b + low;
    c = sumError(b, low, middle);
    const high = a + middle;
    b = sumError(a, middle, high);
    a = high;
  }
  return [a, b];
}

/** count × squares − sum², or undefined where that loses too many bits. */
function spread([sum, sumRest, squares, squaresRest]: Parts, count: number): number | undefined {
  const left = count * squares;
  const right = sum * sum;
  if (!(left < 2 ** 1000)) return undefined;
  const leftError = productError(count, squares, left);
  const rightError = productError(sum, sum, right);
  const high = left - right;
  const low = sumError(left, -right, high) + (leftError - rightError) + (count * squaresRest - 2 * sum * sumRest);
  if (high + low > left * 2 ** -44) return high + low;
  const isExact = high === 0 && leftError === 0 && rightError === 0 && squaresRest === 0 && sumRest === 0;
  return isExact ? 0 : undefined;
}

function headAndTail(number: ExactNumber): readonly [number, number] {
  const head = nearest(number);
  return Number.isFinite(head) ? [head, nearest(total(number, -head))] : [head, 0];
}

function sumOf(all: Columns, i: number): ExactNumber {
  const rest = peekRest(all[7], i, 2);
  return total(all[1][i]!, all[2][i]!, ...(rest ? [rest.exact[0]!] : []));
}

function squaresOf(all: Columns, i: number): ExactNumber {
  const rest = peekRest(all[7], i, 2);
  return total(all[3][i]!, all[4][i]!, all[5][i]!, all[6][i]!, ...(rest ? [rest.exact[1]!] : []));
}
