import { afterEach, describe, expect, it } from "vitest";
import { VarveError } from "../../../sdk/errors.ts";
import { InProcessQueue, type InProcessQueueOptions } from "../../../sdk/queue/in_process.ts";
import type { Handler, Running } from "../../../sdk/queue/queue.ts";
import { ManualClock } from "../../../sdk/time.ts";
import { deferred, materializeJob } from "../../conformance/queue.ts";
import { ManualTimers, turn } from "../../support/manual_timers.ts";

const opened: InProcessQueue[] = [];

afterEach(async () => {
  for (const queue of opened.splice(0)) await queue.close();
});

function open(options: Partial<InProcessQueueOptions> = {}) {
  const timers = new ManualTimers();
  const clock = new ManualClock("2001-01-01T12:00Z");
  const queue = new InProcessQueue({ clock, timers, random: () => 1, ...options });
  opened.push(queue);
  return { queue, timers, clock };
}

const unavailable: Handler = async () => {
  throw new VarveError("UNAVAILABLE", "Cannot reach it");
};

describe("InProcessQueue and time", () => {
  it("waits twice as long after every failure, up to a limit", async () => {
    const { queue, timers } = open({ backoff: { baseMs: 1_000, limitMs: 3_000 } });
    queue.work(unavailable);
    const { id } = await queue.submit(materializeJob(1), { attempts: 5 });
    const waits: number[] = [];
    for (let i = 0; i < 4; i++) {
      await turn();
      waits.push(...timers.waits);
      await timers.pass(timers.waits[0]!);
    }
    expect(waits).toEqual([1_000, 2_000, 3_000, 3_000]);
    expect(await queue.get(id)).toMatchObject({ state: "failed", attempts: 5 });
  });

  it("spreads the waits over the upper half", async () => {
    const { queue, timers } = open({ backoff: { baseMs: 1_000 }, random: () => 0 });
    queue.work(unavailable);
    await queue.submit(materializeJob(1));
    await turn();
    expect(timers.waits).toEqual([500]);
  });

  it("keeps a delayed job until its time, to the millisecond", async () => {
    const { queue, timers } = open();
    queue.work(async () => "ran");
    const { id, state } = await queue.submit(materializeJob(1), { delayMs: 60_000 });
    expect(state).toBe("delayed");
    await timers.pass(59_999);
    expect((await queue.get(id))!.state).toBe("delayed");
    await timers.pass(1);
    expect(await queue.get(id)).toMatchObject({ state: "completed", result: "ran" });
  });

  it("dates records by the clock it was given", async () => {
    const { queue, clock } = open();
    const { id } = await queue.submit(materializeJob(1));
    clock.advance("1h");
    queue.work(async () => undefined);
    await queue.finished(id);
    expect(await queue.get(id)).toMatchObject({
      enqueuedAt: new Date("2001-01-01T12:00Z"),
      startedAt: new Date("2001-01-01T13:00Z"),
      finishedAt: new Date("2001-01-01T13:00Z"),
    });
    expect(queue.now()).toEqual(new Date("2001-01-01T13:00Z"));
  });

  it("times out a wait and lets the job go on", async () => {
    const { queue, timers } = open();
    const { id } = await queue.submit(materializeJob(1));
    const late = expect(queue.finished(id, { timeoutMs: 5_000 })).rejects.toMatchObject({ code: "TIMEOUT" });
    await timers.pass(5_000);
    await late;
    expect(timers.waits).toEqual([]);
    queue.work(async () => "ran");
    expect(await queue.finished(id, { timeoutMs: 5_000 })).toMatchObject({ result: "ran" });
    expect(timers.waits).toEqual([]);
  });

  it("gives handlers until the deadline and the grace, then hands back without them", async () => {
    const { queue, timers } = open({ graceMs: 5_000 });
    const go = deferred();
    const worker: Running = queue.work(async (_job, { progress }) => {
      await go.promise;
      await progress("from beyond");
      return "too late";
    });
    const { id } = await queue.submit(materializeJob(1));
    await turn();
    let closed = false;
    const closing = worker.close({ deadlineMs: 30_000 }).then(() => closed = true);
    await timers.pass(34_999);
    expect(closed).toBe(false);
    await timers.pass(1);
    await closing;
    expect((await queue.get(id))!.state).toBe("waiting");
    go.resolve();
    await turn();
    const record = (await queue.get(id))!;
    expect([record.state, record.progress, record.result]).toEqual(["waiting", undefined, undefined]);
  });

  it("forgets workers that are not heard of", async () => {
    const { queue, clock } = open();
    await queue.beat({ id: "w", host: "h", pid: 1, concurrency: 1, startedAt: new Date(0), jobs: [] });
    clock.advance("15s");
    expect(await queue.workers()).toHaveLength(1);
    clock.advance("1ms");
    expect(await queue.workers()).toEqual([]);
  });

  it("keeps a bounded history, the dead apart from the completed", async () => {
    const { queue } = open({ keep: 2 });
    queue.work(async (job) => {
      if (job.view === "bad") throw new VarveError("CORRUPT", "Cannot read it");
    });
    for (const view of ["bad", "good"]) {
      for (let day = 1; day <= 4; day++) await queue.submit(materializeJob(day, { view }));
    }
    await turn();
    expect(
      (await queue.list()).map(({ job, state }) => [job.view, state, (job as { start: string }).start.slice(8, 10)]),
    ).toEqual([
      ["good", "completed", "04"],
      ["good", "completed", "03"],
      ["bad", "failed", "04"],
      ["bad", "failed", "03"],
    ]);
  });

  it("does not run a cancelled and retried job twice", async () => {
    const { queue } = open();
    const { id } = await queue.submit(materializeJob(1));
    await queue.cancel(id, "a mistake");
    await queue.retry(id);
    let runs = 0;
    queue.work(async () => void runs++, { concurrency: 2 });
    await queue.finished(id);
    await turn();
    expect(runs).toBe(1);
  });
});
