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
});
