/** What the registry knows at one point of its log, and the changes that lead there. Plain JSON data. */
import type {
  EntityDefinition,
  RealtimeViewDefinition,
  ServiceDefinition,
  ViewDefinition,
} from "../define/definitions.ts";

/** One version of a view: data lives under `views/<name>/<version>/`. */
export interface ViewVersion {
  /** From 1; a number is never used twice. */
  readonly version: number;
  /** What it was made of. */
  readonly definition: ViewDefinition;
  /** Hash of what shapes the data: another hash means another version. */
  readonly dataHash: string;
  /** When it was planned, as ISO text. */
  readonly createdAt: string;
}

/** A view with its versions: `serving` is read by services; `building` is backfilled beside it and takes over when complete. */
export interface RegisteredView {
  /** Unique among views. */
  readonly name: string;
  /** In order of their numbers. */
  readonly versions: readonly ViewVersion[];
  /** The version that training and serving read; undefined until the first version is complete. */
  readonly serving?: number;
  /** The version that is being backfilled, if it is not the serving one. */
  readonly building?: number;
  /** Versions that have been complete and are still there; the one that became serving last comes last. */
  readonly served?: readonly number[];
}

/** One version of a realtime view. Nothing is stored of it, so that it serves as soon as what it reads does. */
export interface RealtimeVersion {
  /** From 1; a number is never used twice. Every change of the definition makes a version. */
  readonly version: number;
  /** What is computed. */
  readonly definition: RealtimeViewDefinition;
  /** When it was planned, as ISO text. */
  readonly createdAt: string;
}

/** A realtime view with its newest versions. */
export interface RegisteredRealtimeView {
  /** Unique among views of every kind. */
  readonly name: string;
  /** In order of their numbers; the newest one that fits the views that serve is read. */
  readonly versions: readonly RealtimeVersion[];
}

/** Everything that is registered in one workspace. */
export interface RegistryState {
  /** Number of the last change; 0 is an empty registry. */
  readonly revision: number;
  /** By name. */
  readonly entities: Readonly<Record<string, EntityDefinition>>;
  /** By name. */
  readonly views: Readonly<Record<string, RegisteredView>>;
  /** By name. */
  readonly realtimeViews: Readonly<Record<string, RegisteredRealtimeView>>;
  /** By name. */
  readonly services: Readonly<Record<string, ServiceDefinition>>;
  /** What services were before, the newest first: read while a view that the new definition needs is still being built. */
  readonly formerServices?: Readonly<Record<string, readonly ServiceDefinition[]>>;
  /** The highest version each view ever had, deleted ones included: a number is never used twice, as old data may still lie there. */
  readonly lastVersions?: Readonly<Record<string, number>>;
}

/** One step of a change. */
export type Action =
  | { readonly kind: "putEntity"; readonly entity: EntityDefinition }
  | { readonly kind: "deleteEntity"; readonly name: string }
  /** New name, or changed data: a new version that is built beside the serving one. */
  | { readonly kind: "addVersion"; readonly version: ViewVersion }
  /** Changed description, owner, tags, defaults, ttl, lookback, switches: the same version, another definition. */
  | {
    readonly kind: "updateVersion";
    readonly view: string;
    readonly version: number;
    readonly definition: ViewDefinition;
  }
  /** The pointer: a building version is complete, or a rollback. */
  | { readonly kind: "serve"; readonly view: string; readonly version: number }
  | { readonly kind: "deleteVersion"; readonly view: string; readonly version: number }
  | { readonly kind: "deleteView"; readonly name: string }
  /** Another definition of a realtime view: a new one, a changed one, or an earlier one again. */
  | { readonly kind: "putRealtimeView"; readonly version: RealtimeVersion }
  | { readonly kind: "deleteRealtimeView"; readonly name: string }
  | { readonly kind: "putService"; readonly service: ServiceDefinition }
  | { readonly kind: "deleteService"; readonly name: string };

/** One entry of a log, at `registry/<revision>.json`; that of a workspace's registry unless other actions are named. */
export interface Change<A = Action> {
  /** Says how to read it; a reader refuses what is newer than itself. */
  readonly format: 1;
  /** Its place in the log, from 1. */
  readonly revision: number;
  /** By which its writer knows it again. */
  readonly id: string;
  /** Who made it. */
  readonly author: string;
  /** When, as ISO text. */
  readonly at: string;
  /** Why, in words. */
  readonly reason: string;
  /** What it does, in order. */
  readonly actions: readonly A[];
}
