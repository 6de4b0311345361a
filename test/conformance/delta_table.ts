import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { VarveError } from "../../sdk/errors.ts";
import type { Schema } from "../../sdk/schema.ts";
import type { DeltaFile, DeltaSnapshot, DeltaTable } from "../../sdk/storage/delta_format.ts";
import { deltaTable, type DeltaTableOptions } from "../../sdk/storage/delta_table.ts";
import type { ObjectStore } from "../../sdk/storage/object_store.ts";
import { ManualClock, type TimeRange } from "../../sdk/time.ts";
import type { ObjectStores } from "./object_store.ts";

const schema: Schema = [
  { name: "origin", type: "string" },
  { name: "event_timestamp", type: "timestamp" },
  { name: "delay", type: "duration" },
];
const day = 86_400_000_000n;
const slice = (n: number): TimeRange => ({ start: BigInt(n) * day, end: BigInt(n + 1) * day });
const path = "views/flights/1";

/** A store that does something of its own on some calls. */
function spoil(store: ObjectStore, own: Partial<ObjectStore>): ObjectStore {
  return new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(own, name) ?? Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const unavailable = () => new VarveError("UNAVAILABLE", "Cannot put: the answer was lost");

/** What every object store must carry: Delta tables that many change at once. `make` gives an empty store each time. */
export function deltaTableConformance(name: string, make: () => Promise<ObjectStores>): void {
  describe(`deltaTable() in ${name}`, () => {
    let stores: ObjectStores;
    let store: ObjectStore;
    let table: DeltaTable;
    let folder: string;
    let attempts = 0;

    const open = (options: DeltaTableOptions = {}, on = stores.open()) =>
      deltaTable(on, path, { checkpointEvery: 5, ...options });
    const part = async (of: TimeRange, content: string, runId: string, on = table): Promise<DeltaFile> => {
      const file = join(folder, `part-${++attempts}`);
      writeFileSync(file, content);
      const rows = content.length;
      return await on.addPart(
        file,
        { rows, slice: of, minEventTimestamp: of.start, maxEventTimestamp: of.start + 1n },
        runId,
      );
    };
    /** A whole attempt: reads the version, writes a part for each slice (none when there is no content), commits. */
    const run = async (
      contents: Readonly<Record<number, string>>,
      options: { on?: DeltaTable; readVersion?: number } = {},
    ) => {
      const { on = table, readVersion = (await on.snapshot()).version } = options;
      const runId = `run-${++attempts}`;
      const files: DeltaFile[] = [];
      for (const [n, content] of Object.entries(contents)) {
        if (content !== "") files.push(await part(slice(Number(n)), content, runId, on));
      }
      const slices = Object.keys(contents).map((n) => slice(Number(n)));
      return await on.commit({ runId, readVersion, slices, files, info: { author: "test" } });
    };
    const contentsOf = async (snapshot: DeltaSnapshot, on = table) => {
      const paths = await on.localPaths(snapshot.files);
      return snapshot.files.map((file, i) => [Number(file.slice.start / day), readFileSync(paths[i]!, "utf8")]);
    };
    const logKeys = async () => {
      const keys: string[] = [];
      for await (const info of store.list(`${path}/_delta_log/`)) keys.push(info.key);
      return keys;
    };

    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), "varve-delta-"));
    });
    beforeEach(async () => {
      stores = await make();
      store = stores.open();
      table = open({}, store);
      await table.create(schema, { at: 1_000, description: "delays" });
    });
    afterEach(async () => {
      await store.close();
      await stores.close();
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    it("snapshot() of a table that does not exist is version -1, and commits are NOT_FOUND", async () => {
      const none = deltaTable(store, "views/none/1");
      expect(await none.snapshot()).toMatchObject({ version: -1, files: [], schema: [] });
      await expect(none.snapshot(0)).rejects.toMatchObject({ code: "NOT_FOUND" });
      const commit = { runId: "r", readVersion: -1, slices: [slice(0)], files: [], info: {} };
      await expect(none.commit(commit)).rejects.toMatchObject({ code: "NOT_FOUND" });
    });

    it("create() is version 0, once, whoever races", async () => {
      const racing = await Promise.all(
        Array.from({ length: 8 }, () => deltaTable(stores.open(), "views/raced/1").create(schema, { at: 5 })),
      );
      for (const snapshot of racing) expect(snapshot).toMatchObject({ version: 0, schema, files: [], timestamp: 5 });
      expect((await open().create(schema, { at: 2_000 })).timestamp).toBe(1_000);
      await expect(open().create(schema.slice(0, 2), { at: 1 })).rejects.toMatchObject({
        code: "SCHEMA_MISMATCH",
        message: expect.stringContaining("origin, event_timestamp, delay"),
      });
    });

    it("commit() replaces whole slices, and records the empty ones", async () => {
      expect(await run({ 0: "a", 1: "b", 2: "" })).toEqual({ outcome: "committed", version: 1 });
      const before = await table.snapshot();
      expect(await contentsOf(before)).toEqual([[0, "a"], [1, "b"]]);
      expect(await run({ 1: "B", 0: "" })).toEqual({ outcome: "committed", version: 2 });
      const after = await open().snapshot();
      expect(await contentsOf(after)).toEqual([[1, "B"]]);
      expect([...after.slices]).toEqual([[0n, 2], [day, 2], [2n * day, 1]]);
      expect(after.files[0]).toMatchObject({ rows: 1, size: 1, slice: slice(1), minEventTimestamp: day, addedIn: 2 });
      expect(await contentsOf(before)).toEqual([[0, "a"], [1, "b"]]);
    });

    it("commit() refuses what makes no sense", async () => {
      const file = await part(slice(0), "x", "r");
      const base = { runId: "r", readVersion: 0, slices: [slice(0)], files: [file], info: {} };
      const overlapping = [slice(0), { start: day / 2n, end: 2n * day }];
      for (
        const wrong of [
          { slices: [] },
          { slices: [slice(1)] },
          { slices: overlapping },
          { slices: [{ start: day, end: day }], files: [] },
          { files: [file, file] },
          { runId: "" },
        ]
      ) {
        await expect(table.commit({ ...base, ...wrong })).rejects.toMatchObject({ code: "INVALID_REQUEST" });
      }
      await expect(table.commit({ ...base, readVersion: 7 })).rejects.toMatchObject({ code: "CONFLICT" });
      await table.commit(base);
      await expect(table.commit({ ...base, runId: "another", readVersion: 1 })).rejects.toMatchObject({
        code: "INVALID_REQUEST",
        message: expect.stringContaining("in the table already"),
      });
    });

    it("the same attempt again is already committed, also from another process and after others", async () => {
      const commit = {
        runId: "once",
        readVersion: 0,
        slices: [slice(0)],
        files: [await part(slice(0), "x", "once")],
        info: {},
      };
      expect(await table.commit(commit)).toEqual({ outcome: "committed", version: 1 });
      expect(await table.commit(commit)).toEqual({ outcome: "already", version: 1 });
      for (let n = 1; n < 8; n++) await run({ [n]: "y" });
      await run({ 0: "newer" });
      expect(await open().commit(commit)).toEqual({ outcome: "already", version: 1 });
      expect((await table.snapshot()).version).toBe(9);
    });

    it("an attempt that was overtaken on one of its slices is fenced, and changes nothing", async () => {
      const { version } = await table.snapshot();
      await run({ 0: "new", 3: "new" });
      expect(await run({ 0: "old", 1: "old" }, { readVersion: version })).toEqual({
        outcome: "fenced",
        version: 1,
        slices: [0n],
      });
      expect(await run({ 1: "other" }, { readVersion: version })).toMatchObject({ outcome: "committed" });
      expect(await contentsOf(await table.snapshot())).toEqual([[0, "new"], [1, "other"], [3, "new"]]);
    });

    it("an empty slice fences too", async () => {
      const { version } = await table.snapshot();
      await run({ 0: "" });
      expect(await run({ 0: "old" }, { readVersion: version })).toMatchObject({ outcome: "fenced", slices: [0n] });
    });

    it("many writers, every slice twice: each slice is committed once, each version once", async () => {
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, i) => run({ [i % 10]: `${i}` }, { on: open(), readVersion: 0 })),
      );
      const committed = results.filter((result) => result.outcome === "committed");
      expect(results.filter((result) => result.outcome === "fenced")).toHaveLength(10);
      expect(new Set(committed.map((result) => result.version)).size).toBe(10);
      const snapshot = await open().snapshot();
      expect(snapshot.version).toBe(10);
      expect(snapshot.files.map((file) => Number(file.slice.start / day))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    });

    it("readers see both slices of a commit or none of them", async () => {
      await run({ 0: "x".repeat(50), 1: "x".repeat(50) });
      let writing = true;
      const read = async () => {
        const reader = open();
        for (let seen = -1; writing;) {
          const snapshot = await reader.snapshot();
          expect(snapshot.version).toBeGreaterThanOrEqual(seen);
          seen = snapshot.version;
          expect(snapshot.files.reduce((rows, file) => rows + file.rows, 0)).toBe(100);
          await new Promise((resolve) => setImmediate(resolve));
        }
      };
      const readers = [read(), read()];
      for (let i = 1; i <= 15; i++) await run({ 0: "x".repeat(i * 6), 1: "x".repeat(100 - i * 6) });
      writing = false;
      await Promise.all(readers);
    });

    it("a commit whose answer was lost counts as its own", async () => {
      let lost = 0;
      const spoilt = spoil(store, {
        putIfAbsent: async (key, body) => {
          await store.putIfAbsent(key, body);
          if (lost++ === 0) throw unavailable();
          return "exists";
        },
      });
      expect(await run({ 0: "x" }, { on: open({}, spoilt) })).toEqual({ outcome: "committed", version: 1 });
      expect(lost).toBe(1);
      const exists = spoil(store, { putIfAbsent: async (key, body) => (await store.putIfAbsent(key, body), "exists") });
      expect(await run({ 1: "x" }, { on: open({}, exists) })).toEqual({ outcome: "committed", version: 2 });
    });

    it("a commit that did not arrive is tried again, a bounded number of times", async () => {
      let failures = 2;
      const spoilt = spoil(store, {
        putIfAbsent: (key, body) => failures-- > 0 ? Promise.reject(unavailable()) : store.putIfAbsent(key, body),
      });
      expect(await run({ 0: "x" }, { on: open({}, spoilt) })).toEqual({ outcome: "committed", version: 1 });
      failures = 1_000;
      await expect(run({ 0: "y" }, { on: open({}, spoilt) })).rejects.toMatchObject({ code: "UNAVAILABLE" });
      expect(failures).toBeGreaterThan(990);
      expect((await table.snapshot()).version).toBe(1);
    });

    it("a commit that arrives late, after its writer gave up, cannot undo a newer one", async () => {
      const late: (() => Promise<unknown>)[] = [];
      const spoilt = spoil(store, {
        putIfAbsent: (key, body) => {
          late.push(() => store.putIfAbsent(key, body));
          return Promise.reject(unavailable());
        },
      });
      await expect(run({ 0: "old" }, { on: open({}, spoilt) })).rejects.toMatchObject({ code: "UNAVAILABLE" });
      expect(await run({ 0: "new" })).toEqual({ outcome: "committed", version: 1 });
      for (const send of late) expect(await send()).toBe("exists");
      expect(await contentsOf(await open().snapshot())).toEqual([[0, "new"]]);
    });

    it("snapshot() has every commit that was there when it was asked, also when an earlier look is still under way", async () => {
      let release = () => {};
      const held = new Promise<void>((resolve) => release = resolve);
      let waits = 0;
      const slow = spoil(store, {
        find: async (key) => {
          const body = await store.find(key);
          if (key.endsWith("1.json") && waits++ === 0) await held;
          return body;
        },
      });
      const reader = open({}, slow);
      const early = reader.snapshot();
      await expect.poll(() => waits).toBe(1);
      await run({ 0: "x" });
      const late = reader.snapshot();
      release();
      expect((await early).version).toBe(0);
      expect((await late).version).toBe(1);
    });

    it("random commits: every version, from checkpoints or the whole log, is what a plain model says", async () => {
      let tables = 0;
      const commits = fc.array(
        fc.dictionary(fc.integer({ min: 0, max: 6 }).map(String), fc.constantFrom("", "a", "bb", "ccc"), {
          minKeys: 1,
        }),
        { minLength: 1, maxLength: 12 },
      );
      await fc.assert(
        fc.asyncProperty(commits, async (sequence) => {
          const at = `views/random/${++tables}`;
          const writer = deltaTable(store, at, { checkpointEvery: 3 });
          await writer.create(schema, { at: 1 });
          const model = new Map<number, string>();
          const versions: [unknown, unknown][] = [];
          for (const contents of sequence) {
            await run(contents, { on: writer });
            for (const [n, content] of Object.entries(contents)) model.set(Number(n), content);
            const live = [...model].filter(([, content]) => content !== "").sort(([a], [b]) => a - b);
            versions.push([live.map(([n, content]) => [n, content.length]), [...model.keys()].sort()]);
          }
          const withoutCheckpoints = spoil(store, {
            find: (key) => key.includes("checkpoint") ? Promise.resolve(undefined) : store.find(key),
          });
          const readers = [
            writer,
            deltaTable(stores.open(), at, { checkpointEvery: 3 }),
            deltaTable(withoutCheckpoints, at),
          ];
          for (const reader of readers) {
            expect((await reader.snapshot()).version).toBe(sequence.length);
            for (const [i, [live, slices]] of versions.entries()) {
              const snapshot = await reader.snapshot(i + 1);
              expect(snapshot.files.map((file) => [Number(file.slice.start / day), file.rows])).toEqual(live);
              expect([...snapshot.slices.keys()].map((start) => Number(start / day)).sort()).toEqual(slices);
              expect(snapshot).toEqual(await writer.snapshot(i + 1));
            }
          }
        }),
        { numRuns: 8 },
      );
    });

    it("a new reader starts from the checkpoint, and from the log when checkpoint or hint are damaged", async () => {
      for (let i = 0; i < 12; i++) await run({ [i % 7]: `${i}` });
      const whole = await table.snapshot();
      const read: string[] = [];
      const watched = spoil(store, { find: (key) => (read.push(key), store.find(key)) });
      expect(await open({}, watched).snapshot()).toEqual(whole);
      const entries = read.filter((key) => key.endsWith(".json")).map((key) => Number(key.slice(-25, -5)));
      expect(Math.min(...entries)).toBe(10);
      const checkpoint = (await logKeys()).findLast((key) => key.endsWith("10.checkpoint.parquet"))!;
      await store.put(checkpoint, (await store.get(checkpoint)).subarray(0, 500));
      expect(await open().snapshot()).toEqual(whole);
      await store.put(`${path}/_delta_log/_last_checkpoint`, "{ torn");
      expect(await open().snapshot()).toEqual(whole);
      expect(await open().snapshot(11)).toEqual(await table.snapshot(11));
    });

    it("a checkpoint that cannot be written does not fail the commit, and is told", async () => {
      const warnings: string[] = [];
      const spoilt = spoil(store, { put: () => Promise.reject(unavailable()) });
      const writer = open({ checkpointEvery: 1, warn: (message) => warnings.push(message) }, spoilt);
      expect(await run({ 0: "x" }, { on: writer })).toEqual({ outcome: "committed", version: 1 });
      expect(warnings).toEqual([expect.stringContaining("checkpoint")]);
    });

    it("changes() says what each version added and removed", async () => {
      await run({ 0: "a", 1: "b" });
      await run({ 1: "c" });
      await run({ 0: "" });
      const files = (changed: readonly DeltaFile[]) =>
        changed.map((file) => [Number(file.slice.start / day), file.addedIn]);
      const changes = (await open().changes(0, 3)).map(({ version, added, removed }) => ({
        version,
        added: files(added),
        removed: removed.map((file) => [Number(file.slice.start / day), file.rows]),
      }));
      expect(changes).toEqual([
        { version: 1, added: [[0, 1], [1, 1]], removed: [] },
        { version: 2, added: [[1, 2]], removed: [[1, 1]] },
        { version: 3, added: [], removed: [[0, 1]] },
      ]);
      expect(await table.changes(3, 3)).toEqual([]);
      await expect(table.changes(0, 9)).rejects.toMatchObject({ code: "CORRUPT" });
    });

    it("history() is newest first, with what the writer said", async () => {
      const clock = new ManualClock("2001-03-01");
      await run({ 0: "a" }, { on: open({ clock }) });
      clock.advance("1h");
      await run({ 1: "b" }, { on: open({ clock }) });
      const history = await table.history(2);
      expect(history.map(({ version }) => version)).toEqual([2, 1]);
      expect(history[0]!.timestamp - history[1]!.timestamp).toBe(3_600_000);
      expect(history[0]!.info).toMatchObject({ author: "test", readVersion: 1 });
      expect(await table.history()).toHaveLength(3);
    });

    it("commit times never go back, whatever the writers' clocks say", async () => {
      const clock = new ManualClock("2001-03-01");
      await run({ 0: "a" }, { on: open({ clock }) });
      clock.set("2000-01-01");
      await run({ 1: "b" }, { on: open({ clock }) });
      expect((await table.snapshot()).timestamp).toBe((await table.snapshot(1)).timestamp);
    });

    it.each(["", '{"add":{"path":"x', "null\n", "{}\n{ torn"])(
      "a torn log entry %j is CORRUPT by its key",
      async (body) => {
        await run({ 0: "a" });
        const key = `${path}/_delta_log/00000000000000000002.json`;
        await store.put(key, body);
        for (const reader of [table, open()]) {
          await expect(reader.snapshot()).rejects.toMatchObject({
            code: "CORRUPT",
            message: expect.stringContaining(key),
          });
        }
        expect(await open().snapshot(1).catch((error) => error.code)).toBe("CORRUPT");
      },
    );

    it("a log without its first entries is CORRUPT, not an empty table", async () => {
      for (let i = 0; i < 6; i++) await run({ 0: `${i}` });
      const keys = await logKeys();
      await store.delete([keys[0]!, keys.find((key) => key.endsWith("5.checkpoint.parquet"))!]);
      await expect(open().snapshot()).rejects.toMatchObject({
        code: "CORRUPT",
        message: expect.stringContaining(keys[0]!),
      });
    });

    it("a newer protocol is UNSUPPORTED: for readers, or for writers only", async () => {
      const entry = (version: number, action: object) =>
        store.put(`${path}/_delta_log/${String(version).padStart(20, "0")}.json`, `${JSON.stringify(action)}\n`);
      await entry(1, { protocol: { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ["rowTracking"] } });
      expect((await table.snapshot()).version).toBe(1);
      await expect(run({ 0: "x" })).rejects.toMatchObject({
        code: "UNSUPPORTED",
        message: expect.stringMatching(/writer version 7.*update varve/),
      });
      await entry(2, { protocol: { minReaderVersion: 3, minWriterVersion: 7, readerFeatures: ["deletionVectors"] } });
      for (const reader of [table, open()]) {
        await expect(reader.snapshot()).rejects.toMatchObject({
          code: "UNSUPPORTED",
          message: expect.stringMatching(/reader version 3.*update varve/),
        });
      }
    });

    it("a change of the columns while an attempt runs is a CONFLICT", async () => {
      const [first] = (await new TextDecoder().decode(await store.get((await logKeys())[0]!))).split("\n")
        .filter((line) => line.includes("metaData"));
      await store.put(`${path}/_delta_log/00000000000000000001.json`, `${first}\n`);
      await expect(run({ 0: "x" }, { readVersion: 0 })).rejects.toMatchObject({
        code: "CONFLICT",
        message: expect.stringContaining("version 1"),
      });
      expect(await run({ 0: "x" })).toMatchObject({ outcome: "committed" });
    });

    it("files that another program added are UNSUPPORTED, by name", async () => {
      const add = { path: "x.parquet", partitionValues: {}, size: 1, modificationTime: 1, dataChange: true };
      await store.put(`${path}/_delta_log/00000000000000000001.json`, `${JSON.stringify({ add })}\n`);
      await expect(table.snapshot()).rejects.toMatchObject({
        code: "UNSUPPORTED",
        message: expect.stringContaining("x.parquet"),
      });
    });

    it("localPaths() of a file that is gone says which, and of one that was cut off that it is corrupt", async () => {
      await run({ 0: "aaaa", 1: "bbbb" });
      const [first, second] = (await table.snapshot()).files;
      await store.put(`${path}/${first!.path}`, "aa");
      await store.delete([`${path}/${second!.path}`]);
      await expect(table.localPaths([first!])).rejects.toMatchObject({ code: "CORRUPT" });
      await expect(table.localPaths([second!])).rejects.toMatchObject({
        code: "NOT_FOUND",
        message: expect.stringContaining(second!.path),
      });
    });

    it("vacuum() removes exactly what no version of the retention has, and only when it is told to", async () => {
      const commits = fc.array(
        fc.record({ n: fc.integer({ min: 0, max: 3 }), hours: fc.integer({ min: 0, max: 30 }) }),
        {
          minLength: 1,
          maxLength: 10,
        },
      );
      let tables = 0;
      await fc.assert(
        fc.asyncProperty(commits, fc.integer({ min: 0, max: 100 }), async (sequence, retentionHours) => {
          const at = `views/vacuumed/${++tables}`;
          // Objects are as old as the computer's clock says, so the story happens in the future.
          const clock = new ManualClock(BigInt(Date.now() + 3_600_000) * 1000n);
          const writer = deltaTable(store, at, { clock, checkpointEvery: 4 });
          await writer.create(schema, { at: Number(clock.now() / 1000n) });
          const times: { version: number; at: number }[] = [];
          for (const { n, hours } of sequence) {
            clock.advance(`${hours * 60 + 1}m`);
            await run({ [n]: "x" }, { on: writer });
            times.push({ version: (await writer.snapshot()).version, at: Number(clock.now() / 1000n) });
          }
          const orphan = await part(slice(0), "orphan", "dead", writer);
          const now = Number(clock.now() / 1000n) + 1;
          const retentionMs = retentionHours * 3_600_000;
          const shown = times.filter((_, i) => (times[i + 1]?.at ?? Infinity) >= now - retentionMs);
          const wanted = new Set<string>();
          for (const { version } of shown) {
            for (const file of (await writer.snapshot(version)).files) wanted.add(file.path);
          }

          const dry = await writer.vacuum({ retentionMs, now });
          const all = async () => {
            const keys: string[] = [];
            for await (const { key } of store.list(`${at}/part-`)) keys.push(key.slice(at.length + 1));
            return keys;
          };
          const before = await all();
          expect(await writer.vacuum({ retentionMs, now, apply: true })).toEqual(dry);
          const oldEnough = now - retentionMs > Date.now();
          expect(await all()).toEqual(oldEnough ? before.filter((path) => wanted.has(path)) : before);
          expect(before).toContain(orphan.path);
          for (const { version } of shown) await writer.localPaths((await writer.snapshot(version)).files);
        }),
        { numRuns: 12 },
      );
    });

    it("vacuum() leaves a part alone that was written but not yet committed, and every entry of the log", async () => {
      const waiting = await part(slice(0), "x", "slow");
      const log = await logKeys();
      expect(await table.vacuum({ retentionMs: 3_600_000, now: Date.now(), apply: true })).toEqual({
        keys: [],
        bytes: 0,
      });
      await table.commit({ runId: "slow", readVersion: 0, slices: [slice(0)], files: [waiting], info: {} });
      await table.vacuum({ retentionMs: 0, now: Date.now() + 3_600_000, apply: true });
      expect(await contentsOf(await table.snapshot())).toEqual([[0, "x"]]);
      expect((await logKeys()).slice(0, log.length)).toEqual(log);
    });

    it("a reader that holds a version reads it through 20 commits and a vacuum within the retention", async () => {
      await run({ 0: "held", 1: "held too" });
      const held = await table.snapshot();
      for (let i = 0; i < 20; i++) await run({ [i % 2]: `${i}` });
      await table.vacuum({ retentionMs: 3_600_000, now: Date.now() + 60_000, apply: true });
      expect(await contentsOf(held)).toEqual([[0, "held"], [1, "held too"]]);
      expect(await table.snapshot(1)).toEqual(held);
    });
  });
}
