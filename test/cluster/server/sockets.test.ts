/** A server on a real socket, with clients that misbehave and a store that hangs. */
import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import type { ServerConfig } from "../../../cluster/config.ts";
import { ServerMetrics } from "../../../cluster/server/metrics.ts";
import { startServer } from "../../../cluster/server/server.ts";
import { startRedis } from "../../support/redis.ts";
import { clock, ServedStore, serverConfig, url } from "./served_store.ts";

const stores: ServedStore[] = [];
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});

const payload = JSON.stringify({
  params: { featureServiceName: "small", joinKeyMap: { user: -1, active: false } },
});

async function listen(options: ConstructorParameters<typeof ServedStore>[1], config: Partial<ServerConfig>) {
  const store = await ServedStore.open(options);
  stores.push(store);
  await store.publish();
  const metrics = new ServerMetrics({ version: "1", workspace: "default" });
  const server = await startServer({
    serving: await store.serving({ observer: metrics }),
    workspace: "default",
    clock,
    config: { ...serverConfig, ...config },
    logger: store.logger,
    metrics,
  });
  onTestFinished(() => server.close());
  return { ...server, port: Number(new URL(server.url).port), metrics };
}

interface Answered {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

function post(port: number, agent: Agent): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    request({ port, host: "127.0.0.1", path: url, method: "POST", agent, headers }, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => body += chunk);
      answer.once("end", () => resolve({ status: answer.statusCode, headers: answer.headers, body }));
    }).once("error", reject).end(payload);
  });
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return socket;
}

async function textUntilClosed(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk: unknown) => text += String(chunk));
  await once(socket, "close");
  return text;
}

describe("a server whose Redis hangs", () => {
  it("answers 504 by the deadline and sheds what is too much; life and metrics are told, and all is well afterwards", async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const { port, metrics } = await listen({ redis: redis.url }, { requestTimeoutMs: 3_000, maxInFlight: 8 });
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    expect((await post(port, agent)).status).toBe(200);
    process.kill(redis.pid, "SIGSTOP");
    try {
      const first = Array.from({ length: 8 }, () => post(port, agent));
      await expect.poll(async () => (await metrics.text()).text).toMatch(/^varve_requests_in_flight 8$/m);
      const refused = await Promise.all(Array.from({ length: 20 }, () => post(port, agent)));
      expect(refused.map(({ status }) => status)).toEqual(Array(20).fill(503));
      expect(refused[0]).toMatchObject({
        headers: { "retry-after": "1" },
        body: expect.stringMatching(/MAX_IN_FLIGHT/),
      });
      expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200);
      expect(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).toMatch(
        /^varve_shed_total\{reason="in_flight"\} 20$/m,
      );
      for (const late of await Promise.all(first)) {
        expect(late).toMatchObject({ status: 504, body: expect.stringContaining('"code":"TIMEOUT"') });
      }
    } finally {
      process.kill(redis.pid, "SIGCONT");
    }
    await expect.poll(async () => (await post(port, agent)).status).toBe(200);
    expect((await metrics.text()).text).toMatch(/^varve_requests_in_flight 0$/m);
  });
});

describe("a server whose event loop is held up", () => {
  it("sheds load for a moment, and answers again", async () => {
    const { port } = await listen({}, { maxLoopLagMs: 100 });
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const heldUp = async () => {
      const until = performance.now() + 400;
      while (performance.now() < until);
      return await post(port, agent);
    };
    // The moment may be over before the request is there, on a busy computer.
    await expect.poll(heldUp).toMatchObject({
      status: 503,
      headers: { "retry-after": "1" },
      body: expect.stringMatching(/its event loop is \d+ ms late/),
    });
    await expect.poll(async () => (await post(port, agent)).status).toBe(200);
  });
});

describe("a client that", () => {
  it.each([
    ["names no host", `GET /health HTTP/1.1\r\nconnection: close\r\n\r\n`, 400, "it has no host header"],
    ["expects the unknown", `GET /health HTTP/1.1\r\nhost: localhost\r\nexpect: tea\r\n\r\n`, 417, '"tea"'],
  ])("%s is told so in JSON", async (_, request, status, words) => {
    const { port } = await listen({}, {});
    const socket = await open(port);
    socket.write(request);
    const text = await textUntilClosed(socket);
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(JSON.parse(text.slice(text.indexOf("\r\n\r\n")))).toMatchObject({
      code: "INVALID_REQUEST",
      message: expect.stringContaining(words),
    });
  });

  const limits = { clientTimeoutMs: 300 };

  it("sends a byte and waits is answered 408 and let go", async () => {
    const { port } = await listen({}, limits);
    for (
      const start of ["G", "GET /health HTTP/1.1\r\nhost: x\r\nx-slow: ", `POST ${url} HTTP/1.1\r\nhost: localhost\r\n`]
    ) {
      const socket = await open(port);
      socket.write(start);
      expect(await textUntilClosed(socket)).toMatch(/^HTTP\/1.1 408 Request Timeout\r\n[^]*"code":"TIMEOUT"/);
    }
  });

  it("trickles its headers or its body is let go all the same", async () => {
    const { port } = await listen({}, limits);
    const head = `POST ${url} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n`;
    for (const start of [head, `${head}content-length: 1000\r\n\r\n{"params":`]) {
      const socket = await open(port);
      socket.write(start);
      const trickle = setInterval(() => socket.write(start === head ? "x-a: b\r\n" : " "), 50);
      try {
        expect(await textUntilClosed(socket)).toMatch(/^(HTTP\/1.1 408 |$)/);
      } finally {
        clearInterval(trickle);
      }
    }
  });

  it("sends a body in pieces is answered, and told when it is too large", async () => {
    const { port } = await listen({}, { ...limits, bodyLimitBytes: 200 });
    const head =
      `POST ${url} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n`;
    const send = async (body: Buffer) => {
      const socket = await open(port);
      socket.write(head);
      for (const byte of body) {
        socket.write("1\r\n");
        socket.write(Buffer.of(byte));
        socket.write("\r\n");
      }
      socket.write("0\r\n\r\n");
      return await textUntilClosed(socket);
    };
    expect(await send(Buffer.from(payload))).toMatch(/^HTTP\/1.1 200 /);
    // A letter of two bytes is cut in two.
    expect(await send(Buffer.from('{"params":{"featureServiceName":"\u00e4"}}'))).toContain('service \\"\u00e4\\"');
    expect(await send(Buffer.from(`{"params":"${"x".repeat(200)}"}`))).toMatch(/^HTTP\/1.1 413 [^]*"code":"TOO_LARGE"/);
  });

  it("looks for the answer only when all is sent is told of the limit; one that announces far too much is told at once", async () => {
    const { url: address, port } = await listen({}, { bodyLimitBytes: 1_000_000 });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(address + url, { method: "POST", headers, body: " ".repeat(7_500_000) });
    expect(answer.status).toBe(413);
    expect(await answer.json()).toMatchObject({
      code: "TOO_LARGE",
      message: expect.stringMatching(/BODY_LIMIT_BYTES/),
    });
    const socket = await open(port);
    socket.write(`POST ${url} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n`);
    socket.write("content-length: 9000000\r\n\r\n");
    expect(await textUntilClosed(socket)).toMatch(/^HTTP\/1.1 413 /);
  });

  it("takes no answers is let go", async () => {
    const { port, metrics } = await listen({}, limits);
    const socket = await open(port);
    socket.pause();
    // More than the system's buffers hold.
    for (let i = 0; i < 2_000; i++) socket.write("GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n");
    const connections = async () => /^varve_connections (\d+)$/m.exec((await metrics.text()).text)![1];
    await expect.poll(connections).toBe("1");
    await expect.poll(connections).toBe("0");
  });

  it("opens more connections than there may be does not take them from others for ever", async () => {
    const { port } = await listen({}, { ...limits, maxConnections: 5 });
    const greedy = await Promise.all(Array.from({ length: 5 }, () => open(port)));
    const gone = greedy.map((socket) => once(socket.resume(), "close"));
    for (const socket of greedy) socket.write("G");
    const one = await open(port).catch(() => undefined);
    if (one) await textUntilClosed(one);
    await Promise.all(gone);
    const agent = new Agent();
    await expect.poll(() => post(port, agent).then(({ status }) => status, () => 0)).toBe(200);
  });

  it("goes away while it is answered does no harm, and is not counted for ever", async () => {
    const { port, metrics } = await listen({}, {});
    for (let i = 0; i < 50; i++) {
      const socket = await open(port);
      socket.write(`POST ${url} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: `);
      socket.write(`${payload.length}\r\n\r\n${i % 2 === 0 ? payload : payload.slice(0, 20)}`);
      setImmediate(() => socket.destroy());
    }
    await expect.poll(async () => (await metrics.text()).text).toMatch(/^varve_connections 0$/m);
    expect((await metrics.text()).text).toMatch(/^varve_requests_in_flight 0$/m);
    const agent = new Agent();
    expect((await post(port, agent)).status).toBe(200);
  });
});
