/** The jobs of the in-process queue: who is in line and in which order, and a bounded history of what has ended. */
import type { ErrorCode } from "../errors.ts";
import type { Failure } from "./failure.ts";
import type { Job } from "./jobs.ts";
import type { JobRecord, JobState, ListFilter, SubmitOptions } from "./queue.ts";

type End =
  | { readonly kind: "completed"; readonly result: unknown }
  | { readonly kind: "failed"; readonly failure: Failure }
  | { readonly kind: "cancelled"; readonly reason: string };

let submissions = 0;

/** One job and what happened to it so far. */
export class Entry {
  readonly id: string;
  readonly job: Job;
  readonly settings: Required<SubmitOptions>;
  readonly enqueuedAt: Date;
  /** Order of submission, kept when the job comes back in line: it does not lose its place. */
  readonly sequence: number = submissions++;
  state: JobState = "waiting";
  attempts = 0;
  failures = 0;
  progress: unknown;
  #reason: string | undefined;
  #code: ErrorCode | undefined;
  #result: unknown;
  #startedAt: Date | undefined;
  #finishedAt: Date | undefined;
  #stopTimer: () => void = () => {};

  constructor(id: string, job: Job, settings: Required<SubmitOptions>, enqueuedAt: Date) {
    this.id = id;
    this.job = job;
    this.settings = settings;
    this.enqueuedAt = enqueuedAt;
  }

  get isFinished(): boolean {
    return this.state === "completed" || this.state === "failed" || this.state === "cancelled";
  }

  start(at: Date): void {
    this.state = "active";
    this.attempts++;
    this.progress = undefined;
    this.#startedAt = at;
  }

  fail(failure: Failure): void {
    this.#reason = failure.reason;
    this.#code = failure.code;
  }

  delay(stopTimer: () => void): void {
    this.state = "delayed";
    this.#stopTimer = stopTimer;
  }

  finish(end: End, at: Date): void {
    this.state = end.kind;
    this.#finishedAt = at;
    this.#reason = end.kind === "cancelled" ? end.reason : end.kind === "failed" ? end.failure.reason : undefined;
    this.#code = end.kind === "cancelled" ? "CANCELLED" : end.kind === "failed" ? end.failure.code : undefined;
    if (end.kind === "completed") this.#result = end.result;
  }

  /** As if it had never run. */
  reset(): void {
    this.attempts = 0;
    this.failures = 0;
    this.progress = undefined;
    this.#reason = undefined;
    this.#code = undefined;
    this.#startedAt = undefined;
    this.#finishedAt = undefined;
  }

  stopTimer(): void {
    this.#stopTimer();
  }

  record(): JobRecord {
    return Object.freeze({
      id: this.id,
      job: this.job,
      state: this.state,
      attempts: this.attempts,
      ...(this.progress === undefined ? {} : { progress: this.progress }),
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
      ...(this.#code === undefined ? {} : { code: this.#code }),
      enqueuedAt: this.enqueuedAt,
      ...(this.#startedAt === undefined ? {} : { startedAt: this.#startedAt }),
      ...(this.#finishedAt === undefined ? {} : { finishedAt: this.#finishedAt }),
      ...(this.#result === undefined ? {} : { result: this.#result }),
    });
  }
}

/** All entries by id, the line in the order of running, and who waits for an end. */
export class EntryStore {
  readonly #keep: number;
  readonly #entries = new Map<string, Entry>();
  /** Sorted by priority, then submission. */
  readonly #line: Entry[] = [];
  readonly #waiters = new Map<string, Set<(record: JobRecord | undefined) => void>>();

  constructor(keep: number) {
    this.#keep = keep;
  }

  get(id: string): Entry | undefined {
    return this.#entries.get(id);
  }

  all(): Iterable<Entry> {
    return this.#entries.values();
  }

  /** Adds a new entry in the place of a finished one with the same id. */
  add(entry: Entry): void {
    this.#entries.delete(entry.id);
    this.#entries.set(entry.id, entry);
    if (entry.settings.delayMs === 0) this.putInLine(entry);
  }

  putInLine(entry: Entry): void {
    entry.state = "waiting";
    let low = 0;
    let high = this.#line.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (comesBefore(this.#line[middle]!, entry)) low = middle + 1;
      else high = middle;
    }
    this.#line.splice(low, 0, entry);
  }

  takeNext(): Entry | undefined {
    return this.#line.shift();
  }

  takeOut(entry: Entry): void {
    const place = this.#line.indexOf(entry);
    if (place >= 0) this.#line.splice(place, 1);
  }

  list(filter: ListFilter): JobRecord[] {
    const { states, view, workspace, limit = 1000 } = filter;
    const found = [...this.#entries.values()].filter((entry) =>
      (states === undefined || states.includes(entry.state)) && (view === undefined || entry.job.view === view) &&
      (workspace === undefined || entry.job.workspace === workspace)
    );
    return found.sort((a, b) => b.sequence - a.sequence).slice(0, limit).map((entry) => entry.record());
  }

  /** Calls back once, when the job ends; with undefined when the queue is closed. Gives back how to stop. */
  onEnd(id: string, callback: (record: JobRecord | undefined) => void): () => void {
    const waiters = this.#waiters.get(id) ?? new Set();
    this.#waiters.set(id, waiters.add(callback));
    return () => waiters.delete(callback);
  }

  /** Tells who waits, and drops the oldest ended entries beyond what is kept. */
  retire(entry: Entry): void {
    const waiters = this.#waiters.get(entry.id);
    this.#waiters.delete(entry.id);
    for (const callback of waiters ?? []) callback(entry.record());
    // Last ended is last in the map, so that the first of its kind is the oldest.
    this.#entries.delete(entry.id);
    this.#entries.set(entry.id, entry);
    const alike = [...this.#entries.values()].filter((other) =>
      other.isFinished && (other.state === "completed") === (entry.state === "completed")
    );
    for (const old of alike.slice(0, Math.max(0, alike.length - this.#keep))) this.#entries.delete(old.id);
  }

  wakeWaiters(): void {
    const waiters = [...this.#waiters.values()].flatMap((set) => [...set]);
    this.#waiters.clear();
    for (const callback of waiters) callback(undefined);
  }
}

function comesBefore(a: Entry, b: Entry): boolean {
  return a.settings.priority === b.settings.priority
    ? a.sequence < b.sequence
    : a.settings.priority < b.settings.priority;
}
