/** How windows are written, and how names and types of features follow from them; nothing here exists at run time. */
import type { Row } from "../schema.ts";
import type { Duration } from "../time.ts";
import type { Aggregate } from "./aggregates.ts";
import type { CountedValue, ListedValue, ResolveExpr } from "./expr_value.ts";
import type { AggregatesOver, ColumnName, DefaultValue } from "./frame_types.ts";
import type { WindowBoundary, WindowEdge } from "./window_spec.ts";

/** A window as it is written; `"lifetime"` is everything since the view's start. */
export type WindowInput<T extends string = string> = T | OffsetWindow<T> | SeriesWindow<T>;

/** A window that may end earlier than the others, or be called otherwise. `T`: its texts, which names of features follow. */
export interface OffsetWindow<T extends string = string> {
  /** How long it is, or `"lifetime"`. */
  readonly window: T;
  /** How long before the others it ends: `"-7d"` is a week earlier. @default "0s" */
  readonly offset?: T;
  /** What its features are called after the aggregation. @default the window and its offset: `24h_offset_7d` */
  readonly name?: T;
}

/** Windows of one length, one after the other: see `series`. */
export interface SeriesOptions<T extends string = string> {
  /** How long each window is. */
  readonly window: T;
  /** How long after the start of a window the next one starts. @default the window */
  readonly step?: T;
  /** Where the first window starts: `"-7d"`. */
  readonly from: T;
  /** No window ends later: `"-1d"`. @default "0d" */
  readonly to?: T;
  /** What its features are called after the aggregation. @default `1d_series_7d` */
  readonly name?: T;
}

/** A series of windows: its features are lists. */
export interface SeriesWindow<T extends string = string> extends SeriesOptions<T> {
  /** What tells it from one window. */
  readonly kind: "series";
}

/** What a window is called in the names of features: they follow the text that was written. */
export type WindowName<W> = W extends string ? W
  : W extends { readonly name: infer N extends string } ? N
  : W extends
    { readonly kind: "series"; readonly window: infer S extends string; readonly from: infer F extends string }
    ? `${S}_series_${Unsigned<F>}${Signed<"_to_", W, "to">}${SeriesStep<W, S>}`
  : W extends { readonly window: infer S extends string } ? `${S}${Signed<"_offset_", W, "offset">}`
  : never;

/** A duration without its sign. */
export type Unsigned<T extends string> = T extends `-${infer D}` ? D : T;

/** A text and a duration, where there is one before now. */
export type Signed<P extends string, W, K extends string> = W extends { readonly [_ in K]: `-${infer D}` } ? `${P}${D}`
  : "";

/** The step of a series, where it is not the window. */
export type SeriesStep<W, S> = W extends { readonly step: infer T extends string } ? T extends S ? "" : `_step_${T}`
  : "";

/** Aggregates over a row's columns: by name, or a list of those that are called after their column and function. */
export type AggregatesInputOver<R> = AggregatesOver<R> | readonly Aggregate<ColumnName<R>>[];

/** The names of aggregations: `delayMean` in `delayMean_24h`. */
export type AggregationName<A> = A extends readonly unknown[] ? CalledOf<A[number]> : keyof A & string;

/** What a list calls an aggregate. */
export type CalledOf<G> = G extends Aggregate<string, unknown, infer N> ? N : never;

/** The value of an aggregation for a window, which may be empty: counts are 0 and lists are [] then, the rest is null. */
export type WindowValue<R, T> = unknown extends T ? unknown
  : T extends bigint | readonly unknown[] | ListedValue<unknown> | CountedValue<unknown> ? ResolveExpr<R, T>
  : ResolveExpr<R, T> | null;

/** One feature: its name and its value. */
export interface NamedFeature<N extends string, V> {
  /** Its name. */
  readonly name: N;
  /** Its value. */
  readonly value: V;
}

/** The features of one aggregation, one for each window. `D`: the names of aggregations that have a default. */
export type FeaturesOfAggregate<R, N extends string, G, W, S extends string, D> = W extends unknown
  ? NamedFeature<`${N}_${WindowName<W>}`, FeatureValue<R, G, W, S, N extends D ? true : false>>
  : never;

/** The value of an aggregate over a window, in a list for a series, or for the values of a secondary key. */
export type FeatureValue<R, G, W, S extends string, HasDefault> = G extends Aggregate<string, infer T>
  ? [S] extends [never] ? W extends { readonly kind: "series" } ? readonly WindowValue<R, T>[]
    : HasDefault extends true ? NonNullable<WindowValue<R, T>>
    : WindowValue<R, T>
  : readonly WindowValue<R, T>[]
  : never;

/** The lists of values of a secondary key, one for each window. */
export type SecondaryKeys<R, W, S extends string> = S extends unknown ? W extends unknown ? NamedFeature<
      `${S}_keys_${WindowName<W>}`,
      readonly (S extends keyof R ? NonNullable<R[S]> : unknown)[]
    >
  : never
  : never;

/** All features: every aggregation over every window. */
export type WindowFeatures<R, A, W extends readonly unknown[], S extends string, D> = ByName<
  SecondaryKeys<R, W[number], S> | Aggregated<R, A, W[number], S, D>
>;

/** The features of all aggregations, by the way they are written. */
export type Aggregated<R, A, W, S extends string, D> = A extends readonly (infer G)[] ? AggregatedList<R, G, W, S, D>
  : { [N in keyof A & string]: FeaturesOfAggregate<R, N, A[N], W, S, D> }[keyof A & string];

/** The features of a list of aggregates. */
export type AggregatedList<R, G, W, S extends string, D> = G extends unknown
  ? FeaturesOfAggregate<R, CalledOf<G>, G, W, S, D>
  : never;

/** Features as a row. */
export type ByName<F> = [F] extends [infer G]
  ? { [P in G as P extends NamedFeature<infer N, unknown> ? N : never]: ValueOfFeature<P> }
  : never;

/** The value of a feature. */
export type ValueOfFeature<P> = P extends NamedFeature<string, infer V> ? V : never;

/** Makes a misspelt option of a window an error. */
export type CheckedWindows<W> = {
  readonly [I in keyof W]: W[I] extends string ? W[I]
    : { readonly [P in Exclude<keyof W[I], keyof OffsetWindow | keyof SeriesWindow>]: never };
};

/** Over which rows aggregations go, and how. */
export interface AggregateOptions<
  R extends Row = Row,
  A = unknown,
  W extends readonly WindowInput[] = readonly WindowInput[],
  S extends string = string,
  D extends string = string,
> {
  /** How far back to look: `"24h"`, `{ window: "24h", offset: "-7d" }`, `"lifetime"`, `series({ … })`. */
  readonly windows: W & CheckedWindows<W>;
  /**
   * The length of a tile: rows are aggregated once per tile, and windows are merged of tiles, so that it divides the windows and the
   * schedule. With `edge: "fresh"` windows begin at its multiples.
   * @default the longest that fits; with `edge: "fresh"` at most 1m for windows below 1h, 5m below 10h, else 1h
   */
  readonly every?: Duration;
  /**
   * Where windows begin and end (S5). `"complete"`: at the end of the last schedule interval that is known, whole tiles. `"exact"`: at
   * the instant that is asked for, `(t − w, t]`, of single rows, of which requests see the newest `maxRows`. `"fresh"`: at the instant,
   * from the boundary of a tile on, a little longer than the window.
   * @default "complete"
   */
  readonly edge?: WindowEdge;
  /** Whether a row at the very instant that is asked for counts (S5); `"exclusive"` for spines of the rows that are counted. @default "inclusive" */
  readonly boundary?: WindowBoundary;
  /**
   * A column: every feature becomes a list with one element for each of its values in the window, in ascending order. Rows where it is
   * null count nowhere.
   */
  readonly secondaryKey?: S;
  /** With `edge: "exact"`: how many rows of a key are kept for requests, at most 10,000; older ones are left out. @default 1000 */
  readonly maxRows?: number;
  /** What replaces null in all features of an aggregation (S7). */
  readonly defaults?: { readonly [N in D]: DefaultValue<DefaultOf<R, A, N>> };
  /** What aggregations are, in words. */
  readonly descriptions?: { readonly [N in AggregationName<A>]?: string };
}

/** The value of an aggregation, by its name. */
export type DefaultOf<R, A, N extends string> = A extends readonly (infer G)[] ? CalledValue<R, G, N>
  : N extends keyof A ? A[N] extends Aggregate<string, infer T> ? WindowValue<R, T> : unknown
  : unknown;

/** The value of the aggregate of a list that is called so. */
export type CalledValue<R, G, N extends string> = G extends Aggregate<string, infer T, infer M>
  ? M extends N ? WindowValue<R, T> : never
  : never;
