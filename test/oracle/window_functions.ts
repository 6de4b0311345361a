/**
 * What functions over windows give, from the rows of the window in order: arrays, loops and fractions of whole numbers. Nothing
 * here is shared with the aggregators but the names of the functions.
 */
import type { WindowFunctionName } from "../../sdk/frame/window_functions.ts";
import type { DataType } from "../../sdk/schema.ts";

/** A row of a window, in row form. */
export interface OracleInput {
  /** Null: the row does not count; undefined: there is no input. */
  readonly value: unknown;
  readonly by?: unknown;
}

/** Constants of a function. */
export type OracleParameters = Readonly<Record<string, unknown>>;

/** What a function gives over rows that lie in order; `type` is that of the input. Sketches are given exactly. */
export function windowOracle(
  name: WindowFunctionName,
  type: DataType | undefined,
  parameters: OracleParameters,
  rows: readonly OracleInput[],
): unknown {
  const counting = rows.filter(({ value }) => value !== null);
  const values = counting.map(({ value }) => value);
  const numbers = () => values.map(Number);
  const n = parameters["n"] as number;
  switch (name) {
    case "count":
      return BigInt(values.length);
    case "sum":
      return isWhole(type) ? wholeSum(values as (number | bigint)[]) : ofFractions(numbers(), (sum) => [sum, 1n]);
    case "mean":
      return isWhole(type)
        ? values.length === 0 ? null : nearest([
          values.reduce<bigint>((sum, value) => sum + BigInt(value as number), 0n) << unit,
          BigInt(values.length),
        ])
        : ofFractions(numbers(), (sum, count) => [sum, count]);
    case "varPop":
      return variance(numbers(), 0);
    case "varSamp":
      return variance(numbers(), 1);
    case "stddevPop":
      return root(variance(numbers(), 0));
    case "stddevSamp":
      return root(variance(numbers(), 1));
    case "skew":
      return skew(numbers());
    case "kurtosis":
      return kurtosis(numbers());
    case "min":
      return ascending(values)[0] ?? null;
    case "max":
      return ascending(values).at(-1) ?? null;
    case "minN":
      return ascending(values).slice(0, n);
    case "maxN":
      return ascending(values).reverse().slice(0, n);
    case "first":
      return values[0] ?? null;
    case "last":
      return values.at(-1) ?? null;
    case "firstN":
      return values.slice(0, n);
    case "lastN":
      return values.slice(-n);
    case "firstDistinct":
      return different(values).slice(0, n);
    case "lastDistinct":
      return different([...values].reverse()).slice(0, n).reverse();
    case "countDistinct":
    case "approxCountDistinct":
      return BigInt(different(values).length);
    case "topK":
      return mostFrequent(values, parameters["k"] as number).map(({ value }) => value);
    case "valueCounts":
      return mostFrequent(values, parameters["k"] as number);
    case "approxPercentile": {
      const sorted = ascending(values).map(Number);
      return sorted[Math.floor((parameters["quantile"] as number) * (sorted.length - 1))] ?? null;
    }
    case "histogram": {
      const bounds = parameters["bounds"] as readonly number[];
      const edges = [-Infinity, ...bounds];
      return edges.map((from, i) =>
        BigInt(
          numbers().filter((value) =>
            i === bounds.length ? value >= from || Number.isNaN(value) : value >= from && value < bounds[i]!
          ).length,
        )
      );
    }
    case "minBy":
    case "maxBy": {
      const sign = name === "minBy" ? 1 : -1;
      const ordered = counting.filter(({ by }) => by !== null)
        .sort((a, b) => sign * (compare(a.by, b.by) || compare(a.value, b.value)));
      return ordered[0] === undefined ? null : noMinusZero(ordered[0].value);
    }
    case "any":
      return values.length === 0 ? null : values.includes(true);
    case "all":
      return values.length === 0 ? null : !values.includes(false);
  }
}

/** What is wrong with an answer, or undefined: sketches may be off by their bounds, moments by a last digit. */
export function windowProblem(
  actual: unknown,
  name: WindowFunctionName,
  type: DataType | undefined,
  parameters: OracleParameters,
  rows: readonly OracleInput[],
): string | undefined {
  const expected = windowOracle(name, type, parameters, rows);
  const isRight = tolerated(actual, expected, name, parameters) || text(actual) === text(expected);
  return isRight ? undefined : `${name} gives ${text(actual)}, not ${text(expected)}`;
}

function tolerated(
  actual: unknown,
  expected: unknown,
  name: WindowFunctionName,
  parameters: OracleParameters,
): boolean {
  if (actual === null || expected === null) return actual === expected;
  const [a, b] = [Number(actual), Number(expected)];
  const isWithin = (relative: number, absolute = 0): boolean =>
    Object.is(a, b) || Math.abs(a - b) <= Math.abs(b) * relative + absolute;
  switch (name) {
    case "mean":
    case "varPop":
    case "varSamp":
    case "stddevPop":
    case "stddevSamp":
      // Rounded twice.
      return isWithin(2 ** -51, 2 ** -1074);
    case "skew":
    case "kurtosis":
      return isWithin(1e-12, 1e-12);
    case "approxPercentile":
      // Subnormal numbers have fewer digits than that.
      return isWithin((parameters["accuracy"] as number) * (1 + 1e-9), 2 ** -1073);
    case "approxCountDistinct":
      // Ten standard errors: with few registers the distribution has a long tail.
      return isWithin(10 * 1.04 / Math.sqrt(2 ** (parameters["precision"] as number)), 1);
  }
  return false;
}

/** Values as text: tells -0 from 0, bigint from number, and bytes from lists. */
function text(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each === "bigint") return `${each}n`;
    if (typeof each === "number" && (!Number.isFinite(each) || Object.is(each, -0))) {
      return Object.is(each, -0) ? "-0" : String(each);
    }
    return each instanceof Uint8Array ? `bytes ${each.join()}` : each;
  });
}

function isWhole(type: DataType | undefined): boolean {
  return type === "int32" || type === "int64" || type === "duration";
}

function wholeSum(values: readonly (number | bigint)[]): bigint | null {
  if (values.length === 0) return null;
  const sum = values.reduce<bigint>((all, value) => all + BigInt(value), 0n);
  if (BigInt.asIntN(64, sum) !== sum) throw new RangeError("the sum leaves 64 bits");
  return sum;
}

/** A fraction in units of 2^-1074. */
type Fraction = readonly [numerator: bigint, denominator: bigint];

const unit = 1074n;

/** How often 2^-1074 goes into a number. */
function units(number: number): bigint {
  let [whole, halvings] = [number, 0n];
  while (!Number.isInteger(whole)) [whole, halvings] = [whole * 2, halvings + 1n];
  return BigInt(whole) << (unit - halvings);
}

/** Something of the sum, in units, or what NaN and infinities make of it. */
function ofFractions(numbers: readonly number[], of: (sum: bigint, count: bigint) => Fraction): number | null {
  if (numbers.length === 0) return null;
  const wild = numbers.filter((number) => !Number.isFinite(number));
  if (wild.length > 0) return wild.every((number) => number === wild[0]) ? wild[0]! : NaN;
  return nearest(of(sumOf(numbers.map(units)), BigInt(numbers.length)));
}

function sumOf(wholes: readonly bigint[]): bigint {
  return wholes.reduce((sum, whole) => sum + whole, 0n);
}

function variance(numbers: readonly number[], less: 0 | 1): number | null {
  if (numbers.length <= less) return null;
  if (!numbers.every(Number.isFinite)) return NaN;
  const wholes = numbers.map(units);
  const n = BigInt(numbers.length);
  const spread = n * sumOf(wholes.map((whole) => whole * whole)) - sumOf(wholes) ** 2n;
  return nearest([spread, (n * (n - BigInt(less))) << unit]);
}

function root(value: number | null): number | null {
  return value === null ? null : Math.sqrt(value);
}

/** Sums of powers of distances from the mean, each distance times the count. */
function central(numbers: readonly number[], power: bigint): bigint {
  const wholes = numbers.map(units);
  const [sum, n] = [sumOf(wholes), BigInt(numbers.length)];
  return sumOf(wholes.map((whole) => (n * whole - sum) ** power));
}

function skew(numbers: readonly number[]): number | null {
  const n = numbers.length;
  if (n < 3) return null;
  if (!numbers.every(Number.isFinite)) return NaN;
  const [second, third] = [central(numbers, 2n), central(numbers, 3n)];
  if (second === 0n) return null;
  // (third / n) / (second / n)^1.5, squared to stay with fractions.
  const squared = nearest([(third * third * BigInt(n)) << unit, second ** 3n]);
  return Math.sign(Number(third >= 0n) - 0.5) * Math.sqrt(squared) * Math.sqrt(n * (n - 1)) / (n - 2);
}

function kurtosis(numbers: readonly number[]): number | null {
  const n = numbers.length;
  if (n < 4) return null;
  if (!numbers.every(Number.isFinite)) return NaN;
  const [second, fourth] = [central(numbers, 2n), central(numbers, 4n)];
  if (second === 0n) return null;
  const ratio = nearest([(fourth * BigInt(n)) << unit, second * second]);
  return (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * ratio - 3 * (n - 1));
}

const view = new DataView(new ArrayBuffer(8));
const infinity = 0x7ff0000000000000n;

function doubleOf(bits: bigint): number {
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
}

/** The nearest double, of two the even one: found by halving, as doubles lie in the order of their bits. */
function nearest([numerator, denominator]: Fraction): number {
  const size = numerator < 0n ? -numerator : numerator;
  const unitsOf = (bits: bigint): bigint => bits === infinity ? 1n << (unit + 1024n) : units(doubleOf(bits));
  let [low, high] = [0n, infinity];
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (unitsOf(middle) * denominator <= size) low = middle;
    else high = middle;
  }
  const [below, above] = [size - unitsOf(low) * denominator, unitsOf(high) * denominator - size];
  const isLow = below < above || (below === above && (low & 1n) === 0n);
  return (numerator < 0n ? -1 : 1) * doubleOf(isLow ? low : high);
}

/** Below 0, 0 or above: text by code point, bytes by byte, lists and structs by part; NaN is the greatest number, null greater. */
function compare(a: unknown, b: unknown): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  if (typeof a === "string") return Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b as string)));
  if (a instanceof Uint8Array) return Buffer.compare(a, b as Uint8Array);
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < a.length && i < b.length; i++) if (compare(a[i], b[i]) !== 0) return compare(a[i], b[i]);
    return a.length - b.length;
  }
  if (typeof a === "object") return compare(Object.values(a), Object.values(b as object));
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  const [x, y] = [a as number, b as number];
  return x < y ? -1 : x > y ? 1 : 0;
}

function ascending(values: readonly unknown[]): unknown[] {
  return values.map(noMinusZero).sort(compare);
}

function noMinusZero(value: unknown): unknown {
  return Object.is(value, -0) ? 0 : value;
}

/** Each value once, in the order in which they first come. */
function different(values: readonly unknown[]): unknown[] {
  const found: unknown[] = [];
  for (const value of values) {
    if (!found.some((each) => compare(each, value) === 0)) found.push(noMinusZero(value));
  }
  return found;
}

function mostFrequent(values: readonly unknown[], k: number) {
  return different(values)
    .map((value) => ({ value, count: BigInt(values.filter((each) => compare(each, value) === 0).length) }))
    .sort((a, b) => Number(b.count - a.count) || compare(a.value, b.value))
    .slice(0, k);
}
