/**
 * CPU of one online read of 3 windows × 5 aggregates over 30 days (schedule 1 h, tiles of 5 minutes), against a read of 15 plain
 * attributes: through the same reader, over the same Redis, by turns in one run. Keys of several activities: what they take
 * in Redis is told too.
 */
import { join } from "node:path";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import type {
  AggregateView,
  AggregationDefinition,
  AttributeView,
  ViewDefinition,
} from "../../sdk/define/definitions.ts";
import { createDuckDbEngine } from "../../sdk/engine/duckdb.ts";
import type { Engine } from "../../sdk/engine/engine.ts";
import type { ExprNode } from "../../sdk/frame/expr_node.ts";
import type { Query } from "../../sdk/frame/query.ts";
import { Collections } from "../../sdk/materialize/collections.ts";
import { loadOnline } from "../../sdk/materialize/load_online.ts";
import { materialize } from "../../sdk/materialize/materialize.ts";
import { readOfView } from "../../sdk/retrieve/feature_read.ts";
import { compileService } from "../../sdk/retrieve/online.ts";
import type { ServiceReader } from "../../sdk/retrieve/service_reader.ts";
import { deltaTable } from "../../sdk/storage/delta_table.ts";
import { localObjectStore } from "../../sdk/storage/object_local.ts";
import { encodeKey, tilesKey } from "../../sdk/storage/encoding.ts";
import { redisOnlineStore } from "../../sdk/storage/online_redis.ts";
import type { OnlineStore, ViewState } from "../../sdk/storage/online_store.ts";
import { ManualClock, toMicros } from "../../sdk/time.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { measuring } from "./progress.ts";

/** What was measured: rows to print, and `online_vs_attributes`. */
export interface OnlineReads {
  readonly rows: readonly Readonly<Record<string, string | number>>[];
  /** CPU of reading windows, in that of reading attributes, for keys of the activity where it is greatest. */
  readonly ratio: number;
}

/** Events of a key in 30 days; the last is that of the hot keys of the sweep's benchmark. */
const activities = [{ name: "8 events", events: 8 }, { name: "90 events", events: 90 }, {
  name: "820 events",
  events: 820,
}];
const keysEach = 500;
const inFlight = 64;
const readsPerRound = 20_000;
const warmups = 2;
const rounds = 7;
const now = toMicros("2001-03-01T00:20Z");
/** When requests come: later than every watermark that readers believe in. */
const asked = now + 3n * 86_400_000_000n;
const days = 31;

/** Makes tables, loads them, and reads. */
export async function measureOnlineReads(): Promise<OnlineReads> {
  const folder = await mkdtemp(join(tmpdir(), "varve-bench-"));
  const server = await startRedis();
  const store = redisOnlineStore({ url: server.url, workspace: "bench" });
  const engine = createDuckDbEngine({ memoryLimit: "1GB", tempDirectory: join(folder, "spill") });
  try {
    measuring("online reads: making and loading events");
    await writeEvents(engine, join(folder, "events.parquet"));
    const bench: Bench = { folder, server, store, engine };
    const windows = await prepared(bench, windowView(folder));
    const attributes = await prepared(bench, attributeView(folder));
    // Of keys that have had no event for so long that totals are out of date, the tiles behind them are read.
    const later = { ...windows, reader: readerOf(windows, windowView(folder), store, "2001-03-04T00:00:00Z") };
    const kinds = [windows.reader, later.reader, attributes.reader];
    const keys = activities.map((_, place) => Array.from({ length: keysEach }, (_, k) => place * 1_000_000 + k));
    const times = await byTurns(keys.flatMap((each) => kinds.map((reader) => ({ reader, keys: each }))));
    const rows: Record<string, string | number>[] = [];
    let ratio = 0;
    for (const [place, { name }] of activities.entries()) {
      const [usual, idle, plain] = times.slice(place * kinds.length);
      ratio = Math.max(ratio, usual! / plain!);
      const [looked, behind] = await bytesOf(windows, store, keys[place]!);
      rows.push({
        read: `3 windows × 5 aggregates, ${name} in 30 days`,
        "CPU µs": usual!,
        "15 attributes µs": plain!,
        "×": Number((usual! / plain!).toFixed(2)),
        "after three idle days µs": idle!,
        "bytes per key": looked!,
        "bytes behind": behind!,
      });
    }
    return { rows, ratio };
  } finally {
    await store.close();
    await engine.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

interface Bench {
  readonly folder: string;
  readonly server: RedisServer;
  readonly store: OnlineStore;
  readonly engine: Engine;
}

interface Prepared {
  readonly reader: ServiceReader;
  readonly state: ViewState;
}

async function prepared({ folder, store, engine }: Bench, view: ViewDefinition): Promise<Prepared> {
  const clock = new ManualClock(now);
  const objects = localObjectStore(join(folder, "objects"));
  const table = deltaTable(objects, `bench/views/${view.name}/1`, { clock });
  const end = now - now % 3_600_000_000n;
  const range = { start: toMicros(view.start), end };
  await materialize({ definition: view, version: 1, range, overwrite: false }, {
    engine,
    table,
    clock,
    tempDir: join(folder, "parts"),
  });
  const collections = new Collections({ objects, online: store, clock, workspace: "bench" }, view.name, 1);
  await loadOnline({ definition: view, version: 1 }, { engine, table, online: store, collections, clock });
  const state = (await store.state(view.name, 1))!;
  await objects.close();
  return { reader: readerOf({ state }, view, store), state };
}

/** A reader that believes in a watermark. */
function readerOf(
  { state }: Pick<Prepared, "state">,
  view: ViewDefinition,
  store: OnlineStore,
  watermark = state.watermark,
): ServiceReader {
  const believed = { ...state, watermark };
  return compileService(view.name, [readOfView({ definition: view, version: 1 })], store, () => believed);
}

async function writeEvents(engine: Engine, path: string): Promise<void> {
  const session = await engine.session();
  const parts = activities.map(({ events }, place) =>
    `SELECT (${place} * 1000000 + k)::BIGINT AS id, e, ${events} AS events FROM range(${keysEach}) a(k), range(${
      Math.ceil(events * days / 30)
    }) b(e)`
  );
  // A hash of key and event instead of random(): the same every time. Amounts are cents; each feature of a row is another number.
  const start = now - BigInt(days) * 86_400_000_000n;
  const features = Array.from({ length: 15 }, (_, i) => `(hash(id, e, ${i}) % 1000003) / 7.0 AS f${i}`).join(", ");
  const sql =
    `SELECT id, make_timestamptz((${start} + (hash(id, e) % ${
      BigInt(days) * 86_400_000_000n
    }::UBIGINT))::BIGINT) AS at, ` +
    `(hash(e, id, 5) % 100000) / 100.0 AS amount, (hash(e, id, 6) % 1000)::BIGINT AS size, ${features} FROM (${
      parts.join(" UNION ALL ")
    })`;
  await session.writeParquet(sql, path);
  session.close();
}

const column = (name: string): ExprNode => ({ kind: "column", name });

function base(folder: string, columns: readonly string[]):
  & { readonly query: Query }
  & Pick<
    AttributeView,
    | "kind"
    | "entity"
    | "eventTimestamp"
    | "schedule"
    | "dataDelay"
    | "start"
    | "ttl"
    | "lookback"
    | "online"
    | "offline"
  > {
  const types = { id: "int64", at: "timestamp", size: "int64" } as const;
  return {
    kind: "view",
    entity: { kind: "entity", name: "user", joinKeys: [{ name: "id", type: "int64" }] },
    query: {
      kind: "scan",
      source: { kind: "file", format: "parquet", paths: [join(folder, "events.parquet")], eventTimestamp: "at" },
      schema: ["id", "at", ...columns].map((name) => ({ name, type: types[name as "id"] ?? "float64" })),
    },
    eventTimestamp: "at",
    schedule: "1h",
    dataDelay: "0s",
    start: "2001-01-29T00:00:00Z",
    ttl: "forever",
    lookback: 0,
    online: true,
    offline: true,
  };
}

const aggregations: readonly AggregationDefinition[] = [
  { name: "count", function: "count" },
  { name: "max", function: "max", input: column("amount") },
  { name: "mean", function: "mean", input: column("amount") },
  { name: "min", function: "min", input: column("amount") },
  { name: "sum", function: "sum", input: column("amount") },
];

/** The view whose windows are read; its events are in that folder. */
export function windowView(folder: string): AggregateView {
  const windows = ["1h", "24h", "30d"];
  return {
    ...base(folder, ["amount"]),
    name: "windows",
    mode: "aggregates",
    every: "5m",
    edge: "complete",
    boundary: "inclusive",
    aggregations,
    features: windows.flatMap((size) =>
      aggregations.map(({ name }) => ({
        name: `${name}_${size}`,
        type: name === "count" ? "int64" as const : "float64" as const,
        aggregation: name,
        window: { kind: "time" as const, size, offset: "0s" },
      }))
    ),
  };
}

function attributeView(folder: string): AttributeView {
  const names = Array.from({ length: 15 }, (_, i) => `f${i}`);
  return {
    ...base(folder, names),
    name: "attributes",
    mode: "attributes",
    features: names.map((name) => ({ name, type: "float64" })),
  };
}

/** Median CPU of one read in µs, by reader and keys: rounds of each by turns. */
async function byTurns(
  turns: readonly { readonly reader: ServiceReader; readonly keys: readonly number[] }[],
): Promise<number[]> {
  const times: number[][] = turns.map(() => []);
  for (let round = 0; round < warmups + rounds; round++) {
    measuring("online reads", Math.max(0, round - warmups), rounds);
    for (const [i, { reader, keys }] of turns.entries()) {
      const before = process.cpuUsage();
      await readMany(reader, keys.map((id) => [{ id: BigInt(id) }]));
      const { user, system } = process.cpuUsage(before);
      if (round >= warmups) times[i]!.push((user + system) / readsPerRound);
    }
  }
  return times.map((each) => each.sort((a, b) => a - b)[each.length >> 1]!);
}

/** As a server does: requests come one by one, and many are under way. */
async function readMany(
  reader: ServiceReader,
  requests: readonly (readonly { readonly id: bigint }[])[],
): Promise<void> {
  let next = 0;
  const worker = async () => {
    // Each comes at another microsecond.
    for (let i = next++; i < readsPerRound; i = next++) {
      const [answer] = await reader.read(requests[i % requests.length]!, { at: asked + BigInt(i) });
      // What nobody asks for is not always made.
      const { values, statuses, effectiveTimes, eventTimes } = answer!;
      const lists = [values, statuses, effectiveTimes, eventTimes];
      if (!lists.every(({ length }) => length === reader.features.length)) throw new Error("Cannot believe the read");
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}

/** How many bytes requests find on average, and how many are behind them. */
async function bytesOf({ state }: Prepared, store: OnlineStore, keys: readonly number[]): Promise<number[]> {
  const encoded = keys.map((id) => encodeKey([{ name: "id", type: "int64" }], [BigInt(id)])!);
  const collections = keys.map(() => state.collection!);
  const found = [await store.getMany(collections, encoded), await store.getMany(collections, encoded.map(tilesKey))];
  return found.map((values) => Math.round(values.reduce((sum, value) => sum + (value?.length ?? 0), 0) / keys.length));
}
