import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { findDeno } from "../../../sdk/sandbox/find_deno.ts";
import { commandLine } from "../../../sdk/sandbox/launch.ts";
import { FunctionRunner } from "../../../sdk/sandbox/runner.ts";
import { failure, published, unchecked } from "./rig.ts";

const runner = new FunctionRunner({ timeoutMs: 1_500, maxAnswerBytes: 1_000_000, maxProcesses: 3 });
afterAll(() => runner.close());

/** What an unchecked text gets hold of. */
async function attack(source: string): Promise<unknown> {
  const [answer] = await runner.run(unchecked(source), [{ n: 1 }]);
  return answer!["got"];
}

/** An expression's value as text, or what it threw. */
const tried = (expression: string) =>
  `(row) => { try { return { got: String(${expression}) }; } catch (e) { return { got: "threw " + e.name }; } }`;

const good = published((row: { n: number }) => ({ twice: row.n * 2 }), { n: "int32" }, { twice: "int32" }, "good");

async function stillServes(): Promise<void> {
  expect(await runner.run(good, [{ n: 21 }])).toEqual([{ twice: 42 }]);
}

describe("a function that was never checked", () => {
  it.each([
    "Deno",
    "process",
    "globalThis",
    "window",
    "self",
    "fetch",
    "Worker",
    "WebAssembly",
    "eval",
    "Function",
    "require",
    "SharedArrayBuffer",
    "Atomics",
    "performance",
    "crypto",
    "setTimeout",
    "localStorage",
    "caches",
    "navigator",
    "location",
    "Promise",
    "Reflect",
    "Proxy",
    "Intl",
    "WeakRef",
    "FinalizationRegistry",
    "Temporal",
    "EventTarget",
    "addEventListener",
    "structuredClone",
    "BroadcastChannel",
    "WebSocket",
    "Iterator",
    "AsyncFunction",
    "__bootstrap",
    "host",
    "codec",
    "stdin",
    "deno",
    "world",
    "compile",
    "Buffer",
    "global",
    "close",
    "alert",
    "prompt",
  ])("sees no %s", async (name) => {
    expect(await attack(`() => ({ got: typeof ${name} })`)).toBe("undefined");
  });

  it("gets no compiler from a function, and no global from this", async () => {
    for (
      const expression of [
        '(() => 1).constructor("return 1")()',
        '(function* () {}).constructor("yield 1")',
        '(async () => 1).constructor("return 1")()',
        '(async function* () {}).constructor("yield 1")',
        'Object.getPrototypeOf(() => 1).constructor("return 1")',
        '[].at.constructor("return 1")',
        'JSON.parse.constructor("return 1")',
        'console.log.constructor("return 1")',
        'row.constructor.constructor("return 1")',
        'Error.captureStackTrace.constructor("return 1")',
      ]
    ) expect(await attack(tried(expression)), expression).toBe("threw TypeError");
    expect(await attack(tried("(function () { return this; })()"))).toBe("undefined");
    expect(await attack(tried("(() => this)()"))).toBe("undefined");
    expect(await attack(tried("typeof arguments"))).toMatch(/undefined|object/);
  });

  it("gets no host function from a stack trace", async () => {
    expect(await attack(tried("(Error.prepareStackTrace = (e, s) => s, new Error().stack)"))).toBe("threw TypeError");
    expect(await attack(tried("(() => { try { null.x } catch (e) { return e.stack.includes('file:') } })()"))).toBe(
      "false",
    );
  });

  it("imports nothing", async () => {
    for (
      const target of [
        "file:///etc/passwd",
        "node:fs",
        "node:child_process",
        "data:text/javascript,export default 1",
        "./x.js",
        "npm:chalk",
        "https://example.com/x.js",
      ]
    ) {
      // A promise is no answer, and nothing ever runs later.
      const error = await failure(attack(`() => import(${JSON.stringify(target)})`));
      expect(error.code).toBe("FUNCTION_FAILED");
      expect(error.message, target).toContain("missing");
    }
    expect(
      await attack(
        `() => { let got = "nothing"; import("file:///etc/passwd").then(() => got = "read", (e) => got = e.message); return { got }; }`,
      ),
    ).toBe("nothing");
  });

  it("runs nothing later", async () => {
    expect(await attack(`() => { (async () => { await null; throw new Error("late"); })(); return { got: "now" }; }`))
      .toBe("now");
    expect(await attack(`() => { queueMicrotask(() => { for (;;) {} }); return { got: "now" }; }`)).toBe("now");
    await stillServes();
  });

  it("knows neither the time nor chance", async () => {
    for (
      const expression of [
        "Date.now()",
        "new Date()",
        "Date()",
        "Math.random()",
        "(1).toLocaleString()",
        '"a".localeCompare("b")',
        "new Date(0).constructor.now()",
        "new (class extends Date {})()",
      ]
    ) {
      expect(await attack(tried(expression)), expression).toBe("threw TypeError");
    }
    expect(await attack(tried("new Date(0).toISOString() + new Date(2001, 2, 1).getTimezoneOffset()"))).toBe(
      "1970-01-01T00:00:00.000Z0",
    );
    expect(await attack(tried("new (class extends Date { x() { return 7; } })(0).x()"))).toBe("7");
  });

  it("leaves nothing behind for the next row", async () => {
    for (
      const write of [
        "Object.prototype.mark = 1",
        "Array.prototype.push = () => 7",
        "Object.prototype.toString = () => 'x'",
        "Object.defineProperty(Object.prototype, 'mark', { get: () => 1 })",
        "JSON.mark = 1",
        "Math.mark = 1",
        "(mark = 1)",
        "console.mark = 1",
        "f.mark = 1",
        "(f.prototype.mark = 1)",
        "[].values().__proto__.next = () => 1",
        "(function* () {})().__proto__.__proto__.mark = 1",
        "row.constructor.mark = 1",
        "Error.stackTraceLimit = 3",
        "Date.prototype.getTime = () => 1",
        "Object.setPrototypeOf(Array.prototype, { mark: 1 })",
        "String.raw`a`.__proto__.mark = 1",
      ]
    ) {
      const source =
        `function f(row) { "use strict"; let got = "kept"; try { ${write}; } catch (e) { got = e.name; } return { got }; }`;
      expect(await attack(source), write).toMatch(/TypeError|ReferenceError/);
    }
    expect(await attack(tried('("abc".match(/b/), RegExp["$&"] ?? RegExp.lastMatch)'))).toBe("undefined");
    expect(
      await attack(
        "() => { const tag = (s) => s; const a = () => tag`x`; return { got: String(Object.isFrozen(a())) }; }",
      ),
    ).toBe("true");
  });

  it("still gives its own objects what built-ins have", async () => {
    expect(
      await attack(`() => {
      const o = {}; o.toString = () => "own"; o.constructor = 1;
      class Wrong extends Error { constructor(m) { super(m); this.name = "Wrong"; } }
      const counts = {}; for (const w of ["valueOf", "valueOf"]) counts[w] = (Object.hasOwn(counts, w) ? counts[w] : 0) + 1;
      return { got: String(o) + new Wrong("w").name + counts.valueOf };
    }`),
    ).toBe("ownWrong2");
  });
});

describe("a function that uses too much", () => {
  it.each([
    ["a loop without end", "() => { for (;;) {} }"],
    ["a slow pattern", `() => ({ got: String(/^(a+)+$/.test("a".repeat(40) + "b")) })`],
    ["a getter without end", `() => ({ get got() { for (;;) {} } })`],
    ["an error that is shown without end", `() => { throw { get message() { for (;;) {} } }; }`],
  ])("is ended: %s", async (_, source) => {
    const error = await failure(attack(source));
    expect(error.code).toBe("TIMEOUT");
    expect(error.message).toBe(
      "Cannot run attack: it took longer than 1500 ms for a row and was ended; functions.timeoutMs of connect, or VARVE_FUNCTION_TIMEOUT_MS, sets the limit, on a server at most half of what a request may take",
    );
    await stillServes();
  });

  it("runs out of its own memory: the heap", async () => {
    const roomy = new FunctionRunner({ timeoutMs: 30_000 });
    const error = await failure(
      roomy.run(unchecked("() => { const a = []; for (;;) a.push(new Array(1000).fill(1.5)); }"), [{ n: 1 }]),
    );
    expect(error.code).toBe("EXHAUSTED");
    expect(error.message).toContain(
      "it needed more memory than its limit of 256 MB and was ended; functions.memoryMb of connect, or VARVE_FUNCTION_MEMORY_MB, sets the limit",
    );
    expect(await roomy.run(good, [{ n: 1 }])).toEqual([{ twice: 2 }]);
    await roomy.close();
  });

  it.runIf(process.platform === "linux")("runs out of its own memory: buffers", async () => {
    const roomy = new FunctionRunner({ timeoutMs: 30_000 });
    const source = `() => {
      const all = []; let mb = 0;
      try { for (; mb < 3000; mb += 50) { const a = new Uint8Array(50_000_000); a.fill(1); all.push(a); } } catch (e) { return { got: e.name }; }
      return { got: mb + " MB" };
    }`;
    expect(await roomy.run(unchecked(source), [{ n: 1 }])).toEqual([{ got: "RangeError" }]);
    await roomy.close();
  });

  it("may take what it is given: objects and buffers", async () => {
    const roomy = new FunctionRunner({ memoryMb: 100, timeoutMs: 30_000 });
    const taken = "() => { const a = []; for (let i = 0; i < 5000; i += 1) a.push(new Array(1000).fill(i + 0.5)); " +
      "const b = new Uint8Array(50_000_000).fill(1); return { got: String(a.length + b.length) }; }";
    for (let round = 0; round < 3; round += 1) {
      expect(await roomy.run(unchecked(taken), [{ n: 1 }])).toEqual([{ got: "50005000" }]);
    }
    expect(roomy.status.starts).toBe(1);
    await roomy.close();
  });

  it("runs out of its own stack", async () => {
    const error = await failure(attack("function f(row) { return f(row); }"));
    expect(error.code).toBe("FUNCTION_FAILED");
    expect(error.message).toContain("RangeError");
    await stillServes();
  });

  it("answers no more than it may", async () => {
    const error = await failure(attack(`() => ({ got: "x".repeat(2_000_000) })`));
    expect(error.code).toBe("FUNCTION_FAILED");
    expect(error.message).toContain(
      'its answer to row 0, field "got", is too large: the answer is 2000008 bytes, and the limit of an answer is 1000000',
    );
    await stillServes();
  });

  it("writes no more to the console than is kept", async () => {
    const error = await failure(
      attack(`() => { for (let i = 0; i < 1e5; i++) console.log("y".repeat(1000)); throw new Error("end"); }`),
    );
    expect(String(error.details["console"]).length).toBeLessThanOrEqual(2_001);
  });
});

describe("what it throws", () => {
  it.each([
    ["null", "null"],
    ["undefined", "undefined"],
    ['"text"', "text"],
    ["{ toString() { throw 1; } }", "something that cannot be shown"],
    ["{ get message() { throw 1; } }", "something that cannot be shown"],
    ["Object.create(null)", "something that cannot be shown"],
    ["Symbol('s')", "Symbol(s)"],
    ['new Error("a\\u001b[31m\\nb\\r")', "a [31m\nb"],
  ])("%s is told", async (thrown, told) => {
    const error = await failure(attack(`() => { throw ${thrown}; }`));
    expect(error.code).toBe("FUNCTION_FAILED");
    expect(error.message).toContain(`row 0 threw ${told}`);
  });

  it("is what it gives instead of an object", async () => {
    for (
      const [text, words] of [["1", "a number"], ["null", "null"], ["undefined", "undefined"], ["[1]", "an array"], [
        "(() => 1)",
        "a function",
      ]]
    ) {
      expect((await failure(attack(`() => ${text}`))).message).toContain(`answer to row 0 is ${words}, not an object`);
    }
    expect((await failure(attack("() => ({ got: 'x', extra: 1 })"))).message).toContain(
      'field "extra", is not declared',
    );
    expect((await failure(attack("() => ({})"))).message).toContain('field "got", is missing');
    expect((await failure(attack("() => ({ get got() { throw new Error('later'); } })"))).message).toContain(
      "threw later",
    );
  });
});

describe("the process alone", () => {
  /** Runs a script in place of the host, with all its own globals. */
  async function script(text: string): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), "varve-attack-"));
    try {
      const command = commandLine(findDeno(), { memoryMb: 256, cpuSeconds: 20 });
      const address = `data:application/javascript,${encodeURIComponent(text)}`;
      const child = spawn(command.file, [...command.args.slice(0, -1), address], {
        cwd: folder,
        env: { DENO_DIR: join(folder, "deno") },
        stdio: ["ignore", "pipe", "pipe"],
      });
      let said = "";
      child.stdout.on("data", (bytes: Uint8Array) => said += String(bytes));
      child.stderr.on("data", (bytes: Uint8Array) => said += String(bytes));
      await new Promise((resolve) => child.once("close", resolve));
      expect(readdirSync(folder).filter((name) => name !== "deno")).toEqual([]);
      return said;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  it("has no permission for anything", async () => {
    const said = JSON.parse(
      await script(`
      const attempts = {
        env: () => Deno.env.get("PATH"),
        read: () => Deno.readTextFileSync("/etc/hostname"),
        list: () => [...Deno.readDirSync("/")],
        write: () => Deno.writeTextFileSync("x", "x"),
        connect: () => Deno.connect({ port: 80, hostname: "127.0.0.1" }),
        listen: () => Deno.listen({ port: 0 }),
        fetch: () => fetch("http://127.0.0.1/"),
        run: () => new Deno.Command("/bin/true").outputSync(),
        ffi: () => Deno.dlopen("libc.so.6", {}),
        host: () => Deno.hostname(),
        kill: () => Deno.kill(1),
        file: () => import("file:///etc/passwd"),
        evaluated: () => (0, eval)('import("file:///etc/passwd")'),
        made: () => new Function('return import("file:///etc/passwd")')(),
        remote: () => import("https://127.0.0.1/x.js"),
        npm: () => import("npm:chalk@5"),
        fs: async () => (await import("node:fs")).readFileSync("/etc/passwd"),
        process: async () => (await import("node:child_process")).execSync("true"),
        nodeEnv: async () => String((await import("node:process")).default.env.PATH),
      };
      const got = {};
      for (const [name, attempt] of Object.entries(attempts)) {
        try { const value = await attempt(); got[name] = value === undefined ? "undefined" : "GOT " + value; } catch (e) { got[name] = e.name; }
      }
      console.log(JSON.stringify(got));`),
    ) as Record<string, string>;
    const wrong = Object.entries(said).filter(([, what]) => what.startsWith("GOT "));
    expect(wrong).toEqual([]);
    expect(Object.keys(said)).toHaveLength(19);
  });
});
