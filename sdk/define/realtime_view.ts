/** Realtime views: features that are computed at the request, of what the request says and of features that are stored. */
import type { PublishTarget } from "../frame/keyed_frame.ts";
import type { InputsOver } from "../frame/frame_types.ts";
import type { Row, SchemaTypes } from "../schema.ts";
import type { Definition, RealtimeViewDefinition, ViewDefinition } from "./definitions.ts";
import { realtimeDefinition } from "./realtime_definition.ts";
import { realtimeText } from "./realtime_text.ts";
import type {
  ComputedFeatures,
  FunctionFeatures,
  KeysOfParts,
  RealtimeFunctionOptions,
  RealtimeInput,
  RealtimeOptions,
  RealtimeRow,
  Settled,
} from "./realtime_types.ts";
import type { FunctionAnswer } from "../sandbox/published_function.ts";
import { SelectableView } from "./selectable.ts";
import { ViewSelection } from "./selection.ts";
import { definitionsOf, type RequestKeys, selectionOf, type ServicePart, type Simplify } from "./service.ts";
import { DefinitionSource } from "./source/definition_source.ts";
import { type ModuleOptions, moduleSource } from "./source/module_source.ts";
import type { PublishOptions } from "./view.ts";

/** A view whose features are computed at the request. Nothing is stored of it. Immutable. */
// deno-lint-ignore no-explicit-any
export class RealtimeView<Keys extends SchemaTypes = any, Features extends Row = any, Fields extends Row = any>
  extends SelectableView<Keys, Features, Fields> {
  /** The plain data that the registry stores. */
  readonly definition: RealtimeViewDefinition;
  /** The definitions of the views that it reads, in order. */
  readonly views: readonly ViewDefinition[];

  /** Wraps a definition that was checked; see {@link realtimeView}. */
  constructor(definition: RealtimeViewDefinition, views: readonly ViewDefinition[]) {
    super();
    this.definition = definition;
    this.views = Object.freeze([...views]);
    Object.freeze(this);
  }

  /** All features, as a service reads them. */
  get selection(): ViewSelection<Keys, Features, Fields> {
    return new ViewSelection(this.definition, undefined, this.views);
  }

  /** What a registry holds of it: the views that it reads with their entities, and itself. */
  get definitions(): readonly Definition[] {
    return definitionsOf([...this.views, this.definition]);
  }

  /** The view as a TypeScript module, with the views that it reads: `varve apply` of the file plans no change. */
  source(options?: ModuleOptions): DefinitionSource {
    return new DefinitionSource(moduleSource([...this.views, this.definition], [], options));
  }

  /** The view in a few lines of text. */
  override toString(): string {
    return realtimeText(this.definition);
  }

  /** Plans its publication, with the views that it reads; nothing changes until the plan is applied. */
  publish<P>(store: PublishTarget<this, PublishOptions, P>, options: PublishOptions = {}): P {
    return store.publish(this, options);
  }
}

/**
 * Makes a realtime view: features computed at the request from fields that the request gives, features of batch views, and the time
 * of the request. Every problem is told at once. They are given by expressions (`features`) or by a function (`output`, `compute`).
 *
 * Nulls flow through expressions as in SQL: defaults of its inputs are there before, its own defaults after (S7). In training the
 * same expressions run over the spine, whose columns give the request fields.
 *
 * The text of a function is published with a hash, and runs in a sandbox wherever features are computed: on servers and for training
 * sets alike. It sees its row and nothing else: a captured variable, an import, and what would not always give the same answer are
 * errors here that name it. Values are as users see them: int64 is bigint, a date is text.
 *
 * @example
 * ```ts
 * import { col, entity, fromRows, realtimeView, requestTimestamp, service, view } from "varve";
 * const rows = fromRows([{ user: "ann", at: new Date("2001-01-01"), usual: 20 }], { eventTimestamp: "at" });
 * const spend = view("spend", rows.by(entity("user", { user: "string" })), { schedule: "1d", start: "2001-01-01" });
 * const ratio = realtimeView("amount_ratio", {
 *   request: { amount: "float64" },
 *   from: [spend],
 *   features: { ratio: col("amount").divide(col("usual")), hour: requestTimestamp().dt.hour() },
 * });
 * console.log(service("fraud", [spend, ratio]).featureNames); // usual, ratio, hour
 * ```
 *
 * @example
 * ```ts
 * import { entity, fromRows, realtimeView, view } from "varve";
 * const rows = fromRows([{ user: "ann", at: new Date("2001-01-01"), usual: 20 }], { eventTimestamp: "at" });
 * const spend = view("spend", rows.by(entity("user", { user: "string" })), { schedule: "1d", start: "2001-01-01" });
 * const risk = realtimeView("risk", {
 *   request: { amount: "float64" },
 *   from: [spend],
 *   output: { score: "float64", band: "string" },
 *   compute: ({ amount, usual }) => {
 *     const score = amount === null ? null : amount / (usual ?? 1);
 *     return { score, band: (score ?? 0) > 3 ? "high" : "low" };
 *   },
 * });
 * console.log(String(risk));
 * ```
 */
export function realtimeView<
  const Request extends SchemaTypes = Record<never, never>,
  const Parts extends readonly ServicePart[] = readonly [],
  const E extends InputsOver<RealtimeRow<Request, Parts>> = Record<never, never>,
  const Output extends SchemaTypes = Record<never, never>,
  const Defaults extends Settled<keyof E | keyof Output> & string = never,
  Answer extends FunctionAnswer<Output> = FunctionAnswer<Output>,
>(
  name: string,
  options:
    | RealtimeOptions<Request, Parts, E, Defaults>
    | RealtimeFunctionOptions<Request, Parts, Output, Defaults, Answer>,
): RealtimeView<
  KeysOfParts<Parts>,
  Simplify<ComputedFeatures<RealtimeRow<Request, Parts>, E, Defaults> & FunctionFeatures<Output, Defaults>>,
  Simplify<RequestKeys<Request>>
> {
  const selections = (options.from ?? []).map(selectionOf);
  const definition = realtimeDefinition(name, selections, options as unknown as RealtimeInput);
  return new RealtimeView(definition, selections.map(({ view }) => view as ViewDefinition));
}
