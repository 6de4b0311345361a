/**
 * Runs one benchmark and prints what it measured: `npm run bench NAME`; without a name, lists them. With `-- --json` the last
 * line is `{ name, ratios, rows }` for programs, and those that run for a while take `--minutes`. A benchmark NAME is
 * `test/bench/<name with _>.ts` and exports `run()`.
 */
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { textTable } from "../../sdk/notebook/table_text.ts";
import { measuredAll } from "./progress.ts";

/** What every benchmark gives. */
interface BenchResult {
  readonly name: string;
  readonly ratios: Readonly<Record<string, number>>;
  readonly rows: readonly object[];
}

/** What a ratio should be. */
interface Goal {
  readonly at: "most" | "least";
  readonly value: number;
}

interface Bench {
  readonly about: string;
  readonly goals: Readonly<Record<string, Goal>>;
}

const most = (value: number): Goal => ({ at: "most", value });
const least = (value: number): Goal => ({ at: "least", value });

const benches: Readonly<Record<string, Bench>> = {
  "point-in-time": {
    about: "10 M feature rows joined to a spine of 1 M, to Parquet, against a plain scan and hand-written queries",
    // Under 512 MB it has to finish; how much longer it takes is told without a goal.
    goals: { cpu_vs_scan: most(3), cpu_vs_best_query: most(1.1), five_views_rows_per_s: least(150_000) },
  },
  "materialize": {
    about: "latest rows of 10 M into Redis, first and over older ones, against redis-benchmark",
    goals: {
      first_load_vs_redis_benchmark: least(0.5),
      newer_wins_vs_redis_benchmark: least(0.2),
      rss_mb: most(600),
    },
  },
  "exchange": {
    about: "1 M rows from DuckDB to a polars DataFrame, against row objects",
    goals: { vs_row_objects: least(10) },
  },
  "sandbox": {
    about: "a function of 5 numbers in its own process: rows in batches of 1,000 and one at a time, against in process",
    goals: { rows_per_s: least(300_000), one_row_us: most(250) },
  },
  "guard": {
    about: "CPU of a served vector of 3 views × 10 features with API keys, limits and metrics, against none of them",
    goals: { keys_and_metrics_vs_none: most(1.1) },
  },
  "serving": {
    about:
      "CPU per request of varve serve on one core, over Redis, against routes by hand; latencies in an open loop, at shares of what the slower reaches in a closed one",
    goals: {
      vector_vs_one_get: most(1.1),
      hmget_vs_vector: least(2.2),
      batch_us_per_key: most(8),
      windows_vs_vector: most(1.5),
      realtime_vs_vector: most(1.5),
      metadata_vs_vector: most(1.5),
      lmdb_vs_redis: most(1),
      rss_mb: most(200),
    },
  },
  "serving-soak": {
    about: "varve serve at 80 % of what it can do, for --minutes (10): requests that failed, and what memory grew by",
    goals: { errors: most(0), rss_growth: most(1.1), heap_growth: most(1.1) },
  },
  "windows": {
    about:
      "sums and counts of 3 windows over 10 M events, against what one would write by hand; slices of tiles; online reads",
    goals: {
      hot_cpu_s: most(6),
      sparse_cpu_s: most(6),
      hot_vs_frames: least(6),
      sparse_vs_frames: least(2.5),
      hot_vs_best: most(1.1),
      sparse_vs_best: most(1.1),
      cpu_90d_vs_1h: most(1.2),
      slice_300_vs_3: most(1.2),
      online_vs_attributes: most(2),
    },
  },
  "windows-large": {
    about: "100 M events in a process that keeps within 2 GiB; takes minutes, and 3 GB of disk",
    goals: { rss_mb: most(2048) },
  },
  "first-cell": {
    about: "the first useful cell of a notebook in both kernels: import, connect, the first rows of a file of 3 M",
    goals: { tslab_s: most(3), deno_s: most(2) },
  },
  "first-look": {
    about: "from a new process to the first preview of a local Parquet file",
    goals: { seconds: most(1) },
  },
};

async function main(args: readonly string[]): Promise<void> {
  const { positionals: names, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { json: { type: "boolean" }, minutes: { type: "string" } },
  });
  const [name] = names;
  if (name === undefined) {
    console.log(
      textTable(["benchmark", "what it measures"], Object.entries(benches).map(([n, { about }]) => [n, about])),
    );
    return;
  }
  const bench = Object.hasOwn(benches, name) ? benches[name] : undefined;
  if (!bench || names.length > 1) {
    console.error(`Cannot run benchmark "${names.join(" ")}": benchmarks are ${Object.keys(benches).join(", ")}`);
    process.exitCode = 1;
    return;
  }
  const file = new URL(`${name.replaceAll("-", "_")}.ts`, import.meta.url);
  const { run } = await import(file.href) as { run(options: { readonly minutes?: number }): Promise<BenchResult> };
  const result = await run(values.minutes === undefined ? {} : { minutes: Number(values.minutes) });
  measuredAll();
  console.log(`${name}: ${bench.about}\n${machine()}\n`);
  for (const rows of byColumns(result.rows)) console.log(`${rowsTable(rows)}\n`);
  console.log(ratiosTable(result.ratios, bench.goals));
  if (values.json) {
    const { ratios, rows } = result;
    console.log(JSON.stringify({ name, ratios, rows }));
  }
}

function machine(): string {
  const cores = cpus();
  const gigabytes = (totalmem() / 2 ** 30).toFixed(0);
  return `${
    cores[0]?.model.trim() ?? "unknown CPU"
  }, ${cores.length} cores, ${gigabytes} GB, Node ${process.versions.node}`;
}

/** Rows with the same columns make a table. */
function byColumns(rows: readonly object[]): object[][] {
  const tables = new Map<string, object[]>();
  for (const row of rows) {
    const columns = JSON.stringify(Object.keys(row));
    tables.set(columns, [...tables.get(columns) ?? [], row]);
  }
  return [...tables.values()];
}

function rowsTable(rows: readonly object[]): string {
  const columns = Object.keys(rows[0]!);
  const isNumeric = columns.map((column) => rows.some((row) => typeof valueOf(row, column) === "number"));
  return textTable(
    columns,
    rows.map((row) => columns.map((column) => cellText(valueOf(row, column)))),
    isNumeric.map((numeric) => numeric ? "right" : "left"),
  );
}

function ratiosTable(ratios: BenchResult["ratios"], goals: Bench["goals"]): string {
  const names = [...new Set([...Object.keys(ratios), ...Object.keys(goals)])];
  return textTable(
    ["ratio", "measured", "goal", ""],
    names.map((name) => {
      const goal = goals[name];
      return [
        name,
        cellText(ratios[name]),
        goal ? `at ${goal.at} ${cellText(goal.value)}` : "–",
        goal ? isMet(goal, ratios[name]) ? "met" : "MISSED" : "",
      ];
    }),
    ["left", "right"],
  );
}

function isMet(goal: Goal, measured: number | undefined): boolean {
  if (measured === undefined || Number.isNaN(measured)) return false;
  return goal.at === "most" ? measured <= goal.value : measured >= goal.value;
}

function valueOf(row: object, column: string): unknown {
  return (row as Readonly<Record<string, unknown>>)[column];
}

/** Three digits say enough of a measurement. */
function cellText(value: unknown): string {
  if (value === undefined || value === null) return "–";
  if (typeof value !== "number") return String(value);
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { maximumFractionDigits: Number.isInteger(value) ? 0 : digits });
}

await main(process.argv.slice(2));
