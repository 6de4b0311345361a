/**
 * CPU of one daily slice of aggregates, computed and committed: of day 300 against day 3, after all days before, and per 10 M rows against a sorted group-by in plain SQL that writes the same tiles.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AggregateView } from "../../sdk/define/definitions.ts";
import { createDuckDbEngine } from "../../sdk/engine/duckdb.ts";
import type { Engine } from "../../sdk/engine/engine.ts";
import { materialize } from "../../sdk/materialize/materialize.ts";
import { deltaTable } from "../../sdk/storage/delta_table.ts";
import { localObjectStore } from "../../sdk/storage/object_local.ts";
import { durationToMicros, formatTimestamp, ManualClock, toMicros } from "../../sdk/time.ts";
import { measuring } from "./progress.ts";
import { viewOf } from "./windows_data.ts";

/** What was measured: rows to print, and ratios by name. */
export interface SliceCosts {
  readonly rows: readonly Readonly<Record<string, string | number>>[];
  readonly ratios: {
    /** CPU of the slice of day 300, in that of day 3. */
    readonly slice_300_vs_3: number;
  };
}

const origin = toMicros("2001-01-01");
const day = 86_400_000_000n;
const rounds = 24;
/** What a day of the growing history holds. */
const daily = { rows: 200_000, keys: 20_000 };
const bulk = { rows: 10_000_000, keys: 100_000 };

/** Makes histories of 3 and of 300 days, and one day of 10 M rows. */
export async function measureSlices(): Promise<SliceCosts> {
  const folder = await mkdtemp(join(tmpdir(), "varve-bench-"));
  const engine = createDuckDbEngine({ memoryLimit: "2GB", tempDirectory: join(folder, "spill") });
  try {
    measuring("slices: making histories of 3 and of 300 days");
    const [short, long] = [
      await history(engine, join(folder, "short"), 3),
      await history(engine, join(folder, "long"), 300),
    ];
    const costs: [number, number][] = [];
    // Rounds before the first warm up. Each day is the first one in half of the rounds: what collects the garbage of one may
    // run in the time of the other.
    for (let round = -2; round < rounds; round++) {
      measuring("slices of day 3 and of day 300", Math.max(0, round), rounds);
      const third = () => cpu(() => short.run(3));
      const last = () => cpu(() => long.run(300));
      const turns = round % 2 === 0 ? [await third(), await last()] : [await last(), await third()].reverse();
      if (round >= 0) costs.push(turns as [number, number]);
    }
    const ratio = median(costs.map(([, last]) => last)) / median(costs.map(([third]) => third));
    const rows = [
      { what: "slice of day 3, 200 k rows", cpu_s: median(costs.map(([third]) => third)) },
      { what: "slice of day 300, 200 k rows", cpu_s: median(costs.map(([, last]) => last)) },
    ];
    measuring("slices of 10 M rows");
    const large = await history(engine, join(folder, "large"), 1, bulk);
    for (const every of ["5m", "1d"]) {
      const tiles = [await cpu(() => large.run(1, { every })), await cpu(() => large.run(1, { every }))];
      const sql = [await cpu(() => groupBy(engine, large, every)), await cpu(() => groupBy(engine, large, every))];
      rows.push({ what: `10 M rows to tiles of ${every}`, cpu_s: Math.min(...tiles) });
      rows.push({ what: `10 M rows, the same by group-by in SQL, ${every}`, cpu_s: Math.min(...sql) });
    }
    return { rows, ratios: { slice_300_vs_3: ratio } };
  } finally {
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  }
}

interface History {
  readonly source: string;
  readonly output: string;
  /** Computes a day, or all from the one to the other, also again. */
  run(day: number, options?: { readonly to?: number; readonly every?: string }): Promise<void>;
}

/** A source of one file a day, and a table to which every day but the last was committed, ten at a time. */
async function history(engine: Engine, folder: string, days: number, size = daily): Promise<History> {
  const source = join(folder, "events");
  await mkdir(source, { recursive: true });
  const session = await engine.session();
  for (let number = 1; number <= days; number++) {
    const start = origin + BigInt(number - 1) * day;
    await session.writeParquet(
      `SELECT 'user ' || hash(i * 7 + ${number}) % ${size.keys} AS user_id, ` +
        `make_timestamptz(${start} + (i * ${day} / ${size.rows})::BIGINT) AS ts, ` +
        `(hash(i + ${number}) % 100000) / 100.0::DOUBLE AS amount FROM range(${size.rows}) t(i)`,
      join(source, `${formatTimestamp(start).slice(0, 10)}.parquet`),
    );
  }
  session.close();
  const objects = localObjectStore(join(folder, "objects"));
  const clock = new ManualClock(formatTimestamp(origin + BigInt(days + 1) * day));
  const run: History["run"] = async (number, { to = number, every = "5m" } = {}) => {
    const start = origin + BigInt(number - 1) * day;
    const request = {
      definition: view(join(source, "*.parquet"), every),
      version: 1,
      range: { start, end: origin + BigInt(to) * day },
      overwrite: true,
    };
    await materialize(request, {
      engine,
      table: deltaTable(objects, `bench/views/spending/${every}`, { clock }),
      clock,
      tempDir: join(folder, "parts"),
    });
  };
  for (let number = 1; number < days; number += 10) await run(number, { to: Math.min(number + 9, days - 1) });
  return { source, output: join(folder, "output.parquet"), run };
}

function view(path: string, every: string): AggregateView {
  const functions = ["count", "sum", "min", "max"];
  const base = viewOf({ events: path, spine: "", output: "" }, ["30d"], functions, { every, edge: "complete" });
  const { query } = base;
  if (query.kind !== "scan") throw new TypeError("the view reads a file");
  const schema = query.schema.map((field) => field.name === "user_id" ? { ...field, type: "string" as const } : field);
  return {
    ...base,
    entity: { ...base.entity, joinKeys: [{ name: "user_id", type: "string" }] },
    query: { ...query, schema },
  };
}

async function groupBy(engine: Engine, { source, output }: History, every: string): Promise<void> {
  const session = await engine.session();
  const micros = durationToMicros(every);
  await session.writeParquet(
    `SELECT user_id, make_timestamptz(epoch_us(ts) - epoch_us(ts) % ${micros}) AS tile, count(*) AS n, sum(amount) AS total, ` +
      `min(amount) AS least, max(amount) AS most FROM read_parquet('${source}/*.parquet') GROUP BY ALL ORDER BY user_id, tile`,
    output,
  );
  session.close();
}

async function cpu(action: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await action();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
