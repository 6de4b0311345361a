/** How the row type grows along a chain of steps. Flat mapped types only, so that long chains stay cheap to check. */
import type { Row, SchemaTypes, ValueOf } from "../schema.ts";
import type { Timestamp, TimestampLike } from "../time.ts";
import type { Aggregate, ColumnInput, InputValue } from "./aggregates.ts";
import type { Expr } from "./expr.ts";
import type { ResolveExpr } from "./expr_value.ts";

/** The names of a row's columns. */
export type ColumnName<R> = keyof R & string;

/** Names or expressions over a row's columns. */
export type InputOver<R> = ColumnName<R> | Expr<ColumnName<R>>;

/** Expressions by the name they get. */
export type InputsOver<R> = Readonly<Record<string, InputOver<R>>>;

/** The value of a name or an expression over a row. */
export type Resolved<R, X> = X extends ColumnInput ? ResolveExpr<R, InputValue<X>> : never;

/** The row of named expressions. */
export type RowOfInputs<R, E> = { [K in keyof E & string]: Resolved<R, E[K]> };

/** The row after select. */
export type Selected<R, K extends ColumnName<R>, E> = string extends keyof R ? Row
  : { [P in K | (keyof E & string)]: P extends keyof E ? Resolved<R, E[P]> : P extends keyof R ? R[P] : never };

/** The row after derive. */
export type Derived<R, E> = string extends keyof R ? Row
  : {
    [K in ColumnName<R> | (keyof E & string)]: K extends keyof E ? Resolved<R, E[K]> : K extends keyof R ? R[K] : never;
  };

/** The row after rename. */
export type Renamed<R, N> = string extends keyof R ? Row
  : { [K in ColumnName<R> as K extends keyof N ? (N[K] extends string ? N[K] : K) : K]: R[K] };

/** The row after drop. */
export type Dropped<R, K> = string extends keyof R ? Row : { [P in Exclude<ColumnName<R>, K>]: R[P] };

/** The left keys of a join. */
export type JoinOnInput<L, R> =
  | (ColumnName<L> & ColumnName<R>)
  | readonly (ColumnName<L> & ColumnName<R>)[]
  | { readonly [K in ColumnName<L>]?: ColumnName<R> };

/** The right keys of a join, which it drops. */
export type RightKeys<On> = On extends string ? On
  : On extends readonly (infer K)[] ? K
  : On extends object ? On[keyof On]
  : never;

/** The row after a join that adds columns; right columns whose names exist on the left get the suffix. */
export type Joined<L, R, On, S extends string> = string extends keyof L ? Row : string extends keyof R ? Row
: L & { [K in Exclude<ColumnName<R>, RightKeys<On>> as K extends keyof L ? `${K}${S}` : K]: R[K] | null };

/** Aggregates over a row's columns. */
export type AggregatesOver<R> = Readonly<Record<string, Aggregate<ColumnName<R>>>>;

/** The row after a group-by. */
export type Grouped<R, K, A> = string extends keyof R ? Row
  : {
    [P in (K & string) | (keyof A & string)]: P extends keyof A
      ? (A[P] extends Aggregate<string, infer T> ? ResolveExpr<R, T> : never)
      : P extends keyof R ? R[P]
      : never;
  };

/** The row after unnest. */
export type Unnested<R, K> = string extends keyof R ? Row
  : { [P in ColumnName<R>]: P extends K ? (R[P] extends readonly (infer E)[] | null ? E | null : unknown) : R[P] };

/** The row that a declared schema gives; any row without one. Written out, so that editors show its columns. */
export type RowOfSchema<S> = [S] extends [never] ? Row
  : S extends SchemaTypes ? { -readonly [K in keyof S]: ValueOf<S[K]> | null }
  : Row;

/** What can be a default where the column holds `V`. */
export type DefaultValue<V> = unknown extends V ? unknown
  : NonNullable<V> extends bigint ? bigint | number
  : NonNullable<V> extends Timestamp ? TimestampLike
  : NonNullable<V>;
