/** Frame -> DataFrame against row objects, and the other ways across; one million rows of twelve mixed columns, rounds interleaved. */
import { DuckDBInstance } from "@duckdb/node-api";
import { createDuckDbEngine } from "../../sdk/engine/duckdb.ts";
import type { EngineSession, Relation } from "../../sdk/engine/engine.ts";
import type { Schema } from "../../sdk/schema.ts";

/** What a benchmark gives. */
export interface BenchResult {
  readonly name: string;
  readonly ratios: Record<string, number>;
  readonly rows: object[];
}

const rowCount = 1_000_000;
const rounds = 5;

const schema: Schema = [
  { name: "id", type: "int64" },
  { name: "bucket", type: "int32" },
  { name: "a", type: "float64" },
  { name: "b", type: "float64" },
  { name: "with_nulls", type: "float64" },
  { name: "big", type: "int64" },
  { name: "at", type: "timestamp" },
  { name: "day", type: "date" },
  { name: "flag", type: "boolean" },
  { name: "category", type: "string" },
  { name: "user", type: "string" },
  { name: "small", type: "float32" },
];

const fill = `SELECT range AS id, (range % 1000)::INTEGER AS bucket, random() AS a, random() * 100 AS b,
  CASE WHEN range % 10 = 0 THEN NULL ELSE random() END AS with_nulls, range * 7919 AS big, make_timestamptz(range * 1000000) AS at,
  DATE '2001-01-01' + (range % 365)::INTEGER AS day, range % 2 = 0 AS flag, 'cat' || (range % 50) AS category,
  'user-name-' || (range * 7919 % 100000) AS "user", random()::FLOAT AS small FROM range(${rowCount})`;

/** Runs the benchmark. */
export async function run(): Promise<BenchResult> {
  const engine = createDuckDbEngine();
  const session = await engine.session();
  await session.run(`CREATE TEMP TABLE bench AS ${fill}`);
  const relation: Relation = { sql: "SELECT * FROM bench", schema };
  // Row objects as the library gives them, from a database of its own with the same table.
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  await connection.run(`CREATE TABLE bench AS ${fill}`);
  const ways: Record<string, () => Promise<unknown>> = {
    "row objects": async () => (await connection.runAndReadAll("SELECT * FROM bench")).getRowObjects(),
    "DataFrame": () => session.dataFrame(relation.sql, schema),
    "vectors": () => drain(session, relation),
    "Arrow table": () => session.arrow(relation.sql, schema),
  };
  const frame = await session.dataFrame(relation.sql, schema);
  ways["table of a DataFrame"] = () => session.table("from_frame", frame);
  const times = await interleaved(ways);
  session.close();
  await engine.close();
  connection.closeSync();
  instance.closeSync();
  const base = median(times["row objects"]!);
  const rows = Object.entries(times).map(([way, list]) => ({
    way,
    ms: Math.round(median(list)),
    rowsPerSecond: Math.round(rowCount / (median(list) / 1000)),
    timesRowObjects: round(base / median(list)),
  }));
  return { name: "exchange", ratios: { vs_row_objects: round(base / median(times["DataFrame"]!)) }, rows };
}

async function drain(session: EngineSession, relation: Relation): Promise<number> {
  let rows = 0;
  for await (const batch of session.batches(relation.sql, relation.schema)) rows += batch.rowCount;
  return rows;
}

async function interleaved(ways: Record<string, () => Promise<unknown>>): Promise<Record<string, number[]>> {
  const times: Record<string, number[]> = {};
  for (let round = -1; round < rounds; round++) {
    for (const [name, way] of Object.entries(ways)) {
      const start = performance.now();
      await way();
      // The first round warms up.
      if (round >= 0) (times[name] ??= []).push(performance.now() - start);
    }
  }
  return times;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
