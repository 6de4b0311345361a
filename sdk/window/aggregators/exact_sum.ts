/**
 * Sums of doubles without rounding. Two columns hold a sum of about 106 bits; where values are too far apart for that, or too
 * great, or not finite, the rest is kept apart. So a sum does not depend on the order of rows, on how they were tiled and merged,
 * nor on rows that were taken away again: training and serving get the same double.
 */
import { addExact, type ExactNumber, exactOf, nearest, nearestQuotient } from "./exact_number.ts";
import { addSpecial, peekRest, restAt, type RestColumn, specialSum } from "./rest.ts";
import { productError, sumError } from "./two_sum.ts";

/** Columns of doubles do not overflow below this, however many are added. */
export const huge: number = 2 ** 960;

/** Adds a number, or what was rounded off one; `k` is the number of the sum in the rest, of `sums`. */
export function addToSum(
  heads: Float64Array,
  tails: Float64Array,
  rests: RestColumn,
  i: number,
  value: number,
  k: number,
  sums: number,
): void {
  if (!(value < huge && value > -huge)) return addUnusual(rests, i, value, k, sums);
  const head = heads[i]!;
  const tail = tails[i]!;
  const sum = head + value;
  const error = sumError(head, value, sum);
  const low = tail + error;
  const lost = sumError(tail, error, low);
  if (lost !== 0) addUnusual(rests, i, lost, k, sums);
  // The head is the sum of both, rounded: so it is the whole answer unless there is a rest.
  const whole = sum + low;
  heads[i] = whole;
  tails[i] = sumError(sum, low, whole);
}

function addUnusual(rests: RestColumn, i: number, value: number, k: number, sums: number): void {
  const rest = restAt(rests, i, sums);
  if (Number.isFinite(value)) addExact(rest.exact[k]!, exactOf(value));
  else addSpecial(rest, value, 1);
}

/** The sum, rounded once. */
export function sumAt(heads: Float64Array, tails: Float64Array, rests: RestColumn, i: number): number {
  const rest = peekRest(rests, i, 1);
  // An empty sum of negative zeros is zero.
  if (rest === null) return heads[i]! + 0;
  return specialSum(rest) ?? nearest(total(heads[i]!, tails[i]!, rest.exact[0]!));
}

/** The sum divided by a whole number. */
export function meanAt(heads: Float64Array, tails: Float64Array, rests: RestColumn, i: number, count: number): number {
  const rest = peekRest(rests, i, 1);
  if (rest === null) return quotient(heads[i]!, tails[i]!, count);
  const special = specialSum(rest);
  if (special !== undefined) return special;
  // The same sum may have come without a rest elsewhere: then it must be divided in the same way.
  const sum = total(heads[i]!, tails[i]!, rest.exact[0]!);
  const parts = twoParts(sum);
  return parts ? quotient(parts[0], parts[1], count) : nearestQuotient(sum, BigInt(count));
}

/** (head + tail) / count, to nearly twice the precision of doubles and then rounded. */
function quotient(head: number, tail: number, count: number): number {
  const first = head / count;
  const size = Math.abs(first);
  // Below this what products lose is not a double.
  if (size < 1e-140) return tail === 0 && head === 0 ? 0 : nearestQuotient(total(head, tail), BigInt(count));
  const product = first * count;
  return first + ((head - product) - productError(first, count, product) + tail) / count;
}

/** Two doubles that make a number: the nearest, and the nearest to what it leaves; undefined where those do not suffice. */
export function twoParts(number: ExactNumber): readonly [number, number] | undefined {
  const head = nearest(number);
  if (Math.abs(head) >= huge) return undefined;
  const left = { ...number };
  addExact(left, exactOf(head), -1n);
  const tail = nearest(left);
  addExact(left, exactOf(tail), -1n);
  return left.mantissa === 0n ? [head, tail] : undefined;
}

/** The exact sum of numbers. */
export function total(...parts: readonly (number | ExactNumber)[]): ExactNumber {
  const sum: ExactNumber = { mantissa: 0n, exponent: 0 };
  for (const part of parts) addExact(sum, typeof part === "number" ? exactOf(part) : part);
  return sum;
}
