/**
 * What the processes of a cluster are built of: the queue's contract, the handler of jobs, the reconciler, and the store's parts.
 * @module
 */
import type { RedisReport } from "./storage/redis_inspect.ts";

export { inspectSandbox } from "./sandbox/inspect.ts";
export type { SandboxFacts } from "./sandbox/inspect.ts";
export { Attempt } from "./queue/attempt.ts";
export type { AttemptOptions, Outcome } from "./queue/attempt.ts";
export { backoffMs, completeOptions, endedError, failureOf, isErrorCode, toJsonData } from "./queue/failure.ts";
export type { BackoffOptions, Failure } from "./queue/failure.ts";
export { InProcessQueue } from "./queue/in_process.ts";
export type { InProcessQueueOptions } from "./queue/in_process.ts";
export { describeJob, jobId } from "./queue/jobs.ts";
export type { CleanJob, FindLateJob, Job, LoadOnlineJob, MaterializeJob } from "./queue/jobs.ts";
export { workerForgottenMs } from "./queue/queue.ts";
export type {
  Handler,
  JobContext,
  JobRecord,
  JobState,
  ListFilter,
  Queue,
  QueueEvent,
  QueueEventKind,
  Running,
  SubmitOptions,
  WorkerRecord,
} from "./queue/queue.ts";
export { endsWithin, pause, systemTimers } from "./queue/timers.ts";
export type { Timers } from "./queue/timers.ts";

export { describeProblem, Reconciler } from "./materialize/reconciler.ts";
export type { PassReport, ReconcilerOptions } from "./materialize/reconciler.ts";
export type { Held, Problem, ReconcileLimits } from "./materialize/reconcile.ts";
export { jobHandler } from "./materialize/run.ts";
export type { RunContext } from "./materialize/run.ts";

export { connectToRead } from "./connect.ts";
export { StoreParts } from "./store_parts.ts";
export { folderOf, openObjects, scratchFolder } from "./places.ts";
export type { ObjectInfo, ObjectStore } from "./storage/object_store.ts";

/** Looks at a Redis server: version, eviction policy, persistence, memory. */
export async function inspectRedis(url: string): Promise<RedisReport> {
  const { inspectRedis: inspect } = await import("./storage/redis_inspect.ts");
  return await inspect({ url });
}
export type { RedisProblem, RedisReport } from "./storage/redis_inspect.ts";

/** Loads a native module and uses it once; throws what is wrong with it. Gives its version where it tells. */
export async function checkNative(name: "duckdb" | "polars" | "lmdb"): Promise<string> {
  if (name === "lmdb") {
    await import("./storage/online_lmdb.ts");
    return "loaded";
  }
  const { createDuckDbEngine } = await import("./engine/duckdb.ts");
  const engine = createDuckDbEngine({ threads: 1 });
  try {
    const session = await engine.session();
    const sql = "SELECT version() AS version";
    if (name === "polars") await session.dataFrame(sql, [{ name: "version", type: "string" }]);
    const [row] = await session.rows(sql);
    session.close();
    return name === "polars" ? "loaded" : String(row?.["version"]);
  } finally {
    await engine.close();
  }
}
