/**
 * What the registry stores: entities, views and services as frozen plain JSON data. The builders in this room make them;
 * nothing else does. Durations are canonical text, instants ISO text, so that equal definitions have equal JSON.
 */
import type { Query } from "../frame/query.ts";
import type { ExprNode, LiteralValue } from "../frame/expr_node.ts";
import type { AggregationDefinition, WindowBoundary, WindowDefinition, WindowEdge } from "../frame/window_spec.ts";
import type { DataType, Field } from "../schema.ts";

export type { AggregationDefinition, WindowBoundary, WindowDefinition, WindowEdge } from "../frame/window_spec.ts";

/** Text that describes and does not change data. */
export interface Descriptive {
  /** What it is, in words. */
  readonly description?: string;
  /** Who answers for it. */
  readonly owner?: string;
  /** Anything else, as texts by name. */
  readonly tags?: Readonly<Record<string, string>>;
}

/** What features are about, and the columns that identify it. */
export interface EntityDefinition extends Descriptive {
  /** Tells definitions apart. */
  readonly kind: "entity";
  /** Unique among entities. */
  readonly name: string;
  /** One to eight keys of type string, int64, int32, boolean or date, in order. */
  readonly joinKeys: readonly Field[];
}

/** One feature of a view. */
export interface FeatureDefinition {
  /** Unique within its view. */
  readonly name: string;
  /** The type of its column. */
  readonly type: DataType;
  /** Replaces null in training and serving alike (S7), encoded as in a literal. */
  readonly default?: LiteralValue;
  /** What it is, in words. */
  readonly description?: string;
}

/** What every batch view says. */
export interface ViewBase extends Descriptive {
  /** Tells definitions apart. */
  readonly kind: "view";
  /** Unique among views, whatever the case. */
  readonly name: string;
  /** What the features are about. */
  readonly entity: EntityDefinition;
  /** Its result has the join keys, the event timestamp, the written timestamp if any, and what features are made of. */
  readonly query: Query;
  /** The column that says when a row became true. */
  readonly eventTimestamp: string;
  /** The column that says when a row was written. */
  readonly writtenTimestamp?: string;
  /** Length of a slice and of the schedule interval; epoch-aligned. */
  readonly schedule: string;
  /** How long after a slice has ended its rows are all there (S4). */
  readonly dataDelay: string;
  /** The first slice; aligned to the schedule. */
  readonly start: string;
  /** No slice starts at or after this; absent: for ever. */
  readonly end?: string;
  /** How long a value counts (S6); `"forever"` has no limit, and is what aggregates over windows have. */
  readonly ttl: string;
  /** How many finished slices every schedule runs again (S10). */
  readonly lookback: number;
  /** Whether the latest values are kept where requests find them. */
  readonly online: boolean;
  /** Whether training reads the stored history. */
  readonly offline: boolean;
  /** Whether deleting it is refused. */
  readonly preventDestroy?: boolean;
}

/** A batch view of attributes: per key, the newest row wins (S3). */
export interface AttributeView extends ViewBase {
  /** How rows become values: the newest counts. */
  readonly mode: "attributes";
  /** In the order of the query's columns. */
  readonly features: readonly FeatureDefinition[];
}

/** A batch view of aggregates: per key, functions over windows of its rows (S5). */
export interface AggregateView extends ViewBase {
  /** How rows become values: they are aggregated over windows. */
  readonly mode: "aggregates";
  /** The length of a tile, epoch-aligned; divides `schedule`. */
  readonly every: string;
  /** Where windows begin and end (S5). */
  readonly edge: WindowEdge;
  /** Whether a row at the very instant of the request counts (S5). */
  readonly boundary: WindowBoundary;
  /** With `edge: "exact"`, how many rows of a key are kept online; older ones are left out, and counted. */
  readonly maxRows?: number;
  /** A column of the query: every feature becomes a list with one element per value of it, in ascending order. */
  readonly secondaryKey?: Field;
  /** What is computed, once for all windows; sorted by name. */
  readonly aggregations: readonly AggregationDefinition[];
  /** Aggregations over windows: by window, then by aggregation, as they were written. */
  readonly features: readonly WindowFeature[];
}

/** A batch view. */
export type ViewDefinition = AttributeView | AggregateView;

/** A feature of a view of aggregates. */
export interface WindowFeature extends FeatureDefinition {
  /** The name of the aggregation; absent where the feature is the list of secondary keys of the window. */
  readonly aggregation?: string;
  /** Over which rows. */
  readonly window: WindowDefinition;
}

/** What is computed at the request. */
export interface RealtimeViewDefinition extends Descriptive {
  /** Tells definitions apart. */
  readonly kind: "realtimeView";
  /** Unique among views of every kind, whatever the case. */
  readonly name: string;
  /** What every request gives beside its join keys, in order. */
  readonly request: readonly Field[];
  /** The features of batch views that it reads, under the names that it reads them by. */
  readonly from: readonly ServiceView[];
  /** The columns that `from` gives, in order; kept so that a view whose features change their types is noticed. */
  readonly inputs: readonly Field[];
  /** What its inputs are looked up by, in order of first use; kept as inputs are. */
  readonly joinKeys: readonly Field[];
  /** How rows of request fields and inputs become rows of features. */
  readonly compute: RealtimeCompute;
  /** In the order they were written. */
  readonly features: readonly FeatureDefinition[];
}

/** How the features of a realtime view are computed: by expressions over a row, or by a function of it. */
export type RealtimeCompute = RealtimeExpressions | RealtimeFunction;

/** An expression for each feature, over request fields, inputs and the time of the request. */
export interface RealtimeExpressions {
  /** Tells ways to compute apart. */
  readonly kind: "expressions";
  /** By feature. */
  readonly expressions: Readonly<Record<string, ExprNode>>;
}

/** A function of a row of request fields, inputs and the time of the request; it gives the features, and runs in a sandbox. */
export interface RealtimeFunction {
  /** Tells ways to compute apart. */
  readonly kind: "function";
  /** Its text: one JavaScript expression that needs nothing but the row. */
  readonly source: string;
  /** Of what it means: white space, comments and quotes do not change it. */
  readonly hash: string;
}

/** A view that services read: stored, or computed at the request. */
export type AnyView = ViewDefinition | RealtimeViewDefinition;

/** The features of one view as a service or a realtime view reads them. */
export interface ServiceView {
  /** The name of the view. */
  readonly view: string;
  /** Names this use of the view; the view's name unless it is read twice. */
  readonly alias: string;
  /** Features of the view, with the names that its reader gives them, in order. */
  readonly features: readonly { readonly feature: string; readonly as: string }[];
  /** The request's or spine's column by the view's join key, where they differ. */
  readonly joinKeyMap: Readonly<Record<string, string>>;
}

/** What one model reads. */
export interface ServiceDefinition extends Descriptive {
  /** Tells definitions apart. */
  readonly kind: "service";
  /** Unique among services. */
  readonly name: string;
  /** What it reads, in order. */
  readonly views: readonly ServiceView[];
}

/** Anything the registry holds. */
export type Definition = EntityDefinition | ViewDefinition | RealtimeViewDefinition | ServiceDefinition;

/** Names that stored tables use beside join keys and features. */
export const reservedColumns = {
  eventTimestamp: "event_timestamp",
  effectiveTimestamp: "effective_timestamp",
  writtenTimestamp: "written_timestamp",
} as const;
