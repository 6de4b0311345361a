import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import "../../../sdk/engine/install.ts";
import type { ColumnVector } from "../../../sdk/engine/engine.ts";
import { setWarningHook } from "../../../sdk/frame/runtime.ts";
import { materialize } from "../../../sdk/materialize/materialize.ts";
import { readOfView } from "../../../sdk/retrieve/feature_read.ts";
import { type TrainContext, trainingSet, type TrainOptions } from "../../../sdk/retrieve/training.ts";
import type { Schema } from "../../../sdk/schema.ts";
import { Random } from "../../conformance/expr_values.ts";
import { Rig } from "../materialize/rig.ts";
import { randomSource, type SourceRow, type WindowCase, writeSource } from "../materialize/window_rig.ts";
import { days, randomSpine, randomWindowCase, sliceRangeOf, trainingProblem } from "./window_cases.ts";

const runs = Number(process.env["VARVE_RUNS"] ?? 40);
const firstSeed = Number(process.env["VARVE_SEED"] ?? 1);

let rig: Rig;
beforeAll(async () => {
  rig = await Rig.open();
  // Spines ask for times after the last slice.
  setWarningHook(() => undefined);
});
afterAll(() => rig.close());

const spineSchema: Schema = [
  { name: "a", type: "string" },
  { name: "b", type: "int64" },
  { name: "ts", type: "timestamp" },
  { name: "label", type: "int32" },
];

/** Writes a spine; gives its path. */
async function writeSpine(rows: readonly SourceRow[]): Promise<string> {
  const session = await rig.engine.session();
  const columns = spineSchema.map(({ name }): ColumnVector => ({
    values: rows.map((row) => row[name]),
    hasNulls: true,
    isNull: (row) => rows[row]![name] === null,
  }));
  const path = join(rig.folder, "spine.parquet");
  const { sql } = await session.fill("spine", spineSchema, [{ rowCount: rows.length, columns }]);
  await session.writeParquet(sql, path);
  session.close();
  return path;
}

/** The rows of a training set in row form. */
async function trained(each: WindowCase, spine: string, options: TrainOptions): Promise<SourceRow[]> {
  const context: TrainContext = { engine: rig.engine, tables: () => rig.table() };
  const reads = [readOfView({ definition: each.view, version: 1 })];
  const set = await trainingSet(
    { reads, spine, eventTimestamp: "ts", statuses: true, effectiveTimestamps: true, ...options },
    context,
  );
  const path = join(rig.folder, "set.parquet");
  await set.parquet(path);
  set.close();
  return await rowsOf(path, set.schema);
}

async function rowsOf(path: string, schema: Schema): Promise<SourceRow[]> {
  const session = await rig.engine.session();
  const rows: SourceRow[] = [];
  for (const { rowCount, columns } of await session.collectBatches(`SELECT * FROM read_parquet('${path}')`, schema)) {
    for (let row = 0; row < rowCount; row++) {
      rows.push(
        Object.fromEntries(
          schema.map(({ name }, i) => [name, columns[i]!.isNull(row) ? null : columns[i]!.values[row]]),
        ),
      );
    }
  }
  session.close();
  return rows;
}

async function checkSeed(seed: number): Promise<void> {
  const random = new Random(seed);
  const each = randomWindowCase(rig, random);
  const { view } = each;
  rig.use(`seed-${seed}`);
  const source = randomSource(random, each, 1 + random.below(250), days);
  await writeSource(rig, each, source);
  const probes = randomSpine(random, source, 1 + random.below(60));
  const spine = await writeSpine(probes);
  for (const asOf of ["effective", "event"] as const) {
    let rows: SourceRow[];
    try {
      rows = await trained(each, spine, { from: "source", asOf });
    } catch (error) {
      // A sum may leave 64 bits; then the oracle says so as well.
      expect(String(error), `seed ${seed}`).toMatch(/leaves 64 bits/);
      expect(() => trainingProblem(each, source, probes, [], asOf), `seed ${seed}`).toThrow();
      return;
    }
    expect(trainingProblem(each, source, probes, rows, asOf), `seed ${seed}, ${asOf}`).toBeUndefined();
    const range = sliceRangeOf(view);
    await materialize({ definition: view, version: 1, range, overwrite: false }, {
      engine: rig.engine,
      table: rig.table(),
      clock: rig.clock,
      tempDir: rig.tempDir,
    });
    const stored = trained(each, spine, { from: "offline", asOf });
    if (asOf === "event" && view.edge === "fresh") await expect(stored).rejects.toThrow(/read from: "source"/);
    else expect(await stored, `seed ${seed}, ${asOf}, offline`).toEqual(rows);
  }
}

describe("training over windows", () => {
  it(`is what plain loops say, from the source and from the table: ${runs} random views`, async () => {
    for (let seed = firstSeed; seed < firstSeed + runs; seed++) await checkSeed(seed);
  }, 60_000 + 2_000 * runs);
});
