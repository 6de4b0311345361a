/** Functions that make expressions of several others: conditions, choices, joins of text, structs and lists. */
import { VarveError } from "../errors.ts";
import { type Duration, durationToMicros } from "../time.ts";
import { type ColumnsOf, Expr, lit, make, nodeOf, type Operand, type ValueOfOperand } from "./expr.ts";
import type { ExprNode } from "./expr_node.ts";

/** A condition that waits for its result. */
export class WhenClause<C extends string, T> {
  readonly #branches: readonly { readonly when: ExprNode; readonly then: ExprNode }[];
  readonly #condition: ExprNode;

  /** Made by `when`. */
  constructor(branches: readonly { readonly when: ExprNode; readonly then: ExprNode }[], condition: ExprNode) {
    this.#branches = branches;
    this.#condition = condition;
    Object.freeze(this);
  }

  /** The result where the condition is true. */
  then<const X extends Operand>(value: X): ThenClause<C | ColumnsOf<X>, T | ValueOfOperand<X>> {
    return new ThenClause([...this.#branches, Object.freeze({ when: this.#condition, then: nodeOf(value) })]);
  }
}

/** Conditions with results; ends with `otherwise`. */
export class ThenClause<C extends string, T> {
  readonly #branches: readonly { readonly when: ExprNode; readonly then: ExprNode }[];

  /** Made by `when`. */
  constructor(branches: readonly { readonly when: ExprNode; readonly then: ExprNode }[]) {
    this.#branches = Object.freeze(branches);
    Object.freeze(this);
  }

  /** A further condition, asked where none before was true. */
  when<D extends string>(condition: Expr<D, unknown>): WhenClause<C | D, T> {
    return new WhenClause(this.#branches, nodeOf(condition));
  }

  /** The result where no condition is true. */
  otherwise<const X extends Operand>(value: X): Expr<C | ColumnsOf<X>, T | ValueOfOperand<X>> {
    return new Expr(Object.freeze({ kind: "case", branches: this.#branches, otherwise: nodeOf(value) }));
  }
}

/**
 * Chooses by conditions; the first that is true counts, null is not true.
 *
 * @example
 * ```ts
 * import { col, when } from "varve";
 * when(col("delay").gt(60)).then("very late").when(col("delay").gt(15)).then("late").otherwise("on time");
 * ```
 */
export function when<C extends string>(condition: Expr<C, unknown>): WhenClause<C, never> {
  return new WhenClause([], nodeOf(condition));
}

/** The first that is not null. */
export function coalesce<const X extends readonly Operand[]>(
  ...values: X
): Expr<ColumnsOf<X[number]>, ValueOfOperand<X[number]>> {
  return make("coalesce", values);
}

/** The greatest that is not null. */
export function greatest<const X extends readonly Operand[]>(
  ...values: X
): Expr<ColumnsOf<X[number]>, ValueOfOperand<X[number]>> {
  return make("greatest", values);
}

/** The least that is not null. */
export function least<const X extends readonly Operand[]>(
  ...values: X
): Expr<ColumnsOf<X[number]>, ValueOfOperand<X[number]>> {
  return make("least", values);
}

/** Strings joined; null when one is null. */
export function concat<const X extends readonly Operand[]>(...values: X): Expr<ColumnsOf<X[number]>, string | null> {
  return make("concat", values);
}

/** An int64 made of the values, the same in every engine and version; nulls count as values. */
export function hash<const X extends readonly Operand[]>(...values: X): Expr<ColumnsOf<X[number]>, bigint> {
  return make("hash", values);
}

/** A list of the values. */
export function list<const X extends readonly Operand[]>(...values: X): Expr<ColumnsOf<X[number]>, readonly unknown[]> {
  return make("list", values);
}

/** A struct of named values. */
export function struct<const X extends Readonly<Record<string, Operand>>>(
  parts: X,
): Expr<ColumnsOf<X[keyof X]>, Readonly<Record<string, unknown>>> {
  const names = Object.keys(parts);
  if (names.length === 0) {
    throw new VarveError("INVALID_DEFINITION", "Cannot make a struct: it has no parts; give { name: value }");
  }
  return make("struct", Object.values(parts), { names });
}

/** All of them true; null counts as unknown. */
export function allOf<const X extends readonly Operand[]>(
  ...conditions: X
): Expr<ColumnsOf<X[number]>, boolean | null> {
  return make("and", conditions.length < 2 ? [...conditions, true, true].slice(0, 2) : conditions);
}

/** At least one of them true; null counts as unknown. */
export function anyOf<const X extends readonly Operand[]>(
  ...conditions: X
): Expr<ColumnsOf<X[number]>, boolean | null> {
  return make("or", conditions.length < 2 ? [...conditions, false, false].slice(0, 2) : conditions);
}

/** The angle of the point (x, y) in radians. */
export function atan2<const Y extends Operand, const X extends Operand>(
  y: Y,
  x: X,
): Expr<ColumnsOf<Y> | ColumnsOf<X>, number | null> {
  return make("atan2", [y, x]);
}

/** A constant duration: `duration("1h30m")`. */
export function duration(length: Duration): Expr<never, bigint> {
  return lit(durationToMicros(length, "duration", { allowZero: true }), "duration");
}
