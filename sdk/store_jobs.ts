/** Submits what is due of some views, and waits until it is done. */
import { setMaxListeners } from "node:events";
import { messageOf, type OptionNames, VarveError } from "./errors.ts";
import { warn } from "./frame/runtime.ts";
import type { JobResult } from "./materialize/run.ts";
import type { Progress } from "./materialize/progress.ts";
import {
  maintainedVersions,
  reconcile,
  type ReconcilePlan,
  type VersionData,
  versionKey,
} from "./materialize/reconcile.ts";
import { versionData } from "./materialize/version_data.ts";
import { dueSlices } from "./materialize/due_slices.ts";
import type { QueueEvent, SubmitOptions } from "./queue/queue.ts";
import { describeJob, type Job, jobId } from "./queue/jobs.ts";
import { pause, raised, systemTimers } from "./queue/timers.ts";
import type { RegistryState, ViewVersion } from "./registry/state.ts";
import type { StoreParts } from "./store_parts.ts";
import { type DoneView, progressOf, Tally } from "./store_tally.ts";

/** How to wait for work. */
export interface WaitOptions {
  /** Told how far each view is: often, and once when it is done. */
  readonly onProgress?: (progress: Progress) => void;
  /** Stops waiting and cancels the jobs that this call has submitted. */
  readonly signal?: AbortSignal;
}

export const waitOptions: OptionNames<WaitOptions> = { onProgress: true, signal: true };

/** The same jobs coming back more often than this get nowhere. */
const maxSameRounds = 5;
/** How soon somebody who waits is told that there is no worker, and how often workers are looked for. */
const firstLookMs = 1_000;
const lookMs = 5_000;
/** How often jobs are told that they are cancelled, and for how long: then whoever cancelled them waits no longer for their end. */
const cancelAgainMs = 1_000;
const maxCancels = 15;

/** Runs everything that is due of the views, newest slices first, until nothing is; then their versions serve. */
export async function runDue(
  parts: StoreParts,
  views: readonly string[],
  options: WaitOptions = {},
): Promise<DoneView[]> {
  return await runRounds(parts, options, (watched) => dueJobs(parts, views, watched));
}

/** Loads versions whose values are not online: then they can serve. The scheduler keeps those ready in the same way that it knows of. */
export async function makeReady(
  parts: StoreParts,
  wanted: readonly { readonly view: string; readonly version: number }[],
  options: WaitOptions = {},
): Promise<void> {
  const lost = new Set<string>();
  await runRounds(parts, options, async (watched) => {
    const state = await parts.registry.state();
    const versions = wanted.flatMap(({ view, version }) =>
      state.views[view]?.versions.filter((each) => each.version === version) ?? []
    );
    const { plan } = await planFor(parts, state, versions);
    // Somebody waits for it.
    const jobs = plan.jobs.filter(({ job }) => job.name === "load-online")
      .map(({ job }) => ({ job, options: { priority: 1 } }));
    for (const { job } of jobs) lost.add(versionKey(job));
    const targets = versions.filter(({ definition, version }) =>
      lost.has(versionKey({ view: definition.name, version }))
    );
    for (const target of targets) watched.expect(target, 0);
    return { targets, jobs };
  });
}

/** Runs what a look finds, and looks again, until it finds nothing. */
async function runRounds(
  parts: StoreParts,
  options: WaitOptions,
  look: (watched: WatchedJobs) => Promise<Found>,
): Promise<DoneView[]> {
  const watched = new WatchedJobs(parts, options);
  try {
    let sameRounds = 0;
    let before = "";
    for (;;) {
      options.signal?.throwIfAborted();
      const { targets, jobs } = await look(watched);
      if (jobs.length === 0) return watched.finish(targets);
      const round = jobs.map(({ job }) => jobId(job)).sort().join();
      sameRounds = round === before ? sameRounds + 1 : 0;
      before = round;
      if (sameRounds >= maxSameRounds) throw stuck(jobs[0]!.job);
      await watched.run(jobs);
    }
  } finally {
    watched.stop();
  }
}

/** Submits what is due of the views and does not wait. */
export async function submitDue(parts: StoreParts, views: readonly string[]): Promise<number> {
  const { jobs } = await dueJobs(parts, views);
  await parts.queue.submitMany(jobs);
  return jobs.length;
}

/** Runs these jobs and waits for them. */
export async function runJobs(parts: StoreParts, jobs: readonly DueJob[], options: WaitOptions = {}): Promise<void> {
  const watched = new WatchedJobs(parts, options);
  try {
    await watched.run(jobs);
  } finally {
    watched.stop();
  }
}

/** Cancels jobs of a view that wait or run; gives how many. */
export async function cancelJobs({ queue, workspace }: StoreParts, view: string, reason: string): Promise<number> {
  const records = await queue.list({ view, workspace, states: ["waiting", "delayed", "active"] });
  const cancelled = await Promise.all(records.map(async ({ id }) => {
    if (!await queue.cancel(id, reason)) return false;
    // A job that runs takes a moment to notice.
    await queue.finished(id, { timeoutMs: 10_000 }).catch(() => undefined);
    return true;
  }));
  return cancelled.filter(Boolean).length;
}

/** Jobs of one version that somebody asked for. */
export interface AskedWork {
  readonly target: ViewVersion;
  /** Slices that they compute. */
  readonly slices: number;
  readonly compute: DueJob;
  /** What is run when the slices are there. */
  readonly load?: DueJob;
}

/** Computes slices, then loads what they gave online, and waits for both. */
export async function runAsked(
  parts: StoreParts,
  work: readonly AskedWork[],
  options: WaitOptions = {},
): Promise<DoneView[]> {
  const watched = new WatchedJobs(parts, options);
  try {
    for (const { target, slices } of work) watched.expect(target, slices);
    await watched.run(work.map(({ compute }) => compute));
    const loads = work.flatMap(({ load }) => load ?? []);
    if (loads.length > 0) await watched.run(loads);
    return watched.finish(work.map(({ target }) => target));
  } finally {
    watched.stop();
  }
}

interface DueJob {
  readonly job: Job;
  readonly options?: SubmitOptions;
}

/** The versions of the views that are to have everything: what serves and what is being built. */
export function targetsOf(state: RegistryState, views: readonly string[]): ViewVersion[] {
  return views.flatMap((name) => {
    const view = state.views[name];
    return view?.versions.filter(({ version }) => version === view.serving || version === view.building) ?? [];
  });
}

/** Jobs that are to be run, and the versions that they are for. */
interface Found {
  readonly targets: readonly ViewVersion[];
  readonly jobs: readonly DueJob[];
}

async function dueJobs(parts: StoreParts, views: readonly string[], watched?: WatchedJobs): Promise<Found> {
  const state = await parts.registry.state();
  const targets = targetsOf(state, views);
  const maintained = views.flatMap((name) =>
    Object.hasOwn(state.views, name) ? maintainedVersions(state.views[name]!) : []
  );
  const { data, plan } = await planFor(parts, state, maintained);
  const now = parts.clock.now();
  for (const [i, { committed }] of data.entries()) {
    const version = maintained[i]!;
    if (targets.includes(version)) watched?.expect(version, dueSlices(version.definition, committed, now).length);
  }
  for (const { view, version } of plan.serve) {
    await parts.registry.promote(view, version).catch((error: unknown) => {
      // Another version replaced it, or somebody deleted it meanwhile.
      if (!(error instanceof VarveError) || (error.code !== "CONFLICT" && error.code !== "NOT_FOUND")) throw error;
    });
  }
  return { targets, jobs: plan.jobs };
}

/** What is stored of versions, and what is due of them. */
async function planFor(
  parts: StoreParts,
  state: RegistryState,
  versions: readonly ViewVersion[],
): Promise<{ readonly data: readonly VersionData[]; readonly plan: ReconcilePlan }> {
  const { workspace, objects } = parts;
  const context = { workspace, objects, table: parts.table.bind(parts), online: parts.online.bind(parts) };
  const data = await Promise.all(versions.map((version) => versionData(context, version)));
  // Whoever asks for it now does not want to wait until a job that failed before may be tried again: no records are looked at.
  const input = { workspace, state, data, records: [], now: parts.clock.now(), queueNow: parts.queue.now() };
  const plan = reconcile(input);
  if (plan.problems.length > 0) throw plan.problems[0]!.error;
  return { data, plan };
}

/** Jobs of one call, and what they have told of themselves. */
class WatchedJobs {
  readonly #parts: StoreParts;
  readonly #options: WaitOptions;
  readonly #ids = new Set<string>();
  readonly #ended = new Set<string>();
  readonly #views = new Map<string, Tally>();
  readonly #unwatch: () => void;

  constructor(parts: StoreParts, options: WaitOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#unwatch = parts.queue.watch((event) => this.#see(event));
  }

  /** Notes how many slices a version lacks; the first word counts. */
  expect({ definition, version }: ViewVersion, slices: number): void {
    const key = `${definition.name}/${version}`;
    if (!this.#views.has(key)) this.#views.set(key, new Tally(definition.name, version, slices));
  }

  /** Waits for all of them, also when one fails: what can be done is done. */
  async run(jobs: readonly DueJob[]): Promise<void> {
    for (const { job } of jobs) this.#ids.add(jobId(job));
    this.#parts.work();
    const records = await this.#parts.queue.submitMany(
      jobs.map(({ job, options }) => ({ job, ...(options && { options }) })),
    );
    const over = new AbortController();
    // One for each job and more: not the leak that Node warns of from eleven on.
    setMaxListeners(0, over.signal);
    if (!this.#parts.runsJobs) void this.#lookForWorkers(records.length, over.signal);
    const left = new Set(records.map(({ id }) => id));
    try {
      const all = Promise.allSettled(records.map(async ({ id }) => {
        const record = await this.#parts.queue.finished(id, { signal: over.signal }).finally(() => left.delete(id));
        // Whoever slept, or was away from the queue, has not heard of it.
        this.#see({ kind: "completed", record });
        return record;
      }));
      const ended = await Promise.race([all, this.#cancelWhenTold(left, over.signal).then(() => all)]);
      const failures = ended.flatMap((result) => result.status === "rejected" ? [result.reason as unknown] : []);
      if (failures.length > 0) throw failure(failures, jobs.length);
    } finally {
      over.abort();
    }
  }

  /**
   * Cancels jobs once the caller's signal is raised, again and again until they have ended: the queue may be away, or a worker may
   * have handed a job back before it heard of it. Throws when they do not end.
   */
  async #cancelWhenTold(left: ReadonlySet<string>, over: AbortSignal): Promise<void> {
    const { signal } = this.#options;
    if (!signal) return;
    await raised(AbortSignal.any([signal, over]));
    const { queue } = this.#parts;
    for (let round = 0; !over.aborted; round++) {
      if (round === maxCancels) throw notCancelled(left.size, queue.description);
      for (const id of left) queue.cancel(id, messageOf(signal.reason)).catch(() => undefined);
      await pause(cancelAgainMs, systemTimers, over);
    }
  }

  /** Whoever waits for jobs that nobody will run is told so, again when the last worker has gone. */
  async #lookForWorkers(jobs: number, over: AbortSignal): Promise<void> {
    let wasAbandoned = false;
    for (let wait = firstLookMs; !over.aborted; wait = lookMs) {
      await pause(wait, systemTimers, over);
      // A queue that does not answer is told of by the wait itself.
      const workers = await this.#parts.queue.workers().catch(() => undefined);
      if (over.aborted || workers === undefined) continue;
      const isAbandoned = workers.length === 0;
      if (isAbandoned && !wasAbandoned) this.#tellAbandoned(jobs);
      wasAbandoned = isAbandoned;
    }
  }

  #tellAbandoned(jobs: number): void {
    const { queue } = this.#parts;
    const { onProgress } = this.#options;
    const tallies = [...this.#views.values()];
    if (onProgress && tallies.length > 0) { for (const tally of tallies) onProgress(tally.progress("waiting")); }
    else {
      warn(
        `${jobs === 1 ? "1 job waits" : `${jobs} jobs wait`} and no worker is alive (queue: ${queue.description}): ` +
          "start `varve worker` with the same configuration, and this goes on",
      );
    }
  }

  finish(targets: readonly ViewVersion[]): DoneView[] {
    return targets.map(({ definition, version }) => {
      const tally = this.#views.get(`${definition.name}/${version}`)!;
      this.#options.onProgress?.(tally.progress("done"));
      return tally.done();
    });
  }

  stop(): void {
    this.#unwatch();
  }

  #see({ kind, record }: QueueEvent): void {
    if (!this.#ids.has(record.id) || (kind !== "progress" && kind !== "completed")) return;
    // To whoever slept, what a job told on its way may come after its end.
    if (kind === "completed") this.#ended.add(record.id);
    else if (this.#ended.has(record.id)) return;
    const { name, view, version } = record.job;
    const tally = this.#views.get(`${view}/${version}`);
    if (!tally) return;
    const told = kind === "completed" ? progressOf(record.result as JobResult) : record.progress as Partial<Progress>;
    tally.see(record.id, told);
    this.#options.onProgress?.(tally.progress(name === "load-online" ? "online" : "slices"));
  }
}

function failure(failures: readonly unknown[], jobs: number): unknown {
  const [first] = failures;
  if (failures.length === 1 || !(first instanceof VarveError)) return first;
  const others = [...new Set(failures.slice(1).map(messageOf))].filter((message) => message !== first.message).slice(
    0,
    3,
  );
  const text = `${first.message} (${failures.length} of ${jobs} jobs failed${
    others.length > 0 ? `; also: ${others.join("; ")}` : ""
  })`;
  return new VarveError(first.code, text, { cause: first, details: first.details });
}

function notCancelled(jobs: number, queue: string): VarveError {
  return new VarveError(
    "UNAVAILABLE",
    `Cannot tell whether ${jobs === 1 ? "1 job is" : `${jobs} jobs are`} cancelled: ${queue} has not said so within ${
      maxCancels * cancelAgainMs / 1_000
    } s; see \`varve status\` when it answers`,
  );
}

function stuck(job: Job): VarveError {
  return new VarveError(
    "CONFLICT",
    `Cannot finish ${
      describeJob(job)
    }: it was run ${maxSameRounds} times and is still due; the clocks of this process and its workers may differ`,
  );
}
