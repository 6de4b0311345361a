/** The `varve` command of the build, as people run it: in a folder of their own that has a small source and definitions. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const root = new URL("../../../", import.meta.url).pathname;
const bin = join(root, "cluster/bin/varve.js");

/** How a command ended. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A command that goes on until it is told to stop. */
export interface Started {
  readonly child: ChildProcess;
  /** The first line, of output or log, that matches; rejects when the process ends without one. */
  line(pattern: RegExp): Promise<string>;
  /** Sends a signal, SIGTERM unless told otherwise, and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<Ended>;
  readonly ended: Promise<Ended>;
}

/** A user's project folder. */
export class Project {
  readonly folder: string;
  readonly env: Record<string, string>;
  readonly #started: Started[] = [];

  static async open(env: Record<string, string> = {}): Promise<Project> {
    const folder = await mkdtemp(join(tmpdir(), "varve-cli-"));
    await mkdir(join(folder, "node_modules"));
    await mkdir(join(folder, "tmp"));
    await symlink(join(root, "sdk"), join(folder, "node_modules", "varve"));
    await writeFile(join(folder, "package.json"), '{ "type": "module" }');
    await writeFile(join(folder, "trips.csv"), trips);
    const project = new Project(folder, env);
    await project.define();
    return project;
  }

  constructor(folder: string, env: Record<string, string>) {
    this.folder = folder;
    const kept = Object.entries(process.env).filter(([name, value]) =>
      value !== undefined && !/^(VARVE_|VITEST|NODE_OPTIONS|AWS_)/.test(name)
    );
    this.env = {
      ...Object.fromEntries(kept) as Record<string, string>,
      TMPDIR: join(folder, "tmp"),
      VARVE_CLOCK: "2001-01-06",
      VARVE_AUTHOR: "tester",
      VARVE_PORT: "0",
      // Tests of keys say otherwise.
      VARVE_AUTH: "off",
      VARVE_THREADS: "1",
      VARVE_MEMORY_LIMIT: "256MB",
      // A computer that runs tests is busy: its servers do not refuse for that.
      VARVE_MAX_LOOP_LAG_MS: "600000",
      VARVE_REQUEST_TIMEOUT_MS: "20000",
      ...env,
    };
  }

  /** Writes definitions.ts; another factor is another definition of the data. */
  async define(factor = 1, file = "definitions.ts"): Promise<void> {
    await writeFile(join(this.folder, file), definitions(factor));
  }

  /** Runs a command to its end. */
  run(...args: string[]): Promise<Ended> {
    return this.start(...args).ended;
  }

  /** Runs it under a limit of the shell, such as `ulimit -f 64`. */
  runLimited(limit: string, ...args: string[]): Promise<Ended> {
    return this.#start("bash", ["-c", `${limit}; exec "$@"`, "bash", process.execPath, bin, ...args]).ended;
  }

  start(...args: string[]): Started {
    return this.#start(process.execPath, [bin, ...args]);
  }

  #start(command: string, args: string[]): Started {
    const child = spawn(command, args, { cwd: this.folder, env: this.env, stdio: ["ignore", "pipe", "pipe"] });
    const started = follow(child);
    this.#started.push(started);
    return started;
  }

  /** What processes left in the folder for temporary files. */
  async leftovers(): Promise<string[]> {
    // tsx keeps what it has compiled for the next time.
    return (await readdir(join(this.folder, "tmp"))).filter((name) => !name.startsWith("tsx-"));
  }

  async close(): Promise<void> {
    await Promise.all(this.#started.map((started) => started.stop("SIGKILL")));
    await rm(this.folder, { recursive: true, force: true });
  }
}

function follow(child: ChildProcess): Started {
  const texts = { out: "", err: "" };
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  for (const [name, stream] of [["out", child.stdout!], ["err", child.stderr!]] as const) {
    stream.on("data", (chunk: unknown) => texts[name] += String(chunk));
    createInterface({ input: stream }).on("line", (line) => {
      lines.push(line);
      for (const look of waiting) look();
    });
  }
  let isClosed = false;
  const ended = once(child, "close").then(([code]) => {
    isClosed = true;
    for (const look of waiting) look();
    return { code: code as number | null, ...texts };
  });
  const line = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        const found = lines.find((each) => pattern.test(each));
        if (found === undefined && !isClosed) return;
        waiting.delete(look);
        if (found !== undefined) resolve(found);
        else reject(new Error(`ended without a line like ${pattern}:\n${lines.join("\n")}`));
      };
      waiting.add(look);
      look();
    });
  const stop = (signal: NodeJS.Signals = "SIGTERM") => {
    if (!isClosed) child.kill(signal);
    return ended;
  };
  return { child, line, stop, ended };
}

const trips = `driver,at,amount
x,2001-01-01T06:00:00Z,1
x,2001-01-02T06:00:00Z,2
y,2001-01-02T07:00:00Z,3
x,2001-01-04T00:00:00Z,4
z,2001-01-03T00:00:00Z,5
`;

const definitions = (factor: number) => `
import { col, csv, entity, service, view } from "varve";
const driver = entity("driver", { driver: "string" });
const trips = csv(new URL("trips.csv", import.meta.url), {
  eventTimestamp: "at",
  schema: { driver: "string", at: "timestamp", amount: "float64" },
});
export const amounts = view(
  "driver_amounts",
  trips.derive({ amount: col("amount").times(${factor} as number) }).by(driver),
  { schedule: "1d", start: "2001-01-01", online: true },
);
export default service("model", [amounts]);
`;

/** Asks a server for a driver's amount. */
export async function askAmount(url: string, driver = "x"): Promise<{ status: number; features: unknown }> {
  const response = await fetch(`${url}/api/v1/feature-service/get-features`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ params: { featureServiceName: "model", joinKeyMap: { driver } } }),
  });
  const body = await response.json() as { result?: { features: unknown } };
  return { status: response.status, features: body.result?.features };
}

/** Has a server compute a day again, as Feast's clients do. */
export async function materializeDay(url: string, day: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${url}/materialize`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ start_ts: `${day}T00:00:00`, end_ts: `${day}T12:00:00`, feature_views: ["driver_amounts"] }),
  });
  return { status: response.status, body: await response.json() };
}

/** The address in what `up` and `serve` print. */
export const urlIn = (line: string): string => /http:\/\/[\d.:]+/.exec(line)![0];
