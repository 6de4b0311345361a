/** One worker of the cluster's queue: runs handlers, renews their leases, hears of cancels, hands back at the end. */
import { Attempt, backoffMs, endsWithin, pause, systemTimers, toJsonData } from "varve/cluster";
import type { BackoffOptions, Handler, Job, Outcome, Running } from "varve/cluster";
import {
  type BullJob,
  type BullQueue,
  type BullWorker,
  createWorker,
  type Place,
  UnrecoverableError,
  WaitingError,
} from "./bullmq.ts";
import { failureText } from "./redis_records.ts";

export interface RedisCrewOptions extends Place {
  readonly handler: Handler;
  readonly concurrency: number;
  readonly lockMs: number;
  readonly stalledMs: number;
  readonly graceMs: number;
  readonly backoff: BackoffOptions;
  readonly onError: (error: Error) => void;
  /** Key of the hash where cancels of running jobs are asked for: job id -> reason. */
  readonly cancelling: string;
}

/** How long a cancel may take to reach the worker that runs the job. */
const cancelPollMs = 300;
/** How long Redis has for what is told to it at the end. */
const orderlyMs = 2_000;
/** The longest a handler waits for its progress to be taken: work goes on while Redis is away. */
const progressWaitMs = 500;

export class RedisCrew implements Running {
  readonly #options: RedisCrewOptions;
  readonly #queue: BullQueue;
  readonly #worker: BullWorker;
  readonly #attempts = new Map<string, Attempt>();
  #stopPolling: () => void = () => {};
  #closed: Promise<void> | undefined;

  constructor(queue: BullQueue, options: RedisCrewOptions) {
    this.#queue = queue;
    this.#options = options;
    const wait = (failures: number) => backoffMs(failures, Math.random, options.backoff);
    this.#worker = createWorker({ ...options, backoffMs: wait }, (job, token) => this.#process(job, token));
    this.#worker.on("error", options.onError);
    this.#pollCancels();
  }

  close(options: { deadlineMs?: number } = {}): Promise<void> {
    this.#closed ??= this.#close(options.deadlineMs ?? 30_000);
    return this.#closed;
  }

  async #close(deadlineMs: number): Promise<void> {
    const settled = new AbortController();
    const closing = this.#worker.close().finally(() => settled.abort());
    // Not `close()` alone: with jobs in flight, or with Redis away, it waits without a limit.
    const deadline = performance.now() + deadlineMs;
    for (let isOver = false; !isOver && !settled.signal.aborted;) {
      const left = deadline - performance.now();
      const runs = this.#attempts.size > 0;
      const isLate = runs && left <= 0;
      if (isLate) { for (const attempt of this.#attempts.values()) attempt.handBack(); }
      const wait = isLate ? this.#options.graceMs + orderlyMs : runs ? Math.min(left, orderlyMs) : orderlyMs;
      await pause(wait, systemTimers, settled.signal);
      // A job may have come just before the end.
      isOver = isLate || (!runs && this.#attempts.size === 0);
    }
    this.#stopPolling();
    // Redis is away, and what remains to be told to it cannot be: the leases run out, and others take the jobs.
    if (settled.signal.aborted) return await closing;
    closing.catch(() => undefined);
    const { backend } = this.#worker;
    // Not waited for: a close that has begun in an orderly way waits for an answer to its goodbye, also when it is asked again.
    // It ends with its connection, which is cut.
    backend.close(true).catch(() => undefined);
    backend.disconnect().catch(() => undefined);
    // BullMQ may go on waiting for answers that cannot come any more; nothing holds the process.
    await pause(1_000, systemTimers, settled.signal);
  }

  async #process(stored: BullJob, token: string): Promise<unknown> {
    const id = stored.id!;
    // Our own earlier run of it, whose lease ran out while Redis or this process was stuck.
    this.#attempts.get(id)?.lose();
    const reason = await this.#cancelAskedFor(id);
    if (reason !== undefined) return await this.#end(stored, token, { kind: "cancelled", reason });
    const attempt = new Attempt({
      handler: this.#options.handler,
      job: stored.data as Job,
      id,
      attempt: stored.attemptsStarted,
      progress: async (value) => {
        if (this.#attempts.get(id) === attempt) await this.#tellProgress(stored, value);
      },
      timers: systemTimers,
      graceMs: this.#options.graceMs,
    });
    this.#attempts.set(id, attempt);
    const stopRenewing = this.#renew(stored, token, attempt);
    const outcome = await attempt.outcome;
    stopRenewing();
    if (this.#attempts.get(id) === attempt) this.#attempts.delete(id);
    return await this.#end(stored, token, outcome);
  }

  /** Tells BullMQ by returning or throwing what became of the run. */
  async #end(stored: BullJob, token: string, outcome: Outcome): Promise<unknown> {
    switch (outcome.kind) {
      case "completed":
        return outcome.result;
      case "failed": {
        const text = failureText(outcome.failure);
        throw outcome.failure.retry ? new Error(text) : new UnrecoverableError(text);
      }
      case "cancelled":
        await this.#forgetCancel(stored.id!);
        throw new UnrecoverableError(failureText({ code: "CANCELLED", reason: outcome.reason }));
      case "handedBack":
        await stored.moveToWait(token);
        throw new WaitingError();
      case "lost":
        // BullMQ refuses to record anything of a run without its lease; the error is only heard by onError.
        throw new Error(`the lease of job ${stored.id} was lost`);
    }
  }

  #renew(stored: BullJob, token: string, attempt: Attempt): () => void {
    let stopTimer = () => {};
    let stopped = false;
    const again = () => {
      if (!stopped) stopTimer = systemTimers.after(this.#options.lockMs / 3, () => void renew());
    };
    const renew = async () => {
      try {
        if (await stored.extendLock(token, this.#options.lockMs) !== 1) return attempt.lose();
      } catch (error) {
        this.#options.onError(error as Error);
      }
      again();
    };
    again();
    return () => {
      stopped = true;
      stopTimer();
    };
  }

  async #tellProgress(stored: BullJob, value: unknown): Promise<void> {
    // Progress is for lookers-on: it neither fails nor holds up the work.
    const told = stored.updateProgress(toJsonData(value) as object).catch(this.#options.onError);
    await endsWithin(told, progressWaitMs);
  }

  async #cancelAskedFor(id: string): Promise<string | undefined> {
    try {
      return await (await this.#queue.backend.client).hget(this.#options.cancelling, id) ?? undefined;
    } catch {
      return undefined; // asked again by the poll
    }
  }

  async #forgetCancel(id: string): Promise<void> {
    try {
      await (await this.#queue.backend.client).hdel(this.#options.cancelling, id);
    } catch (error) {
      this.#options.onError(error as Error); // submit() and retry() forget it too
    }
  }

  /** A cancel may come from any process. Reading one small hash is sure; a message that is published may be missed. */
  #pollCancels(): void {
    this.#stopPolling = systemTimers.after(cancelPollMs, () => void this.#pollOnce());
  }

  async #pollOnce(): Promise<void> {
    const ids = [...this.#attempts.keys()];
    try {
      if (ids.length > 0) {
        const reasons = await (await this.#queue.backend.client).hmget(this.#options.cancelling, ...ids);
        reasons.forEach((reason, index) => {
          if (reason !== null) this.#attempts.get(ids[index]!)?.cancel(reason);
        });
      }
    } catch {
      // Redis is away: the worker's own connection tells that.
    }
    if (!this.#closed || this.#attempts.size > 0) this.#pollCancels();
  }
}
