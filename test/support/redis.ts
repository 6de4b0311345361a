/** Real Redis servers for tests: each in its own temporary folder, on a free port, and gone when its test process is. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "./ports.ts";

/** How a test's server is set up. */
export interface RedisServerOptions {
  /** A one-node cluster that serves all slots. */
  readonly cluster?: boolean;
  /** For example `8mb`. */
  readonly maxmemory?: string;
  /** Whether it survives `kill()` and `restart()`; false unless set. */
  readonly appendonly?: boolean;
  /** A value for LC_ALL, and where its compiled locale lies. */
  readonly locale?: { readonly name: string; readonly path?: string };
  /** Further settings, as in redis.conf. */
  readonly config?: Readonly<Record<string, string>>;
}

/** A running Redis. */
export interface RedisServer {
  readonly port: number;
  /** `redis://127.0.0.1:port`, or `redis-cluster://…` in cluster mode. */
  readonly url: string;
  /** The process, to pause or to watch. */
  readonly pid: number;
  /** One command on a connection of its own; gives the first line of the answer. */
  command(...words: string[]): Promise<string>;
  /** SIGKILL; the folder stays for `restart()`. */
  kill(): Promise<void>;
  /** Starts it again on the same port and folder. */
  restart(): Promise<void>;
  /** Kills it and removes its folder. */
  stop(): Promise<void>;
}

// The shell ends the server when its standard input closes, that is also when the test process is killed.
const guard =
  'redis-server "$@" </dev/null >/dev/null 2>&1 & echo $!; cat >/dev/null; kill -9 $! 2>/dev/null; wait $! 2>/dev/null';

/** Starts a server; call `stop()` in an after hook. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), "varve-redis-"));
  const [port, busPort] = await freePorts(2) as [number, number];
  const start = () => launch(port, busPort, folder, options);
  let running = await start();
  if (options.cluster) await formCluster(port);
  const server: RedisServer = {
    port,
    url: `${options.cluster ? "redis-cluster" : "redis"}://127.0.0.1:${port}`,
    get pid() {
      return running.pid;
    },
    command: (...words) => ask(port, words, options.config?.["requirepass"]),
    kill: () => running.kill(),
    async restart() {
      await running.kill();
      running = await start();
      if (options.cluster) await until(async () => (await ask(port, ["CLUSTER", "INFO"])).includes("cluster_state:ok"));
    },
    async stop() {
      await running.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return server;
}

async function launch(port: number, busPort: number, folder: string, options: RedisServerOptions) {
  const settings: Record<string, string> = {
    port: String(port),
    bind: "127.0.0.1",
    dir: folder,
    logfile: join(folder, "redis.log"),
    save: "",
    appendonly: options.appendonly ? "yes" : "no",
    "maxmemory-policy": "noeviction",
    ...(options.maxmemory && { maxmemory: options.maxmemory }),
    ...(options.cluster && {
      "cluster-enabled": "yes",
      "cluster-announce-ip": "127.0.0.1",
      "cluster-port": String(busPort),
      "cluster-config-file": "nodes.conf",
    }),
    ...options.config,
  };
  const words = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const environment = options.locale
    ? { ...process.env, LC_ALL: options.locale.name, ...(options.locale.path && { LOCPATH: options.locale.path }) }
    : process.env;
  const shell = spawn("sh", ["-c", guard, "sh", ...words], { stdio: ["pipe", "pipe", "inherit"], env: environment });
  const [line] = await once(shell.stdout, "data");
  const ended = once(shell, "exit");
  await until(async () => {
    if (shell.exitCode !== null) throw new Error(`Cannot start redis-server on port ${port}: see ${folder}/redis.log`);
    const answer = await ask(port, ["PING"], options.config?.["requirepass"]).catch(() => "");
    return answer === "+PONG";
  });
  // A server must not keep a finished test process alive.
  shell.unref();
  return {
    pid: Number(String(line)),
    async kill() {
      if (shell.exitCode !== null) return;
      shell.ref();
      shell.stdin.end();
      await ended;
    },
  };
}

async function formCluster(port: number): Promise<void> {
  await ask(port, ["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
  await until(async () => (await ask(port, ["CLUSTER", "INFO"])).includes("cluster_state:ok"));
}

/** Sends one command on a fresh connection; gives the raw answer's first chunk. */
async function ask(port: number, words: readonly string[], password?: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    if (password !== undefined) {
      socket.write(commandText(["AUTH", password]));
      await answerOf(socket);
    }
    socket.write(commandText(words));
    return await answerOf(socket);
  } finally {
    socket.destroy();
  }
}

async function answerOf(socket: Socket): Promise<string> {
  const closed = once(socket, "close").then(() => {
    throw new Error("Cannot ask redis-server: it closed the connection");
  });
  const [answer] = await Promise.race([once(socket, "data"), closed]);
  return String(answer).trim();
}

function commandText(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}

/** Asks again every few milliseconds: a server that starts has no event to wait for. */
async function until(isDone: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 3_000; i++) {
    if (await isDone()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("Cannot use redis-server: it was not ready within 30 s");
}
