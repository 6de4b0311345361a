/** The contract of the job queue. The queue is only a hint: the scheduler enqueues again whatever is missing. */
import type { ErrorCode } from "../errors.ts";
import type { Job } from "./jobs.ts";

/**
 * `delayed` waits for its time: submitted with a delay, or between two attempts. `failed` is dead: out of attempts, or an
 * error that trying again cannot help.
 */
export type JobState = "waiting" | "delayed" | "active" | "completed" | "failed" | "cancelled";

/** A job as the queue knows it. */
export interface JobRecord {
  /** Made from the work (`jobId` of jobs.ts): submitting the same work again gives the same id. */
  readonly id: string;
  readonly job: Job;
  readonly state: JobState;
  /** How many times it was started. */
  readonly attempts: number;
  readonly progress?: unknown;
  /** Why it failed, or why it was cancelled; while it is delayed: why the attempt before failed. */
  readonly reason?: string;
  /** The code of that failure when it was a VarveError. */
  readonly code?: ErrorCode;
  readonly enqueuedAt: Date;
  readonly startedAt?: Date;
  readonly finishedAt?: Date;
  /** What the handler returned, as JSON data (bigint as text). */
  readonly result?: unknown;
}

export interface SubmitOptions {
  /** Lower runs first, from 0 to 2,000,000; backfills go newest slice first. Default 100. */
  readonly priority?: number;
  readonly delayMs?: number;
  /** Attempts before the job is dead, from 1 to 20. Default 5. */
  readonly attempts?: number;
}

/** What a handler gets besides its job. */
export interface JobContext {
  readonly id: string;
  /** 1 at the first start. */
  readonly attempt: number;
  /** Aborts on cancel, on lost lease and on shutdown's deadline. */
  readonly signal: AbortSignal;
  progress(value: unknown): Promise<void>;
}

export type Handler = (job: Job, context: JobContext) => Promise<unknown>;

/** `waiting`: back in line, because it was handed back or retried; `stalled`: its worker died. */
export type QueueEventKind =
  | "added"
  | "waiting"
  | "delayed"
  | "active"
  | "progress"
  | "completed"
  | "failed"
  | "cancelled"
  | "stalled";

export interface QueueEvent {
  readonly kind: QueueEventKind;
  readonly record: JobRecord;
}

export interface Running {
  /**
   * Takes no more jobs, waits for those in flight until the deadline (default 30 s), then aborts them and hands them back:
   * another worker starts them at once.
   */
  close(options?: { deadlineMs?: number }): Promise<void>;
}

/** A living worker, as `varve status` lists it. */
export interface WorkerRecord {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly concurrency: number;
  readonly startedAt: Date;
  /** Ids of the jobs it runs. */
  readonly jobs: readonly string[];
  readonly seenAt: Date;
}

/** A worker that was not heard of for so long is no longer listed. */
export const workerForgottenMs = 15_000;

export interface ListFilter {
  readonly states?: readonly JobState[];
  readonly view?: string;
  readonly workspace?: string;
  /** Default 1000. */
  readonly limit?: number;
}

export interface Queue {
  readonly description: string;
  /** The time by which its records are measured. */
  now(): Date;
  /**
   * Adds a job unless one with the same identity (name, workspace, view, version, range) waits or runs: then that one is
   * given back. A finished, failed or cancelled one does not stand in the way: its record gives place.
   */
  submit(job: Job, options?: SubmitOptions): Promise<JobRecord>;
  submitMany(jobs: readonly { job: Job; options?: SubmitOptions }[]): Promise<JobRecord[]>;
  /** Runs jobs with up to `concurrency` at a time until closed. A job whose worker dies is run again within 10 s. */
  work(handler: Handler, options?: { concurrency?: number }): Running;
  get(id: string): Promise<JobRecord | undefined>;
  /** Newest submission first. Finished records are kept for a while only. */
  list(filter?: ListFilter): Promise<JobRecord[]>;
  /** Cancels a waiting or running job, wherever it runs; says whether there was one. A cancelled job is not retried. */
  cancel(id: string, reason: string): Promise<boolean>;
  /** Puts a dead or cancelled job back in line with all its attempts; says whether there was one. */
  retry(id: string): Promise<boolean>;
  /** Calls the listener for everything that happens to jobs, from any process; gives back how to stop. */
  watch(listener: (event: QueueEvent) => void): () => void;
  /** Resolves when the job has completed; rejects with its reason when it is dead or cancelled, or TIMEOUT. */
  finished(id: string, options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<JobRecord>;
  /** A worker lives; it is forgotten `workerForgottenMs` after its last beat. */
  beat(worker: Omit<WorkerRecord, "seenAt">): Promise<void>;
  /** A worker is gone for good. */
  leave(workerId: string): Promise<void>;
  workers(): Promise<WorkerRecord[]>;
  close(): Promise<void>;
}
