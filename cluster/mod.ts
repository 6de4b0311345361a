/**
 * The processes of a varve feature store: what `varve` runs, for programs that run it themselves.
 * @module
 */
export { connect } from "./connect.ts";
export type { ClusterConnectOptions } from "./connect.ts";
export { readConfig } from "./config.ts";
export type { Config, ReadConfigOptions, S3Config, ServerConfig, WorkerConfig } from "./config.ts";
export { createLogger } from "./log.ts";
export type { Logger } from "./log.ts";
export { openRedisQueue } from "./queue/redis_queue.ts";
export type { RedisQueueOptions } from "./queue/redis_queue.ts";
export { startScheduler } from "./scheduler/scheduler.ts";
export type { RunningScheduler, SchedulerOptions } from "./scheduler/scheduler.ts";
export { serve } from "./server/serve_store.ts";
export type { ServeOptions, StoreServer } from "./server/serve_store.ts";
export { startServer } from "./server/server.ts";
export type { RunningServer, ServerOptions } from "./server/server.ts";
export { startWorker } from "./worker/worker.ts";
export type { RunningWorker, WorkerOptions } from "./worker/worker.ts";
