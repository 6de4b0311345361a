/**
 * 10 M rows of a table -> the latest of 1 M keys × 10 features in Redis, against redis-benchmark's pipelined SET of the same
 * value size, in the same run: a first load, and a load after every slice was overwritten, where newer wins. Keys a second, from
 * the first look at the table to the last acknowledgement. Beside them the writing alone, of vectors made beforehand.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createDuckDbEngine } from "../../sdk/engine/duckdb.ts";
import type { ColumnBatch, ColumnVector, Engine } from "../../sdk/engine/engine.ts";
import { Collections } from "../../sdk/materialize/collections.ts";
import { loadOnline } from "../../sdk/materialize/load_online.ts";
import type { Field } from "../../sdk/schema.ts";
import type { DeltaTable } from "../../sdk/storage/delta_format.ts";
import { packBatch, type PackPlan, rowLayout } from "../../sdk/storage/encoding.ts";
import { localObjectStore } from "../../sdk/storage/object_local.ts";
import { redisOnlineStore } from "../../sdk/storage/online_redis.ts";
import type { OnlineStore } from "../../sdk/storage/online_store.ts";
import { writeBatches } from "../../sdk/storage/online_write.ts";
import { systemClock } from "../../sdk/time.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { benchTable, definition } from "./materialize_table.ts";

/** What a benchmark gives. */
export interface BenchResult {
  readonly name: string;
  readonly ratios: Readonly<Record<string, number>>;
  readonly rows: readonly Readonly<Record<string, string | number>>[];
}

/** Batches with the join key, the event timestamp and ten features: from vectors made beforehand, or from a pipeline. */
export type BatchSource = () => AsyncIterable<ColumnBatch> | Iterable<ColumnBatch>;

const keyCount = 1_000_000;
const featureCount = 10;
/** As DuckDB gives them. */
const chunkRows = 2048;

const joinKeys: readonly Field[] = [{ name: "id", type: "int64" }];
const layout = rowLayout(Array.from({ length: featureCount }, (_, i) => ({ name: `f${i}`, type: "float64" as const })));
const plan: PackPlan = {
  joinKeys,
  layout,
  columns: { joinKeys: [0], eventTimestamp: 1, features: Array.from({ length: featureCount }, (_, i) => i + 2) },
};
const valueBytes = layout.run.fixedBytes;

/** How often everything is measured. */
const rounds = 5;

/** Runs the benchmark. */
export async function run(): Promise<BenchResult> {
  const folder = await mkdtemp(join(tmpdir(), "varve-bench-"));
  const server = await startRedis();
  const store = redisOnlineStore({ url: server.url, workspace: "bench" });
  const engine = createDuckDbEngine({ memoryLimit: "256MB", tempDirectory: folder });
  try {
    await promisify(execFile)(process.execPath, [
      "--import",
      "tsx",
      join(import.meta.dirname, "materialize_table.ts"),
      folder,
    ]);
    const pipeline: Rates[] = [];
    for (let round = 0; round < rounds; round++) {
      pipeline.push(await compared(server, () => pipelineRates({ folder, server, store, engine })));
    }
    // Before the vectors of the second half are made: they would count.
    const rssMb = process.resourceUsage().maxRSS / 1024;
    const source = vectors();
    const writing: Rates[] = [];
    for (let round = 0; round < rounds; round++) {
      writing.push(await compared(server, () => writingRates(server, store, source)));
    }
    return {
      name: "materialize",
      ratios: {
        first_load_vs_redis_benchmark: ratio(pipeline, "first load"),
        newer_wins_vs_redis_benchmark: ratio(pipeline, "newer wins"),
        rss_mb: rssMb,
      },
      rows: [...rowsOf("10 M rows -> Redis", pipeline), ...rowsOf("writing alone", writing)],
    };
  } finally {
    await store.close();
    await engine.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Keys per second by what was done. */
type Rates = Readonly<Record<string, number>>;

const baseline = "redis-benchmark -P 100 -t set";

/** Rates with the baseline of before and after: the machine may be busy. */
async function compared(server: RedisServer, measure: () => Promise<Rates>): Promise<Rates> {
  const before = await redisBenchmark(server);
  const rates = await measure();
  return { [baseline]: (before + await redisBenchmark(server)) / 2, ...rates };
}

function ratio(rounds: readonly Rates[], path: string): number {
  return median(rounds.map((rates) => rates[path]! / rates[baseline]!));
}

function rowsOf(part: string, rounds: readonly Rates[]): BenchResult["rows"] {
  return Object.keys(rounds[0]!).map((path) => ({
    part,
    path,
    "keys/s": Math.round(median(rounds.map((rates) => rates[path]!))),
    "× redis-benchmark": Number(ratio(rounds, path).toFixed(2)),
  }));
}

interface Pipeline {
  readonly folder: string;
  readonly server: RedisServer;
  readonly store: OnlineStore;
  readonly engine: Engine;
}

async function pipelineRates({ folder, server, store, engine }: Pipeline): Promise<Rates> {
  await server.command("FLUSHALL");
  const objects = localObjectStore(join(folder, "notes"));
  const collections = new Collections(
    { objects, online: store, clock: systemClock, workspace: "bench" },
    definition.name,
    1,
  );
  const table = benchTable(folder);
  const load = async (from: DeltaTable, outcome: string) => {
    const start = performance.now();
    const result = await loadOnline({ definition, version: 1 }, {
      engine,
      table: from,
      online: store,
      collections,
      clock: systemClock,
    });
    if (result.outcome !== outcome || result.rows < keyCount * 0.99) {
      throw new Error(`Cannot believe the benchmark: ${result.outcome} of ${result.rows} rows`);
    }
    return result.rows * 1000 / (performance.now() - start);
  };
  return { "first load": await load(atVersion(table, 1), "fresh"), "newer wins": await load(table, "incremental") };
}

/** The table as it was. */
function atVersion(table: DeltaTable, version: number): DeltaTable {
  const pinned: Pick<DeltaTable, "snapshot" | "localPaths"> = {
    snapshot: () => table.snapshot(version),
    localPaths: (files, signal) => table.localPaths(files, signal),
  };
  return pinned as DeltaTable;
}

async function writingRates(server: RedisServer, store: OnlineStore, source: BatchSource): Promise<Rates> {
  return {
    "first load": await write(server, store, source, plan, false),
    "first load with expiry": await write(server, store, source, { ...plan, ttl: 10n ** 18n }, false),
    "newer wins, all taken": await write(server, store, source, plan, true),
    "newer wins, none taken": await writeAgain(server, store, source),
  };
}

/** Rows per second of one write of everything into a fresh collection. */
async function write(
  server: RedisServer,
  store: OnlineStore,
  source: BatchSource,
  how: PackPlan,
  merge: boolean,
): Promise<number> {
  await server.command("FLUSHALL");
  return await timed(store, await store.newCollection(), source, how, merge, keyCount);
}

/** Rows per second of a merge that finds everything there already. */
async function writeAgain(server: RedisServer, store: OnlineStore, source: BatchSource): Promise<number> {
  await server.command("FLUSHALL");
  const collection = await store.newCollection();
  await timed(store, collection, source, plan, false, keyCount);
  return await timed(store, collection, source, plan, true, 0);
}

async function timed(
  store: OnlineStore,
  collection: string,
  source: BatchSource,
  how: PackPlan,
  merge: boolean,
  taken: number,
) {
  const start = performance.now();
  const result = await writeBatches(store, collection, packAll(source, how), { merge });
  const seconds = (performance.now() - start) / 1000;
  if (result.rows !== keyCount || result.taken !== taken) {
    throw new Error(`Cannot believe the benchmark: it wrote ${result.taken} of ${result.rows} rows`);
  }
  return keyCount / seconds;
}

async function* packAll(source: BatchSource, how: PackPlan) {
  for await (const batch of source()) yield packBatch(how, batch, 1n);
}

/** Vectors as the engine gives them, made beforehand. */
function vectors(): BatchSource {
  const column = (values: Float64Array | BigInt64Array): ColumnVector => ({
    values,
    hasNulls: false,
    isNull: () => false,
  });
  const chunks: ColumnBatch[] = [];
  for (let from = 0; from < keyCount; from += chunkRows) {
    const rowCount = Math.min(chunkRows, keyCount - from);
    const ids = BigInt64Array.from({ length: rowCount }, (_, i) => BigInt((from + i) * 7919 % keyCount));
    const times = BigInt64Array.from({ length: rowCount }, (_, i) => BigInt(from + i) * 1_000_000n);
    const features = Array.from(
      { length: featureCount },
      (_, f) => Float64Array.from({ length: rowCount }, (_, i) => (from + i) / (f + 3)),
    );
    chunks.push({ rowCount, columns: [ids, times, ...features].map(column) });
  }
  return () => chunks;
}

async function redisBenchmark(server: RedisServer): Promise<number> {
  await server.command("FLUSHALL");
  const words = ["-p", server.port, "-P", 100, "-t", "set", "-d", valueBytes, "-n", keyCount, "-r", keyCount, "-q"].map(
    String,
  );
  const { stdout } = await promisify(execFile)("redis-benchmark", words);
  const rate = Number(/([\d.]+) requests per second/.exec(stdout)?.[1]);
  if (!(rate > 0)) throw new Error(`Cannot read redis-benchmark: ${stdout}`);
  return rate;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}
