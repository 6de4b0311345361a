/** Opens a store whose jobs go to the workers of a cluster. */
import { connect as connectHere } from "varve";
import type { ConnectOptions, Store } from "varve";
import { openRedisQueue } from "./queue/redis_queue.ts";

/** How a store of a cluster is opened. */
export interface ClusterConnectOptions extends ConnectOptions {
  /** Redis of the queue. @default `redis` */
  readonly queueRedis?: string;
}

/**
 * Like `connect` of package varve; where a Redis is named, jobs go to its queue and are run by `varve worker` processes.
 * Without one the store is embedded and this process runs them.
 */
export async function connect(options: ClusterConnectOptions = {}): Promise<Store> {
  const { queueRedis, ...rest } = options;
  const url = queueRedis ?? options.redis;
  if (url === undefined) return await connectHere(rest);
  const queue = await openRedisQueue({ url, workspace: options.workspace ?? "default" });
  try {
    return await connectHere({ ...rest, queue });
  } catch (error) {
    await queue.close();
    throw error;
  }
}
