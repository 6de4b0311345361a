/**
 * What API keys, limits and metrics cost: CPU of a server per request, with all of them, each alone and none, over sockets. The
 * servers are processes of their own that read 3 views × 10 features from LMDB; rounds are interleaved, medians are told.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectStore } from "../../sdk/connect.ts";
import { entity } from "../../sdk/define/entity.ts";
import { service } from "../../sdk/define/service.ts";
import { view } from "../../sdk/define/view.ts";
import { fromRows } from "../../sdk/frame/sources.ts";
import { openKeys } from "../../sdk/serving.ts";
import { ManualClock, toMicros } from "../../sdk/time.ts";

const requestsPerRound = 480;
const rounds = 150;
const connections = 16;
const variants = [[], ["keys"], ["metrics"], ["keys", "metrics"]] as const;

interface BenchResult {
  readonly name: string;
  readonly ratios: Record<string, number>;
  readonly rows: object[];
}

/** Measures. */
export async function run(): Promise<BenchResult> {
  const folder = await mkdtemp(join(tmpdir(), "varve-guard-"));
  const servers: Server[] = [];
  try {
    const key = await publish(folder);
    for (const parts of variants) servers.push(await Server.start(folder, parts, key));
    // The compiler of the server takes its time.
    for (let i = 0; i < 20; i++) for (const server of servers) await server.round();
    const costs = servers.map((): number[] => []);
    for (let round = 0; round < rounds; round++) {
      for (const [i, server] of servers.entries()) costs[i]!.push(await server.round());
    }
    const medians = costs.map(median);
    const ratio = (i: number) => median(costs[i]!.map((cost, round) => cost / costs[0]![round]!));
    return {
      name: "guard",
      ratios: { keys_vs_none: ratio(1), metrics_vs_none: ratio(2), keys_and_metrics_vs_none: ratio(3) },
      rows: variants.map((parts, i) => ({
        server: parts.join(" and ") || "neither keys nor metrics",
        cpu_us_per_request: medians[i],
        more_us: medians[i]! - medians[0]!,
      })),
    };
  } finally {
    for (const server of servers) await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Three views of ten features each, and a key that may read them. */
async function publish(folder: string): Promise<string> {
  const storage = join(folder, "store");
  const user = entity("user", { user: "int64" });
  const at = toMicros("2001-01-02T06:00Z");
  const views = ["a", "b", "c"].map((name) => {
    const names = Array.from({ length: 10 }, (_, i) => `${name}${i}`);
    return view(
      name,
      fromRows(
        Array.from({ length: 100 }, (_, u) => ({
          user: BigInt(u),
          at,
          ...Object.fromEntries(names.map((each, i) => [each, u + i / 7])),
        })),
        {
          schema: { user: "int64", at: "timestamp", ...Object.fromEntries(names.map((each) => [each, "float64"])) },
          eventTimestamp: "at",
        },
      ).by(user),
      { schedule: "1d", start: "2001-01-01", online: true },
    );
  });
  const store = await connectStore({ storage, clock: new ManualClock("2001-01-06"), threads: 1 });
  await (await store.plan([service("model", views)])).apply();
  await store.close();
  const keys = openKeys({ storage, author: "bench" });
  const { text } = await keys.ring.create({ name: "bench", workspaces: "all" });
  await keys.close();
  return text;
}

class Server {
  readonly #child: ChildProcess;
  readonly #port: number;
  #sockets: Socket[] = [];
  readonly #request: Buffer;
  #answerLength = 0;

  static async start(folder: string, parts: readonly string[], key: string): Promise<Server> {
    const file = new URL("guard_server.mjs", import.meta.url).pathname;
    const child = fork(file, [folder, ...parts]);
    const [{ url }] = await once(child, "message") as [{ url: string }];
    return new Server(child, Number(new URL(url).port), key);
  }

  constructor(child: ChildProcess, port: number, key: string) {
    this.#child = child;
    this.#port = port;
    const body = JSON.stringify({ params: { featureServiceName: "model", joinKeyMap: { user: "42" } } });
    this.#request = Buffer.from(
      "POST /api/v1/feature-service/get-features HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n" +
        `authorization: Tecton-key ${key}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
  }

  /** CPU microseconds per request. */
  async round(): Promise<number> {
    // Not before: a connection that asks nothing is cut.
    if (this.#sockets.length === 0) await this.#open();
    const before = await this.#cpu();
    await Promise.all(this.#sockets.map((socket) => this.#ask(socket, requestsPerRound / connections)));
    return (await this.#cpu() - before) / requestsPerRound;
  }

  async #open(): Promise<void> {
    this.#sockets = await Promise.all(Array.from({ length: connections }, async () => {
      const socket = connect(this.#port, "127.0.0.1");
      await once(socket, "connect");
      return socket;
    }));
    const [socket] = this.#sockets;
    socket!.write(this.#request);
    const [bytes] = await once(socket!, "data") as [Buffer];
    const text = bytes.toString();
    if (!text.startsWith("HTTP/1.1 200")) throw new Error(text);
    this.#answerLength = bytes.length;
  }

  /** One after the other on one connection; answers have one length. */
  #ask(socket: Socket, count: number): Promise<void> {
    return new Promise((resolve) => {
      let bytes = 0;
      let left = count;
      const onData = (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes < this.#answerLength) return;
        bytes = 0;
        if (--left > 0) socket.write(this.#request);
        else {
          socket.off("data", onData);
          resolve();
        }
      };
      socket.on("data", onData);
      socket.write(this.#request);
    });
  }

  async #cpu(): Promise<number> {
    this.#child.send("cpu");
    const [{ cpu }] = await once(this.#child, "message") as [{ cpu: NodeJS.CpuUsage }];
    return cpu.user + cpu.system;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}
