import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { createDuckDbEngine } from "../../../sdk/engine/duckdb.ts";
import type { ScanStep } from "../../../sdk/frame/query.ts";

const engine = createDuckDbEngine();
const folder = mkdtempSync(join(tmpdir(), "varve-nulls-"));
afterAll(async () => {
  await engine.close();
  rmSync(folder, { recursive: true, force: true });
});

function scan(paths: readonly string[], format: "parquet" | "csv" = "parquet"): ScanStep {
  const schema = [{ name: "t", type: "timestamp" }, { name: "v", type: "float64" }] as const;
  return { kind: "scan", source: { kind: "file", format, paths, eventTimestamp: "t" }, schema };
}

async function nulls(step: ScanStep): Promise<number> {
  const session = await engine.session();
  try {
    return await session.nullCount(step, "t");
  } finally {
    session.close();
  }
}

async function write(name: string, select: string, settings = ""): Promise<string> {
  const session = await engine.session();
  const path = join(folder, name);
  await session.run(`COPY (${select}) TO '${path}' (FORMAT parquet${settings})`);
  session.close();
  return path;
}

const everyThird = (type: string) =>
  `SELECT CASE WHEN i % 3 > 0 THEN TIMESTAMP '2001-01-01' + INTERVAL (i) SECOND END::${type} AS t, i::DOUBLE AS v FROM range(9000) r(i)`;

it("nullCount() counts over files and row groups, whatever times are stored as", async () => {
  const types = ["TIMESTAMPTZ", "TIMESTAMP", "TIMESTAMP_NS", "DATE", "VARCHAR"];
  for (const type of types) {
    const path = await write(`odd name [${type}].parquet`, everyThird(type), ", ROW_GROUP_SIZE 2048");
    expect(await nulls(scan([path])), type).toBe(3000);
  }
  const none = await write("none.parquet", "SELECT TIMESTAMPTZ '2001-01-01' AS t, 1.0::DOUBLE AS v LIMIT 0");
  expect(await nulls(scan([none]))).toBe(0);
  const full = await write("full.parquet", "SELECT TIMESTAMPTZ '2001-01-01' AS t, i::DOUBLE AS v FROM range(10) r(i)");
  expect(await nulls(scan([full, await write("more.parquet", everyThird("TIMESTAMPTZ")), none]))).toBe(3000);
});

it("nullCount() reads what says nothing of itself", async () => {
  const path = join(folder, "rows.csv");
  writeFileSync(path, "t,v\n2001-01-01T00:00:00Z,1\n,2\n,3\n");
  expect(await nulls(scan([path], "csv"))).toBe(2);
});

it("nullCount() says which file is torn", async () => {
  const path = join(folder, "torn.parquet");
  writeFileSync(path, "PAR1 and nothing else");
  await expect(nulls(scan([path]))).rejects.toThrow(/torn\.parquet/);
});

it("nullCount() asks files only once, and again when they were rewritten", async () => {
  const path = await write("once.parquet", everyThird("TIMESTAMPTZ"));
  const session = await engine.session();
  const seen: string[] = [];
  const rows = session.rows.bind(session);
  session.rows = async (sql, signal) => {
    seen.push(sql);
    return await rows(sql, signal);
  };
  expect(await session.nullCount(scan([path]), "t")).toBe(3000);
  expect(await session.nullCount(scan([path]), "t")).toBe(3000);
  expect(seen).toHaveLength(1);
  expect(seen[0]).toContain("parquet_metadata");
  await write("once.parquet", `${everyThird("TIMESTAMPTZ")} LIMIT 7`);
  expect(await session.nullCount(scan([path]), "t")).toBe(3);
  expect(seen).toHaveLength(2);
  session.close();
});
