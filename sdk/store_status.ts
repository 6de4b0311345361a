/** What a store holds and what is missing: read from the registry, the commit logs, the online store and the queue. */
import { realtimeFunction } from "./define/realtime_function.ts";
import { messageOf } from "./errors.ts";
import { closedSliceCount, dueSlices, sliceLength } from "./materialize/due_slices.ts";
import { watermarkOf } from "./materialize/load_context.ts";
import { onlineLayout } from "./materialize/online_layout.ts";
import { lateNoteKey, lateScans, lateSlices, readLateNote } from "./materialize/late_rows.ts";
import type { JobRecord, JobState } from "./queue/queue.ts";
import { describeJob } from "./queue/jobs.ts";
import { servedRealtimeView } from "./registry/fold.ts";
import type { RegisteredView, RegistryState, ViewVersion } from "./registry/state.ts";
import type { ViewState } from "./storage/online_store.ts";
import type { StoreParts } from "./store_parts.ts";
import { alignDown, formatDuration, formatTimestamp } from "./time.ts";

const second = 1_000_000n;

/** A job that is dead or was cancelled. */
export interface FailedJob {
  /** What `varve retry` wants. */
  readonly id: string;
  /** What it was to do, in words. */
  readonly job: string;
  /** Whether it died or was cancelled. */
  readonly state: JobState;
  /** Why. */
  readonly reason: string;
  /** When. */
  readonly at?: string;
}

/** What the online store holds of a view version. */
export interface OnlineStatus {
  /** The version of the offline table that is loaded. */
  readonly appliedVersion: number;
  /** Rows up to here (exclusive) are in it. */
  readonly watermark: string;
  /** When it was last loaded. */
  readonly updatedAt: string;
  /** Whether every commit is applied and nothing has to be loaded anew. */
  readonly upToDate: boolean;
  /** About how many keys have more rows in reach of windows than are kept (`edge: "exact"`). */
  readonly cutKeys?: number;
}

/** One version of a view. */
export interface VersionStatus {
  /** Counts from 1. */
  readonly version: number;
  /** Whether requests and training read it, it is being computed, or it is kept to go back to. */
  readonly state: "serving" | "building" | "kept";
  /** Slices that are committed, of those that have closed. */
  readonly slicesDone: number;
  /** Slices that have closed. */
  readonly slicesTotal: number;
  /** Slices that got rows after they were computed, and are to be computed again (S10); absent when nobody can tell. */
  readonly lateSlices?: number;
  /** Rows in its table. */
  readonly rows: number;
  /** Size of its table. */
  readonly bytes: number;
  /** Files of its table. */
  readonly files: number;
  /** Version of the offline table; -1 before its first commit. */
  readonly tableVersion: number;
  /** Rows up to here (exclusive) are in it. */
  readonly upTo?: string;
  /** How long ago that was. */
  readonly behind?: string;
  /** Absent when the view is not online, or nothing is loaded yet. */
  readonly online?: OnlineStatus;
  /** Why this version could not be looked at. */
  readonly problem?: string;
}

/** One view. */
export interface ViewStatus {
  /** The view. */
  readonly name: string;
  /** What it is about. */
  readonly entity: string;
  /** The length of a slice. */
  readonly schedule: string;
  /** Whether the newest version is kept online. */
  readonly isOnline: boolean;
  /** The version that is read; none before the first is complete. */
  readonly serving?: number;
  /** The version that is being computed. */
  readonly building?: number;
  /** All that are kept, oldest first. */
  readonly versions: readonly VersionStatus[];
  /** Jobs of it that are dead or were cancelled. */
  readonly failures: readonly FailedJob[];
}

/** One realtime view: nothing of it is stored. */
export interface RealtimeViewStatus {
  /** The view. */
  readonly name: string;
  /** The version that requests and training read. */
  readonly serving: number;
  /** The version that was published last, where that waits for a view that it reads. */
  readonly waiting?: number;
  /** The views that it reads. */
  readonly reads: readonly string[];
  /** Why it cannot be computed here: its function needs Deno, and there is none. */
  readonly problem?: string;
}

/** See the file's sentence. */
export interface StoreStatus {
  /** The workspace. */
  readonly workspace: string;
  /** How many changes the registry has. */
  readonly revision: number;
  /** Where registry and tables are stored. */
  readonly objects: string;
  /** Where online values are; absent when no view is online. */
  readonly online?: string;
  /** Where jobs are. */
  readonly queue: string;
  /** Names of entities. */
  readonly entities: readonly string[];
  /** Names of services. */
  readonly services: readonly string[];
  /** Every view. */
  readonly views: readonly ViewStatus[];
  /** Every realtime view. */
  readonly realtimeViews: readonly RealtimeViewStatus[];
  /** Why jobs and failures are not known: the queue does not answer. */
  readonly queueProblem?: string;
  /** Jobs by state, as far as the queue remembers them. */
  readonly jobs: Readonly<Partial<Record<JobState, number>>>;
}

/** Looks at everything. What does not answer is a problem in the result, not an error. */
export async function storeStatus(parts: StoreParts): Promise<StoreStatus> {
  const state = await parts.registry.state();
  const { records, problem } = await listJobs(parts);
  const views = Object.values(state.views);
  const someOnline = views.some((view) => view.versions.some(({ definition }) => definition.online));
  const online = someOnline ? await onlineStates(parts) : undefined;
  const jobs: Partial<Record<JobState, number>> = {};
  for (const record of records) jobs[record.state] = (jobs[record.state] ?? 0) + 1;
  return {
    workspace: parts.workspace,
    revision: state.revision,
    objects: parts.objects.description,
    ...(online && { online: online.description }),
    queue: parts.queue.description,
    entities: Object.keys(state.entities),
    services: Object.keys(state.services),
    views: await Promise.all(views.map((view) => viewStatus(parts, view, online, records))),
    realtimeViews: Object.keys(state.realtimeViews).map((name) => realtimeStatus(parts, state, name)),
    ...(problem !== undefined && { queueProblem: problem }),
    jobs,
  };
}

async function listJobs(
  { queue, workspace }: StoreParts,
): Promise<{ readonly records: readonly JobRecord[]; readonly problem?: string }> {
  try {
    return { records: await queue.list({ workspace }) };
  } catch (error) {
    return { records: [], problem: messageOf(error) };
  }
}

function realtimeStatus(parts: StoreParts, state: RegistryState, name: string): RealtimeViewStatus {
  const newest = state.realtimeViews[name]!.versions.at(-1)!;
  const { version, definition } = servedRealtimeView(state, name)!;
  const problem = realtimeFunction(definition) && parts.functions.lack;
  return {
    name,
    serving: version,
    ...(newest.version !== version && { waiting: newest.version }),
    reads: [...new Set(definition.from.map(({ view }) => view))],
    ...(problem !== undefined && { problem }),
  };
}

/** Looks at one view; undefined when there is none of this name. */
export async function viewStatusOf(parts: StoreParts, name: string): Promise<ViewStatus | undefined> {
  const { views } = await parts.registry.state();
  if (!Object.hasOwn(views, name)) return undefined;
  const view = views[name]!;
  const isOnline = view.versions.some(({ definition }) => definition.online);
  return await viewStatus(parts, view, isOnline ? await onlineStates(parts) : undefined, []);
}

interface OnlineStates {
  readonly description: string;
  readonly states: readonly ViewState[];
  readonly epoch: string;
  readonly problem?: string;
}

async function onlineStates(parts: StoreParts): Promise<OnlineStates> {
  try {
    const online = await parts.online();
    const [states, epoch] = await Promise.all([online.states(), online.epoch()]);
    return { description: online.description, states, epoch };
  } catch (error) {
    return { description: "does not answer", states: [], epoch: "", problem: messageOf(error) };
  }
}

async function viewStatus(
  parts: StoreParts,
  view: RegisteredView,
  online: OnlineStates | undefined,
  records: readonly JobRecord[],
): Promise<ViewStatus> {
  const newest = view.versions.at(-1)!;
  const versions = await Promise.all(view.versions.map((version) => versionStatus(parts, view, version, online)));
  return {
    name: view.name,
    entity: newest.definition.entity.name,
    schedule: newest.definition.schedule,
    isOnline: newest.definition.online,
    ...(view.serving !== undefined && { serving: view.serving }),
    ...(view.building !== undefined && { building: view.building }),
    versions,
    failures: records.filter(({ job, state }) =>
      job.view === view.name && (state === "failed" || state === "cancelled")
    ).map(failedJob),
  };
}

function failedJob(record: JobRecord): FailedJob {
  return {
    id: record.id,
    job: describeJob(record.job),
    state: record.state,
    reason: record.reason ?? "",
    ...(record.finishedAt && { at: record.finishedAt.toISOString() }),
  };
}

async function versionStatus(
  parts: StoreParts,
  view: RegisteredView,
  { version, definition }: ViewVersion,
  online: OnlineStates | undefined,
): Promise<VersionStatus> {
  const state = version === view.serving ? "serving" : version === view.building ? "building" : "kept";
  const now = parts.clock.now();
  const slicesTotal = closedSliceCount(definition, now);
  const status = { version, state, slicesTotal, slicesDone: 0, rows: 0, bytes: 0, files: 0, tableVersion: -1 } as const;
  try {
    const snapshot = await parts.table(view.name, version).snapshot();
    const late = lateScans(definition).length === 0
      ? undefined
      : await readLateNote(parts.objects, lateNoteKey(parts.workspace, view.name, version));
    const upTo = watermarkOf(snapshot, sliceLength(definition));
    const loaded = online?.states.find((each) => each.view === view.name && each.version === version);
    const problem = definition.online ? online?.problem : undefined;
    return {
      ...status,
      slicesDone: slicesTotal - dueSlices(definition, snapshot.slices, now).length,
      ...(late && { lateSlices: lateSlices(definition, late, snapshot.slices).length }),
      rows: snapshot.files.reduce((sum, file) => sum + file.rows, 0),
      bytes: snapshot.files.reduce((sum, file) => sum + file.size, 0),
      files: snapshot.files.length,
      tableVersion: snapshot.version,
      ...(snapshot.slices.size > 0 &&
        { upTo: formatTimestamp(upTo), behind: formatDuration(now > upTo ? alignDown(now - upTo, second) : 0n) }),
      ...(loaded?.collection !== undefined && {
        online: {
          appliedVersion: loaded.appliedVersion,
          watermark: loaded.watermark,
          updatedAt: loaded.updatedAt,
          upToDate: loaded.appliedVersion >= snapshot.version &&
            loaded.layout === onlineLayout(definition, online!.epoch),
          ...(loaded.cutKeys !== undefined && { cutKeys: loaded.cutKeys }),
        },
      }),
      ...(problem !== undefined && { problem }),
    };
  } catch (error) {
    return { ...status, problem: messageOf(error) };
  }
}
