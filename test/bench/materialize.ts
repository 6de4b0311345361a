/**
 * Latest rows of 1 M keys × 10 features into Redis, against redis-benchmark's pipelined SET of the same value size, in the
 * same run: a first load, and a merge where newer wins.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { ColumnBatch, ColumnVector } from "../../sdk/engine/engine.ts";
import type { Field } from "../../sdk/schema.ts";
import { packBatch, type PackPlan, rowLayout } from "../../sdk/storage/encoding.ts";
import { redisOnlineStore } from "../../sdk/storage/online_redis.ts";
import type { OnlineStore } from "../../sdk/storage/online_store.ts";
import { writeBatches } from "../../sdk/storage/online_write.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";

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

/** Runs the benchmark. */
export async function run(rounds = 3): Promise<BenchResult> {
  const server = await startRedis();
  const store = redisOnlineStore({ url: server.url, workspace: "bench" });
  const source = vectors();
  const measured: { baseline: number; load: number; merge: number; rejected: number; expiring: number }[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      const before = await redisBenchmark(server);
      const load = await write(server, store, source, plan, false);
      const merge = await write(server, store, source, plan, true);
      const rejected = await writeAgain(server, store, source);
      const expiring = await write(server, store, source, { ...plan, ttl: 10n ** 18n }, false);
      measured.push({ baseline: (before + await redisBenchmark(server)) / 2, load, merge, rejected, expiring });
    }
  } finally {
    await store.close();
    await server.stop();
  }
  const ratio = (part: "load" | "merge" | "rejected" | "expiring") =>
    median(measured.map((round) => round[part] / round.baseline));
  return {
    name: "materialize",
    ratios: {
      first_load_vs_redis_benchmark: ratio("load"),
      newer_wins_vs_redis_benchmark: ratio("merge"),
      rss_mb: process.resourceUsage().maxRSS / 1024,
    },
    rows: ([
      ["redis-benchmark -P 100 -t set", "baseline"],
      ["first load", "load"],
      ["first load with expiry", "expiring"],
      ["newer wins, all taken", "merge"],
      ["newer wins, none taken", "rejected"],
    ] as const).map(([path, part]) => ({
      path,
      "rows/s": Math.round(median(measured.map((round) => round[part]))),
      "× redis-benchmark": part === "baseline" ? 1 : Number(ratio(part).toFixed(2)),
    })),
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
