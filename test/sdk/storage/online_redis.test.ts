import { createConnection, createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisOnlineStore } from "../../../sdk/storage/online_redis.ts";
import type { OnlineStore } from "../../../sdk/storage/online_store.ts";
import { inspectRedis } from "../../../sdk/storage/redis_inspect.ts";
import { onlineStoreSuite } from "../../conformance/online_store.ts";
import { startForgetfulProxy } from "../../support/forgetful_proxy.ts";
import { batchOf, keyOf, read, valueOf } from "../../support/online_rows.ts";
import { type RedisServer, startRedis } from "../../support/redis.ts";

for (const cluster of [false, true]) {
  onlineStoreSuite(cluster ? "Redis Cluster" : "Redis", async () => {
    const server = await startRedis({ cluster });
    return { open: () => redisOnlineStore({ url: server.url, workspace: "w" }), dispose: () => server.stop() };
  });
}

const rowsOf = (count: number, at: number, value: (id: number) => number) =>
  batchOf(Array.from({ length: count }, (_, id) => [id, at, 1, value(id)] as const));

for (const cluster of [false, true]) {
  describe(`redisOnlineStore() on ${cluster ? "a Cluster" : "one server"}`, () => {
    let server: RedisServer;
    let store: OnlineStore;
    beforeAll(async () => {
      server = await startRedis({ cluster, appendonly: true });
      store = redisOnlineStore({ url: server.url, workspace: "w", timeoutMs: 2000 });
    });
    afterAll(async () => {
      await store.close();
      await server.stop();
    });

    test("survives SCRIPT FLUSH", async () => {
      const collection = await store.newCollection();
      await store.merge(collection, rowsOf(1000, 1, (id) => id));
      await server.command("SCRIPT", "FLUSH");
      expect(await store.merge(collection, rowsOf(1000, 2, (id) => -id))).toBe(1000);
      expect(await read(store, collection, [0, 999])).toEqual([-0, -999]);
    });

    test("drops values at their expiry, and keeps those without", async () => {
      for (const verb of ["load", "merge"] as const) {
        const collection = await store.newCollection();
        const now = BigInt(Date.now()) * 1000n;
        const batch = { keys: [1, 2, 3, 4].map(keyOf), values: [1, 2, 3, 4].map((v) => valueOf(1, 1, v)) };
        await store[verb](collection, { ...batch, expireAt: [now - 1000n, -5n, now + 3_600_000_000n, undefined] });
        expect(await read(store, collection, [1, 2, 3, 4]), verb).toEqual([undefined, undefined, 3, 4]);
      }
    });

    test("a writer that was cut off by a crash resumes by sending everything again", async () => {
      const collection = await store.newCollection();
      const [epoch, life] = [await store.epoch(), await store.life()];
      const batches = Array.from({ length: 40 }, (_, i) => rowsOf(2000, 100 - i, (id) => (100 - i) * 10_000 + id));
      let failed = 0;
      const crash = (async () => {
        while ((await read(store, collection, [1999]))[0] === undefined) { /* until the first batch is in */ }
        await server.kill();
      })();
      // Again and again, until the crash has cut one off.
      for (let i = 0; failed === 0 && i < 10_000; i++) {
        await store.merge(collection, batches[i % batches.length]!).catch((error) => {
          expect(error.code).toBe("UNAVAILABLE");
          failed++;
        });
      }
      await crash.catch(() => {});
      await server.restart();
      await expect.poll(() => store.ping().then(() => true, () => false)).toBe(true);
      expect(failed).toBeGreaterThan(0);
      expect([await store.epoch(), await store.life() === life]).toEqual([epoch, false]);
      for (const batch of batches) await store.merge(collection, batch);
      const ids = Array.from({ length: 2000 }, (_, id) => id);
      expect(await read(store, collection, ids)).toEqual(ids.map((id) => 1_000_000 + id));
    });

    test("reads say that the server was emptied since its states were read, until they are read again", async () => {
      const collection = await store.newCollection();
      await store.load(collection, rowsOf(1, 1, (id) => id));
      await store.states();
      expect(await read(store, collection, [0, 1])).toEqual([0, undefined]);
      await server.command("FLUSHALL");
      const emptied = read(store, collection, [0]);
      // A Cluster's keys are not all on the server that knows.
      if (store.description.includes("redis-cluster:")) expect(await emptied).toEqual([undefined]);
      else await expect(emptied).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await store.states();
      expect(await read(store, collection, [0])).toEqual([undefined]);
    });

    test("FLUSHALL changes the epoch, and names of collections are not given again", async () => {
      const [epoch, life] = [await store.epoch(), await store.life()];
      const before = await store.newCollection();
      await server.command("FLUSHALL");
      expect(await store.epoch()).not.toBe(epoch);
      expect(await store.life()).not.toBe(life);
      expect(await store.states()).toEqual([]);
      expect(parseInt(await store.newCollection(), 36)).toBeGreaterThanOrEqual(parseInt(before, 36) - 60);
    });
  });
}

describe("redisOnlineStore()", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  const commands = async (name: string) => {
    const stats = await server.command("INFO", "commandstats");
    return Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  };

  test("reads of one event-loop turn are one command, of the next turn another", async () => {
    const store = redisOnlineStore({ url: server.url, workspace: "w" });
    await store.load("a", rowsOf(50, 1, (id) => id));
    await store.ping();
    const before = await commands("mget");
    const all = await Promise.all(Array.from({ length: 50 }, (_, id) => read(store, "a", [id, 999, id])));
    expect(all).toEqual(Array.from({ length: 50 }, (_, id) => [id, undefined, id]));
    expect(await commands("mget")).toBe(before + 1);
    await read(store, "a", [1]);
    expect(await commands("mget")).toBe(before + 2);
    // A very large read is cut, and put together again.
    const ids = Array.from({ length: 1300 }, (_, i) => i % 60);
    expect(await read(store, "a", ids)).toEqual(ids.map((id) => id < 50 ? id : undefined));
    expect(await commands("mget")).toBe(before + 5);
    await store.close();
  });

  test("a read whose deadline passes fails alone", async () => {
    const store = redisOnlineStore({ url: server.url, workspace: "w" });
    await store.load("a", rowsOf(5, 1, (id) => id));
    const controller = new AbortController();
    const given = store.getMany(["a"], [keyOf(1)], controller.signal);
    const other = read(store, "a", [2]);
    controller.abort(new DOMException("late", "TimeoutError"));
    await expect(given).rejects.toMatchObject({ code: "TIMEOUT" });
    expect(await other).toEqual([2]);
    await store.close();
  });

  test("a database that is not there is an error of every call, and nothing goes into another one", async () => {
    const store = redisOnlineStore({ url: `${server.url}/99`, workspace: "lost" });
    for (let times = 0; times < 2; times++) {
      for (
        const call of [
          () => store.epoch(),
          () => store.ping(),
          () => store.newCollection(),
          () => read(store, "a", [1]),
        ]
      ) {
        await expect(call()).rejects.toMatchObject({
          code: "INVALID_CONFIG",
          message: expect.stringContaining("there is no such database"),
        });
      }
    }
    expect(await server.command("KEYS", "*lost*")).toBe("*0");
    await store.close();
  });

  test("workspaces of one server have their own states and never a common collection", async () => {
    const [a, b] = ["a", "b"].map((workspace) => redisOnlineStore({ url: server.url, workspace }));
    const state = { view: "v", version: 1, appliedVersion: 1, watermark: "", layout: "", updatedAt: "" };
    await a!.setState(state, undefined);
    expect(await b!.state("v", 1)).toBeUndefined();
    expect(await a!.newCollection()).not.toBe(await b!.newCollection());
    await Promise.all([a!.close(), b!.close()]);
  });

  test("states() leaves out a state that was written after the store was emptied of its values", async () => {
    const own = await startRedis();
    const store = redisOnlineStore({ url: own.url, workspace: "w" });
    const epoch = await store.epoch();
    const state = { view: "v", version: 1, appliedVersion: 1, watermark: "", layout: "", updatedAt: "", epoch };
    await own.command("FLUSHALL");
    expect(await store.setState(state, undefined)).toBe(true);
    expect(await store.states()).toEqual([]);
    const next = { ...state, epoch: await store.epoch() };
    expect(await store.setState(next, state)).toBe(true);
    expect(await store.states()).toEqual([next]);
    await store.close();
    await own.stop();
  });

  test("whoever has not seen the new states yet is told that the server was emptied, not that there is no value", async () => {
    const own = await startRedis();
    const store = redisOnlineStore({ url: own.url, workspace: "w" });
    const collection = await store.newCollection();
    await store.load(collection, rowsOf(1, 1, (id) => id));
    const facts = { view: "v", version: 1, appliedVersion: 1, watermark: "", layout: "", updatedAt: "" };
    expect(await store.setState({ ...facts, collection, epoch: await store.epoch() }, undefined)).toBe(true);
    await store.states();
    expect(await read(store, collection, [0])).toEqual([0]);
    await own.command("FLUSHALL");
    // The new epoch is known, and a reader still asks for what the states before said, together with one that asks for what is new.
    await store.states();
    const fresh = `${collection}new`;
    const [old, newer] = await Promise.allSettled([read(store, collection, [0]), read(store, fresh, [0])]);
    expect(old).toMatchObject({ status: "rejected", reason: { code: "UNAVAILABLE" } });
    expect(newer).toEqual({ status: "fulfilled", value: [undefined] });
    await store.close();
    await own.stop();
  });

  test("a setState() that is sent again because its answer was lost finds that it was done", async () => {
    // A proxy that hands over the command and loses the first answer to it.
    let loses = true;
    const proxy = createServer((near) => {
      const far = createConnection(server.port, "127.0.0.1");
      let isState = false;
      near.on("data", (bytes) => {
        isState ||= bytes.includes("lost/1");
        far.write(bytes);
      });
      far.on("data", (bytes) => {
        if (isState && loses) {
          loses = false;
          near.destroy();
        } else near.write(bytes);
      });
      near.on("error", () => {}).on("close", () => far.destroy());
      far.on("error", () => {}).on("close", () => near.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const { port } = proxy.address() as { port: number };
    const store = redisOnlineStore({ url: `redis://127.0.0.1:${port}`, workspace: "w" });
    await store.ping();
    const state = { view: "lost", version: 1, appliedVersion: 1, watermark: "", layout: "", updatedAt: "" };
    expect(await store.setState(state, undefined)).toBe(true);
    expect(loses).toBe(false);
    expect(await store.setState(state, undefined)).toBe(false);
    await store.close();
    proxy.close();
  });

  test("a connection that the network forgot without a word is replaced", async () => {
    const proxy = await startForgetfulProxy(server.port);
    const store = redisOnlineStore({ url: `redis://127.0.0.1:${proxy.port}`, workspace: "w", timeoutMs: 300 });
    expect(await store.states()).toEqual(await store.states());
    expect(proxy.forget()).toBe(1);
    await expect(store.states()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect.poll(() => store.states().then(() => "read", (error) => error.code), { timeout: 10_000 }).toBe("read");
    await store.close();
    proxy.close();
  });

  test("works with a password, a database and a user of the url, for plain and raw connections", async () => {
    const secured = await startRedis({ config: { requirepass: "p:c/d@e" } });
    const password = encodeURIComponent("p:c/d@e");
    const store = redisOnlineStore({ url: `redis://default:${password}@127.0.0.1:${secured.port}/3`, workspace: "w" });
    await store.load("a", rowsOf(10, 1, (id) => id));
    await store.merge("a", rowsOf(10, 2, (id) => id + 1));
    expect(await read(store, "a", [9])).toEqual([10]);
    expect(store.description).not.toContain(password);
    const wrong = redisOnlineStore({ url: `redis://default:no@127.0.0.1:${secured.port}`, workspace: "w" });
    await expect(wrong.ping()).rejects.toMatchObject({ code: "INVALID_CONFIG" });
    await expect(wrong.load("a", rowsOf(1, 1, (id) => id))).rejects.toMatchObject({ code: "INVALID_CONFIG" });
    await Promise.all([store.close(), wrong.close()]);
    await secured.stop();
  });

  test("says EXHAUSTED when the server is full: load and merge, with and without expiry", async () => {
    const small = await startRedis({ maxmemory: "8mb" });
    const store = redisOnlineStore({ url: small.url, workspace: "w" });
    const big = Buffer.concat([Buffer.from(valueOf(1, 1, 1)), Buffer.alloc(10_000)]);
    const batch = (from: number) => {
      const ids = Array.from({ length: 2000 }, (_, i) => from + i);
      return { keys: ids.map(keyOf), values: ids.map(() => big) };
    };
    const expireAt = Array.from({ length: 2000 }, () => BigInt(Date.now() + 1e6) * 1000n);
    await expect(store.load("a", batch(0))).rejects.toMatchObject({ code: "EXHAUSTED" });
    await expect(store.load("a", { ...batch(0), expireAt })).rejects.toMatchObject({ code: "EXHAUSTED" });
    await expect(store.merge("a", batch(5000))).rejects.toMatchObject({ code: "EXHAUSTED" });
    await expect(store.merge("a", { ...batch(5000), expireAt })).rejects.toMatchObject({ code: "EXHAUSTED" });
    // Room again: the same connections go on.
    await store.drop("a");
    await small.command("CONFIG", "SET", "maxmemory", "0");
    expect(await store.merge("a", batch(0))).toBe(2000);
    await store.close();
    await small.stop();
  });

  test("says UNAVAILABLE at once when there is no server at start, and works when it comes", async () => {
    const gone = await startRedis();
    await gone.kill();
    const store = redisOnlineStore({ url: gone.url, workspace: "w" });
    const message = expect.stringMatching(/^Cannot use Redis at redis:\/\/127\.0\.0\.1:\d+: connect ECONNREFUSED/);
    for (
      const attempt of [
        () => store.ping(),
        () => store.getMany(["a"], [keyOf(1)]),
        () => store.load("a", rowsOf(1, 1, () => 1)),
        () => store.state("v", 1),
      ]
    ) {
      await expect(attempt()).rejects.toMatchObject({ code: "UNAVAILABLE", message });
    }
    await gone.restart();
    await expect.poll(() => store.ping().then(() => "ok", (error) => error.code)).toBe("ok");
    await store.load("a", rowsOf(1, 1, () => 7));
    expect(await read(store, "a", [0])).toEqual([7]);
    await store.close();
    await gone.stop();
  });

  test("says UNAVAILABLE within its limit when the server hangs in the middle, and goes on when it wakes", async () => {
    const hung = await startRedis();
    const store = redisOnlineStore({ url: hung.url, workspace: "w", timeoutMs: 1_000, connectTimeoutMs: 1_000 });
    await store.merge("a", rowsOf(10, 1, (id) => id));
    process.kill(hung.pid, "SIGSTOP");
    const ended = await Promise.allSettled([
      store.ping(),
      store.getMany(["a"], [keyOf(1)]),
      store.load("a", rowsOf(10, 2, (id) => id)),
      store.merge("a", rowsOf(10, 2, (id) => id)),
    ]);
    expect(ended.map((end) => end.status === "rejected" && end.reason.code)).toEqual(Array(4).fill("UNAVAILABLE"));
    process.kill(hung.pid, "SIGCONT");
    await expect.poll(() => store.merge("a", rowsOf(10, 3, (id) => id + 0.5)).then(() => "ok", (error) => error.code))
      .toBe("ok");
    expect(await read(store, "a", [9])).toEqual([9.5]);
    await store.close();
    await hung.stop();
  });

  test("a load can be cancelled in the middle", async () => {
    const store = redisOnlineStore({ url: server.url, workspace: "w" });
    const controller = new AbortController();
    const loading = store.load("a", rowsOf(100_000, 1, (id) => id), controller.signal);
    setImmediate(() => controller.abort());
    await expect(loading).rejects.toMatchObject({ code: "CANCELLED" });
    await store.load("a", rowsOf(10, 1, (id) => id));
    expect(await read(store, "a", [9])).toEqual([9]);
    await store.close();
  });

  test("tells a Cluster's address from one server's", async () => {
    const cluster = await startRedis({ cluster: true });
    const store = redisOnlineStore({ url: `redis://127.0.0.1:${cluster.port}`, workspace: "w" });
    const plain = redisOnlineStore({ url: `redis-cluster://127.0.0.1:${server.port}`, workspace: "w" });
    await expect(plain.ping()).rejects.toMatchObject({
      code: "INVALID_CONFIG",
      message: expect.stringContaining("redis-cluster://"),
    });
    await expect(store.load("a", rowsOf(9, 1, (id) => id))).rejects.toMatchObject({ code: "INVALID_CONFIG" });
    await expect(store.merge("a", rowsOf(9, 1, (id) => id))).rejects.toMatchObject({ code: "INVALID_CONFIG" });
    await expect(store.getMany(["a", "a"], [1, 2].map(keyOf))).rejects.toMatchObject({ code: "INVALID_CONFIG" });
    await Promise.all([store.close(), plain.close()]);
    await cluster.stop();
  });
});

describe("inspectRedis()", () => {
  test("finds nothing wrong with a server as it should be", async () => {
    const server = await startRedis({ appendonly: true });
    const report = await inspectRedis({ url: server.url });
    expect(report).toMatchObject({ policy: "noeviction", appendonly: true, isCluster: false, problems: [] });
    expect(report.version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(report.usedBytes).toBeGreaterThan(100_000);
    await server.stop();
  });

  test("names an eviction policy and missing persistence, with the way out", async () => {
    const server = await startRedis({ config: { "maxmemory-policy": "allkeys-lru" }, maxmemory: "100mb" });
    const report = await inspectRedis({ url: server.url });
    expect(report.maxBytes).toBe(100 * 1024 * 1024);
    expect(report.problems.map(({ problem }) => problem)).toEqual([
      expect.stringContaining("allkeys-lru"),
      expect.stringContaining("appendonly"),
    ]);
    expect(report.problems.map(({ fix }) => fix)).toEqual([
      expect.stringContaining("CONFIG SET maxmemory-policy noeviction"),
      expect.stringContaining("CONFIG SET appendonly yes"),
    ]);
    await server.stop();
  });
});
