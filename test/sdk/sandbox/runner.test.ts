import { afterAll, describe, expect, it } from "vitest";
import { publishedFunction } from "../../../sdk/sandbox/published_function.ts";
import { FunctionRunner } from "../../../sdk/sandbox/runner.ts";
import { InProcessRunner } from "../../../sdk/sandbox/in_process.ts";
import { Timestamp } from "../../../sdk/time.ts";
import { failure, published } from "./rig.ts";

const runner = new FunctionRunner();
const inProcess = new InProcessRunner();
afterAll(() => runner.close());

const halve = published(
  (row: { a: number }) => ({ half: row.a / 2 }),
  { a: "float64" },
  { half: "float64" },
  'view "halve"',
);

describe("publishedFunction", () => {
  it("holds a function to its fields", async () => {
    const fn = publishedFunction(
      "typed",
      { n: "int64", at: "timestamp", words: { list: "string" } },
      { n: "int64", at: "timestamp", day: "date", count: "int32" },
      ({ n, at, words }) => ({
        n: n === null ? 0 : n + 1n,
        at: at === null ? null : at.toDate(),
        day: at?.toDate(),
        count: words?.length ?? null,
      }),
    );
    const rows = [{ n: 1n, at: new Timestamp(0n), words: ["a"] }, { n: null, at: null, words: null }];
    const answers = [{ n: 2n, at: new Timestamp(0n), day: "1970-01-01", count: 1 }, {
      n: 0n,
      at: null,
      day: null,
      count: null,
    }];
    expect(await runner.run(fn, rows)).toEqual(answers);
    expect(await inProcess.run(fn, rows)).toEqual(answers);
    // @ts-expect-error a text is no float64
    publishedFunction("wrong", { n: "int64" }, { x: "float64" }, () => ({ x: "1" }));
    // @ts-expect-error a field is missing
    publishedFunction("wrong", { n: "int64" }, { x: "float64" }, () => ({}));
    // @ts-expect-error there is no such field
    publishedFunction("wrong", { n: "int64" }, { x: "float64" }, (row) => ({ x: row.m }));
    expect(() => publishedFunction("odd", JSON.parse('{ "__proto__": "int32" }'), { x: "int32" }, () => ({ x: 1 })))
      .toThrow(/__proto__/);
  });
});

describe("FunctionRunner", () => {
  it("answers rows in order, however many", async () => {
    const rows = Array.from({ length: 4_321 }, (_, a) => ({ a }));
    expect(await runner.run(halve, rows)).toEqual(rows.map(({ a }) => ({ half: a / 2 })));
    expect(await runner.run(halve, [])).toEqual([]);
  });

  it("answers calls that come together, each its own", async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, a) => runner.run(halve, [{ a }])));
    expect(answers).toEqual(Array.from({ length: 50 }, (_, a) => [{ half: a / 2 }]));
  });

  it.each([["sandboxed", runner], ["in process", inProcess]] as const)("says which row failed, %s", async (_, runs) => {
    const picky = published(
      (row: { a: number }) => {
        if (row.a === 3) throw new RangeError("three is too many");
        return { half: row.a === 4 ? "four" : row.a };
      },
      { a: "float64" },
      { half: "float64" },
      'view "picky"',
    );
    const thrown = await failure(runs.run(picky, [{ a: 1 }, { a: 3 }]));
    expect(thrown.code).toBe("FUNCTION_FAILED");
    expect(thrown.message).toBe('Cannot finish view "picky": row 1 threw RangeError: three is too many');
    const odd = published(
      () => {
        throw Object.create(null);
      },
      { a: "float64" },
      { half: "float64" },
      'view "odd"',
    );
    expect((await failure(runs.run(odd, [{ a: 1 }]))).message).toBe(
      'Cannot finish view "odd": row 0 threw something that cannot be shown',
    );
    const wrong = await failure(runs.run(picky, [{ a: 1 }, { a: 1 }, { a: 4 }]));
    expect(wrong.message).toBe(
      'Cannot finish view "picky": its answer to row 2, field "half", is a string of 4 characters, not a number',
    );
    expect(wrong.details).toMatchObject({ row: 2, field: "half" });
    // It goes on.
    expect(await runs.run(picky, [{ a: 2 }])).toEqual([{ half: 2 }]);
    const given = await failure(runs.run(picky, [{ a: 1 }, { a: "x" }]));
    expect(given.code).toBe("INVALID_REQUEST");
    expect(given.message).toContain('field "a" of row 1');
  });

  const measure = published(
    (row: { n: number; text: string | null; list: number[] | null }) => {
      if (row.n < 0) throw new RangeError(`${row.n} is too few`);
      const sum = (row.list ?? []).reduce((total, item) => total + item, 0);
      return { n: row.n, length: row.text?.length ?? null, sum, list: row.list };
    },
    { n: "int32", text: "string", list: { list: "float64" } },
    { n: "int32", length: "int32", sum: "float64", list: { list: "float64" } },
    'view "measure"',
  );

  it("answers long rows, as many as there are", async () => {
    const list = Array.from({ length: 2_000 }, (_, i) => i);
    const lists = list.map((n) => ({ n, text: null, list: list.slice(0, n + 1) }));
    expect(await runner.run(measure, lists)).toEqual(
      lists.map(({ n, list }) => ({ n, length: null, sum: n * (n + 1) / 2, list })),
    );
    const text = "é".repeat(30_000);
    const texts = Array.from({ length: 2_000 }, (_, n) => ({ n, text: text.slice(n), list: null }));
    expect(await runner.run(measure, texts)).toEqual(
      texts.map(({ n }) => ({ n, length: 30_000 - n, sum: 0, list: null })),
    );
    // None of them cost the process that answers.
    expect(runner.status.starts).toBe(runner.status.functions);
  });

  const repeat = published(
    (row: { n: number; unit: string; times: number }) => {
      if (row.n < 0) throw new RangeError(`${row.n} is too few`);
      return { n: row.n, text: row.unit.repeat(row.times), list: new Array(row.times >> 3).fill(row.n / 2) };
    },
    { n: "int32", unit: "string", times: "int32" },
    { n: "int32", text: "string", list: { list: "float64" } },
    'view "repeat"',
  );

  it("takes long answers, as many as there are, and says which row has none", async () => {
    const rows = Array.from({ length: 2_000 }, (_, n) => ({ n, unit: "é", times: n % 500 === 0 ? 900_000 : 5_000 }));
    const lengths = (await runner.run(repeat, rows)).map(({ n, text, list }) => ({
      n,
      times: (text as string).length,
      items: (list as number[]).filter((item) => item === (n as number) / 2).length,
    }));
    expect(lengths).toEqual(rows.map(({ n, times }) => ({ n, times, items: times >> 3 })));
    const failing = rows.map((row) => [1_234, 1_600].includes(row.n) ? { ...row, n: -row.n } : row);
    const thrown = await failure(runner.run(repeat, failing));
    expect(thrown.message).toContain("row 1234 threw RangeError: -1234 is too few");
    expect(thrown.details).toMatchObject({ row: 1_234 });
    expect(runner.status.starts).toBe(runner.status.functions);
  });

  it("refuses an answer that is too large, and goes on", async () => {
    const ask = (unit: string, times: number) =>
      runner.run(repeat, [{ n: 1, unit: "a", times: 1 }, { n: 1, unit, times }]);
    const error = await failure(ask("x", 20_000_000));
    expect(error.code).toBe("FUNCTION_FAILED");
    expect(error.message).toBe(
      'Cannot finish view "repeat": its answer to row 1, field "text", is too large: the answer is 40000024 bytes, and the limit of an answer is 8000000',
    );
    expect(error.details).toMatchObject({ row: 1, field: "text" });
    // What it may give arrives, however it is written.
    for (const unit of ["x", "é", "中", "\u0001"]) {
      const [, answer] = await ask(unit, 3_900_000);
      expect(answer!["text"] === unit.repeat(3_900_000)).toBe(true);
    }
    expect(runner.status.starts).toBe(runner.status.functions);
  });

  it("says which limit a row was too large for, and how to set it", async () => {
    const small = new FunctionRunner({ memoryMb: 16 });
    const error = await failure(small.run(measure, [{ n: 1, text: "x".repeat(200_000_000), list: null }]));
    expect(error.message).toContain(
      'Cannot run view "measure": it needed more memory than its limit of 16 MB and was ended; functions.memoryMb of connect, or VARVE_FUNCTION_MEMORY_MB, sets the limit',
    );
    expect(error.code).toBe("EXHAUSTED");
    expect(await small.run(measure, [{ n: 1, text: "x", list: [1] }])).toEqual([{
      n: 1,
      length: 1,
      sum: 1,
      list: [1],
    }]);
    await small.close();
  });

  it("says which row failed first when rows are cut by their bytes", async () => {
    const small = new FunctionRunner({ batchBytes: 1_000, gatherRows: 100, processes: 2 });
    const texts = Array.from({ length: 200 }, (_, n) => ({ n, text: "x".repeat(n % 7 === 0 ? 5_000 : n), list: null }));
    const answers = texts.map(({ n, text }) => ({ n, length: text.length, sum: 0, list: null }));
    expect(await small.run(measure, texts)).toEqual(answers);
    const failing = texts.map((row, at) => [77, 78, 90, 150].includes(at) ? { ...row, n: -at } : row);
    expect((await failure(small.run(measure, failing))).message).toContain("row 77 threw RangeError: -77 is too few");
    // Together, each call has its own rows.
    const [first, second, third] = await Promise.all([
      small.run(measure, texts.slice(0, 70)),
      failure(small.run(measure, failing.slice(70, 100))),
      small.run(measure, texts.slice(100, 150)),
    ]);
    expect([first, third]).toEqual([answers.slice(0, 70), answers.slice(100, 150)]);
    expect(second.message).toContain("row 7 threw RangeError: -77 is too few");
    const wrong = await failure(small.run(measure, texts.map((row, at) => at === 160 ? { ...row, text: 5 } : row)));
    expect(wrong.message).toBe('Cannot run view "measure": field "text" of row 160 is the number 5, not a string');
    await small.close();
  });
});
