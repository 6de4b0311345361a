/** One run of a handler, and the ways it is stopped: the same for every queue. */
import { VarveError } from "../errors.ts";
import { type Failure, failureOf, toJsonData } from "./failure.ts";
import { describeJob, type Job } from "./jobs.ts";
import type { Handler } from "./queue.ts";
import type { Timers } from "./timers.ts";

/** How a run ended. */
export type Outcome =
  | { readonly kind: "completed"; readonly result: unknown }
  | { readonly kind: "failed"; readonly failure: Failure }
  | { readonly kind: "cancelled"; readonly reason: string }
  /** The worker stops: the job goes back in line. */
  | { readonly kind: "handedBack" }
  /** Another worker has the job: nothing may be recorded of this run. */
  | { readonly kind: "lost" };

/** What is run, and with what. */
export interface AttemptOptions {
  /** Does the work. */
  readonly handler: Handler;
  /** The work. */
  readonly job: Job;
  /** The job's id. */
  readonly id: string;
  /** 1 at the first start. */
  readonly attempt: number;
  /** Told how far the work is. */
  readonly progress: (value: unknown) => Promise<void>;
  /** How it waits. */
  readonly timers: Timers;
  /** How long a handler may take to notice that it was stopped, before the queue goes on without it. */
  readonly graceMs: number;
}

/** Starts at once; `outcome` never rejects. */
export class Attempt {
  /** The job's id. */
  readonly id: string;
  /** How the run ended. */
  readonly outcome: Promise<Outcome>;
  readonly #options: AttemptOptions;
  readonly #controller = new AbortController();
  #stopped: Outcome | undefined;
  #giveUp: () => void = () => {};

  /** Starts the handler. */
  constructor(options: AttemptOptions) {
    this.id = options.id;
    this.#options = options;
    const givenUp = new Promise<void>((resolve) => this.#giveUp = resolve);
    this.outcome = this.#run(givenUp);
  }

  /** Stops it for good. */
  cancel(reason: string): void {
    this.#stop({ kind: "cancelled", reason }, "CANCELLED", `it was cancelled: ${reason}`);
  }

  /** Stops it because the worker stops. */
  handBack(): void {
    this.#stop({ kind: "handedBack" }, "UNAVAILABLE", "its worker is shutting down; another worker takes it");
  }

  /** Stops it because the lease is gone. */
  lose(): void {
    this.#stop({ kind: "lost" }, "CONFLICT", "its lease was lost; another worker takes it");
  }

  #stop(outcome: Outcome, code: "CANCELLED" | "UNAVAILABLE" | "CONFLICT", why: string): void {
    if (this.#stopped) return;
    this.#stopped = outcome;
    const { job, timers, graceMs } = this.#options;
    const stopTimer = timers.after(graceMs, this.#giveUp);
    void this.outcome.then(stopTimer);
    this.#controller.abort(new VarveError(code, `Cannot go on with job ${describeJob(job)}: ${why}`));
  }

  async #run(givenUp: Promise<void>): Promise<Outcome> {
    const { handler, job, id, attempt, progress } = this.#options;
    const { signal } = this.#controller;
    const settled = this.#settle(async () => await handler(job, { id, attempt, signal, progress }));
    return await Promise.race([settled, givenUp.then(() => this.#stopped!)]);
  }

  async #settle(run: () => Promise<unknown>): Promise<Outcome> {
    let outcome: Outcome;
    // Whoever made this attempt must hold it before its handler reports anything.
    await Promise.resolve();
    try {
      outcome = { kind: "completed", result: toJsonData(await run()) };
    } catch (error) {
      const failure = failureOf(error);
      if (this.#stopped) return this.#stopped;
      return failure.code === "CANCELLED" ? { kind: "cancelled", reason: failure.reason } : { kind: "failed", failure };
    }
    // Work that was done before the stop was noticed is done, unless the lease is somebody else's.
    return this.#stopped?.kind === "lost" ? this.#stopped : outcome;
  }
}
