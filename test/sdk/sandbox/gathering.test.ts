import { afterAll, describe, expect, it } from "vitest";
import { FunctionRunner } from "../../../sdk/sandbox/runner.ts";
import { failure, published } from "./rig.ts";

/** Throws at 12, loops at 13. */
const unlucky = published(
  (row: { n: number }) => {
    if (row.n === 12) throw new RangeError("twelve");
    while (row.n === 13) row.n = 13;
    return { twice: row.n * 2 };
  },
  { n: "int32" },
  { twice: "int32" },
  "unlucky",
);

const runner = new FunctionRunner({ gatherRows: 5, batchRows: 50, timeoutMs: 500 });
afterAll(() => runner.close());

const ask = (...n: number[]) => runner.run(unlucky, n.map((n) => ({ n })));

describe("runs that are sent together", () => {
  it("have their own answers each, however many come at a time", async () => {
    const sizes = Array.from({ length: 300 }, (_, i) => i % 8);
    const answers = await Promise.all(
      sizes.map((size, i) => ask(...Array.from({ length: size }, (_, k) => 100 * i + k))),
    );
    expect(answers).toEqual(
      sizes.map((size, i) => Array.from({ length: size }, (_, k) => ({ twice: 2 * (100 * i + k) }))),
    );
  });

  it("fail alone: a row that has no answer is no matter of others", async () => {
    const [one, two, three] = [ask(1), failure(ask(2, 12)), ask(3)];
    expect([await one, await three]).toEqual([[{ twice: 2 }], [{ twice: 6 }]]);
    expect(await two).toMatchObject({ code: "FUNCTION_FAILED", details: { row: 1 } });
    const given = [ask(1), failure(runner.run(unlucky, [{ n: "x" }])), ask(3)] as const;
    expect([await given[0], await given[2]]).toEqual([[{ twice: 2 }], [{ twice: 6 }]]);
    expect(await given[1]).toMatchObject({ code: "INVALID_REQUEST" });
  });

  it("go on without one that took too long", async () => {
    const runs = [1, 13, 3].map((n) => ask(n).catch((error) => (error as { code: string }).code));
    expect(await Promise.all(runs)).toEqual([[{ twice: 2 }], "TIMEOUT", [{ twice: 6 }]]);
  });

  it("do not wait for one that never ends, nor do those that come later", async () => {
    // They would wait for a minute.
    const patient = new FunctionRunner({ gatherRows: 5, timeoutMs: 60_000, lateMs: 1_000 });
    const ask = (n: number, signal?: AbortSignal) => patient.run(unlucky, [{ n }], { signal });
    try {
      const stop = new AbortController();
      const asked = [1, 2, 13, 3, 4, 5, 6, 7].map((n) => ask(n, n === 13 ? stop.signal : undefined));
      const looping = failure(asked[2]!);
      expect(await Promise.all(asked.filter((_, i) => i !== 2))).toEqual(
        [1, 2, 3, 4, 5, 6, 7].map((n) => [{ twice: 2 * n }]),
      );
      expect(await Promise.all([8, 9].map((n) => ask(n)))).toEqual([[{ twice: 16 }], [{ twice: 18 }]]);
      expect(patient.status.running).toBe(3);
      stop.abort();
      expect(await looping).toMatchObject({ code: "CANCELLED" });
    } finally {
      await patient.close();
    }
  });

  it("are answered by a process that was late, too, if that is first", async () => {
    const slow = published(
      ({ n }: { n: number }) => {
        let x = n;
        for (let i = 0; i < 5_000_000; i += 1) x = (x * 31 + i) % 1_000_003;
        return { x };
      },
      { n: "int32" },
      { x: "int32" },
      "slow",
    );
    const late = new FunctionRunner({ gatherRows: 5, lateMs: 1 });
    try {
      const rows = Array.from({ length: 10 }, (_, n) => ({ n }));
      const answers = await Promise.all(rows.map((row) => late.run(slow, [row])));
      expect(answers.flat()).toEqual(await late.run(slow, rows));
      await expect.poll(() => late.status.running).toBeLessThan(2);
    } finally {
      await late.close();
    }
  });

  it("can be given up one by one", async () => {
    const [stop, late] = [new AbortController(), new AbortController()];
    late.abort(new DOMException("late", "TimeoutError"));
    const [first, second] = [ask(1), failure(runner.run(unlucky, [{ n: 2 }], { signal: stop.signal }))];
    const third = failure(runner.run(unlucky, [{ n: 2 }], { signal: late.signal }));
    stop.abort();
    expect(await second).toMatchObject({ code: "CANCELLED" });
    expect(await third).toMatchObject({ code: "TIMEOUT", message: "Cannot finish unlucky: the deadline passed" });
    expect(await first).toEqual([{ twice: 2 }]);
  });

  it("end with the runner", async () => {
    const other = new FunctionRunner({ gatherRows: 5 });
    const runs = [1, 2, 3].map((n) => failure(other.run(unlucky, [{ n: 13 + 0 * n }])));
    await other.warm(unlucky);
    await other.close();
    for (const error of await Promise.all(runs)) expect(error).toMatchObject({ code: "CANCELLED" });
  });
});
