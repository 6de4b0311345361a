import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findDeno } from "../../../sdk/sandbox/find_deno.ts";
import { FunctionRunner } from "../../../sdk/sandbox/runner.ts";
import { InProcessRunner } from "../../../sdk/sandbox/in_process.ts";
import { failure, published, unchecked } from "./rig.ts";

const good = published((row: { n: number }) => ({ twice: row.n * 2 }), { n: "int32" }, { twice: "int32" }, "good");
/** Loops at 13. */
const unlucky = published(
  (row: { n: number }) => {
    while (row.n === 13) row.n = 13;
    return { twice: row.n * 2 };
  },
  { n: "int32" },
  { twice: "int32" },
  "unlucky",
);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "varve-lifecycle-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function using<T>(runner: FunctionRunner, work: (runner: FunctionRunner) => Promise<T>): Promise<T> {
  try {
    return await work(runner);
  } finally {
    await runner.close();
  }
}

describe("a runner", () => {
  it("starts one process for a function and keeps it", () =>
    using(new FunctionRunner(), async (runner) => {
      await runner.warm(good);
      await runner.warm(good);
      for (let n = 0; n < 20; n += 1) expect(await runner.run(good, [{ n }])).toEqual([{ twice: 2 * n }]);
      expect(runner.status).toMatchObject({ starts: 1, running: 1, functions: 1, waiting: 0 });
    }));

  it("keeps the process of a run that is about to be sent when other functions are retained, and ends it with the others", () =>
    using(new FunctionRunner({ gatherRows: 100 }), async (runner) => {
      const answer = runner.run(good, [{ n: 3 }]);
      runner.retain([]);
      expect(await answer).toEqual([{ twice: 6 }]);
      expect(runner.status).toMatchObject({ functions: 1, running: 1 });
      runner.retain([]);
      expect(runner.status).toMatchObject({ functions: 0 });
    }));

  it("answers batches behind one that is ended", () =>
    using(new FunctionRunner({ timeoutMs: 700 }), async (runner) => {
      const calls = [1, 13, 2, 3, 4, 5, 6].map((n) => runner.run(unlucky, [{ n }]));
      const ends = await Promise.allSettled(calls);
      expect(ends.map((end) => end.status === "fulfilled" ? end.value[0]!["twice"] : end.reason.code))
        .toEqual([2, "TIMEOUT", 4, 6, 8, 10, 12]);
      expect(runner.status.starts).toBe(2);
    }));

  it("limits the time of each row, not of all of them", async () => {
    // Each takes tens of milliseconds, all of them a multiple of the limit.
    const slow = published(
      ({ n }: { n: number }) => {
        while (n === 13) { /* forever */ }
        let x = n;
        for (let i = 0; i < 3_000_000; i += 1) x = (x * 31 + i) % 1_000_003;
        return { x };
      },
      { n: "int32" },
      { x: "int32" },
      "slow",
    );
    const rows = Array.from({ length: 80 }, (_, n) => ({ n: n + 100 }));
    await using(new FunctionRunner({ timeoutMs: 1_000 }), async (runner) => {
      const answers = await runner.run(slow, rows);
      expect(new Set(answers.map(({ x }) => x)).size).toBe(rows.length);
      expect(await runner.run(slow, [rows[7]!])).toEqual([answers[7]]);
      expect(runner.status.starts).toBe(1);
      expect(await failure(runner.run(slow, [rows[0]!, { n: 13 }, rows[1]!]))).toMatchObject({
        code: "TIMEOUT",
        message: expect.stringContaining("1000 ms for a row"),
      });
    });
  });

  it("gives another process to a second batch where it may", () =>
    using(new FunctionRunner({ timeoutMs: 20_000, processes: 2 }), async (runner) => {
      await runner.warm(unlucky);
      const stop = new AbortController();
      const stuck = failure(runner.run(unlucky, [{ n: 13 }], { signal: stop.signal }));
      expect(await runner.run(unlucky, [{ n: 4 }])).toEqual([{ twice: 8 }]);
      expect(runner.status.starts).toBe(2);
      stop.abort();
      expect((await stuck).code).toBe("CANCELLED");
    }));

  it("gives up a call that is cancelled, waiting or begun", () =>
    using(new FunctionRunner({ timeoutMs: 1_000 }), async (runner) => {
      await runner.warm(unlucky);
      const stop = new AbortController();
      const begun = failure(runner.run(unlucky, [{ n: 13 }], { signal: stop.signal }));
      const sent = failure(runner.run(unlucky, [{ n: 1 }], { signal: stop.signal }));
      const waiting = Array.from(
        { length: 6 },
        () => failure(runner.run(unlucky, [{ n: 1 }], { signal: stop.signal })),
      );
      const kept = runner.run(unlucky, [{ n: 5 }]);
      stop.abort();
      for (const error of await Promise.all([begun, sent, ...waiting])) expect(error.code).toBe("CANCELLED");
      expect(await kept).toEqual([{ twice: 10 }]);
      expect((await failure(runner.run(unlucky, [{ n: 1 }], { signal: stop.signal }))).code).toBe("CANCELLED");
    }));

  it("refuses what would wait behind too many", () =>
    using(new FunctionRunner({ timeoutMs: 600, maxQueue: 2 }), async (runner) => {
      const calls = [13, 1, 2, 3, 4, 5, 6, 7].map((n) => runner.run(unlucky, [{ n }]));
      const ends = await Promise.allSettled(calls);
      expect(ends.map((end) => end.status === "fulfilled" ? end.value[0]!["twice"] : end.reason.code))
        .toEqual(["TIMEOUT", 2, 4, 6, 8, 10, "UNAVAILABLE", "UNAVAILABLE"]);
    }));

  it("replaces a worn process while calls go on", () =>
    using(new FunctionRunner({ recycleAfter: 5 }), async (runner) => {
      const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => runner.run(good, [{ n }])));
      expect(answers.map(([answer]) => answer!["twice"])).toEqual(Array.from({ length: 100 }, (_, n) => 2 * n));
      expect(runner.status.starts).toBeGreaterThan(1);
    }));

  it("starts again when its process was killed", () =>
    using(new FunctionRunner(), async (runner) => {
      await runner.warm(good);
      const [pid] = childrenOf(process.pid).filter(isDeno);
      process.kill(pid!, "SIGKILL");
      const first = await runner.run(good, [{ n: 1 }]).catch((error) => error.code);
      // Whoever asked before the end was seen is told to try again.
      expect(first === "UNAVAILABLE" || first[0].twice === 2).toBe(true);
      expect(await runner.run(good, [{ n: 2 }])).toEqual([{ twice: 4 }]);
    }));

  it("ends the process that is idle for the one that is needed", () =>
    using(new FunctionRunner({ maxProcesses: 2 }), async (runner) => {
      for (let k = 0; k < 6; k += 1) {
        const fn = unchecked(`(row) => ({ got: String(row.n + ${k}) })`, `view ${k}`);
        expect(await runner.run(fn, [{ n: 1 }])).toEqual([{ got: String(1 + k) }]);
      }
      expect(await runner.run(unchecked("(row) => ({ got: String(row.n + 0) })", "view 0"), [{ n: 1 }])).toEqual([{
        got: "1",
      }]);
      expect(runner.status).toMatchObject({ functions: 6, starts: 7 });
      expect(runner.status.running).toBeLessThanOrEqual(3);
    }));

  it("fails what waits when it is closed, and leaves nothing", async () => {
    const runner = new FunctionRunner();
    await runner.warm(unlucky);
    const pids = childrenOf(process.pid).filter(isDeno);
    expect(pids).toHaveLength(1);
    const stuck = failure(runner.run(unlucky, [{ n: 13 }]));
    await runner.close();
    expect((await stuck).code).toBe("CANCELLED");
    expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
    expect((await failure(runner.run(good, [{ n: 1 }]))).code).toBe("CANCELLED");
    await runner.close();
  });

  it("tells what does not compile, and what was changed", () =>
    using(new FunctionRunner(), async (runner) => {
      const error = await failure(runner.run(unchecked("({}).x.y"), [{ n: 1 }]));
      expect(error.code).toBe("FUNCTION_FAILED");
      expect(error.message).toContain("does not compile: TypeError");
      expect((await failure(runner.warm(unchecked("1")))).message).toContain("it is not a function");
      for (const runs of [runner, new InProcessRunner()]) {
        const changed = { ...good, source: "(row) => ({ twice: 3 })" };
        expect((await failure(runs.run(changed, [{ n: 1 }]))).code).toBe("CORRUPT");
        expect((await failure(runs.run({ ...good, source: "(row) =>" }, [{ n: 1 }]))).code).toBe("CORRUPT");
      }
    }));
});

describe("Deno", () => {
  it("is needed: nothing runs without it", async () => {
    const none = { env: { PATH: folder }, from: [join(folder, "x.js")] };
    expect(() => findDeno(none)).toThrow(/there is no Deno; `npm install deno`/);
    expect(() => findDeno({ ...none, env: { VARVE_DENO: join(folder, "none") } })).toThrow(/VARVE_DENO is .*none/);
    const lost = new FunctionRunner({ deno: join(folder, "none") });
    for (const _ of [1, 2]) {
      expect(await failure(lost.warm(good))).toMatchObject({
        code: "UNSUPPORTED",
        message: expect.stringContaining("no executable"),
      });
    }
    try {
      findDeno(none);
    } catch (error) {
      expect((error as { code: string }).code).toBe("UNSUPPORTED");
    }
  });

  it("is found in the package, by its name and on the path", () => {
    const path = findDeno({ env: {} });
    expect(path).toContain("deno");
    expect(findDeno({ env: { VARVE_DENO: path } })).toBe(path);
    expect(findDeno({ env: { PATH: join(path, "..") }, from: [join(folder, "x.js")] })).toBe(path);
  });
});

describe.runIf(process.platform === "linux")("a process whose parent is killed", () => {
  it.each([["waits", 1], ["loops", 13]])("ends while it %s", async (_, n) => {
    const text = `
      import { FunctionRunner, functionSource } from ${
      JSON.stringify(join(import.meta.dirname, "../../../sdk/sandbox/sandbox.ts"))
    };
      const schema = [{ name: "n", type: "int32" }];
      const source = functionSource((row) => { while (row.n === 13) row.n = 13; return { n: row.n }; });
      const fn = { name: "orphan", ...source, input: schema, output: schema };
      const runner = new FunctionRunner({ timeoutMs: 60_000 });
      await runner.warm(fn);
      const answer = runner.run(fn, [{ n: ${n} }]);
      if (${n} !== 13) await answer;
      console.log("running");
      setInterval(() => {}, 1000);
    `;
    const file = join(folder, `parent${n}.mts`);
    writeFileSync(file, text);
    const parent = spawn(process.execPath, [createRequire(import.meta.url).resolve("tsx/cli"), file], {
      stdio: ["ignore", "pipe", "inherit"],
      cwd: join(import.meta.dirname, "../../.."),
    });
    try {
      await new Promise((resolve) => parent.stdout.once("data", resolve));
      // tsx runs the file in a process of its own.
      const family = [parent.pid!, ...childrenOf(parent.pid!)];
      const host = family.find((pid) => childrenOf(pid).some(isDeno))!;
      const [child] = childrenOf(host).filter(isDeno);
      expect(child).toBeGreaterThan(1);
      process.kill(host, "SIGKILL");
      await expect.poll(() => existsSync(`/proc/${child}`)).toBe(false);
    } finally {
      parent.kill("SIGKILL");
    }
  });
});

describe("a process that lies", () => {
  /** A stand-in for Deno that does what the text of the function says. */
  function liar(): string {
    const path = join(folder, "liar");
    writeFileSync(
      path,
      `#!${process.execPath}
const { readSync, writeSync } = require("node:fs");
function read(size) {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size;) { const n = readSync(0, bytes, at, size - at); if (n === 0) process.exit(0); at += n; }
  return bytes;
}
function frame(sequence, kind, rows, body) {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(body.length, 0); head.writeUInt32LE(sequence >>> 0, 4); head.writeUInt32LE(kind, 8); head.writeUInt32LE(rows, 12);
  return Buffer.concat([head, body]);
}
const send = (...parts) => writeSync(1, frame(...parts));
const first = read(16);
const { source } = JSON.parse(read(first.readUInt32LE(0)).toString());
const sequence = first.readUInt32LE(4);
const lie = /"(.*)"/.exec(source)[1];
if (lie === "exit at once") process.exit(3);
if (lie === "never start") { while (true) read(1); }
send(sequence, 3, 0, Buffer.alloc(0));
if (lie === "unasked") send(sequence + 1, 4, 1, Buffer.alloc(0));
const text = (value) => { const bytes = Buffer.from(JSON.stringify(value)); const head = Buffer.alloc(8); head.writeUInt32LE(bytes.length, 0); return Buffer.concat([head, bytes]); };
for (;;) {
  const head = read(16);
  const body = read(head.readUInt32LE(0));
  const s = head.readUInt32LE(4), rows = head.readUInt32LE(12);
  const right = text(Array(rows).fill("right"));
  if (lie === "honest") send(s, 4, rows, right);
  if (lie === "sequence") send(s + 1, 4, rows, right);
  if (lie === "twice") { send(s, 4, rows, right); send(s, 4, rows, right); }
  if (lie === "rows") send(s, 4, rows + 1, right);
  if (lie === "kind") send(s, 9, rows, right);
  if (lie === "short") send(s, 4, rows, right.subarray(0, right.length - 3));
  if (lie === "long") send(s, 4, rows, Buffer.concat([right, Buffer.from("more")]));
  if (lie === "fewer") send(s, 4, rows, text([]));
  if (lie === "type") send(s, 4, rows, text(Array(rows).fill(7)));
  if (lie === "nested") send(s, 4, rows, text(Array(rows).fill({ toString: 1 })));
  if (lie === "utf8") { const bad = Buffer.from(right); bad[11] = 255; send(s, 4, rows, bad); }
  if (lie === "length") { const bad = frame(s, 4, rows, right); bad.writeUInt32LE(4_000_000_000, 0); writeSync(1, bad); }
  if (lie === "problem") send(s, 5, 0, Buffer.from("{}"));
  if (lie === "no json") send(s, 5, 0, Buffer.from("{"));
  if (lie === "row") send(s, 5, 0, Buffer.from(JSON.stringify({ kind: "thrown", row: 1e9, field: "", message: "\\u001b[2J" + "m".repeat(1e6), console: "" })));
  if (lie === "exit") process.exit(7);
  if (lie === "noise") process.stdout.write("Hello, I am a log line of a library");
}
`,
    );
    chmodSync(path, 0o755);
    return path;
  }
  const lies = (lie: string) => unchecked(`() => "${lie}"`, lie);

  it.each([
    "sequence",
    "twice",
    "rows",
    "kind",
    "short",
    "long",
    "fewer",
    "type",
    "nested",
    "utf8",
    "length",
    "problem",
    "no json",
    "noise",
    "unasked",
  ])(
    "about %s is ended, and nobody else suffers",
    (lie) =>
      using(new FunctionRunner({ deno: liar(), timeoutMs: 3_000 }), async (runner) => {
        const ends = await Promise.allSettled([runner.run(lies(lie), [{ n: 1 }]), runner.run(lies(lie), [{ n: 1 }])]);
        const told = ends.map((end) => end.status === "fulfilled" ? end.value[0]!["got"] : end.reason.message);
        const caught = told.filter((text) => /gave an answer that cannot be true|took longer/.test(text));
        expect(caught.length).toBeGreaterThan(0);
        // Nothing but a right answer or an error.
        expect(told.filter((text) => text !== "right" && !caught.includes(text))).toEqual([]);
        expect(await runner.run(lies("honest"), [{ n: 1 }, { n: 2 }])).toEqual([{ got: "right" }, { got: "right" }]);
      }),
  );

  it("about a row far away is cut to the batch, and its message made plain", () =>
    using(new FunctionRunner({ deno: liar() }), async (runner) => {
      const error = await failure(runner.run(lies("row"), [{ n: 1 }, { n: 1 }]));
      expect(error.details["row"]).toBe(1);
      expect(error.message.length).toBeLessThan(1_200);
      // deno-lint-ignore no-control-regex
      expect(error.message).not.toMatch(/\u001b/);
    }));

  it.each([["exit at once", /ended with code 3/], ["never start", /did not start within 300 ms/], [
    "exit",
    /ended with code 7/,
  ]])(
    "or leaves: %s",
    (lie, words) =>
      using(new FunctionRunner({ deno: liar(), startTimeoutMs: 300 }), async (runner) => {
        await runner.run(lies("honest"), [{ n: 1 }]).catch(
          () => {/* A slow computer may need longer than that to start. */},
        );
        const errors = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => failure(runner.run(lies(lie), [{ n }]))));
        for (const error of errors) {
          expect(error.code).toBe("UNAVAILABLE");
          expect(error.message).toMatch(lie === "exit" ? /ended with code 7|did not start/ : words);
        }
      }),
  );
});

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function isDeno(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("data:application/javascript");
  } catch {
    return false;
  }
}
