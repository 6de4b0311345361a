/** The first useful cell of a notebook, in a kernel that is up: import, connect, and the first rows of a file of 3 M rows. */
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchResult } from "./exchange.ts";
import { JupyterKernel } from "../support/jupyter.ts";

const root = join(import.meta.dirname, "../..");
const times = 3;

const cell = `
import { connect, parquet, table } from "varve";
const store = await connect();
const flights = parquet("node_modules/vega-datasets/data/flights-3m.parquet", {
  eventTimestamp: "date",
  schema: { date: "timestamp", delay: "int64", distance: "int64", origin: "string", destination: "string" },
});
const rows = await flights.preview(5);
table(rows);`;

/** Runs it in both kernels, in turn, and takes the median. */
export async function run(): Promise<BenchResult> {
  const folder = await mkdtemp(join(tmpdir(), "varve-first-cell-"));
  try {
    for (const name of ["node_modules", "deno.json", "sdk", "cluster"]) {
      await symlink(join(root, name), join(folder, name));
    }
    const seconds = { node: [] as number[], deno: [] as number[] };
    for (let i = 0; i < times; i++) {
      for (const name of ["node", "deno"] as const) {
        const kernel = await JupyterKernel.start(name, folder);
        try {
          const began = performance.now();
          let shown = NaN;
          const { status } = await kernel.run(cell, { onOutput: () => shown = (performance.now() - began) / 1000 });
          if (status !== "ok" || Number.isNaN(shown)) {
            throw new Error(`the cell did not show its rows in the ${name} kernel`);
          }
          seconds[name].push(shown);
        } finally {
          await kernel.close();
        }
      }
    }
    const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
    const rows = Object.entries(seconds).map(([kernel, all]) => ({
      kernel,
      seconds: all.map((s) => s.toFixed(2)).join(" "),
    }));
    return { name: "first-cell", ratios: { tslab_s: median(seconds.node), deno_s: median(seconds.deno) }, rows };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
