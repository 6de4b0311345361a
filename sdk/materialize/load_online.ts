/** Brings the online store up to the last commit of one view version. Safe to repeat and to run twice at once. */
import type { ViewDefinition } from "../define/definitions.ts";
import type { Engine, EngineSession } from "../engine/engine.ts";
import { messageOf, VarveError } from "../errors.ts";
import type { DeltaFile, DeltaSnapshot, DeltaTable } from "../storage/delta_format.ts";
import type { Collection, OnlineStore, ViewState } from "../storage/online_store.ts";
import { type Clock, formatTimestamp, toMicros } from "../time.ts";
import { changeState, type Collections } from "./collections.ts";
import { sliceLength } from "./due_slices.ts";
import type { Failpoint } from "./failpoint.ts";
import { oldestValid, onlineLayout, vanishedSql } from "./latest_rows.ts";
import type { Progress } from "./progress.ts";
import { filesWithin, writeLatest } from "./write_latest.ts";

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
   * Let the online store drop values by itself when their ttl has passed. Stores go by the computer's time, so this is wrong
   * with any other clock. @default false
   */
  readonly expires?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  readonly failpoint?: Failpoint;
}

/** What a load did. */
export interface LoadOnlineResult {
  /** `"already"`: there was nothing new; `"superseded"`: another loader was further on when this one had finished. */
  readonly outcome: "fresh" | "incremental" | "already" | "superseded";
  readonly appliedVersion: number;
  /** Values written; of an incremental load those that were newer than what was there. */
  readonly rows: number;
  readonly watermark: string;
}

/** Loads what is new since the applied version; everything into a fresh collection when that is not enough. */
export async function loadOnline(request: LoadOnlineRequest, context: LoadOnlineContext): Promise<LoadOnlineResult> {
  const { definition, version } = request;
  const { online, table, collections, signal } = context;
  try {
    await collections.sweep(signal ? { signal } : {});
    const life = await online.life();
    // The state first: what it says is applied was applied before the snapshot, never after.
    const state = await online.state(definition.name, version);
    const layout = onlineLayout(definition, await online.epoch());
    const snapshot = await table.snapshot();
    const usable = state?.collection !== undefined && state.layout === layout &&
      state.appliedVersion <= snapshot.version;
    if (usable && !request.rebuild && state.appliedVersion === snapshot.version) {
      return { outcome: "already", appliedVersion: snapshot.version, rows: 0, watermark: state.watermark };
    }
    const session = await context.engine.session();
    try {
      const load: Load = { request, context, session, snapshot, layout, life };
      const added = usable && !request.rebuild ? await filesSince(load, state.appliedVersion) : undefined;
      return added ? await loadChanges(load, state!.collection!, added) : await loadFresh(load);
    } finally {
      session.close();
    }
  } catch (error) {
    if (!signal?.aborted) throw error;
    throw new VarveError(
      "CANCELLED",
      `Cannot load view "${definition.name}" version ${version}: it was cancelled: ${messageOf(signal.reason)}`,
      { cause: signal.reason },
    );
  }
}

interface Load {
  readonly request: LoadOnlineRequest;
  readonly context: LoadOnlineContext;
  readonly session: EngineSession;
  readonly snapshot: DeltaSnapshot;
  readonly layout: string;
  /** The store's life in which this load began. */
  readonly life: string;
}

/**
 * The live files since the applied version. Undefined when merging them would not do: a commit took newest rows of some key
 * away (a newer-wins store cannot go back, so a fresh collection is filled), or the log or the files of that time are gone.
 */
async function filesSince(load: Load, appliedVersion: number): Promise<DeltaFile[] | undefined> {
  const { snapshot, session, context: { table, clock, signal }, request: { definition } } = load;
  const now = clock.now();
  try {
    const changes = await table.changes(appliedVersion, snapshot.version);
    const live = new Set(snapshot.files.map((file) => file.path));
    const added = changes.flatMap((change) => change.added).filter((file) => live.has(file.path));
    const removed = filesWithin(definition, changes.flatMap((change) => change.removed), now);
    if (removed.length === 0) return added;
    const from = removed.map((file) => file.minEventTimestamp).reduce((a, b) => a < b ? a : b);
    const covering = snapshot.files.filter((file) => file.rows > 0 && file.maxEventTimestamp >= from);
    const gonePaths = await table.localPaths(removed, signal);
    const livePaths = await table.localPaths(covering, signal);
    const vanished = await session.rows(
      vanishedSql(definition, gonePaths, livePaths, oldestValid(definition, now)),
      signal,
    );
    return vanished.length > 0 ? undefined : added;
  } catch (error) {
    if (error instanceof VarveError && error.code === "NOT_FOUND") return undefined;
    throw error;
  }
}

async function loadFresh(load: Load): Promise<LoadOnlineResult> {
  const { context: { collections, signal }, snapshot } = load;
  const collection = await collections.open(signal);
  let filled: { readonly rows: number; readonly isOpen: boolean; readonly retired: Collection | undefined };
  try {
    const rows = await write(load, snapshot.files, collection, false);
    const retired = await retireServed(load);
    await checkLife(load);
    filled = { rows, retired, isOpen: await collections.isOpen(collection) };
  } catch (error) {
    await collections.drop(collection).catch(() => undefined); // It is noted, and swept later.
    throw error;
  }
  // From here on the collection may be served, also when an answer is lost: only the sweep may remove it.
  return await serveCollection(load, collection, filled);
}

/**
 * Gives the collection that is served its time to go before another takes its place. Whoever swept between the two would
 * otherwise find its old note, and remove it while servers still read it.
 */
async function retireServed(load: Load): Promise<Collection | undefined> {
  const { request: { definition, version }, context: { online, collections } } = load;
  const served = (await online.state(definition.name, version))?.collection;
  if (served !== undefined) await collections.retire(served);
  return served;
}

/** A store that was emptied, or came back from its disk, may have lost what this load has written: then it must not be served. */
async function checkLife({ request: { definition, version }, context: { online }, life }: Load): Promise<void> {
  if (await online.life() === life) return;
  throw new VarveError(
    "UNAVAILABLE",
    `Cannot load view "${definition.name}" version ${version}: ${online.description} was emptied or restarted meanwhile; load it again`,
  );
}

/** Makes the filled collection the one that is served, unless another loader brought one that is at least as new. */
async function serveCollection(
  load: Load,
  collection: Collection,
  { rows, isOpen, retired }: {
    readonly rows: number;
    readonly isOpen: boolean;
    readonly retired: Collection | undefined;
  },
): Promise<LoadOnlineResult> {
  const { request, context: { online, collections, clock }, snapshot, layout } = load;
  const { definition: { name: view }, version } = request;
  const reached = {
    appliedVersion: snapshot.version,
    watermark: formatTimestamp(watermarkOf(snapshot, sliceLength(request.definition))),
    updatedAt: formatTimestamp(clock.now()),
  };
  let before: ViewState | undefined;
  const state = await changeState(online, view, version, (current) => {
    before = current;
    if (!isOpen) return undefined; // It was taken for dead and removed.
    const ahead = current?.collection !== undefined && current.layout === layout &&
      (request.rebuild ? current.appliedVersion > snapshot.version : current.appliedVersion >= snapshot.version);
    return ahead ? undefined : { view, version, collection, layout, ...reached };
  });
  if (state?.collection !== collection) {
    await collections.drop(collection);
    return superseded(state, rows);
  }
  // Another loader's, that came in between; without a note of its end it goes a day after it was opened.
  const other = before?.collection;
  if (other !== undefined && other !== retired) await collections.retire(other).catch(() => undefined);
  return { outcome: "fresh", appliedVersion: snapshot.version, rows, watermark: state.watermark };
}

async function loadChanges(load: Load, collection: Collection, added: readonly DeltaFile[]): Promise<LoadOnlineResult> {
  const { request: { definition, version }, context: { online, clock }, snapshot } = load;
  const rows = await write(load, added, collection, true);
  const watermark = watermarkOf(snapshot, sliceLength(definition));
  await checkLife(load);
  const state = await changeState(online, definition.name, version, (current) => {
    // Somebody filled another collection, or is further on: then what was written here is harmless, and nothing is to be said.
    if (current?.collection !== collection || current.appliedVersion >= snapshot.version) return undefined;
    const before = toMicros(current.watermark);
    return {
      ...current,
      appliedVersion: snapshot.version,
      watermark: formatTimestamp(watermark > before ? watermark : before),
      updatedAt: formatTimestamp(clock.now()),
    };
  });
  if (state?.collection !== collection || state.appliedVersion !== snapshot.version) return superseded(state, rows);
  return { outcome: "incremental", appliedVersion: snapshot.version, rows, watermark: state.watermark };
}

function superseded(state: ViewState | undefined, rows: number): LoadOnlineResult {
  const { appliedVersion = -1, watermark = formatTimestamp(0n) } = state ?? {};
  return { outcome: "superseded", appliedVersion, rows, watermark };
}

/** Up to when rows are in a snapshot: the end of its newest slice. */
export function watermarkOf(snapshot: DeltaSnapshot, length: bigint): bigint {
  let newest: bigint | undefined;
  for (const start of snapshot.slices.keys()) if (newest === undefined || start > newest) newest = start;
  return newest === undefined ? 0n : newest + length;
}

/**
 * The sequence of all values is the snapshot's version, not that of each row's commit: of equal event times the row that is true at
 * the later snapshot wins (a corrected slice), and a repetition changes nothing.
 */
async function write(
  load: Load,
  files: readonly DeltaFile[],
  collection: Collection,
  merge: boolean,
): Promise<number> {
  const { request: { definition, version }, context, session, snapshot } = load;
  const { table, online, clock, expires = false, signal, failpoint } = context;
  return await writeLatest({
    session,
    definition,
    table,
    files,
    sequence: BigInt(snapshot.version),
    now: clock.now(),
    expires,
    online,
    collection,
    merge,
    onRows: (onlineRows) =>
      context.onProgress?.({
        view: definition.name,
        version,
        phase: "online",
        slicesDone: 0,
        slicesTotal: 0,
        rows: 0,
        bytes: 0,
        onlineRows,
      }),
    ...(failpoint && { failpoint }),
    ...(signal && { signal }),
  });
}
