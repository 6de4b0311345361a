/** The contract of the job queue. The queue is only a hint: the scheduler enqueues again whatever is missing. */
import type { Job } from "./jobs.ts";

export type JobState = "waiting" | "delayed" | "active" | "completed" | "failed" | "cancelled";

/** A job as the queue knows it. */
export interface JobRecord {
  readonly id: string;
  readonly job: Job;
  readonly state: JobState;
  readonly attempts: number;
  readonly progress?: unknown;
  /** Why it failed or was cancelled: the message, and the code when it was a VarveError. */
  readonly reason?: string;
  readonly enqueuedAt: Date;
  readonly startedAt?: Date;
  readonly finishedAt?: Date;
  /** What the handler returned. */
  readonly result?: unknown;
}

export interface SubmitOptions {
  /** Lower runs first; backfills go newest slice first. Default 100. */
  readonly priority?: number;
  readonly delayMs?: number;
  /** Attempts before the job is dead. Default 5. */
  readonly attempts?: number;
}

/** What a handler gets besides its job. */
export interface JobContext {
  readonly id: string;
  readonly attempt: number;
  /** Aborts on cancel, on lost lease and on shutdown's deadline. */
  readonly signal: AbortSignal;
  progress(value: unknown): Promise<void>;
}

export type Handler = (job: Job, context: JobContext) => Promise<unknown>;

export type QueueEvent =
  | { readonly kind: "added" | "active" | "completed" | "failed" | "cancelled" | "stalled"; readonly record: JobRecord }
  | { readonly kind: "progress"; readonly record: JobRecord };

export interface Running {
  /** Takes no more jobs, waits for those in flight until the deadline, then aborts them and hands them back. */
  close(options?: { deadlineMs?: number }): Promise<void>;
}

export interface Queue {
  readonly description: string;
  /**
   * Adds a job unless one with the same identity (name, workspace, view, version, range) waits or runs: then that one is
   * given back. A failed or completed one does not stand in the way.
   */
  submit(job: Job, options?: SubmitOptions): Promise<JobRecord>;
  submitMany(jobs: readonly { job: Job; options?: SubmitOptions }[]): Promise<JobRecord[]>;
  /** Runs jobs with up to `concurrency` at a time until closed. A job whose worker dies is run again within 10 s. */
  work(handler: Handler, options?: { concurrency?: number }): Running;
  get(id: string): Promise<JobRecord | undefined>;
  list(filter?: { states?: readonly JobState[]; view?: string; workspace?: string; limit?: number }): Promise<JobRecord[]>;
  /** Cancels a waiting or running job, wherever it runs; says whether there was one. A cancelled job is not retried. */
  cancel(id: string, reason: string): Promise<boolean>;
  /** Puts a dead job back in line. */
  retry(id: string): Promise<boolean>;
  /** Calls the listener for everything that happens to jobs, from any process; gives back how to stop. */
  watch(listener: (event: QueueEvent) => void): () => void;
  /** Resolves when the job has completed; rejects with its reason when it is dead or cancelled, or TIMEOUT. */
  finished(id: string, options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<JobRecord>;
  close(): Promise<void>;
}
