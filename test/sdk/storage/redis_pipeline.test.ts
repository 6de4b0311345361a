/** Reads over a connection that behaves in ways a real server seldom does: a server of a few lines says what is asked of it. */
import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, expect, onTestFinished, test } from "vitest";
import { redisOnlineStore } from "../../../sdk/storage/online_redis.ts";
import type { OnlineStore } from "../../../sdk/storage/online_store.ts";
import { batchOf, keyOf, read } from "../../support/online_rows.ts";
import { startRedis } from "../../support/redis.ts";
import { type Answer, ask, echo, SmallRedis } from "../../support/small_redis.ts";

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function open(answer: Answer, timeoutMs = 5_000): Promise<{ server: SmallRedis; store: OnlineStore }> {
  const server = new SmallRedis();
  server.answer = answer;
  const store = redisOnlineStore({ url: await server.listen(), workspace: "w", timeoutMs });
  closers.push(() => store.close(), () => server.close());
  return { server, store };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("many commands in flight, answered byte by byte, each get their own values", async () => {
  const { store } = await open((words, socket) => {
    if (words[0] === "PING") return echo(words);
    for (const byte of Buffer.from(echo(words), "latin1")) socket.write(Buffer.of(byte));
    return undefined;
  });
  const asked: Promise<boolean>[] = [];
  for (let i = 0; i < 40; i++) {
    asked.push(ask(store, i, i + 1_000, i + 1_000_000));
    await turn();
  }
  expect(await Promise.all(asked)).toEqual(Array(40).fill(true));
});

test("commands whose connection is lost are sent once more", async () => {
  const { server, store } = await open((words, socket, connection) => {
    if (words[0] === "MGET" && connection === 1 && socket.destroy()) return undefined;
    return echo(words);
  });
  expect(await Promise.all([ask(store, 1), turn().then(() => ask(store, 2, 3))])).toEqual([true, true]);
  expect(server.connections).toBe(2);
});

test("a command whose connection is lost twice fails", async () => {
  const { server, store } = await open((words, socket) => {
    if (words[0] === "MGET" && socket.destroy()) return undefined;
    return echo(words);
  });
  const message = expect.stringMatching(/^Cannot use Redis at .*: the connection was closed; start it/);
  await expect(ask(store, 1)).rejects.toMatchObject({ code: "UNAVAILABLE", message });
  expect(server.connections).toBe(2);
  server.answer = echo;
  expect(await ask(store, 1)).toBe(true);
});

test("a command that is not answered in time fails alone: later ones are asked of a new connection", async () => {
  let asked = 0;
  const { server, store } = await open((words, _, connection) => {
    if (words[0] === "PING" || connection > 1) return echo(words);
    asked++;
    return undefined;
  }, 1_000);
  const since = performance.now();
  const first = ask(store, 1).then(() => "answered", (error) => error.message);
  // The second has time left when that of the first is over.
  await expect.poll(() => asked > 0 && performance.now() - since > 200, { interval: 10 }).toBe(true);
  const second = ask(store, 2);
  expect(await first).toMatch(/^Cannot use Redis at .*: no answer within 1000 ms/);
  expect(await second).toBe(true);
  expect(server.connections).toBe(2);
});

test("waits for a server that reads its disk", async () => {
  let pings = 0;
  const loading = "-LOADING Redis is loading the dataset in memory\r\n";
  const { store } = await open((words) => words[0] === "PING" && ++pings < 3 ? loading : echo(words));
  expect(await ask(store, 1)).toBe(true);
  expect(pings).toBe(3);
});

test.each([
  ["NOAUTH Authentication required.", "INVALID_CONFIG", "correct the user and password in the url"],
  ["ERR max number of clients reached", "UNAVAILABLE", "raise its maxclients"],
])("a server that takes no commands (%s) is not asked, and says why", async (words, code, text) => {
  let isOpen = false;
  const asked: (string | undefined)[] = [];
  const { store } = await open((command, socket) => {
    if (isOpen) return echo(command);
    asked.push(command[0]);
    socket.end(`-${words}\r\n`, "latin1");
    return undefined;
  });
  const all = await Promise.allSettled(Array.from({ length: 50 }, (_, i) => ask(store, i)));
  for (const each of all) {
    expect(each).toMatchObject({ status: "rejected", reason: { code, message: expect.stringContaining(text) } });
  }
  expect(new Set(asked)).toEqual(new Set(["PING"]));
  isOpen = true;
  await expect.poll(() => ask(store, 1).catch(() => false)).toBe(true);
});

test("a connection whose first words are swallowed is given up soon, and the next one is used", async () => {
  const { server, store } = await open((words, _, connection) => connection === 1 ? undefined : echo(words));
  const message = expect.stringMatching(/^Cannot use Redis at .*: no answer within 1500 ms; start it/);
  await expect(ask(store, 1)).rejects.toMatchObject({ code: "UNAVAILABLE", message });
  expect(await ask(store, 1)).toBe(true);
  expect(server.connections).toBe(2);
});

test("a server that takes no connections is given up soon, and asked again", async () => {
  const redis = await startRedis({ config: { "tcp-backlog": "1" } });
  onTestFinished(() => redis.stop());
  const store = redisOnlineStore({ url: redis.url, workspace: "w" });
  onTestFinished(() => store.close());
  await store.load("a", batchOf([[1, 1, 1, 7]]));
  process.kill(redis.pid, "SIGSTOP");
  onTestFinished(() => void process.kill(redis.pid, "SIGCONT"));
  // The system itself connects so many; from then on it drops what comes.
  const waiting = [connect(redis.port, "127.0.0.1"), connect(redis.port, "127.0.0.1")];
  onTestFinished(() => waiting.forEach((socket) => socket.destroy()));
  await Promise.all(waiting.map((socket) => once(socket, "connect")));
  const message = expect.stringMatching(/^Cannot use Redis at .*: no answer within 1500 ms; start it/);
  await expect(read(store, "a", [1])).rejects.toMatchObject({ code: "UNAVAILABLE", message });
  process.kill(redis.pid, "SIGCONT");
  await expect.poll(() => read(store, "a", [1]).catch(() => undefined)).toEqual([7]);
});

test("a process that was busy while it connected looks at what came before it gives up", async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const store = redisOnlineStore({ url: redis.url, workspace: "w" });
  onTestFinished(() => store.close());
  await store.load("a", batchOf([[1, 1, 1, 7]]));
  const asked = read(store, "a", [1]);
  await turn();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_600);
  expect(await asked).toEqual([7]);
});

test("who may not ping may read", async () => {
  const { store } = await open((words) =>
    words[0] === "PING" ? "-NOPERM this user has no permissions to run the 'ping' command\r\n" : echo(words)
  );
  expect(await ask(store, 1)).toBe(true);
});

test("a deadline says what did not answer", async () => {
  const { store } = await open((words) => words[0] === "PING" ? echo(words) : undefined);
  const controller = new AbortController();
  const asked = store.getMany(["c"], [keyOf(1)], controller.signal);
  controller.abort(new DOMException("late", "TimeoutError"));
  await expect(asked).rejects.toMatchObject({
    code: "TIMEOUT",
    message: expect.stringMatching(/the deadline passed before Redis at redis:.* had answered; see whether it hangs/),
  });
});

test("errors of the server are those of one command, in its words", async () => {
  const answers: Record<string, readonly [string, string]> = {
    "LOADING Redis is loading the dataset in memory": ["UNAVAILABLE", "LOADING Redis is loading"],
    "OOM command not allowed when used memory > 'maxmemory'.": ["EXHAUSTED", "it is out of memory"],
    "WRONGTYPE Operation against a key": ["UNAVAILABLE", "WRONGTYPE Operation"],
    "NOAUTH Authentication required.": ["INVALID_CONFIG", "it refuses the credentials (NOAUTH"],
    "NOPERM this user has no permissions": ["INVALID_CONFIG", "it refuses the credentials (NOPERM"],
    "ERR Protocol error: unauthenticated multibulk length": ["INVALID_CONFIG", "it refuses the credentials (ERR"],
    "CROSSSLOT Keys in request don't hash to the same slot": ["INVALID_CONFIG", "redis-cluster://"],
  };
  for (const [words, [code, text]] of Object.entries(answers)) {
    let asked = 0;
    const { server, store } = await open((command) =>
      command[0] === "MGET" && asked++ === 0 ? `-${words}\r\n` : echo(command)
    );
    const failing = ask(store, 1);
    await turn();
    const other = ask(store, 2);
    await expect(failing).rejects.toMatchObject({ code, message: expect.stringContaining(text) });
    expect([await other, await ask(store, 3), server.connections]).toEqual([true, true, 1]);
  }
});

test.each([
  ["too few values", "*1\r\n$1\r\na\r\n", "it answers 1 values to 2 keys"],
  ["too many values", "*3\r\n$-1\r\n$-1\r\n$-1\r\n", "it answers 3 values to 2 keys"],
  ["what is no reply", "?\r\n", 'it answers what Redis does not: "?\\\\r\\\\n"'],
  ["more than was asked", "*2\r\n$-1\r\n$-1\r\n*1\r\n$-1\r\n", undefined],
])("a connection that gives %s is given up, and the next one is used", async (_, bytes, why) => {
  const { server, store } = await open((words, _, connection) =>
    words[0] === "MGET" && connection === 1 ? bytes : echo(words)
  );
  const asked = store.getMany(["c", "c"], [keyOf(1), keyOf(2)]);
  if (why === undefined) expect(await asked).toEqual([undefined, undefined]);
  else {await expect(asked).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining(why.replaceAll("\\\\", "\\")),
    });}
  await expect.poll(() => ask(store, 5, 6)).toBe(true);
  expect(server.connections).toBe(2);
});

test("a store that is closed lets reads go that wait", async () => {
  const { store } = await open((words) => words[0] === "PING" ? echo(words) : undefined);
  const waiting = ask(store, 1);
  const connecting = ask(store, 2);
  await turn();
  await store.close();
  const closed = { code: "UNAVAILABLE", message: expect.stringContaining("it was closed") };
  await expect(waiting).rejects.toMatchObject(closed);
  await expect(connecting).rejects.toMatchObject(closed);
  await expect(ask(store, 3)).rejects.toMatchObject(closed);
});

test("a server that cuts its connections again and again answers every read", async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const store = redisOnlineStore({ url: redis.url, workspace: "w" });
  onTestFinished(() => store.close());
  await store.load("a", batchOf([[1, 1, 1, 7]]));
  for (let i = 0; i < 20; i++) {
    expect(await read(store, "a", [1])).toEqual([7]);
    // The store may or may not have heard of it when it asks next.
    await redis.command("CLIENT", "KILL", "TYPE", "normal");
  }
});

test("a password that the server does not ask for does no harm", async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const store = redisOnlineStore({ url: redis.url.replace("//", "//:secret@"), workspace: "w" });
  onTestFinished(() => store.close());
  await store.load("a", batchOf([[1, 1, 1, 7]]));
  expect(await read(store, "a", [1])).toEqual([7]);
});
