/** The door to BullMQ: its queue, worker and events with the settings that varve's promises need (measured; see each). */
import { Queue, QueueEvents, UnrecoverableError, WaitingError, Worker } from "bullmq";
import type { Job as BullJob, JobType, WorkerOptions } from "bullmq";
import type { Job, SubmitOptions } from "varve/cluster";

export { QueueEvents as BullEvents, UnrecoverableError, WaitingError };
export type { BullJob, JobType, Queue as BullQueue, Worker as BullWorker };

/** Where the jobs of a workspace are. */
export interface Place {
  readonly url: string;
  /** With braces, so that all keys are in one slot of a Redis Cluster. */
  readonly prefix: string;
}

const queueName = "jobs";

// BullMQ's own waits up to 20 s between attempts to connect: too long to hold the promise of 10 s.
const retryStrategy = (times: number): number => Math.min(50 * 2 ** times, 1_000);

/** Completed jobs are history; dead and cancelled ones tell the scheduler what to hold back, and are kept longer. */
const removeOnComplete = { age: 7 * 86_400, count: 1_000 };
const removeOnFail = { age: 30 * 86_400, count: 5_000 };

/** For submitting and asking: whoever calls is told at once that Redis is down. */
export function createQueue(place: Place): Queue {
  const connection = {
    url: place.url,
    retryStrategy,
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    commandTimeout: 5_000,
    // A command that is late leaves its connection as it is: one that the network forgot would swallow all that come after it.
    socketTimeout: 5_000,
  };
  return new Queue(queueName, { prefix: place.prefix, connection });
}

/** Adds jobs in one round trip. One whose id is there already changes nothing: when some were added and others failed, all are added again. */
export async function addJobs(
  queue: Queue,
  jobs: readonly {
    readonly id: string;
    readonly job: Job;
    readonly settings: Required<SubmitOptions>;
    readonly at: Date;
  }[],
): Promise<void> {
  await queue.addBulk(jobs.map(({ id, job, settings, at }) => ({
    name: job.name,
    data: job,
    opts: {
      jobId: id,
      timestamp: at.getTime(),
      priority: settings.priority,
      delay: settings.delayMs,
      attempts: settings.attempts,
      backoff: { type: "varve" },
      removeOnComplete,
      removeOnFail,
    },
  })));
}

export interface CreateWorkerOptions extends Place {
  readonly concurrency: number;
  readonly lockMs: number;
  readonly stalledMs: number;
  /** The wait after so many failures. */
  readonly backoffMs: (failures: number) => number;
}

/** Takes jobs as long as it is open; waits for Redis when it is down. */
export function createWorker(
  options: CreateWorkerOptions,
  process: (job: BullJob, token: string) => Promise<unknown>,
): Worker {
  const settings: WorkerOptions = {
    prefix: options.prefix,
    // Longer than any command waits for a job: whoever is silent then has been forgotten by the network.
    connection: { url: options.url, retryStrategy, maxRetriesPerRequest: null, socketTimeout: 12_000 },
    concurrency: options.concurrency,
    lockDuration: options.lockMs,
    stalledInterval: options.stalledMs,
    // Leases are renewed per run (redis_crew.ts): BullMQ renews per job id, and forgets a job that this worker took
    // twice, after its first lease ran out, as soon as the first run ends.
    skipLockRenewal: true,
    // The default of 1 declares a job dead after two deaths of workers, whatever `attempts` says.
    maxStalledCount: 5,
    // Starts are also counted for jobs that were handed back at a deployment.
    maxStartedAttempts: 30,
    // A prioritized job that is handed back wakes nobody: an idle worker looks this often (seconds).
    drainDelay: 1,
    // After a lost connection; the default is 15 s.
    runRetryDelay: 500,
    settings: { backoffStrategy: (failures) => options.backoffMs(failures ?? 1) },
  };
  return new Worker(queueName, async (job: BullJob, token?: string) => await process(job, token!), settings);
}

/** Everything that happens from now on. */
export async function followEvents(queue: Queue, place: Place): Promise<QueueEvents> {
  // A mark in the stream, so that nothing is missed between this call and the first read.
  const client = await queue.backend.client;
  const mark = await client.xadd(queue.toKey("events"), "*", { event: "varve:mark" }, {
    MAXLEN: 10_000,
    approximate: true,
  });
  const connection = { url: place.url, retryStrategy, maxRetriesPerRequest: null };
  return new QueueEvents(queueName, { prefix: place.prefix, connection, lastEventId: mark });
}
