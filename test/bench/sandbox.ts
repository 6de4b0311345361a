/**
 * What the sandbox of functions costs: one function of 5 numbers over batches of 1,000 rows and over single rows, in a
 * process of its own, one after another and many at a time, in this process with the same checks, and as a plain call. Rounds are interleaved; medians are told.
 */
import { publishedFunction } from "../../sdk/sandbox/published_function.ts";
import { FunctionRunner } from "../../sdk/sandbox/runner.ts";
import type { FunctionRuns } from "../../sdk/sandbox/runner_options.ts";
import { InProcessRunner } from "../../sdk/sandbox/in_process.ts";

interface BenchResult {
  readonly name: string;
  readonly ratios: Record<string, number>;
  readonly rows: object[];
}

const batch = 1_000;
const batches = 100;
const singles = 1_000;
const rounds = 9;

const five = { a: "float64", b: "float64", c: "float64", d: "float64", e: "float64" } as const;
type Five = { [K in keyof typeof five]: number };

const score = ({ a, b, c, d, e }: { [K in keyof Five]: number | null }) => ({
  ratio: (a ?? 0) / ((b ?? 0) + 1) + (c ?? 0),
  larger: (d ?? 0) > (e ?? 0) ? d : e,
});

/** Measures. */
export async function run(): Promise<BenchResult> {
  const fn = publishedFunction("score", five, { ratio: "float64", larger: "float64" }, score);
  const rows = Array.from({ length: batch }, (_, i): Five => ({ a: i, b: i + 1.5, c: i * 2, d: i % 7, e: 3 }));
  const sandboxed = new FunctionRunner();
  // As servers run it: what comes at a time is sent together.
  const gathered = new FunctionRunner({ gatherRows: 100 });
  const inProcess = new InProcessRunner();
  try {
    const measures: readonly [name: string, unit: number, work: () => Promise<unknown>][] = [
      ["sandboxed, one batch after another", batch * batches, () => serial(sandboxed, rows, batches)],
      ["sandboxed, batches at once", batch * batches, () => together(sandboxed, rows)],
      ["in process, checked", batch * batches, () => serial(inProcess, rows, batches)],
      ["a plain call", batch * batches, () => plain(rows)],
      ["sandboxed, one row", singles, () => serial(sandboxed, rows.slice(0, 1), singles)],
      ["sandboxed, one row of 64 at a time", singles * 10, () => many(gathered, rows.slice(0, 1))],
      ["in process, one row", singles, () => serial(inProcess, rows.slice(0, 1), singles)],
    ];
    const times = measures.map((): number[] => []);
    // The first round is the compilers'.
    for (let round = 0; round <= rounds; round += 1) {
      for (const [i, [, , work]] of measures.entries()) {
        const began = performance.now();
        await work();
        if (round > 0) times[i]!.push(performance.now() - began);
      }
    }
    const perRow = measures.map(([, unit], i) => median(times[i]!) / unit);
    const starts: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const fresh = new FunctionRunner();
      const began = performance.now();
      await fresh.warm(fn);
      starts.push(performance.now() - began);
      await fresh.close();
    }
    return {
      name: "sandbox",
      ratios: {
        rows_per_s: 1_000 / perRow[1]!,
        one_row_us: perRow[4]! * 1_000,
        one_of_64_us: perRow[5]! * 1_000,
        start_ms: median(starts),
        vs_in_process: perRow[1]! / perRow[2]!,
      },
      rows: measures.map(([how], i) => ({
        how,
        rows_per_s: Math.round(1_000 / perRow[i]!),
        us_per_row: perRow[i]! * 1_000,
      })),
    };
  } finally {
    await sandboxed.close();
    await gathered.close();
  }

  async function serial(runs: FunctionRuns, some: readonly Five[], times: number): Promise<void> {
    for (let i = 0; i < times; i += 1) await runs.run(fn, some);
  }

  async function many(runs: FunctionRuns, some: readonly Five[]): Promise<void> {
    await Promise.all(Array.from({ length: 64 }, () => serial(runs, some, Math.ceil(singles * 10 / 64))));
  }

  async function together(runs: FunctionRuns, some: readonly Five[]): Promise<void> {
    await Promise.all(Array.from({ length: batches }, () => runs.run(fn, some)));
  }
}

let sink: unknown;

// deno-lint-ignore require-await
async function plain(rows: readonly Five[]): Promise<unknown> {
  for (let i = 0; i < batches; i += 1) sink = rows.map(score);
  return sink;
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
}
