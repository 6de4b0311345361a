/**
 * What is missing: jobs are due where the registry asks for more than the commit logs and the online store hold. A pure
 * function of plain data, so that losing the queue, or running two schedulers, changes nothing.
 */
import { errorCodes } from "../errors.ts";
import { type Job, jobId, type MaterializeJob } from "../queue/jobs.ts";
import type { JobRecord, SubmitOptions } from "../queue/queue.ts";
import { versionBefore } from "../registry/pointer.ts";
import type { RegisteredView, RegistryState, ViewVersion } from "../registry/state.ts";
import type { ViewState } from "../storage/online_store.ts";
import { alignUp, floorDivide, formatTimestamp, type Micros, type TimeRange, toMicros } from "../time.ts";
import { closedRange, closedSliceCount, dueSlices, sliceLength } from "./due_slices.ts";
import { isLookDue, type LateNote, lateSlices } from "./late_rows.ts";

/** What is stored of one view version. */
export interface VersionData {
  readonly view: string;
  readonly version: number;
  /** Newest version of its table, -1 where there is none. */
  readonly tableVersion: number;
  /** Slice start -> the commit that last wrote it, as a snapshot gives it. */
  readonly committed: ReadonlyMap<bigint, number>;
  /** What the last look for late rows has found; absent when there was none, or there is nothing to find. */
  readonly late?: LateNote;
  /** How many rows a slice has about, where that is known. */
  readonly rowsPerSlice?: number;
  readonly online?: ViewState;
  /** What `onlineLayout` says now: a load of another layout, or of another life of the store, is made anew. */
  readonly layout?: string;
}

export interface ReconcileInput {
  readonly workspace: string;
  readonly state: RegistryState;
  /**
   * Of the serving and building versions, and of those that a rollback goes back to. A version that is not in it is left alone:
   * its data could not be read.
   */
  readonly data: readonly VersionData[];
  /** Versions that are not registered any more and still have data. */
  readonly leftovers?: readonly { readonly view: string; readonly version: number }[];
  /** Jobs in the queue: waiting, delayed, active, failed and cancelled ones. */
  readonly records: readonly JobRecord[];
  readonly now: Micros;
  /** The time that `records` are measured by. */
  readonly queueNow: Date;
  readonly limits?: ReconcileLimits;
}

/** How much work goes into one job, and how many jobs into the queue. */
export interface ReconcileLimits {
  /** Slices of one materialize job, unless there are so many slices that larger jobs do better. Default 31. */
  readonly slicesPerJob?: number;
  /** Rows of one materialize job, where slices are known to be large. Default 50,000,000. */
  readonly rowsPerJob?: number;
  /** Materialize jobs of one view version in the queue at a time. Default 64. */
  readonly jobsPerVersion?: number;
}

/** Work that is due and is not submitted, and why. */
export interface Held {
  /** The work. */
  readonly job: Job;
  /** What the failed or cancelled job says. */
  readonly reason: string;
  /** When it is submitted again; never by itself when it was cancelled. */
  readonly until?: Date;
}

export interface ReconcilePlan {
  /** Most urgent first. */
  readonly jobs: readonly { readonly job: Job; readonly options: SubmitOptions }[];
  /** Building versions that have everything. */
  readonly serve: readonly { readonly view: string; readonly version: number }[];
  readonly held: readonly Held[];
  /** Versions whose definition cannot be worked with; the others are in the plan. */
  readonly problems: readonly Problem[];
}

/** What could not be looked at, and why. */
export interface Problem {
  /** What was looked at. */
  readonly what: string;
  /** What was thrown. */
  readonly error: unknown;
}

/** Lower runs first; backfills count up from theirs, newest slices first. */
export const priorities = {
  loadOnline: 10,
  schedule: 20,
  lookback: 50,
  repair: 60,
  findLate: 70,
  loadKept: 80,
  backfill: 100,
  clean: 100_000,
} as const;

/** A dead job whose fault may pass is submitted again after this, another one (of `retry: false`) after that. */
export const holdMs = { passing: 10 * 60_000, lasting: 60 * 60_000 } as const;

const maxSlicesPerJob = 992;
const jobsPerBackfill = 256;
/** More dead jobs of several slices than this are not taken apart. */
const maxSplits = 2;

/** Jobs that are due and neither in the queue nor held back. */
export function reconcile(input: ReconcileInput): ReconcilePlan {
  const jobs: { job: Job; options: SubmitOptions }[] = [];
  const serve: { view: string; version: number }[] = [];
  const held: Held[] = [];
  const problems: Problem[] = [];
  const dataOf = new Map(input.data.map((data) => [versionKey(data), data]));
  for (const view of Object.values(input.state.views)) {
    for (const version of view.versions) {
      const data = dataOf.get(versionKey({ view: view.name, version: version.version }));
      if (!data) continue;
      try {
        const part = new VersionReconciler(input, view, version, data).run();
        jobs.push(...part.jobs);
        held.push(...part.held);
        if (part.complete && version.version === view.building) {
          serve.push({ view: view.name, version: version.version });
        }
      } catch (error) {
        // One impossible definition, such as one of a million slices, must not stop the other views.
        problems.push({ what: `view "${view.name}" version ${version.version}`, error });
      }
    }
  }
  const clean = new Submission(input);
  for (const { view, version } of input.leftovers ?? []) {
    clean.add({ name: "clean", workspace: input.workspace, view, version }, priorities.clean);
  }
  jobs.push(...clean.jobs);
  held.push(...clean.held);
  jobs.sort((a, b) => a.options.priority! - b.options.priority!);
  return { jobs, serve, held, problems };
}

/** The versions that are kept up to date: the one that serves and the one that is about to; and where a rollback goes, which is kept ready. */
export function maintainedVersions(view: RegisteredView): ViewVersion[] {
  const wanted = [view.serving, view.building, versionBefore(view)];
  return view.versions.filter(({ version }) => wanted.includes(version));
}

/** `view/version`, the key of a view version in maps. */
export function versionKey({ view, version }: { readonly view: string; readonly version: number }): string {
  return `${view}/${version}`;
}

/** Collects jobs, without those that are in the queue already or held back. */
class Submission {
  readonly jobs: { job: Job; options: SubmitOptions }[] = [];
  readonly held: Held[] = [];
  readonly #input: ReconcileInput;
  readonly #records: ReadonlyMap<string, JobRecord>;

  constructor(input: ReconcileInput) {
    this.#input = input;
    this.#records = new Map(input.records.map((record) => [record.id, record]));
  }

  add(job: Job, priority: number): void {
    const record = this.#records.get(jobId(job));
    if (record && isInFlight(record)) return;
    const held = record && heldBy(record, this.#input.queueNow);
    if (held) this.held.push(held);
    else this.jobs.push({ job, options: { priority } });
  }
}

class VersionReconciler {
  readonly #input: ReconcileInput;
  readonly #view: RegisteredView;
  readonly #version: ViewVersion;
  readonly #data: VersionData;
  readonly #length: bigint;
  readonly #records: readonly (JobRecord & { readonly job: MaterializeJob })[];
  readonly #submission: Submission;
  #newest: bigint | undefined;

  constructor(input: ReconcileInput, view: RegisteredView, version: ViewVersion, data: VersionData) {
    this.#input = input;
    this.#view = view;
    this.#version = version;
    this.#data = data;
    this.#length = sliceLength(version.definition);
    this.#records = input.records.filter((record): record is JobRecord & { job: MaterializeJob } =>
      record.job.name === "materialize" && record.job.view === view.name && record.job.version === version.version
    );
    this.#submission = new Submission(input);
  }

  run(): { jobs: Submission["jobs"]; held: Held[]; complete: boolean } {
    const { definition } = this.#version;
    if (!this.#isServing && this.#view.building !== this.#version.version) return this.#keepReady();
    const due = dueSlices(definition, this.#data.committed, this.#input.now);
    this.#addSlices(due);
    if (this.#isServing) this.#addAgain();
    const needsLoad = definition.online && this.#needsLoad();
    // A version that is being built is loaded once, when it is complete: into a fresh collection, which is fastest.
    if (needsLoad && (this.#isServing ? this.#data.tableVersion >= 0 : due.length === 0)) {
      this.#submission.add({ name: "load-online", ...this.#identity, rebuild: false }, priorities.loadOnline);
    }
    return { jobs: this.#submission.jobs, held: this.#submission.held, complete: due.length === 0 && !needsLoad };
  }

  /** A version that a rollback goes back to serves at once then: its values are there, also after the online store was emptied. */
  #keepReady(): { jobs: Submission["jobs"]; held: Held[]; complete: boolean } {
    const isLost = this.#data.tableVersion >= 0 && this.#needsNewCollection();
    if (this.#version.definition.online && isLost) {
      this.#submission.add({ name: "load-online", ...this.#identity, rebuild: false }, priorities.loadKept);
    }
    return { jobs: this.#submission.jobs, held: this.#submission.held, complete: false };
  }

  /** What has been computed and may not be true any more (S10). */
  #addAgain(): void {
    const { definition } = this.#version;
    const { late, committed } = this.#data;
    const back = this.#lookbackSlices();
    this.#addSlices(back, "lookback");
    const starts = new Set(back.map(({ start }) => start));
    this.#addSlices(lateSlices(definition, late, committed).filter(({ start }) => !starts.has(start)), "repair");
    if (isLookDue(definition, late, committed, this.#input.now)) {
      this.#submission.add({ name: "find-late", ...this.#identity }, priorities.findLate);
    }
  }

  get #isServing(): boolean {
    return this.#view.serving === this.#version.version;
  }

  get #identity(): { workspace: string; view: string; version: number } {
    return { workspace: this.#input.workspace, view: this.#view.name, version: this.#version.version };
  }

  #needsLoad(): boolean {
    return this.#needsNewCollection() || this.#data.online!.appliedVersion < this.#data.tableVersion;
  }

  #needsNewCollection(): boolean {
    const { online, layout } = this.#data;
    return online?.collection === undefined || online.layout !== layout;
  }

  /**
   * The last k slices before the newest one, when they were written before it was: each schedule interval runs them once more
   * (S10). Commits say so themselves, and need no memory of what was submitted.
   */
  #lookbackSlices(): TimeRange[] {
    const { definition } = this.#version;
    const range = closedRange(definition, this.#input.now);
    if (!range) return [];
    const newest = range.end - this.#length;
    const at = this.#data.committed.get(newest);
    if (at === undefined) return [];
    const slices: TimeRange[] = [];
    for (let back = 1; back <= definition.lookback; back++) {
      const start = newest - BigInt(back) * this.#length;
      const before = this.#data.committed.get(start);
      if (start >= range.start && before !== undefined && before < at) {
        slices.push({ start, end: start + this.#length });
      }
    }
    return slices;
  }

  /** `slices` newest first; `again` says why, when they were computed before. */
  #addSlices(slices: readonly TimeRange[], again?: "lookback" | "repair"): void {
    if (slices.length === 0) return;
    const overwrite = again !== undefined;
    const alike = this.#records.filter(({ job }) => !overwrite || job.overwrite);
    const running = alike.filter(isInFlight).map(rangeOf);
    const ended = alike.filter((record) => !isInFlight(record) && record.job.overwrite === overwrite);
    // What failed together is tried one by one, so that a bad slice does not keep back the good ones; unless so much has
    // failed that it cannot be the slices.
    const large = ended.filter((record) => record.state === "failed" && this.#isLarge(record));
    const splits = (record: JobRecord & { readonly job: MaterializeJob }) =>
      large.length <= maxSplits && large.includes(record);
    const blocking = ended.map((record) => ({
      range: rangeOf(record),
      splits: splits(record),
      held: splits(record) && !mayPass(record) ? undefined : heldBy(record, this.#input.queueNow),
    }));
    const heldJobs = new Set<Held>();
    const free = slices.filter((slice) => {
      if (running.some((range) => covers(range, slice))) return false;
      const block = blocking.find(({ range, held }) => held && covers(range, slice));
      if (block) heldJobs.add(block.held!);
      return !block;
    });
    this.#submission.held.push(...heldJobs);
    const suspect = (slice: TimeRange) => blocking.some(({ range, splits }) => splits && covers(range, slice));
    const groups = this.#group(free, suspect);
    const room = Math.max(0, (this.#input.limits?.jobsPerVersion ?? 64) - running.length);
    for (const [index, range] of groups.slice(0, room).entries()) this.#addJob(range, again, index);
  }

  #addJob(range: TimeRange, again: "lookback" | "repair" | undefined, index: number): void {
    const overwrite = again !== undefined;
    const reason = again ?? (this.#isNew(range) ? "schedule" : "backfill");
    const priority = reason === "backfill" ? priorities.backfill + index : priorities[reason];
    const [start, end] = [formatTimestamp(range.start), formatTimestamp(range.end)];
    this.#submission.add({ name: "materialize", ...this.#identity, start, end, overwrite, reason }, priority);
  }

  #isLarge({ job }: { readonly job: MaterializeJob }): boolean {
    return toMicros(job.end) - toMicros(job.start) > this.#length;
  }

  /** Whether a serving version gets what came since its newest slice. */
  #isNew(range: TimeRange): boolean {
    this.#newest ??= [...this.#data.committed.keys()].reduce((a, b) => a > b ? a : b, -1n << 63n);
    return this.#isServing && this.#data.committed.size > 0 && range.start > this.#newest;
  }

  /** Runs of neighbours, newest first, cut where blocks counted from the first slice end; suspects alone. */
  #group(slices: readonly TimeRange[], suspect: (slice: TimeRange) => boolean): TimeRange[] {
    const first = alignUp(toMicros(this.#version.definition.start), this.#length);
    const blockLength = this.#slicesPerJob() * this.#length;
    const groups: { range: TimeRange; block: bigint | undefined }[] = [];
    for (const slice of slices) {
      const block = suspect(slice) ? undefined : floorDivide(slice.start - first, blockLength);
      const last = groups.at(-1);
      if (last && block !== undefined && last.block === block && last.range.start === slice.end) {
        last.range = { start: slice.start, end: last.range.end };
      } else groups.push({ range: slice, block });
    }
    return groups.map((group) => group.range);
  }

  #slicesPerJob(): bigint {
    const { slicesPerJob = 31, rowsPerJob = 50_000_000 } = this.#input.limits ?? {};
    // Doubling keeps the borders between jobs where they are for long: two schedulers make the same jobs.
    let count = slicesPerJob;
    const total = closedSliceCount(this.#version.definition, this.#input.now);
    while (total / count > jobsPerBackfill && count * 2 <= maxSlicesPerJob) count *= 2;
    const rows = this.#data.rowsPerSlice ?? 0;
    while (count > 1 && rows * count > rowsPerJob) count = Math.ceil(count / 2);
    return BigInt(count);
  }
}

function rangeOf({ job }: { readonly job: MaterializeJob }): TimeRange {
  return { start: toMicros(job.start), end: toMicros(job.end) };
}

function covers(range: TimeRange, slice: TimeRange): boolean {
  return range.start <= slice.start && slice.end <= range.end;
}

function isInFlight({ state }: JobRecord): boolean {
  return state === "waiting" || state === "delayed" || state === "active";
}

/** Whether an ended job keeps its work from being submitted again. */
function heldBy(record: JobRecord, now: Date): Held | undefined {
  const { job, state, finishedAt } = record;
  const reason = record.reason ?? "";
  if (state === "cancelled") return { job, reason: `cancelled: ${reason}` };
  if (state !== "failed") return undefined;
  const until = new Date((finishedAt ?? now).getTime() + (mayPass(record) ? holdMs.passing : holdMs.lasting));
  return until > now ? { job, reason, until } : undefined;
}

/** Whether trying again can help. */
function mayPass({ code }: JobRecord): boolean {
  return code === undefined || errorCodes[code].retry;
}
