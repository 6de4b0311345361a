/** How the audit log writes: to a real S3 that fails, from several processes, within bounds. */
import { mkdtemp, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { AuditLog, type AuditLogOptions } from "../../../sdk/audit/audit_log.ts";
import { partOf } from "../../../sdk/audit/layout.ts";
import type { FeatureRead } from "../../../sdk/retrieve/feature_read.ts";
import type { ServiceReader } from "../../../sdk/retrieve/service_reader.ts";
import type { Row } from "../../../sdk/schema.ts";
import { parquet } from "../../../sdk/mod.ts";
import { s3ObjectStore } from "../../../sdk/storage/object_s3.ts";
import type { ObjectStore } from "../../../sdk/storage/object_store.ts";
import { localObjectStore } from "../../../sdk/storage/object_local.ts";
import { ManualClock } from "../../../sdk/time.ts";
import { type S3Server, startS3 } from "../../support/s3_server.ts";

let server: S3Server;
let folder: string;
let run = 0;
const open: { close(): Promise<void> }[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "varve-audit-"));
  server = await startS3();
});
afterEach(async () => {
  server.faults.clear();
  clock.set("2001-01-06T00:00Z");
  for (const each of open.splice(0).reverse()) await each.close();
  run++;
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const clock = new ManualClock("2001-01-06T00:00Z");

function s3(): ObjectStore {
  const store = s3ObjectStore({
    bucket: server.bucket,
    prefix: `run-${run}`,
    endpoint: server.endpoint,
    credentials: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
    cacheFolder: join(folder, `cache-${run}`),
    retryDelayMs: 1,
    attempts: 2,
  });
  open.push(store);
  return store;
}

function log(store: ObjectStore, options: Partial<AuditLogOptions> = {}): AuditLog {
  const made = new AuditLog({ store, workspace: "default", share: 1, keys: "plain", clock, ...options });
  open.push(made);
  return made;
}

/** Answers every request with its own number. */
const reader: ServiceReader = {
  service: "model",
  joinKeys: [{ name: "n", type: "int64" }],
  requestFields: [],
  features: [{ namespace: "v", name: "value", view: "v", version: 1, type: "int64" }],
  read: async (requests) =>
    await Promise.resolve(requests.map((request) => ({
      values: [request["n"]],
      statuses: ["PRESENT" as const],
      effectiveTimes: [undefined],
      eventTimes: [undefined],
      storedBytes: 10,
    }))),
};

/** The log wants to know which view answered, and no more of it. */
const reads = [{
  alias: "v",
  definition: { name: "v" },
  version: 1,
  features: [],
  joinKeyMap: {},
}] as unknown as readonly FeatureRead[];

async function serve(audit: AuditLog, numbers: readonly number[]): Promise<void> {
  const audited = audit.audited(reader, reads, () => undefined);
  for (const n of numbers) {
    const [answer] = await audited.read([{ n: BigInt(n) }], { at: clock.now() });
    expect(answer!.values).toEqual([BigInt(n)]);
  }
}

async function logged(store: ObjectStore): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const { key } of store.list("default/audit/date=")) {
    expect(partOf("default", key)).toMatchObject({ service: "model" });
    rows.push(...await parquet(await store.localPath(key)).rows());
  }
  return rows;
}
const numbers = (rows: readonly Row[]) => rows.map((row) => Number(row["features"].value)).sort((a, b) => a - b);
const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);

describe("AuditLog", () => {
  it("writes each row once, whoever writes at the same time, also when an answer of the store was lost", async () => {
    const store = s3();
    const logs = upTo(4).map(() => log(s3(), { limits: { partRows: 10 } }));
    server.faults.add({ kind: "dropReply" }, { method: "PUT", times: 3, key: /service=/ });
    await Promise.all(logs.map((each, i) => serve(each, upTo(100, 100 * i))));
    await Promise.all(logs.map((each) => each.close()));
    expect(server.faults.hits).toBe(3);
    const rows = await logged(store);
    expect(numbers(rows)).toEqual(upTo(400));
    // One salt for all: a hash stands for one key only.
    expect(new Set(rows.map((row) => row["key_hash"])).size).toBe(400);
    for (const { counts } of logs) expect(counts).toMatchObject({ logged: 100, dropped: 0, waiting: 0 });
  });

  it("keeps what it can while the store is down, counts what it cannot, and writes it when the store is back", async () => {
    const store = s3();
    const problems: unknown[] = [];
    const audit = log(store, { limits: { rows: 50, partRows: 10 }, onProblem: (error) => problems.push(error) });
    server.faults.add({ kind: "error", status: 503, code: "SlowDown" }, { times: 1_000 });
    await serve(audit, upTo(70));
    await audit.flush();
    expect(audit.counts).toMatchObject({ logged: 0, dropped: 20, waiting: 50, parts: 0 });
    expect(audit.counts.failures).toBeGreaterThan(0);
    expect(problems[0]).toMatchObject({ code: "UNAVAILABLE" });
    server.faults.clear();
    await audit.flush();
    await serve(audit, [100]);
    await audit.close();
    expect(audit.counts).toMatchObject({ logged: 51, dropped: 20, waiting: 0 });
    expect(numbers(await logged(store))).toEqual([...upTo(50), 100]);
  });

  it("keeps within its bytes, whatever clients send", async () => {
    const audit = log(s3(), { limits: { bytes: 10_000, partBytes: 1e9 } });
    const texts = audit.audited({ ...reader, joinKeys: [{ name: "n", type: "string" }] }, reads, () => undefined);
    for (const each of ["a", "b", "c"]) await texts.read([{ n: each.repeat(4_000) }], { at: clock.now() });
    expect(audit.counts).toMatchObject({ waiting: 1, dropped: 2 });
  });

  it("ends in time when the store hangs, and says how much is lost", async () => {
    const problems: unknown[] = [];
    const audit = log(s3(), { limits: { closeMs: 200 }, onProblem: (error) => problems.push(error) });
    server.faults.add({ kind: "hang" }, { times: 100 });
    await serve(audit, upTo(3));
    await audit.close();
    expect(audit.counts).toMatchObject({ logged: 0, dropped: 3, waiting: 0 });
    expect(problems.map(String).join()).toMatch(
      /the last 3 rows of the audit log to S3 bucket s3:\/\/.* they are lost/,
    );
    await serve(audit, [9]);
    expect(audit.counts.dropped).toBe(4);
  });

  it("passes errors of reads on and logs nothing of them", async () => {
    const audit = log(s3());
    const failing = audit.audited({ ...reader, read: () => Promise.reject(new Error("no")) }, reads, () => undefined);
    await expect(failing.read([{ n: 1n }], { at: clock.now() })).rejects.toThrow("no");
    expect(audit.counts).toMatchObject({ waiting: 0, dropped: 0 });
    // A key that is no key is the read's affair.
    const read = audit.audited(reader, reads, () => undefined).read([{ n: "x" }], { at: clock.now() });
    await expect(read).resolves.toHaveLength(1);
    expect(audit.counts.waiting).toBe(0);
  });

  it("removes days that are over long enough, and only those", async () => {
    const store = localObjectStore(join(folder, "local"));
    open.push(store);
    const day = async (text: string, days = 30) => {
      clock.set(text);
      const audit = new AuditLog({ store, workspace: "default", share: 1, clock, days });
      await serve(audit, [1]);
      await audit.close();
      return audit;
    };
    await day("2001-01-06");
    const audit = await day("2001-03-01");
    // Written a moment ago: whoever replays history keeps what that gives.
    expect(await audit.prune()).toBe(0);
    const keys: string[] = [];
    for await (const { key } of store.list("default/audit/date=")) keys.push(key);
    expect(keys).toHaveLength(2);
    for (const key of keys) await utimes(await store.localPath(key), 0, 0);
    expect(await audit.prune()).toBe(1);
    expect(await store.head(keys[0]!)).toBeUndefined();
    expect(await store.head(keys[1]!)).toBeDefined();
  });
});
