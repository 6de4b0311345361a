/** Brings the online store up to the last commit of one view version. Safe to repeat and to run twice at once. */
import type { ViewDefinition } from "../define/definitions.ts";
import type { Engine, EngineSession } from "../engine/engine.ts";
import { messageOf, VarveError } from "../errors.ts";
import type { DeltaFile, DeltaSnapshot, DeltaTable } from "../storage/delta_format.ts";
import { packBatch, type PackPlan, rowLayout } from "../storage/encoding.ts";
import type { Collection, OnlineStore, PackedBatch } from "../storage/online_store.ts";
import { type Clock, formatTimestamp, toMicros } from "../time.ts";
import { sliceLength } from "./due_slices.ts";
import { type Failpoint, noFailpoint } from "./failpoint.ts";
import { latestRows, oldestValid, ttlMicros, vanishedSql } from "./latest_rows.ts";
import {
  changeState,
  dropLeftOver,
  type LoaderState,
  onlineLayout,
  openCollection,
  retireDelay,
  withLeftOver,
} from "./online_state.ts";
import type { Progress } from "./progress.ts";

/** What to load. */
export interface LoadOnlineRequest {
  readonly definition: ViewDefinition;
  readonly version: number;
  /** Fill a fresh collection even if one is there. */
  readonly rebuild?: boolean;
}

/** What to load it with. */
export interface LoadOnlineContext {
  readonly engine: Engine;
  readonly table: DeltaTable;
  readonly online: OnlineStore;
  readonly clock: Clock;
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

/** Writes under way while the next batch is packed: enough to keep the store busy, and a bound on memory. */
const writesAtOnce = 4;

/** Loads what is new since the applied version; everything into a fresh collection when that is not enough. */
export async function loadOnline(request: LoadOnlineRequest, context: LoadOnlineContext): Promise<LoadOnlineResult> {
  const { definition, version } = request;
  const { online, table, clock, signal } = context;
  try {
    await dropLeftOver(online, definition.name, version, { now: clock.now(), ...(signal && { signal }) });
    // The state first: what it says is applied was applied before the snapshot, never after.
    const state: LoaderState | undefined = await online.state(definition.name, version);
    const layout = onlineLayout(definition, await online.epoch());
    const snapshot = await table.snapshot();
    const session = await context.engine.session();
    const load: Load = { request, context, session, snapshot, layout };
    try {
      const fresh = request.rebuild || state?.collection === undefined || state.layout !== layout ||
        state.appliedVersion > snapshot.version;
      if (!fresh && state.appliedVersion === snapshot.version) return { ...nothingNew(state), outcome: "already" };
      const changes = fresh ? undefined : await changesSince(load, state.appliedVersion);
      return changes ? await loadChanges(load, state!, changes) : await loadFresh(load);
    } finally {
      session.close();
    }
  } catch (error) {
    if (signal?.aborted) {
      throw new VarveError(
        "CANCELLED",
        `Cannot load view "${definition.name}" version ${version}: it was cancelled: ${messageOf(signal.reason)}`,
        {
          cause: signal.reason,
        },
      );
    }
    throw error;
  }
}

interface Load {
  readonly request: LoadOnlineRequest;
  readonly context: LoadOnlineContext;
  readonly session: EngineSession;
  readonly snapshot: DeltaSnapshot;
  readonly layout: string;
}

/** Up to when rows are in a snapshot: the end of its newest slice. */
export function watermarkOf(snapshot: DeltaSnapshot, length: bigint): bigint {
  let newest: bigint | undefined;
  for (const start of snapshot.slices.keys()) if (newest === undefined || start > newest) newest = start;
  return newest === undefined ? 0n : newest + length;
}

function nothingNew(state: LoaderState): Omit<LoadOnlineResult, "outcome"> {
  return { appliedVersion: state.appliedVersion, rows: 0, watermark: state.watermark };
}

interface Changes {
  readonly added: readonly DeltaFile[];
}

/**
 * The live files since the applied version. Undefined when merging them would not do: a commit took newest rows of some key away (a
 * newer-wins store cannot go back, so a fresh collection is filled), or the log or the files of that time are gone.
 */
async function changesSince(load: Load, appliedVersion: number): Promise<Changes | undefined> {
  const { snapshot, session, context: { table, clock, signal }, request: { definition } } = load;
  try {
    const changes = await table.changes(appliedVersion, snapshot.version);
    const live = new Set(snapshot.files.map((file) => file.path));
    const added = changes.flatMap((change) => change.added).filter((file) => live.has(file.path));
    const removed = stillValid(definition, changes.flatMap((change) => change.removed), clock.now());
    if (removed.length > 0) {
      const from = removed.reduce(
        (min, file) => file.minEventTimestamp < min ? file.minEventTimestamp : min,
        removed[0]!.minEventTimestamp,
      );
      const covering = snapshot.files.filter((file) => file.maxEventTimestamp >= from);
      const paths = await Promise.all([table.localPaths(removed, signal), table.localPaths(covering, signal)]);
      const sql = vanishedSql(definition, paths[0], paths[1], oldestValid(definition, clock.now()));
      if ((await session.rows(sql, signal)).length > 0) return undefined;
    }
    return { added };
  } catch (error) {
    if (error instanceof VarveError && error.code === "NOT_FOUND") return undefined;
    throw error;
  }
}

/** Files that may hold rows within the ttl. */
function stillValid(definition: ViewDefinition, files: readonly DeltaFile[], now: bigint): DeltaFile[] {
  const oldest = oldestValid(definition, now);
  return files.filter((file) => file.rows > 0 && (oldest === undefined || file.maxEventTimestamp > oldest));
}

async function loadFresh(load: Load): Promise<LoadOnlineResult> {
  const { request: { definition, version }, context: { online, clock, signal }, snapshot } = load;
  const collection = await openCollection(online, definition.name, version, clock);
  try {
    const rows = await writeLatest(load, snapshot.files, async (batch) => {
      await online.load(collection, batch, signal);
      return batch.count;
    });
    return await serveCollection(load, collection, rows);
  } catch (error) {
    await discard(load, collection).catch(() => undefined); // It stays noted as left over.
    throw error;
  }
}

async function loadChanges(load: Load, state: LoaderState, changes: Changes): Promise<LoadOnlineResult> {
  const { request: { definition, version }, context: { online, clock, signal }, snapshot } = load;
  const collection = state.collection!;
  const rows = await writeLatest(load, changes.added, (batch) => online.merge(collection, batch, signal));
  const next = await changeState(online, definition.name, version, (current) => {
    // Somebody filled another collection, or is further on: then what is written here is harmless and this load has nothing to say.
    if (current?.collection !== collection || current.appliedVersion >= snapshot.version) return undefined;
    return {
      ...current,
      appliedVersion: snapshot.version,
      ...progressOf(load, current),
      updatedAt: formatTimestamp(clock.now()),
    };
  });
  if (next?.collection !== collection) return { ...superseded(next), rows };
  return { outcome: "incremental", appliedVersion: next.appliedVersion, rows, watermark: next.watermark };
}

/** Makes the filled collection the one that is served, unless another loader brought one that is at least as new. */
async function serveCollection(load: Load, collection: Collection, rows: number): Promise<LoadOnlineResult> {
  const { request, context: { online, clock }, snapshot, layout } = load;
  const { definition: { name: view }, version } = request;
  let served = false;
  const next = await changeState(online, view, version, (current) => {
    served = false;
    if (!current?.leftOver?.some((entry) => entry.collection === collection)) return undefined; // It was taken for dead and removed.
    const ahead = current.collection !== undefined && current.layout === layout &&
      (request.rebuild ? current.appliedVersion > snapshot.version : current.appliedVersion >= snapshot.version);
    if (ahead) return undefined;
    served = true;
    const updatedAt = formatTimestamp(clock.now());
    const rest = withLeftOver(current, (entry) => entry.collection !== collection);
    const retired = current.collection === undefined
      ? []
      : [{ collection: current.collection, at: formatTimestamp(clock.now() + retireDelay) }];
    const leftOver = [...(rest.leftOver ?? []), ...retired];
    const state = {
      ...rest,
      collection,
      appliedVersion: snapshot.version,
      ...progressOf(load, current),
      layout,
      updatedAt,
    };
    return leftOver.length > 0 ? { ...state, leftOver } : state;
  });
  if (!served) {
    await discard(load, collection);
    return { ...superseded(next), rows };
  }
  return { outcome: "fresh", appliedVersion: snapshot.version, rows, watermark: next!.watermark };
}

function superseded(state: LoaderState | undefined): Omit<LoadOnlineResult, "rows"> {
  return {
    outcome: "superseded",
    appliedVersion: state?.appliedVersion ?? -1,
    watermark: state?.watermark ?? formatTimestamp(0n),
  };
}

/** The watermark never goes back. */
function progressOf(load: Load, current: LoaderState): { watermark: string } {
  const reached = watermarkOf(load.snapshot, sliceLength(load.request.definition));
  const before = current.collection === undefined ? reached : toMicros(current.watermark);
  return { watermark: formatTimestamp(before > reached ? before : reached) };
}

async function discard(load: Load, collection: Collection): Promise<void> {
  const { request: { definition, version }, context: { online } } = load;
  await online.drop(collection);
  await changeState(
    online,
    definition.name,
    version,
    (state) => state && withLeftOver(state, (entry) => entry.collection !== collection),
  );
}

/**
 * Writes the newest row of every key in the files. The sequence of all values is the snapshot's version: of equal event times
 * the row that is true at the later snapshot wins (a corrected slice), and a repetition changes nothing.
 */
async function writeLatest(
  load: Load,
  files: readonly DeltaFile[],
  write: (batch: PackedBatch) => Promise<number>,
): Promise<number> {
  const { request: { definition, version }, context, session, snapshot } = load;
  const { table, clock, signal, failpoint = noFailpoint } = context;
  const wanted = stillValid(definition, files, clock.now());
  if (wanted.length === 0) return 0;
  const { sql, schema } = latestRows(
    definition,
    await table.localPaths(wanted, signal),
    oldestValid(definition, clock.now()),
  );
  const plan = packPlan(definition);
  const sequence = BigInt(snapshot.version);
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  let rows = 0;
  const report = () =>
    context.onProgress?.({
      view: definition.name,
      version,
      phase: "online",
      slicesDone: 0,
      slicesTotal: 0,
      rows: 0,
      bytes: 0,
      onlineRows: rows,
    });
  report();
  try {
    for await (const batch of session.batches(sql, schema, signal)) {
      while (running.size >= writesAtOnce) await Promise.race(running);
      if (failures.length > 0) break;
      signal?.throwIfAborted();
      const writing: Promise<void> = write(packBatch(plan, batch, sequence))
        .then((count) => void (rows += count, report()))
        .catch((error: unknown) => void failures.push(error))
        .finally(() => running.delete(writing));
      running.add(writing);
      await failpoint("mid-online");
    }
  } finally {
    await Promise.all(running);
  }
  if (failures.length > 0) throw failures[0];
  return rows;
}

function packPlan(definition: ViewDefinition): PackPlan {
  const { joinKeys } = definition.entity;
  const ttl = ttlMicros(definition);
  return {
    joinKeys,
    layout: rowLayout(definition.features),
    columns: {
      joinKeys: joinKeys.map((_, i) => i),
      eventTimestamp: joinKeys.length,
      features: definition.features.map((_, i) => joinKeys.length + 1 + i),
    },
    ...(ttl !== undefined && { ttl }),
  };
}
