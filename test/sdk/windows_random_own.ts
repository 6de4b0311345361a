/** Aggregations as users add them, for random tests: one depends on the order of all rows, one can take rows away again. */
import type { Aggregator } from "../../sdk/window/aggregator.ts";
import { registerAggregation } from "../../sdk/window/aggregators/user_defined.ts";

const prime = 9973;
const base = 31;

/** A hash of all values in order: another order, or a row too many or too few, is another hash. */
const orderHash: Aggregator = {
  slots: [{ name: "hash", type: "int32" }, { name: "power", type: "int32" }, { name: "rows", type: "int32" }],
  result: "int32",
  clear([hash, power, rows], i) {
    hash![i] = 0;
    power![i] = 1;
    rows![i] = 0;
  },
  update(states, i, value) {
    const [hash, power, rows] = states as Int32Array[];
    hash![i] = (hash![i]! * base + digit(value)) % prime;
    power![i] = power![i]! * base % prime;
    rows![i]! += 1;
  },
  merge(into, i, from, j) {
    const [hash, power, rows] = into as Int32Array[];
    const [moreHash, morePower, moreRows] = from as Int32Array[];
    hash![i] = (hash![i]! * morePower![j]! + moreHash![j]!) % prime;
    power![i] = power![i]! * morePower![j]! % prime;
    rows![i]! += moreRows![j]!;
  },
  finalize: ([hash, , rows], i) => rows![i] === 0 ? null : hash![i],
};

/** Exclusive or of all values. */
const xor: Aggregator = {
  slots: [{ name: "bits", type: "int32" }, { name: "rows", type: "int32" }],
  result: "int32",
  clear([bits, rows], i) {
    bits![i] = 0;
    rows![i] = 0;
  },
  update(states, i, value) {
    const [bits, rows] = states as Int32Array[];
    bits![i]! ^= value as number;
    rows![i]! += 1;
  },
  merge(into, i, from, j) {
    const [bits, rows] = into as Int32Array[];
    bits![i]! ^= from[0]![j] as number;
    rows![i]! += from[1]![j] as number;
  },
  subtract(into, i, from, j) {
    const [bits, rows] = into as Int32Array[];
    bits![i]! ^= from[0]![j] as number;
    rows![i]! -= from[1]![j] as number;
  },
  finalize: ([bits, rows], i) => rows![i] === 0 ? null : bits![i],
};

function digit(value: unknown): number {
  return (value as number % prime + prime) % prime;
}

function register(name: string, aggregator: Aggregator): `${string}@${number}` {
  return registerAggregation({
    name,
    version: 1,
    resultType(input) {
      if (input !== "int32") throw new TypeError("the input must be int32");
      return "int32";
    },
    make: () => aggregator,
  });
}

/** The names under which they are registered. */
export const ownFunctions = { orderHash: register("orderHash", orderHash), xor: register("xor", xor) } as const;

export type OwnName = keyof typeof ownFunctions;

/** The same by plain loops. */
export const ownOracles: Readonly<Record<OwnName, (values: readonly number[]) => number | null>> = {
  orderHash: (values) =>
    values.length === 0 ? null : values.reduce((hash, value) => (hash * base + digit(value)) % prime, 0),
  xor: (values) => values.length === 0 ? null : values.reduce((bits, value) => bits ^ value, 0),
};
