import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { s3ObjectStore } from "../../../sdk/storage/object_s3.ts";
import type { S3Options } from "../../../sdk/storage/object_s3_client.ts";
import { objectStoreConformance } from "../../conformance/object_store.ts";
import { type S3Server, startS3 } from "../../support/s3_server.ts";

let server: S3Server;
let folder: string;
let count = 0;

const open = (options: Partial<S3Options> = {}) =>
  s3ObjectStore({
    bucket: server.bucket,
    prefix: `run-${count}`,
    endpoint: server.endpoint,
    credentials: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
    cacheFolder: join(folder, `cache-${count}`),
    retryDelayMs: 1,
    ...options,
  });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "varve-s3-"));
  server = await startS3({ pageSize: 10 });
});
afterEach(() => {
  server.faults.clear();
  count++;
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

objectStoreConformance("s3ObjectStore", async () => ({ open, close: async () => {} }));

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const copies = () => {
  const cache = join(folder, `cache-${count}`);
  return readdirSync(cache, { recursive: true }).map(String).filter((file) => /^[0-9a-f]{2}\/./.test(file))
    .map((file) => join(cache, file));
};

describe("s3ObjectStore() when the server fails", () => {
  it.each([[500, "InternalError"], [503, "SlowDown"], [409, "ConditionalRequestConflict"], [429, "TooManyRequests"]])(
    "tries again after %i %s",
    async (status, code) => {
      const store = open();
      server.faults.add({ kind: "error", status, code }, { times: 2 });
      expect(await store.putIfAbsent("k", "x")).toBe("created");
      expect(server.faults.hits).toBe(2);
      server.faults.add({ kind: "error", status, code }, { times: 2 });
      expect(text(await store.get("k"))).toBe("x");
    },
  );

  it("gives up after the tries it was given, with UNAVAILABLE and what the server said", async () => {
    server.faults.add({ kind: "error", status: 503, code: "SlowDown" }, { times: 100 });
    await expect(open({ attempts: 3 }).get("k")).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("s3://varve/run-"),
      details: { status: 503 },
    });
    expect(server.faults.hits).toBe(3);
  });

  it("putIfAbsent() whose answer was lost says exists, and the object is its own", async () => {
    const store = open();
    server.faults.add({ kind: "dropReply" }, { method: "PUT" });
    expect(await store.putIfAbsent("k", "mine")).toBe("exists");
    expect(text(await store.get("k"))).toBe("mine");
  });

  it("a server that does not answer is a TIMEOUT, within the limit", async () => {
    server.faults.add({ kind: "hang" }, { times: 10 });
    await expect(open({ attempts: 2, timeoutMs: 500 }).get("k")).rejects.toMatchObject({ code: "TIMEOUT" });
    expect(server.faults.hits).toBe(2);
  });

  it("a slow answer that goes on is waited for, longer than the limit of a silent one", async () => {
    const store = open({ attempts: 1, timeoutMs: 1_000 });
    const body = randomBytes(1000);
    await store.put("k", body);
    server.faults.add({ kind: "slowBody", pauseMs: 150 }, { method: "GET" });
    expect(Buffer.compare(await store.get("k"), body)).toBe(0);
    expect(server.faults.hits).toBe(1);
  });

  it.each(["truncate", "corrupt"] as const)("reads again after an answer with the fault %s", async (kind) => {
    const store = open();
    const body = randomBytes(200_000);
    await store.put("k", body);
    server.faults.add({ kind }, { method: "GET", times: 2 });
    expect(Buffer.compare(await store.get("k"), body)).toBe(0);
    server.faults.add({ kind }, { method: "GET", times: 2 });
    const path = await store.localPath("k", { size: body.byteLength, sha256: sha256(body) });
    expect(readFileSync(path).equals(body)).toBe(true);
    expect(server.faults.hits).toBe(4);
  });

  it("an answer that breaks off while its file is made ready is read again, and ends no process", async () => {
    const store = open({ attempts: 5 });
    const bodies = Array.from({ length: 100 }, () => randomBytes(100));
    await Promise.all(bodies.map((body, i) => store.put(`k${i}`, body)));
    // Small bodies are here, and their connection gone, before a file of so many is empty.
    server.faults.add({ kind: "truncate" }, { method: "GET", times: 100 });
    const paths = await Promise.all(
      bodies.map((body, i) => store.localPath(`k${i}`, { size: body.byteLength, sha256: sha256(body) })),
    );
    expect(paths.every((path, i) => readFileSync(path).equals(bodies[i]!))).toBe(true);
    expect(server.faults.hits).toBe(100);
  });

  it.each(["", "<html></html>", "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"])(
    "a page that is none is asked for again, and no end of a list: %s",
    async (body) => {
      const store = open({ attempts: 2 });
      for (let i = 0; i < 5; i++) await store.put(`k${i}`, "x");
      const keys = async () => {
        const found: string[] = [];
        for await (const { key } of store.list("")) found.push(key);
        return found;
      };
      server.faults.add({ kind: "foreign", body }, { method: "GET" });
      expect(await keys()).toEqual(["k0", "k1", "k2", "k3", "k4"]);
      server.faults.add({ kind: "foreign", body }, { method: "GET", times: 2 });
      await expect(keys()).rejects.toMatchObject({
        code: "UNAVAILABLE",
        message: expect.stringContaining("answers what is no list; check that the endpoint"),
      });
    },
  );

  it.each(["", "<html>404 Not Found</html>"])("a 404 that is not of S3 is no missing object: %s", async (body) => {
    const store = open({ attempts: 2 });
    await store.put("k", "x");
    server.faults.add({ kind: "foreign", status: 404, body }, { method: "GET", times: 2 });
    await expect(store.find("k")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    server.faults.clear();
    expect(await store.find("none")).toBeUndefined();
  });

  it("a server that is not there is UNAVAILABLE", async () => {
    const store = open({ endpoint: "http://127.0.0.1:1", attempts: 2 });
    await expect(store.get("k")).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringMatching(
        /127\.0\.0\.1:1 does not answer \(.*ECONNREFUSED.*\); start it, or correct the endpoint/,
      ),
    });
  });

  it("a bucket that is not there is NOT_FOUND and says so, also to find()", async () => {
    const store = open({ bucket: "another" });
    await expect(store.find("k")).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: expect.stringContaining("create the bucket"),
    });
  });

  it("a wrong key is refused at once, and no error shows a credential", async () => {
    const secretAccessKey = "do-not-print-this-secret";
    for (const accessKeyId of [server.accessKeyId, "do-not-print-this-key"]) {
      const store = open({ credentials: { accessKeyId, secretAccessKey, sessionToken: "do-not-print-this-token" } });
      const before = server.requests["GET"] ?? 0;
      const error = await store.get("k").catch((error) => error);
      expect(error).toMatchObject({ code: "UNAVAILABLE", message: expect.stringContaining("refused the credentials") });
      expect(server.requests["GET"]! - before).toBe(1);
      expect(inspect(error, { depth: 20, showHidden: true })).not.toMatch(/do-not-print/);
      expect(inspect(store, { depth: 0 })).not.toMatch(/do-not-print/);
    }
  });

  it("probe() refuses a server that ignores conditions, and says the way out", async () => {
    server.faults.add({ kind: "ignoreConditions" }, { times: 100 });
    const store = open();
    await expect(store.probe()).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringMatching(/ignores If-None-Match.*use a server/),
    });
    for await (const _ of store.list("")) throw new Error("something is left");
  });

  it("cancelling ends a wait for the server", async () => {
    server.faults.add({ kind: "hang" });
    const controller = new AbortController();
    const got = open().get("k", controller.signal);
    setTimeout(() => controller.abort(), 20);
    await expect(got).rejects.toMatchObject({ code: "CANCELLED" });
  });
});

describe("s3ObjectStore() with large files", () => {
  const partBytes = 100_000;
  const body = randomBytes(1_050_000);
  let path: string;
  beforeAll(() => {
    path = join(folder, "large");
    writeFileSync(path, body);
  });

  it("sends parts, each again when it failed, and completes when the answer was lost", async () => {
    const store = open({ partBytes });
    server.faults.add({ kind: "error", status: 500, code: "InternalError" }, { method: "PUT", times: 3 });
    server.faults.add({ kind: "dropReply" }, { method: "PUT", times: 2 });
    expect(await store.putFile("large", path)).toMatchObject({ size: body.byteLength });
    server.faults.add({ kind: "error", status: 200, code: "unused" }, { method: "NONE" });
    const copy = await store.localPath("large", { size: body.byteLength, sha256: sha256(body) });
    expect(readFileSync(copy).equals(body)).toBe(true);
    expect(server.faults.hits).toBe(5);
  });

  it("counts as done when the answer to the last request was lost", async () => {
    const store = open({ partBytes });
    await store.put("warm", "x");
    // The first POST starts the upload, the second completes it.
    server.faults.add({ kind: "slowBody", pauseMs: 0 }, { method: "POST" });
    server.faults.add({ kind: "dropReply" }, { method: "POST" });
    expect(await store.putFile("large", path)).toMatchObject({ size: body.byteLength });
    expect(server.faults.hits).toBe(2);
    expect(sha256(await store.get("large"))).toBe(sha256(body));
  });

  it("leaves nothing when it cannot be sent", async () => {
    const store = open({ partBytes, attempts: 2 });
    server.faults.add({ kind: "error", status: 500, code: "InternalError" }, { method: "PUT", times: 100 });
    const before = server.requests["DELETE"] ?? 0;
    await expect(store.putFile("large", path, { move: true })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(await store.head("large")).toBeUndefined();
    expect(server.requests["DELETE"]).toBe(before + 1);
    expect(statSync(path).size).toBe(body.byteLength);
  });
});

describe("s3ObjectStore() keeps copies", () => {
  const body = randomBytes(10_000);
  const expected = { size: body.byteLength, sha256: sha256(body) };
  const gets = () => server.requests["GET"] ?? 0;

  it("fetches once for many that ask at once, and not again for another process", async () => {
    const store = open();
    await store.put("k", body);
    const before = gets();
    server.faults.add({ kind: "slowBody", pauseMs: 5 }, { method: "GET" });
    await Promise.all(Array.from({ length: 20 }, () => store.localPath("k", expected)));
    await open().localPath("k", expected);
    expect(gets() - before).toBe(1);
  });

  it("gives a copy the extension of its object", async () => {
    const store = open();
    await store.put("in/2001.csv.gz", body);
    expect(await store.localPath("in/2001.csv.gz")).toMatch(/[0-9a-f]{64}\.csv\.gz$/);
  });

  it("a reader that cancels does not take the copy away from the others", async () => {
    const store = open();
    await store.put("k", body);
    server.faults.add({ kind: "slowBody", pauseMs: 10 }, { method: "GET" });
    const controller = new AbortController();
    const first = store.localPath("k", expected, controller.signal);
    const second = store.localPath("k", expected);
    controller.abort();
    await expect(first).rejects.toMatchObject({ code: "CANCELLED" });
    expect(readFileSync(await second).equals(body)).toBe(true);
  });

  it("finds a poisoned copy, in this process and in the next, and fetches again", async () => {
    const store = open();
    await store.put("k", body);
    const path = await store.localPath("k", expected);
    for (const reader of [store, open()]) {
      const poisoned = Buffer.from(body);
      poisoned[5000]! ^= 1;
      writeFileSync(path, poisoned);
      expect(readFileSync(await reader.localPath("k", expected)).equals(body)).toBe(true);
      writeFileSync(path, body.subarray(0, 100));
      expect(readFileSync(await reader.localPath("k", expected)).equals(body)).toBe(true);
    }
  });

  it("content that is not what was recorded is CORRUPT after a bounded number of tries, and not kept", async () => {
    const store = open();
    await store.put("k", body);
    const before = gets();
    await expect(store.localPath("k", { ...expected, sha256: sha256(randomBytes(8)) })).rejects.toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining("another sha256"),
    });
    expect(gets() - before).toBe(4);
    expect(copies()).toEqual([]);
    expect(readdirSync(join(folder, `cache-${count}`, "~unfinished"))).toEqual([]);
  });

  it("drops the least recently used copies when there are too many bytes", async () => {
    const store = open({ cacheBytes: 35_000, cacheKeepMs: 0 });
    const paths: string[] = [];
    for (let i = 0; i < 3; i++) {
      await store.put(`k${i}`, body);
      paths.push(await store.localPath(`k${i}`));
      const used = new Date(Date.now() - 60_000 + i);
      utimesSync(paths[i]!, used, statSync(paths[i]!).mtime);
    }
    await store.localPath("k0");
    await store.put("k3", body);
    await store.localPath("k3");
    expect(copies().sort()).toEqual([paths[0]!, paths[2]!, await store.localPath("k3")].sort());
  });

  it("keeps copies that were asked for lately, whatever their size", async () => {
    const store = open({ cacheBytes: 15_000 });
    for (let i = 0; i < 4; i++) {
      await store.put(`k${i}`, body);
      await store.localPath(`k${i}`);
    }
    expect(copies()).toHaveLength(4);
  });
});
