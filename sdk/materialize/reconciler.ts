/** Looks again and again at what is missing, and submits it: the scheduler of a cluster and of an embedded store. */
import { messageOf, VarveError } from "../errors.ts";
import type { JobRecord, Queue } from "../queue/queue.ts";
import { systemTimers, type Timers } from "../queue/timers.ts";
import type { RegistryState } from "../registry/state.ts";
import { type Held, maintainedVersions, type Problem, reconcile, type ReconcileLimits } from "./reconcile.ts";
import type { RunContext } from "./run.ts";
import { versionData } from "./version_data.ts";

/** What a reconciler looks at, and how often. */
export interface ReconcilerOptions {
  /** Where it finds what there is. */
  readonly stores: Pick<RunContext, "registry" | "objects" | "table" | "online" | "clock">;
  /** Where it submits what is missing. */
  readonly queue: Queue;
  /** How it waits. @default the computer's */
  readonly timers?: Timers;
  /** How often to look without being told. Default 5 s. */
  readonly intervalMs?: number;
  /** How much it submits at a time. */
  readonly limits?: ReconcileLimits;
  /** Told after every look. */
  readonly onPass?: (report: PassReport) => void;
}

/** What one look did. */
export interface PassReport {
  /** Jobs that were submitted. */
  readonly submitted: readonly JobRecord[];
  /** Versions that serve from now on. */
  readonly served: readonly { readonly view: string; readonly version: number }[];
  /** Work that was not submitted, and why. */
  readonly held: readonly Held[];
  /** What could not be looked at, and why; the rest was. */
  readonly problems: readonly Problem[];
}

/** How soon to look when something happened: what happens together is looked at once. */
const hintMs = 50;
/** How often to look for data of versions that are not registered any more. */
const leftoversEveryMs = 3_600_000;
/** The most jobs in the queue that are looked at. */
const recordLimit = 10_000;

/** Two at once, in any processes, submit the same jobs and are harmless. */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #timers: Timers;
  readonly #stops: (() => void)[] = [];
  #stopTimer: () => void = () => {};
  #passing: Promise<PassReport> | undefined;
  #hinted = false;
  #started = false;
  #leftoversAt = -Infinity;
  #revision = -1;

  /** Makes one; it does nothing until it is started. */
  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
  }

  /** Looks at once, then at every interval and soon after every change of the registry and end of a job. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    const { stores, queue } = this.#options;
    this.#stops.push(stores.registry.watch(() => this.hint()));
    this.#stops.push(queue.watch(({ kind }) => {
      if (kind === "completed" || kind === "failed" || kind === "cancelled") this.hint();
    }));
    this.#schedule(0);
  }

  /** Something may have changed: looks soon. */
  hint(): void {
    if (!this.#started || this.#hinted) return;
    this.#hinted = true;
    if (!this.#passing) this.#schedule(hintMs);
  }

  /** Looks once; whoever calls while a look is under way gets one that begins after the call. */
  async pass(): Promise<PassReport> {
    while (this.#passing) await this.#passing.catch(() => undefined);
    this.#passing = this.#pass();
    try {
      return await this.#passing;
    } finally {
      this.#passing = undefined;
    }
  }

  /** Looks no more; waits for the look under way. */
  async close(): Promise<void> {
    this.#started = false;
    this.#stopTimer();
    for (const stop of this.#stops.splice(0)) stop();
    await this.#passing?.catch(() => undefined);
  }

  #schedule(ms: number): void {
    this.#stopTimer();
    this.#stopTimer = this.#timers.after(ms, () => void this.#tick());
  }

  async #tick(): Promise<void> {
    this.#hinted = false;
    let report: PassReport;
    try {
      report = await this.pass();
    } catch (error) {
      report = { submitted: [], served: [], held: [], problems: [{ what: "the registry and the queue", error }] };
    }
    if (!this.#started) return;
    this.#schedule(this.#hinted ? hintMs : this.#options.intervalMs ?? 5_000);
    this.#options.onPass?.(report);
  }

  async #pass(): Promise<PassReport> {
    const { stores, queue, limits } = this.#options;
    const problems: Problem[] = [];
    const attempt = async <T>(what: string, run: () => Promise<T>): Promise<T | undefined> => {
      try {
        return await run();
      } catch (error) {
        problems.push({ what, error });
        return undefined;
      }
    };
    const state = await stores.registry.state();
    // Jobs before data: what a job commits between the two is then seen as both in flight and done, never as neither.
    const records = await queue.list({
      states: ["waiting", "delayed", "active", "failed", "cancelled"],
      limit: recordLimit,
    });
    const data = (await Promise.all(
      Object.values(state.views).flatMap(maintainedVersions).map((version) =>
        attempt(
          `view "${version.definition.name}" version ${version.version}`,
          () => versionData({ ...stores, workspace: stores.registry.workspace }, version),
        )
      ),
    )).filter((item) => item !== undefined);
    const leftovers = await attempt("data of deleted versions", () => this.#leftovers(state)) ?? [];
    const workspace = stores.registry.workspace;
    const input = { workspace, state, data, leftovers, records, now: stores.clock.now(), queueNow: queue.now() };
    const plan = reconcile(limits ? { ...input, limits } : input);
    problems.push(...plan.problems);
    const served = [];
    for (const item of plan.serve) {
      if (await attempt(`view "${item.view}" version ${item.version}`, () => this.#promote(item))) served.push(item);
    }
    return { submitted: await queue.submitMany(plan.jobs), served, held: plan.held, problems };
  }

  async #promote({ view, version }: { view: string; version: number }): Promise<boolean> {
    try {
      return await this.#options.stores.registry.promote(view, version) !== undefined;
    } catch (error) {
      // Another version replaced it, or somebody deleted it meanwhile.
      if (error instanceof VarveError && (error.code === "CONFLICT" || error.code === "NOT_FOUND")) return false;
      throw error;
    }
  }

  /** Versions that the registry once had and that still have data. Looked for when the registry changed, and now and then. */
  async #leftovers(state: RegistryState): Promise<{ view: string; version: number }[]> {
    const elapsed = performance.now();
    if (state.revision === this.#revision && elapsed - this.#leftoversAt < leftoversEveryMs) return [];
    const { stores } = this.#options;
    const found: { view: string; version: number }[] = [];
    for (const [view, last] of Object.entries(state.lastVersions ?? {})) {
      const registered = new Set(state.views[view]?.versions.map((each) => each.version));
      for (let version = 1; version <= last; version++) {
        if (registered.has(version)) continue;
        for await (const _object of stores.objects.list(`${stores.table(view, version).path}/`)) {
          found.push({ view, version });
          break;
        }
      }
    }
    this.#revision = state.revision;
    this.#leftoversAt = elapsed;
    return found;
  }
}

/** One line for logs: what could not be looked at, and why. */
export function describeProblem({ what, error }: Problem): string {
  return `Cannot look at ${what}: ${messageOf(error)}`;
}
