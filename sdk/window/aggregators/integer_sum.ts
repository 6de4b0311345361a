/** Sums and means of integers and durations, exact, in doubles: BigInt is for the odd number of more than 52 bits. */
import { VarveError } from "../../errors.ts";
import type { DataType } from "../../schema.ts";
import type { Aggregator, States } from "../aggregator.ts";
import { nearestQuotient } from "./exact_number.ts";

/** Counts, and sums as high × 2^32 + low. */
type Columns = readonly [counts: Float64Array, highs: Float64Array, lows: Float64Array];

const columns = (states: States): Columns => states as unknown as Columns;
const word = 4294967296;
/** Below this, two numbers have a sum that is a double. A high part that is not below it is NaN from then on. */
const safe = 2 ** 52;

/** The sum: int64, or a duration. State: three doubles. */
export function integerSumAggregator(name: string, input: DataType): Aggregator {
  return {
    ...integerSums,
    result: input === "duration" ? input : "int64",
    finalize(states, i) {
      const all = columns(states);
      if (all[0][i] === 0) return null;
      const near = all[1][i]! * word + all[2][i]!;
      // The sum of integers is one when it is small, and then it is exact.
      if (near < safe && near > -safe) return BigInt(near);
      const sum = wholeSum(all[1][i]!, all[2][i]!);
      if (sum !== undefined && BigInt.asIntN(64, sum) === sum) return sum;
      throw leaves(name, input);
    },
  };
}

/** The mean, rounded once. State: three doubles. */
export function integerMeanAggregator(name: string): Aggregator {
  return {
    ...integerSums,
    result: "float64",
    finalize(states, i) {
      const all = columns(states);
      const count = all[0][i]!;
      if (count === 0) return null;
      const near = all[1][i]! * word + all[2][i]!;
      if (near < safe && near > -safe) return near / count;
      const sum = wholeSum(all[1][i]!, all[2][i]!);
      if (sum === undefined) throw leaves(name, "int64");
      return nearestQuotient({ mantissa: sum, exponent: 0 }, BigInt(count));
    },
  };
}

// Places of columns rather than destructuring: these run for every row.
const integerSums: Omit<Aggregator, "result" | "finalize"> = {
  slots: [{ name: "count", type: "float64" }, { name: "high", type: "float64" }, { name: "low", type: "float64" }],
  clear(states, i) {
    const [counts, highs, lows] = columns(states);
    counts[i] = highs[i] = lows[i] = 0;
  },
  update(states, i, value) {
    const all = columns(states);
    all[0][i]! += 1;
    const number = Number(value);
    if (number < safe && number > -safe) return addWhole(all[1], all[2], i, 0, number);
    const exact = value as bigint;
    addWhole(all[1], all[2], i, Number(exact >> 32n), Number(exact & 0xffffffffn));
  },
  merge(into, i, from, j) {
    const all = columns(into);
    const other = columns(from);
    all[0][i]! += other[0][j]!;
    addWhole(all[1], all[2], i, other[1][j]!, other[2][j]!);
  },
  subtract(into, i, from, j) {
    const all = columns(into);
    const other = columns(from);
    all[0][i]! -= other[0][j]!;
    addWhole(all[1], all[2], i, -other[1][j]!, -other[2][j]!);
  },
};

function addWhole(highs: Float64Array, lows: Float64Array, i: number, high: number, low: number): void {
  const sum = lows[i]! + low;
  if (high === 0 && sum < safe && sum > -safe) {
    lows[i] = sum;
    return;
  }
  const carry = Math.floor(sum / word);
  lows[i] = sum - carry * word;
  const upper = highs[i]! + high + carry;
  highs[i] = upper < safe && upper > -safe ? upper : NaN;
}

/** Undefined when it left what doubles hold, at 84 bits or more. */
function wholeSum(high: number, low: number): bigint | undefined {
  return Number.isNaN(high) ? undefined : (BigInt(high) << 32n) + BigInt(low);
}

function leaves(name: string, input: DataType): VarveError {
  return new VarveError(
    "SCHEMA_MISMATCH",
    `Cannot compute "${name}": a sum of ${input} leaves 64 bits; ${
      input === "duration" ? "sum shorter durations" : "cast the input to float64"
    }`,
    { details: { aggregation: name } },
  );
}
