import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { startRedis } from "../../support/redis.ts";
import { startS3 } from "../../support/s3_server.ts";
import { Project } from "./command.ts";

async function open(env: Record<string, string> = {}): Promise<Project> {
  const project = await Project.open(env);
  onTestFinished(() => project.close());
  return project;
}

const oneLine = /^[^\n]+\n$/;

describe("varve", () => {
  it("lists its commands, and points there when it is called wrongly", async () => {
    const project = await open();
    const [help, wrong] = await Promise.all([project.run("--help"), project.run("aply", "x.ts")]);
    expect(help.code).toBe(0);
    for (
      const name of ["up", "worker", "serve", "status", "doctor", "plan", "apply", "history", "rollback", "vacuum"]
    ) {
      expect(help.out).toMatch(new RegExp(`^  ${name} `, "m"));
    }
    expect(wrong.code).toBe(1);
    expect(wrong.err).toMatch(/unknown command 'aply'\n\(Did you mean apply\?\)/);
  });

  it("tells every problem of its configuration at once, in the file and the environment", async () => {
    const project = await open({ VARVE_PORT: "http", VARVE_NOPE: "1" });
    await writeFile(join(project.folder, "varve.json"), '{ "workspace": "no spaces", "worker": { "concurrency": 0 } }');
    const { code, err } = await project.run("status");
    expect(code).toBe(1);
    for (const text of ["VARVE_PORT: must", "VARVE_NOPE: no such", "workspace: names start", "worker.concurrency: "]) {
      expect(err).toContain(`\n  - ${text}`);
    }
    const json = JSON.parse((await project.run("--json", "status")).err) as { error: { code: string } };
    expect(json).toMatchObject({ error: { code: "INVALID_CONFIG", details: { issues: expect.any(Array) } } });
  });

  it("says in one line why definitions cannot be read", async () => {
    const project = await open();
    await writeFile(join(project.folder, "broken.ts"), "export const x = ;");
    await writeFile(join(project.folder, "nothing.ts"), "export const x = 1;");
    await writeFile(join(project.folder, "broken.json"), "[{");
    await writeFile(join(project.folder, "strange.json"), '[{ "kind": "viw", "name": "x" }]');
    const files = ["none.ts", "broken.ts", "nothing.ts", "broken.json", "strange.json"];
    const ended = await Promise.all(files.map((file) => project.run("plan", file)));
    for (const { code, err } of ended) {
      expect(code).toBe(1);
      expect(err).not.toMatch(/\n\s+at /);
      expect(err).toMatch(/^Cannot /);
    }
    expect(ended[0]!.err).toMatch(/no such file/);
    expect(ended[2]!.err).toMatch(/it exports none/);
  });
});

describe("varve doctor", () => {
  it("finds nothing wrong with an embedded store", async () => {
    const project = await open();
    const [text, json] = await Promise.all([project.run("doctor"), project.run("doctor", "--json")]);
    expect(text.code).toBe(0);
    expect(text.out.match(/^✓ /gm)).toHaveLength(8);
    expect(JSON.parse(json.out)).toHaveLength(8);
  });

  it("tells that functions need Deno, which a store without functions does not", async () => {
    const project = await open({ VARVE_DENO: "/nowhere/deno" });
    const { code, out } = await project.run("doctor");
    expect(code).toBe(0);
    expect(out).toMatch(/^! functions +Cannot run published functions: .*no executable\n +→ npm install deno/m);
    expect(out).toContain("only realtime views with a function need it");
  });

  it("names the realtime views that need Deno, and so does status", async () => {
    const project = await open();
    const definition = 'import { realtimeView } from "varve";\n' +
      'export const risk = realtimeView("risk", { output: { x: "float64" }, compute: () => ({ x: 1 }) });\n';
    await writeFile(join(project.folder, "risk.ts"), definition);
    expect((await project.run("apply", "risk.ts")).code).toBe(0);
    expect((await project.run("status")).out).not.toContain("Problems");
    project.env["VARVE_DENO"] = "/nowhere/deno";
    const [doctor, status] = await Promise.all([project.run("doctor"), project.run("status")]);
    expect(doctor.out).toMatch(
      /^! functions .*\n +→ npm install deno, or name it in VARVE_DENO; realtime view risk needs it$/m,
    );
    expect(status.out).toMatch(/^realtime +risk version 1 \(!\)$/m);
    expect(status.out).toContain("(!) Problems\n  Cannot run published functions: The option deno is /nowhere/deno");
  });

  it("says the way out of a Redis that forgets, one that is down, and an S3 that loses races", async () => {
    const [redis, s3] = await Promise.all([startRedis({ config: { "maxmemory-policy": "allkeys-lru" } }), startS3()]);
    onTestFinished(async () => void await Promise.all([redis.stop(), s3.close()]));
    s3.faults.add({ kind: "ignoreConditions" }, { times: Infinity });
    const project = await open({
      VARVE_REDIS: redis.url,
      VARVE_QUEUE_REDIS: "redis://127.0.0.1:1",
      VARVE_STORAGE: `s3://${s3.bucket}/x`,
      VARVE_S3_ENDPOINT: s3.endpoint,
      VARVE_S3_ACCESS_KEY_ID: s3.accessKeyId,
      VARVE_S3_SECRET_ACCESS_KEY: s3.secretAccessKey,
    });
    project.env["VARVE_CACHE_FOLDER"] = join(project.folder, "cache");
    const { code, out } = await project.run("doctor");
    expect(code).toBe(1);
    expect(out).toMatch(/✗ redis +maxmemory-policy is allkeys-lru.*\n +→ .*noeviction/);
    expect(out).toMatch(/✗ redis +appendonly is no/);
    expect(out).toMatch(/✗ queue redis +.*ECONNREFUSED.*\n +→ start Redis/);
    expect(out).toMatch(/✗ object store +.*\n +→ use a store with conditional writes/);
    // Whoever would write to them refuses, too.
    expect((await project.run("plan", "definitions.ts")).err).toMatch(/^Cannot [^\n]+ECONNREFUSED[^\n]+\n$/);
    project.env["VARVE_QUEUE_REDIS"] = redis.url;
    expect((await project.run("worker")).err).toMatch(/^Cannot [^\n]+noeviction[^\n]*\n$/m);
    await redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction");
    expect((await project.run("apply", "definitions.ts")).err).toMatch(/^Cannot [^\n]+(conditional|If-None-Match)/);
  });
});

describe("definitions kept as code", () => {
  let project: Project;
  beforeAll(async () => {
    project = await Project.open();
  });
  afterAll(() => project.close());

  it("are nothing yet", async () => {
    const [text, json, history, vacuum] = await Promise.all([
      project.run("status"),
      project.run("status", "--json"),
      project.run("history"),
      project.run("vacuum"),
    ]);
    expect(text.out).toMatch(/No views yet: publish one/);
    expect(JSON.parse(json.out)).toMatchObject({ revision: 0, views: [] });
    expect(history.out).toBe("No changes yet\n");
    expect(vacuum.out).toBe("nothing to remove\n");
  });

  it("are planned and applied, and then nothing is left to do", async () => {
    const plan = await project.run("plan", "definitions.ts");
    expect(plan.out).toMatch(
      /^\+ entity driver\n\+ view driver_amounts, version 1\n {4}backfill: 5 slices, 2001-01-01 to 2001-01-06/,
    );
    expect((await project.run("history")).out).toBe("No changes yet\n");
    const applied = await project.run("apply", "definitions.ts", "--reason", "first");
    expect(applied).toMatchObject({ code: 0, out: expect.stringMatching(/Done: 5 rows computed, revision 2, in /) });
    expect(applied.err).toMatch(/driver_amounts +100% {2}5\/5 slices, 5 rows, .*3 keys online/);
    expect(await project.run("apply", "definitions.ts")).toMatchObject({ code: 0, out: "No changes\n" });
  });

  it("may be JSON", async () => {
    const program = join(project.folder, "dump.ts");
    await writeFile(program, 'import model from "./definitions.ts"; console.log(JSON.stringify(model.definitions));');
    const registry = join(project.folder, ".varve/objects/default/registry/00000000000000000001.json");
    const { actions } = JSON.parse(await readFile(registry, "utf8")) as {
      actions: { entity?: object; version?: { definition: object }; service?: object }[];
    };
    const definitions = actions.flatMap(({ entity, version, service }) =>
      entity ?? version?.definition ?? service ?? []
    );
    expect(definitions).toHaveLength(3);
    await writeFile(join(project.folder, "definitions.json"), JSON.stringify(definitions));
    expect(await project.run("plan", "definitions.json")).toMatchObject({ code: 0, out: "No changes\n" });
  });

  it("make a new version when they change, and roll back", async () => {
    await project.define(10);
    const plan = JSON.parse((await project.run("plan", "definitions.ts", "--json")).out) as object;
    expect(plan).toMatchObject({ isEmpty: false, revision: 2 });
    expect((await project.run("apply", "definitions.ts")).out).toMatch(/~ view driver_amounts, new version 2/);
    const status = await project.run("status");
    expect(status.out).toMatch(/driver_amounts +1 {2}kept +5\/5/);
    expect(status.out).toMatch(/driver_amounts +2 {2}serving +5\/5 +5 +[\d.]+ kB {2}2001-01-06 {2}up to date/);
    const back = await project.run("rollback", "driver_amounts");
    expect(back.out).toMatch(/view driver_amounts serves version 1, revision 5/);
    const [wrong, none, history] = await Promise.all([
      project.run("rollback", "driver_amounts", "nothing"),
      project.run("rollback", "nothing"),
      project.run("history", "--limit", "3"),
    ]);
    for (const { code, err } of [wrong, none]) {
      expect(code).toBe(1);
      expect(err).toMatch(oneLine);
    }
    expect(history.out.match(/^ +\d+(?= {2}2001-01-06T00:00:00Z {2}tester {2})/gm)?.map(Number)).toEqual([5, 4, 3]);
  });

  it("are computed by hand", async () => {
    const done = await project.run(
      "materialize",
      "driver_amounts",
      "--start",
      "2001-01-02",
      "--end",
      "2001-01-04",
      "--overwrite",
    );
    expect(done).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^driver_amounts version 1: 2 slices, 3 rows, /),
    });
    const [none, outside, cancel, retry, limit] = await Promise.all([
      project.run("materialize", "nothing"),
      project.run("materialize", "driver_amounts", "--start", "2030-01-01"),
      project.run("cancel", "driver_amounts"),
      project.run("retry", "x"),
      project.run("history", "--limit", "many"),
    ]);
    expect(cancel).toMatchObject({ code: 0, out: "0 jobs cancelled\n" });
    for (const { code, err } of [none, outside, retry, limit]) {
      expect(code).toBe(1);
      expect(err).toMatch(oneLine);
      expect(err).toMatch(/^Cannot /);
    }
  });

  it("are refused, not half read, when a newer varve has written", async () => {
    const registry = join(project.folder, ".varve/objects/default/registry");
    const last = (await readdir(registry)).sort().at(-1)!;
    const change = JSON.parse(await readFile(join(registry, last), "utf8")) as { revision: number };
    const next = { ...change, format: 99, revision: change.revision + 1 };
    await writeFile(join(registry, `${String(next.revision).padStart(20, "0")}.json`), JSON.stringify(next));
    const ended = await Promise.all([
      project.run("status"),
      project.run("apply", "definitions.ts"),
      project.run("serve"),
    ]);
    for (const { code, err } of ended) {
      expect(code).toBe(1);
      expect(err).toMatch(/written by a newer varve \(format 99.*upgrade this one/);
    }
  });
});

describe("a disk without room", () => {
  it("is named, and the same command goes on when there is room again", async () => {
    const project = await open();
    const rows = Array.from({ length: 20_000 }, (_, i) => `d${i},2001-01-02T06:00:00Z,${Math.sin(i)}`);
    await writeFile(join(project.folder, "trips.csv"), `driver,at,amount\n${rows.join("\n")}\n`);
    // A file size limit stands in for a full disk: the system gives EFBIG instead of ENOSPC.
    const full = await project.runLimited("ulimit -f 64", "apply", "definitions.ts");
    expect(full.code).toBe(1);
    expect(full.err).toMatch(/Cannot .*(no room|make room|full|too large)/i);
    expect(full.err).not.toMatch(/\n\s+at /);
    const done = await project.run("apply", "definitions.ts");
    expect(done).toMatchObject({ code: 0, out: expect.stringMatching(/Done: 20,000 rows computed/) });
  });

  it("reads and makes room where nothing can be written", async () => {
    const project = await open();
    expect((await project.run("apply", "definitions.ts")).code).toBe(0);
    const full = (...args: string[]) => project.runLimited("ulimit -f 0", ...args);
    const status = await project.run("status");
    expect(status.code).toBe(0);
    expect(await full("status")).toEqual(status);
    expect(await full("explain", "model", "driver=x")).toMatchObject({ code: 0, err: "" });
    expect(await full("vacuum", "--apply")).toMatchObject({ code: 0, err: "" });
    const doctor = await full("doctor");
    expect(doctor).toMatchObject({ code: 1, out: expect.stringContaining("→ make room; `varve vacuum --apply`") });
  });
});
