/**
 * The aggregate functions: `count()`, `mean("delay")`, `last("delay", 10)`. A group-by takes some, windows take others; most go
 * with both.
 */
import { Displayed } from "../display.ts";
import { givenText, VarveError } from "../errors.ts";
import { aggregateText, writtenFunction } from "./aggregate_text.ts";
import { Expr } from "./expr.ts";
import type { ExprNode, LiteralValue } from "./expr_node.ts";
import type { ColumnValue, CountedValue, ListedValue } from "./expr_value.ts";
import type { AggregateFunction, NamedAggregate } from "./query.ts";
import type { WindowFunctionName } from "./window_functions.ts";

/** A column's name or an expression. */
export type ColumnInput = string | Expr;

/** The columns that an input reads. */
export type InputColumns<X> = X extends string ? X : X extends Expr<infer C, unknown> ? C : never;

/** The value of an input. */
export type InputValue<X> = X extends string ? ColumnValue<X> : X extends Expr<string, infer T> ? T : never;

/** What an aggregate is called in a list: a column and what is computed of it. An expression has no name. */
export type CalledAfter<X, F extends string> = X extends string ? `${X}_${F}` : never;

/** The tree of an input. */
export function inputNode(input: ColumnInput): ExprNode {
  if (input instanceof Expr) return input.node;
  if (typeof input === "string") return Object.freeze({ kind: "column", name: input });
  throw new VarveError(
    "INVALID_REQUEST",
    `Cannot use ${givenText(input)} as a column: give a column's name or an expression`,
  );
}

/** An aggregate without its name: plain data about a function and its inputs. */
export interface AggregateSpec extends Omit<NamedAggregate, "name" | "function"> {
  /** What is computed: of a group, over windows, or by a user's own function (`name@version`). */
  readonly function: AggregateFunction | WindowFunctionName | `${string}@${number}`;
  /** Constants of a function over windows. */
  readonly parameters?: Readonly<Record<string, LiteralValue>>;
}

/** An aggregate over columns `C` that gives a `T`; named when a frame takes it, and `N` where nobody names it. */
export class Aggregate<out C extends string = string, out T = unknown, out N extends string = string>
  extends Displayed {
  /** The function and its inputs, plain data. */
  readonly spec: AggregateSpec;
  /** Type only: the columns it reads. */
  declare readonly reads: C;
  /** Type only: what it gives. */
  declare readonly value: T;
  /** Type only: what a list of aggregates calls it. */
  declare readonly called: N;

  /** Wraps a function and its inputs. */
  constructor(spec: AggregateSpec) {
    super();
    this.spec = Object.freeze(spec);
    Object.freeze(this);
  }

  /** Lets only rows count for which the condition is true. */
  where<D extends string>(condition: Expr<D, unknown>): Aggregate<C | D, T, N> {
    if (this.spec.where) {
      throw new VarveError(
        "INVALID_DEFINITION",
        `Cannot give ${writtenFunction(this.spec.function)} a second condition: join both with and()`,
      );
    }
    return new Aggregate({ ...this.spec, where: condition.node });
  }

  /** The function and its inputs, as readable text. */
  override toString(): string {
    return aggregateText(this.spec);
  }
}

/** What orders the rows of an aggregate. */
export interface OrderOptions<B extends ColumnInput = ColumnInput> {
  /**
   * What orders the rows of a group. Over windows that is always the event time: see `minBy` and `maxBy` for others.
   * @default the event timestamp of the frame's source
   */
  readonly by?: B;
}

/** An aggregate over one input, called after it. */
export type Over<X, T, F extends string, B = never> = Aggregate<
  InputColumns<X> | InputColumns<B>,
  T,
  CalledAfter<X, F>
>;

function over<X extends ColumnInput, T, F extends string>(
  name: AggregateSpec["function"],
  input: X,
  more: Partial<AggregateSpec> = {},
): Over<X, T, F> {
  return new Aggregate({ function: name, input: inputNode(input), ...more });
}

function ordered(options: OrderOptions | undefined): Partial<AggregateSpec> {
  return options?.by === undefined ? {} : { by: inputNode(options.by) };
}

/** The constants that were given. */
function constants(parameters: Readonly<Record<string, LiteralValue | undefined>>): Partial<AggregateSpec> {
  const given = Object.entries(parameters).filter((entry): entry is [string, LiteralValue] => entry[1] !== undefined);
  return given.length === 0 ? {} : { parameters: Object.freeze(Object.fromEntries(given)) };
}

/** The number of rows; of an input, the number of values that are not null. */
export function count(): Aggregate<never, bigint, "count">;
/** The number of values that are not null. */
export function count<const X extends ColumnInput>(input: X): Over<X, bigint, "count">;
export function count(input?: ColumnInput): Aggregate<string, bigint> {
  return input === undefined ? new Aggregate({ function: "count" }) : over("count", input);
}

/** The sum; int64 for integers, which is an error when it leaves 64 bits. */
export function sum<const X extends ColumnInput>(input: X): Over<X, number | bigint | null, "sum"> {
  return over("sum", input);
}

/** Over windows: the n least values, ascending; equal ones repeated. */
export function min<const X extends ColumnInput, const K extends number>(
  input: X,
  n: K,
): Over<X, ListedValue<InputValue<X>>, `min_${K}`>;
/** The least value. */
export function min<const X extends ColumnInput>(input: X): Over<X, InputValue<X>, "min">;
export function min(input: ColumnInput, n?: number): Aggregate {
  return n === undefined ? over("min", input) : over("minN", input, constants({ n }));
}

/** Over windows: the n greatest values, descending; equal ones repeated. */
export function max<const X extends ColumnInput, const K extends number>(
  input: X,
  n: K,
): Over<X, ListedValue<InputValue<X>>, `max_${K}`>;
/** The greatest value. */
export function max<const X extends ColumnInput>(input: X): Over<X, InputValue<X>, "max">;
export function max(input: ColumnInput, n?: number): Aggregate {
  return n === undefined ? over("max", input) : over("maxN", input, constants({ n }));
}

/** The arithmetic mean of numbers. */
export function mean<const X extends ColumnInput>(input: X): Over<X, number | null, "mean"> {
  return over("mean", input);
}

/** The median of a group, between the two in the middle where there are two. Over windows: `approxPercentile(x, 0.5)`. */
export function median<const X extends ColumnInput>(input: X): Over<X, number | null, "median"> {
  return over("median", input);
}

/** The value of a group below which a fraction of the values lies, interpolated. Over windows: `approxPercentile`. */
export function quantile<const X extends ColumnInput>(input: X, fraction: number): Over<X, number | null, "quantile"> {
  return over("quantile", input, { quantile: fraction });
}

/** The variance of a population of numbers. */
export function varPop<const X extends ColumnInput>(input: X): Over<X, number | null, "var_pop"> {
  return over("varPop", input);
}

/** The variance of a sample. */
export function varSamp<const X extends ColumnInput>(input: X): Over<X, number | null, "var_samp"> {
  return over("varSamp", input);
}

/** The standard deviation of a population. */
export function stddevPop<const X extends ColumnInput>(input: X): Over<X, number | null, "stddev_pop"> {
  return over("stddevPop", input);
}

/** The standard deviation of a sample. */
export function stddevSamp<const X extends ColumnInput>(input: X): Over<X, number | null, "stddev_samp"> {
  return over("stddevSamp", input);
}

/** Over windows: how lopsided a sample is, adjusted for its size. */
export function skew<const X extends ColumnInput>(input: X): Over<X, number | null, "skew"> {
  return over("skew", input);
}

/** Over windows: the excess kurtosis of a sample, adjusted for its size. */
export function kurtosis<const X extends ColumnInput>(input: X): Over<X, number | null, "kurtosis"> {
  return over("kurtosis", input);
}

/** Over windows: the first n values by event time, in order. */
export function first<const X extends ColumnInput, const K extends number>(
  input: X,
  n: K,
): Over<X, ListedValue<InputValue<X>>, `first_${K}`>;
/** The first value, by time. */
export function first<const X extends ColumnInput, const B extends ColumnInput = never>(
  input: X,
  options?: OrderOptions<B>,
): Over<X, InputValue<X>, "first", B>;
export function first(input: ColumnInput, more?: number | OrderOptions): Aggregate {
  return typeof more === "number" ? over("firstN", input, constants({ n: more })) : over("first", input, ordered(more));
}

/** Over windows: the last n values by event time, in order: the newest is the last. */
export function last<const X extends ColumnInput, const K extends number>(
  input: X,
  n: K,
): Over<X, ListedValue<InputValue<X>>, `last_${K}`>;
/** The last value, by time. */
export function last<const X extends ColumnInput, const B extends ColumnInput = never>(
  input: X,
  options?: OrderOptions<B>,
): Over<X, InputValue<X>, "last", B>;
export function last(input: ColumnInput, more?: number | OrderOptions): Aggregate {
  return typeof more === "number" ? over("lastN", input, constants({ n: more })) : over("last", input, ordered(more));
}

/** Over windows: the n different values that came first, in the order in which they first came. */
export function firstDistinct<const X extends ColumnInput, const K extends number>(
  input: X,
  n: K,
): Over<X, ListedValue<InputValue<X>>, `first_distinct_${K}`> {
  return over("firstDistinct", input, constants({ n }));
}

/** Over windows: the n different values that came last, in the order in which they last came: the newest is the last. */
export function lastDistinct<const X extends ColumnInput, const K extends number>(
  input: X,
  n: K,
): Over<X, ListedValue<InputValue<X>>, `last_distinct_${K}`> {
  return over("lastDistinct", input, constants({ n }));
}

/** The number of different values. */
export function countDistinct<const X extends ColumnInput>(input: X): Over<X, bigint, "count_distinct"> {
  return over("countDistinct", input);
}

/**
 * Over windows: the number of different values by HyperLogLog, in bounded memory. The standard error is 1.04/√(2^precision):
 * 1.6 % at 12. Hashes have fixed seeds: equal values give equal numbers, in every process.
 */
export function approxCountDistinct<const X extends ColumnInput>(
  input: X,
  options: { readonly precision?: number } = {},
): Over<X, bigint, "approx_count_distinct"> {
  return over("approxCountDistinct", input, constants({ precision: options.precision }));
}

/** What a percentile is called: `p95` for 0.95, `p999` for 0.999. */
export type PercentileName<Q extends number> = `${Q}` extends `0.${infer A}${infer B}`
  ? `p${A}${B extends "" ? "0" : B}`
  : `${Q}` extends "1" ? "p100"
  : `p${Q}`;

/**
 * Over windows: the value below which a fraction of the numbers lies, within a factor of 1 ± accuracy (0.01): of the values in order,
 * the one at the place `quantile` × (count − 1). 0.95 is the 95th percentile.
 */
export function approxPercentile<const X extends ColumnInput, const Q extends number>(
  input: X,
  quantile: Q,
  options: { readonly accuracy?: number } = {},
): Over<X, number | null, PercentileName<Q>> {
  return over("approxPercentile", input, constants({ quantile, accuracy: options.accuracy }));
}

/** Over windows: the k most frequent values, exactly: the most frequent first, of equally frequent ones the least first. */
export function topK<const X extends ColumnInput, const K extends number>(
  input: X,
  k: K,
): Over<X, ListedValue<InputValue<X>>, `top_${K}`> {
  return over("topK", input, constants({ k }));
}

/** Over windows: the k most frequent values with how often each is there, in the order of `topK`; k is 1,000 unless told. */
export function valueCounts<const X extends ColumnInput>(
  input: X,
  options: { readonly k?: number } = {},
): Over<X, CountedValue<InputValue<X>>, "value_counts"> {
  return over("valueCounts", input, constants({ k: options.k }));
}

/**
 * Over windows: how many values lie below the first bound, from each bound on, and from the last on: one count more than there
 * are bounds.
 */
export function histogram<const X extends ColumnInput>(
  input: X,
  bounds: readonly number[],
): Over<X, readonly bigint[], "histogram"> {
  return over("histogram", input, constants({ bounds: Object.freeze([...bounds]) }));
}

/** The value where another is least; of several, over windows, the least one. Rows where either is null do not count. */
export function minBy<const X extends ColumnInput, const B extends ColumnInput>(
  input: X,
  by: B,
): Over<X, InputValue<X>, "min_by", B> {
  return over("minBy", input, { by: inputNode(by) });
}

/** The value where another is greatest; of several, over windows, the greatest one. Rows where either is null do not count. */
export function maxBy<const X extends ColumnInput, const B extends ColumnInput>(
  input: X,
  by: B,
): Over<X, InputValue<X>, "max_by", B> {
  return over("maxBy", input, { by: inputNode(by) });
}

/** All values of a group that are not null, ordered by another, else by themselves. Over windows: `last(x, n)`. */
export function list<const X extends ColumnInput, const B extends ColumnInput = never>(
  input: X,
  options?: OrderOptions<B>,
): Over<X, readonly unknown[], "list", B> {
  return over("list", input, ordered(options));
}

/** Whether some value is true. */
export function any<const X extends ColumnInput>(input: X): Over<X, boolean | null, "any"> {
  return over("any", input);
}

/** Whether every value is true. */
export function all<const X extends ColumnInput>(input: X): Over<X, boolean | null, "all"> {
  return over("all", input);
}

/** What a user's own function needs beside its input. */
export interface CustomOptions<B extends ColumnInput = ColumnInput> {
  /** Another value of each row, which the function gets beside the input. */
  readonly by?: B;
  /** Its constants, plain JSON. */
  readonly parameters?: Readonly<Record<string, LiteralValue>>;
}

/** What a list calls a user's own function: its name without the version. */
export type CustomName<F extends string> = F extends `${infer N}@${number}` ? N : F;

/** Over windows: a user's own function, by the name that `registerAggregation` gave it: `custom("geometricMean@1", "price")`. */
export function custom<const F extends `${string}@${number}`>(name: F): Aggregate<never, unknown, CustomName<F>>;
/** Over windows: a user's own function of an input. */
export function custom<
  const F extends `${string}@${number}`,
  const X extends ColumnInput,
  const B extends ColumnInput = never,
>(name: F, input: X, options?: CustomOptions<B>): Over<X, unknown, CustomName<F>, B>;
export function custom(
  name: `${string}@${number}`,
  input?: ColumnInput,
  { by, parameters }: CustomOptions = {},
): Aggregate {
  return new Aggregate({
    function: name,
    ...(input !== undefined && { input: inputNode(input) }),
    ...(by !== undefined && { by: inputNode(by) }),
    ...(parameters && { parameters: Object.freeze({ ...parameters }) }),
  });
}
