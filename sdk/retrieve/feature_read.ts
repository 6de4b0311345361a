/** What a read asks of one view: its definition, which features under which names, and from where the keys come. */
import type { ServiceDefinition, ServiceView, ViewDefinition } from "../define/definitions.ts";
import { VarveError } from "../errors.ts";
import { durationToMicros, type Micros } from "../time.ts";

/** The features of one version of a view as one reader wants them. Plain data. */
export interface FeatureRead {
  /** Names this use of the view. */
  readonly alias: string;
  /** The view. */
  readonly definition: ViewDefinition;
  /** Which version of it; 0 when it is not published. */
  readonly version: number;
  /** The features that are read, and their names in the result. */
  readonly features: ServiceView["features"];
  /** The column of the spine or request by join key, where they differ. */
  readonly joinKeyMap: Readonly<Record<string, string>>;
}

/** One version of a view. */
export interface DefinedView {
  readonly definition: ViewDefinition;
  readonly version: number;
}

/** The reads of a service. `find` gives the version of a view that is read; undefined when there is none. */
export function readsOf(service: ServiceDefinition, find: (view: string) => DefinedView | undefined): FeatureRead[] {
  return service.views.map((use) => {
    const found = find(use.view);
    if (!found) {
      throw new VarveError(
        "NOT_FOUND",
        `Cannot read service "${service.name}": view "${use.view}" has no version that is complete; publish it and wait for its backfill, or read from: "source"`,
        { details: { service: service.name, view: use.view } },
      );
    }
    for (const { feature } of use.features) {
      if (found.definition.features.some(({ name }) => name === feature)) continue;
      throw new VarveError(
        "NOT_FOUND",
        `Cannot read service "${service.name}": view "${use.view}" version ${found.version} has no feature "${feature}"; features are ${
          found.definition.features.map(({ name }) => name).join(", ")
        }`,
        { details: { service: service.name, view: use.view, feature } },
      );
    }
    return { alias: use.alias, ...found, features: use.features, joinKeyMap: use.joinKeyMap };
  });
}

/** A read of every feature of a view under its own name. */
export function readOfView({ definition, version }: DefinedView): FeatureRead {
  const features = definition.features.map(({ name }) => ({ feature: name, as: name }));
  return { alias: definition.name, definition, version, features, joinKeyMap: {} };
}

/** The columns of the spine or request that hold the join keys, in the entity's order. */
export function keyColumns(
  read: FeatureRead,
): { readonly name: string; readonly type: ViewDefinition["entity"]["joinKeys"][number]["type"] }[] {
  return read.definition.entity.joinKeys.map(({ name, type }) => ({ name: read.joinKeyMap[name] ?? name, type }));
}

/** The times of a view in micros. */
export function timing(definition: ViewDefinition): { schedule: Micros; dataDelay: Micros; ttl: Micros | undefined } {
  return {
    schedule: durationToMicros(definition.schedule, "schedule"),
    dataDelay: durationToMicros(definition.dataDelay, "dataDelay", { allowZero: true }),
    ttl: definition.ttl === "forever" ? undefined : durationToMicros(definition.ttl, "ttl"),
  };
}
