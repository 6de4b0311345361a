/** Every program in examples/ runs as a reader would run it: on the build, in a process of its own, in an empty folder. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { startRedis } from "./support/redis.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const tsx = createRequire(import.meta.url).resolve("tsx/cli");
const varve = join(root, "cluster/bin/varve.js");

/** What each program must say, in this order. */
const lines: Readonly<Record<string, readonly (string | RegExp)[]>> = {
  "01_frames.ts": [
    "3000000 flights, the first of them:",
    '"delay > 15" is an expression',
    "  filter distance >= 1000",
    /TPA +┆ long +┆ 355 +┆ 0\.324 +┆ Tampa/,
    /before the first report +┆ null/,
    /sees 06:00 +┆ 4/,
    /sees 09:30, of the same minute +┆ 11/,
    /is too late for 09:30 +┆ null/,
    "ORDER BY",
  ],
  "12_realtime.ts": [
    "+ realtime view amount_ratio, version 1",
    "ratio = amount / listMean(amounts_30d)",
    "60 is 3.0 times what user 1 pays; it is night",
    "[ 1, 1 ]",
    /05:30:00 UTC +┆ 60\.0 +┆ true +┆ \[10\.0, 20\.0, 30\.0\] +┆ 3\.0 +┆ true/,
    /12:00:00 UTC +┆ 60\.0 +┆ false +┆ \[10\.0\] +┆ 6\.0 +┆ false/,
    "amount = 60, from the request",
    'request field "amount" is missing',
  ],
  "02_definitions.ts": [
    "fraud_model reads customer_spent, customer_payments, shop_mean",
    /ada +┆ 40\.0 +┆ 2/,
    /ada +┆ 99\.0 +┆ 1/,
    "+ view customer_days, version 1",
    "backfill: 2 slices, 2001-01-01 to 2001-01-03; reads about 4 rows",
    "+ service fraud_model",
  ],
  "03_publish.ts": [
    "+ view last_trip, version 1",
    "3 slices, 3 rows, 2 values online",
    "served: { length: 30 }",
    "No changes",
    "~ view last_trip, new version 2",
    "feature length: int32 -> float64",
    "served: { length: 48.28032 }",
    "After a rollback: { length: 30 }",
    "version 1 is serving: 3 of 3 slices, 3 rows",
    "version 2 is kept",
    "ada: rollback of last_trip",
    "ada: metric",
    "ada: first features",
  ],
  "04_training.ts": [
    /day 1 is not over +┆ null +┆ MISSING/,
    /day 2 is not ready +┆ 10 +┆ PRESENT/,
    /day 2 is +┆ 20 +┆ PRESENT/,
    /three days old +┆ null +┆ EXPIRED/,
    /the way back +┆ 77 +┆ PRESENT/,
    /from where\? +┆ null +┆ NULL_KEY/,
    /day 1 is not over +┆ 10 +┆ PRESENT/,
    /day 2 is not ready +┆ 20 +┆ PRESENT/,
    "from the source: –, 10, 20, –, 77, –",
    "offline:         –, 10, 20, –, 77, –",
    "rebuilt:         –, 10, 20, –, 77, –",
    "6 rows",
  ],
  "05_online.ts": [
    "user 2 was in Rome with 2 devices",
    "features: city string, devices int32",
    "user 1: EXPIRED [null,0]",
    'user 2: PRESENT ["Rome",2]',
    "user 99: MISSING [null,0]",
    "user null: NULL_KEY [null,0]",
    'user 1 on the 4th: PRESENT ["Oslo",1]',
    'join key "user" is missing',
  ],
  "06_late_data.ts": [
    "3 January: serves 2, history 1, 2",
    "as stored: serves 2, history 1, 2",
    "4 January: 2 slices",
    "serves 20, history 1, 20",
    "1 slice, 2 rows; 0 values online",
    "serves 20, history 10, 20",
  ],
  "08_time_travel.ts": [
    /2001-01-02T02:00:00Z +ATL 554 departures, 37\.04 minutes late +0 of \d+ airports differ/,
    /2001-01-06T02:00:00Z +ATL 686 departures, .* +0 of \d+ airports differ/,
    /2001-01-08T02:00:00Z +ATL – departures, .* +0 of \d+ airports differ/,
  ],
  "09_own_aggregation.ts": [
    "blue: 9 failures in a day, at worst 4 in a row; in 6 hours 4",
    "red: 3 failures in a day, at worst 3 in a row; in 6 hours 1",
    "blue, as it was at 03:30: 3 in a row",
  ],
  "quickstart.ts": [
    "view airport_delays",
    "view route_delays",
    /^0 mismatches among 1,000 entities × 23 features$/m,
    /^varve skew airport_delays: 0 mismatches among 3,435 values/m,
    /^varve skew route_delays: 0 mismatches among 8,000 values/m,
  ],
  "quickstart_cluster.ts": [
    /worker A killed \(-9\) while it ran/,
    /^0 mismatches among 1,000 entities × 23 features$/m,
    /^varve skew airport_delays: 0 mismatches among 3,435 values/m,
    /^varve skew route_delays: 0 mismatches among 8,000 values/m,
  ],
  "13_function.ts": [
    'INVALID_DEFINITION: Cannot define realtime view "wrong": compute, line 1: it captures "factor"',
    "+ realtime view risk, version 1",
    "gives score float64, band string, words list<string>",
    "ada: { score: 8, band: 'high', words: [ 'gift', 'card', 'urgent' ] }",
    "bob: 0.32 low, eve: null unknown",
    "training: 8 high, as served: true",
    "compute: ",
  ],
};
/** It makes nothing but definitions: the command line runs it, below. */
const definitions = "07_definitions.ts";

/** What the programs say that ask a server for the features of those definitions. */
const asking: Readonly<Record<string, readonly (string | RegExp)[]>> = {
  "10_client.ts": [
    "ATL: 672 departures, 1.46 minutes late",
    /^ORD: \d{3} departures; nowhere: 0$/m,
    /^ATL 672, ORD \d+, DFW \d+, SFO \d+$/m,
    /^ATL: origin_\w+ of airport_days is PRESENT, since 2001-01-07T02:00:00Z$/m,
    /^nowhere: origin_\w+ of airport_days is MISSING, since never$/m,
    /^null: origin_\w+ of airport_days is NULL_KEY, since never$/m,
    "NOT_FOUND: ",
  ],
  "11_curl.sh": [
    '{"ready":true,"problems":[],"degraded":[]}',
    /^\{"result":\{"features":\[1\.46\d+,"672"\]\},.*"name":"airport_days\.origin_departures".*"status":"PRESENT"/m,
    '{"result":[{"features":[-1.9383647798742139,"795"]},{"features":[null,"0"]}]}',
    '"inputJoinKeys":[{"name":"origin","dataType":{"type":"string"}}]',
    '{"metadata":{"feature_names":["origin","origin_departures","origin_delayMean"]}',
    '"code":"INVALID_REQUEST"',
  ],
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "varve-examples-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[], settings: Readonly<Record<string, string>>, command: string) {
  // Nothing of this process's own configuration, nor of the test runner's.
  const kept = Object.entries(process.env).filter(([name]) => !/^(VARVE_|VITEST|NODE_OPTIONS|FORCE_COLOR)/.test(name));
  const env = { ...Object.fromEntries(kept), ...settings };
  return spawn(command, args, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
}

async function run(
  args: readonly string[],
  settings: Readonly<Record<string, string>> = {},
  command = process.execPath,
): Promise<Run> {
  const child = start(args, settings, command);
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code: code as number | null, stdout, stderr };
}

/** Finds each line after the one before. */
function expectInOrder(output: string, wanted: readonly (string | RegExp)[]): void {
  let from = 0;
  for (const each of wanted) {
    const rest = output.slice(from);
    const found = typeof each === "string" ? rest.indexOf(each) : rest.search(each);
    expect(found, `${each} is not in what follows:\n${rest}`).toBeGreaterThanOrEqual(0);
    from += found + 1;
  }
}

describe("examples", () => {
  it("are all run here", async () => {
    const files = await readdir(join(root, "examples"));
    const programs = files.filter((file) => /\.(ts|sh)$/.test(file)).sort();
    expect(programs).toEqual([...Object.keys(lines), ...Object.keys(asking), definitions].sort());
  });

  for (const [file, wanted] of Object.entries(lines)) {
    const isLarge = file.startsWith("quickstart");
    it(`${file} runs and says what it should`, async () => {
      const { code, stdout, stderr } = await run([tsx, join(root, "examples", file)]);
      // The processes of the large ones write their logs there.
      if (!isLarge) expect(stderr).toBe("");
      expect(code, stdout + stderr).toBe(0);
      expectInOrder(stdout, wanted);
      // The small ones leave nothing behind.
      if (!isLarge) expect(await readdir(folder)).toEqual([]);
      await rm(join(folder, ".varve"), { recursive: true, force: true });
    }, isLarge ? 300_000 : 60_000);
  }

  it.each(["05_online.ts", "08_time_travel.ts"])("%s says the same in Deno, from the sources", async (file) => {
    const deno = createRequire(import.meta.url).resolve("deno/package.json").replace("package.json", "deno");
    const args = ["run", "--quiet", "-A", "--config", join(root, "deno.json"), join(root, "examples", file)];
    const { code, stdout, stderr } = await run(args, {}, deno);
    expect(stderr).toBe("");
    expect(code, stdout).toBe(0);
    expectInOrder(stdout, lines[file]!);
    expect(await readdir(folder)).toEqual([]);
  });

  it(`${definitions} is planned, applied and found unchanged by the varve command`, async () => {
    const settings = { VARVE_CLOCK: "2001-01-08", VARVE_STORAGE: join(folder, "store") };
    const file = join(root, "examples", definitions);
    const plan = await run([varve, "plan", file], settings);
    expect(plan).toMatchObject({ code: 0, stderr: "" });
    expectInOrder(plan.stdout, [
      "+ entity airport",
      "+ view airport_days, version 1",
      "6 slices",
      "+ service delay_model",
    ]);
    const apply = await run([varve, "apply", file, "--reason", "first features"], settings);
    expect(apply.code, apply.stderr).toBe(0);
    expect(apply.stdout).toMatch(/Done: 1,333 rows/);
    expect((await run([varve, "plan", file], settings)).stdout).toMatch(/^No changes/);
    expectInOrder((await run([varve, "status"], settings)).stdout, [
      "delay_model",
      /airport_days +1 +serving +6\/6 +1,333/,
    ]);
    expect((await run([varve, "history"], settings)).stdout).toContain("first features");
  });

  it.each(["varve up", "varve serve on Redis"])(
    `${Object.keys(asking).join(" and ")} get their answers from %s`,
    async (kind) => {
      const settings: Record<string, string> = {
        VARVE_CLOCK: "2001-01-08",
        VARVE_STORAGE: join(folder, kind.replaceAll(" ", "-")),
        VARVE_PORT: "0",
        // A computer that runs tests is busy.
        VARVE_MAX_LOOP_LAG_MS: "600000",
        VARVE_REQUEST_TIMEOUT_MS: "20000",
      };
      // What was begun last ends first: nobody loses what it stands on.
      const closers: (() => Promise<unknown>)[] = [];
      onTestFinished(async () => {
        for (const close of closers.reverse()) await close();
      });
      const begin = (args: readonly string[]) => {
        const child = start(args, settings, process.execPath);
        child.stderr.resume();
        const ended = once(child, "exit");
        closers.push(async () => child.kill() && await ended);
        return child;
      };
      if (kind.includes("Redis")) {
        const redis = await startRedis({ appendonly: true });
        closers.push(() => redis.stop());
        settings["VARVE_REDIS"] = redis.url;
        begin([varve, "worker"]);
      }
      const applied = await run([varve, "apply", join(root, "examples", definitions)], settings);
      expect(applied.code, applied.stderr).toBe(0);
      const client: Record<string, string> = {};
      if (kind.includes("serve")) {
        const { stdout } = await run([varve, "keys", "create", "example"], settings);
        client["FEATURES_KEY"] = /^vk_\S+/.exec(stdout)![0];
      }
      const server = begin([varve, ...(kind.includes("serve") ? ["serve"] : ["up", "--no-auth"])]);
      for await (const line of createInterface({ input: server.stdout })) {
        const found = /http:\/\/[\d.:]+/.exec(line);
        if (found) {
          client["FEATURES_URL"] = found[0];
          break;
        }
      }
      for (const [file, wanted] of Object.entries(asking)) {
        const path = join(root, "examples", file);
        const asked = file.endsWith(".sh") ? await run([path], client, "bash") : await run([tsx, path], client);
        expect(asked, asked.stdout).toMatchObject({ code: 0, stderr: "" });
        expectInOrder(asked.stdout, wanted);
      }
    },
  );
});
