/** What a store's methods take and give. */
import type { SelectableView } from "./define/selectable.ts";
import type { FeatureService } from "./define/service.ts";
import type { FeatureView, PublishOptions } from "./define/view.ts";
import type { ViewOptions } from "./define/view_types.ts";
import { type OptionNames, VarveError } from "./errors.ts";
import type { Frame } from "./frame/frame.ts";
import type { Query } from "./frame/query.ts";
import type { Answer, ServedFeature } from "./retrieve/service_reader.ts";
import type { TrainOptions } from "./retrieve/training.ts";
import type { Field, Row, RowOf } from "./schema.ts";
import { type WaitOptions, waitOptions } from "./store_jobs.ts";
import type { Readable } from "./store_reads.ts";
import type { TimestampLike } from "./time.ts";

/** A frame with an entity, as `frame.by(entity)` gives it. */
export interface KeyedFeatures {
  /** The rows. */
  readonly frame: { readonly query: Query; readonly row: Row };
  /** What they are about. */
  readonly entity: { readonly name: string; readonly joinKeys: readonly Field[] };
}

/** How a frame with an entity is published: it becomes a view of this name. */
export interface PublishFrameOptions extends ViewOptions, PublishOptions {
  /** The name of the view. */
  readonly name: string;
}

/** What a plan of many definitions may be told. */
export interface PlanStoreOptions extends PublishOptions {
  /** What to delete: `view:x`, `realtimeView:x`, `service:y`, `entity:z`. */
  readonly delete?: readonly string[];
}

export const planOptions: OptionNames<PlanStoreOptions> = { reason: true, delete: true };

/** Which slices to compute by hand. */
export interface MaterializeOptions extends WaitOptions {
  /** An instant in the first slice. @default the view's start */
  readonly start?: TimestampLike;
  /** Up to the slice that holds the instant before this. @default what has closed */
  readonly end?: TimestampLike;
  /** Compute again what is already committed: the source has changed. @default false */
  readonly overwrite?: boolean;
}

export const materializeOptions: OptionNames<MaterializeOptions> = {
  ...waitOptions,
  start: true,
  end: true,
  overwrite: true,
};

/** What a request gives: the join keys of a service or view; any row where there is only a name. */
export type KeysOf<R extends Readable> =
  // deno-lint-ignore no-explicit-any
  R extends FeatureService<infer Q, any, any> ? Q
    // deno-lint-ignore no-explicit-any
    : R extends SelectableView<infer K, any, any> ? RowOf<K>
    : Row;

/** What a request gives beside join keys: the fields that realtime views ask for; any row where there is only a name. */
export type FieldsOf<R extends Readable> =
  // deno-lint-ignore no-explicit-any
  R extends FeatureService<any, any, infer C> ? C
    // deno-lint-ignore no-explicit-any
    : R extends SelectableView<any, any, infer C> ? C
    : Row;

/** The last argument of an online read: it has to be there, with `request`, just where a realtime view asks for fields. */
export type OnlineArguments<R extends Readable, Given> = string extends keyof FieldsOf<R>
  ? [options?: OnlineOptions<Row | readonly Row[]>]
  : [keyof FieldsOf<R>] extends [never] ? [options?: OnlineOptions]
  : [options: OnlineOptions & { readonly request: Given }];

/** What a request is answered: the features of a service or view; any row where there is only a name. */
export type AnswerOf<R extends Readable> =
  // deno-lint-ignore no-explicit-any
  R extends FeatureService<any, infer F, any> ? F
    // deno-lint-ignore no-explicit-any
    : R extends SelectableView<any, infer F, any> ? F
    : Row;

/** How a training set is rebuilt of its record. */
export interface RetrainOptions<F extends Readable = Readable> extends Pick<TrainOptions, "schema" | "signal"> {
  /**
   * The service or view that it was read of: types the rows, as in `train`. A record of other features is refused.
   * @default the record alone says it, and rows are not typed
   */
  readonly features?: F;
}

export const retrainOptions: OptionNames<RetrainOptions> = { features: true, schema: true, signal: true };

/** The rows of a spine, where they are known: those of a frame or of a list. */
export type SpineRow<S> = S extends Frame<infer R> ? R : S extends readonly (infer R extends Row)[] ? R : Row;

/** The features of a view; any text where there is only a name. */
// deno-lint-ignore no-explicit-any
export type FeatureNameOf<V> = V extends FeatureView<any, infer F> ? keyof F & string : string;

/** When, and for how long, an online read may take. */
export interface OnlineOptions<Given = unknown> {
  /**
   * What realtime views ask for beside join keys, `{ amount: 12 }`: every field, null included. One record holds for all keys of
   * a list; a list has one for each. @default nothing
   */
  readonly request?: Given;
  /**
   * The time of the request, which decides what has expired (S6). The newest values are all that an online store has: what
   * was known at an instant in the past is for `train` to say. @default now
   */
  readonly at?: TimestampLike;
  /** Stops the read. */
  readonly signal?: AbortSignal;
}

export const onlineOptions: OptionNames<OnlineOptions> = { request: true, at: true, signal: true };

/** Features with all that is known of them. */
export interface OnlineDetails {
  /** Name, type and view of each feature, in the order of each answer's lists. */
  readonly features: readonly ServedFeature[];
  /** One for each request, in their order. */
  readonly answers: readonly Answer[];
}

/** Where and when a range or a preview looks. */
export interface ReadRangeOptions {
  /** The first instant. */
  readonly start: TimestampLike;
  /** The instant after the last. */
  readonly end: TimestampLike;
  /** `"source"` computes it now. @default "offline" */
  readonly from?: "offline" | "source";
  /** Stops the read. */
  readonly signal?: AbortSignal;
}

export const rangeOptions: OptionNames<ReadRangeOptions> = { start: true, end: true, from: true, signal: true };

/** What a preview looks at. */
export interface PreviewStoreOptions {
  /** The time to look at. @default now */
  readonly at?: TimestampLike;
  /** The most keys to show. @default 100 */
  readonly limit?: number;
  /** Stops the read. */
  readonly signal?: AbortSignal;
}

export const previewOptions: OptionNames<PreviewStoreOptions> = { at: true, limit: true, signal: true };

/** What each request gives beside join keys: one record for all, or one for each. */
export function contextOf(name: string, count: number, given: unknown): readonly Row[] | undefined {
  if (given === undefined) return undefined;
  if (!Array.isArray(given)) return Array.from({ length: count }, () => given as Row);
  if (given.length === count) return given as Row[];
  throw new VarveError(
    "INVALID_REQUEST",
    `Cannot read "${name}": there are ${count} keys and ${given.length} requests; give one for each, or one for all`,
  );
}
