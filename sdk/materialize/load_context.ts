/** What loads of the online store are given, whatever the view's mode. */
import type { ViewDefinition } from "../define/definitions.ts";
import type { Engine, EngineSession } from "../engine/engine.ts";
import type { DeltaSnapshot, DeltaTable } from "../storage/delta_format.ts";
import type { Collection, OnlineStore } from "../storage/online_store.ts";
import type { Clock } from "../time.ts";
import type { Collections } from "./collections.ts";
import type { Failpoint } from "./failpoint.ts";
import type { Progress } from "./progress.ts";

/** What to load. */
export interface LoadOnlineRequest {
  readonly definition: ViewDefinition;
  readonly version: number;
  /** Fill a fresh collection even if one is there. @default false */
  readonly rebuild?: boolean;
}

/** What to load it with. */
export interface LoadOnlineContext {
  readonly engine: Engine;
  readonly table: DeltaTable;
  readonly online: OnlineStore;
  /** The collections of this view version. */
  readonly collections: Collections;
  readonly clock: Clock;
  /**
   * Let the online store drop values by itself when nothing can ask for them any more. Stores go by the computer's time, so this
   * is wrong with any other clock. @default false
   */
  readonly expires?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  readonly failpoint?: Failpoint;
}

/** One load under way. */
export interface Load {
  readonly request: LoadOnlineRequest;
  readonly context: LoadOnlineContext;
  readonly session: EngineSession;
  readonly snapshot: DeltaSnapshot;
  readonly layout: string;
  /** The store's life in which this load began. */
  readonly life: string;
  /** The part of it that says whether values of before are still there. */
  readonly epoch: string;
}

/** What was written. */
export interface Written {
  /** Values written; of a merge those that were newer. */
  readonly rows: number;
  /** How many more keys than before have a value that lacks rows, since there are too many; absent where that cannot be. */
  readonly cutKeys?: number;
}

/** How the rows of a mode become values. */
export interface OnlineContent {
  /** Writes all values of the snapshot into a fresh collection. */
  all(collection: Collection): Promise<Written>;
  /**
   * What writes the changes since an applied version into the collection that is served; undefined when that would not do, or
   * the files or the log of that time are gone: then a fresh collection is filled.
   */
  changesSince(appliedVersion: number): Promise<((collection: Collection) => Promise<Written>) | undefined>;
}

/** Tells whoever watches how many values are loaded. */
export function onlineProgress({ request, context }: Load): (onlineRows: number) => void {
  const { definition, version } = request;
  return (onlineRows) =>
    context.onProgress?.({
      view: definition.name,
      version,
      phase: "online",
      slicesDone: 0,
      slicesTotal: 0,
      rows: 0,
      bytes: 0,
      onlineRows,
    });
}

/** Up to when rows are in a snapshot: the end of its newest slice. */
export function watermarkOf(snapshot: DeltaSnapshot, length: bigint): bigint {
  let newest: bigint | undefined;
  for (const start of snapshot.slices.keys()) if (newest === undefined || start > newest) newest = start;
  return newest === undefined ? 0n : newest + length;
}
