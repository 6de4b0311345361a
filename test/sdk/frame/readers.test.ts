import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import "../../../sdk/engine/install.ts";
import { frameEngine } from "../../../sdk/engine/install.ts";
import { col } from "../../../sdk/frame/expr.ts";
import { fromRows, parquet, sql } from "../../../sdk/frame/sources.ts";

const folder = mkdtempSync(join(tmpdir(), "varve-readers-"));
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await (await frameEngine()).close();
});

const frame = fromRows([{ id: 1, x: 1.5, s: "a" }, { id: 2, x: null, s: "b" }, { id: 3, x: 4.5, s: "b" }], {
  schema: { id: "int32", x: "float64", s: "string" },
});

describe("readers of a frame", () => {
  it("count(), head() and preview()", async () => {
    expect(await frame.count()).toBe(3);
    expect(await frame.filter(col("id").gt(9)).count()).toBe(0);
    expect(await frame.head(1).rows()).toEqual([{ id: 1, x: 1.5, s: "a" }]);
    expect(await frame.preview(2)).toHaveLength(2);
  });

  it("batches() and for await give columns", async () => {
    const seen: unknown[] = [];
    for await (const batch of frame.select("id", "x")) {
      expect(batch.schema.map((field) => field.name)).toEqual(["id", "x"]);
      for (let row = 0; row < batch.rowCount; row++) {
        seen.push([batch.columns[0]!.values[row], batch.columns[1]!.isNull(row)]);
      }
    }
    expect(seen).toEqual([[1, false], [2, true], [3, false]]);
  });

  it("batches() can be left early", async () => {
    for await (const batch of fromRows(Array.from({ length: 10_000 }, (_, id) => ({ id }))).batches()) {
      expect(batch.rowCount).toBeGreaterThan(0);
      break;
    }
    expect(await frame.count()).toBe(3);
  });

  it("toParquet() writes what parquet() reads", async () => {
    const path = join(folder, "new", "out.parquet");
    const written = await frame.toParquet(path);
    expect(written).toMatchObject({ path, rows: 3 });
    expect(written.bytes).toBeGreaterThan(0);
    const back = parquet(path);
    expect(back.schema).toEqual(frame.schema);
    expect(await back.rows()).toEqual(await frame.rows());
  });

  it("describe() summarises every column", async () => {
    expect(await frame.describe()).toEqual([
      {
        name: "id",
        type: "int32",
        count: 3,
        nulls: 0,
        distinct: 3,
        min: 1,
        max: 3,
        mean: 2,
        stddev: 1,
        quantile25: 1.5,
        median: 2,
        quantile75: 2.5,
      },
      {
        name: "x",
        type: "float64",
        count: 2,
        nulls: 1,
        distinct: 2,
        min: 1.5,
        max: 4.5,
        mean: 3,
        stddev: Math.sqrt(4.5),
        quantile25: 2.25,
        median: 3,
        quantile75: 3.75,
      },
      {
        name: "s",
        type: "string",
        count: 3,
        nulls: 0,
        distinct: 2,
        min: "a",
        max: "b",
        mean: null,
        stddev: null,
        quantile25: null,
        median: null,
        quantile75: null,
      },
    ]);
  });

  it("describe() goes through values that are no numbers", async () => {
    const [column] = await fromRows([{ x: 1 }, { x: NaN }, { x: Infinity }, { x: null }], { schema: { x: "float64" } })
      .describe();
    expect(column).toMatchObject({ count: 3, nulls: 1, min: 1, mean: NaN, stddev: NaN, median: Infinity });
  });

  it("a text that cannot be cast is named, with the way out", async () => {
    await expect(frame.derive({ n: col("s").cast("int64") }).rows()).rejects.toMatchObject({
      code: "SCHEMA_MISMATCH",
      message: /^Cannot cast string "[ab]" to int64: it has no such value; .*onError: "null"/,
    });
  });

  it("a time that no engine keeps is an error with a code", async () => {
    const far = sql("SELECT TIMESTAMPTZ '20000-01-01' AS at", {});
    await expect(far.rows()).rejects.toMatchObject({ code: "INVALID_REQUEST", message: /years run from 0001 to 9999/ });
  });

  it("explain() gives the SQL", async () => {
    expect(await frame.filter(col("id").gt(1)).explain()).toMatch(
      /^SELECT \*\nFROM \(\n {2}SELECT "id", "x", "s"\n {2}FROM "memory_\w+"\n\)\nWHERE /,
    );
  });

  it("a signal cancels a read", async () => {
    await expect(frame.rows({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "CANCELLED" });
  });
});
