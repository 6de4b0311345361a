/** Reads over connections that fall silent, on a clock that stands until it is moved. */
import type { Socket } from "node:net";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { redisOnlineStore } from "../../../sdk/storage/online_redis.ts";
import { startForgetfulProxy } from "../../support/forgetful_proxy.ts";
import { batchOf, keyOf, read } from "../../support/online_rows.ts";
import { startRedis } from "../../support/redis.ts";
import { type Answer, ask, echo, SmallRedis } from "../../support/small_redis.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A poll of the test runner would move the clock. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turn();
}

/** Lets time pass for whoever has asked before. */
async function pass(ms: number): Promise<void> {
  await turn();
  vi.advanceTimersByTime(ms);
  await turn();
}

/** Until the test ends. */
const stopClock = () => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });

/** A store of a server that answers no read by itself. */
async function open(ping: Answer = echo) {
  stopClock();
  const server = new SmallRedis();
  const reads: { readonly connection: number; readonly answer: () => void }[] = [];
  server.answer = (words: readonly string[], socket: Socket, connection: number) => {
    if (words[0] === "PING") return ping(words, socket, connection);
    reads.push({ connection, answer: () => void socket.write(echo(words), "latin1") });
    return undefined;
  };
  const store = redisOnlineStore({ url: await server.listen(), workspace: "w" });
  onTestFinished(async () => {
    await store.close();
    server.close();
  });
  /** Asks, and waits until the server has heard of it. */
  const asked = async (id: number): Promise<{ readonly answered: Promise<unknown> }> => {
    const count = reads.length + 1;
    const answered = ask(store, id).catch((error: Error) => error.message);
    await until(() => reads.length === count);
    return { answered };
  };
  return { server, store, reads, asked };
}

describe("a connection that falls silent", () => {
  afterEach(() => void vi.useRealTimers());

  test("is replaced by one that answers, when the network has forgotten it", async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const proxy = await startForgetfulProxy(redis.port);
    onTestFinished(() => proxy.close());
    const own = redisOnlineStore({ url: redis.url, workspace: "w" });
    await own.load("a", batchOf([[1, 1, 1, 7], [2, 1, 1, 8]]));
    await own.close();
    stopClock();
    const store = redisOnlineStore({ url: `redis://127.0.0.1:${proxy.port}`, workspace: "w" });
    onTestFinished(() => store.close());
    expect(await read(store, "a", [1])).toEqual([7]);
    expect(proxy.forget()).toBe(1);
    const first = read(store, "a", [1]);
    await pass(1_000);
    const second = read(store, "a", [2]);
    await pass(500);
    expect([await first, await second]).toEqual([[7], [8]]);
    // The new one stays, and is watched likewise.
    expect(proxy.forget()).toBe(1);
    const third = read(store, "a", [1]);
    await pass(1_500);
    expect(await third).toEqual([7]);
  });

  test("may still answer while there is no other: then nothing was asked twice", async () => {
    const { server, reads, asked } = await open((words, _, connection) => connection === 1 ? echo(words) : undefined);
    const { answered } = await asked(1);
    await pass(1_500);
    await until(() => server.connections === 2);
    reads[0]!.answer();
    expect(await answered).toBe(true);
    const next = await asked(2);
    reads[1]!.answer();
    expect(await next.answered).toBe(true);
    expect(reads.map(({ connection }) => connection)).toEqual([1, 1]);
  });

  test("is one that says nothing at all: a slow one is left alone", async () => {
    const { server, store, reads, asked } = await open();
    const first = await asked(1);
    await pass(1_000);
    const second = await asked(2);
    await pass(400);
    reads[0]!.answer();
    expect(await first.answered).toBe(true);
    // The second has waited for longer by then.
    await pass(1_400);
    reads[1]!.answer();
    expect(await second.answered).toBe(true);
    server.answer = echo;
    for (let i = 0; i < 20; i++) expect(await ask(store, i)).toBe(true);
    expect(server.connections).toBe(1);
  });

  test("is replaced once for a command, which then has all the time it has", async () => {
    const { server, reads, asked } = await open();
    const { answered } = await asked(1);
    await pass(1_500);
    await until(() => reads.length === 2);
    const behind = await asked(2);
    // Time in which another connection would be made, and the first command given up with this one.
    await pass(1_500);
    for (let i = 0; i < 200; i++) await turn();
    await pass(1_999);
    for (const { answer } of reads.slice(1)) answer();
    expect([await answered, await behind.answered]).toEqual([true, true]);
    const { answered: late } = await asked(3);
    await pass(1_500);
    await until(() => reads.length === 5);
    await pass(3_500);
    expect(await late).toMatch(/no answer within 5000 ms/);
    expect([reads.map(({ connection }) => connection), server.connections]).toEqual([[1, 2, 2, 2, 3], 3]);
  });
});

test("a process that was busy looks at what came before it calls a connection silent", async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const store = redisOnlineStore({ url: redis.url, workspace: "w" });
  onTestFinished(() => store.close());
  await store.load("a", batchOf([[1, 1, 1, 7]]));
  expect(await read(store, "a", [1])).toEqual([7]);
  /** Counts connections, each of these calls too. */
  const connections = async () => Number((await redis.command("CLIENT", "ID")).slice(1));
  const before = await connections();
  const asked = read(store, "a", [1]);
  await turn();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_600);
  expect(await asked).toEqual([7]);
  expect(await store.getMany(["a"], [keyOf(2)])).toEqual([undefined]);
  expect(await connections()).toBe(before + 1);
});
