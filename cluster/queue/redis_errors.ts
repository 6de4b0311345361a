/** What goes wrong between the queue and its Redis, said in varve's codes. */
import { messageOf, VarveError } from "varve";

/** Where the queue lives, without credentials. */
export function describeRedis(url: string): string {
  const { protocol, hostname, port, pathname } = new URL(url);
  return `${protocol}//${hostname}:${port || "6379"}${pathname.length > 1 ? pathname : ""}`;
}

/** An error of Redis or BullMQ as VarveError. */
export function redisError(error: unknown, doing: string, place: string): VarveError {
  if (error instanceof VarveError) return error;
  const message = messageOf(error);
  if (message.startsWith("OOM ")) {
    return new VarveError("EXHAUSTED", `Cannot ${doing} at ${place}: Redis is full; raise its maxmemory`, {
      cause: error,
    });
  }
  const down =
    /ECONNREFUSED|ECONNRESET|ETIMEDOUT|EPIPE|ENOTFOUND|Connection is closed|isn't writeable|max retries|timed out|LOADING|READONLY/i;
  const why = down.test(message) ? `Redis does not answer (${message}); start it, or correct queueRedis` : message;
  return new VarveError("UNAVAILABLE", `Cannot ${doing} at ${place}: ${why}`, { cause: error });
}

/** Throws unless the `INFO` of a Redis says that it never evicts: an evicted key of a queue is a lost or stuck job. */
export function checkEvictionPolicy(info: string, place: string): void {
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  if (policy === undefined || policy === "noeviction") return;
  throw new VarveError(
    "INVALID_CONFIG",
    `Cannot use the Redis at ${place} for jobs: its maxmemory-policy is ${policy}, which throws jobs away when memory is short; ` +
      `set it with: redis-cli CONFIG SET maxmemory-policy noeviction (and in redis.conf)`,
    { details: { policy } },
  );
}
