import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDuckDbEngine } from "../../../sdk/engine/duckdb.ts";
import type { ColumnBatch, Engine, EngineSession, Relation } from "../../../sdk/engine/engine.ts";
import { pointInTimeJoin } from "../../../sdk/retrieve/point_in_time.ts";
import type { FeatureRows } from "../../../sdk/retrieve/positions.ts";
import { sliceRange, sourceRows } from "../../../sdk/retrieve/source_rows.ts";
import { loadSpine } from "../../../sdk/retrieve/spine.ts";
import { type OracleRow, pointInTimeOracle } from "../../oracle/point_in_time.ts";
import { asFiles, inFile, type PointInTimeCase, pointInTimeCase, type ViewCase } from "./cases.ts";

let engine: Engine;
let folder: string;

beforeAll(() => {
  engine = createDuckDbEngine({ threads: 2 });
  folder = mkdtempSync(join(tmpdir(), "varve-pit-"));
});

afterAll(async () => {
  await engine.close();
  rmSync(folder, { recursive: true, force: true });
});

const all = { statuses: true, effectiveTimestamps: true };

/** Rows in row form, as the oracle has them; days as text. */
async function rowForm(session: EngineSession, { sql, schema }: Relation): Promise<OracleRow[]> {
  const rows: OracleRow[] = [];
  const value = (batch: ColumnBatch, column: number, row: number) => {
    const vector = batch.columns[column]!;
    if (vector.isNull(row)) return null;
    const value = vector.values[row];
    return batch.columns[column]!.values instanceof Int32Array && schema[column]!.type === "date"
      ? new Date(Number(value) * 86_400_000).toISOString().slice(0, 10)
      : value;
  };
  for await (const batch of session.batches(sql, schema)) {
    for (let row = 0; row < batch.rowCount; row++) {
      rows.push(Object.fromEntries(schema.map((field, i) => [field.name, value(batch, i, row)])));
    }
  }
  return rows;
}

/** The join from the source, and from files as materialization leaves them. */
async function joined(
  session: EngineSession,
  test: PointInTimeCase,
  name: string,
): Promise<Record<"source" | "files", OracleRow[]>> {
  const views: ViewCase[] = [];
  for (const [i, view] of test.views.entries()) views.push(await inFile(session, view, folder, `${name}_${i}`));
  const spine = await loadSpine(session, test.spine as object[], views.map(({ read }) => read), {
    ...all,
    schema: test.spineSchema,
    eventTimestamp: "ts",
  });
  const until = test.spine.map((row) => row["ts"] as bigint).reduce((a, b) => a > b ? a : b) + 1n;
  const sources: FeatureRows[] = [];
  const files: FeatureRows[] = [];
  for (const [i, view] of views.entries()) {
    const rows = await sourceRows(session, view.definition, sliceRange(view.definition, until));
    sources.push(rows);
    files.push(await asFiles(session, view, rows, folder, `${name}_${i}_part`));
  }
  const join = async (rows: FeatureRows[], more: { rowsPerSweep?: number } = {}) =>
    await rowForm(
      session,
      await pointInTimeJoin(session, spine, views.map(({ read }, i) => ({ read, rows: rows[i]! })), {
        asOf: test.asOf,
        ...all,
        ...more,
      }),
    );
  return { source: await join(sources), files: await join(files, { rowsPerSweep: 7 }) };
}

describe("pointInTimeJoin()", () => {
  it("gives what plain loops give, from the source and from files (S2–S4, S6–S8)", async () => {
    let number = 0;
    await fc.assert(
      fc.asyncProperty(pointInTimeCase, async (test) => {
        const session = await engine.session();
        try {
          const expected = pointInTimeOracle(test.spine, test.views.map(({ oracle }) => oracle), test.asOf);
          const found = await joined(session, test, `case${number++}`);
          expect(found.source).toEqual(expected);
          expect(found.files).toEqual(expected);
        } finally {
          session.close();
        }
      }),
      { numRuns: process.env["VARVE_DEEP"] ? 2_000 : 100 },
    );
  }, process.env["VARVE_DEEP"] ? 3_600_000 : 120_000);

  it("tells times apart to the microsecond over more than 285 years", async () => {
    const session = await engine.session();
    const old = -12_000_000_000_000_000n; // 1589
    const recent = 1_700_000_000_000_001n;
    const [found] = fc.sample(pointInTimeCase, { seed: 1, numRuns: 50 }).flatMap(({ views }) => views)
      .filter(({ oracle }) => oracle.joinKeys[0] === "k" && !("k" in oracle.joinKeyMap));
    const row = (event_timestamp: bigint, x: number) => ({
      k: "a",
      event_timestamp,
      written: null,
      x,
      s: null,
      position: null,
      until: null,
      place: x,
    });
    const definition = {
      ...found!.definition,
      start: "1500-01-01T00:00:00Z",
      ttl: "forever",
      features: [{ name: "x", type: "float64" as const }],
    };
    const read = { ...found!.read, definition, features: [{ feature: "x", as: "x" }] };
    const view = await inFile(
      session,
      { ...found!, definition, read, rows: [row(recent, 3), row(old, 1), row(recent - 1n, 2)] },
      folder,
      "centuries",
    );
    const spine = [old - 1n, old, recent - 1n, recent].map((ts) => ({ k: "a", ts }));
    const schema = [{ name: "k", type: "string" }, { name: "ts", type: "timestamp" }] as const;
    const reads = [view.read];
    const loaded = await loadSpine(session, spine, reads, { statuses: false, effectiveTimestamps: false, schema });
    await session.run(`CREATE TEMP TABLE centuries AS SELECT k, event_timestamp, x FROM case_rows`);
    const joins = [{ read: view.read, rows: { kind: "table", table: "centuries" } as const }];
    const relation = await pointInTimeJoin(session, loaded, joins, {
      asOf: "event",
      statuses: false,
      effectiveTimestamps: false,
    });
    expect((await rowForm(session, relation)).map(({ x }) => x)).toEqual([null, 1, 2, 3]);
    session.close();
  });
});
