import { afterEach, describe, expect, it } from "vitest";
import { VarveError } from "../../../sdk/errors.ts";
import { Reconciler, type ReconcilerOptions } from "../../../sdk/materialize/reconciler.ts";
import { InProcessQueue } from "../../../sdk/queue/in_process.ts";
import { ManualTimers, turn } from "../../support/manual_timers.ts";
import { PassLog, ReconcileRig } from "./reconcile_rig.ts";

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function open(rig: ReconcileRig, options: Partial<ReconcilerOptions> = {}) {
  const queue = options.queue ?? new InProcessQueue({ clock: rig.clock, timers: new ManualTimers() });
  const reconciler = new Reconciler({ stores: rig.stores, queue, ...options });
  closing.push(() => reconciler.close(), () => queue.close());
  return { queue, reconciler };
}

describe("Reconciler", () => {
  it("materializes what was published, and lets it serve", async () => {
    const rig = new ReconcileRig();
    const log = new PassLog();
    const { queue, reconciler } = open(rig, { limits: { slicesPerJob: 4 }, onPass: log.onPass });
    queue.work(rig.handler);
    await rig.publish();
    reconciler.start();
    await log.until((report) => report.served.length > 0);
    expect(rig.ran).toEqual(["backfill 9-10", "backfill 5-8", "backfill 1-4"]);
    expect((await rig.registry.state()).views["delays"]).toMatchObject({ serving: 1 });
    const after = await reconciler.pass();
    expect([after.submitted, after.served]).toEqual([[], []]);
  });

  it("looks at every interval, and soon after a job has ended", async () => {
    const rig = new ReconcileRig();
    const timers = new ManualTimers();
    const log = new PassLog();
    await rig.publish();
    const { queue, reconciler } = open(rig, { timers, onPass: log.onPass, intervalMs: 5_000 });
    reconciler.start();
    await timers.pass(0);
    await log.until((report) => report.submitted.length === 1);
    expect(timers.waits).toEqual([5_000]);
    await timers.pass(5_000);
    await log.until(() => log.reports.length === 2);
    queue.work(rig.handler);
    await queue.finished(log.reports[0]!.submitted[0]!.id);
    expect(timers.waits).toEqual([50]);
    await timers.pass(50);
    await log.until((report) => report.served.length > 0);
  });

  it("submits what a lost queue has lost", async () => {
    const rig = new ReconcileRig();
    await rig.publish();
    const first = open(rig);
    const { submitted } = await first.reconciler.pass();
    await first.queue.close();
    const second = open(rig);
    expect((await second.reconciler.pass()).submitted.map((record) => record.id)).toEqual(
      submitted.map((record) => record.id),
    );
  });

  it("is harmless twice: two of them submit one job for each piece of work", async () => {
    const rig = new ReconcileRig();
    await rig.publish();
    const limits = { slicesPerJob: 2 };
    const { queue, reconciler } = open(rig, { limits });
    const other = open(rig, { queue, limits }).reconciler;
    await Promise.all([reconciler.pass(), other.pass(), reconciler.pass()]);
    expect(await queue.list()).toHaveLength(5);
    queue.work(rig.handler);
    await Promise.all((await queue.list()).map((record) => queue.finished(record.id)));
    expect(rig.ran.toSorted()).toEqual([
      "backfill 1-2",
      "backfill 3-4",
      "backfill 5-6",
      "backfill 7-8",
      "backfill 9-10",
    ]);
  });

  it("does not submit a dead job again before its time, and says why", async () => {
    const rig = new ReconcileRig();
    await rig.publish(1, "2001-01-10"); // a single slice
    const { queue, reconciler } = open(rig);
    queue.work(() => Promise.reject(new VarveError("NOT_FOUND", "Cannot read flights.parquet: there is none")));
    const [record] = (await reconciler.pass()).submitted;
    await expect(queue.finished(record!.id)).rejects.toMatchObject({ code: "NOT_FOUND" });
    for (let look = 0; look < 3; look++) {
      const { submitted, held } = await reconciler.pass();
      expect(submitted).toEqual([]);
      expect(held).toMatchObject([{
        reason: "Cannot read flights.parquet: there is none",
        until: new Date("2001-01-11T01:00:00Z"),
      }]);
    }
    rig.clock.advance("1h");
    expect((await reconciler.pass()).submitted).toMatchObject([{ id: record!.id, state: "waiting" }]);
  });

  it("cleans up after versions that were deleted, once", async () => {
    const rig = new ReconcileRig();
    await rig.publish();
    const { queue, reconciler } = open(rig);
    queue.work(rig.handler);
    const [record] = (await reconciler.pass()).submitted;
    await queue.finished(record!.id);
    await rig.registry.commit([{ kind: "deleteView", name: "delays" }]);
    const [clean] = (await reconciler.pass()).submitted;
    await queue.finished(clean!.id);
    expect(rig.ran.at(-1)).toBe("clean delays/1");
    expect([...rig.objects.objects.keys()].filter((key) => key.includes("/views/"))).toEqual([]);
    expect((await reconciler.pass()).submitted).toEqual([]);
  });

  it("goes on with the other views when one cannot be read", async () => {
    const rig = new ReconcileRig();
    await rig.publish();
    const stores = {
      ...rig.stores,
      table: () => ({ snapshot: () => Promise.reject(new Error("the log is torn")) }) as never,
    };
    const { reconciler } = open(rig, { stores });
    const report = await reconciler.pass();
    expect(report.problems).toMatchObject([{ what: 'view "delays" version 1', error: { message: "the log is torn" } }]);
    expect(report.submitted).toEqual([]);
  });

  it("keeps looking when registry or queue do not answer", async () => {
    const rig = new ReconcileRig();
    await rig.publish();
    const timers = new ManualTimers();
    const log = new PassLog();
    rig.objects.faults.failReads = 1_000;
    const { reconciler } = open(rig, { timers, onPass: log.onPass });
    reconciler.start();
    await timers.pass(0);
    await log.until((report) => report.problems.length === 1);
    rig.objects.faults.failReads = 0;
    await timers.pass(5_000);
    await log.until((report) => report.submitted.length === 1);
    await reconciler.close();
    await turn();
    expect(timers.waits).toEqual([]);
  });
});
