import { expect, it, onTestFinished } from "vitest";
import { QueueOnDemand } from "../../../cluster/server/queue_on_demand.ts";
import { LogRecorder } from "../../support/log_recorder.ts";
import { startRedis } from "../../support/redis.ts";

it("opens the queue when it is wanted, again after a failure, and not after the end", async () => {
  const redis = await startRedis({ appendonly: true });
  onTestFinished(() => redis.stop());
  const queue = new QueueOnDemand({ url: redis.url, workspace: "w", logger: new LogRecorder() });
  onTestFinished(() => queue.close());
  await redis.kill();
  await expect(queue.get()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await redis.restart();
  const opened = await queue.get();
  expect(await opened.list()).toEqual([]);
  expect(await queue.get()).toBe(opened);
  await queue.close();
  await expect(queue.get()).rejects.toThrow("Cannot use the queue: the server ends");
  await expect(opened.list()).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

it("closes what was never opened", async () => {
  await new QueueOnDemand({ url: "redis://127.0.0.1:1", workspace: "w", logger: new LogRecorder() }).close();
});
