/**
 * What the registry stores: entities, views and services as frozen plain JSON data. The builders in this room make them;
 * nothing else does. Durations are canonical text, instants ISO text, so that equal definitions have equal JSON.
 */
import type { Query } from "../frame/query.ts";
import type { LiteralValue } from "../frame/expr_node.ts";
import type { DataType, Field } from "../schema.ts";

/** Text that describes and does not change data. */
export interface Descriptive {
  readonly description?: string;
  readonly owner?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

/** What features are about, and the columns that identify it. */
export interface EntityDefinition extends Descriptive {
  readonly kind: "entity";
  readonly name: string;
  /** One to eight keys of type string, int64, int32, boolean or date, in order. */
  readonly joinKeys: readonly Field[];
}

/** One feature of a view. */
export interface FeatureDefinition {
  readonly name: string;
  readonly type: DataType;
  /** Replaces null in training and serving alike (S7), encoded as in a literal. */
  readonly default?: LiteralValue;
  readonly description?: string;
}

/** A batch view of attributes: per key, the newest row wins (S3). */
export interface ViewDefinition extends Descriptive {
  readonly kind: "view";
  readonly name: string;
  readonly mode: "attributes";
  readonly entity: EntityDefinition;
  /** Its result has the join keys, the event timestamp, the written timestamp if any, and the features. */
  readonly query: Query;
  readonly eventTimestamp: string;
  readonly writtenTimestamp?: string;
  readonly features: readonly FeatureDefinition[];
  /** Length of a slice and of the schedule interval; epoch-aligned. */
  readonly schedule: string;
  readonly dataDelay: string;
  /** The first slice; aligned to the schedule. */
  readonly start: string;
  /** No slice starts at or after this; absent: for ever. */
  readonly end?: string;
  /** How long a value counts (S6); `"forever"` has no limit. */
  readonly ttl: string;
  /** How many finished slices every schedule runs again (S10). */
  readonly lookback: number;
  readonly online: boolean;
  readonly offline: boolean;
  readonly preventDestroy?: boolean;
}

/** The features of one view as a service reads them. */
export interface ServiceView {
  readonly view: string;
  /** Names this use of the view; the view's name unless the service reads it twice. */
  readonly alias: string;
  readonly features: readonly { readonly feature: string; readonly as: string }[];
  /** The request's or spine's column by the entity's join key, where they differ. */
  readonly joinKeyMap: Readonly<Record<string, string>>;
}

/** What one model reads. */
export interface ServiceDefinition extends Descriptive {
  readonly kind: "service";
  readonly name: string;
  readonly views: readonly ServiceView[];
}

/** Anything the registry holds. */
export type Definition = EntityDefinition | ViewDefinition | ServiceDefinition;

/** Names that stored tables use beside join keys and features. */
export const reservedColumns = {
  eventTimestamp: "event_timestamp",
  effectiveTimestamp: "effective_timestamp",
  writtenTimestamp: "written_timestamp",
} as const;
