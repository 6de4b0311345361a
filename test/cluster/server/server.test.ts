import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect as connectSocket } from "node:net";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import type { ServerConfig } from "../../../cluster/config.ts";
import { startServer } from "../../../cluster/server/server.ts";
import type { Serving } from "../../../sdk/serving.ts";
import { startRedis } from "../../support/redis.ts";
import { clock, ServedStore, serverConfig, url } from "./served_store.ts";

const stores: ServedStore[] = [];
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});

async function open(options: ConstructorParameters<typeof ServedStore>[1] = {}): Promise<ServedStore> {
  const store = await ServedStore.open(options);
  stores.push(store);
  return store;
}

async function listen(store: ServedStore, serving: Serving, config: Partial<ServerConfig> = {}) {
  const server = await startServer({
    serving,
    workspace: "default",
    clock,
    config: { ...serverConfig, ...config },
    logger: store.logger,
  });
  onTestFinished(() => server.close());
  return server;
}

const params = { featureServiceName: "small", joinKeyMap: { user: -1, active: false } };
const payload = JSON.stringify({ params });

describe("/health and /ready", () => {
  it("tells why nothing can be answered yet, and when it can", async () => {
    const store = await open();
    const app = await store.app();
    const ready = async () => await app.inject({ url: "/ready" });
    expect((await app.inject({ url: "/health" })).json()).toEqual({ status: "ok" });
    const before = await ready();
    expect(before.statusCode).toBe(503);
    expect(before.json()).toEqual({
      ready: false,
      problems: ['workspace "default" is empty: publish a service'],
      degraded: [],
    });
    await store.publish();
    await expect.poll(async () => (await ready()).json()).toEqual({ ready: true, problems: [], degraded: [] });
    store.state.closing = true;
    const closing = await ready();
    expect([closing.statusCode, closing.json().problems, closing.headers["connection"]])
      .toEqual([503, ["shutting down"], "close"]);
  });
});

describe("a server whose Redis", () => {
  it("goes away answers 503 at once, says so in /ready, logs it once a second, and goes on afterwards", async () => {
    const redis = await startRedis({ appendonly: true });
    onTestFinished(() => redis.stop());
    const store = await open({ redis: redis.url });
    await store.publish();
    const app = await store.app();
    const ask = async () => await app.inject({ method: "POST", url, payload: { params } });
    expect((await ask()).statusCode).toBe(200);
    await redis.kill();
    const answers = await Promise.all(Array.from({ length: 20 }, ask));
    for (const answer of answers) {
      expect(answer.statusCode).toBe(503);
      expect(answer.headers["retry-after"]).toBe("1");
      expect(answer.json()).toMatchObject({
        code: "UNAVAILABLE",
        message: expect.stringContaining("Redis at redis://"),
      });
    }
    expect(store.logger.lines.length).toBeLessThan(20);
    const ready = await app.inject({ url: "/ready" });
    expect(ready.statusCode).toBe(503);
    expect(ready.json().problems[0]).toMatch(/Cannot use Redis/);
    await redis.restart();
    await expect.poll(async () => (await ask()).statusCode).toBe(200);
  });

  it("hangs gives up after the request's time, or the client's", async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const store = await open({ redis: redis.url });
    await store.publish();
    const app = await store.app({ requestTimeoutMs: 300 });
    const ask = async (more = {}) =>
      (await app.inject({ method: "POST", url, payload: { params: { ...params, ...more } } })).json();
    await ask();
    process.kill(redis.pid, "SIGSTOP");
    try {
      expect(await ask()).toMatchObject({ code: "TIMEOUT" });
      const metadataOptions = { includeServingStatus: true };
      const late = {
        result: { features: [null, null] },
        metadata: { features: Array(2).fill({ status: "TIME_OUT", reason: "TIME_OUT" }) },
      };
      expect(await ask({ requestOptions: { latencyBudgetMs: 5 }, metadataOptions })).toEqual(late);
      expect(await ask({ allowPartialResults: true, metadataOptions })).toEqual(late);
      expect(await ask({ featureServiceName: "none" })).toMatchObject({ code: "TIMEOUT" });
      const ready = await app.inject({ url: "/ready" });
      expect([ready.statusCode, ready.json().problems[0]]).toEqual([503, expect.stringMatching(/in time/)]);
    } finally {
      process.kill(redis.pid, "SIGCONT");
    }
  });
});

describe("startServer()", () => {
  it("refuses other addresses than loopback without authentication, and a port that is taken", async () => {
    const store = await open();
    const serving = await store.serving();
    for (const host of ["0.0.0.0", "::", "no.such.host.invalid", "127.0.0.1.example.com"]) {
      await expect(listen(store, serving, { host })).rejects.toThrow(
        /without authentication: others .* VARVE_AUTH=off/,
      );
    }
    const first = await listen(store, serving);
    const port = Number(new URL(first.url).port);
    await expect(listen(store, serving, { port })).rejects.toMatchObject({
      code: "CONFLICT",
      message: expect.stringContaining("VARVE_PORT"),
    });
  });

  it("answers what is in flight and what kept-alive clients still ask, then closes", async () => {
    const store = await open();
    await store.publish();
    const serving = await store.serving();
    let release = () => {};
    const held = new Promise<void>((resolve) => release = resolve);
    let asked = () => {};
    const inFlight = new Promise<void>((resolve) => asked = resolve);
    // The second request waits in the store until the server is closing.
    let count = 0;
    const slow: Serving = {
      ...serving,
      problems: serving.problems.bind(serving),
      close: serving.close.bind(serving),
      service: async (name) => {
        if (++count === 2) {
          asked();
          await held;
        }
        return await serving.service(name);
      },
    };
    const server = await listen(store, slow);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const other = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => {
      agent.destroy();
      other.destroy();
    });
    expect((await post(server.url, agent)).connection).toBe("keep-alive");
    const pending = post(server.url, other);
    await inFlight;
    const closed = server.close();
    // On the connection that was open before: told to go.
    expect(await post(server.url, agent)).toEqual({ status: 200, connection: "close" });
    release();
    expect(await pending).toEqual({ status: 200, connection: "close" });
    await closed;
    await expect(post(server.url, agent)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it("does not wait for clients that ask nothing, and answers what is not HTTP", async () => {
    const store = await open();
    const server = await listen(store, await store.serving());
    const port = Number(new URL(server.url).port);
    const talk = async (text: string) => {
      const socket = connectSocket(port, "127.0.0.1");
      await once(socket, "connect");
      socket.write(text);
      let answer = "";
      for await (const chunk of socket) answer += String(chunk);
      return answer;
    };
    const bad = await talk("NOT HTTP AT ALL\r\n\r\n");
    expect(bad).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/);
    expect(JSON.parse(bad.split("\r\n\r\n")[1]!)).toMatchObject({ code: "INVALID_REQUEST", details: {} });
    const large = await talk(`GET /health HTTP/1.1\r\nhost: x\r\nx-large: ${"x".repeat(40_000)}\r\n\r\n`);
    expect(large).toMatch(/^HTTP\/1.1 431 /);
    const silent = connectSocket(port, "127.0.0.1");
    await once(silent, "connect");
    const ended = once(silent, "close");
    await server.close();
    await ended;
  });
});

/** One request; its status and what the server says of the connection. */
function post(base: string, agent: Agent): Promise<{ status: number | undefined; connection: string | undefined }> {
  return new Promise((resolve, reject) => {
    const asked = request(`${base}${url}`, {
      agent,
      method: "POST",
      headers: { "content-type": "application/json" },
    }, (response) => {
      response.resume().once(
        "end",
        () => resolve({ status: response.statusCode, connection: response.headers.connection }),
      );
    });
    asked.once("error", reject).end(payload);
  });
}
