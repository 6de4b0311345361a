import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deltaTable } from "../../../sdk/storage/delta_table.ts";
import { localObjectStore } from "../../../sdk/storage/object_local.ts";
import { s3ObjectStore } from "../../../sdk/storage/object_s3.ts";
import { deltaTableConformance } from "../../conformance/delta_table.ts";
import { type S3Server, startS3 } from "../../support/s3_server.ts";

let server: S3Server;
let folder: string;
let count = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "varve-tables-"));
  server = await startS3();
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

deltaTableConformance("localObjectStore", async () => {
  const own = join(folder, `local-${++count}`);
  return { open: () => localObjectStore(own), close: async () => {} };
});

deltaTableConformance("s3ObjectStore", async () => {
  const { endpoint, bucket, accessKeyId, secretAccessKey } = server;
  const prefix = `tables-${++count}`;
  const credentials = { accessKeyId, secretAccessKey };
  const options = { endpoint, bucket, prefix, credentials, cacheFolder: join(folder, "cache"), retryDelayMs: 1 };
  return { open: () => s3ObjectStore(options), close: async () => {} };
});

const day = 86_400_000_000n;
const path = "views/x/1";
const schema = [{ name: "k", type: "int64" }, { name: "event_timestamp", type: "timestamp" }] as const;

describe("deltaTable() and its processes", () => {
  it("writers that are killed leave whole commits only, and every slice ends as one writer wrote it", async () => {
    const sdk = (file: string) => JSON.stringify(new URL(`../../../sdk/storage/${file}`, import.meta.url).href);
    const own = join(folder, "killed");
    const program = join(folder, "writer.mts");
    writeFileSync(
      program,
      `import { writeFileSync } from "node:fs";
       import { localObjectStore } from ${sdk("object_local.ts")};
       import { deltaTable } from ${sdk("delta_table.ts")};
       const name = process.argv[2];
       const table = deltaTable(localObjectStore(${JSON.stringify(own)}), "${path}", { checkpointEvery: 10 });
       for (let i = 0; i < 40; i++) {
         const readVersion = (await table.snapshot()).version;
         const slices = [i % 20, 20 + i % 7].map((n) => ({ start: BigInt(n) * ${day}n, end: BigInt(n + 1) * ${day}n }));
         const runId = name + "-" + i;
         const files = [];
         for (const slice of slices) {
           const part = ${JSON.stringify(folder)} + "/" + runId;
           writeFileSync(part, runId);
           files.push(await table.addPart(part, { rows: 1, slice, minEventTimestamp: slice.start, maxEventTimestamp: slice.start }, runId));
         }
         const { outcome } = await table.commit({ runId, readVersion, slices, files, info: {} });
         console.log(outcome);
       }`,
    );
    const table = deltaTable(localObjectStore(own), path);
    await table.create(schema, { at: 1 });
    const cwd = new URL("../../..", import.meta.url).pathname;
    const writers = ["a", "b", "c", "d"].map(async (name, i) => {
      const child = spawn(process.execPath, ["--import", "tsx", program, name], {
        cwd,
        stdio: ["ignore", "pipe", "inherit"],
      });
      let outcomes: string[] = [];
      let printed = "";
      child.stdout.on("data", (chunk) => {
        outcomes = (printed += chunk).split("\n").slice(0, -1);
        // Three of them die at some moment of a later attempt.
        if (i > 0 && outcomes.length >= 4 * i) child.kill("SIGKILL");
      });
      const [code, signal] = await once(child, "close");
      expect(i === 0 ? code : signal).toBe(i === 0 ? 0 : "SIGKILL");
      return outcomes.filter((outcome) => outcome === "committed").length;
    });
    const told = (await Promise.all(writers)).reduce((sum, committed) => sum + committed, 0);

    const { version, files, slices } = await table.snapshot();
    // A writer may die between its commit and its word: at most one commit each.
    expect(version).toBeGreaterThanOrEqual(told);
    expect(version).toBeLessThanOrEqual(told + 3);
    expect(new Set(files.map((file) => file.slice.start)).size).toBe(files.length);
    for (const file of files) expect(slices.get(file.slice.start)).toBe(file.addedIn);
    await table.localPaths(files);
    const runs = (await table.history(version)).map(({ info }) => info["runId"]);
    expect(new Set(runs).size).toBe(runs.length);
    const { keys } = await table.vacuum({ retentionMs: 0, now: Date.now() + 3_600_000, apply: true });
    expect(keys.length).toBeGreaterThan(0);
    await table.localPaths((await table.snapshot()).files);
  });
});
