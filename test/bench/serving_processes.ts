/** Processes that the benchmark of serving measures: each on the one core that is the servers', and what they use of it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";

/** The servers' core; the load and Redis have the other. */
const serverCore = "0";
export const loadCore = "1";

const root = new URL("../../", import.meta.url).pathname;

const children = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

/** A server, and what it has used. */
export class ServerProcess {
  readonly #child: ChildProcess;
  /** Where requests go. */
  readonly port: number;

  constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.port = Number(new URL(url).port);
    children.add(child);
  }

  /** CPU microseconds of all threads so far, also of the sandboxes of functions. */
  cpu(): number {
    return [this.#child.pid!, ...childrenOf(this.#child.pid!)].reduce((sum, pid) => sum + cpuOf(pid), 0);
  }

  /** Megabytes that lie in memory now. */
  rss(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)![1]) / 1_024;
  }

  async stop(): Promise<void> {
    children.delete(this.#child);
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await ended;
  }
}

function cpuOf(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  let nanoseconds = 0;
  for (const task of readdirSync(tasks)) {
    nanoseconds += Number(readFileSync(`${tasks}/${task}/schedstat`, "utf8").split(" ")[0]);
  }
  return nanoseconds / 1_000;
}

function childrenOf(parent: number): number[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      return Number(/^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1]) === parent;
    } catch {
      // It has ended meanwhile.
      return false;
    }
  });
}

/** `varve serve` as users run it; variables say over what. */
export async function startVarve(variables: Readonly<Record<string, string>>): Promise<ServerProcess> {
  const words = [...nodeOptions(), `${root}cluster/bin/varve.js`, "serve"];
  const child = spawn("taskset", ["-c", serverCore, process.execPath, ...words], {
    stdio: ["ignore", "pipe", "inherit"],
    // Others may hold the core for a while: that is no overload of the server's own.
    env: { ...process.env, VARVE_PORT: "0", VARVE_LOG_LEVEL: "warn", VARVE_MAX_LOOP_LAG_MS: "60000", ...variables },
  });
  for await (const line of createInterface({ input: child.stdout! })) {
    const url = /at (http:\S+)/.exec(line)?.[1];
    if (url !== undefined) return new ServerProcess(child, url);
  }
  throw new Error("Cannot start varve serve: see above");
}

/** A route written by hand: see serving_baseline.mjs. */
export async function startBaseline(kind: "get" | "hmget", redis: string): Promise<ServerProcess> {
  const words = [...nodeOptions(), `${root}test/bench/serving_baseline.mjs`, kind, redis];
  const child = spawn("taskset", ["-c", serverCore, process.execPath, ...words], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const [{ url }] = await once(child, "message") as [{ url: string }];
  return new ServerProcess(child, url);
}

/** For profiles: `BENCH_SERVER_OPTIONS="--cpu-prof"`. */
function nodeOptions(): string[] {
  return (process.env["BENCH_SERVER_OPTIONS"] ?? "").split(" ").filter(Boolean);
}
