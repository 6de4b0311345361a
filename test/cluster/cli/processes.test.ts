/** `varve serve --processes`: under load, while processes die and end. */
import { Agent, request } from "node:http";
import { describe, expect, it, onTestFinished } from "vitest";
import { startRedis } from "../../support/redis.ts";
import { Project, urlIn } from "./command.ts";

interface Answer {
  readonly status: number;
  /** The server says that it closes the connection. */
  readonly last: boolean;
}

const payload = JSON.stringify({ params: { featureServiceName: "model", joinKeyMap: { driver: "x" } } });

function ask(url: string, agent: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(`${url}/api/v1/feature-service/get-features`, {
      agent,
      method: "POST",
      headers: { "content-type": "application/json" },
    }, (answer) => {
      answer.resume().once("error", reject).once(
        "end",
        () => resolve({ status: answer.statusCode!, last: answer.headers.connection === "close" }),
      );
    });
    asked.once("error", (error) => reject(Object.assign(error, { isFirst: !asked.reusedSocket }))).end(payload);
  });
}

/** Asks again and again, each on a connection of its own, and takes a new one when it is told to; until `stop()`. */
class Clients {
  answers = 0;
  /** Requests without an answer, with what happened. */
  readonly failures: string[] = [];
  /** From now on whoever is told to go, or refused a connection, stays away: there is no other server to go to. */
  ending = false;
  #stopped = false;
  readonly #done: Promise<unknown>;

  constructor(url: string, count: number) {
    this.#done = Promise.all(Array.from({ length: count }, () => this.#run(url)));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  /** When every client has been refused or told to go. */
  get done(): Promise<unknown> {
    return this.#done;
  }

  async #run(url: string): Promise<void> {
    let agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!this.#stopped) {
      try {
        const { status, last } = await ask(url, agent);
        if (status === 200) this.answers++;
        else this.failures.push(String(status));
        if (!last) continue;
        if (this.ending) break;
      } catch (error) {
        const { code = String(error), isFirst } = error as NodeJS.ErrnoException & { readonly isFirst?: boolean };
        // Or it still waited to be taken in when nobody listened any more: it was never heard.
        if (this.ending && (code === "ECONNREFUSED" || (code === "ECONNRESET" && isFirst))) break;
        this.failures.push(code);
      }
      agent.destroy();
      agent = new Agent({ keepAlive: true, maxSockets: 1 });
    }
    agent.destroy();
  }
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))].map((match) =>
    Number(match[1])
  );
  return values.reduce((sum, value) => sum + value, 0);
}

/** The processes of the log's lines, in order of appearance. */
const pids = (log: string) => [
  ...new Set([...log.matchAll(/"pid":(\d+),"url":"[^"]+","msg":"listening"/g)].map((match) => Number(match[1]))),
];

describe.each(["LMDB", "Redis"])("varve serve --processes on %s", (store) => {
  it("loses no request when a process ends or all do, replaces those that die, and counts together", async () => {
    const env: Record<string, string> = {};
    if (store === "Redis") {
      const redis = await startRedis({ appendonly: true });
      onTestFinished(() => redis.stop());
      env["VARVE_REDIS"] = redis.url;
    }
    const project = await Project.open(env);
    onTestFinished(() => project.close());
    const worker = store === "Redis" ? project.start("worker") : undefined;
    expect((await project.run("apply", "definitions.ts")).code).toBe(0);
    await worker?.stop();
    const serve = project.start("serve", "--processes", "2");
    let log = "";
    serve.child.stderr!.on("data", (chunk: unknown) => log += String(chunk));
    const line = await serve.line(/^varve serves /);
    expect(line).toMatch(/\(2 processes; authentication is off: /);
    const url = urlIn(line);
    await expect.poll(() => pids(log).length).toBe(2);
    expect((await fetch(`${url}/ready`)).status).toBe(200);

    const clients = new Clients(url, 6);
    await expect.poll(() => clients.answers).toBeGreaterThan(100);
    // One ends as it is told, and another takes its place.
    process.kill(pids(log)[0]!, "SIGTERM");
    await expect.poll(() => pids(log).length).toBe(3);
    const before = clients.answers;
    await expect.poll(() => clients.answers).toBeGreaterThan(before + 100);
    expect(clients.failures).toEqual([]);

    // One is killed: only what it was answering is lost.
    const counted = await metric(url, "varve_request_duration_seconds_count");
    expect(counted).toBeGreaterThan(100);
    process.kill(pids(log)[1]!, "SIGKILL");
    await expect.poll(() => pids(log).length).toBe(4);
    expect(clients.failures.length).toBeLessThanOrEqual(6);
    expect(clients.failures.filter((failure) => !["ECONNRESET", "ECONNREFUSED"].includes(failure))).toEqual([]);
    expect(log).toMatch(/"code":null,"signal":"SIGKILL".*a process died, another takes its place/);
    clients.failures.length = 0;
    const after = clients.answers;
    await expect.poll(() => clients.answers).toBeGreaterThan(after + 100);
    expect(await metric(url, "varve_request_duration_seconds_count")).toBeGreaterThanOrEqual(counted);
    expect(await metric(url, "varve_processes")).toBe(2);
    expect(await metric(url, "varve_process_restarts_total")).toBe(2);

    // All end: whoever was heard is answered.
    clients.ending = true;
    const ended = serve.stop();
    await clients.done;
    expect(clients.failures).toEqual([]);
    expect((await ended).code).toBe(0);
    for (const pid of pids(log)) expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
  }, 180_000);
});

describe("varve serve --processes", () => {
  it("says once why it cannot start, and starts nothing", async () => {
    const project = await Project.open();
    onTestFinished(() => project.close());
    const first = project.start("serve");
    const port = new URL(urlIn(await first.line(/^varve serves /))).port;
    project.env["VARVE_PORT"] = port;
    const second = await project.run("serve", "--processes", "3");
    expect(second).toMatchObject({ code: 1, out: "" });
    expect(second.err.match(/Cannot listen on/g)).toHaveLength(1);
    const wrong = await project.run("serve", "--processes", "many");
    expect(wrong).toMatchObject({ code: 1, err: expect.stringMatching(/: --processes: must be a number/) });
  });

  it("ends its processes when it is killed itself", async () => {
    const project = await Project.open({ VARVE_PROCESSES: "2" });
    onTestFinished(() => project.close());
    expect((await project.run("apply", "definitions.ts")).code).toBe(0);
    const serve = project.start("serve");
    let log = "";
    serve.child.stderr!.on("data", (chunk: unknown) => log += String(chunk));
    await serve.line(/^varve serves /);
    await expect.poll(() => pids(log).length).toBe(2);
    serve.child.kill("SIGKILL");
    const lives = (pid: number) => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    await expect.poll(() => pids(log).filter(lives)).toEqual([]);
  });
});
