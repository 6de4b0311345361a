/** A worker: takes jobs from the queue, logs what becomes of them, and tells that it lives. */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { messageOf } from "varve";
import type { Clock } from "varve";
import { describeJob, endsWithin, systemTimers } from "varve/cluster";
import type { Handler, Job, JobContext, Queue, Timers } from "varve/cluster";
import type { Logger } from "../log.ts";
import { type Lag, watchLag } from "./loop_lag.ts";

export interface WorkerOptions {
  readonly queue: Queue;
  readonly handler: Handler;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Jobs at a time. Default 1. */
  readonly concurrency?: number;
  /** How long jobs in flight may go on when the worker is closed, before they are handed back. Default 30 s. */
  readonly shutdownMs?: number;
  readonly timers?: Timers;
  /** Watches how late timers come; for tests. */
  readonly watchLag?: typeof watchLag;
}

export interface RunningWorker {
  readonly id: string;
  /** Takes no more jobs, finishes or hands back those in flight, and is listed no more. */
  close(): Promise<void>;
}

/** How often a worker tells that it lives. */
const beatMs = 5_000;
/** How long it tries to tell that it is gone. */
const goodbyeMs = 2_000;

/** Starts at once. */
export function startWorker(options: WorkerOptions): RunningWorker {
  const { queue, logger, concurrency = 1, shutdownMs = 30_000, timers = systemTimers } = options;
  const id = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
  const jobs = new Map<string, Job>();
  const running = queue.work((job, context) => runLogged(options, jobs, job, context), { concurrency });
  const worker = {
    id,
    host: hostname(),
    pid: process.pid,
    concurrency,
    startedAt: new Date(Number(options.clock.now() / 1000n)),
  };
  const stopBeats = beat(timers, async () => {
    try {
      await queue.beat({ ...worker, jobs: [...jobs.keys()] });
    } catch (error) {
      logger.warn({ err: error }, "cannot tell that this worker lives");
    }
  });
  const stopLag = (options.watchLag ?? watchLag)((lag) => warnOfLag(logger, lag, jobs));
  logger.info({ worker: id, concurrency, queue: queue.description }, "worker started");
  let closed: Promise<void> | undefined;
  const close = async () => {
    logger.info({ worker: id, jobs: [...jobs.keys()] }, "worker stops");
    await running.close({ deadlineMs: shutdownMs });
    stopLag();
    const told = stopBeats().then(() => queue.leave(id)).catch((error: unknown) =>
      logger.debug({ err: error }, "cannot tell that this worker is gone")
    );
    // A queue that does not answer forgets it by itself.
    await endsWithin(told, goodbyeMs, timers);
    logger.info({ worker: id }, "worker stopped");
  };
  return { id, close: () => closed ??= close() };
}

async function runLogged(
  { handler, logger }: WorkerOptions,
  jobs: Map<string, Job>,
  job: Job,
  context: JobContext,
): Promise<unknown> {
  const facts = { jobId: context.id, job: job.name, view: job.view, version: job.version, attempt: context.attempt };
  const started = performance.now();
  const elapsed = () => Math.round(performance.now() - started);
  jobs.set(context.id, job);
  logger.info(facts, `started ${describeJob(job)}`);
  try {
    const result = await handler(job, context);
    logger.info({ ...facts, ms: elapsed(), result }, `finished ${describeJob(job)}`);
    return result;
  } catch (error) {
    if (context.signal.aborted) {
      logger.warn({ ...facts, ms: elapsed() }, `stopped ${describeJob(job)}: ${messageOf(context.signal.reason)}`);
    } else logger.error({ ...facts, ms: elapsed(), err: error }, `failed ${describeJob(job)}: ${messageOf(error)}`);
    throw error;
  } finally {
    jobs.delete(context.id);
  }
}

/** Says at once and again and again; gives back how to stop, which waits for what is being said. */
function beat(timers: Timers, tell: () => Promise<void>): () => Promise<void> {
  let stopTimer = () => {};
  let stopped = false;
  let telling = Promise.resolve();
  const next = () => {
    telling = tell().then(() => {
      if (!stopped) stopTimer = timers.after(beatMs, next);
    });
  };
  next();
  return async () => {
    stopped = true;
    stopTimer();
    await telling;
  };
}

/** A blocked event loop renews no leases: whoever blocks it for seconds loses its jobs to another worker. */
function warnOfLag(logger: Logger, { lagMs }: Lag, jobs: ReadonlyMap<string, Job>): void {
  const names = [...jobs.values()].map(describeJob);
  const who = names.length === 0 ? "no job was running" : `running: ${names.join(", ")}`;
  logger.warn({ lagMs, jobs: [...jobs.keys()] }, `the event loop was blocked for ${lagMs} ms; ${who}`);
}
