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
import { asFiles, inFile, type PointInTimeCase, pointInTimeCase } from "./cases.ts";

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
  const views = [];
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
  const join = async (rows: FeatureRows[]) =>
    await rowForm(
      session,
      await pointInTimeJoin(session, spine, views.map(({ read }, i) => ({ read, rows: rows[i]! })), {
        asOf: test.asOf,
        ...all,
      }),
    );
  return { source: await join(sources), files: await join(files) };
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
      { numRuns: process.env["VARVE_DEEP"] ? 3_000 : 100 },
    );
  }, process.env["VARVE_DEEP"] ? 3_600_000 : 120_000);
});
