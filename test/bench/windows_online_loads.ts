/**
 * Loads of aggregates into Redis, in a process's CPU and keys a second: 100 k keys × 20 tiles of 30 days into a fresh collection,
 * then a day that was computed again into what is there.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDuckDbEngine } from "../../sdk/engine/duckdb.ts";
import { Collections } from "../../sdk/materialize/collections.ts";
import { loadOnline } from "../../sdk/materialize/load_online.ts";
import { materialize } from "../../sdk/materialize/materialize.ts";
import { deltaTable } from "../../sdk/storage/delta_table.ts";
import { localObjectStore } from "../../sdk/storage/object_local.ts";
import { redisOnlineStore } from "../../sdk/storage/online_redis.ts";
import { ManualClock, toMicros } from "../../sdk/time.ts";
import { startRedis } from "../support/redis.ts";
import { windowView } from "./windows_online.ts";
import { measuring } from "./progress.ts";

const keys = 100_000;
const events = 2_000_000;
const days = 30n;
const day = 86_400_000_000n;
const start = toMicros("2001-02-01");
const now = start + days * day;

/** What was measured, as rows to print. */
export async function measureOnlineLoads(): Promise<readonly Readonly<Record<string, string | number>>[]> {
  const folder = await mkdtemp(join(tmpdir(), "varve-bench-"));
  const server = await startRedis();
  const online = redisOnlineStore({ url: server.url, workspace: "bench" });
  const engine = createDuckDbEngine({ memoryLimit: "512MB", tempDirectory: join(folder, "spill") });
  const objects = localObjectStore(join(folder, "objects"));
  try {
    measuring("loads of windows into the online store");
    const session = await engine.session();
    await session.writeParquet(
      `SELECT (hash(i) % ${keys})::BIGINT AS id, make_timestamptz((${start} + (hash(i, 1) % ${
        days * day
      }::UBIGINT))::BIGINT) AS at, ` +
        `(hash(i, 2) % 100000) / 100.0 AS amount FROM range(${events}) t(i)`,
      join(folder, "events.parquet"),
    );
    session.close();
    const clock = new ManualClock(now);
    const definition = {
      ...windowView(folder),
      schedule: "1d",
      every: "1h",
      start: "2001-02-01T00:00:00Z",
      features: windowView(folder).features.filter(({ window }) => window.kind === "time" && window.size !== "1h"),
    };
    const table = deltaTable(objects, "bench/views/windows/1", { clock });
    const compute = (from: bigint, overwrite: boolean) =>
      materialize({ definition, version: 1, range: { start: from, end: now }, overwrite }, {
        engine,
        table,
        clock,
        tempDir: join(folder, "parts"),
      });
    const collections = new Collections({ objects, online, clock, workspace: "bench" }, definition.name, 1);
    const load = async (name: string) => {
      const cpu = process.cpuUsage();
      const began = performance.now();
      const { rows, outcome } = await loadOnline({ definition, version: 1 }, {
        engine,
        table,
        online,
        collections,
        clock,
      });
      const seconds = (performance.now() - began) / 1000;
      const { user, system } = process.cpuUsage(cpu);
      return {
        load: `${name} (${outcome})`,
        values: rows,
        "values/s": Math.round(rows / seconds),
        "CPU µs per value": Number(((user + system) / rows).toFixed(1)),
        "RSS MB": Math.round(process.memoryUsage.rss() / 2 ** 20),
      };
    };
    await compute(start, false);
    const rows = [await load("100 k keys × 20 tiles")];
    await compute(now - day, true);
    return [...rows, await load("the keys of one day")];
  } finally {
    await online.close();
    await engine.close();
    await objects.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
