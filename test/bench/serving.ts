/**
 * CPU per request of `varve serve` on one core, over Redis in its own process, asked from a third; against routes written by hand.
 * Rounds of all cases are interleaved and medians of their ratios told, as other work on the computer comes and goes. So are several
 * processes of each server: from start to start, the same program costs some percent more or less.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { Load, post, quantile, type Requests } from "./serving_load.ts";
import { loadCore, type ServerProcess, startBaseline, startVarve } from "./serving_processes.ts";
import { allUsers, publish, users } from "./serving_store.ts";

interface BenchResult {
  readonly name: string;
  readonly ratios: Record<string, number>;
  readonly rows: object[];
}

/** One thing that is asked again and again. */
interface Case {
  readonly name: string;
  /** Requests of a round. */
  readonly count: number;
  /** On each of the processes. */
  readonly runs: readonly Run[];
}

/** A case on one process. */
interface Run {
  readonly server: ServerProcess;
  readonly load: Load;
  readonly costs: number[];
}

const connections = 64;
const starts = 3;
const rounds = 8;
const warmups = 3;
const perRound = 2_000;
const batchKeys = 100;
/** Of the load that does not wait for answers: rounds of each case, and how long each takes; and how much tells what they can do. */
const openRounds = 3;
const openSeconds = 3;
const saturating = 20_000;

const one = "/api/v1/feature-service/get-features";
const many = "/api/v1/feature-service/get-features-batch";
const context = { requestContextMap: { amount: 12.5 } };
const allMetadata = Object.fromEntries(
  ["Names", "EffectiveTimes", "DataTypes", "SloInfo", "ServingStatus"].map((each) => [`include${each}`, true]),
);

/** Measures. */
export async function run(): Promise<BenchResult> {
  const folder = await mkdtemp(join(tmpdir(), "varve-serving-"));
  const redis = await startRedis();
  const servers: ServerProcess[] = [];
  const start = async (one: () => Promise<ServerProcess>) => {
    const started: ServerProcess[] = [];
    for (let i = 0; i < starts; i++) {
      started.push(await one());
      servers.push(started.at(-1)!);
    }
    return started;
  };
  try {
    for (const pid of [redis.pid, process.pid]) spawnSync("taskset", ["-apc", loadCore, String(pid)]);
    const key = await publish(folder, redis.url);
    const lmdbKey = await publish(folder);
    const varve = await start(() => startVarve({ VARVE_STORAGE: join(folder, "redis"), VARVE_REDIS: redis.url }));
    const lmdb = await start(() => startVarve({ VARVE_STORAGE: join(folder, "lmdb") }));
    const vectors = requestsOf(key, "model");
    const vector = await caseOf("vector", varve, vectors);
    await writeBaselines(redis, loadOf(vector), vectors);
    const get = await caseOf("one GET by hand", await start(() => startBaseline("get", redis.url)), byHand());
    const hmget = await caseOf(
      "HMGET per view by hand",
      await start(() => startBaseline("hmget", redis.url)),
      byHand(),
    );
    const [answer, ours] = [await loadOf(get).body(byHand()[7]!), await loadOf(vector).body(vectors[7]!)];
    if (answer !== ours || answer !== await loadOf(hmget).body(byHand()[7]!)) {
      throw new Error(`${answer} is not ${ours}`);
    }
    const seldom = await caseOf(
      "vector of a key that is seldom asked",
      varve,
      requestsOf(key, "model", {}, users, allUsers),
    );
    const windows = await caseOf("vector of windows", varve, requestsOf(key, "windows"));
    const realtime = await caseOf("vector and a realtime view", varve, requestsOf(key, "realtime", context));
    const computed = await caseOf("vector and a function", varve, requestsOf(key, "function", context));
    const metadata = await caseOf(
      "vector with metadata",
      varve,
      requestsOf(key, "model", { metadataOptions: allMetadata }),
    );
    const batch = await caseOf(`batch of ${batchKeys} keys`, varve, batchesOf(key), 8, 40);
    const embedded = await caseOf("vector from LMDB", lmdb, requestsOf(lmdbKey, "model"));
    const cases = [vector, get, hmget, seldom, windows, realtime, computed, metadata, batch, embedded];
    await byTurns(cases);
    const latencies = await openLoop([vector, get]);
    const [driven, steady] = varve as [ServerProcess, ServerProcess];
    await askEveryService(driven, key);
    await askEveryService(steady, key);
    const ratios = {
      vector_vs_one_get: ratio(vector, get),
      hmget_vs_vector: ratio(hmget, vector),
      batch_us_per_key: cost(batch) / batchKeys,
      windows_vs_vector: ratio(windows, vector),
      realtime_vs_vector: ratio(realtime, vector),
      metadata_vs_vector: ratio(metadata, vector),
      lmdb_vs_redis: ratio(embedded, vector),
      rss_mb: steady.rss(),
    };
    const rows = cases.map((each) => ({
      what: each.name,
      cpu_us: cost(each),
      per_core: 1e6 / cost(each),
      over_get: ratio(each, get),
    }));
    const memory = [
      { "1,000 services, and all rounds": "64 connections", rss_mb: steady.rss() },
      { "1,000 services, and all rounds": "and the open loops, where requests pile up", rss_mb: driven.rss() },
    ];
    return { name: "serving", ratios, rows: [...rows, ...latencies, ...memory] };
  } finally {
    for (const server of servers) await server.stop();
    await redis.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function caseOf(
  name: string,
  servers: readonly ServerProcess[],
  requests: Requests,
  open = connections,
  count = perRound,
): Promise<Case> {
  const runs: Run[] = [];
  for (const server of servers) runs.push({ server, load: await Load.open(server.port, requests, open), costs: [] });
  return { name, count, runs };
}

/** Where one process is enough. */
function loadOf({ runs }: Case): Load {
  return runs[0]!.load;
}

function requestsOf(
  key: string,
  featureServiceName: string,
  more: object = {},
  from = 0,
  to = users,
): Requests {
  const authorization = `Bearer ${key}`;
  return eachUser(
    (user) => post(one, { params: { featureServiceName, joinKeyMap: { user }, ...more } }, { authorization }),
    from,
    to,
  );
}

function batchesOf(key: string): Requests {
  return Array.from({ length: users / batchKeys }, (_, b) => {
    const requestData = Array.from({ length: batchKeys }, (_, i) => ({
      joinKeyMap: { user: String(b * batchKeys + i) },
    }));
    return post(many, { params: { featureServiceName: "model", requestData } }, { authorization: `Bearer ${key}` });
  });
}

function byHand(): Requests {
  return eachUser((user) => post("/", { params: { featureServiceName: "model", joinKeyMap: { user } } }));
}

function eachUser(request: (user: string) => Buffer, from = 0, to = users): Requests {
  return Array.from({ length: to - from }, (_, u) => request(String(from + u)));
}

/** What the routes by hand read: whole answers, and hashes by view. */
async function writeBaselines(server: RedisServer, load: Load, requests: Requests): Promise<void> {
  const redis = new Redis(server.url);
  for (const [user, request] of requests.entries()) {
    const text = await load.body(request);
    const { features } = (JSON.parse(text) as { result: { features: unknown[] } }).result;
    await redis.set(`vector:${user}`, text);
    for (const view of [0, 1, 2]) {
      const fields = features.slice(10 * view, 10 * view + 10).map((value, i) => [nameOf(view, i), String(value)]);
      await redis.hset(`view${view}:${user}`, Object.fromEntries(fields));
    }
  }
  redis.disconnect();
}

/** In the order of answers, which is by name. */
function nameOf(view: number, i: number): string {
  const inOrder = ["b9", "d0", "d1", "d2", "d3", "d4", "d5", "i6", "i7", "s8"];
  return `${inOrder[i]![0]}${view}${inOrder[i]![1]}`;
}

/** CPU of every case, round by round. */
async function byTurns(cases: readonly Case[]): Promise<void> {
  for (let round = 0; round < warmups + rounds; round++) {
    for (let i = 0; i < starts; i++) {
      for (const { count, runs } of cases) {
        const { server, load, costs } = runs[i]!;
        const before = server.cpu();
        await load.run(count);
        if (round >= warmups) costs.push((server.cpu() - before) / count);
      }
    }
  }
}

/**
 * Latencies where requests do not wait for each other, at shares of what the slower of the servers answers when all connections ask
 * again as soon as they are answered: less than its core could do, as load and Redis have but one core. Of several rounds by turns,
 * the median of each quantile.
 */
async function openLoop(cases: readonly Case[]): Promise<object[]> {
  const reached = cases.map((): number[] => []);
  for (let round = 0; round < openRounds; round++) {
    for (const [i, each] of cases.entries()) reached[i]!.push(await loadOf(each).saturation(saturating));
  }
  const most = Math.min(...reached.map(median));
  const rows: object[] = cases.map(({ name }, i) => ({
    what: `${name}, closed loop of ${connections}`,
    per_s: Math.round(median(reached[i]!)),
  }));
  for (const share of [0.5, 0.9]) {
    const times = cases.map((): Float64Array[] => []);
    for (let round = 0; round < openRounds; round++) {
      for (const [i, each] of cases.entries()) times[i]!.push(await loadOf(each).atRate(most * share, openSeconds));
    }
    for (const [i, { name }] of cases.entries()) {
      const of = (part: number) => median(times[i]!.map((sorted) => quantile(sorted, part)));
      const per_s = Math.round(most * share);
      rows.push({
        what: `${name}, open loop at ${share * 100} %`,
        per_s,
        p50_ms: of(0.5),
        p99_ms: of(0.99),
        p999_ms: of(0.999),
      });
    }
  }
  return rows;
}

/** So that all readers are in memory. */
async function askEveryService(server: ServerProcess, key: string): Promise<void> {
  const requests = Array.from(
    { length: 1_000 },
    (_, i) =>
      post(one, { params: { featureServiceName: `service${i}`, joinKeyMap: { user: "1" } } }, {
        authorization: `Bearer ${key}`,
      }),
  );
  const load = await Load.open(server.port, requests, 4);
  await load.run(requests.length);
  load.close();
}

/** CPU microseconds of a request. */
function cost({ runs }: Case): number {
  return median(runs.map(({ costs }) => median(costs)));
}

/** Round by round, since what else the computer does changes between rounds. */
function ratio(a: Case, b: Case): number {
  return median(
    a.runs.map(({ costs }, start) => median(costs.map((each, round) => each / b.runs[start]!.costs[round]!))),
  );
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}
