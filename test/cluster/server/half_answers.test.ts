/** A store that answers half: a proxy before Redis cuts, holds or spoils its replies. */
import { once } from "node:events";
import { type AddressInfo, connect as connectSocket, createServer, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import type { FastifyInstance } from "../../../cluster/server/fastify.ts";
import { startRedis } from "../../support/redis.ts";
import { ServedStore, url } from "./served_store.ts";

/** What happens to replies from now on. */
type Fault = "none" | "cut" | "hold" | "spoil";

class Proxy {
  fault: Fault = "none";
  readonly #server = createServer((client) => this.#serve(client));
  readonly #port: number;
  readonly #sockets = new Set<Socket>();

  constructor(port: number) {
    this.#port = port;
  }

  async listen(): Promise<string> {
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(client: Socket): void {
    const redis = connectSocket(this.#port, "127.0.0.1");
    for (const socket of [client, redis]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        client.destroy();
        redis.destroy();
      });
    }
    let isHeld = false;
    client.pipe(redis);
    redis.on("data", (reply: Buffer) => {
      const half = reply.subarray(0, Math.ceil(reply.length / 2));
      switch (this.fault) {
        case "none":
          client.write(reply);
          break;
        case "cut":
          client.end(half);
          break;
        case "hold":
          if (!isHeld) client.write(half);
          isHeld = true;
          break;
        case "spoil":
          client.write(Buffer.from("?not a reply\r\n"));
      }
    });
  }
}

const params = {
  featureServiceName: "small",
  requestData: Array.from({ length: 50 }, () => ({ joinKeyMap: { user: "9007199254740993", active: true } })),
};
const whole = Array(50).fill({ features: ["Zoë", "9007199254740995"] });

async function ask(app: FastifyInstance) {
  const answer = await app.inject({ method: "POST", url: `${url}-batch`, payload: { params } });
  return { status: answer.statusCode, body: answer.json() as { result?: unknown; code?: string } };
}

describe("a server whose Redis", () => {
  it.each<[string, Fault]>([
    ["is cut off in the middle of a reply", "cut"],
    ["sends half a reply and no more", "hold"],
    ["sends what is no reply", "spoil"],
  ])("%s answers that it cannot, never half a vector, and goes on afterwards", async (_, fault) => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const proxy = new Proxy(redis.port);
    const store = await ServedStore.open({ redis: await proxy.listen() });
    onTestFinished(async () => {
      await store.close();
      await proxy.close();
    });
    await store.publish();
    const app = await store.app({ requestTimeoutMs: 1_500 });
    expect(await ask(app)).toEqual({ status: 200, body: { result: whole } });
    proxy.fault = fault;
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(app)));
    for (const { status, body } of answers) {
      // It is asked again as long as there is time.
      expect([status, body.code]).toBeOneOf([[503, "UNAVAILABLE"], [504, "TIMEOUT"]]);
    }
    proxy.fault = "none";
    await expect.poll(() => ask(app)).toEqual({ status: 200, body: { result: whole } });
  });
});
