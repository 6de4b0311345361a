/** What a service's reader gives, and takes. */
import type { DataType, Field, Row } from "../schema.ts";
import type { Micros } from "../time.ts";
import type { ViewState } from "../storage/online_store.ts";
import type { AnswerStatus } from "./status.ts";

/** One feature of a service's answers. */
export interface ServedFeature {
  /** The alias of its view in the service. */
  readonly namespace: string;
  /** Its name in the answer. */
  readonly name: string;
  /** The view it comes from. */
  readonly view: string;
  /** The version of that view. */
  readonly version: number;
  /** The type of its values. */
  readonly type: DataType;
  /** It is computed at the request; absent: it is looked up. */
  readonly isComputed?: true;
  /** The feature's own, else absent. */
  readonly description?: string;
  /** Those of its view. */
  readonly tags?: Readonly<Record<string, string>>;
}

/** The stored rows of one request, by view; undefined where there is none. */
export type StoredRows = readonly (Uint8Array | undefined)[];

/** The features of one request, each list in the order of {@link ServiceReader.features}. */
export interface Answer {
  /** As users see them: `Timestamp`, `"YYYY-MM-DD"`, bigint for int64; defaults filled in (S7). */
  readonly values: unknown[];
  /** What became of each look-up. */
  readonly statuses: AnswerStatus[];
  /** When the row became effective, in micros; undefined where there is none. */
  readonly effectiveTimes: (Micros | undefined)[];
  /** When the row's values were true, in micros; undefined where there is none. */
  readonly eventTimes: (Micros | undefined)[];
  /** How many bytes the store gave for it. */
  readonly storedBytes: number;
  /**
   * What all values are made of, by view in the order of their features; undefined also where a row has expired. Equal bytes are
   * equal values. Absent where values depend on more than stored rows.
   */
  readonly storedRows?: StoredRows;
  /** Where something is computed: what that was computed of. */
  readonly inputs?: ComputedInputs;
  /** Aliases of views that leave out rows, since windows reach back to more than are kept online; absent: none. */
  readonly cut?: readonly string[];
}

/** What features of realtime views were computed of. */
export interface ComputedInputs {
  /** What was looked up, in the order of {@link ServiceReader.lookedUp}'s features. */
  readonly lookedUp: Answer;
  /** What the request gave, in row form. */
  readonly fields: Row;
}

/** One request: join keys by name. Keys may be null (S7), but not left out. What it gives beside keys is a read's `context`. */
export type FeatureRequest = Readonly<Record<string, unknown>>;

/** How to read. */
export interface ReadFeaturesOptions {
  /** Request time (S3, S6), micros. */
  readonly at: Micros;
  /** What requests give beside join keys, in their order: every field of {@link ServiceReader.requestFields}, null included. */
  readonly context?: readonly Row[] | undefined;
  /** Whether answers have times; without, their lists are empty: most requests do not ask for them. @default true */
  readonly times?: boolean | undefined;
  /**
   * Whether features that cannot be computed in time are null with the status `TIME_OUT`, beside what was looked up; else the read
   * fails with `TIMEOUT`. @default false
   */
  readonly partial?: boolean | undefined;
  /** Stops the read. */
  readonly signal?: AbortSignal | undefined;
}

/** A service, ready to be read. */
export interface ServiceReader {
  /** The service. */
  readonly service: string;
  /** What an answer's lists hold, in order. */
  readonly features: readonly ServedFeature[];
  /** What every request must name. */
  readonly joinKeys: readonly Field[];
  /** What realtime views need of every request beside join keys. */
  readonly requestFields: readonly Field[];
  /** Where something is computed: the reader of all that is looked up for it. */
  readonly lookedUp?: ServiceReader;
  /** Answers requests in their order, with one look-up in the store for all. */
  read(requests: readonly FeatureRequest[], options: ReadFeaturesOptions): Promise<Answer[]>;
}

/** The state of a view version as the server knows it now: asked at every request, so that it can move under a reader. */
export type FindState = (view: string, version: number) => ViewState | undefined;
