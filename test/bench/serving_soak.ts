/**
 * `varve serve` on one core at four fifths of what it can do, for minutes: no request may fail, and memory must not grow. What it can
 * do is measured first, in the same run.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRedis } from "../support/redis.ts";
import { Load, post, quantile } from "./serving_load.ts";
import { loadCore, type ServerProcess, startVarve } from "./serving_processes.ts";
import { publish, users } from "./serving_store.ts";

interface BenchResult {
  readonly name: string;
  readonly ratios: Record<string, number>;
  readonly rows: object[];
}

const share = 0.8;
const warmups = 40_000;
const sliceSeconds = 10;

/** Measures. */
export async function run({ minutes = 10 }: { readonly minutes?: number }): Promise<BenchResult> {
  const folder = await mkdtemp(join(tmpdir(), "varve-soak-"));
  const redis = await startRedis();
  let varve: ServerProcess | undefined;
  try {
    for (const pid of [redis.pid, process.pid]) spawnSync("taskset", ["-apc", loadCore, String(pid)]);
    const authorization = `Bearer ${await publish(folder, redis.url)}`;
    varve = await startVarve({ VARVE_STORAGE: join(folder, "redis"), VARVE_REDIS: redis.url });
    const params = (user: number) => ({ featureServiceName: "model", joinKeyMap: { user: String(user) } });
    const requests = Array.from(
      { length: users },
      (_, user) => post("/api/v1/feature-service/get-features", { params: params(user) }, { authorization }),
    );
    const load = await Load.open(varve.port, requests, 64);
    await load.run(warmups);
    const perSecond = Math.round(share * await load.saturation(warmups));
    const slices: Slice[] = [];
    for (let i = 0; i < Math.ceil(minutes * 60 / sliceSeconds); i++) {
      // Fails with the first answer that is not 200.
      const times = await load.atRate(perSecond, sliceSeconds);
      const heap_mb = await heapOf(varve, authorization);
      slices.push({ rss_mb: varve.rss(), heap_mb, p50_ms: quantile(times, 0.5), p99_ms: quantile(times, 0.99) });
    }
    load.close();
    const third = Math.max(1, Math.floor(slices.length / 3));
    // What lies in the heap rises and falls with every collection: the least is what stays.
    const least = (part: readonly Slice[], name: keyof Slice) => Math.min(...part.map((slice) => slice[name]));
    const growth = (name: keyof Slice) => least(slices.slice(-third), name) / least(slices.slice(0, third), name);
    return {
      name: "serving-soak",
      ratios: { errors: 0, rss_growth: growth("rss_mb"), heap_growth: growth("heap_mb") },
      rows: everyTenth(slices, perSecond),
    };
  } finally {
    await varve?.stop();
    await redis.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

interface Slice {
  readonly rss_mb: number;
  readonly heap_mb: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
}

async function heapOf({ port }: ServerProcess, authorization: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { authorization } });
  return Number(/^nodejs_heap_size_used_bytes (\S+)/m.exec(await answer.text())![1]) / 2 ** 20;
}

/** Ten rows are enough to see where it goes. */
function everyTenth(slices: readonly Slice[], perSecond: number): object[] {
  const step = Math.max(1, Math.ceil(slices.length / 10));
  return slices.map((slice, i) => ({ seconds: (i + 1) * sliceSeconds, per_s: perSecond, ...slice }))
    .filter((_, i) => (i + 1) % step === 0);
}
