import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AggregateView, AttributeView, WindowFeature } from "../../../sdk/define/definitions.ts";
import { createDuckDbEngine } from "../../../sdk/engine/duckdb.ts";
import type { ColumnVector } from "../../../sdk/engine/engine.ts";
import "../../../sdk/engine/install.ts";
import type { DataFrame } from "../../../sdk/engine/polars.ts";
import type { ExprNode } from "../../../sdk/frame/expr_node.ts";
import type { Query } from "../../../sdk/frame/query.ts";
import { setWarningHook } from "../../../sdk/frame/runtime.ts";
import { materialize } from "../../../sdk/materialize/materialize.ts";
import { type FeatureRead, readOfView } from "../../../sdk/retrieve/feature_read.ts";
import {
  rebuildTrainingSet,
  type TrainContext,
  trainingSet,
  type TrainOptions,
} from "../../../sdk/retrieve/training.ts";
import type { TrainingRecord } from "../../../sdk/retrieve/training_set.ts";
import { FunctionRunner } from "../../../sdk/sandbox/runner.ts";
import type { Schema } from "../../../sdk/schema.ts";
import type { DeltaTable } from "../../../sdk/storage/delta_format.ts";
import { Random } from "../../conformance/expr_values.ts";
import { unsignedZeros } from "../../oracle/zeros.ts";
import { january, Rig } from "../materialize/rig.ts";
import { randomSource, type SourceRow, type WindowCase, windowCase, writeSource } from "../materialize/window_rig.ts";
import { inputTypes } from "../window/window_cases.ts";
import { days, loopAll, randomSpine, randomWindowCase, sliceRangeOf, trainingProblem } from "./window_cases.ts";

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
async function trained(
  each: WindowCase,
  spine: string,
  options: Pick<TrainOptions, "asOf" | "from">,
): Promise<SourceRow[]> {
  const context: TrainContext = { engine: rig.engine, functions: new FunctionRunner(), tables: () => rig.table() };
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
      expect(() => loopAll(each, source, probes, asOf), `seed ${seed}`).toThrow(/leaves 64 bits/);
      return;
    }
    expect(trainingProblem(each, source, probes, rows, asOf), `seed ${seed}, ${asOf}`).toBeUndefined();
    await materializeAll(each);
    const stored = trained(each, spine, { from: "offline", asOf });
    if (asOf === "event" && view.edge === "fresh") await expect(stored).rejects.toThrow(/give { from: "source" }/);
    else expect(unsignedZeros(await stored), `seed ${seed}, ${asOf}, offline`).toEqual(unsignedZeros(rows));
  }
}

/** The view over the same rows in two halves: their order in the source is lost. */
function inHalves({ view, ...rest }: WindowCase): WindowCase {
  const half = (isFirst: boolean): Query => {
    const isTrue: ExprNode = call("coalesce", column("flag"), { kind: "literal", type: "boolean", value: false });
    return { kind: "filter", input: view.query, where: isFirst ? isTrue : call("not", isTrue) };
  };
  return { view: { ...view, query: { kind: "union", inputs: [half(true), half(false)] } }, ...rest };
}

const column = (name: string): ExprNode => ({ kind: "column", name });
const call = (operation: "coalesce" | "not", ...args: ExprNode[]): ExprNode => ({ kind: "call", operation, args });

async function materializeAll({ view }: WindowCase, table: DeltaTable = rig.table()): Promise<void> {
  await materialize({ definition: view, version: 1, range: sliceRangeOf(view), overwrite: true }, {
    engine: rig.engine,
    table,
    clock: rig.clock,
    tempDir: rig.tempDir,
  });
}

/** A view whose answers are easy to tell: counts and last values over a day, complete to the hour. */
function plainCase(more: Partial<AggregateView> = {}): WindowCase {
  const each = windowCase(rig, [{ name: "count", type: undefined }, { name: "last", type: "float64" }], {
    schedule: "1h",
    dataDelay: "0s",
    ...more,
  });
  const window = { kind: "time", size: "1d", offset: "0s" } as const;
  const features: WindowFeature[] = [
    { name: "n", type: "int64", aggregation: "f0", window },
    { name: "newest", type: "float64", aggregation: "f1", window, default: -1 },
  ];
  const aggregations = each.view.aggregations.map(({ where: _, ...rest }) => rest);
  return { ...each, view: { ...each.view, aggregations, features } };
}

const event = (at: bigint, x1: number | null, more: Partial<SourceRow> = {}): SourceRow => ({
  a: "x",
  b: 1n,
  t: at,
  w: null,
  g: null,
  flag: null,
  o: null,
  x1,
  ...more,
});
const hour = 3_600_000_000n;

describe("training over windows", () => {
  it(`is what plain loops say, from the source and from the table: ${runs} random views`, async () => {
    for (let seed = firstSeed; seed < firstSeed + runs; seed++) await checkSeed(seed);
  }, 60_000 + 2_000 * runs);

  it("orders rows by their values where the source's order is lost, in tables as well", async () => {
    for (let seed = firstSeed; seed < firstSeed + 10; seed++) {
      const random = new Random(seed);
      const functions = (["last", "firstN", "lastDistinct"] as const).map((name) => ({
        name,
        type: random.pick(inputTypes(name)),
      }));
      const each = inHalves(windowCase(rig, functions, {
        edge: random.pick(["complete", "exact"]),
        ...(random.chance(0.5) && { writtenTimestamp: "w" }),
        features: functions.map(({ type }, i): WindowFeature => ({
          name: `feature_${i}`,
          type: i === 0 ? type! : { list: type! },
          aggregation: `f${i}`,
          window: { kind: "time", size: "1d", offset: "0s" },
        })),
      }, random));
      rig.use(`halves-${seed}`);
      const source = randomSource(random, each, 200, days);
      await writeSource(rig, each, source);
      const spine = await writeSpine(randomSpine(random, source, 40));
      const rows = await trained(each, spine, { from: "source" });
      await materializeAll(each);
      const stored = await trained(each, spine, { from: "offline" });
      expect(unsignedZeros(stored), `seed ${seed}`).toEqual(unsignedZeros(rows));
    }
  });

  it("joins views of attributes and of aggregates into one row per spine row, in its order (S2)", async () => {
    const each = plainCase();
    rig.use("mixed");
    await writeSource(rig, each, [event(january(1), 1), event(january(1) + 5n * hour, 2), event(january(2), null)]);
    const attributes: AttributeView = {
      ...rig.definition({ schedule: "1h", dataDelay: "0s" }),
      name: "attributes",
      query: each.view.query,
      features: [{ name: "x1", type: "float64" }],
    };
    const reads: FeatureRead[] = [
      readOfView({ definition: attributes, version: 0 }),
      {
        alias: "mine",
        definition: each.view,
        version: 0,
        features: [{ feature: "newest", as: "my_newest" }, { feature: "n", as: "my_n" }],
        joinKeyMap: {},
      },
      {
        alias: "yours",
        definition: each.view,
        version: 0,
        features: [{ feature: "n", as: "your_n" }],
        joinKeyMap: { b: "other" },
      },
    ];
    // Longer than the engine's row groups, so that threads could mix them up.
    const count = 300_000;
    const session = await rig.engine.session();
    const spine = join(rig.folder, "mixed.parquet");
    await session.writeParquet(
      `SELECT 'x' AS a, CASE WHEN i % 3 > 0 THEN 1 END::BIGINT AS b, (i % 2)::BIGINT AS other, ` +
        `make_timestamptz(${january(1)} + (i % 48) * ${hour}) AS ts, i::INTEGER AS label FROM range(${count}) t(i)`,
      spine,
    );
    session.close();
    const context: TrainContext = { engine: rig.engine, functions: new FunctionRunner(), tables: () => rig.table() };
    const set = await trainingSet({ reads, spine, from: "source", statuses: true }, context);
    expect(set.schema.map(({ name }) => name)).toEqual([
      ...["a", "b", "other", "ts", "label", "x1", "attributes__status"],
      ...["my_newest", "my_n", "mine__status", "your_n", "yours__status"],
    ]);
    const path = join(rig.folder, "set.parquet");
    await set.parquet(path);
    set.close();
    const rows = await rowsOf(path, set.schema);
    expect(rows).toHaveLength(count);
    for (const [i, row] of rows.entries()) {
      const at = i % 48;
      const n = (at > 0 && at <= 24 ? 1n : 0n) + (at > 5 && at <= 29 ? 1n : 0n) + (at > 24 ? 1n : 0n);
      const newest = at > 29 ? -1 : at > 5 ? 2 : at > 0 ? 1 : -1;
      const status = i % 3 === 0 ? "NULL_KEY" : at > 0 ? "PRESENT" : "MISSING";
      const known = at > 24 ? null : at > 5 ? 2 : at > 0 ? 1 : null;
      const expected = {
        label: i,
        x1: i % 3 === 0 ? null : known,
        attributes__status: status,
        my_newest: i % 3 === 0 ? -1 : newest,
        my_n: i % 3 === 0 ? 0n : n,
        mine__status: status,
        your_n: i % 2 === 0 ? 0n : n,
        yours__status: i % 2 === 0 ? "MISSING" : at > 0 ? "PRESENT" : "MISSING",
      };
      const wrong = Object.entries(expected).filter(([name, value]) => row[name] !== value);
      if (wrong.length > 0) expect(row, `row ${i}`).toMatchObject(expected);
    }
  });

  it("keeps the spine's order with many threads, however it is read (S2)", async () => {
    const each = plainCase();
    rig.use("ordered");
    await writeSource(rig, each, [event(january(1), 1)]);
    const engine = createDuckDbEngine({ threads: 4, memoryLimit: "256MB", tempDirectory: join(rig.folder, "threads") });
    try {
      const count = 300_000;
      const session = await engine.session();
      const spine = join(rig.folder, "ordered.parquet");
      await session.writeParquet(
        `SELECT 'x' AS a, (i % 5)::BIGINT AS b, make_timestamptz(${
          january(2)
        }) AS ts, i::INTEGER AS label FROM range(${count}) t(i)`,
        spine,
      );
      session.close();
      const reads = [readOfView({ definition: each.view, version: 0 })];
      const set = await trainingSet({ reads, spine, from: "source" }, {
        engine,
        functions: new FunctionRunner(),
        tables: () => rig.table(),
      });
      const path = join(rig.folder, "set.parquet");
      await set.parquet(path);
      const stored = await rowsOf(path, set.schema);
      const frame = await set.collect() as DataFrame;
      const rows = await set.rows();
      set.close();
      const labels = frame.getColumn("label").toArray() as number[];
      for (let i = 0; i < count; i++) {
        const n = i % 5 === 1 ? 1n : 0n;
        const isRight = stored[i]!["label"] === i && stored[i]!["n"] === n && labels[i] === i &&
          rows[i]!["label"] === i;
        if (!isRight || rows[i]!["n"] !== n) throw new Error(`row ${i} is not in its place`);
      }
    } finally {
      await engine.close();
    }
  });

  it(
    "is rebuilt byte for byte from its record, also after late rows came, and tells what is missing (S11)",
    async () => {
      for (const edge of ["complete", "exact"] as const) {
        const each = plainCase({ edge, maxRows: 10 });
        rig.use(`rebuilt-${edge}`);
        const source = [event(january(1), 1), event(january(1) + 5n * hour, 2)];
        await writeSource(rig, each, source);
        await materializeAll(each);
        const spine = await writeSpine([
          { a: "x", b: 1n, ts: january(2), label: 0 },
          { a: "x", b: 1n, ts: january(days + 1) + 2n * hour, label: 1 },
        ]);
        const context: TrainContext = {
          engine: rig.engine,
          functions: new FunctionRunner(),
          tables: () => rig.table(),
        };
        const reads = [readOfView({ definition: each.view, version: 1 })];
        const paths = [1, 2, 3].map((i) => join(rig.folder, `set-${i}.parquet`));
        const set = await trainingSet({ reads, spine }, context);
        expect(set.warnings).toEqual([
          expect.stringMatching(
            /^View "values" version 1 is not materialized for \[2001-01-05T00:00:00Z, 2001-01-05T0[23]:00:00Z\) of .* do not count/,
          ),
        ]);
        await set.parquet(paths[0]!);
        const record = JSON.parse(JSON.stringify(set.record)) as TrainingRecord;
        set.close();
        await writeSource(rig, each, [...source, event(january(1) + hour, 7)]);
        await materializeAll(each);
        const again = await rebuildTrainingSet(record, spine, context);
        await again.parquet(paths[1]!);
        again.close();
        const newer = await trainingSet({ reads, spine }, context);
        await newer.parquet(paths[2]!);
        newer.close();
        const [first, second, third] = paths.map((path) => readFileSync(path).toString("base64"));
        expect(second).toBe(first);
        expect(third).not.toBe(first);
      }
    },
  );

  it("refuses rows outside their slices, instants that doubles do not tell apart, and tables that hold too little", async () => {
    const each = plainCase();
    rig.use("refused");
    await writeSource(rig, each, [event(january(1), 1), event(january(1) + 5n * hour, 2)]);
    const spineAt = (ts: bigint) => writeSpine([{ a: "x", b: 1n, ts, label: 0 }]);
    const moved: AggregateView = {
      ...each.view,
      query: {
        kind: "derive",
        input: each.view.query,
        columns: [{
          name: "t",
          expr: {
            kind: "call",
            operation: "plus",
            args: [column("t"), { kind: "literal", type: "duration", value: String(2n * hour) }],
          },
        }],
      },
    };
    await expect(trained({ ...each, view: moved }, await spineAt(january(2)), { from: "source" })).rejects.toThrow(
      /read the source of view "values": column "t" is 2001-01-01T02:00:00Z in a row .* another schedule interval/,
    );
    await expect(trained(each, await spineAt(2n ** 53n + 1n), { from: "source" })).rejects.toThrow(
      /view "values" .* between the years 1685 and 2255/,
    );
    const fresh: AggregateView = { ...each.view, edge: "fresh" };
    await materializeAll({ ...each, view: fresh });
    await expect(trained({ ...each, view: fresh }, await spineAt(january(2)), { asOf: "event" })).rejects.toThrow(
      /"values" by event time from: "offline": .* tiles of 1h; give { from: "source" }/,
    );
  });
});
