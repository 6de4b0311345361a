/**
 * Skew and kurtosis from exact sums of powers. Dear: about a microsecond per row, some dozens of bytes per state; but any other
 * way rounds, and then tiles would give other numbers than rows.
 */
import type { Aggregator, States } from "../aggregator.ts";
import { addExact, type ExactNumber, exactOf, nearestQuotient } from "./exact_number.ts";
import { total } from "./exact_sum.ts";
import { addRest, addSpecial, packRest, peekRest, restAt, type RestColumn, specialSum } from "./rest.ts";

type Columns = readonly [counts: Float64Array, rests: RestColumn];

const columns = (states: States): Columns => states as unknown as Columns;

/** One of the two. State: a double and some bytes. */
export function momentsAggregator(kind: "skew" | "kurtosis"): Aggregator {
  const powers = kind === "skew" ? 3 : 4;
  return {
    slots: [{ name: "count", type: "float64" }, { name: "powers", type: "binary" }],
    result: "float64",
    clear(states, i) {
      columns(states)[0][i] = 0;
      columns(states)[1][i] = null;
    },
    update(states, i, value) {
      columns(states)[0][i]! += 1;
      const number = Number(value);
      if (number === 0) return;
      const rest = restAt(columns(states)[1], i, powers);
      if (!Number.isFinite(number)) return addSpecial(rest, number, 1);
      const { mantissa, exponent } = exactOf(number);
      let power = mantissa;
      for (let k = 0; k < powers; k++) {
        addExact(rest.exact[k]!, { mantissa: power, exponent: exponent * (k + 1) });
        power *= mantissa;
      }
    },
    merge(into, i, from, j) {
      columns(into)[0][i]! += columns(from)[0][j]!;
      addRest(columns(into)[1], i, columns(from)[1], j, powers, 1);
    },
    subtract(into, i, from, j) {
      columns(into)[0][i]! -= columns(from)[0][j]!;
      addRest(columns(into)[1], i, columns(from)[1], j, powers, -1);
    },
    finalize(states, i) {
      const count = columns(states)[0][i]!;
      if (count < powers) return null;
      const rest = peekRest(columns(states)[1], i, powers);
      if (rest === null) return null;
      if (specialSum(rest) !== undefined) return NaN;
      return kind === "skew" ? skewOf(count, rest.exact) : kurtosisOf(count, rest.exact);
    },
    pack(states, i) {
      packRest(columns(states)[1], i);
    },
  };
}

/** n² times the variance. */
function spreadOf(n: bigint, [first, second]: readonly ExactNumber[]): ExactNumber {
  return total(times(second!, n), times(product(first!, first!), -1n));
}

function skewOf(count: number, sums: readonly ExactNumber[]): number | null {
  const n = BigInt(count);
  const [first, second, third] = sums as readonly [ExactNumber, ExactNumber, ExactNumber];
  const spread = spreadOf(n, sums);
  if (spread.mantissa === 0n) return null;
  const square = product(first, first);
  // n³ times the third central moment.
  const cube = total(times(third, n * n), times(product(first, second), -3n * n), times(product(square, first), 2n));
  const squared = quotient(product(cube, cube), product(product(spread, spread), spread));
  const size = Math.sqrt(squared) * Math.sqrt(count * (count - 1)) / (count - 2);
  return cube.mantissa < 0n ? -size : size;
}

function kurtosisOf(count: number, sums: readonly ExactNumber[]): number | null {
  const n = BigInt(count);
  const [first, second, third, fourth] = sums as readonly [ExactNumber, ExactNumber, ExactNumber, ExactNumber];
  const spread = spreadOf(n, sums);
  if (spread.mantissa === 0n) return null;
  const square = product(first, first);
  // n⁴ times the fourth central moment.
  const fourthMoment = total(
    times(fourth, n ** 3n),
    times(product(first, third), -4n * n * n),
    times(product(square, second), 6n * n),
    times(product(square, square), -3n),
  );
  const ratio = quotient(fourthMoment, product(spread, spread));
  return (count - 1) / ((count - 2) * (count - 3)) * ((count + 1) * ratio - 3 * (count - 1));
}

function times({ mantissa, exponent }: ExactNumber, by: bigint): ExactNumber {
  return { mantissa: mantissa * by, exponent };
}

function product(a: ExactNumber, b: ExactNumber): ExactNumber {
  return { mantissa: a.mantissa * b.mantissa, exponent: a.exponent + b.exponent };
}

/** The double nearest to a quotient of numbers of which the second is positive. */
function quotient(a: ExactNumber, b: ExactNumber): number {
  return nearestQuotient({ mantissa: a.mantissa, exponent: a.exponent - b.exponent }, b.mantissa);
}
