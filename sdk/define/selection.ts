/** What a service takes of a view: some of its features, under names of its own, looked up by columns of its own. */
import { Displayed } from "../display.ts";
import { type Issue, throwIssues, VarveError } from "../errors.ts";
import type { Renamed } from "../frame/frame_types.ts";
import type { Field, Row, SchemaTypes } from "../schema.ts";
import { columnIssues, nameIssues, twinIssues } from "./checks.ts";
import type { AnyView, ServiceView, ViewDefinition } from "./definitions.ts";

/** A record whose names all start with a text. */
export type Prefixed<T, Text extends string> = { [P in keyof T & string as `${Text}${P}`]: T[P] };

/** What a request gives to views that are stored: nothing but join keys. */
export type NoFields = Record<never, never>;

/**
 * Features of one view as a service reads them; `Fields` is what a request gives beside join keys. Immutable: every call gives another
 * selection.
 */
// deno-lint-ignore no-explicit-any
export class ViewSelection<Keys extends SchemaTypes = any, Features extends Row = any, Fields extends Row = any>
  extends Displayed {
  /** The view it selects from. */
  readonly view: AnyView;
  /** The plain data that a service stores. */
  readonly use: ServiceView;
  /** Of a realtime view: the definitions of the views that it reads. */
  readonly inputs: readonly ViewDefinition[];
  /** The columns looked up by, the features, and the fields of a request; types only. */
  declare readonly types: { readonly keys: Keys; readonly features: Features; readonly fields: Fields };

  /** Selects everything, or what `use` says. */
  constructor(view: AnyView, use: ServiceView = everything(view), inputs: readonly ViewDefinition[] = []) {
    super();
    this.view = view;
    this.inputs = Object.freeze([...inputs]);
    this.use = Object.freeze({
      ...use,
      features: Object.freeze(use.features.map((each) => Object.freeze(each))),
      joinKeyMap: Object.freeze(use.joinKeyMap),
    });
    Object.freeze(this);
  }

  /** The view, what is selected of it, and the columns that it is looked up by. */
  override toString(): string {
    const { alias, features, joinKeyMap } = this.use;
    const keys = Object.entries(joinKeyMap).map(([key, column]) => key === column ? key : `${key} from ${column}`);
    return [
      `selection of view ${this.view.name}${alias === this.view.name ? "" : ` as ${alias}`}${
        keys.length > 0 ? `, looked up by ${keys.join(", ")}` : ""
      }`,
      ...features.map(({ feature, as }) => `  ${feature}${as === feature ? "" : ` as ${as}`}`),
    ].join("\n");
  }

  /** Keeps these features, in this order. */
  select<const N extends keyof Features & string>(
    ...names: readonly N[]
  ): ViewSelection<Keys, Pick<Features, N>, Fields> {
    const issues: Issue[] = names.length === 0
      ? [{ path: "", message: "name at least one feature" }]
      : twinIssues(names, "features");
    throwIssues(`Cannot select from view "${this.view.name}"`, issues);
    return this.#with({ features: names.map((name) => this.#require(name, "select")) });
  }

  /** Names this use of the view, so that a service can read the same view twice. Does not rename features: see `prefix`. */
  as(alias: string): ViewSelection<Keys, Features, Fields> {
    throwIssues(`Cannot name a use of view "${this.view.name}"`, nameIssues(alias, "alias"));
    return this.#with({ alias });
  }

  /** Gives features other names: `rename({ delayMean: "origin_delay" })`. */
  rename<const Names extends { readonly [P in keyof Features]?: string }>(
    names: Names,
  ): ViewSelection<Keys, Renamed<Features, Names>, Fields> {
    for (const name of Object.keys(names)) this.#require(name, "rename");
    const texts = names as Readonly<Record<string, string>>;
    return this.#renamed((name) => Object.hasOwn(texts, name) ? texts[name]! : name);
  }

  /** Puts a text before the name of every feature. */
  prefix<const Text extends string>(text: Text): ViewSelection<Keys, Prefixed<Features, Text>, Fields> {
    return this.#renamed((name) => `${text}${name}`);
  }

  /** Looks join keys up by other columns of the request: `mapKeys({ airport: "destination" })`. */
  mapKeys<const Names extends { readonly [P in keyof Keys]?: string }>(
    names: Names,
  ): ViewSelection<Renamed<Keys, Names>, Features, Fields> {
    const columns = new Map(Object.entries(this.use.joinKeyMap));
    const issues: Issue[] = [];
    for (const [name, column] of Object.entries(names)) {
      const key = joinKeysOf(this.view).map((field) => field.name).find((each) => (columns.get(each) ?? each) === name);
      if (key === undefined) {
        const keys = requestKeys(this.use, this.view).map((each) => each.column);
        issues.push({ path: name, message: `there is no such join key; keys are ${keys.join(", ")}` });
      } else {
        issues.push(...columnIssues(column, name));
        columns.set(key, String(column));
      }
    }
    const joinKeyMap = Object.fromEntries(
      [...columns].filter(([key, column]) => key !== column).sort(([a], [b]) => a < b ? -1 : 1),
    );
    issues.push(
      ...twinIssues(requestKeys({ ...this.use, joinKeyMap }, this.view).map((each) => each.column), "mapKeys"),
    );
    throwIssues(`Cannot map the join keys of view "${this.view.name}"`, issues);
    return this.#with({ joinKeyMap });
  }

  #require(name: string, verb: string): ServiceView["features"][number] {
    const found = this.use.features.find((each) => each.as === name);
    if (found) return found;
    const names = this.use.features.map((each) => each.as).join(", ");
    throw new VarveError(
      "INVALID_DEFINITION",
      `Cannot ${verb} feature ${JSON.stringify(name)} of view "${this.view.name}": features are ${names}`,
    );
  }

  // deno-lint-ignore no-explicit-any
  #renamed(name: (feature: string) => string): ViewSelection<Keys, any, Fields> {
    const features = this.use.features.map((each) => ({ feature: each.feature, as: name(each.as) }));
    const issues = features.flatMap((each) => columnIssues(each.as, each.feature));
    throwIssues(`Cannot rename features of view "${this.view.name}"`, [
      ...issues,
      ...twinIssues(features.map((each) => each.as), "features"),
    ]);
    return this.#with({ features });
  }

  // deno-lint-ignore no-explicit-any
  #with(change: Partial<ServiceView>): ViewSelection<any, any, Fields> {
    return new ViewSelection(this.view, { ...this.use, ...change }, this.inputs);
  }
}

function everything(view: AnyView): ServiceView {
  return {
    view: view.name,
    alias: view.name,
    features: view.features.map((feature) => ({ feature: feature.name, as: feature.name })),
    joinKeyMap: {},
  };
}

/** What a view is looked up by. */
export function joinKeysOf(view: AnyView): readonly Field[] {
  return view.kind === "view" ? view.entity.joinKeys : view.joinKeys;
}

/** Which columns of the request or spine a use of a view looks its join keys up by, in their order. */
export function requestKeys(use: ServiceView, view: AnyView): { readonly key: string; readonly column: string }[] {
  return joinKeysOf(view).map((field) => ({
    key: field.name,
    column: Object.hasOwn(use.joinKeyMap, field.name) ? use.joinKeyMap[field.name]! : field.name,
  }));
}
