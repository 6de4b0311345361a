/** The fluent expressions that people write: `col("delay").gt(15).and(col("origin").isNotNull())`. */
import type { DataType } from "../schema.ts";
import { formatType, parseType } from "../schema.ts";
import { VarveError } from "../errors.ts";
import { callNode, columnsOf } from "./expr_json.ts";
import { ListMethods } from "./expr_list.ts";
import { literalOf, type Plain } from "./expr_literal.ts";
import { StringMethods } from "./expr_string.ts";
import { exprText } from "./expr_text.ts";
import { TimeMethods } from "./expr_time.ts";
import type { ExprNode } from "./expr_node.ts";
import type { Operation } from "./operations.ts";
import type { ArithmeticValue, CastValue, ColumnValue, ConstantValue, Operands, PresentValue } from "./expr_value.ts";

/** An expression that reads columns C, or a constant. */
export type Operand<C extends string = string, T = unknown> = Expr<C, T> | Plain;

/** The columns that an operand reads. */
export type ColumnsOf<X> = X extends Expr<infer C, unknown> ? C : never;

/** The value of an operand. */
export type ValueOfOperand<X> = X extends Expr<string, infer T> ? T : ConstantValue<X>;

/** The value of arithmetic between a value and an operand. */
export type Numeric<T, X> = ArithmeticValue<Operands<T> | Operands<ValueOfOperand<X>>>;

/** How a cast treats a value that has no counterpart in the type. */
export interface CastOptions {
  /** `"fail"` (default) stops with an error, `"null"` gives null. */
  readonly onError?: "fail" | "null";
}

/**
 * An expression over the columns of a row; C are the names of the columns it reads, T is its value. Immutable: every method
 * gives a new expression. Types are checked against the columns when a frame takes it. What each operation means exactly is
 * in the table `operations`.
 *
 * @example
 * ```ts
 * import { col } from "varve";
 * const late = col("delay").gt(15).and(col("origin").isNotNull());
 * console.log(String(late)); // (delay > 15) and origin is not null
 * ```
 */
export class Expr<out C extends string = string, out T = unknown> {
  /** The tree. */
  readonly node: ExprNode;
  /** Type only: the value of the expression, for `ResolveExpr`. */
  declare readonly value: T;
  /** Type only: the columns it reads. At run time ask {@link Expr.columns}. */
  declare readonly reads: C;

  /** Wraps a tree: use `col`, `lit` and the functions instead. */
  constructor(node: ExprNode) {
    this.node = node;
    Object.freeze(this);
  }

  /** The names of the columns it reads. */
  columns(): C[] {
    return columnsOf(this.node) as C[];
  }

  /** The readable text. */
  toString(): string {
    return exprText(this.node);
  }

  /** The tree as plain data. */
  toJSON(): ExprNode {
    return this.node;
  }

  /** What `console.log` shows. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return exprText(this.node);
  }

  /** Operations on strings. */
  get str(): StringMethods<C> {
    return new StringMethods<C>(this, make);
  }

  /** Operations on timestamps, dates and durations. */
  get dt(): TimeMethods<C> {
    return new TimeMethods<C>(this, make, lit);
  }

  /** Operations on lists. */
  get list(): ListMethods<C> {
    return new ListMethods<C>(this, make);
  }

  /** Sum; also timestamp + duration and date + days. */
  plus<const X extends Operand>(other: X): Expr<C | ColumnsOf<X>, Numeric<T, X>> {
    return make("plus", [this, other]);
  }

  /** Difference; of two timestamps a duration, of two dates the days between them. */
  minus<const X extends Operand>(other: X): Expr<C | ColumnsOf<X>, Numeric<T, X>> {
    return make("minus", [this, other]);
  }

  /** Product. */
  times<const X extends Operand>(other: X): Expr<C | ColumnsOf<X>, Numeric<T, X>> {
    return make("times", [this, other]);
  }

  /** Quotient as a float; by zero an infinity or NaN. */
  divide<const X extends Operand>(other: X): Expr<C | ColumnsOf<X>, number | null> {
    return make("divide", [this, other]);
  }

  /** Quotient rounded down; by zero null. */
  floorDivide<const X extends Operand>(other: X): Expr<C | ColumnsOf<X>, Numeric<T, X>> {
    return make("floorDivide", [this, other]);
  }

  /** Remainder with the sign of this; by zero null. */
  modulo<const X extends Operand>(other: X): Expr<C | ColumnsOf<X>, Numeric<T, X>> {
    return make("modulo", [this, other]);
  }

  /** With the other sign. */
  negate(): Expr<C, ArithmeticValue<Operands<T>>> {
    return make("negate", [this]);
  }

  /** Without its sign. */
  abs(): Expr<C, ArithmeticValue<Operands<T>>> {
    return make("abs", [this]);
  }

  /** -1, 0 or 1. */
  sign(): Expr<C, number | null> {
    return make("sign", [this]);
  }

  /** To a number of decimals, half away from zero. */
  round(digits = 0): Expr<C, ArithmeticValue<Operands<T>>> {
    return make("round", [this], { digits });
  }

  /** The next whole number at or below. */
  floor(): Expr<C, ArithmeticValue<Operands<T>>> {
    return make("floor", [this]);
  }

  /** The next whole number at or above. */
  ceil(): Expr<C, ArithmeticValue<Operands<T>>> {
    return make("ceil", [this]);
  }

  /** Square root; of a negative number NaN. */
  sqrt(): Expr<C, number | null> {
    return make("sqrt", [this]);
  }

  /** e to the power of this. */
  exp(): Expr<C, number | null> {
    return make("exp", [this]);
  }

  /** Natural logarithm. */
  ln(): Expr<C, number | null> {
    return make("ln", [this]);
  }

  /** Logarithm to base 10. */
  log10(): Expr<C, number | null> {
    return make("log10", [this]);
  }

  /** To the power of another. */
  pow<const X extends Operand>(exponent: X): Expr<C | ColumnsOf<X>, number | null> {
    return make("pow", [this, exponent]);
  }

  /** Sine of radians. */
  sin(): Expr<C, number | null> {
    return make("sin", [this]);
  }

  /** Cosine of radians. */
  cos(): Expr<C, number | null> {
    return make("cos", [this]);
  }

  /** Tangent of radians. */
  tan(): Expr<C, number | null> {
    return make("tan", [this]);
  }

  /** Arc sine in radians. */
  asin(): Expr<C, number | null> {
    return make("asin", [this]);
  }

  /** Arc cosine in radians. */
  acos(): Expr<C, number | null> {
    return make("acos", [this]);
  }

  /** Arc tangent in radians. */
  atan(): Expr<C, number | null> {
    return make("atan", [this]);
  }

  /** Equal; null when one side is null. */
  eq<const X extends Operand>(other: X): Expr<C | ColumnsOf<X>, boolean | null> {
    return make("eq", [this, other]);
  }

  /** Not equal; null when one side is null. */
  ne<const X extends Operand>(other: X): Expr<C | ColumnsOf<X>, boolean | null> {
    return make("ne", [this, other]);
  }

  /** Less. */
  lt<const X extends Operand>(other: X): Expr<C | ColumnsOf<X>, boolean | null> {
    return make("lt", [this, other]);
  }

  /** Less or equal. */
  le<const X extends Operand>(other: X): Expr<C | ColumnsOf<X>, boolean | null> {
    return make("le", [this, other]);
  }

  /** Greater. */
  gt<const X extends Operand>(other: X): Expr<C | ColumnsOf<X>, boolean | null> {
    return make("gt", [this, other]);
  }

  /** Greater or equal. */
  ge<const X extends Operand>(other: X): Expr<C | ColumnsOf<X>, boolean | null> {
    return make("ge", [this, other]);
  }

  /** Equal, where null equals null; never null. */
  same<const X extends Operand>(other: X): Expr<C | ColumnsOf<X>, boolean> {
    return make("same", [this, other]);
  }

  /** At or above the lower, and at or below the upper bound. */
  between<const X extends Operand, const Y extends Operand>(
    lower: X,
    upper: Y,
  ): Expr<C | ColumnsOf<X> | ColumnsOf<Y>, boolean | null> {
    return make("between", [this, lower, upper]);
  }

  /** Equal to one of the values. */
  isIn<const X extends Operand>(values: readonly X[]): Expr<C | ColumnsOf<X>, boolean | null> {
    // Nothing is in an empty list, null neither.
    if (values.length === 0) {
      return make("and", [make("same", [this, null]), false]) as Expr<C | ColumnsOf<X>, boolean | null>;
    }
    return make("isIn", [this, ...values]);
  }

  /** Both; null counts as unknown. */
  and<const X extends Operand>(other: X): Expr<C | ColumnsOf<X>, boolean | null> {
    return make("and", [this, other]);
  }

  /** One of both; null counts as unknown. */
  or<const X extends Operand>(other: X): Expr<C | ColumnsOf<X>, boolean | null> {
    return make("or", [this, other]);
  }

  /** The other truth value. */
  not(): Expr<C, boolean | null> {
    return make("not", [this]);
  }

  /** Whether it is null. */
  isNull(): Expr<C, boolean> {
    return make("isNull", [this]);
  }

  /** Whether it is not null. */
  isNotNull(): Expr<C, boolean> {
    return make("isNotNull", [this]);
  }

  /** Whether it is NaN. */
  isNaN(): Expr<C, boolean | null> {
    return make("isNaN", [this]);
  }

  /** Whether it is neither NaN nor an infinity. */
  isFinite(): Expr<C, boolean | null> {
    return make("isFinite", [this]);
  }

  /** This, or the value where it is null. */
  fillNull<const X extends Operand>(value: X): Expr<C | ColumnsOf<X>, PresentValue<Operands<T>> | ValueOfOperand<X>> {
    return make("coalesce", [this, value]);
  }

  /** Null where it equals the value. */
  nullIf<const X extends Operand>(value: X): Expr<C | ColumnsOf<X>, T | null> {
    return make("nullIf", [this, value]);
  }

  /** As another type. */
  cast<const D extends DataType>(to: D, options: CastOptions = {}): Expr<C, CastValue<D>> {
    const type = parseType(to);
    const onError = options.onError ?? "fail";
    if (onError !== "fail" && onError !== "null") {
      throw new VarveError(
        "INVALID_DEFINITION",
        `Cannot cast to ${formatType(type)}: onError is ${JSON.stringify(onError)}; give "fail" or "null"`,
      );
    }
    return new Expr(Object.freeze({ kind: "cast", input: this.node, to: type, onError }));
  }

  /** A part of a struct. */
  field(name: string): Expr<C, unknown> {
    return make("field", [this], { name });
  }
}

/** The node of an operand: an expression's own, or a constant. */
export function nodeOf(operand: Operand): ExprNode {
  return operand instanceof Expr ? operand.node : literalOf(operand as Plain);
}

/** An expression that calls an operation. */
export function make<C extends string, T>(
  operation: Operation,
  args: readonly Operand[],
  options?: Readonly<Record<string, unknown>>,
): Expr<C, T> {
  return new Expr(callNode(operation, args.map(nodeOf), options));
}

/** The column of that name. */
export function col<const N extends string>(name: N): Expr<N, ColumnValue<N>> {
  if (typeof name !== "string" || name === "") {
    throw new VarveError("INVALID_DEFINITION", `Cannot use ${JSON.stringify(name)} as a column: give its name`);
  }
  return new Expr(Object.freeze({ kind: "column", name }));
}

/**
 * A constant. Whole numbers are int32 when they fit, other numbers float64; bigint is int64; `Timestamp` and `Date` are
 * timestamps. Text becomes a date or a timestamp where one is wanted. Give the type to say otherwise.
 */
export function lit<const V extends Plain>(value: V, type?: DataType): Expr<never, ConstantValue<V>> {
  return new Expr(literalOf(value, type === undefined ? undefined : parseType(type)));
}
