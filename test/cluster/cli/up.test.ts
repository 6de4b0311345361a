import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { askAmount, materializeDay, Project, urlIn } from "./command.ts";

async function open(env: Record<string, string> = {}): Promise<Project> {
  const project = await Project.open(env);
  onTestFinished(() => project.close());
  return project;
}

describe("varve up", () => {
  it("serves what another process applies, refuses a second one, and ends cleanly", async () => {
    const project = await open();
    const store = join(project.folder, ".varve");
    await mkdir(store);
    // As a process left it that was killed; numbers are used again, so this one "runs".
    await writeFile(join(store, "up.pid"), `${process.pid} 00000000-0000-0000-0000-000000000000 1`);
    const up = project.start("up");
    const url = urlIn(await up.line(/^varve is up at /));
    expect((await fetch(`${url}/ready`)).status).toBe(503);
    const [second, applied] = await Promise.all([project.run("up"), project.run("apply", "definitions.ts")]);
    expect(second).toMatchObject({
      code: 1,
      out: "",
      err: expect.stringMatching(/^Cannot start varve up on \S+: process \d+ already runs it; stop that one first\n$/),
    });
    expect(second.err).toContain(String(up.child.pid));
    expect(applied.code).toBe(0);
    await expect.poll(() => askAmount(url)).toEqual({ status: 200, features: [4] });
    expect((await fetch(`${url}/ready`)).status).toBe(200);
    // Nobody else computes this one: the command only commits it.
    await project.define(10);
    expect((await project.run("apply", "definitions.ts", "--no-wait")).code).toBe(0);
    await expect.poll(() => askAmount(url)).toEqual({ status: 200, features: [40] });
    // What changed in the source later comes in by hand.
    const trips = join(project.folder, "trips.csv");
    await writeFile(trips, (await readFile(trips, "utf8")).replace("2001-01-04T00:00:00Z,4", "2001-01-04T00:00:00Z,6"));
    expect(await materializeDay(url, "2001-01-04")).toEqual({
      status: 200,
      body: {
        status: "done",
        feature_views: ["driver_amounts"],
        versions: [{ name: "driver_amounts", version: 2, slices: 1, rows: 1, online_rows: 1 }],
      },
    });
    await expect.poll(() => askAmount(url)).toEqual({ status: 200, features: [60] });
    expect((await up.stop()).code).toBe(0);
    expect((await readdir(store)).filter((name) => name.startsWith("up.pid"))).toEqual([]);
    expect(await readdir(join(store, "scratch", "parts")).catch(() => [])).toEqual([]);
    expect(await project.leftovers()).toEqual([]);
  });

  it("gives the folder back when it cannot start", async () => {
    const project = await open();
    const first = project.start("up");
    const port = new URL(urlIn(await first.line(/^varve is up at /))).port;
    const other = await open();
    // What the command line says is above the environment.
    const failed = await other.run("up", "--port", port, "--host", "localhost");
    expect(failed).toMatchObject({ code: 1, err: expect.stringContaining(`Cannot listen on localhost:${port}`) });
    expect(await other.run("up", "--port", "http")).toMatchObject({
      code: 1,
      err: expect.stringContaining("--port: must be a number"),
    });
    expect(await readdir(join(other.folder, ".varve"))).not.toContain("up.pid");
    // One that was killed outright is not in the way.
    await first.stop("SIGKILL");
    const again = project.start("up");
    await again.line(/^varve is up at /);
    expect((await again.stop("SIGINT")).code).toBe(0);
  });
});

describe("varve apply", () => {
  it("gives up cleanly when it is interrupted, and goes on the next time", async () => {
    const project = await open();
    // A slice a minute: long enough to be in the middle of it.
    await project.define(1);
    const text = await readFile(join(project.folder, "definitions.ts"), "utf8");
    await writeFile(join(project.folder, "definitions.ts"), text.replace('"1d"', '"1m"'));
    const applying = project.start("apply", "definitions.ts");
    await applying.line(/^driver_amounts +0%/);
    const interrupted = await applying.stop("SIGINT");
    expect(interrupted.code).toBe(1);
    expect(interrupted.err).toMatch(/\nInterrupted: what is done is kept, and the same command goes on from there\n$/);
    await writeFile(join(project.folder, "definitions.ts"), text);
    expect((await project.run("apply", "definitions.ts")).code).toBe(0);
    expect((await project.run("status")).out).toMatch(/serving +5\/5/);
  });
});

describe("varve serve", () => {
  it("fails no request when it is told to end under load", async () => {
    const project = await open();
    expect((await project.run("apply", "definitions.ts")).code).toBe(0);
    const serve = project.start("serve");
    const url = urlIn(await serve.line(/^varve serves /));
    const clients = Array.from({ length: 8 }, () => load(url));
    await Promise.all(clients.map((client) => client.warm));
    const ended = serve.stop();
    const results = await Promise.all(clients.map((client) => client.done));
    expect(results.flatMap(({ failures }) => failures)).toEqual([]);
    expect(results.every(({ answers }) => answers >= 20)).toBe(true);
    const { code, err } = await ended;
    expect(code).toBe(0);
    expect(err).toMatch(/"signal":"SIGTERM"/);
    expect(await project.leftovers()).toEqual([]);
  });
});

interface Load {
  /** After a few answers. */
  readonly warm: Promise<void>;
  /** When the server has told the client to go. */
  readonly done: Promise<{ answers: number; failures: unknown[] }>;
}

/** Asks again and again on one kept-alive connection, until the server says that it closes it. */
function load(url: string): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const payload = JSON.stringify({ params: { featureServiceName: "model", joinKeyMap: { driver: "x" } } });
  let warmed = () => {};
  const warm = new Promise<void>((resolve) => warmed = resolve);
  const run = async () => {
    const failures: unknown[] = [];
    let answers = 0;
    for (;;) {
      const { status, last } = await ask(url, agent, payload).catch((error: unknown) => ({
        status: error,
        last: true,
      }));
      if (status === 200) answers++;
      else failures.push(status);
      if (answers === 20 || last) warmed();
      if (last) break;
    }
    agent.destroy();
    return { answers, failures };
  };
  return { warm, done: run() };
}

function ask(url: string, agent: Agent, payload: string): Promise<{ status: unknown; last: boolean }> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const asked = request(
      `${url}/api/v1/feature-service/get-features`,
      { agent, method: "POST", headers },
      (answer) => {
        answer.resume().once("error", reject).once(
          "end",
          () => resolve({ status: answer.statusCode, last: answer.headers.connection === "close" }),
        );
      },
    );
    asked.once("error", reject).end(payload);
  });
}
