import { EventEmitter } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { watchLag } from "../../../cluster/worker/loop_lag.ts";
import { closeOnSignal } from "../../../cluster/worker/shutdown.ts";
import { startWorker, type WorkerOptions } from "../../../cluster/worker/worker.ts";
import { VarveError } from "../../../sdk/errors.ts";
import { InProcessQueue } from "../../../sdk/queue/in_process.ts";
import { ManualClock } from "../../../sdk/time.ts";
import { aborted, deferred, materializeJob } from "../../conformance/queue.ts";
import { LogRecorder } from "../../support/log_recorder.ts";
import { ManualTimers, turn } from "../../support/manual_timers.ts";

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function start(options: Partial<WorkerOptions> & Pick<WorkerOptions, "handler">) {
  const clock = new ManualClock("2001-01-01");
  const timers = new ManualTimers();
  const logger = new LogRecorder();
  const queue = new InProcessQueue({ clock, graceMs: 200 });
  const worker = startWorker({ queue, logger, clock, timers, ...options });
  closing.push(() => queue.close(), () => worker.close());
  return { clock, timers, logger, queue, worker };
}

const messages = (logger: LogRecorder) => logger.lines.map(({ level, message }) => `${level} ${message}`);
const job = 'materialize "trips" version 1 [2001-01-01T00:00:00Z, 2001-01-02T00:00:00Z)';

describe("startWorker()", () => {
  it("runs jobs and logs what becomes of them", async () => {
    const { queue, logger } = start({
      handler: async (job) => {
        if (job.view === "rides") throw new VarveError("CORRUPT", "Cannot read rides");
        return { rows: 7 };
      },
    });
    const { id } = await queue.submit(materializeJob(1));
    await queue.finished(id);
    const bad = await queue.submit(materializeJob(1, { view: "rides" }));
    await expect(queue.finished(bad.id)).rejects.toMatchObject({ code: "CORRUPT" });
    expect(messages(logger)).toEqual([
      "info worker started",
      `info started ${job}`,
      `info finished ${job}`,
      `info started ${job.replace("trips", "rides")}`,
      `error failed ${job.replace("trips", "rides")}: Cannot read rides`,
    ]);
    expect(logger.lines[2]!.details).toMatchObject({
      jobId: id,
      job: "materialize",
      view: "trips",
      version: 1,
      attempt: 1,
      result: { rows: 7 },
    });
  });

  it("tells again and again that it lives and what it runs, until it is closed", async () => {
    const go = deferred();
    const { queue, worker, timers, clock } = start({ handler: async () => await go.promise, concurrency: 3 });
    await turn();
    expect(await queue.workers()).toMatchObject([{
      id: worker.id,
      pid: process.pid,
      concurrency: 3,
      jobs: [],
      startedAt: new Date("2001-01-01"),
    }]);
    const { id } = await queue.submit(materializeJob(1));
    clock.advance("14s");
    await timers.pass(5_000);
    clock.advance("14s");
    expect(await queue.workers()).toMatchObject([{ jobs: [id] }]);
    go.resolve();
    await worker.close();
    expect(await queue.workers()).toEqual([]);
    expect(timers.waits).toEqual([]);
  });

  it("hands back at its deadline what does not end, and says so", async () => {
    const { queue, worker, logger } = start({
      shutdownMs: 0,
      handler: async (_job, { signal }) => {
        await aborted(signal);
        throw new Error("stopped");
      },
    });
    const { id } = await queue.submit(materializeJob(1));
    await turn();
    await worker.close();
    expect(await queue.get(id)).toMatchObject({ state: "waiting", attempts: 1 });
    expect(messages(logger)).toContainEqual(expect.stringMatching(/^warn stopped materialize.*shutting down/));
    expect(messages(logger).at(-1)).toBe("info worker stopped");
  });

  it("names the job that ran while the event loop was blocked", async () => {
    const go = deferred();
    let report: Parameters<typeof watchLag>[0] = () => {};
    const { queue, logger } = start({
      handler: async () => await go.promise,
      watchLag: (onLag) => {
        report = onLag;
        return () => {};
      },
    });
    report({ lagMs: 1_100 });
    await queue.submit(materializeJob(1));
    await turn();
    report({ lagMs: 2_345 });
    expect(messages(logger).filter((line) => line.startsWith("warn"))).toEqual([
      "warn the event loop was blocked for 1100 ms; no job was running",
      `warn the event loop was blocked for 2345 ms; running: ${job}`,
    ]);
    go.resolve();
  });

  it("ends when the queue does not hear that it is gone", async () => {
    const { queue, timers, worker, logger } = start({ handler: async () => 1 });
    queue.leave = () => new Promise(() => {});
    await turn();
    const closed = worker.close();
    await timers.pass(2_000);
    await closed;
    expect(messages(logger).at(-1)).toBe("info worker stopped");
  });

  it("goes on when the queue cannot be told that it lives", async () => {
    const { queue, logger, timers, worker } = start({ handler: async () => 1 });
    queue.beat = () => Promise.reject(new Error("no answer"));
    await timers.pass(10_000);
    expect(messages(logger).filter((line) => line.startsWith("warn"))).toHaveLength(2);
    const { id } = await queue.submit(materializeJob(1));
    await queue.finished(id);
    await worker.close();
  });
});

describe("watchLag()", () => {
  it("tells how long the loop was blocked", async () => {
    const lag = await new Promise<number>((resolve) => {
      const stop = watchLag(({ lagMs }) => {
        stop();
        resolve(lagMs);
      }, { limitMs: 50, everyMs: 5 });
      const keep = setTimeout(() => {
        const end = performance.now() + 80;
        while (performance.now() < end);
        clearTimeout(keep);
      }, 10);
    });
    expect(lag).toBeGreaterThanOrEqual(50);
  });
});

describe("closeOnSignal()", () => {
  function listen(closers: (() => Promise<void>)[]) {
    const target = new EventEmitter() as EventEmitter & { exit(code: number): never };
    const exited = deferred<number>();
    const codes: number[] = [];
    target.exit = (code) => {
      codes.push(code);
      exited.resolve(code);
      return undefined as never;
    };
    const logger = new LogRecorder();
    const stop = closeOnSignal(closers, { logger, target: target as never });
    return { target, exited, codes, logger, stop };
  }

  it("closes in order and exits 0", async () => {
    const order: string[] = [];
    const { target, exited } = listen([async () => void order.push("worker"), async () => void order.push("queue")]);
    target.emit("SIGTERM", "SIGTERM");
    expect(await exited.promise).toBe(0);
    expect(order).toEqual(["worker", "queue"]);
  });

  it("closes the rest and exits 1 when something cannot be closed", async () => {
    const order: string[] = [];
    const { target, exited, logger } = listen([
      () => Promise.reject(new Error("stuck")),
      async () => void order.push("queue"),
    ]);
    target.emit("SIGINT", "SIGINT");
    expect(await exited.promise).toBe(1);
    expect(order).toEqual(["queue"]);
    expect(messages(logger)).toContain("error cannot close cleanly");
  });

  it("exits at once at a second signal", async () => {
    const { target, codes } = listen([() => new Promise(() => {})]);
    target.emit("SIGTERM", "SIGTERM");
    await turn();
    expect(codes).toEqual([]);
    target.emit("SIGTERM", "SIGTERM");
    expect(codes).toEqual([1]);
  });

  it("stops listening", () => {
    const { target, stop } = listen([]);
    stop();
    expect(target.listenerCount("SIGTERM") + target.listenerCount("SIGINT")).toBe(0);
  });
});
