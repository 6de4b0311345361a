/** Feature services: what one model reads. */
import { Displayed } from "../display.ts";
import { type Issue, throwIssues } from "../errors.ts";
import type { PublishTarget } from "../frame/keyed_frame.ts";
import { type DataType, formatType, sameType, type ValueOf } from "../schema.ts";
import { columnIssues, descriptive, descriptiveIssues, nameIssues } from "./checks.ts";
import type { Definition, Descriptive, ServiceDefinition, ServiceView, ViewDefinition } from "./definitions.ts";
import { requestKeys, ViewSelection } from "./selection.ts";
import { DefinitionSource } from "./source/definition_source.ts";
import { type ModuleOptions, moduleSource } from "./source/module_source.ts";
import { FeatureView, type PublishOptions } from "./view.ts";

/** What a service is made of: whole views, or selections of views. */
export type ServicePart = FeatureView | ViewSelection;

/** What has to be given to look one row up: every join key, by the request's names. A null key looks nothing up (S7). */
export type RequestOf<Parts extends readonly ServicePart[]> = Simplify<
  Intersection<{ [I in keyof Parts]: RequestKeys<Parts[I]["types"]["keys"]> }[number]>
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
export class FeatureService<Request = any, Features = any> extends Displayed {
  /** The plain data that the registry stores. */
  readonly definition: ServiceDefinition;
  /** The definitions of the views it reads, in order. */
  readonly views: readonly ViewDefinition[];
  /** What a request holds and what comes back; types only. */
  declare readonly types: { readonly request: Request; readonly features: Features };

  /** Wraps a definition that was checked; see {@link service}. */
  constructor(definition: ServiceDefinition, views: readonly ViewDefinition[]) {
    super();
    this.definition = definition;
    this.views = Object.freeze([...views]);
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
    const views = [...new Map(this.views.map((each) => [each.name, each])).values()];
    const entities = [...new Map(views.map((each) => [each.entity.name, each.entity])).values()];
    return [...entities, ...views, this.definition];
  }

  /** The service as a TypeScript module, with the views that it reads: `varve apply` of the file plans no change. */
  source(options?: ModuleOptions): DefinitionSource {
    return new DefinitionSource(moduleSource(this.views, [this.definition], options));
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
): FeatureService<RequestOf<Parts>, FeaturesOfParts<Parts>> {
  const selections = parts.map((part) => part instanceof FeatureView ? part.selection : part);
  const definition: ServiceDefinition = Object.freeze({
    kind: "service",
    name,
    views: Object.freeze(selections.map((selection) => selection.use)),
    ...descriptive(options),
  });
  const views = selections.map((selection) => selection.view);
  throwIssues(`Cannot define service ${JSON.stringify(name)}`, [
    ...serviceIssues({ ...definition, ...options }),
    ...serviceViewIssues(definition, new Map(views.map((each) => [each.name, each]))),
    ...differingViews(views),
  ]);
  return new FeatureService(definition, views);
}

/** Problems of a service that can be seen without its views. */
export function serviceIssues(service: ServiceDefinition): Issue[] {
  const issues: Issue[] = [...nameIssues(service.name), ...descriptiveIssues(service)];
  if (service.views.length === 0) issues.push({ path: "views", message: "there are none; give at least one view" });
  const aliases = new Map<string, ServiceView>();
  const outputs = new Map<string, ServiceView>();
  for (const use of service.views) {
    const path = `views.${use.alias}`;
    issues.push(...nameIssues(use.alias, path));
    const twin = aliases.get(use.alias.toLowerCase());
    if (twin) {
      const again = twin.view === use.view
        ? `it reads view "${use.view}" twice`
        : `two views are called "${use.alias}"`;
      issues.push({ path, message: `${again}; name each use: .as("…")` });
    }
    aliases.set(use.alias.toLowerCase(), use);
    if (use.features.length === 0) issues.push({ path, message: "no feature is selected" });
    for (const { as } of use.features) {
      issues.push(...columnIssues(as, `${path}.${as}`));
      const other = outputs.get(as.toLowerCase());
      if (other) {
        const where = other === use
          ? `twice in view "${use.view}"`
          : `in view "${other.view}" and in view "${use.view}"`;
        issues.push({
          path: `features.${as}`,
          message: `the name is there ${where}; use .rename({ ${as}: "…" }) or .prefix("${use.alias}_")`,
        });
      }
      outputs.set(as.toLowerCase(), use);
    }
  }
  return issues;
}

/** Problems of a service with the views it reads: missing features, keys of two types, features named as a key. */
export function serviceViewIssues(service: ServiceDefinition, views: ReadonlyMap<string, ViewDefinition>): Issue[] {
  const issues: Issue[] = [];
  const keys = new Map<string, { readonly type: DataType; readonly view: string }>();
  for (const use of service.views) {
    const path = `views.${use.alias}`;
    const view = views.get(use.view);
    if (!view) {
      issues.push({
        path,
        message: `there is no view "${use.view}"; views are ${[...views.keys()].join(", ") || "none"}`,
      });
      continue;
    }
    const known = view.features.map((feature) => feature.name);
    for (const { feature } of use.features) {
      if (!known.includes(feature)) {
        issues.push({
          path,
          message: `view "${use.view}" has no feature "${feature}"; features are ${known.join(", ")}`,
        });
      }
    }
    for (const key of Object.keys(use.joinKeyMap)) {
      if (!view.entity.joinKeys.some((field) => field.name === key)) {
        issues.push({ path, message: `entity "${view.entity.name}" has no join key "${key}"` });
      }
    }
    for (const [i, { column }] of requestKeys(use, view).entries()) {
      const type = view.entity.joinKeys[i]!.type;
      const other = keys.get(column);
      if (other && !sameType(other.type, type)) {
        issues.push({
          path: `request.${column}`,
          message: `view "${other.view}" wants ${formatType(other.type)}, view "${use.view}" wants ${
            formatType(type)
          }; use .mapKeys to give one of them another name`,
        });
      }
      keys.set(column, { type, view: use.view });
    }
  }
  for (const use of service.views) {
    for (const { as } of use.features) {
      if (keys.has(as)) {
        issues.push({
          path: `features.${as}`,
          message: `"${as}" of view "${use.view}" is also a join key of the request; rename the feature`,
        });
      }
    }
  }
  return issues;
}

/** Selections of one view must be of one definition of it. */
function differingViews(views: readonly ViewDefinition[]): Issue[] {
  const seen = new Map<string, string>();
  const issues: Issue[] = [];
  for (const view of views) {
    const json = JSON.stringify(view);
    if ((seen.get(view.name) ?? json) !== json) {
      issues.push({
        path: `views.${view.name}`,
        message: "two definitions of this view are mixed; make both selections from the same one",
      });
    }
    seen.set(view.name, json);
  }
  return issues;
}

/** Makes a service again from what a registry holds: without types. */
export function serviceFrom(definition: ServiceDefinition, views: ReadonlyMap<string, ViewDefinition>): FeatureService {
  throwIssues(`Cannot use service "${definition.name}"`, serviceViewIssues(definition, views));
  return new FeatureService(definition, definition.views.map((use) => views.get(use.view)!));
}
