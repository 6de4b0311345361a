/** How the types of a realtime view follow from its options; nothing here exists at run time. */
import type { ExprNode } from "../frame/expr_node.ts";
import type { DefaultValue, InputsOver, Resolved } from "../frame/frame_types.ts";
import type { FunctionAnswer } from "../sandbox/published_function.ts";
import type { Row, SchemaTypes, ValueOf } from "../schema.ts";
import type { Timestamp } from "../time.ts";
import type { Descriptive } from "./definitions.ts";
import type { FeaturesOfParts, Intersection, RequestKeys, ServicePart, Simplify } from "./service.ts";

/** A type that is known from elsewhere: nothing is inferred of where it stands. */
export type Settled<T> = [T][T extends unknown ? 0 : never];

/** What an expression of a realtime view sees: request fields, inputs, and the time of the request. */
export type RealtimeRow<Request, Parts extends readonly ServicePart[]> = Simplify<
  & RequestKeys<Request>
  & FeaturesOfParts<Parts>
  & { readonly __request_timestamp: Timestamp }
>;

/** What the inputs of a realtime view are looked up by. */
export type KeysOfParts<Parts extends readonly ServicePart[]> = Simplify<Intersection<Parts[number]["types"]["keys"]>>;

/** The features of expressions over a row, without null where there is a default. Spelled out, so that editors show them. */
export type ComputedFeatures<R, E, Defaults extends string> = Simplify<
  { -readonly [P in keyof E & string]: P extends Defaults ? NonNullable<Resolved<R, E[P]>> : Resolved<R, E[P]> }
>;

/** The options of `realtimeView`. */
export interface RealtimeOptions<
  Request extends SchemaTypes = SchemaTypes,
  Parts extends readonly ServicePart[] = readonly ServicePart[],
  E extends object = InputsOver<Row>,
  Defaults extends string = string,
> extends Descriptive {
  /** The fields that every request gives beside join keys, with their types; a field may be null. @default none */
  readonly request?: Request;
  /** The features that it reads: batch views, or selections of them, as a service takes them. @default none */
  readonly from?: Parts;
  /** What is computed, by feature: expressions over request fields, the features of `from`, and `requestTimestamp()`. */
  readonly features: E;
  /** Of a function only. */
  readonly output?: undefined;
  /** Of a function only. */
  readonly compute?: undefined;
  /** Values that replace null, by feature (S7). */
  readonly defaults?: {
    readonly [P in Defaults]: P extends keyof E ? DefaultValue<Resolved<RealtimeRow<Request, Parts>, E[P]>> : never;
  };
  /** What features are, in words. */
  readonly descriptions?: { readonly [P in Settled<keyof E & string>]?: string };
}

/** The row that the function of a realtime view is given: request fields, inputs, and the time of the request. */
export type FunctionRow<Request, Parts extends readonly ServicePart[]> = Simplify<
  & RequestKeys<Request>
  & FeaturesOfParts<Parts>
  & { readonly requestTimestamp: Timestamp }
>;

/** The features that a function gives, without null where there is a default. */
export type FunctionFeatures<Output extends SchemaTypes, Defaults extends string> = {
  -readonly [P in keyof Output & string]: P extends Defaults ? ValueOf<Output[P]> : ValueOf<Output[P]> | null;
};

/** What keeps an answer from having features that are not of its output. */
export type OnlyOf<Output, Answer> = {
  readonly [P in Exclude<keyof Answer, keyof Output>]: "no feature of the output";
};

/** The options of `realtimeView` with a function. */
export interface RealtimeFunctionOptions<
  Request extends SchemaTypes = SchemaTypes,
  Parts extends readonly ServicePart[] = readonly ServicePart[],
  Output extends SchemaTypes = SchemaTypes,
  Defaults extends string = string,
  Answer = FunctionAnswer<Output>,
> extends Descriptive {
  /** The fields that every request gives beside join keys, with their types; a field may be null. @default none */
  readonly request?: Request;
  /** The features that it reads: batch views, or selections of them, as a service takes them. @default none */
  readonly from?: Parts;
  /** Of expressions only. */
  readonly features?: undefined;
  /** The features with their types. */
  readonly output: Output;
  /**
   * Gives the features of a row: request fields, the features of `from`, and `requestTimestamp`. Its text is published and runs
   * elsewhere: it may use what is declared inside it and nothing else, and its answer may depend on its row alone.
   */
  readonly compute: (row: FunctionRow<Request, Parts>) => Answer & OnlyOf<Output, Answer>;
  /** Values that replace null, by feature (S7). */
  readonly defaults?: { readonly [P in Defaults]: P extends keyof Output ? DefaultValue<ValueOf<Output[P]>> : never };
  /** What features are, in words. */
  readonly descriptions?: { readonly [P in Settled<keyof Output & string>]?: string };
}

/** What is checked of a realtime view before it has types. */
export interface RealtimeInput extends Descriptive {
  readonly request?: SchemaTypes;
  readonly from?: readonly ServicePart[];
  readonly features?: Readonly<Record<string, string | { readonly node: ExprNode }>>;
  readonly output?: SchemaTypes;
  readonly compute?: unknown;
  readonly defaults?: Readonly<Record<string, unknown>>;
  readonly descriptions?: Readonly<Record<string, string | undefined>>;
}
