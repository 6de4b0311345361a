/** The configuration as the SDK's options: where data lives, and how a store is opened. */
import type { ConnectOptions, Places } from "varve";
import type { Config } from "./config.ts";
import type { ClusterConnectOptions } from "./connect.ts";

/** Where data lives. */
export function placesOf(config: Config): Places {
  return {
    storage: config.storage,
    workspace: config.workspace,
    s3: config.s3,
    cacheFolder: config.cacheFolder,
    cacheBytes: config.cacheBytes,
    ...(config.redis === undefined ? {} : { redis: config.redis }),
  };
}

/** How a process opens the store for itself. */
export function storeOptions(config: Config): ConnectOptions {
  return {
    ...placesOf(config),
    author: config.author,
    clock: config.clock,
    concurrency: config.worker.concurrency,
    functions: config.functions,
    ...(config.memoryLimit === undefined ? {} : { memoryLimit: config.memoryLimit }),
    ...(config.threads === undefined ? {} : { threads: config.threads }),
  };
}

/** How a command opens the store: jobs go to the queue where there is one. */
export function connectOptions(config: Config): ClusterConnectOptions {
  return { ...storeOptions(config), ...(config.queueRedis === undefined ? {} : { queueRedis: config.queueRedis }) };
}

/** Redis of the queue; undefined when everything is embedded. */
export function queueUrl(config: Config): string | undefined {
  return config.queueRedis ?? config.redis;
}
