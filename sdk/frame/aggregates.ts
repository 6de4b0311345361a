/** The aggregate functions of a plain group-by: `count()`, `mean("delay")`, `last("delay", { by: "date" })`. */
import { VarveError } from "../errors.ts";
import { Expr } from "./expr.ts";
import type { ExprNode } from "./expr_node.ts";
import type { ColumnValue } from "./expr_value.ts";
import type { AggregateFunction, NamedAggregate } from "./query.ts";

/** A column's name or an expression. */
export type ColumnInput = string | Expr;

/** The columns that an input reads. */
export type InputColumns<X> = X extends string ? X : X extends Expr<infer C, unknown> ? C : never;

/** The value of an input. */
export type InputValue<X> = X extends string ? ColumnValue<X> : X extends Expr<string, infer T> ? T : never;

/** The tree of an input. */
export function inputNode(input: ColumnInput): ExprNode {
  if (input instanceof Expr) return input.node;
  if (typeof input === "string") return Object.freeze({ kind: "column", name: input });
  throw new TypeError(`Cannot use a ${typeof input} as a column: give a column's name or an expression`);
}

/** An aggregate without its name: plain data about a function and its inputs. */
export type AggregateSpec = Omit<NamedAggregate, "name">;

/** An aggregate over columns `C` that gives a `T`; named when a frame takes it. */
export class Aggregate<out C extends string = string, out T = unknown> {
  /** The function and its inputs, plain data. */
  readonly spec: AggregateSpec;
  /** Type only: the columns it reads. */
  declare readonly reads: C;
  /** Type only: what it gives. */
  declare readonly value: T;

  /** Wraps a function and its inputs. */
  constructor(spec: AggregateSpec) {
    this.spec = Object.freeze(spec);
    Object.freeze(this);
  }

  /** Lets only rows count for which the condition is true. */
  where<D extends string>(condition: Expr<D, unknown>): Aggregate<C | D, T> {
    if (this.spec.where) {
      throw new VarveError(
        "INVALID_DEFINITION",
        `Cannot give ${this.spec.function} a second condition: join both with and()`,
      );
    }
    return new Aggregate({ ...this.spec, where: condition.node });
  }
}

/** What orders the rows of an aggregate. */
export interface OrderOptions<B extends ColumnInput = ColumnInput> {
  /**
   * What orders the rows.
   * @default the event timestamp of the frame's source
   */
  readonly by?: B;
}

function over<X extends ColumnInput, T>(
  name: AggregateFunction,
  input: X,
  more: Partial<AggregateSpec> = {},
): Aggregate<InputColumns<X>, T> {
  return new Aggregate({ function: name, input: inputNode(input), ...more });
}

function ordered(options: OrderOptions | undefined): Partial<AggregateSpec> {
  return options?.by === undefined ? {} : { by: inputNode(options.by) };
}

/** The number of rows; of an input, the number of values that are not null. */
export function count(): Aggregate<never, bigint>;
/** The number of values that are not null. */
export function count<const X extends ColumnInput>(input: X): Aggregate<InputColumns<X>, bigint>;
export function count(input?: ColumnInput): Aggregate<string, bigint> {
  return input === undefined ? new Aggregate({ function: "count" }) : over("count", input);
}

/** The sum; int64 for integers, which is an error when it leaves 64 bits. */
export function sum<const X extends ColumnInput>(input: X): Aggregate<InputColumns<X>, number | bigint | null> {
  return over("sum", input);
}

/** The least value. */
export function min<const X extends ColumnInput>(input: X): Aggregate<InputColumns<X>, InputValue<X>> {
  return over("min", input);
}

/** The greatest value. */
export function max<const X extends ColumnInput>(input: X): Aggregate<InputColumns<X>, InputValue<X>> {
  return over("max", input);
}

/** The arithmetic mean. */
export function mean<const X extends ColumnInput>(input: X): Aggregate<InputColumns<X>, number | null> {
  return over("mean", input);
}

/** The median, between the two in the middle where there are two. */
export function median<const X extends ColumnInput>(input: X): Aggregate<InputColumns<X>, number | null> {
  return over("median", input);
}

/** The value below which a fraction of the values lies, interpolated. */
export function quantile<const X extends ColumnInput>(
  input: X,
  fraction: number,
): Aggregate<InputColumns<X>, number | null> {
  return over("quantile", input, { quantile: fraction });
}

/** The variance of a population. */
export function varPop<const X extends ColumnInput>(input: X): Aggregate<InputColumns<X>, number | null> {
  return over("varPop", input);
}

/** The variance of a sample. */
export function varSamp<const X extends ColumnInput>(input: X): Aggregate<InputColumns<X>, number | null> {
  return over("varSamp", input);
}

/** The standard deviation of a population. */
export function stddevPop<const X extends ColumnInput>(input: X): Aggregate<InputColumns<X>, number | null> {
  return over("stddevPop", input);
}

/** The standard deviation of a sample. */
export function stddevSamp<const X extends ColumnInput>(input: X): Aggregate<InputColumns<X>, number | null> {
  return over("stddevSamp", input);
}

/** The first value, by time. */
export function first<const X extends ColumnInput, const B extends ColumnInput = never>(
  input: X,
  options?: OrderOptions<B>,
): Aggregate<InputColumns<X> | InputColumns<B>, InputValue<X>> {
  return over("first", input, ordered(options));
}

/** The last value, by time. */
export function last<const X extends ColumnInput, const B extends ColumnInput = never>(
  input: X,
  options?: OrderOptions<B>,
): Aggregate<InputColumns<X> | InputColumns<B>, InputValue<X>> {
  return over("last", input, ordered(options));
}

/** The number of different values. */
export function countDistinct<const X extends ColumnInput>(input: X): Aggregate<InputColumns<X>, bigint> {
  return over("countDistinct", input);
}

/** The value where another is least. */
export function minBy<const X extends ColumnInput, const B extends ColumnInput>(
  input: X,
  by: B,
): Aggregate<InputColumns<X> | InputColumns<B>, InputValue<X>> {
  return over("minBy", input, { by: inputNode(by) });
}

/** The value where another is greatest. */
export function maxBy<const X extends ColumnInput, const B extends ColumnInput>(
  input: X,
  by: B,
): Aggregate<InputColumns<X> | InputColumns<B>, InputValue<X>> {
  return over("maxBy", input, { by: inputNode(by) });
}

/** All values that are not null, ordered by another, else by themselves. */
export function list<const X extends ColumnInput, const B extends ColumnInput = never>(
  input: X,
  options?: OrderOptions<B>,
): Aggregate<InputColumns<X> | InputColumns<B>, readonly unknown[]> {
  return over("list", input, ordered(options));
}

/** Whether some value is true. */
export function any<const X extends ColumnInput>(input: X): Aggregate<InputColumns<X>, boolean | null> {
  return over("any", input);
}

/** Whether every value is true. */
export function all<const X extends ColumnInput>(input: X): Aggregate<InputColumns<X>, boolean | null> {
  return over("all", input);
}
