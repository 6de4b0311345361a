/** Feature services: what one model reads. */
import { Displayed } from "../display.ts";
import { givenText, type Issue, throwIssues, VarveError } from "../errors.ts";
import type { PublishTarget } from "../frame/keyed_frame.ts";
import type { DataType, ValueOf } from "../schema.ts";
import { descriptive, descriptiveIssues, nameIssues } from "./checks.ts";
import type { AnyView, Definition, Descriptive, ServiceDefinition, ViewDefinition } from "./definitions.ts";
import { SelectableView } from "./selectable.ts";
import { ViewSelection } from "./selection.ts";
import { DefinitionSource } from "./source/definition_source.ts";
import { type ModuleOptions, moduleSource } from "./source/module_source.ts";
import { differingViews, requestIssues, usesIssues, usesViewIssues } from "./uses.ts";
import type { PublishOptions } from "./view.ts";

/** What a service is made of: whole views, or selections of views. */
// deno-lint-ignore no-explicit-any
export type ServicePart = SelectableView<any, any, any> | ViewSelection;

/** What has to be given to look one row up: every join key, by the request's names. A null key looks nothing up (S7). */
export type RequestOf<Parts extends readonly ServicePart[]> = Simplify<
  Intersection<{ [I in keyof Parts]: RequestKeys<Parts[I]["types"]["keys"]> }[number]>
>;

/** What a request has to give beside join keys: `{ amount: number | null }`; nothing unless a realtime view asks for it. */
export type RequestFieldsOf<Parts extends readonly ServicePart[]> = Simplify<
  Intersection<Parts[number]["types"]["fields"]>
>;

/** All features of all parts: `{ delayMean: number | null }`. */
export type FeaturesOfParts<Parts extends readonly ServicePart[]> = Simplify<
  Intersection<Parts[number]["types"]["features"]>
>;

/** What a request gives for join keys; a null key looks nothing up (S7). */
export type RequestKeys<Keys> = {
  -readonly [P in keyof Keys]: (Keys[P] extends DataType ? ValueOf<Keys[P]> : never) | null;
};
/** All members of a union at once. */
export type Intersection<U> = (U extends unknown ? (part: U) => void : never) extends (all: infer I) => void ? I
  : never;
/** The same record, spelled out. */
export type Simplify<T> = T extends infer O ? { [P in keyof O]: O[P] } : never;

/** What one model reads: features of several views, under unique names. Immutable. */
// deno-lint-ignore no-explicit-any
export class FeatureService<Request = any, Features = any, Fields = any> extends Displayed {
  /** The plain data that the registry stores. */
  readonly definition: ServiceDefinition;
  /** The definitions of the views it reads, in order. */
  readonly views: readonly AnyView[];
  /** The definitions of the views that its realtime views read. */
  readonly inputs: readonly ViewDefinition[];
  /** The join keys of a request, what comes back, and what a request gives beside join keys; types only. */
  declare readonly types: { readonly request: Request; readonly features: Features; readonly fields: Fields };

  /** Wraps a definition that was checked; see {@link service}. */
  constructor(definition: ServiceDefinition, views: readonly AnyView[], inputs: readonly ViewDefinition[] = []) {
    super();
    this.definition = definition;
    this.views = Object.freeze([...views]);
    this.inputs = Object.freeze([...inputs]);
    Object.freeze(this);
  }

  /** Unique among services. */
  get name(): string {
    return this.definition.name;
  }

  /** The names of its features, in order. */
  get featureNames(): string[] {
    return this.definition.views.flatMap((use) => use.features.map((each) => each.as));
  }

  /** What a registry holds of it: the entities and views it reads, and itself. */
  get definitions(): readonly Definition[] {
    return [...definitionsOf([...this.inputs, ...this.views]), this.definition];
  }

  /** The service as a TypeScript module, with the views that it reads: `varve apply` of the file plans no change. */
  source(options?: ModuleOptions): DefinitionSource {
    return new DefinitionSource(moduleSource([...this.inputs, ...this.views], [this.definition], options));
  }

  /** The service in a few lines of text. */
  override toString(): string {
    const lines = this.definition.views.flatMap(({ view, features }) =>
      features.map(({ feature, as }) => `  ${as} from ${view}.${feature}`)
    );
    return [`service ${this.name}`, ...lines].join("\n");
  }

  /** Plans its publication, with its views; nothing changes until the plan is applied. */
  publish<P>(store: PublishTarget<this, PublishOptions, P>, options: PublishOptions = {}): P {
    return store.publish(this, options);
  }
}

/**
 * Makes a feature service of views and selections of views, over any number of entities.
 *
 * @example
 * ```ts
 * import { entity, fromRows, service, view } from "varve";
 * const rows = fromRows([{ airport: "ATL", at: new Date("2001-01-01"), delay: 5 }], { eventTimestamp: "at" });
 * const delays = view("delays", rows.by(entity("airport", { airport: "string" })), { schedule: "1d", start: "2001-01-01" });
 * const model = service("delay_model", [
 *   delays.mapKeys({ airport: "origin" }).as("origin").prefix("origin_"),
 *   delays.mapKeys({ airport: "destination" }).as("destination").prefix("destination_"),
 * ]);
 * console.log(model.featureNames); // origin_delay, destination_delay
 * ```
 */
export function service<const Parts extends readonly ServicePart[]>(
  name: string,
  parts: Parts,
  options: Descriptive = {},
): FeatureService<RequestOf<Parts>, FeaturesOfParts<Parts>, RequestFieldsOf<Parts>> {
  if (!Array.isArray(parts)) {
    throw new VarveError(
      "INVALID_DEFINITION",
      `Cannot define service ${JSON.stringify(name)}: give its views as a list, as in [delays]`,
    );
  }
  const selections = parts.map(selectionOf);
  const definition: ServiceDefinition = Object.freeze({
    kind: "service",
    name,
    views: Object.freeze(selections.map((selection) => selection.use)),
    ...descriptive(options),
  });
  const views = selections.map((selection) => selection.view);
  const inputs = selections.flatMap((selection) => selection.inputs);
  throwIssues(`Cannot define service ${JSON.stringify(name)}`, [
    ...serviceIssues({ ...definition, ...options }),
    ...serviceViewIssues(definition, new Map(views.map((each) => [each.name, each]))),
    ...differingViews([...inputs, ...views]),
  ]);
  return new FeatureService(definition, views, inputs);
}

/** A part as it is read: all of a view, or what was selected of it. */
export function selectionOf(part: ServicePart): ViewSelection {
  if (part instanceof SelectableView) return part.selection;
  if (part instanceof ViewSelection) return part;
  throw new VarveError(
    "INVALID_DEFINITION",
    `Cannot read features of ${
      givenText(part)
    }: give a view, or what was selected of it, as in delays.select("mean_1h")`,
  );
}

/** Views with the entities that they are about, each once; entities first. */
export function definitionsOf(views: readonly AnyView[]): Definition[] {
  const once = [...new Map(views.map((each) => [each.name, each])).values()];
  const entities = once.flatMap((each) => each.kind === "view" ? [each.entity] : []);
  return [...new Map(entities.map((each) => [each.name, each])).values(), ...once];
}

/** Problems of a service that can be seen without its views. */
export function serviceIssues(service: ServiceDefinition): Issue[] {
  const none = service.views.length === 0 ? [{ path: "views", message: "there are none; give at least one view" }] : [];
  return [...nameIssues(service.name), ...descriptiveIssues(service), ...none, ...usesIssues(service.views, "views")];
}

/** Problems of a service with the views it reads: missing features, columns of two types, features named as what a request gives. */
export function serviceViewIssues(service: ServiceDefinition, views: ReadonlyMap<string, AnyView>): Issue[] {
  return [...usesViewIssues(service.views, views, "views"), ...requestIssues(service.views, views)];
}
