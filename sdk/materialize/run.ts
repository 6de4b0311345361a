/** Runs jobs: what a worker process and an embedded store do with everything that a queue hands them. */
import type { Engine } from "../engine/engine.ts";
import { VarveError } from "../errors.ts";
import type { Handler, JobContext } from "../queue/queue.ts";
import type { CleanJob, FindLateJob, Job, LoadOnlineJob, MaterializeJob } from "../queue/jobs.ts";
import type { Registry } from "../registry/registry.ts";
import type { RegisteredView, ViewVersion } from "../registry/state.ts";
import type { DeltaTable } from "../storage/delta_format.ts";
import type { ObjectStore } from "../storage/object_store.ts";
import type { OnlineStore } from "../storage/online_store.ts";
import { alignDown, alignUp, type Clock, durationToMicros, type TimeRange, toMicros } from "../time.ts";
import { Collections } from "./collections.ts";
import { closedRange, dueSlices, sliceLength } from "./due_slices.ts";
import type { Failpoint } from "./failpoint.ts";
import { loadOnline, type LoadOnlineResult } from "./load_online.ts";
import { materialize, type MaterializeResult } from "./materialize.ts";
import { findLateRows, lateNoteKey } from "./late_rows.ts";
import { onlineLayout } from "./online_layout.ts";
import type { Progress } from "./progress.ts";

/**
 * What jobs are run with; heavy things are opened when the first job needs them.
 * @internal
 */
export interface RunContext {
  /** The definitions. */
  readonly registry: Registry;
  /** Where tables are stored. */
  readonly objects: ObjectStore;
  /** The table of a view version. */
  readonly table: (view: string, version: number) => DeltaTable;
  /** Computes slices. */
  readonly engine: () => Promise<Engine>;
  /** Where values are loaded. */
  readonly online: () => Promise<OnlineStore>;
  /** Says what has closed. */
  readonly clock: Clock;
  /** Whether the clock is the computer's, by which online stores drop values that have passed their ttl. @default false */
  readonly expires?: boolean;
  /** Folder in which parts are written before they are stored. */
  readonly tempDir: string;
  /** For tests: stops a job at a point. */
  readonly failpoint?: Failpoint;
}

/** A job whose view version was deleted meanwhile has nothing to do. */
export interface GoneResult {
  readonly outcome: "gone";
}

/** What a look for late rows has found. */
export interface LookedResult {
  readonly outcome: "looked";
  /** Slices that got rows after they were computed, and were not computed again since. */
  readonly lateSlices: number;
}

/** What a clean job removed. */
export interface CleanResult {
  readonly outcome: "cleaned";
  readonly objects: number;
  readonly values: number;
}

/** What jobs give back, each kind its own; `served` when the job completed a version that now serves. */
export type JobResult = (MaterializeResult | LoadOnlineResult | LookedResult | CleanResult | GoneResult) & {
  readonly served?: boolean;
};

/** Files that no commit of the last week needs are removed: longer than any query or job runs. */
export const retention = durationToMicros("7d");
/** Telling the queue more often would cost more than it shows. */
const progressEveryMs = 100;

/** The handler of all jobs of the registry's workspace. */
export function jobHandler(run: RunContext): Handler {
  return async (job: Job, context: JobContext): Promise<JobResult> => {
    if (job.workspace !== run.registry.workspace) {
      throw new VarveError(
        "INVALID_REQUEST",
        `Cannot run job ${job.name} of workspace "${job.workspace}": this worker is of workspace "${run.registry.workspace}"`,
      );
    }
    switch (job.name) {
      case "materialize":
        return await runMaterialize(run, job, context);
      case "load-online":
        return await runLoadOnline(run, job, context);
      case "find-late":
        return await runFindLate(run, job, context);
      case "clean":
        return await runClean(run, job, context);
    }
  };
}

async function runMaterialize(run: RunContext, job: MaterializeJob, context: JobContext): Promise<JobResult> {
  const found = await findVersion(run, job);
  if (!found) return { outcome: "gone" };
  const { definition } = found.version;
  const table = run.table(job.view, job.version);
  const range = closedPart(found.version, { start: toMicros(job.start), end: toMicros(job.end) }, run.clock.now());
  if (!range) {
    const snapshot = await table.snapshot();
    const dropped = { nullTimestamp: 0, nullKey: 0 };
    return { outcome: "already", tableVersion: snapshot.version, slices: 0, skipped: 0, rows: 0, bytes: 0, dropped };
  }
  const info = { author: run.registry.author, reason: job.reason, job: context.id, attempt: context.attempt };
  const result = await materialize({ definition, version: job.version, range, overwrite: job.overwrite, info }, {
    engine: await run.engine(),
    table,
    clock: run.clock,
    tempDir: run.tempDir,
    signal: context.signal,
    onProgress: throttled(context),
    ...(run.failpoint && { failpoint: run.failpoint }),
  });
  return { ...result, served: await completeVersion(run, job.view, job.version, context.signal) };
}

async function runLoadOnline(run: RunContext, job: LoadOnlineJob, context: JobContext): Promise<JobResult> {
  const found = await findVersion(run, job);
  if (!found || !found.version.definition.online) return { outcome: "gone" };
  const online = await run.online();
  const result = await loadOnline(
    { definition: found.version.definition, version: job.version, rebuild: job.rebuild },
    {
      engine: await run.engine(),
      table: run.table(job.view, job.version),
      online,
      collections: collectionsOf(run, online, job),
      clock: run.clock,
      expires: run.expires ?? false,
      signal: context.signal,
      onProgress: throttled(context),
      ...(run.failpoint && { failpoint: run.failpoint }),
    },
  );
  return { ...result, served: await completeVersion(run, job.view, job.version, context.signal) };
}

async function runFindLate(run: RunContext, job: FindLateJob, { signal }: JobContext): Promise<JobResult> {
  const found = await findVersion(run, job);
  if (!found) return { outcome: "gone" };
  const { definition } = found.version;
  const session = await (await run.engine()).session();
  try {
    const { objects, clock, registry: { workspace } } = run;
    const table = run.table(job.view, job.version);
    const key = lateNoteKey(workspace, job.view, job.version);
    const { late } = await findLateRows(definition, { session, table, objects, key, clock, signal });
    return { outcome: "looked", lateSlices: late.size };
  } finally {
    session.close();
  }
}

/** Of a version that is registered: files and collections nothing refers to. Of a deleted one: everything. */
async function runClean(run: RunContext, job: CleanJob, { signal }: JobContext): Promise<JobResult> {
  const found = await findVersion(run, job);
  const online = await run.online();
  const values = await collectionsOf(run, online, job).sweep({ all: !found, signal });
  const table = run.table(job.view, job.version);
  if (found) {
    const now = Number(run.clock.now() / 1000n);
    const removed = await table.vacuum({ retentionMs: Number(retention / 1000n), now, apply: true });
    return { outcome: "cleaned", objects: removed.keys.length, values };
  }
  await online.removeState(job.view, job.version);
  await run.objects.delete([lateNoteKey(run.registry.workspace, job.view, job.version)], signal);
  return { outcome: "cleaned", objects: await deleteFolder(run.objects, `${table.path}/`, signal), values };
}

function collectionsOf(run: RunContext, online: OnlineStore, job: CleanJob | LoadOnlineJob): Collections {
  const { objects, clock, registry: { workspace } } = run;
  return new Collections({ objects, online, clock, workspace }, job.view, job.version);
}

async function deleteFolder(objects: ObjectStore, prefix: string, signal: AbortSignal): Promise<number> {
  let count = 0;
  let keys: string[] = [];
  const flush = async () => {
    await objects.delete(keys, signal);
    count += keys.length;
    keys = [];
  };
  for await (const { key } of objects.list(prefix, { signal })) {
    keys.push(key);
    if (keys.length >= 1000) await flush();
  }
  if (keys.length > 0) await flush();
  return count;
}

/**
 * Lets a version that is being built serve once all slices due are committed and, if it is online, loaded. Gives whether this
 * call moved the pointer.
 */
export async function completeVersion(
  run: Pick<RunContext, "registry" | "table" | "online" | "clock">,
  view: string,
  version: number,
  signal?: AbortSignal,
): Promise<boolean> {
  const options = signal ? { signal } : {};
  const found = await findVersion(run, { view, version }, signal);
  if (!found || found.view.building !== version) return false;
  const { definition } = found.version;
  const snapshot = await run.table(view, version).snapshot();
  if (dueSlices(definition, snapshot.slices, run.clock.now()).length > 0) return false;
  if (definition.online) {
    const online = await run.online();
    const state = await online.state(view, version);
    if (state?.collection === undefined || state.layout !== onlineLayout(definition, await online.epoch())) {
      return false;
    }
    if (state.appliedVersion < snapshot.version) return false;
  }
  try {
    return await run.registry.promote(view, version, options) !== undefined;
  } catch (error) {
    // Another version replaced it while it was being built: then it has nothing to complete.
    if (error instanceof VarveError && (error.code === "CONFLICT" || error.code === "NOT_FOUND")) return false;
    throw error;
  }
}

async function findVersion(
  run: Pick<RunContext, "registry">,
  { view, version }: { readonly view: string; readonly version: number },
  signal?: AbortSignal,
): Promise<{ readonly view: RegisteredView; readonly version: ViewVersion } | undefined> {
  const state = await run.registry.state(signal);
  const registered = state.views[view];
  const found = registered?.versions.find((candidate) => candidate.version === version);
  return registered && found ? { view: registered, version: found } : undefined;
}

/** Slices that have not closed yet, by this worker's clock, are left to the scheduler's next look. */
function closedPart({ definition }: ViewVersion, range: TimeRange, now: bigint): TimeRange | undefined {
  const closed = closedRange(definition, now);
  if (!closed) return undefined;
  const length = sliceLength(definition);
  const start = alignDown(range.start, length);
  const end = alignUp(range.end, length);
  const part = { start: start > closed.start ? start : closed.start, end: end < closed.end ? end : closed.end };
  return part.end > part.start ? part : undefined;
}

function throttled(context: JobContext): (progress: Progress) => void {
  let last = -Infinity;
  return (progress) => {
    const elapsed = performance.now();
    const complete = progress.slicesTotal > 0 && progress.slicesDone === progress.slicesTotal;
    if (!complete && elapsed - last < progressEveryMs) return;
    last = elapsed;
    // A progress that is lost harms nobody; the job goes on.
    context.progress(progress).catch(() => undefined);
  };
}
