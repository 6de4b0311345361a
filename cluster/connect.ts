/** Opens a store whose jobs go to the workers of a cluster. */
import { connect as connectHere, VarveError } from "varve";
import type { ConnectOptions, Store } from "varve";
import { connectToRead as connectToReadHere } from "varve/cluster";
import type { Config } from "./config.ts";
import { openRedisQueue } from "./queue/redis_queue.ts";
import type { RedisQueue } from "./queue/redis_queue.ts";

/** What a configuration says to processes, and not to a store. */
type OfProcesses = Pick<Config, "modules" | "server" | "worker" | "logLevel" | "clockAt">;

/** How a store of a cluster is opened. What `readConfig()` gives may be given as it is, with what is for processes alone. */
export interface ClusterConnectOptions extends ConnectOptions, Partial<OfProcesses> {
  /** Redis of the queue. @default `redis` */
  readonly queueRedis?: string;
}

/**
 * Like `connect` of package varve; where a Redis is named, jobs go to its queue and are run by `varve worker` processes.
 * Without one the store is embedded and this process runs them.
 */
export async function connect(options: ClusterConnectOptions = {}): Promise<Store> {
  return await open(options, connectHere);
}

/** The same for who reads, or makes room: it writes nothing by itself. */
export async function connectToRead(options: ClusterConnectOptions): Promise<Store> {
  return await open(options, connectToReadHere);
}

async function open(options: ClusterConnectOptions, connectWith: typeof connectHere): Promise<Store> {
  const { queueRedis, modules: _, server: _s, worker: _w, logLevel: _l, clockAt: _c, ...rest } = options;
  const url = queueRedis ?? options.redis;
  if (url === undefined) return await connectWith(rest);
  const queue = await openQueue(url, options.workspace ?? "default");
  try {
    return await connectWith({ ...rest, queue });
  } catch (error) {
    await queue.close();
    throw error;
  }
}

/** Opens the queue; what goes wrong with it afterwards, and has no caller, is told to `onError`. */
export async function openQueue(
  url: string,
  workspace: string,
  onError: (error: Error) => void = () => {},
): Promise<RedisQueue> {
  let reason: Error | undefined;
  let tell = (error: Error): void => {
    reason = error;
  };
  try {
    const queue = await openRedisQueue({ url, workspace, onError: (error) => tell(error) });
    tell = onError;
    return queue;
  } catch (error) {
    // "Timed out" is the end of many attempts: why each of them failed says more.
    throw error instanceof VarveError && error.code === "UNAVAILABLE" ? reason ?? error : error;
  }
}
