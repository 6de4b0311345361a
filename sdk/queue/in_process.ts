/** The queue of an embedded store: jobs live in this process and end with it; the scheduler enqueues again what is missing. */
import { messageOf, VarveError } from "../errors.ts";
import { type Clock, floorDivide } from "../time.ts";
import { Attempt, type Outcome } from "./attempt.ts";
import { backoffMs, type BackoffOptions, completeOptions, endedError, toJsonData } from "./failure.ts";
import { Entry, EntryStore } from "./in_process_store.ts";
import { type Job, jobId } from "./jobs.ts";
import {
  type Handler,
  type JobRecord,
  type ListFilter,
  type Queue,
  type QueueEvent,
  type QueueEventKind,
  type Running,
  type SubmitOptions,
  workerForgottenMs,
  type WorkerRecord,
} from "./queue.ts";
import { pause, systemTimers, type Timers } from "./timers.ts";

/** What a queue inside a process runs by. */
export interface InProcessQueueOptions {
  /** The time of its records. */
  readonly clock: Clock;
  /** How it waits. @default the computer's */
  readonly timers?: Timers;
  /** Between 0 and 1, for the jitter of back-offs. Default `Math.random`. */
  readonly random?: () => number;
  /** How long it waits between attempts. */
  readonly backoff?: BackoffOptions;
  /** How many finished records are kept: completed ones, and failed or cancelled ones. Default 1000 of each. */
  readonly keep?: number;
  /** How long a stopped handler may take to notice. Default 5 s. */
  readonly graceMs?: number;
}

interface Crew {
  readonly handler: Handler;
  readonly concurrency: number;
  readonly attempts: Map<string, Attempt>;
  closing: boolean;
}

/** A queue in this process, with the states and rules of the cluster's queue. */
export class InProcessQueue implements Queue {
  /** How `varve status` names it. */
  readonly description = "in this process";
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #random: () => number;
  readonly #backoff: BackoffOptions;
  readonly #graceMs: number;
  readonly #entries: EntryStore;
  readonly #crews = new Set<Crew>();
  readonly #listeners = new Set<(event: QueueEvent) => void>();
  readonly #workers = new Map<string, WorkerRecord>();
  #closed = false;

  /** Makes an empty queue. */
  constructor(options: InProcessQueueOptions) {
    this.#clock = options.clock;
    this.#timers = options.timers ?? systemTimers;
    this.#random = options.random ?? Math.random;
    this.#backoff = options.backoff ?? {};
    this.#graceMs = options.graceMs ?? 5_000;
    this.#entries = new EntryStore(options.keep ?? 1000);
  }

  /** Its time. */
  now(): Date {
    return new Date(Number(floorDivide(this.#clock.now(), 1000n)));
  }

  /** Adds a job; of one that is there and not finished, gives that one. */
  async submit(job: Job, options?: SubmitOptions): Promise<JobRecord> {
    this.#checkOpen();
    const id = jobId(job);
    const settings = completeOptions(options);
    const present = this.#entries.get(id);
    if (present && !present.isFinished) return present.record();
    const entry = new Entry(id, toJsonData(job) as Job, settings, this.now());
    this.#entries.add(entry);
    this.#emit("added", entry);
    if (settings.delayMs > 0) this.#delay(entry, settings.delayMs);
    // Workers start in a later microtask: whoever submitted sees the job before it runs.
    else queueMicrotask(() => this.#pump());
    return entry.record();
  }

  /** Adds jobs, each as `submit` does. */
  async submitMany(jobs: readonly { job: Job; options?: SubmitOptions }[]): Promise<JobRecord[]> {
    // All or none: wrong options of one job must not leave half of them submitted.
    for (const { options } of jobs) completeOptions(options);
    return await Promise.all(jobs.map(({ job, options }) => this.submit(job, options)));
  }

  /** Runs jobs in this process from now on. */
  work(handler: Handler, options: { concurrency?: number } = {}): Running {
    this.#checkOpen();
    const crew: Crew = { handler, concurrency: options.concurrency ?? 1, attempts: new Map(), closing: false };
    this.#crews.add(crew);
    queueMicrotask(() => this.#pump());
    return { close: (closing = {}) => this.#closeCrew(crew, closing.deadlineMs ?? 30_000) };
  }

  /** One job, or undefined. */
  async get(id: string): Promise<JobRecord | undefined> {
    return this.#entries.get(id)?.record();
  }

  /** Jobs that fit, newest first. */
  async list(filter: ListFilter = {}): Promise<JobRecord[]> {
    return this.#entries.list(filter);
  }

  /** Cancels a job that has not finished; says whether there was one. */
  async cancel(id: string, reason: string): Promise<boolean> {
    const entry = this.#entries.get(id);
    if (!entry || entry.isFinished) return false;
    if (entry.state === "active") {
      for (const crew of this.#crews) crew.attempts.get(id)?.cancel(reason);
      return true;
    }
    entry.stopTimer();
    this.#entries.takeOut(entry);
    this.#finish(entry, { kind: "cancelled", reason });
    return true;
  }

  /** Puts a failed or cancelled job back in line; says whether there was one. */
  async retry(id: string): Promise<boolean> {
    const entry = this.#entries.get(id);
    if (!entry || (entry.state !== "failed" && entry.state !== "cancelled")) return false;
    entry.reset();
    this.#backInLine(entry);
    return true;
  }

  /** Tells a listener what happens, until what it gives back is called. */
  watch(listener: (event: QueueEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Waits for a job to end; throws what it failed with. */
  async finished(id: string, options: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<JobRecord> {
    const entry = this.#entries.get(id);
    if (!entry) {
      throw new VarveError("NOT_FOUND", `Cannot wait for job "${id}": there is none; it may have finished long ago`);
    }
    const ended = entry.isFinished ? entry.record() : await this.#ended(id, options);
    if (ended.state !== "completed") throw endedError(ended);
    return ended;
  }

  /** Notes that a worker lives. */
  async beat(worker: Omit<WorkerRecord, "seenAt">): Promise<void> {
    this.#workers.set(worker.id, Object.freeze({ ...worker, seenAt: this.now() }));
  }

  /** Notes that a worker has gone. */
  async leave(workerId: string): Promise<void> {
    this.#workers.delete(workerId);
  }

  /** Workers that were heard of lately. */
  async workers(): Promise<WorkerRecord[]> {
    const now = this.now().getTime();
    for (const [id, worker] of this.#workers) {
      if (now - worker.seenAt.getTime() > workerForgottenMs) this.#workers.delete(id);
    }
    return [...this.#workers.values()];
  }

  /** Aborts what runs and takes nothing more. */
  async close(): Promise<void> {
    if (this.#closed) return;
    await Promise.all([...this.#crews].map((crew) => this.#closeCrew(crew, 0)));
    this.#closed = true;
    for (const entry of this.#entries.all()) entry.stopTimer();
    this.#entries.wakeWaiters();
    this.#listeners.clear();
    this.#workers.clear();
  }

  #checkOpen(): void {
    if (this.#closed) throw new VarveError("UNAVAILABLE", "Cannot use the queue: it is closed");
  }

  #pump(): void {
    if (this.#closed) return;
    for (const crew of this.#crews) {
      while (!crew.closing && crew.attempts.size < crew.concurrency) {
        const entry = this.#entries.takeNext();
        if (!entry) return;
        void this.#run(crew, entry);
      }
    }
  }

  async #run(crew: Crew, entry: Entry): Promise<void> {
    entry.start(this.now());
    this.#emit("active", entry);
    const attempt = new Attempt({
      handler: crew.handler,
      job: entry.job,
      id: entry.id,
      attempt: entry.attempts,
      // A handler that was given up may still report: only the run that holds the entry is heard.
      progress: async (value) => {
        if (crew.attempts.get(entry.id) !== attempt) return;
        entry.progress = toJsonData(value);
        this.#emit("progress", entry);
      },
      timers: this.#timers,
      graceMs: this.#graceMs,
    });
    crew.attempts.set(entry.id, attempt);
    const outcome = await attempt.outcome;
    crew.attempts.delete(entry.id);
    this.#settle(entry, outcome);
    this.#pump();
  }

  #settle(entry: Entry, outcome: Outcome): void {
    if (outcome.kind === "handedBack" || outcome.kind === "lost") return this.#backInLine(entry);
    if (outcome.kind !== "failed") return this.#finish(entry, outcome);
    entry.failures++;
    entry.fail(outcome.failure);
    if (!outcome.failure.retry || entry.failures >= entry.settings.attempts) return this.#finish(entry, outcome);
    this.#delay(entry, backoffMs(entry.failures, this.#random, this.#backoff));
  }

  #finish(entry: Entry, outcome: Exclude<Outcome, { kind: "handedBack" | "lost" }>): void {
    entry.finish(outcome, this.now());
    this.#emit(outcome.kind, entry);
    this.#entries.retire(entry);
  }

  #backInLine(entry: Entry): void {
    this.#entries.putInLine(entry);
    this.#emit("waiting", entry);
    queueMicrotask(() => this.#pump());
  }

  #delay(entry: Entry, ms: number): void {
    entry.delay(this.#timers.after(ms, () => this.#backInLine(entry)));
    this.#emit("delayed", entry);
  }

  #emit(kind: QueueEventKind, entry: Entry): void {
    const event: QueueEvent = Object.freeze({ kind, record: entry.record() });
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        // A listener is a looker-on: its fault must not change what happens to the job, and must not be silent either.
        process.emitWarning(`A listener of the queue failed: ${messageOf(error)}`);
      }
    }
  }

  async #closeCrew(crew: Crew, deadlineMs: number): Promise<void> {
    crew.closing = true;
    const running = Promise.all([...crew.attempts.values()].map((attempt) => attempt.outcome));
    const settled = new AbortController();
    void running.then(() => settled.abort());
    if (crew.attempts.size > 0) await pause(deadlineMs, this.#timers, settled.signal);
    for (const attempt of crew.attempts.values()) attempt.handBack();
    await running;
    this.#crews.delete(crew);
  }

  #ended(id: string, { timeoutMs, signal }: { timeoutMs?: number; signal?: AbortSignal }): Promise<JobRecord> {
    return new Promise((resolve, reject) => {
      const stop = this.#entries.onEnd(id, (record) => {
        clean();
        if (record) resolve(record);
        else reject(new VarveError("UNAVAILABLE", `Cannot wait for job "${id}": the queue was closed`));
      });
      const fail = (code: "TIMEOUT" | "CANCELLED", why: string) => {
        clean();
        reject(new VarveError(code, `Cannot wait for job "${id}": ${why}`, { cause: signal?.reason }));
      };
      const onAbort = () => fail("CANCELLED", "the wait was cancelled; the job goes on");
      const stopTimer = timeoutMs === undefined
        ? () => {}
        : this.#timers.after(timeoutMs, () => fail("TIMEOUT", `it did not finish within ${timeoutMs} ms; it goes on`));
      const clean = () => {
        stop();
        stopTimer();
        signal?.removeEventListener("abort", onAbort);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      if (signal?.aborted) onAbort();
    });
  }
}
