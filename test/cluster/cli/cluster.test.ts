import { randomUUID } from "node:crypto";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { connect } from "../../../cluster/connect.ts";
import { ManualClock } from "../../../sdk/time.ts";
import { startRedis } from "../../support/redis.ts";
import { startS3 } from "../../support/s3_server.ts";
import { askAmount, materializeDay, Project, urlIn } from "./command.ts";

const drivers = ["x", "y", "z"];

/** A project on a Redis and an S3 of its own. */
async function cluster() {
  const [redis, s3] = await Promise.all([startRedis({ appendonly: true }), startS3()]);
  const project = await Project.open({
    VARVE_REDIS: redis.url,
    VARVE_STORAGE: `s3://${s3.bucket}/${randomUUID()}`,
    VARVE_S3_ENDPOINT: s3.endpoint,
    VARVE_S3_ACCESS_KEY_ID: s3.accessKeyId,
    VARVE_S3_SECRET_ACCESS_KEY: s3.secretAccessKey,
  });
  project.env["VARVE_CACHE_FOLDER"] = join(project.folder, "cache");
  onTestFinished(async () => {
    await project.close();
    await Promise.all([redis.stop(), s3.close()]);
  });
  return { redis, s3, project };
}

describe("two workers, an S3 and a Redis", () => {
  it("finish what a third process applies although one of them is killed, and serve what is stored", async () => {
    const { project } = await cluster();
    // Enough slices for several jobs.
    const rows = Array.from(
      { length: 200 },
      (_, day) =>
        drivers.map((driver, i) => `${driver},${new Date(Date.UTC(2000, 5, 1 + day, 6)).toISOString()},${day + i / 4}`),
    );
    await writeFile(join(project.folder, "trips.csv"), `driver,at,amount\n${rows.flat().join("\n")}\n`);
    const text = definitions("2000-06-01");
    await writeFile(join(project.folder, "definitions.ts"), text);
    const workers = [project.start("worker"), project.start("worker")];
    await Promise.all(workers.map((worker) => worker.line(/^varve worker \S+ is up/)));
    const applying = project.run("apply", "definitions.ts");
    // Whoever starts a job first loses its life in the middle of it.
    const victim = await Promise.race(
      workers.map((worker) => worker.line(/"msg":"started materialize/).then(() => worker)),
    );
    await victim.stop("SIGKILL");
    const applied = await applying;
    expect(applied.err).toMatch(/219\/219 slices/);
    expect(applied.code).toBe(0);
    const status = await project.run("status");
    expect(status.out).toMatch(/driver_amounts +1 {2}serving +219\/219 +600 /);

    const serve = project.start("serve");
    const url = urlIn(await serve.line(/^varve serves /));
    const online = await Promise.all(drivers.map((driver) => askAmount(url, driver)));
    const store = await connect({
      storage: project.env["VARVE_STORAGE"]!,
      redis: project.env["VARVE_REDIS"]!,
      s3: {
        endpoint: project.env["VARVE_S3_ENDPOINT"]!,
        accessKeyId: project.env["VARVE_S3_ACCESS_KEY_ID"]!,
        secretAccessKey: project.env["VARVE_S3_SECRET_ACCESS_KEY"]!,
      },
      cacheFolder: join(project.folder, "cache-here"),
      clock: new ManualClock("2001-01-06"),
    });
    const spine = drivers.map((driver) => ({ driver, at: new Date("2001-01-06") }));
    const offline = await (await store.train("model", spine)).rows().finally(() => store.close());
    expect(offline.map((row) => row["amount"])).toEqual([199, 199.25, 199.5]);
    expect(online).toEqual(offline.map((row) => ({ status: 200, features: [row["amount"]] })));

    // The server has no engine: a worker computes it.
    expect(await materializeDay(url, "2000-06-05")).toMatchObject({
      status: 200,
      body: { status: "done", versions: [{ name: "driver_amounts", version: 1, slices: 1, rows: 3 }] },
    });

    const survivor = workers.find((worker) => worker !== victim)!;
    expect((await survivor.stop()).code).toBe(0);
    expect((await serve.stop()).code).toBe(0);
    expect(await project.leftovers()).toEqual([]);
    // At most what the killed one had begun.
    const parts = await readdir(join(project.folder, "cache", "parts")).catch(() => []);
    expect(parts.length).toBeLessThanOrEqual(1);
  });
});

describe("a worker", () => {
  it("is asked for by who waits for one, and then does the work", async () => {
    const { project } = await cluster();
    const applying = project.start("apply", "definitions.ts");
    await applying.line(/^driver_amounts +0\/5 slices: no worker is alive; start `varve worker`/);
    const worker = project.start("worker");
    expect((await applying.ended).code).toBe(0);
    expect((await worker.stop()).code).toBe(0);
  });

  it("ends when it is told to although its Redis is gone or silent", async () => {
    const { redis, project } = await cluster();
    const workers = [project.start("worker"), project.start("worker")];
    await Promise.all(workers.map((worker) => worker.line(/^varve worker \S+ is up/)));
    process.kill(redis.pid, "SIGSTOP");
    const [silent, gone] = workers.map((worker) => worker!);
    expect((await silent!.stop()).code).toBe(0);
    await redis.kill();
    expect((await gone!.stop()).code).toBe(0);
  });

  it("says within seconds that its Redis is down", async () => {
    const project = await Project.open({ VARVE_REDIS: "redis://127.0.0.1:1" });
    onTestFinished(() => project.close());
    const [worker, serve, apply] = await Promise.all([
      project.run("worker"),
      project.run("serve"),
      project.run("apply", "definitions.ts"),
    ]);
    for (const { code, err } of [worker, serve, apply]) {
      expect(code).toBe(1);
      expect(err).toMatch(/^Cannot [^\n]+redis:\/\/127.0.0.1:1[^\n]+start it[^\n]+\n$/);
    }
    const embedded = await Project.open();
    onTestFinished(() => embedded.close());
    expect((await embedded.run("worker")).err).toMatch(/no Redis is configured; set VARVE_REDIS, or run `varve up`/);
  });

  it("goes on when its Redis comes back", async () => {
    const { redis, project } = await cluster();
    const worker = project.start("worker");
    await worker.line(/^varve worker \S+ is up/);
    expect((await project.run("apply", "definitions.ts")).code).toBe(0);
    const serve = project.start("serve");
    const url = urlIn(await serve.line(/^varve serves /));
    await redis.kill();
    await worker.line(/queue trouble|Cannot look at/);
    expect((await askAmount(url)).status).toBe(503);
    await redis.restart();
    await project.define(10);
    await expect.poll(async () => (await project.run("apply", "definitions.ts")).code).toBe(0);
    await expect.poll(() => askAmount(url)).toEqual({ status: 200, features: [40] });
    const [first, second] = await Promise.all([worker.stop(), serve.stop()]);
    expect([first.code, second.code]).toEqual([0, 0]);
    expect(await project.leftovers()).toEqual([]);
  });
});

const definitions = (start: string) => `
import { csv, entity, service, view } from "varve";
const trips = csv(new URL("trips.csv", import.meta.url), {
  eventTimestamp: "at",
  schema: { driver: "string", at: "timestamp", amount: "float64" },
});
const amounts = view("driver_amounts", trips.by(entity("driver", { driver: "string" })), {
  schedule: "1d",
  start: "${start}",
  online: true,
});
export default service("model", [amounts]);
`;
