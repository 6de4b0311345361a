/** 100 M events, 3 windows × sum and count, in a process that keeps within 2 GiB: keys of all sizes, and one with a tenth of all. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExprNode } from "../../sdk/frame/expr_node.ts";
import type { Query } from "../../sdk/frame/query.ts";
import { measuring } from "./progress.ts";
import { type BenchResult, measured, train, withEngine } from "./windows.ts";
import { type Data, makeData, viewOf } from "./windows_data.ts";
import { windowNames } from "./windows_methods.ts";

const events = Number(process.env["VARVE_BENCH_EVENTS"] ?? 100_000_000);
const shapes = [
  { name: "hot", keys: 1_000, spineRows: 100_000 },
  { name: "sparse", keys: 100_000, spineRows: 1_000_000 },
] as const;

/** Runs the benchmark. */
export async function run(): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), "varve-bench-"));
  try {
    const rows: Record<string, string | number>[] = [];
    for (const shape of shapes) {
      measuring(`${shape.name}: making events`);
      const data = await withEngine("512MB", async (engine): Promise<Data> => {
        const session = await engine.session();
        const made = await makeData(session, folder, shape, events);
        session.close();
        return made;
      });
      for (const kind of ["even keys", "a tenth in one key"]) {
        measuring(`${shape.name}: ${kind}`);
        const view = viewOf(data, windowNames, ["sum", "count"]);
        const uneven = kind === "even keys" ? view : { ...view, query: oneLongKey(view.query) };
        const { cpu, wall } = await withEngine("512MB", (engine) => measured(() => train(engine, data, uneven)));
        rows.push({
          what: `${shape.name}: ${kind}`,
          cpu_s: cpu,
          wall_s: wall,
          rss_mb: process.resourceUsage().maxRSS / 1024,
        });
      }
    }
    const rss = Math.max(...rows.map((row) => row["rss_mb"] as number));
    return { name: "windows-large", ratios: { rss_mb: rss }, rows };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A tenth of all keys become one. */
function oneLongKey(input: Query): Query {
  const key: ExprNode = { kind: "column", name: "user_id" };
  const number = (value: string): ExprNode => ({ kind: "literal", type: "int64", value });
  const call = (operation: "modulo" | "eq", ...args: ExprNode[]): ExprNode => ({ kind: "call", operation, args });
  const when = call("eq", call("modulo", key, number("10")), number("3"));
  const expr: ExprNode = { kind: "case", branches: [{ when, then: number("0") }], otherwise: key };
  return { kind: "derive", input, columns: [{ name: "user_id", expr }] };
}
