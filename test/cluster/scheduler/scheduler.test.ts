import { afterEach, describe, expect, it } from "vitest";
import { openRedisQueue } from "../../../cluster/queue/redis_queue.ts";
import { startScheduler } from "../../../cluster/scheduler/scheduler.ts";
import { VarveError } from "../../../sdk/errors.ts";
import { InProcessQueue } from "../../../sdk/queue/in_process.ts";
import { deferred } from "../../conformance/queue.ts";
import { LogRecorder } from "../../support/log_recorder.ts";
import { startRedis } from "../../support/redis.ts";
import { PassLog, ReconcileRig } from "../../sdk/materialize/reconcile_rig.ts";

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

describe("startScheduler()", () => {
  it("brings everything back when the queue is flushed in the middle of a backfill", async () => {
    const redis = await startRedis();
    closing.push(() => redis.stop());
    const rig = new ReconcileRig();
    await rig.publish();
    const open = async () => {
      const queue = await openRedisQueue({ url: redis.url, workspace: "test", graceMs: 200 });
      closing.push(() => queue.close());
      return queue;
    };
    const queue = await open();
    const firstRuns = deferred();
    const flushed = deferred();
    queue.work(async (job, context) => {
      firstRuns.resolve();
      await flushed.promise;
      return await rig.handler(job, context);
    });
    const logs = [new PassLog(), new PassLog()];
    for (const log of logs) {
      const options = { stores: rig.stores, intervalMs: 200, limits: { slicesPerJob: 2 }, logger: new LogRecorder() };
      const scheduler = startScheduler({ ...options, queue: await open(), onPass: log.onPass });
      closing.push(() => scheduler.close());
    }
    await firstRuns.promise;
    expect((await queue.list()).length).toBe(5);
    await redis.command("FLUSHALL");
    expect(await queue.list()).toEqual([]);
    flushed.resolve();
    await Promise.race(logs.map((log) => log.until((report) => report.served.length > 0)));
    const { slices } = await rig.table("delays", 1).snapshot();
    expect(slices.size).toBe(10);
    expect((await rig.registry.state()).views["delays"]!.serving).toBe(1);
  });

  it("logs what it submits, and what is held back once", async () => {
    const rig = new ReconcileRig();
    await rig.publish(1, "2001-01-10");
    const logger = new LogRecorder();
    const log = new PassLog();
    const queue = new InProcessQueue({ clock: rig.clock });
    const scheduler = startScheduler({ stores: rig.stores, queue, logger, intervalMs: 5, onPass: log.onPass });
    closing.push(() => scheduler.close(), () => queue.close());
    queue.work(() => Promise.reject(new VarveError("CORRUPT", "Cannot read the source")));
    await log.until((report) => report.held.length > 0);
    const looks = log.reports.length + 3;
    await log.until(() => log.reports.length >= looks);
    expect(scheduler.last!.held).toHaveLength(1);
    const job = 'materialize "delays" version 1 [2001-01-10T00:00:00Z, 2001-01-11T00:00:00Z)';
    expect(logger.lines.filter(({ level }) => level !== "debug").map(({ level, message }) => `${level} ${message}`))
      .toEqual([
        "info scheduler started",
        `info submitted ${job}`,
        `warn held back until 2001-01-11T01:00:00.000Z: ${job}: Cannot read the source`,
      ]);
  });
});
