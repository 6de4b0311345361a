import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import pl from "nodejs-polars";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDuckDbEngine } from "../../../sdk/engine/duckdb.ts";
import type { Engine } from "../../../sdk/engine/engine.ts";
import "../../../sdk/engine/install.ts";
import { setWarningHook } from "../../../sdk/frame/runtime.ts";
import { closedRange } from "../../../sdk/materialize/due_slices.ts";
import { materialize } from "../../../sdk/materialize/materialize.ts";
import { rebuildTrainingSet, type TrainContext, trainingSet } from "../../../sdk/retrieve/training.ts";
import type { TrainingRecord } from "../../../sdk/retrieve/training_set.ts";
import { FunctionRunner } from "../../../sdk/sandbox/runner.ts";
import type { Row } from "../../../sdk/schema.ts";
import { deltaTable } from "../../../sdk/storage/delta_table.ts";
import { localObjectStore } from "../../../sdk/storage/object_local.ts";
import type { ObjectStore } from "../../../sdk/storage/object_store.ts";
import { ManualClock, Timestamp } from "../../../sdk/time.ts";
import { type OracleRow, pointInTimeOracle } from "../../oracle/point_in_time.ts";
import { hour, inFile, origin, pointInTimeCase, type ViewCase } from "./cases.ts";

let engine: Engine;
let objects: ObjectStore;
let folder: string;
const warnings: string[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "varve-training-"));
  engine = createDuckDbEngine({ threads: 2, tempDirectory: folder });
  objects = localObjectStore(join(folder, "objects"));
  setWarningHook((message) => void warnings.push(message));
});

afterAll(async () => {
  await engine.close();
  await objects.close();
  rmSync(folder, { recursive: true, force: true });
});

const clock = new ManualClock(origin + 24n * hour);
let number = 0;

/** Writes a view's rows to a file and, unless told otherwise, materializes all of it, in tables of their own. */
async function store(
  views: readonly ViewCase[],
  hours?: bigint,
): Promise<{ views: ViewCase[]; context: TrainContext }> {
  const place = `test${number++}`;
  const tables: TrainContext["tables"] = (view, version) =>
    deltaTable(objects, `${place}/${view}/${version}`, { clock });
  const stored: ViewCase[] = [];
  const session = await engine.session();
  for (const [i, view] of views.entries()) stored.push(await inFile(session, view, folder, `${place}_${i}`));
  session.close();
  for (const { definition, oracle } of stored) {
    const closed = closedRange(definition, clock.now())!;
    const range = hours === undefined ? closed : { start: closed.start, end: closed.start + hours * oracle.schedule };
    const table = tables(definition.name, 1);
    await materialize({ definition, version: 1, range, overwrite: false }, {
      engine,
      table,
      clock,
      tempDir: join(folder, "temp"),
    });
  }
  return { views: stored, context: { engine, tables, functions: new FunctionRunner() } };
}

/** What the oracle has in row form, as users see it. */
function userForm(rows: readonly OracleRow[]): Row[] {
  const isTime = (name: string) => name === "ts" || name.endsWith("__effective_timestamp");
  return rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map((
        [name, value],
      ) => [name, isTime(name) && value !== null ? new Timestamp(value as bigint) : value]),
    )
  );
}

/** One view over (a int64, b int32) with known rows. */
function fixedView(): ViewCase {
  const found = fc.sample(pointInTimeCase, { seed: 7, numRuns: 200 }).flatMap((test) => test.views)
    .find(({ oracle }) =>
      oracle.joinKeys.length === 2 && oracle.joinKeys[0] === "a" && Object.keys(oracle.joinKeyMap).length === 0 &&
      oracle.schedule === hour
    )!;
  const at = (h: number) => origin + BigInt(h) * hour;
  const rows = [
    { a: 1n, b: 12, event_timestamp: at(0), written: null, x: 1, s: "one", position: 1n, until: null },
    { a: 11n, b: 2, event_timestamp: at(1), written: null, x: 2, s: "two", position: 2n, until: [1, null] },
    { a: 1n, b: 12, event_timestamp: at(2), written: null, x: 3, s: null, position: 3n, until: [] },
  ];
  const definition = {
    ...found.definition,
    name: "fixed",
    ttl: "forever",
    dataDelay: "0s",
    start: new Timestamp(origin).toString(),
  };
  const features = definition.features.map(({ name, type }) => ({ name, type }));
  const { writtenTimestamp: _, ...rest } = definition;
  const plain = { ...rest, features };
  const names = features.map(({ name }) => ({ feature: name, as: name }));
  return {
    ...found,
    definition: plain,
    rows,
    read: { alias: "fixed", definition: plain, version: 1, features: names, joinKeyMap: {} },
  };
}

const spine = [
  { a: 1n, b: 12, ts: new Timestamp(origin + 3n * hour), label: 1 },
  { a: 11n, b: 2, ts: new Timestamp(origin + hour), label: 2 },
  { a: 11n, b: 2, ts: new Timestamp(origin + 2n * hour), label: 3 },
];

describe("trainingSet()", () => {
  it("gives what plain loops give, from the source and from what was materialized", async () => {
    await fc.assert(
      fc.asyncProperty(pointInTimeCase, async (test) => {
        const { views, context } = await store(test.views);
        const expected = userForm(pointInTimeOracle(test.spine, test.views.map(({ oracle }) => oracle), test.asOf));
        for (const from of ["offline", "source"] as const) {
          const options = {
            statuses: true,
            effectiveTimestamps: true,
            eventTimestamp: "ts",
            schema: test.spineSchema,
            asOf: test.asOf,
            from,
          };
          const set = await trainingSet({
            reads: views.map(({ read }) => read),
            spine: test.spine as Row[],
            ...options,
          }, context);
          expect(await set.rows(), from).toEqual(expected);
          set.close();
        }
      }),
      { numRuns: process.env["VARVE_DEEP"] ? 500 : 15 },
    );
  }, process.env["VARVE_DEEP"] ? 3_600_000 : 120_000);

  it("gives DataFrame, Parquet, Arrow and rows of one join, and tells its schema and versions (S11)", async () => {
    const { views, context } = await store([fixedView()]);
    const set = await trainingSet({ reads: [views[0]!.read], spine }, context);
    expect(set.schema.map(({ name }) => name)).toEqual(["a", "b", "ts", "label", "x", "s", "position", "until"]);
    const rows = await set.rows();
    expect(rows.map(({ x, s, until }) => [x, s, until])).toEqual([[3, null, []], [null, null, null], [2, "two", [
      1,
      null,
    ]]]);
    expect((await set.collect() as pl.DataFrame).getColumn("x").toArray()).toEqual([3, null, 2]);
    expect((await set.arrow() as { numRows: number }).numRows).toBe(3);
    const file = await set.parquet(join(folder, "training.parquet"));
    expect(file.rows).toBe(3);
    expect(set.versions).toEqual({ fixed: { view: "fixed", version: 1, tableVersion: 1 } });
    set.close();
    await expect(async () => await set.rows()).rejects.toThrow(/it is closed/);
  });

  it("accepts a polars DataFrame, a Parquet path and a query as spine", async () => {
    const { views, context } = await store([fixedView()]);
    const first = await trainingSet({ reads: [views[0]!.read], spine }, context);
    const path = join(folder, "spine.parquet");
    await first.parquet(path);
    const columns = ["a", "b", "ts", "label"];
    const expected = await first.rows();
    const frame = pl.readParquet(path, { columns });
    const schema = first.schema.filter(({ name }) => columns.includes(name));
    const query = { kind: "scan", source: { kind: "file", format: "parquet", paths: [path] }, schema } as const;
    for (const input of [frame, { query }]) {
      const set = await trainingSet({ reads: [views[0]!.read], spine: input }, context);
      expect(await set.rows()).toEqual(expected);
      set.close();
    }
    frame.writeParquet(path);
    const set = await trainingSet({ reads: [views[0]!.read], spine: path }, context);
    expect(await set.rows()).toEqual(expected);
    set.close();
  });

  it("is rebuilt byte for byte from its record, also after its view was written again (S11)", async () => {
    const many = Array.from(
      { length: 130_000 },
      (_, i) => ({ a: BigInt(i % 12), b: i % 13, ts: new Timestamp(origin + BigInt(i % 7) * hour), label: i }),
    );
    const { views, context } = await store([fixedView()]);
    const read = views[0]!.read;
    const set = await trainingSet({ reads: [read], spine: many, statuses: true }, context);
    const hash = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
    await set.parquet(join(folder, "a.parquet"));
    const record = JSON.parse(JSON.stringify(set.record)) as TrainingRecord;
    set.close();
    const range = closedRange(read.definition, clock.now())!;
    await materialize({ definition: read.definition, version: 1, range, overwrite: true }, {
      engine,
      table: context.tables("fixed", 1),
      clock,
      tempDir: join(folder, "temp"),
    });
    for (const name of ["b", "c"]) {
      const again = await rebuildTrainingSet(record, many, context);
      expect(again.versions["fixed"]!.tableVersion).toBe(1);
      await again.parquet(join(folder, `${name}.parquet`));
      again.close();
      expect(hash(join(folder, `${name}.parquet`))).toBe(hash(join(folder, "a.parquet")));
    }
    await expect(rebuildTrainingSet(record, many.slice(1), context)).rejects.toThrow(
      /has 129999 rows, the record says 130000/,
    );
    await expect(rebuildTrainingSet({ ...record, from: "source" }, many, context)).rejects.toThrow(/sources change/);
  });

  it("warns of slices that are not materialized, and says which", async () => {
    const { views, context } = await store([fixedView()], 1n);
    const set = await trainingSet({ reads: [views[0]!.read], spine }, context);
    expect(set.warnings).toHaveLength(1);
    expect(set.warnings[0]).toContain("[1969-12-31T23:00:00Z, 1970-01-01T01:00:00Z)");
    expect(warnings).toContain(set.warnings[0]);
    set.close();
  });

  it("refuses a view of which nothing is materialized", async () => {
    const context: TrainContext = {
      engine,
      functions: new FunctionRunner(),
      tables: () => deltaTable(objects, "nowhere", { clock }),
    };
    await expect(trainingSet({ reads: [fixedView().read], spine }, context)).rejects.toThrow(
      /nothing of it is materialized yet; .*from: "source"/,
    );
  });
});

describe("spines", () => {
  const reads = [fixedView().read];
  const context: TrainContext = {
    get engine() {
      return engine;
    },
    functions: new FunctionRunner(),
    tables: () => deltaTable(objects, "nowhere", { clock }),
  };
  const attempt = async (input: Row[], options: object = {}) =>
    await trainingSet({ reads, spine: input, from: "source", ...options }, context);
  const ts = new Timestamp(0n);

  it("need every join key, of its type, and tell all problems at once", async () => {
    const failed = attempt([{ a: "1", time: ts, late: ts, x: 1 }]);
    await expect(failed).rejects.toMatchObject({ code: "INVALID_REQUEST" });
    await expect(failed).rejects.toThrow(/say which of time, late by eventTimestamp/);
    await expect(failed).rejects.toThrow(/join key "a": it is string and view "fixed" has int64; cast it/);
    await expect(failed).rejects.toThrow(
      /join key "b": view "fixed" needs it and the spine has no such column; columns are a, time, late, x/,
    );
    await expect(failed).rejects.toThrow(/column "x": view "fixed" and the spine both have it/);
  });

  it("need one time per row", async () => {
    await expect(attempt([{ a: 1n, b: 1 }])).rejects.toThrow(/no column is a timestamp; columns are a int64, b int32/);
    await expect(attempt([{ a: 1n, b: 1, ts }], { eventTimestamp: "b" })).rejects.toThrow(
      /column "b" is int32, not timestamp; timestamp columns are ts/,
    );
    await expect(attempt([{ a: 1n, b: 1, ts }], { eventTimestamp: "tts" })).rejects.toThrow(/there is no column "tts"/);
    await expect(attempt([{ a: 1n, b: 1, ts }, { a: 1n, b: 1, ts: null }])).rejects.toThrow(
      /1 of 2 rows have no time, the first is row 1/,
    );
  });

  it("need rows", async () => {
    await expect(attempt([])).rejects.toThrow(/it has no rows/);
  });
});
