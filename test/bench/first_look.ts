/** How long a new process takes from its start through `connect()` to the first preview of a local Parquet file, next to what Node itself takes. Needs the build. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { BenchResult } from "./exchange.ts";

const rounds = 7;

/** Runs the benchmark. */
export async function run(): Promise<BenchResult> {
  const root = join(import.meta.dirname, "../..");
  const entry = pathToFileURL(join(root, "sdk/dist/mod.js")).href;
  const file = join(root, "node_modules/vega-datasets/data/flights-3m.parquet");
  const folder = mkdtempSync(join(tmpdir(), "varve-look-"));
  const look = `const { connect, parquet } = await import(${JSON.stringify(entry)});
    const store = await connect({ storage: ${JSON.stringify(folder)} });
    const rows = await parquet(${JSON.stringify(file)}, { eventTimestamp: "date" }).preview();
    if (rows.length !== 10) throw new Error("no preview");
    await store.close();`;
  const times: Record<string, number[]> = { "first preview": [], "import only": [], "empty program": [] };
  const programs: Record<string, string> = {
    "first preview": look,
    "import only": `await import(${JSON.stringify(entry)});`,
    "empty program": "",
  };
  for (let round = -1; round < rounds; round++) {
    for (const [name, program] of Object.entries(programs)) {
      const start = performance.now();
      const result = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
      const elapsed = performance.now() - start;
      if (result.status !== 0) throw new Error(`${name} failed: ${result.stderr}`);
      if (round >= 0) times[name]!.push(elapsed);
    }
  }
  rmSync(folder, { recursive: true, force: true });
  const rows = Object.entries(times).map(([what, list]) => ({ what, seconds: seconds(list) }));
  return { name: "first-look", ratios: { seconds: seconds(times["first preview"]!) }, rows };
}

function seconds(values: readonly number[]): number {
  return Math.round(values.toSorted((a, b) => a - b)[values.length >> 1]!) / 1000;
}
