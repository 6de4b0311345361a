/** Feature views: a frame about an entity, with a name and a schedule. */
import { VarveError } from "../errors.ts";
import type { PublishTarget } from "../frame/keyed_frame.ts";
import type { Row, SchemaTypes } from "../schema.ts";
import type { EntityDefinition, ViewDefinition } from "./definitions.ts";
import { SelectableView } from "./selectable.ts";
import { type NoFields, ViewSelection } from "./selection.ts";
import { aggregateDefinition } from "./aggregate_definition.ts";
import { knownGlance, rememberProfile } from "./view_facts.ts";
import { type ProfileOptions, profileView, type ViewProfile } from "./view_profile.ts";
import { DefinitionSource } from "./source/definition_source.ts";
import { type ModuleOptions, moduleSource } from "./source/module_source.ts";
import { viewText } from "./view_text.ts";
import { definitionWarnings } from "./view_warnings.ts";
import { viewDefinition } from "./view_definition.ts";
import type { FeatureChoice, FeatureName, FeaturesOf, KeyedSource, ViewOptions } from "./view_types.ts";

export type { KeyedSource } from "./view_types.ts";

/** A store that profiles what is stored of a view. */
export interface ProfileTarget {
  /** Profiles its history, or its source when it is not published. */
  // deno-lint-ignore no-explicit-any
  profile(view: any, options: ProfileOptions): Promise<ViewProfile>;
}

/** How something is published. */
export interface PublishOptions {
  /** Why, in words; kept in the history. */
  readonly reason?: string;
}

/** A batch feature view: per key of its entity, the newest row (S3), or aggregations over windows (S5). Immutable. */
// deno-lint-ignore no-explicit-any
export class FeatureView<Keys extends SchemaTypes = any, Features extends Row = any>
  extends SelectableView<Keys, Features, NoFields> {
  /** The plain data that the registry stores. */
  readonly definition: ViewDefinition;
  /** Wraps a definition that was checked; see {@link view}. */
  constructor(definition: ViewDefinition) {
    super();
    this.definition = definition;
    Object.freeze(this);
  }

  /** All features, as a service reads them. */
  get selection(): ViewSelection<Keys, Features, NoFields> {
    return new ViewSelection(this.definition);
  }

  /** What a registry holds of it: its entity and itself. */
  get definitions(): readonly [EntityDefinition, ViewDefinition] {
    return [this.definition.entity, this.definition];
  }

  /** What works and may still surprise. */
  get warnings(): readonly string[] {
    return definitionWarnings(this.definition);
  }

  /**
   * What the view holds: each feature over time and by entity. Computed from the source; with a store, from what is stored there
   * once it is published.
   */
  async profile<const N extends keyof Features & string = keyof Features & string>(
    options: ProfileOptions<N> & { readonly store?: ProfileTarget } = {},
  ): Promise<ViewProfile<N>> {
    const { store, ...rest } = options;
    if (store) return await store.profile(this, rest) as ViewProfile<N>;
    const found = await profileView()(this.definition, rest);
    if (rest.features === undefined) rememberProfile(this.definition, found);
    return found as ViewProfile<N>;
  }

  /** The view as a TypeScript module, with all that it is made of: `varve apply` of the file plans no change. */
  source(options?: ModuleOptions): DefinitionSource {
    return new DefinitionSource(moduleSource([this.definition], [], options));
  }

  /** The view in a few lines of text. */
  override toString(): string {
    return viewText(this.definition);
  }

  /** What a console shows, which cannot wait: the definition, and what was seen of its features when it was shown or profiled. */
  override inspectText(): string {
    return knownGlance(this.definition) ? this.rendering().first["text/plain"] : this.toString();
  }

  /** Plans its publication; nothing changes until the plan is applied. */
  publish<P>(store: PublishTarget<this, PublishOptions, P>, options: PublishOptions = {}): P {
    return store.publish(this, options);
  }
}

/**
 * Makes a feature view of a frame about an entity, or of aggregations over windows. Every problem is told at once.
 *
 * `start` is moved back and `end` forward to boundaries of the schedule, as slices are whole.
 */
export function view<
  R extends Row,
  Keys extends SchemaTypes,
  F extends Row,
  const Choice extends FeatureChoice<F, FeatureName<F, Keys>> | undefined = never,
  const Defaults extends FeatureName<F, Keys> = never,
  const Time extends FeatureName<R, Keys> = never,
>(
  name: string,
  source: KeyedSource<R, Keys, F>,
  options: ViewOptions<R, Keys, Choice, Defaults, Time, F>,
): FeatureView<Keys, FeaturesOf<F, Keys, Choice, Defaults, Time>> {
  if (!("entity" in source)) {
    throw new VarveError(
      "INVALID_DEFINITION",
      `Cannot define view ${
        JSON.stringify(name)
      }: say what its rows are about, as in frame.by(entity("airport", { origin: "string" }))`,
    );
  }
  return new FeatureView(
    source.spec
      ? aggregateDefinition(name, source, source.spec, options as ViewOptions)
      : viewDefinition(name, source, options as ViewOptions),
  );
}
