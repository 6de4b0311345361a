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
  /** The work. */
  readonly job: Job;
  /** What has become of it. */
  readonly state: JobState;
  /** How many times it was started. */
  readonly attempts: number;
  /** What its handler told last. */
  readonly progress?: unknown;
  /** Why it failed, or why it was cancelled; while it is delayed: why the attempt before failed. */
  readonly reason?: string;
  /** The code of that failure when it was a VarveError. */
  readonly code?: ErrorCode;
  /** When it was submitted. */
  readonly enqueuedAt: Date;
  /** When it was last started. */
  readonly startedAt?: Date;
  /** When it ended. */
  readonly finishedAt?: Date;
  /** What the handler returned, as JSON data (bigint as text). */
  readonly result?: unknown;
}

/** How a job is submitted. */
export interface SubmitOptions {
  /** Lower runs first, from 0 to 2,000,000; backfills go newest slice first. Default 100. */
  readonly priority?: number;
  /** How long it waits before it may start. */
  readonly delayMs?: number;
  /** Attempts before the job is dead, from 1 to 20. Default 5. */
  readonly attempts?: number;
}

/** What a handler gets besides its job. */
export interface JobContext {
  /** The job's id. */
  readonly id: string;
  /** 1 at the first start. */
  readonly attempt: number;
  /** Aborts on cancel, on lost lease and on shutdown's deadline. */
  readonly signal: AbortSignal;
  /** Tells how far the work is. */
  progress(value: unknown): Promise<void>;
}

/** Does the work of a job; what it returns is kept as the result. */
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

/** Something that happened to a job. */
export interface QueueEvent {
  /** What happened. */
  readonly kind: QueueEventKind;
  /** The job afterwards. */
  readonly record: JobRecord;
}

/** Work that goes on until it is closed. */
export interface Running {
  /**
   * Takes no more jobs, waits for those in flight until the deadline (default 30 s), then aborts them and hands them back:
   * another worker starts them at once.
   */
  close(options?: { deadlineMs?: number }): Promise<void>;
}

/** A living worker, as `varve status` lists it. */
export interface WorkerRecord {
  /** Unique among workers. */
  readonly id: string;
  /** The computer it runs on. */
  readonly host: string;
  /** Its process. */
  readonly pid: number;
  /** How many jobs it runs at once. */
  readonly concurrency: number;
  /** When it was started. */
  readonly startedAt: Date;
  /** Ids of the jobs it runs. */
  readonly jobs: readonly string[];
  /** When it was last heard of. */
  readonly seenAt: Date;
}

/** A worker that was not heard of for so long is no longer listed. */
export const workerForgottenMs = 15_000;

/** Which jobs are listed. */
export interface ListFilter {
  /** Only those in one of these states. */
  readonly states?: readonly JobState[];
  /** Only those of this view. */
  readonly view?: string;
  /** Only those of this workspace. */
  readonly workspace?: string;
  /** Default 1000. */
  readonly limit?: number;
}

/** Where jobs wait for workers. */
export interface Queue {
  /** How errors and `varve status` name it; without credentials. */
  readonly description: string;
  /** The time by which its records are measured. */
  now(): Date;
  /**
   * Adds a job unless one with the same identity (name, workspace, view, version, range) waits or runs: then that one is
   * given back. A finished, failed or cancelled one does not stand in the way: its record gives place.
   */
  submit(job: Job, options?: SubmitOptions): Promise<JobRecord>;
  /** Adds jobs, each as `submit` does; gives their records in order. */
  submitMany(jobs: readonly { job: Job; options?: SubmitOptions }[]): Promise<JobRecord[]>;
  /** Runs jobs with up to `concurrency` at a time until closed. A job whose worker dies is run again within 10 s. */
  work(handler: Handler, options?: { concurrency?: number }): Running;
  /** One job, or undefined. */
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
  /** Workers that were heard of lately. */
  workers(): Promise<WorkerRecord[]>;
  /** Aborts what this process runs, and releases everything. */
  close(): Promise<void>;
}
