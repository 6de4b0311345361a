/**
 * The functions over windows: their names, constants, what they take and give. The one table that the API, the checks of
 * definitions and the aggregators read; sdk/window/aggregators has what computes them.
 *
 * A row counts when its condition holds and its input is not null (S7). Over no rows counts are 0, histograms all zeros, lists
 * empty, anything else null. NaN is the greatest number and equals itself, -0 equals 0, as in group-by steps. Sums, means and
 * moments of NaN are NaN; sums and means of infinities follow IEEE 754, and other moments of them are NaN, where a group-by
 * fails. Rows are ordered by event time, then by when they were written, then as the source has them.
 */
import { type DataType, formatType, isListType, isStructType } from "../schema.ts";
import { failureOf, functionType, requireNumeric } from "./aggregate_type.ts";
import type { LiteralValue } from "./expr_node.ts";
import { sharedRegister } from "./shared_register.ts";
import type { AggregateFunction } from "./query.ts";

/** A constant of a function over windows. */
export interface WindowParameter {
  /** What it may be; `numbers` is a list of finite numbers, each greater than the one before. */
  readonly kind: "integer" | "number" | "numbers";
  /** The least number; of a list, the least length. */
  readonly min: number;
  /** The greatest number; of a list, the greatest length. */
  readonly max: number;
  /** What it is when it is left out; absent: it must be given. */
  readonly default?: number;
}

/** A function over windows. */
export interface WindowFunction {
  /**
   * What it takes: `optional` any type or nothing; `any`; `scalar` anything but lists and structs; `number` int32, int64,
   * float32 or float64; `shared` what the function of the same name takes in a group-by.
   */
  readonly input: "optional" | "any" | "scalar" | "number" | "shared";
  /** Whether another value orders the rows: any type but lists and structs. Rows where it is null do not count. */
  readonly by?: true;
  /** Its constants, by name. */
  readonly parameters?: Readonly<Record<string, WindowParameter>>;
  /** What it gives: that of the function of the same name in a group-by, its input's type, or made of it. */
  readonly result: "shared" | "int64" | "float64" | "input" | "list" | "counts" | "valueCounts";
}

/** How many values a list holds at most: the n of firstN and the like. */
export const maxListed = 1_000;

const listed: WindowParameter = { kind: "integer", min: 1, max: maxListed };
const shared: WindowFunction = { input: "shared", result: "shared" };
const moments: WindowFunction = { input: "number", result: "float64" };
const firsts: WindowFunction = { input: "any", result: "list", parameters: { n: listed } };
const distinct: WindowFunction = { input: "scalar", result: "list", parameters: { n: listed } };

/** The functions that varve has. */
export const windowFunctions = {
  /** The number of rows, or of values: int64. */
  count: { input: "optional", result: "int64" },
  /** int64 of integers, exact, an error when it leaves 64 bits; float64 of floats; duration of durations. */
  sum: shared,
  /** The least value; -0 is given as 0. */
  min: shared,
  /** The greatest value; -0 is given as 0. */
  max: shared,
  /** The sum divided by the count, rounded once where the sum is of integers. */
  mean: shared,
  /** The variance of a population. */
  varPop: shared,
  /** The variance of a sample; null below two values. */
  varSamp: shared,
  /** The standard deviation of a population. */
  stddevPop: shared,
  /** The standard deviation of a sample; null below two values. */
  stddevSamp: shared,
  /** How lopsided a sample is, adjusted for its size; null below three values, or when all are equal. */
  skew: moments,
  /** The excess kurtosis of a sample, adjusted for its size; null below four values, or when all are equal. */
  kurtosis: moments,
  /** The value of the first row. */
  first: { input: "any", result: "input" },
  /** The value of the last row. */
  last: { input: "any", result: "input" },
  /** The first n values, in order. */
  firstN: firsts,
  /** The last n values, in order: the newest last. */
  lastN: firsts,
  /** The n different values that came first, in the order in which they first came. */
  firstDistinct: distinct,
  /** The n different values that came last, in the order in which they last came: the newest last. */
  lastDistinct: distinct,
  /** The n least values, ascending, equal ones repeated; -0 is given as 0. */
  minN: distinct,
  /** The n greatest values, descending, equal ones repeated; -0 is given as 0. */
  maxN: distinct,
  /** The number of different values, exactly. */
  countDistinct: { input: "scalar", result: "int64" },
  /** The number of different values by HyperLogLog: the standard error is 1.04/√(2^precision), 1.6 % at 12. */
  approxCountDistinct: {
    input: "scalar",
    result: "int64",
    parameters: { precision: { kind: "integer", min: 4, max: 16, default: 12 } },
  },
  /** A value within a factor of 1 ± accuracy of the one at the place `quantile` × (count − 1). */
  approxPercentile: {
    input: "number",
    result: "float64",
    parameters: {
      quantile: { kind: "number", min: 0, max: 1 },
      accuracy: { kind: "number", min: 0.001, max: 0.1, default: 0.01 },
    },
  },
  /** The k most frequent values, the most frequent first, of equally frequent ones the least first; exactly. */
  topK: { input: "scalar", result: "list", parameters: { k: listed } },
  /** The k most frequent values with their numbers of rows, ordered as of topK: structs of value and count. */
  valueCounts: { input: "scalar", result: "valueCounts", parameters: { k: { ...listed, default: maxListed } } },
  /** How many values lie below the first bound, from each bound on, and from the last on: one int64 more than bounds. */
  histogram: {
    input: "number",
    result: "counts",
    parameters: { bounds: { kind: "numbers", min: 1, max: maxListed } },
  },
  /** The value where another is least; of several, the least. */
  minBy: { ...shared, by: true },
  /** The value where another is greatest; of several, the greatest. */
  maxBy: { ...shared, by: true },
  /** Whether some value is true. */
  any: shared,
  /** Whether every value is true. */
  all: shared,
} as const satisfies Readonly<Record<string, WindowFunction>>;

/** The name of a function over windows that varve has. */
export type WindowFunctionName = keyof typeof windowFunctions;

/** A user's own function over windows, as definitions see it. */
export interface UserWindowFunction {
  /** A letter, then letters, digits and underscores; at most 63. */
  readonly name: string;
  /** From 1; a greater one whenever equal rows may give other states or results. */
  readonly version: number;
  /**
   * What it gives over inputs of a type (undefined: without an input); throws a `TypeError` that says what fits. `parameters`
   * are constants as JSON, which it checks as well.
   */
  resultType(
    input: DataType | undefined,
    by: DataType | undefined,
    parameters: Readonly<Record<string, LiteralValue>>,
  ): DataType;
}

/** What is aggregated, as far as types matter. */
export interface WindowAggregation {
  /** The name of the aggregation, for messages. */
  readonly name: string;
  /** A name of {@link windowFunctions}, or `name@version` of a user's own. */
  readonly function: string;
  /** Constants of the function. */
  readonly parameters?: Readonly<Record<string, LiteralValue>>;
}

const userFunctions = sharedRegister<UserWindowFunction>("windowFunctions");

/** The name under which definitions store a user's own function. */
export function userFunctionName(own: Pick<UserWindowFunction, "name" | "version">): string {
  return `${own.name}@${own.version}`;
}

/** Makes a user's own function known to this process. The aggregators' `registerAggregation` is what users call. */
export function addUserFunction(own: UserWindowFunction): void {
  userFunctions.set(userFunctionName(own), own);
}

/** Whether a function is a user's own, by its name. */
export function isUserFunction(name: string): boolean {
  return name.includes("@");
}

/**
 * The constants of an aggregation with defaults filled in, which definitions store; throws INVALID_DEFINITION for unknown,
 * missing and wrong ones. Those of a user's own function are its own affair.
 */
export function windowParameters(item: WindowAggregation): Readonly<Record<string, LiteralValue>> {
  const given = item.parameters ?? {};
  if (isUserFunction(item.function)) return given;
  const fail = failureOf(item);
  const rules: Readonly<Record<string, WindowParameter>> = builtin(item).parameters ?? {};
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(rules, name)) continue;
    const names = Object.keys(rules);
    throw fail(`it has no parameter "${name}"; ${names.length > 0 ? `it has ${names.join(", ")}` : "it has none"}`);
  }
  const all = Object.entries(rules).map(([name, rule]) => {
    const value = Object.hasOwn(given, name) ? given[name]! : rule.default;
    const problem = parameterProblem(value, rule);
    if (problem) throw fail(`${name} must be ${problem}`);
    return [name, value!] as const;
  });
  return Object.freeze(Object.fromEntries(all));
}

/**
 * The type of the result of an aggregation over inputs of a type (undefined: it has none); throws INVALID_DEFINITION, also
 * when no such function is known or a constant is wrong.
 */
export function windowFunctionType(
  item: WindowAggregation,
  input: DataType | undefined,
  by: DataType | undefined,
): DataType {
  const fail = failureOf(item);
  if (isUserFunction(item.function)) return userType(item, input, by);
  const spec = builtin(item);
  windowParameters(item);
  if (by !== undefined && !spec.by) throw fail("it takes no by; only minBy and maxBy do");
  if (spec.result === "shared") {
    return functionType({ ...item, function: item.function as AggregateFunction }, input, by);
  }
  if (input === undefined) {
    if (spec.input === "optional") return "int64";
    throw fail("it needs an input column");
  }
  if (spec.input === "number") requireNumeric(input, fail);
  if (spec.input === "scalar" && (isListType(input) || isStructType(input))) {
    throw fail(`the input is ${formatType(input)}; it must be neither a list nor a struct`);
  }
  switch (spec.result) {
    case "int64":
    case "float64":
      return spec.result;
    case "input":
      return input;
    case "list":
      return Object.freeze({ list: input });
    case "counts":
      return Object.freeze({ list: "int64" });
    case "valueCounts":
      return Object.freeze<DataType>({
        list: { struct: [{ name: "value", type: input }, { name: "count", type: "int64" }] },
      });
  }
}

function builtin(item: WindowAggregation): WindowFunction {
  if (Object.hasOwn(windowFunctions, item.function)) return windowFunctions[item.function as WindowFunctionName];
  throw failureOf(item)(`there is no such function; functions are ${Object.keys(windowFunctions).join(", ")}`);
}

function userType(item: WindowAggregation, input: DataType | undefined, by: DataType | undefined): DataType {
  const fail = failureOf(item);
  const own = userFunctions.get(item.function);
  if (!own) {
    throw fail(
      `this process has no such function${
        userFunctions.size > 0 ? `; it has ${[...userFunctions.keys()].join(", ")}` : ""
      }; call registerAggregation before it is used: commands load VARVE_MODULES first`,
    );
  }
  try {
    return own.resultType(input, by, item.parameters ?? {});
  } catch (error) {
    throw fail(error instanceof Error ? error.message : String(error));
  }
}

/** What a constant must be, when it is not. */
function parameterProblem(value: LiteralValue | undefined, rule: WindowParameter): string | undefined {
  const isWithin = (number: number): boolean => number >= rule.min && number <= rule.max;
  switch (rule.kind) {
    case "integer":
      return Number.isInteger(value) && isWithin(value as number)
        ? undefined
        : `a whole number from ${rule.min} to ${rule.max}`;
    case "number":
      return typeof value === "number" && isWithin(value) ? undefined : `a number from ${rule.min} to ${rule.max}`;
    case "numbers":
      return Array.isArray(value) && isWithin(value.length) && value.every(isAboveThoseBefore)
        ? undefined
        : `${rule.min} to ${rule.max} numbers, each greater than the one before`;
  }
}

function isAboveThoseBefore(value: unknown, i: number, all: readonly unknown[]): boolean {
  return Number.isFinite(value) && (i === 0 || (value as number) > (all[i - 1] as number));
}
