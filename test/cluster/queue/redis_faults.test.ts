import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setImmediate } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { statusText } from "../../../cluster/cli/status.ts";
import { openRedisQueue, type RedisQueue, type RedisQueueOptions } from "../../../cluster/queue/redis_queue.ts";
import { connect as connectStore } from "../../../sdk/connect.ts";
import type { QueueEvent } from "../../../sdk/queue/queue.ts";
import { aborted, deferred, materializeJob } from "../../conformance/queue.ts";
import { startForgetfulProxy } from "../../support/forgetful_proxy.ts";
import { type RedisServer, type RedisServerOptions, startRedis } from "../../support/redis.ts";

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function serve(options?: RedisServerOptions): Promise<RedisServer> {
  const redis = await startRedis(options);
  closing.push(() => redis.stop());
  return redis;
}

async function open(redis: RedisServer, options: Partial<RedisQueueOptions> = {}): Promise<RedisQueue> {
  const queue = await openRedisQueue({
    url: redis.url,
    workspace: "test",
    backoff: { baseMs: 5 },
    graceMs: 200,
    ...options,
  });
  closing.push(() => queue.close());
  return queue;
}

interface WorkerProcess {
  readonly child: ChildProcess;
  /** Resolves with the next line like this. */
  says(pattern: RegExp): Promise<string>;
}

async function workerProcess(redis: RedisServer, behaviour: "hang" | "die", lockMs: number): Promise<WorkerProcess> {
  const script = join(import.meta.dirname, "worker_process.ts");
  const child = spawn(process.execPath, ["--import", "tsx", script, redis.url, "varve", behaviour, String(lockMs)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  closing.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  const lines: string[] = [];
  let heard = () => {};
  createInterface({ input: child.stdout! }).on("line", (line) => {
    lines.push(line);
    heard();
  });
  const says = async (pattern: RegExp): Promise<string> => {
    while (true) {
      const index = lines.findIndex((line) => pattern.test(line));
      if (index >= 0) return lines.splice(index, 1)[0]!;
      await new Promise<void>((resolve) => heard = resolve);
    }
  };
  await says(/^ready$/);
  return { child, says };
}

describe("RedisQueue when workers die", () => {
  it("runs the job of a killed worker elsewhere", async () => {
    const redis = await serve();
    const queue = await open(redis); // with the settings of production
    const events: QueueEvent[] = [];
    queue.watch((event) => void events.push(event));
    const dying = await workerProcess(redis, "hang", 5_000);
    const { id } = await queue.submit(materializeJob(1));
    await dying.says(/^started/);
    const restarted = deferred<number>();
    queue.work(async (_job, { attempt }) => {
      restarted.resolve(performance.now());
      return attempt;
    });
    dying.child.kill("SIGKILL");
    const killed = performance.now();
    expect(await queue.finished(id, { timeoutMs: 60_000 })).toMatchObject({
      state: "completed",
      attempts: 2,
      result: 2,
    });
    console.log(
      `kill -9 of a worker: its job started elsewhere after ${
        ((await restarted.promise - killed) / 1000).toFixed(2)
      } s`,
    );
    while (events.at(-1)?.kind !== "completed") await setImmediate();
    expect(events.map((event) => event.kind)).toEqual(["added", "active", "waiting", "stalled", "active", "completed"]);
  });

  it("tells a worker that slept past its lease, and records nothing of its run", async () => {
    const redis = await serve();
    // A lease long enough that this process does not sleep past its own while the computer is busy.
    const queue = await open(redis, { lockMs: 2_000, stalledMs: 500 });
    const sleeping = await workerProcess(redis, "hang", 2_000);
    const { id } = await queue.submit(materializeJob(1));
    await sleeping.says(/^started/);
    const go = deferred();
    const taken = deferred();
    queue.work(async () => {
      taken.resolve();
      await go.promise;
      return "the second run";
    });
    sleeping.child.kill("SIGSTOP");
    await taken.promise;
    sleeping.child.kill("SIGCONT");
    expect(await sleeping.says(/^aborted/)).toBe(`aborted ${id} CONFLICT`);
    expect((await queue.get(id))!.state).toBe("active");
    go.resolve();
    expect(await queue.finished(id)).toMatchObject({ state: "completed", result: "the second run" });
  });

  it("declares a job dead that kills every worker, and retry() forgets the deaths", async () => {
    const redis = await serve();
    const queue = await open(redis, { lockMs: 200, stalledMs: 80 });
    const { id } = await queue.submit(materializeJob(1));
    for (let death = 0; death < 6; death++) {
      const dying = await workerProcess(redis, "die", 200);
      if (dying.child.signalCode === null) await once(dying.child, "exit");
    }
    const go = deferred();
    let runs = 0;
    queue.work(async () => {
      runs++;
      await go.promise;
      return "survived";
    });
    await expect(queue.finished(id)).rejects.toThrow(/stalled more than allowable limit/);
    expect(runs).toBe(0);
    go.resolve();
    await queue.retry(id);
    expect(await queue.finished(id)).toMatchObject({ state: "completed", result: "survived", attempts: 1 });
  });
});

describe("RedisQueue when Redis fails", () => {
  it("goes on after a restart in the middle of a job", async () => {
    const redis = await serve({ appendonly: true, config: { appendfsync: "always" } });
    const queue = await open(redis);
    const started = deferred();
    const go = deferred();
    queue.work(async (_job, { progress }) => {
      started.resolve();
      await go.promise;
      await progress({ slicesDone: 1 });
      return "done";
    });
    const { id } = await queue.submit(materializeJob(1));
    const next = await queue.submit(materializeJob(2));
    await started.promise;
    await redis.kill();
    await expect(queue.submit(materializeJob(3))).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringMatching(/Redis does not answer/),
    });
    go.resolve();
    await redis.restart();
    expect(await queue.finished(id)).toMatchObject({ state: "completed", result: "done" });
    expect(await queue.finished(next.id)).toMatchObject({ state: "completed" });
    expect(await queue.submit(materializeJob(3))).toMatchObject({ attempts: 0 });
  });

  it("runs a job again in the same worker when its lease ran out while Redis was away, and renews the new lease", async () => {
    const redis = await serve({ appendonly: true, config: { appendfsync: "always" } });
    const queue = await open(redis, { lockMs: 2_000, stalledMs: 500 });
    const reasons: unknown[] = [];
    const started = deferred();
    const secondStarted = deferred();
    const go = deferred();
    let runs = 0;
    queue.work(async (_job, { signal }) => {
      if (++runs > 1) {
        secondStarted.resolve();
        await go.promise;
        return "the second run";
      }
      started.resolve();
      reasons.push(await aborted(signal));
      throw new Error("stopped");
    }, { concurrency: 2 });
    const { id } = await queue.submit(materializeJob(1));
    await started.promise;
    await redis.kill();
    await new Promise((resolve) => setTimeout(resolve, 2_100)); // the lease runs out while nobody can renew it
    await redis.restart();
    await secondStarted.promise;
    await new Promise((resolve) => setTimeout(resolve, 3_500)); // longer than a lease and two looks at it
    go.resolve();
    expect(await queue.finished(id)).toMatchObject({ state: "completed", result: "the second run", attempts: 2 });
    expect(runs).toBe(2);
    expect(reasons).toMatchObject([{ code: "CONFLICT" }]);
  });

  it("closes although Redis is away, also with a job in flight", async () => {
    const redis = await serve();
    const queue = await open(redis);
    const started = deferred();
    const stopped = deferred();
    queue.watch(() => {});
    queue.work(async (_job, { signal }) => {
      started.resolve();
      await aborted(signal);
      stopped.resolve();
    });
    await queue.submit(materializeJob(1));
    await started.promise;
    await redis.kill();
    await queue.close();
    await stopped.promise;
  });

  it("closes although the connection for events was never made", async () => {
    const redis = await serve();
    // Lets the queue's own connection through, and says nothing to the next until it is gone.
    const silent = deferred<Socket>();
    let connections = 0;
    const gate = createServer((socket) => {
      socket.on("error", () => {});
      if (++connections > 1) return silent.resolve(socket);
      socket.pipe(connect(redis.port, "127.0.0.1").on("error", () => {})).pipe(socket);
    });
    await once(gate.listen(0, "127.0.0.1"), "listening");
    closing.push(async () => gate.close());
    const refused = deferred();
    const { port } = gate.address() as AddressInfo;
    const queue = await open({ ...redis, url: `redis://127.0.0.1:${port}` }, {
      onError: ({ message }) => message.includes("ECONNREFUSED") && refused.resolve(),
    });
    queue.watch(() => {});
    const socket = await silent.promise;
    gate.close();
    socket.resetAndDestroy();
    await refused.promise;
    // After these turns its socket is closed, and it waits before it tries again.
    for (let turn = 0; turn < 5; turn++) await setImmediate();
    await queue.close();
  });

  it("closes although Redis falls silent at the worker's goodbye", async () => {
    const redis = await serve();
    let isSilent = false;
    const gate = createServer((socket) => {
      const behind = connect(redis.port, "127.0.0.1").on("error", () => {});
      socket.on("error", () => {}).on("close", () => behind.destroy());
      behind.on("data", (bytes: Buffer) => !isSilent && socket.write(bytes)).on("close", () => socket.destroy());
      socket.on("data", (bytes: Buffer) => {
        isSilent ||= /quit\r\n/i.test(bytes.toString("latin1"));
        if (!isSilent) behind.write(bytes);
      });
    });
    await once(gate.listen(0, "127.0.0.1"), "listening");
    closing.push(async () => gate.close());
    const queue = await open({ ...redis, url: `redis://127.0.0.1:${(gate.address() as AddressInfo).port}` });
    const running = queue.work(async () => 1);
    await queue.finished((await queue.submit(materializeJob(1))).id);
    await running.close();
    expect(isSilent).toBe(true);
    await queue.close();
  });

  it("goes on over new connections when the network forgot those it had", async () => {
    const redis = await serve();
    const proxy = await startForgetfulProxy(redis.port);
    closing.push(async () => await Promise.resolve(proxy.close()));
    const elsewhere = await open(redis);
    const queue = await open(redis, { url: `redis://127.0.0.1:${proxy.port}` });
    queue.work(async () => await Promise.resolve("done"));
    await elsewhere.finished((await elsewhere.submit(materializeJob(1))).id);
    expect(proxy.forget()).toBeGreaterThan(1);
    const { id } = await elsewhere.submit(materializeJob(2));
    await expect(queue.list()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(await elsewhere.finished(id, { timeoutMs: 60_000 })).toMatchObject({ state: "completed", result: "done" });
    await expect.poll(() => queue.list().then((jobs) => jobs.length, () => 0)).toBe(2);
  });

  it("says that Redis is down when it is opened", async () => {
    const redis = await serve();
    await redis.kill();
    await expect(open(redis, { connectMs: 300 })).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining(`redis://127.0.0.1:${redis.port}`),
    });
  });

  it("is a problem in the status of a store, and not a queue without jobs", async () => {
    const redis = await serve();
    const folder = await mkdtemp(join(tmpdir(), "varve-status-"));
    closing.push(() => rm(folder, { recursive: true }));
    const store = await connectStore({ path: folder, workspace: "test", queue: await open(redis) });
    closing.push(() => store.close());
    expect((await store.status()).queueProblem).toBeUndefined();
    await redis.kill();
    const status = await store.status();
    expect(status).toMatchObject({ queueProblem: expect.stringContaining("Redis"), jobs: {} });
    expect(statusText(status, undefined)).toMatch(
      /^queue .*: does not answer \(!\)$[^]*Problems\n {2}Cannot list jobs/m,
    );
  });

  it("refuses a Redis that evicts keys", async () => {
    const redis = await serve({ config: { "maxmemory-policy": "allkeys-lru" } });
    await expect(open(redis)).rejects.toMatchObject({
      code: "INVALID_CONFIG",
      message: expect.stringMatching(/allkeys-lru.*noeviction/),
    });
  });

  it("says that Redis is full, and goes on when there is room", async () => {
    const redis = await serve();
    const queue = await open(redis);
    await redis.command("CONFIG", "SET", "maxmemory", "1");
    await expect(queue.submit(materializeJob(1))).rejects.toMatchObject({ code: "EXHAUSTED" });
    await redis.command("CONFIG", "SET", "maxmemory", "0");
    queue.work(async () => 1);
    expect(await queue.finished((await queue.submit(materializeJob(1))).id)).toMatchObject({ state: "completed" });
  });

  it("takes work again after everything was lost", async () => {
    const redis = await serve();
    const queue = await open(redis);
    queue.work(async () => 1);
    await queue.finished((await queue.submit(materializeJob(1))).id);
    await redis.command("FLUSHALL");
    expect(await queue.list()).toEqual([]);
    expect(await queue.finished((await queue.submit(materializeJob(1))).id)).toMatchObject({ state: "completed" });
  });

  it("keeps workspaces apart", async () => {
    const redis = await serve();
    const [mine, theirs] = [await open(redis), await open(redis, { workspace: "other" })];
    await mine.submit(materializeJob(1));
    expect(await theirs.list()).toEqual([]);
    await expect(theirs.submit(materializeJob(1))).rejects.toMatchObject({
      code: "INVALID_REQUEST",
      message: expect.stringContaining('"other"'),
    });
  });

  it("hides the password of its Redis", async () => {
    const redis = await serve();
    const queue = await open(redis, { url: redis.url.replace("redis://", "redis://default:secret@") }).catch((
      error: Error,
    ) => error);
    expect(queue instanceof Error ? queue.message : queue.description).toContain("redis://127.0.0.1");
    expect(queue instanceof Error ? queue.message : queue.description).not.toContain("secret");
  });
});
