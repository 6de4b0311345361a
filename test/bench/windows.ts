/**
 * Windows at the rows of a spine, through varve's API and from the source, against the best that one would write by hand; what
 * longer windows, more windows and more aggregates cost; slices of tiles, and online reads. Figures are CPU (all threads of this
 * process), medians of rounds by turns.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AggregateView } from "../../sdk/define/definitions.ts";
import { createDuckDbEngine } from "../../sdk/engine/duckdb.ts";
import type { Engine } from "../../sdk/engine/engine.ts";
import { readOfView } from "../../sdk/retrieve/feature_read.ts";
import { trainingSet } from "../../sdk/retrieve/training.ts";
import { FunctionRunner } from "../../sdk/sandbox/runner.ts";
import "../../sdk/engine/install.ts";
import { measuring } from "./progress.ts";
import { type Data, makeData, shapes, viewOf } from "./windows_data.ts";
import { handWritten, type Method, windowNames } from "./windows_methods.ts";
import { measureOnlineReads } from "./windows_online.ts";
import { measureOnlineLoads } from "./windows_online_loads.ts";
import { measureSlices } from "./windows_slices.ts";

type Row = Readonly<Record<string, string | number>>;

/** What the benchmark gives. */
export interface BenchResult {
  readonly name: string;
  readonly ratios: Readonly<Record<string, number>>;
  readonly rows: readonly Row[];
}

interface Cost {
  readonly cpu: number;
  readonly wall: number;
}

/** How often everything is measured: one round differs from the next by a tenth. */
const rounds = 5;

/** Runs the benchmark. */
export async function run(): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), "varve-bench-"));
  try {
    const rows: Row[] = [];
    const ratios: Record<string, number> = {};
    for (const shape of shapes) {
      measuring(`${shape.name}: making events`);
      const data = await withEngine(undefined, async (engine) => {
        const session = await engine.session();
        const made = await makeData(session, folder, shape);
        session.close();
        return made;
      });
      const costs = await compare(shape.name, data, rounds);
      for (const [method, cost] of costs) rows.push(rowOf(`${shape.name}: ${method}`, cost));
      const own = costs.get("varve")!.cpu;
      const others = [...costs].filter(([method]) => method !== "varve").map(([, { cpu }]) => cpu);
      ratios[`${shape.name}_cpu_s`] = own;
      ratios[`${shape.name}_vs_frames`] = costs.get("DuckDB RANGE frames")!.cpu / own;
      ratios[`${shape.name}_vs_best`] = own / Math.min(...others);
      if (shape.name === "hot") {
        const grown = await growth(data, rounds);
        for (const [what, cost] of grown) rows.push(rowOf(`${shape.name}: ${what}`, cost));
        ratios["cpu_90d_vs_1h"] = grown.get("one window of 90d")!.cpu / grown.get("one window of 1h")!.cpu;
      }
    }
    const slices = await measureSlices();
    const reads = await measureOnlineReads();
    const loads = await measureOnlineLoads();
    return {
      name: "windows",
      ratios: { ...ratios, ...slices.ratios, online_vs_attributes: reads.ratio },
      rows: [...rows, ...slices.rows, ...reads.rows, ...loads],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function rowOf(what: string, { cpu, wall }: Cost): Row {
  return { what, cpu_s: cpu, wall_s: wall };
}

/** Each in turn, round after round, so that a busy minute hurts all alike. */
async function compare(shape: string, data: Data, rounds: number): Promise<Map<string, Cost>> {
  const view = viewOf(data, windowNames, ["sum", "count"]);
  const own: Method = { method: "varve", run: (engine) => train(engine, data, view) };
  const costs = new Map<string, Cost[]>();
  for (let round = 0; round < rounds; round++) {
    for (const { method, once, run } of [own, ...handWritten]) {
      if (once && round > 0) continue;
      measuring(`${shape}: ${method}`, round, once ? 1 : rounds);
      // The limit is the one that stores give their engine; by hand there is none.
      const cost = await withEngine(
        method === "varve" ? "512MB" : undefined,
        (engine) => measured(() => run(engine, data)),
      );
      costs.set(method, [...costs.get(method) ?? [], cost]);
      if (round === 0) await check(method, data);
    }
  }
  return new Map([...costs].map(([method, all]) => [method, median(all)]));
}

/** What more of everything costs. */
async function growth(data: Data, rounds: number): Promise<Map<string, Cost>> {
  const four = ["sum", "count", "min", "max"];
  const views = new Map([
    ["one window of 1h", viewOf(data, ["1h"], ["sum", "count"])],
    ["one window of 90d", viewOf(data, ["90d"], ["sum", "count"])],
    ["a fourth window", viewOf(data, [...windowNames, "90d"], ["sum", "count"])],
    ["four aggregates", viewOf(data, windowNames, four)],
    ["five aggregates", viewOf(data, windowNames, [...four, "mean"])],
  ]);
  const costs = new Map<string, Cost[]>();
  for (let round = 0; round < rounds; round++) {
    for (const [what, view] of views) {
      measuring(what, round, rounds);
      const cost = await withEngine("512MB", (engine) => measured(() => train(engine, data, view)));
      costs.set(what, [...costs.get(what) ?? [], cost]);
    }
  }
  return new Map([...costs].map(([what, all]) => [what, median(all)]));
}

/** A training set from the source, to Parquet. */
export async function train(engine: Engine, data: Data, view: AggregateView): Promise<void> {
  const set = await trainingSet(
    { reads: [readOfView({ definition: view, version: 0 })], spine: data.spine, from: "source", asOf: "event" },
    {
      engine,
      functions: new FunctionRunner(),
      tables: () => Promise.reject(new Error("nothing is materialized")) as never,
    },
  );
  await set.parquet(data.output);
  set.close();
}

/** Every method must give what the first one, varve, gave: the same rows in the same order, sums but for their rounding. */
async function check(method: string, data: Data): Promise<void> {
  await withEngine(undefined, async (engine) => {
    const session = await engine.session();
    try {
      if (method === "varve") {
        const named = windowNames.flatMap((name, i) => [`sum_${name} AS s${i}`, `count_${name} AS c${i}`]);
        await session.writeParquet(`SELECT label, ${named.join(", ")} FROM read_parquet('${data.output}')`, kept(data));
        return;
      }
      const differs = windowNames.map((_, i) =>
        `coalesce(a.c${i}, 0) <> b.c${i} OR abs(coalesce(a.s${i}, 0) - coalesce(b.s${i}, 0)) > 1e-4 + 1e-9 * abs(b.s${i})`
      );
      const [row] = await session.rows(
        `SELECT count(*)::DOUBLE AS n, (count(*) FILTER (WHERE a.label IS DISTINCT FROM b.label OR ${
          differs.join(" OR ")
        }))::DOUBLE AS wrong FROM read_parquet('${data.output}') a POSITIONAL JOIN read_parquet('${kept(data)}') b`,
      );
      if (row!["wrong"] !== 0) {
        throw new Error(`${method} gives another result in ${row!["wrong"]} of ${row!["n"]} rows`);
      }
    } finally {
      session.close();
    }
  });
}

function kept({ output }: Data): string {
  return `${output}.kept`;
}

/** What an action takes. */
export async function measured(action: () => Promise<void>): Promise<Cost> {
  const started = performance.now();
  const before = process.cpuUsage();
  await action();
  const { user, system } = process.cpuUsage(before);
  return { cpu: (user + system) / 1e6, wall: (performance.now() - started) / 1e3 };
}

export async function withEngine<T>(
  memoryLimit: string | undefined,
  action: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = createDuckDbEngine(memoryLimit === undefined ? {} : { memoryLimit });
  try {
    return await action(engine);
  } finally {
    await engine.close();
  }
}

function median(costs: readonly Cost[]): Cost {
  const middle = (values: number[]) => values.sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!;
  return { cpu: middle(costs.map(({ cpu }) => cpu)), wall: middle(costs.map(({ wall }) => wall)) };
}
