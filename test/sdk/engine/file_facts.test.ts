import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDuckDbEngine } from "../../../sdk/engine/duckdb.ts";
import type { EngineSession } from "../../../sdk/engine/engine.ts";
import { FileFacts } from "../../../sdk/engine/file_facts.ts";
import type { ScanStep } from "../../../sdk/frame/query.ts";
import { toMicros } from "../../../sdk/time.ts";

const folder = mkdtempSync(join(tmpdir(), "varve-facts-"));
const engine = createDuckDbEngine();
let session: EngineSession;
beforeAll(async () => {
  session = await engine.session();
});
afterAll(async () => {
  session.close();
  await engine.close();
  rmSync(folder, { recursive: true, force: true });
});

const day = 86_400_000_000n;
const start = toMicros("2024-01-01");

/** Writes a file of rows at these times. */
async function write(name: string, times: readonly string[], type = "TIMESTAMPTZ"): Promise<string> {
  const path = join(folder, name);
  const rows = times.map((time, i) => `(${time === "null" ? "NULL" : `'${time}'`}::${type}, ${i})`);
  await session.writeParquet(`SELECT * FROM (VALUES ${rows.join(", ")}) v(t, n)`, path);
  return path;
}

function scanOf(path: string): ScanStep {
  return {
    kind: "scan",
    source: { kind: "file", format: "parquet", paths: [path], eventTimestamp: "t" },
    schema: [{ name: "t", type: "timestamp" }, { name: "n", type: "int32" }],
  };
}

/** The files that a slice of this day reads, and the rows that it finds. */
async function slice(pattern: string, number: number): Promise<{ files: number; rows: number }> {
  const range = { start: start + BigInt(number) * day, end: start + BigInt(number + 1) * day };
  const { sql } = await session.compile(scanOf(pattern), { slices: { range } });
  const [row] = await session.rows(`SELECT count(*)::INTEGER AS n FROM (${sql})`);
  return { files: sql.split(".parquet'").length - 1, rows: Number(row!["n"]) };
}

describe("files of a long history", () => {
  it("are not opened where they are known to hold nothing of a slice, and are again when they are written anew", async () => {
    for (let number = 0; number < 9; number++) {
      const date = `2024-01-0${number + 1}`;
      await write(`days_${number}.parquet`, [`${date} 00:00:00+00`, `${date} 23:59:59.999999+00`]);
    }
    const pattern = join(folder, "days_*.parquet");
    expect(await slice(pattern, 4)).toEqual({ files: 9, rows: 2 });
    expect(await session.nullCount(scanOf(pattern), "t")).toBe(0);
    // The first one stays, for its columns.
    expect(await slice(pattern, 4)).toEqual({ files: 2, rows: 2 });
    expect(await slice(pattern, 0)).toEqual({ files: 1, rows: 2 });
    expect(await slice(pattern, 20)).toEqual({ files: 1, rows: 0 });
    // A late row, and a file of which nothing is known yet.
    await write("days_7.parquet", ["2024-01-08 12:00:00+00", "2024-01-05 12:00:00+00", "2024-01-08 13:00:00+00"]);
    await write("days_9.parquet", ["2024-01-05 18:00:00+00"]);
    expect(await slice(pattern, 4)).toEqual({ files: 4, rows: 4 });
    expect(await session.nullCount(scanOf(pattern), "t")).toBe(0);
    expect(await slice(pattern, 4)).toEqual({ files: 4, rows: 4 });
    expect(await slice(pattern, 7)).toEqual({ files: 2, rows: 2 });
  });

  it("are read as a whole where options of the source may look at all of them", async () => {
    await write("named_0.parquet", ["2024-01-01 00:00:00+00"]);
    await write("named_1.parquet", ["2024-01-02 00:00:00+00"]);
    await write("named_2.parquet", ["2024-01-03 00:00:00+00"]);
    const scan = scanOf(join(folder, "named_*.parquet"));
    const named = { ...scan, source: { ...scan.source, options: { union_by_name: true } } } as ScanStep;
    expect(await session.nullCount(named, "t")).toBe(0);
    const range = { start, end: start + day };
    const { sql } = await session.compile(named, { slices: { range } });
    expect(sql.split(".parquet'")).toHaveLength(4);
  });

  const noon = start + day / 2n;
  const cases: readonly (readonly [name: string, type: string, times: readonly string[], known: boolean])[] = [
    ["instants", "TIMESTAMPTZ", ["2024-01-01 00:00:00+00", "2024-01-01 11:59:59.999999+00"], true],
    ["naive times", "TIMESTAMP", ["2024-01-01 00:00:00", "2024-01-01 11:59:59.999999"], true],
    ["milliseconds", "TIMESTAMP_MS", ["2024-01-01 00:00:00", "2024-01-01 11:59:59.999"], true],
    ["nanoseconds", "TIMESTAMP_NS", ["2024-01-01 00:00:00", "2024-01-01 11:59:59.999999999"], true],
    ["days", "DATE", ["2023-12-31", "2024-01-01"], true],
    ["times of which some are null", "TIMESTAMPTZ", ["null", "2024-01-01 00:00:00+00"], true],
    ["nulls alone", "TIMESTAMPTZ", ["null"], false],
    ["an endless time", "TIMESTAMPTZ", ["2024-01-01 00:00:00+00", "infinity"], false],
    ["text", "VARCHAR", ["2024-01-01 00:00:00+00"], false],
  ];
  it.each(cases)("tell bounds of %s: %s", async (name, type, times, known) => {
    const path = await write(`bounds of ${name}.parquet`, times, type);
    const facts = new FileFacts();
    const columns = new Map([["t", { kind: "scalar", name: "TIMESTAMP WITH TIME ZONE", args: [] } as const]]);
    await facts.nulls({ from: "", label: "", parquet: [path], columns }, "t", session);
    const isRead = (from: bigint, end: bigint) => facts.within(["first", path], "t", { start: from, end }).length === 2;
    expect(isRead(noon, noon + day)).toBe(!known);
    expect(isRead(start - 9n * day, start - day)).toBe(!known);
    expect(isRead(start, noon)).toBe(true);
  });
});
