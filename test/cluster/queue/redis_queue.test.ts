import { afterAll, beforeAll } from "vitest";
import { openRedisQueue } from "../../../cluster/queue/redis_queue.ts";
import { queueConformance } from "../../conformance/queue.ts";
import { type RedisServer, startRedis } from "../../support/redis.ts";

let redis: RedisServer;
let rigs = 0;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(async () => {
  await redis.stop();
});

queueConformance("RedisQueue", async () => {
  const options = { url: redis.url, workspace: "test", prefix: `rig${rigs++}`, backoff: { baseMs: 5 }, graceMs: 200 };
  const queue = await openRedisQueue(options);
  const others = [queue];
  const another = async () => {
    const other = await openRedisQueue(options);
    others.push(other);
    return other;
  };
  return { queue, another, close: async () => void await Promise.all(others.map((each) => each.close())) };
});
