import { rm } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { VarveError } from "../../../sdk/errors.ts";
import type { Progress } from "../../../sdk/materialize/progress.ts";
import { formatTimestamp } from "../../../sdk/time.ts";
import { january, Rig } from "./rig.ts";

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.open();
});
afterEach(async () => {
  expect(await rig.leftOvers()).toEqual([]);
  await rig.close();
});

const rows = [
  { a: "x", b: 1, t: "2001-01-01T06:00Z", v: 1 },
  { a: "x", b: 1, t: "2001-01-02T06:00Z", v: 2 },
  { a: "y", b: 1, t: "2001-01-02T07:00Z", v: 3 },
  { a: "x", b: 1, t: "2001-01-04T00:00Z", v: 4 },
];

async function code(promise: Promise<unknown>): Promise<string> {
  return await promise.then(() => "no error", (error: VarveError) => error.code);
}

describe("materialize()", () => {
  it("commits slices, empty ones too, with the effective timestamp of S4", async () => {
    await rig.write(rows);
    const result = await rig.run(1, 5);
    expect(result).toMatchObject({ outcome: "committed", slices: 4, skipped: 0, rows: 4 });
    const { files, slices } = await rig.table().snapshot();
    expect([...slices.keys()].sort()).toEqual([1, 2, 3, 4].map(january));
    expect(files.map((file) => file.slice.start)).toEqual([1, 2, 4].map(january));
    const stored = await rig.stored();
    expect(Object.keys(stored[0]!)).toEqual([
      "a",
      "b",
      "event_timestamp",
      "effective_timestamp",
      "written_timestamp",
      "v",
    ]);
    expect(stored.map((row) => [row["a"], row["v"], String(row["effective_timestamp"])])).toEqual([
      ["x", 1, "2001-01-02T02:00:00Z"],
      ["x", 2, "2001-01-03T02:00:00Z"],
      ["x", 4, "2001-01-05T02:00:00Z"],
      ["y", 3, "2001-01-03T02:00:00Z"],
    ]);
  });

  it("takes the clock as written timestamp where the source has none", async () => {
    await rig.write([{ a: "x", b: 1, t: "2001-01-01T06:00Z", w: "2001-01-01T07:00Z", v: 1 }, {
      a: "y",
      b: 1,
      t: "2001-01-01T06:00Z",
      v: 1,
    }]);
    await rig.run(1, 2);
    expect((await rig.stored()).map((row) => String(row["written_timestamp"]))).toEqual([
      "2001-01-01T07:00:00Z",
      "2001-02-01T00:00:00Z",
    ]);
  });

  it("does nothing when everything is committed, and fills only what is missing", async () => {
    await rig.write(rows);
    await rig.run(2, 3);
    expect(await rig.run(1, 5)).toMatchObject({ outcome: "committed", slices: 3, skipped: 1, rows: 2 });
    expect(await rig.run(1, 5)).toMatchObject({ outcome: "already", slices: 0, skipped: 4, tableVersion: 2 });
  });

  it("picks up late rows by overwrite and leaves other slices alone", async () => {
    await rig.write(rows);
    await rig.run(1, 5);
    await rig.write([...rows, { a: "z", b: 9, t: "2001-01-02T23:00Z", v: 9 }, {
      a: "z",
      b: 9,
      t: "2001-01-01T23:00Z",
      v: 8,
    }]);
    expect(await rig.run(2, 3, { overwrite: true })).toMatchObject({ outcome: "committed", slices: 1, rows: 3 });
    expect((await rig.stored()).map((row) => row["v"])).toEqual([1, 2, 4, 3, 9]);
  });

  it("reduces ties: last written, then last in the source (S3)", async () => {
    const t = "2001-01-01T06:00Z";
    await rig.write([
      { a: "x", b: 1, t, w: "2001-01-03", v: 30 },
      { a: "x", b: 1, t, w: "2001-01-02", v: 99 },
      { a: "x", b: 2, t, w: "2001-01-02", v: 7 },
      { a: "x", b: 2, t, w: "2001-01-02", v: 5 },
      { a: "x", b: 3, t, w: null, v: 8 },
      { a: "x", b: 3, t, w: "1990-01-01", v: 3 },
    ]);
    await rig.run(1, 2);
    expect((await rig.stored()).map((row) => row["v"])).toEqual([30, 5, 3]);
  });

  it("reduces ties by value where the query has no order of its own", async () => {
    const t = "2001-01-01T06:00Z";
    await rig.write([{ a: "x", b: 1, t, v: 4 }, { a: "x", b: 1, t, v: 6 }, { a: "x", b: 1, t, v: null }, {
      a: "x",
      b: 1,
      t,
      v: 5,
    }]);
    const definition = rig.definition({ query: { kind: "union", inputs: [rig.scan(), rig.scan()] } });
    await rig.run(1, 2, { definition });
    expect((await rig.stored()).map((row) => row["v"])).toEqual([6]);
  });

  it("drops rows without a key or an event timestamp and counts them", async () => {
    await rig.write([...rows, { a: null, b: 1, t: "2001-01-01T06:00Z", v: 1 }, {
      a: "q",
      b: null,
      t: "2001-01-02",
      v: 1,
    }, { a: "q", b: 1, t: null, v: 1 }]);
    const result = await rig.run(1, 5);
    expect(result).toMatchObject({ rows: 4, dropped: { nullKey: 2, nullTimestamp: 1 } });
    const [commit] = await rig.table().history(1);
    expect(JSON.stringify(commit!.info)).toContain('"droppedNullKey":');
  });

  it("keeps keys such as (1, 12) and (11, 2) apart (S8)", async () => {
    const t = "2001-01-01T06:00Z";
    await rig.write([{ a: "1", b: 12, t, v: 1 }, { a: "11", b: 2, t, v: 2 }]);
    await rig.run(1, 2);
    expect((await rig.stored()).map((row) => [row["a"], row["b"], row["v"]])).toEqual([["1", 12n, 1], ["11", 2n, 2]]);
  });

  it("computes slice by slice what cannot be computed at once, with the same result", async () => {
    await rig.write(rows);
    const sql = "SELECT a, b, max(t) AS t, max(w) AS w, sum(v) AS v FROM source GROUP BY a, b";
    const source = rig.scan();
    const query = { kind: "sql", sql, inputs: { source }, schema: source.schema } as const;
    await rig.run(1, 5, { definition: rig.definition({ query }) });
    expect((await rig.stored()).map((row) => [row["a"], String(row["event_timestamp"]), row["v"]])).toEqual([
      ["x", "2001-01-01T06:00:00Z", 1],
      ["x", "2001-01-02T06:00:00Z", 2],
      ["x", "2001-01-04T00:00:00Z", 4],
      ["y", "2001-01-02T07:00:00Z", 3],
    ]);
  });

  it("writes a large slice in several sorted parts", async () => {
    await rig.writeSql(
      "SELECT 'k' || (i % 100) AS a, i AS b, TIMESTAMPTZ '2001-01-01' + INTERVAL (i) SECOND AS t, NULL::TIMESTAMPTZ AS w, i::DOUBLE AS v FROM range(5000) r(i)",
    );
    const result = await rig.run(1, 3, { context: { maxRowsPerPart: 1000 } });
    const { files } = await rig.table().snapshot();
    expect(files).toHaveLength(5);
    expect(files.reduce((sum, file) => sum + file.rows, 0)).toBe(5000);
    expect(result.rows).toBe(5000);
    expect(new Set((await rig.stored()).map((row) => row["b"])).size).toBe(5000);
    for (const file of files) {
      const session = await rig.engine.session();
      const [path] = await rig.table().localPaths([file]);
      const keys = (await session.rows(`SELECT a, b FROM read_parquet('${path}')`)).map((row) =>
        `${row["a"]} ${String(row["b"]).padStart(5)}`
      );
      session.close();
      expect(keys).toEqual([...keys].sort());
    }
  });

  it("refuses slices that have not closed, with those that have", async () => {
    await rig.write(rows);
    rig.clock.set("2001-01-03T01:59");
    await expect(rig.run(1, 3)).rejects.toThrow(
      /slices that have closed are \[2001-01-01T00:00:00Z, 2001-01-02T00:00:00Z\)/,
    );
    rig.clock.set("2001-01-01T01:59");
    await expect(rig.run(1, 2)).rejects.toThrow(/no slice has closed yet/);
  });

  it("tells progress to the end", async () => {
    await rig.write(rows);
    const seen: Progress[] = [];
    await rig.run(1, 31, { context: { onProgress: (progress) => seen.push(progress) } });
    expect(seen[0]).toMatchObject({ phase: "slices", slicesDone: 0, slicesTotal: 30 });
    expect(seen.at(-1)).toMatchObject({ slicesDone: 30, rows: 4 });
    expect(seen.at(-1)!.bytes).toBeGreaterThan(0);
  });

  it("names the column when the source no longer fits", async () => {
    await rig.writeSql("SELECT 'x' AS a, 1 AS b, TIMESTAMPTZ '2001-01-01' AS t, NULL::TIMESTAMPTZ AS w");
    const failure = rig.run(1, 2);
    await expect(failure).rejects.toMatchObject({ code: "SCHEMA_MISMATCH", retry: false });
    await expect(failure).rejects.toThrow(/view "values".*column "v"/);
    expect((await rig.table().snapshot()).slices.size).toBe(0);
  });

  it("says that the source file is gone, for good", async () => {
    await rig.write(rows);
    await rm(rig.source);
    const failure = rig.run(1, 2);
    await expect(failure).rejects.toMatchObject({ code: "NOT_FOUND", retry: false });
    await expect(failure).rejects.toThrow(/view "values" version 1.*source\.parquet/);
  });

  it("stops when it is cancelled and commits nothing", async () => {
    await rig.write(rows);
    const controller = new AbortController();
    const failpoint = () => controller.abort(new Error("enough"));
    const failure = rig.run(1, 5, { context: { signal: controller.signal, failpoint } });
    await expect(failure).rejects.toMatchObject({ code: "CANCELLED" });
    expect((await rig.table().snapshot()).slices.size).toBe(0);
  });

  it("gives one commit when the same slices run twice at once", async () => {
    await rig.write(rows);
    const results = await Promise.all([rig.run(1, 5), rig.run(1, 5), rig.run(3, 8)]);
    expect((await rig.stored()).map((row) => row["v"])).toEqual([1, 2, 4, 3]);
    expect(results.reduce((sum, result) => sum + result.slices, 0)).toBe(7);
    expect((await rig.table().snapshot()).slices.size).toBe(7);
  });

  it("drops from its commit what others committed meanwhile", async () => {
    await rig.write(rows);
    const result = await rig.run(1, 5, {
      context: {
        failpoint: async (name) => {
          if (name === "before-commit") await rig.run(2, 4);
        },
      },
    });
    expect(result).toMatchObject({ outcome: "committed", slices: 2, skipped: 2, rows: 2 });
    expect((await rig.stored()).map((row) => row["v"])).toEqual([1, 2, 4, 3]);
  });

  it("never lets a paused overwrite undo a newer one", async () => {
    await rig.write(rows);
    await rig.run(1, 3);
    let paused = true;
    // The zombie read the old source; before it commits, another run overwrites from a source that has been corrected.
    const zombie = await rig.run(2, 3, {
      overwrite: true,
      context: {
        failpoint: async (name) => {
          if (name !== "before-commit" || !paused) return;
          paused = false;
          await rig.write(rows.map((row) => ({ ...row, v: row.v * 10 })));
          await rig.run(2, 3, { overwrite: true });
        },
      },
    });
    expect(zombie.outcome).toBe("committed");
    expect((await rig.stored()).map((row) => row["v"])).toEqual([1, 20, 30]);
  });

  it("gives up an overwrite that is overtaken again and again", async () => {
    await rig.write(rows);
    await rig.run(1, 2);
    const overtaken = rig.run(1, 2, {
      overwrite: true,
      context: {
        failpoint: async (name) => {
          if (name === "before-commit") await rig.run(1, 2, { overwrite: true });
        },
      },
    });
    expect(await code(overtaken)).toBe("CONFLICT");
  });

  it("resumes after a crash at each failpoint with the content of one clean run", async () => {
    await rig.write(rows);
    for (const point of ["after-part-write", "before-commit", "after-commit"] as const) {
      const crash = rig.run(1, 5, {
        context: {
          failpoint: (name) => {
            if (name === point) throw new Error(`crash ${point}`);
          },
        },
      });
      await expect(crash).rejects.toThrow(/crash/);
      expect((await rig.table().snapshot()).slices.size).toBe(point === "after-commit" ? 4 : 0);
    }
    expect(await rig.run(1, 5)).toMatchObject({ outcome: "already" });
    expect((await rig.stored()).map((row) => row["v"])).toEqual([1, 2, 4, 3]);
  });

  it("works before 1970", async () => {
    await rig.write([{ a: "x", b: 1, t: "1969-12-31T23:59:59.999999Z", v: 1 }, {
      a: "x",
      b: 1,
      t: "1970-01-01",
      v: 2,
    }]);
    const definition = rig.definition({ start: "1969-12-31T00:00:00Z", end: "1970-01-02T00:00:00Z" });
    const from = -january(1) / 86_400_000_000n;
    await rig.run(Number(from), Number(from) + 2, { definition });
    const { files } = await rig.table().snapshot();
    expect(files.map((file) => formatTimestamp(file.slice.start))).toEqual([
      "1969-12-31T00:00:00Z",
      "1970-01-01T00:00:00Z",
    ]);
  });
});

describe("materialize() on a disk that cannot be written", () => {
  it("fails and leaves no half slice", async () => {
    await rig.write(rows);
    const failure = rig.run(1, 3, { context: { tempDir: "/dev/null/nowhere" } });
    await expect(failure).rejects.toThrow();
    expect((await rig.table().snapshot()).slices.size).toBe(0);
  });
});
