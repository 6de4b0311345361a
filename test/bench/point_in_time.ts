/**
 * The point-in-time join to Parquet, inside varve's API and from a real Delta table, against the best queries one would
 * write by hand. Figures are CPU (all threads of this process), medians of interleaved rounds.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pl from "nodejs-polars";
import type { ViewDefinition } from "../../sdk/define/definitions.ts";
import { createDuckDbEngine } from "../../sdk/engine/duckdb.ts";
import type { Engine, EngineSession } from "../../sdk/engine/engine.ts";
import { partCompression } from "../../sdk/materialize/staged.ts";
import { readOfView } from "../../sdk/retrieve/feature_read.ts";
import { trainingSet } from "../../sdk/retrieve/training.ts";
import { FunctionRunner } from "../../sdk/sandbox/runner.ts";
import type { Field } from "../../sdk/schema.ts";
import type { DeltaFile, DeltaTable } from "../../sdk/storage/delta_format.ts";
import { deltaTable } from "../../sdk/storage/delta_table.ts";
import { localObjectStore } from "../../sdk/storage/object_local.ts";
import { formatTimestamp } from "../../sdk/time.ts";
import "../../sdk/engine/install.ts";

/** One measured method. */
export interface BenchRow {
  readonly method: string;
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
}

export interface BenchResult {
  readonly name: string;
  readonly ratios: Readonly<Record<string, number>>;
  readonly rows: readonly BenchRow[];
}

const day = 86_400_000_000n;
const origin = 978_307_200_000_000n; // 2001-01-01
const days = 100;
const scale = Number(process.env["VARVE_BENCH_SCALE"] ?? 1);
const entities = 100_000;
const spineRows = Math.round(1_000_000 * scale);
const featureNames = Array.from({ length: 10 }, (_, i) => `f${i}`);
const columns = ["user_id", "event_timestamp", ...featureNames];

/** How often everything is measured. */
const rounds = 5;

/** Runs the benchmark. */
export async function run(): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), "varve-bench-pit-"));
  try {
    const data = await prepare(folder);
    const measured = await measureOne(data, rounds);
    const limited = await medianOf(rounds, () => withEngine("512MB", (engine) => ours(engine, data, [data.big])));
    const five = await medianOf(rounds, () => withEngine(undefined, (engine) => ours(engine, data, data.small)));
    const cpu = (method: string) => measured.find((row) => row.method === method)!.cpuSeconds;
    const own = measured.find((row) => row.method === "varve")!;
    const hand = measured.filter((row) => row.method !== "varve" && row.method !== "full scan").map((row) =>
      row.cpuSeconds
    );
    return {
      name: "point-in-time",
      ratios: {
        cpu_vs_scan: own.cpuSeconds / cpu("full scan"),
        cpu_vs_best_query: own.cpuSeconds / Math.min(...hand),
        wall_at_512mb_vs_unlimited: limited.wallSeconds / own.wallSeconds,
        five_views_rows_per_s: spineRows / five.wallSeconds,
      },
      rows: [...measured, { method: "varve at 512 MB", ...limited }, {
        method: "varve, five views of 2 M rows",
        ...five,
      }],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface BenchView {
  readonly definition: ViewDefinition;
  readonly table: DeltaTable;
  /** Its files, by time. */
  readonly paths: readonly string[];
}

interface BenchData {
  readonly folder: string;
  readonly spine: string;
  /** The spine by time, with the last instant that each row may see. */
  readonly spineByTime: string;
  readonly big: BenchView;
  readonly small: readonly BenchView[];
  /** The rows of the big view in one file, by event timestamp: what a presorted join wants. */
  readonly byTime: string;
}

async function prepare(folder: string): Promise<BenchData> {
  return await withEngine(undefined, async (engine) => {
    const session = await engine.session();
    try {
      const big = await makeView(session, folder, "big", Math.round(100_000 * scale));
      const small = [];
      for (let i = 0; i < 5; i++) small.push(await makeView(session, folder, `small${i}`, Math.round(20_000 * scale)));
      const spine = join(folder, "spine.parquet");
      await session.writeParquet(
        `SELECT (random() * ${entities - 1})::BIGINT AS user_id, make_timestamptz(${origin} + (random() * ${
          BigInt(days) * day
        })::BIGINT) AS ts, ` +
          `random() AS label FROM range(${spineRows})`,
        spine,
      );
      const byTime = join(folder, "by_time.parquet");
      await session.writeParquet(`SELECT ${columns.join(", ")} FROM ${scan(big)} ORDER BY event_timestamp`, byTime, {
        compression: partCompression,
      });
      const spineByTime = join(folder, "spine_by_time.parquet");
      await session.writeParquet(
        `SELECT *, ${knownSql} AS known FROM read_parquet('${spine}') ORDER BY known`,
        spineByTime,
      );
      return { folder, spine, spineByTime, big, small, byTime };
    } finally {
      session.close();
    }
  });
}

/** A view with its Delta table of daily slices, as materialization writes them. */
async function makeView(session: EngineSession, folder: string, name: string, rowsPerDay: number): Promise<BenchView> {
  const fields: Field[] = featureNames.map((feature) => ({ name: feature, type: "float64" }));
  const definition: ViewDefinition = {
    kind: "view",
    name,
    mode: "attributes",
    entity: { kind: "entity", name: "user", joinKeys: [{ name: "user_id", type: "int64" }] },
    query: undefined as never, // not read from the source
    eventTimestamp: "event_timestamp",
    features: fields,
    schedule: "1d",
    dataDelay: "0s",
    start: formatTimestamp(origin),
    ttl: "forever",
    lookback: 0,
    online: false,
    offline: true,
  };
  const table = deltaTable(localObjectStore(join(folder, "store")), `views/${name}/1`);
  const stamps = ["event_timestamp", "effective_timestamp", "written_timestamp"].map((stamp): Field => ({
    name: stamp,
    type: "timestamp",
  }));
  await table.create([{ name: "user_id", type: "int64" }, ...stamps, ...fields], { at: 0 });
  const files: DeltaFile[] = [];
  mkdirSync(join(folder, "parts"), { recursive: true });
  for (let i = 0; i < days; i++) {
    const slice = { start: origin + BigInt(i) * day, end: origin + BigInt(i + 1) * day };
    const path = join(folder, "parts", `${name}-${i}.parquet`);
    const written = await session.writeParquet(sliceSql(i, slice.start, rowsPerDay), path, {
      compression: partCompression,
    });
    const part = { rows: written.rows, slice, minEventTimestamp: slice.start, maxEventTimestamp: slice.end - 1n };
    files.push(await table.addPart(path, part, "bench"));
  }
  await table.commit({ runId: "bench", readVersion: 0, slices: files.map((file) => file.slice), files, info: {} });
  const snapshot = await table.snapshot();
  return { definition, table, paths: await table.localPaths(snapshot.files) };
}

/** A third money-like, a third random doubles, a third small counts; one value in fifty is null. */
function sliceSql(slice: number, start: bigint, rows: number): string {
  const values = featureNames.map((feature, i) => {
    const value = ["round(random() * 1000, 2)", "random()", `(hash(e, ${slice}, ${i}) % 1000)::DOUBLE`][i % 3]!;
    return `CASE WHEN hash(e, ${i}) % 50 = 0 THEN NULL ELSE ${value} END AS ${feature}`;
  });
  const end = `make_timestamptz(${start + day})`;
  return `SELECT e AS user_id, make_timestamptz(${start} + (random() * ${
    day - 1n
  })::BIGINT) AS event_timestamp, ${end} AS effective_timestamp, ` +
    `${end} AS written_timestamp, ${values.join(", ")} FROM (SELECT (random() * ${
      entities - 1
    })::BIGINT AS e FROM range(${rows})) ORDER BY 1, 2`;
}

function scan({ paths }: BenchView, more = ""): string {
  return `read_parquet([${paths.map((path) => `'${path}'`).join(", ")}]${more})`;
}

interface Cost {
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
}

async function cost(action: () => Promise<void>): Promise<Cost> {
  const started = performance.now();
  const before = process.cpuUsage();
  await action();
  const { user, system } = process.cpuUsage(before);
  return { cpuSeconds: (user + system) / 1e6, wallSeconds: (performance.now() - started) / 1e3 };
}

async function withEngine<T>(memoryLimit: string | undefined, action: (engine: Engine) => Promise<T>): Promise<T> {
  const engine = createDuckDbEngine(memoryLimit === undefined ? {} : { memoryLimit });
  try {
    return await action(engine);
  } finally {
    await engine.close();
  }
}

async function medianOf(count: number, action: () => Promise<Cost>): Promise<Cost> {
  const costs: Cost[] = [];
  for (let i = 0; i < count; i++) costs.push(await action());
  return median(costs);
}

function median(costs: readonly Cost[]): Cost {
  const middle = (values: number[]) => values.sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!;
  return { cpuSeconds: middle(costs.map((c) => c.cpuSeconds)), wallSeconds: middle(costs.map((c) => c.wallSeconds)) };
}

const output = (data: BenchData) => join(data.folder, "out.parquet");

async function ours(engine: Engine, data: BenchData, views: readonly BenchView[]): Promise<Cost> {
  return await cost(async () => {
    const reads = views.map(({ definition }) => ({
      ...readOfView({ definition, version: 1 }),
      features: featureNames.map((feature) => ({
        feature,
        as: views.length === 1 ? feature : `${definition.name}_${feature}`,
      })),
    }));
    const tables = (name: string) => views.find(({ definition }) => definition.name === name)!.table;
    const set = await trainingSet({ reads, spine: data.spine }, { engine, tables, functions: new FunctionRunner() });
    await set.parquet(output(data));
    set.close();
  });
}

/** Each in turn, round after round, so that a busy minute hurts all alike; the slow classics once. */
async function measureOne(data: BenchData, rounds: number): Promise<BenchRow[]> {
  const methods = handWritten(data);
  const costs = new Map<string, Cost[]>();
  const note = (method: string, value: Cost) => costs.set(method, [...costs.get(method) ?? [], value]);
  const expected = { rows: 0, sum: 0 };
  for (let round = 0; round < rounds; round++) {
    note("varve", await withEngine(undefined, (engine) => ours(engine, data, [data.big])));
    if (round === 0) Object.assign(expected, await checksum(data));
    for (const { method, once, action } of methods) {
      if (once && round > 0) continue;
      note(method, await withEngine(undefined, (engine) => cost(() => action(engine))));
      if (round === 0 && method !== "full scan") await check(method, data, expected);
    }
  }
  return [...costs].map(([method, all]) => ({ method, ...median(all) }));
}

async function checksum(data: BenchData): Promise<{ rows: number; sum: number }> {
  if (!existsSync(output(data))) throw new Error("Cannot check the result: nothing was written");
  return await withEngine(undefined, async (engine) => {
    const session = await engine.session();
    const all = featureNames.map((feature) => `sum(coalesce(${feature}, 0.25)::DECIMAL(18, 6))`).join(" + ");
    const [row] = await session.rows(
      `SELECT count(*)::DOUBLE AS n, (${all})::DOUBLE AS total FROM read_parquet('${output(data)}')`,
    );
    session.close();
    return { rows: Number(row!["n"]), sum: Number(row!["total"]) };
  });
}

async function check(method: string, data: BenchData, expected: { rows: number; sum: number }): Promise<void> {
  const found = await checksum(data);
  rmSync(output(data));
  if (found.rows !== expected.rows || Math.abs(found.sum / expected.sum - 1) > 1e-9) {
    throw new Error(`${method} gives another result: ${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`);
  }
}

/** The last micro whose daily interval had ended by the row's time (S4). */
const knownSql = `make_timestamptz(epoch_us(ts) // ${day} * ${day} - 1)`;

interface Method {
  readonly method: string;
  readonly once?: boolean;
  readonly action: (engine: Engine) => Promise<void>;
}

/** What one would write by hand. They need not keep the spine's order (S2), which spares them a sort that varve pays for. */
function handWritten(data: BenchData): Method[] {
  const features = featureNames.map((feature) => `f.${feature}`).join(", ");
  const spine = `(SELECT *, ${knownSql} AS known, file_row_number AS n ` +
    `FROM read_parquet('${data.spine}', file_row_number = true))`;
  const parquet = (method: string, sql: string, once = false): Method => ({
    method,
    once,
    action: async (engine) => {
      const session = await engine.session();
      await session.writeParquet(sql, output(data));
      session.close();
    },
  });
  const on = "ON s.user_id = f.user_id AND s.known >= f.event_timestamp";
  const positions = scan(data.big, ", file_row_number = true");
  const place = "(file_index::BIGINT << 32) + file_row_number";
  return [
    {
      method: "full scan",
      action: async (engine) => {
        const session = await engine.session();
        await session.rows(
          `SELECT ${columns.map((column) => `max(${column})`).join(", ")} FROM ${scan(data.big)}`,
        );
        session.close();
      },
    },
    parquet(
      "DuckDB ASOF",
      `SELECT s.user_id, ts, label, ${features} FROM ${spine} s ASOF LEFT JOIN ${scan(data.big)} f ${on}`,
    ),
    parquet(
      "DuckDB ASOF on keys, late fetch",
      `WITH hits AS MATERIALIZED (SELECT s.*, f.p FROM ${spine} s ASOF LEFT JOIN (SELECT user_id, event_timestamp, ${place} AS p FROM ${positions}) f ${on}) ` +
        `SELECT user_id, ts, label, ${features} FROM hits LEFT JOIN (SELECT ${
          featureNames.join(", ")
        }, ${place} AS p FROM ${positions}) f USING (p)`,
    ),
    parquet(
      "join, arg_max(struct)",
      `WITH best AS (SELECT s.n, arg_max(struct_pack(${
        featureNames.map((f) => `${f} := f.${f}`).join(", ")
      }), f.event_timestamp) AS f ` +
        `FROM ${spine} s JOIN ${scan(data.big)} f ${on} GROUP BY s.n) SELECT user_id, ts, label, ${
          featureNames.map((f) => `f.${f}`).join(", ")
        } ` +
        `FROM ${spine} s LEFT JOIN best USING (n)`,
      true,
    ),
    parquet(
      "join, row_number() = 1",
      `SELECT s.user_id, ts, label, ${features} FROM ${spine} s LEFT JOIN ${scan(data.big)} f ${on} ` +
        `QUALIFY row_number() OVER (PARTITION BY s.n ORDER BY f.event_timestamp DESC) = 1`,
      true,
    ),
    {
      method: "polars joinAsof, presorted file",
      // Its spine comes sorted, with the instants already rounded: the most that a careful writer could prepare.
      action: async () => {
        const right = pl.readParquet(data.byTime, { columns });
        const joined = pl.readParquet(data.spineByTime).joinAsof(right, {
          leftOn: "known",
          rightOn: "event_timestamp",
          by: "user_id",
        });
        joined.select("user_id", "ts", "label", ...featureNames).writeParquet(output(data), { compression: "zstd" });
        await Promise.resolve();
      },
    },
  ];
}
