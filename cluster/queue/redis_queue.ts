/** The queue of a cluster: the queue contract over BullMQ and Redis. */
import { VarveError } from "varve";
import { completeOptions, endsWithin, jobId, workerForgottenMs } from "varve/cluster";
import type {
  BackoffOptions,
  Handler,
  Job,
  JobRecord,
  JobState,
  ListFilter,
  Queue,
  QueueEvent,
  Running,
  SubmitOptions,
  WorkerRecord,
} from "varve/cluster";
import { addJobs, type BullQueue, createQueue, type JobType, type Place } from "./bullmq.ts";
import { RedisCrew } from "./redis_crew.ts";
import { RedisEvents } from "./redis_events.ts";
import { isFinished, waitForEnd } from "./redis_wait.ts";
import { checkEvictionPolicy, describeRedis, redisError } from "./redis_errors.ts";
import { readRecord, readState, recordFromText, recordToText, storedTypes } from "./redis_records.ts";

export interface RedisQueueOptions {
  /** `redis://host:port/db`. */
  readonly url: string;
  /** Every workspace has its own queue: its workers reach only its storage. */
  readonly workspace: string;
  /** First part of the keys in Redis. Default `varve`. */
  readonly prefix?: string;
  /** How long a worker's lease of a job lasts without renewal. Default 5 s. */
  readonly lockMs?: number;
  /** How often leases are looked at. Default 2 s: a dead worker's job runs again within lock + 2 × this, 9 s. */
  readonly stalledMs?: number;
  readonly backoff?: BackoffOptions;
  /** How long a stopped handler may take to notice. Default 5 s. */
  readonly graceMs?: number;
  /** How long to wait for Redis when opening. Default 5 s. */
  readonly connectMs?: number;
  /** Hears of faults that no caller hears of: lost connections, lost leases. */
  readonly onError?: (error: Error) => void;
}

/** How many jobs that were cancelled before they ran are remembered. */
const keepCancelled = 1_000;
/** The most jobs that `list` looks through when it filters by view. */
const scanLimit = 5_000;

/** Connects, and refuses a Redis that would throw jobs away. */
export async function openRedisQueue(options: RedisQueueOptions): Promise<RedisQueue> {
  const queue = new RedisQueue(options);
  try {
    await queue.check(options.connectMs ?? 5_000);
  } catch (error) {
    await queue.close();
    throw error;
  }
  return queue;
}

/** The queue of one workspace in Redis. */
export class RedisQueue implements Queue {
  readonly description: string;
  readonly #options: RedisQueueOptions;
  readonly #place: Place;
  readonly #queue: BullQueue;
  readonly #crews = new Set<RedisCrew>();
  readonly #events: RedisEvents;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(options: RedisQueueOptions) {
    this.#options = options;
    this.description = describeRedis(options.url);
    this.#place = { url: options.url, prefix: `{${options.prefix ?? "varve"}:${options.workspace}}` };
    this.#queue = createQueue(this.#place);
    this.#queue.on("error", (error) => this.#report(error));
    this.#events = new RedisEvents(
      this.#queue,
      this.#place,
      (id) => this.#cancelledRecord(id),
      (error) => this.#report(error),
    );
  }

  /** Throws UNAVAILABLE unless Redis answers in time, INVALID_CONFIG when it would throw jobs away. */
  async check(timeoutMs: number): Promise<void> {
    await this.#ask("open the queue", async () => {
      const connecting = this.#queue.backend.client;
      if (!await endsWithin(connecting, timeoutMs)) throw new Error(`timed out after ${timeoutMs} ms`);
      checkEvictionPolicy(await (await connecting).info(), this.description);
    });
  }

  now(): Date {
    return new Date();
  }

  async submit(job: Job, options?: SubmitOptions): Promise<JobRecord> {
    const [record] = await this.submitMany([options === undefined ? { job } : { job, options }]);
    return record!;
  }

  async submitMany(jobs: readonly { job: Job; options?: SubmitOptions }[]): Promise<JobRecord[]> {
    const wanted = jobs.map(({ job, options }) => ({
      id: jobId(job),
      job,
      settings: completeOptions(options),
      at: this.now(),
    }));
    for (const { job } of wanted) this.#checkWorkspace(job);
    const byId = new Map(wanted.map((item) => [item.id, item]));
    return await this.#ask("submit jobs", async () => {
      await this.#events.ready();
      const fresh = (await Promise.all([...byId.values()].map(async (item) =>
        await this.#makeRoom(item.id) ? [item] : []
      ))).flat();
      if (fresh.length > 0) await addJobs(this.#queue, fresh);
      return await Promise.all(
        wanted.map(async (item) => fresh.includes(item) ? submitted(item) : await this.get(item.id) ?? submitted(item)),
      );
    });
  }

  work(handler: Handler, options: { concurrency?: number } = {}): Running {
    const { lockMs = 5_000, stalledMs = 2_000, graceMs = 5_000, backoff = {} } = this.#options;
    const crew = new RedisCrew(this.#queue, {
      ...this.#place,
      handler,
      concurrency: options.concurrency ?? 1,
      lockMs,
      stalledMs,
      graceMs,
      backoff,
      cancelling: this.#key("cancelling"),
      onError: (error) => this.#report(error),
    });
    this.#crews.add(crew);
    return crew;
  }

  async get(id: string): Promise<JobRecord | undefined> {
    return await this.#ask("read a job", async () => {
      // The state first: what is read after it has at least what belongs to that state.
      const type = await this.#queue.getJobState(id);
      const stored = await this.#queue.getJob(id);
      const state = stored && readState(type, stored.failedReason);
      if (state) return readRecord(stored, state);
      return await this.#cancelledRecord(id);
    });
  }

  async list(filter: ListFilter = {}): Promise<JobRecord[]> {
    const { states = Object.keys(storedTypes) as JobState[], view, workspace, limit = 1_000 } = filter;
    return await this.#ask("list jobs", async () => {
      const found = new Map<string, JobRecord>();
      const most = view === undefined ? limit : Math.max(limit, scanLimit);
      const types = [...new Set(states.flatMap((state): readonly JobType[] => storedTypes[state]))];
      await Promise.all(types.map(async (type) => {
        for (const stored of await this.#queue.getJobs([type], 0, most - 1)) {
          const state = stored && readState(type, stored.failedReason);
          if (state && states.includes(state)) found.set(stored.id!, readRecord(stored, state));
        }
      }));
      if (states.includes("cancelled")) {
        for (const record of await this.#cancelledInLine()) found.set(record.id, record);
      }
      return [...found.values()]
        .filter(({ job }) =>
          (view === undefined || job.view === view) && (workspace === undefined || job.workspace === workspace)
        )
        .sort((a, b) => b.enqueuedAt.getTime() - a.enqueuedAt.getTime())
        .slice(0, limit);
    });
  }

  async cancel(id: string, reason: string): Promise<boolean> {
    return await this.#ask("cancel a job", async () => {
      const client = await this.#queue.backend.client;
      // A job may start while it is being removed: then it is looked at again.
      for (let round = 0; round < 5; round++) {
        const record = await this.get(id);
        if (!record || isFinished(record)) return false;
        if (record.state === "active") {
          await client.hset(this.#key("cancelling"), { [id]: reason });
          return true;
        }
        const cancelled: JobRecord = {
          ...record,
          state: "cancelled",
          reason,
          code: "CANCELLED",
          finishedAt: new Date(),
        };
        await client.hset(this.#key("cancelled"), { [id]: recordToText(cancelled) });
        if (await this.#remove(id)) return true;
        await client.hdel(this.#key("cancelled"), id);
      }
      throw new VarveError("CONFLICT", `Cannot cancel job "${id}": it keeps changing its state; try again`);
    });
  }

  async retry(id: string): Promise<boolean> {
    return await this.#ask("retry a job", async () => {
      const client = await this.#queue.backend.client;
      const stored = await this.#queue.getJob(id);
      if (!stored) {
        const cancelled = await this.#cancelledRecord(id);
        if (cancelled) await this.submit(cancelled.job);
        return cancelled !== undefined;
      }
      if (await stored.getState() !== "failed") return false;
      // BullMQ keeps how often the job stalled, and would fail it again at its first start.
      await client.hdel(this.#queue.toKey(id), "stc", "defa");
      await client.hdel(this.#key("cancelling"), id);
      await stored.retry("failed", { resetAttemptsMade: true, resetAttemptsStarted: true });
      return true;
    });
  }

  watch(listener: (event: QueueEvent) => void): () => void {
    return this.#events.watch(listener);
  }

  async finished(id: string, options: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<JobRecord> {
    return await waitForEnd(this, id, { ...options, closed: this.#closing.signal });
  }

  async beat(worker: Omit<WorkerRecord, "seenAt">): Promise<void> {
    await this.#ask("tell that a worker lives", async () => {
      const client = await this.#queue.backend.client;
      await client.hset(this.#key("workers"), { [worker.id]: JSON.stringify({ ...worker, seenAt: new Date() }) });
    });
  }

  async leave(workerId: string): Promise<void> {
    await this.#ask(
      "tell that a worker is gone",
      async () => await (await this.#queue.backend.client).hdel(this.#key("workers"), workerId),
    );
  }

  async workers(): Promise<WorkerRecord[]> {
    return await this.#ask("list workers", async () => {
      const client = await this.#queue.backend.client;
      const all = Object.values(await client.hgetall(this.#key("workers"))).map((text) =>
        JSON.parse(text) as WorkerRecord
      )
        .map((worker) =>
          Object.freeze({ ...worker, startedAt: new Date(worker.startedAt), seenAt: new Date(worker.seenAt) })
        );
      const gone = all.filter((worker) => Date.now() - worker.seenAt.getTime() > workerForgottenMs);
      if (gone.length > 0) await client.hdel(this.#key("workers"), ...gone.map((worker) => worker.id));
      return all.filter((worker) => !gone.includes(worker));
    });
  }

  close(): Promise<void> {
    this.#closing.abort();
    this.#closed ??= (async () => {
      await Promise.all([...this.#crews].map((crew) => crew.close({ deadlineMs: 0 })));
      await this.#events.close();
      // By force: with Redis away an orderly close would wait for it.
      await this.#queue.backend.close(true);
    })();
    return this.#closed;
  }

  #key(name: "cancelling" | "cancelled" | "workers"): string {
    return this.#queue.toKey(`varve:${name}`);
  }

  #report(error: Error): void {
    if (!this.#closed) this.#options.onError?.(redisError(error, "work with the queue", this.description));
  }

  async #ask<T>(doing: string, run: () => Promise<T>): Promise<T> {
    if (this.#closed) {
      throw new VarveError("UNAVAILABLE", `Cannot ${doing}: the queue at ${this.description} is closed`);
    }
    try {
      return await run();
    } catch (error) {
      throw redisError(error, doing, this.description);
    }
  }

  #checkWorkspace(job: Job): void {
    if (job.workspace === this.#options.workspace) return;
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot submit job of workspace "${job.workspace}": this queue is of workspace "${this.#options.workspace}"`,
    );
  }

  /** Says whether a job with this id can be added: its finished record, if any, is gone. */
  async #makeRoom(id: string): Promise<boolean> {
    const type = await this.#queue.getJobState(id);
    if (readState(type) !== undefined && type !== "completed" && type !== "failed") return false;
    const client = await this.#queue.backend.client;
    await Promise.all([client.hdel(this.#key("cancelled"), id), client.hdel(this.#key("cancelling"), id)]);
    if (type === "completed" || type === "failed") await this.#remove(id);
    return true;
  }

  /** Removes a job unless it runs; says whether it did. */
  async #remove(id: string): Promise<boolean> {
    return await this.#queue.backend.remove(id, true) === 1;
  }

  /** A job that was cancelled before it ran: BullMQ has no state for it. */
  async #cancelledRecord(id: string): Promise<JobRecord | undefined> {
    const text = await (await this.#queue.backend.client).hget(this.#key("cancelled"), id);
    return text === null ? undefined : recordFromText(text);
  }

  async #cancelledInLine(): Promise<JobRecord[]> {
    const client = await this.#queue.backend.client;
    const records = Object.values(await client.hgetall(this.#key("cancelled"))).map(recordFromText)
      .sort((a, b) => b.finishedAt!.getTime() - a.finishedAt!.getTime());
    const tooMany = records.slice(keepCancelled);
    if (tooMany.length > 0) await client.hdel(this.#key("cancelled"), ...tooMany.map((record) => record.id));
    return records.slice(0, keepCancelled);
  }
}

function submitted(
  { id, job, settings, at }: { id: string; job: Job; settings: { delayMs: number }; at: Date },
): JobRecord {
  return Object.freeze({ id, job, state: settings.delayMs > 0 ? "delayed" : "waiting", attempts: 0, enqueuedAt: at });
}
