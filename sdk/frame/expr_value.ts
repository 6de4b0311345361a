/** What TypeScript knows about the value of an expression, before and after the row it reads is known. */
import type { DataType, ScalarType, ValueOf } from "../schema.ts";
import type { Timestamp } from "../time.ts";

/** The value of a column whose row is not known yet. */
export interface ColumnValue<N extends string> {
  /** Its name. */
  readonly column: N;
}

/** The result of arithmetic on values of types T, of which some may be columns. */
export interface ArithmeticValue<T> {
  /** What is computed with. */
  readonly operands: T;
}

/** A value of type T that is not null. */
export interface PresentValue<T> {
  /** The value. */
  readonly present: T;
}

/** A list of values of type T, none of them null. */
export interface ListedValue<T> {
  /** What is listed. */
  readonly listed: T;
}

/** A list of different values of type T, with how often each is there. */
export interface CountedValue<T> {
  /** What is counted. */
  readonly counted: T;
}

/**
 * The value of an expression over rows R: with `{ delay: number | null }`, `ColumnValue<"delay">` is `number | null`.
 * A union of marks resolves each on its own.
 */
export type ResolveExpr<R, T> = unknown extends T ? unknown
  : T extends ColumnValue<infer N> ? (N extends keyof R ? R[N] : unknown)
  : T extends ArithmeticValue<infer U> ? ArithmeticResult<ResolveOperand<R, U>>
  : T extends PresentValue<infer U> ? Exclude<ResolveOperand<R, U>, null>
  : T extends ListedValue<infer U> ? readonly Exclude<ResolveExpr<R, U>, null>[]
  : T extends CountedValue<infer U>
    ? readonly { readonly value: Exclude<ResolveExpr<R, U>, null>; readonly count: bigint }[]
  : T;

/** Operands are columns and plain values only: marks inside marks are flattened when expressions are built. */
export type ResolveOperand<R, T> = T extends ColumnValue<infer N> ? (N extends keyof R ? R[N] : unknown) : T;

/**
 * The type of arithmetic on values of these types. Rough where TypeScript cannot see more: an int64 with a number may be
 * either, and times may give a time or what lies between two.
 */
export type ArithmeticResult<T> = unknown extends T ? unknown
  : [Extract<T, Timestamp | string>] extends [never] ? Extract<T, number | bigint> | null
  : Extract<T, Timestamp | string> | number | bigint | null;

/** The operands inside a mark. */
export type Operands<T> = T extends ArithmeticValue<infer U> ? U : T extends PresentValue<infer U> ? U : T;

/** The type of a constant: literal types are widened, a `Date` is a timestamp. */
export type ConstantValue<T> = T extends string ? string
  : T extends number ? number
  : T extends bigint ? bigint
  : T extends boolean ? boolean
  : T extends Date ? Timestamp
  : T;

/** The value of a cast to a type. */
export type CastValue<T extends DataType> = T extends ScalarType ? ValueOf<T> | null : unknown;
