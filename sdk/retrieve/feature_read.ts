/** What a read asks of one view: its definition, which features under which names, and from where the keys come. */
import type {
  AnyView,
  FeatureDefinition,
  RealtimeViewDefinition,
  ServiceDefinition,
  ServiceView,
  ViewDefinition,
} from "../define/definitions.ts";
import { VarveError } from "../errors.ts";
import type { Field } from "../schema.ts";
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

/** The features of one version of a realtime view as one reader wants them. Plain data. */
export interface RealtimeRead {
  /** Names this use of the view. */
  readonly alias: string;
  /** The view. */
  readonly definition: RealtimeViewDefinition;
  /** Which version of it; 0 when it is not published. */
  readonly version: number;
  /** The features that are read, and their names in the result. */
  readonly features: ServiceView["features"];
  /** What it is computed from, looked up by the columns of the spine or request. */
  readonly inputs: readonly FeatureRead[];
}

/** The features of a view of any kind as one reader wants them. */
export type AnyRead = FeatureRead | RealtimeRead;

/** One version of a view. */
export interface DefinedView {
  readonly definition: ViewDefinition;
  readonly version: number;
}

/** One version of a realtime view. */
export interface DefinedRealtimeView {
  readonly definition: RealtimeViewDefinition;
  readonly version: number;
}

/** Finds the version of a view that is read; undefined when there is none. */
export type FindView = (view: string) => DefinedView | DefinedRealtimeView | undefined;

/** The reads of a service. */
export function readsOf(service: ServiceDefinition, find: FindView): AnyRead[] {
  return service.views.map((use) => readOfUse(use, find, `service "${service.name}"`, { service: service.name }));
}

/** A read of every feature of a view under its own name. */
export function readOfView({ definition, version }: DefinedView): FeatureRead {
  const features = definition.features.map(({ name }) => ({ feature: name, as: name }));
  return { alias: definition.name, definition, version, features, joinKeyMap: {} };
}

/** A read of every feature of a realtime view under its own name. */
export function readOfRealtimeView({ definition, version }: DefinedRealtimeView, find: FindView): RealtimeRead {
  const features = definition.features.map(({ name }) => ({ feature: name, as: name }));
  return realtimeRead({ view: definition.name, alias: definition.name, features, joinKeyMap: {} }, {
    definition,
    version,
  }, find);
}

/** Whether a read is computed at the request. */
export function isRealtime(read: AnyRead): read is RealtimeRead {
  return "inputs" in read;
}

function readOfUse(
  use: ServiceView,
  find: FindView,
  title: string,
  details: Readonly<Record<string, string>>,
): AnyRead {
  const found = find(use.view);
  if (!found) {
    throw new VarveError(
      "NOT_FOUND",
      `Cannot read ${title}: view "${use.view}" has no version that is complete; publish it and wait for its backfill (training and previews need not wait: { from: "source" })`,
      { details: { ...details, view: use.view } },
    );
  }
  const known: AnyView["features"] = found.definition.features;
  for (const { feature } of use.features) {
    if (known.some(({ name }) => name === feature)) continue;
    throw new VarveError(
      "NOT_FOUND",
      `Cannot read ${title}: view "${use.view}" version ${found.version} has no feature "${feature}"; features are ${
        known.map(({ name }) => name).join(", ")
      }; if it has it now, publish it again`,
      { details: { ...details, view: use.view, feature } },
    );
  }
  if (isDefinedView(found)) {
    return { alias: use.alias, ...versionOf(found), features: use.features, joinKeyMap: use.joinKeyMap };
  }
  return realtimeRead(use, found, find);
}

function isDefinedView(found: DefinedView | DefinedRealtimeView): found is DefinedView {
  return found.definition.kind === "view";
}

function versionOf<D extends AnyView>({ definition, version }: { readonly definition: D; readonly version: number }) {
  return { definition, version };
}

function realtimeRead(use: ServiceView, found: DefinedRealtimeView, find: FindView): RealtimeRead {
  const { definition } = found;
  const title = `realtime view "${definition.name}"`;
  const inputs = definition.from.map((input) => {
    const read = readOfUse(input, find, title, { view: definition.name });
    if (isRealtime(read)) throw new VarveError("INVALID_DEFINITION", `Cannot read ${title}: it reads another one`);
    const keys = read.definition.entity.joinKeys.map(({ name }): [key: string, column: string] => {
      return [name, mapped(mapped(name, read.joinKeyMap), use.joinKeyMap)];
    });
    const joinKeyMap = Object.fromEntries(keys.filter(([key, column]) => key !== column));
    return { ...read, joinKeyMap };
  });
  return { alias: use.alias, ...versionOf(found), features: use.features, inputs };
}

/** The columns of the spine or request that a read looks up by, each once. */
export function lookupColumns(read: AnyRead): readonly Field[] {
  if (!isRealtime(read)) return keyColumns(read);
  const columns = read.inputs.flatMap(keyColumns);
  return [...new Map(columns.map((column) => [column.name, column])).values()];
}

/** The type of a feature of a read. */
export function featureOf(read: AnyRead, name: string): FeatureDefinition {
  const features: readonly FeatureDefinition[] = read.definition.features;
  return features.find((feature) => feature.name === name)!;
}

/** The columns of the spine or request that hold the join keys, in the entity's order. */
export function keyColumns(read: FeatureRead): Field[] {
  return read.definition.entity.joinKeys.map(({ name, type }) => ({ name: mapped(name, read.joinKeyMap), type }));
}

function mapped(name: string, names: Readonly<Record<string, string>>): string {
  return Object.hasOwn(names, name) ? names[name]! : name;
}

/** The times of a view in micros. */
export function timing(definition: ViewDefinition): { schedule: Micros; dataDelay: Micros; ttl: Micros | undefined } {
  return {
    schedule: durationToMicros(definition.schedule, "schedule"),
    dataDelay: durationToMicros(definition.dataDelay, "dataDelay", { allowZero: true }),
    ttl: definition.ttl === "forever" ? undefined : durationToMicros(definition.ttl, "ttl"),
  };
}
