/** What views of every kind can do for a service: be read in part, under other names, by other keys. */
import { Displayed } from "../display.ts";
import type { Renamed } from "../frame/frame_types.ts";
import type { Row, SchemaTypes } from "../schema.ts";
import type { AnyView } from "./definitions.ts";
import type { Prefixed, ViewSelection } from "./selection.ts";

/** A view that a service can read. Immutable. */
export abstract class SelectableView<Keys extends SchemaTypes, Features extends Row, Fields extends Row>
  extends Displayed {
  /** The plain data that the registry stores. */
  abstract readonly definition: AnyView;
  /** The join keys, the features, and what a request gives beside join keys; types only. */
  declare readonly types: { readonly keys: Keys; readonly features: Features; readonly fields: Fields };

  /** Unique among views. */
  get name(): string {
    return this.definition.name;
  }

  /** All features, as a service reads them. */
  abstract get selection(): ViewSelection<Keys, Features, Fields>;

  /** Keeps these features, in this order. */
  select<const N extends keyof Features & string>(
    ...names: readonly N[]
  ): ViewSelection<Keys, Pick<Features, N>, Fields> {
    return this.selection.select(...names);
  }

  /** Names a use of the view, so that a service can read the same view twice. */
  as(alias: string): ViewSelection<Keys, Features, Fields> {
    return this.selection.as(alias);
  }

  /** Gives features other names: `rename({ delayMean: "origin_delay" })`. */
  rename<const Names extends { readonly [P in keyof Features]?: string }>(
    names: Names,
  ): ViewSelection<Keys, Renamed<Features, Names>, Fields> {
    return this.selection.rename(names);
  }

  /** Puts a text before the name of every feature. */
  prefix<const Text extends string>(text: Text): ViewSelection<Keys, Prefixed<Features, Text>, Fields> {
    return this.selection.prefix(text);
  }

  /** Looks join keys up by other columns of the request: `mapKeys({ airport: "destination" })`. */
  mapKeys<const Names extends { readonly [P in keyof Keys]?: string }>(
    names: Names,
  ): ViewSelection<Renamed<Keys, Names>, Features, Fields> {
    return this.selection.mapKeys(names);
  }
}
