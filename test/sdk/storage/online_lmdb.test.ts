import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { lmdbOnlineStore } from "../../../sdk/storage/online_lmdb.ts";
import { ManualClock } from "../../../sdk/time.ts";
import { onlineStoreSuite } from "../../conformance/online_store.ts";
import { batchOf, keyOf, read, valueOf } from "../../support/online_rows.ts";

const folders: string[] = [];
const folder = () => {
  const path = mkdtempSync(join(tmpdir(), "varve-lmdb-"));
  folders.push(path);
  return path;
};
afterAll(() => folders.forEach((path) => rmSync(path, { recursive: true, force: true })));

onlineStoreSuite("LMDB", async () => {
  const path = folder();
  return { open: () => lmdbOnlineStore(path), dispose: async () => {} };
});

/** Runs a program of this folder's sources in a process of its own; gives what it printed and its exit code. */
async function run(program: string, limits = "true"): Promise<{ code: number; output: string }> {
  const sources = new URL("../../..", import.meta.url).href;
  const text = `
    import { lmdbOnlineStore } from "${sources}sdk/storage/online_lmdb.ts";
    import { batchOf, keyOf, read, valueOf } from "${sources}test/support/online_rows.ts";
    ${program}`;
  const child = spawn("sh", [
    "-c",
    `${limits}; exec "$0" "$@"`,
    process.execPath,
    "--import",
    "tsx",
    "--input-type=module",
    "-e",
    text,
  ], {
    cwd: new URL("../../..", import.meta.url).pathname,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let errors = "";
  child.stdout.on("data", (chunk) => output += chunk);
  child.stderr.on("data", (chunk) => errors += chunk);
  const [code] = await once(child, "close");
  return { code, output: code === 0 ? output : output + errors };
}

describe("lmdbOnlineStore()", () => {
  test("is shared by processes: none loses another's newer value", async () => {
    const path = folder();
    const store = lmdbOnlineStore(path);
    const collection = await store.newCollection();
    const writer = (offset: number) => `
      const store = lmdbOnlineStore(${JSON.stringify(path)});
      for (let round = 0; round < 30; round++) {
        const rows = Array.from({ length: 300 }, (_, i) => { const at = (i * 31 + round * 17 + ${offset}) % 5000; return [i, at, 1, at]; });
        await store.merge("${collection}", batchOf(rows));
      }
      await store.close();`;
    const ended = await Promise.all([run(writer(1)), run(writer(2500))]);
    expect(ended).toEqual([{ code: 0, output: "" }, { code: 0, output: "" }]);
    const newest = Array.from(
      { length: 300 },
      (_, i) =>
        Math.max(
          ...[1, 2500].flatMap((offset) =>
            Array.from({ length: 30 }, (_, round) => (i * 31 + round * 17 + offset) % 5000)
          ),
        ),
    );
    expect(await read(store, collection, newest.map((_, i) => i))).toEqual(newest);
    await store.close();
  });

  test("sees at once what another process wrote, also when the file has grown", async () => {
    const path = folder();
    const store = lmdbOnlineStore(path);
    await store.load("a", batchOf([[1, 1, 1, 1]]));
    expect(await read(store, "a", [1, 2])).toEqual([1, undefined]);
    const { code, output } = await run(`
      const store = lmdbOnlineStore(${JSON.stringify(path)});
      const big = Buffer.concat([Buffer.from(valueOf(1, 1, 1)), Buffer.alloc(1 << 20)]);
      for (let i = 0; i < 40; i++) await store.load("b", { keys: [keyOf(i)], values: [big] });
      await store.load("a", batchOf([[2, 1, 1, 2]]));
      await store.close();`);
    expect({ code, output }).toEqual({ code: 0, output: "" });
    expect(await read(store, "a", [1, 2])).toEqual([1, 2]);
    expect((await store.getMany(["b"], [keyOf(39)]))[0]!.length).toBeGreaterThan(1 << 20);
    await store.close();
  });

  test("prune() removes what has expired, by its clock", async () => {
    const clock = new ManualClock("2001-01-01");
    const store = lmdbOnlineStore(folder(), { clock });
    const at = clock.now();
    const expireAt = [at + 1_000_000n, at + 60_000_000n, undefined];
    await store.merge("a", { keys: [1, 2, 3].map(keyOf), values: [1, 2, 3].map((v) => valueOf(1, 1, v)), expireAt });
    expect(await store.prune()).toBe(0);
    clock.advance("2s");
    expect(await store.prune()).toBe(1);
    expect(await read(store, "a", [1, 2, 3])).toEqual([undefined, 2, 3]);
    clock.advance("1d");
    expect(await store.prune()).toBe(1);
    expect(await read(store, "a", [1, 2, 3])).toEqual([undefined, undefined, 3]);
    await store.close();
  });

  test("has another epoch in another folder, and keeps its own and its values when opened again", async () => {
    const path = folder();
    const first = lmdbOnlineStore(path);
    const epoch = await first.epoch();
    await first.load("a", batchOf([[1, 1, 1, 1]]));
    await first.close();
    const again = lmdbOnlineStore(path);
    const other = lmdbOnlineStore(folder());
    expect(await again.epoch()).toBe(epoch);
    expect(await read(again, "a", [1])).toEqual([1]);
    expect(await other.epoch()).not.toBe(epoch);
    await Promise.all([again.close(), other.close()]);
  });

  test("says EXHAUSTED when the disk is full, and keeps what was there", async () => {
    const path = folder();
    const { code, output } = await run(
      `
      process.on("SIGXFSZ", () => {});
      const store = lmdbOnlineStore(${JSON.stringify(path)});
      await store.load("a", batchOf([[1, 1, 1, 1]]));
      const big = Buffer.concat([Buffer.from(valueOf(1, 1, 1)), Buffer.alloc(1 << 20)]);
      const loads = Array.from({ length: 40 }, (_, i) => store.load("b", { keys: [keyOf(i)], values: [big] }));
      const ended = await Promise.allSettled(loads);
      console.log(...new Set(ended.filter(({ reason }) => reason).map(({ reason }) => reason.code)));
      // A turn later too: nothing is thrown that nobody waits for.
      await new Promise((resolve) => setTimeout(resolve, 100));
      console.log(await read(store, "a", [1]));
      process.exit(0);`,
      "ulimit -f 16384",
    );
    expect({ code, output }).toEqual({ code: 0, output: "EXHAUSTED\n[ 1 ]\n" });
    const store = lmdbOnlineStore(path);
    expect(await read(store, "a", [1])).toEqual([1]);
    await store.load("a", batchOf([[2, 1, 1, 2]]));
    expect(await read(store, "a", [2])).toEqual([2]);
    await store.close();
  });

  test("says what is wrong with a folder that cannot be used", () => {
    expect(() => lmdbOnlineStore("/dev/null/nowhere")).toThrow(expect.objectContaining({ code: "UNAVAILABLE" }));
  });
});
