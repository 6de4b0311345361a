/** How the types of a view follow from its frame and its options; nothing here exists at run time. */
import type { DefaultValue } from "../frame/frame_types.ts";
import type { Query } from "../frame/query.ts";
import type { WindowedSpec } from "../frame/window_reading.ts";
import type { Field, Row, SchemaTypes } from "../schema.ts";
import type { Duration, TimestampLike } from "../time.ts";
import type { Descriptive } from "./definitions.ts";

/** A frame with its entity, as `frame.by(entity)` gives it, with or without aggregations over windows. */
export interface KeyedSource<R extends Row, Keys extends SchemaTypes, F extends Row = R> {
  /** The rows. */
  readonly frame: { readonly query: Query; readonly row: R };
  /** What they are about. */
  readonly entity: { readonly name: string; readonly joinKeys: readonly Field[]; readonly keys: Keys };
  /** What is computed over which windows, if anything. */
  readonly spec?: WindowedSpec;
  /** Type only: what features can be made of: the columns, or the aggregations over windows. */
  readonly values: F;
}

/** What may be said about one feature. */
export interface FeatureOptions<V = unknown> {
  /** Replaces null, in training and serving alike (S7). */
  readonly default?: DefaultValue<V>;
  /** What it is, in words. */
  readonly description?: string;
}

/** Columns that can be features: all but the join keys. */
export type FeatureName<R extends Row, Keys extends SchemaTypes> = string extends keyof R ? string
  : Exclude<keyof R & string, keyof Keys>;

/** Which columns are features: a list, or a record that says more about each. */
export type FeatureChoice<R extends Row, N extends string> =
  | readonly N[]
  | { readonly [P in N]?: true | FeatureOptions<R[P]> };

/**
 * The names chosen; all columns but the event timestamp when nothing is chosen, which is `never`: without strict null checks,
 * as in a notebook, `undefined` would be any choice.
 */
export type ChosenName<R extends Row, Keys extends SchemaTypes, Choice, Time extends string> = [Choice] extends [never]
  ? Exclude<FeatureName<R, Keys>, Time>
  : Choice extends readonly (infer N extends string)[] ? N
  : Choice extends Row ? keyof Choice & string
  : Exclude<FeatureName<R, Keys>, Time>;

/** Names of features that have a default, in either place where one can be given. */
export type DefaultedName<Choice, Defaults extends string> =
  | Defaults
  | (Choice extends readonly string[] ? never
    : Choice extends Row
      ? { [P in keyof Choice]: Choice[P] extends { readonly default: unknown } ? P : never }[keyof Choice]
    : never);

/** The features of a view: `{ delayMean: number | null }`, without null where there is a default. */
export type FeaturesOf<R extends Row, Keys extends SchemaTypes, Choice, Defaults extends string, Time extends string> =
  // A name of its own lets editors show the features instead of this type.
  ChosenName<R, Keys, Choice, Time> extends infer N extends string
    ? { [P in N]: [P] extends [DefaultedName<Choice, Defaults>] ? NonNullable<R[P]> : R[P] }
    : never;

/** Everything about a view that is not its name, its frame or its features. */
export interface ViewSettings extends Descriptive {
  /** Length of a slice and of the schedule interval, from a minute to a year; slices count from 1970-01-01T00:00:00Z. */
  readonly schedule: Duration;
  /** How long after a slice has ended its rows are all there (S4). @default "0s" */
  readonly dataDelay?: Duration;
  /** The first slice; an instant within a slice means that whole slice. */
  readonly start: TimestampLike;
  /** No slice starts at or after this. @default never */
  readonly end?: TimestampLike;
  /** How long a value counts (S6). Windows say that themselves. @default "forever" */
  readonly ttl?: Duration;
  /**
   * How many finished slices every schedule runs again, for rows that come late (S10). Slices that got rows after they were
   * computed are run again in any case, where the source says when its rows were written. @default 0
   */
  readonly lookback?: number;
  /** Keep the latest values where requests find them. @default false */
  readonly online?: boolean;
  /** Training reads the stored history. Neither online nor offline: nothing is stored, training reads the source. @default true */
  readonly offline?: boolean;
  /** Refuse to delete it until published without this. @default false */
  readonly preventDestroy?: boolean;
}

/** The options of `view`. */
export interface ViewOptions<
  R extends Row = Row,
  Keys extends SchemaTypes = SchemaTypes,
  Choice = unknown,
  Defaults extends string = string,
  Time extends string = string,
  F extends Row = R,
> extends ViewSettings {
  /**
   * Which columns are features, or more about some of them.
   * @default every column that is not a join key or a time; every aggregation over every window
   */
  readonly features?: Choice & CheckedChoice<Choice, FeatureName<F, Keys>>;
  /** Values that replace null, by feature (S7). */
  readonly defaults?: { readonly [P in Defaults]: DefaultValue<F[P]> };
  /** The column that says when a row became true. @default where the source's event timestamp is in the result */
  readonly eventTimestamp?: Time;
  /** The column that says when a row was written. @default where the source's written timestamp is in the result */
  readonly writtenTimestamp?: Extract<keyof R, string>;
}

/** Makes a misspelt name in a record of features an error. */
export type CheckedChoice<Choice, N extends string> = Choice extends readonly unknown[] ? unknown
  : Choice extends object ? { readonly [P in Exclude<keyof Choice, N>]: never }
  : unknown;
