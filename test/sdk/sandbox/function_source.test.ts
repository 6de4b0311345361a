import { describe, expect, it } from "vitest";
import { type AnyFunction, functionSource, hashOfSource, sourceOfText } from "../../../sdk/sandbox/function_source.ts";
import { VarveError } from "../../../sdk/errors.ts";

const rate = 3;

function problems(text: string): string {
  try {
    sourceOfText(text);
  } catch (error) {
    return (error as VarveError).message;
  }
  return "";
}

describe("functionSource", () => {
  it("takes arrows, functions and methods", () => {
    const method = {
      score(row: { a: number }) {
        const twice = (a: number) => a * 2;
        return { x: twice(row.a) };
      },
    };
    for (
      const fn of [
        (row: { a: number }) => ({ x: Math.max(row.a, 1) }),
        function named(row: { a: number }): { x: unknown } {
          return { x: row.a > 1 ? named({ a: 1 }) : null };
        },
        method.score,
      ] as AnyFunction[]
    ) {
      const { source, hash } = functionSource(fn);
      expect(hash).toMatch(/^[0-9a-f]{64}$/);
      expect(hashOfSource(source)).toBe(hash);
      const call = new Function("__name", `return (${source})`)((f: unknown) => f) as AnyFunction;
      expect(call({ a: 1 })).toEqual(fn({ a: 1 }));
    }
  });

  it("leaves out what compilers add to keep names", () => {
    const text =
      '(row) => { const f = /* @__PURE__ */ __name((x) => { function g(y) { return y; } __name(g, "g"); return g(x); }, "f"); return { x: f(row.a) }; }';
    const { source, hash } = sourceOfText(text);
    expect(source).not.toContain("__name");
    expect(hash).toBe(sourceOfText(text.replace('__name(g, "g");', "")).hash);
    expect((new Function(`return (${source})`)() as AnyFunction)({ a: 3 })).toEqual({ x: 3 });
    expect(sourceOfText('__name((row) => ({ x: row.a }), "f")').source).toBe("(row) => ({ x: row.a })");
  });

  it("names every captured variable, once", () => {
    const other = 2;
    const fn = (row: { a: number }) => ({ x: row.a * rate + other, y: rate });
    expect(() => functionSource(fn, 'view "v"')).toThrow(/Cannot publish view "v".*captures "rate".*captures "other"/s);
    const { details } = (() => {
      try {
        return functionSource(fn) as never;
      } catch (error) {
        return error as VarveError;
      }
    })();
    expect(details["issues"]).toHaveLength(2);
  });

  it("knows what is declared inside", () => {
    const ok = [
      "({ a, b: [c, ...d] }, e = a) => { let f = c; { const a = 2; f += a; } for (const g of d) f += g; return { f, e }; }",
      "(row) => { try { return { x: h(row) }; } catch (why) { return { x: String(why) }; } function h(r) { return r.a; } }",
      "function f(row) { var a = 1; if (row) { var b = 2; } label: for (;;) { break label; } return { a, b, f: typeof f }; }",
      "(row) => { class A { #x = 1; get() { return this.#x; } } return { x: new A().get() }; }",
      "(row) => ({ at: new Date(row.ms).toISOString(), utc: Date.UTC(2001, 1), is: row.d instanceof Date })",
    ];
    for (const text of ok) expect(problems(text)).toBe("");
    expect(problems("(row) => { { let inner = 1; } return { x: inner }; }")).toContain('captures "inner"');
    expect(problems("(row) => ({ x: row.map((a) => a + b) })")).toContain('captures "b"');
    expect(problems("(row = outer) => ({ x: 1 })")).toContain('captures "outer"');
  });

  it("refuses in words what depends on more than the row", () => {
    const refused: readonly [text: string, words: string][] = [
      ["() => ({ x: Date.now() })", "Date.now"],
      ["() => ({ x: new Date() })", "new Date()"],
      ["() => ({ x: Date() })", "Date other than"],
      ["() => { const D = Date; return { x: new D() }; }", "Date other than"],
      ["() => ({ x: Math.random() })", "Math.random"],
      ['() => ({ x: Math["random"]() })', "Math.random"],
      ["() => { const { random } = Math; return { x: random() }; }", "Math other than"],
      ["() => ({ x: fetch('http://x') })", "fetch"],
      ["() => ({ x: Deno.pid })", "Deno"],
      ["() => ({ x: process.env.A })", "process"],
      ["() => ({ x: globalThis.a })", "globalThis"],
      ["() => ({ x: eval('1') })", "eval"],
      ["() => ({ x: Function('1') })", "Function"],
      ["() => ({ x: (() => 1).constructor('return 1')() })", "constructor"],
      ['() => ({ x: (() => 1)["constructor"] })', "constructor"],
      ["() => import('node:fs')", "imports a module"],
      ["() => require('fs')", "require"],
      ["() => ({ x: import.meta.url })", "import.meta"],
      ["function () { return { x: this.a }; }", "this"],
      ["async () => ({ x: 1 })", "async"],
      ["(row) => { const f = async () => await row; return { x: 1 }; }", "async"],
      ["function* () { yield 1; }", "generator"],
      ["(row) => ({ x: row.name.toLocaleUpperCase() })", "toLocaleUpperCase"],
      ["(row) => { Math = 1; return {}; }", "assigns to Math"],
      ["class A {}", "class"],
      ["get x() { return 1; }", "getter"],
      ["function max() { [native code] }", "built in"],
      ["(row: { a: number }) => ({ x: row.a })", "types"],
      ["1 + 1", "not a function"],
      ["() => 1), (evil()", "not a function"],
    ];
    for (const [text, words] of refused) expect(problems(text), text).toContain(words);
    expect(() => functionSource(Math.max)).toThrow(/built in/);
    expect(() => functionSource(((row: unknown) => row).bind(null))).toThrow(/bind/);
    expect(() => functionSource("x" as never)).toThrow(/not a function/);
    expect(problems(`() => "${"x".repeat(100_001)}"`)).toContain("limit");
  });

  it("names what was imported as it was written", () => {
    expect(problems("(row) => ({ x: __vite_ssr_import_0__.rate(row) })")).toContain('captures "rate"');
    expect(problems("(row) => ({ x: exports.rate * row.a })")).toContain('captures "rate"');
    expect(problems("(row) => ({ x: (0, helpers_1.rate)(row) })")).toContain('captures "rate"');
  });

  it("hashes what it means, not how it is written", () => {
    const hash = (text: string) => sourceOfText(text).hash;
    const plain = hash(
      "(row) => { const f = (a) => a + 1; function g() { return 'x'; } return { a: f(row.a), g: g() }; }",
    );
    expect(hash(
      'row=>{"use strict";const f=__name(a=>a+1,"f");function g(){return "x"}__name(g,"g");return{a:f(row.a),/* b */g:g(),}}',
    )).toBe(plain);
    const different = [
      "(row) => ({ x: 1 })",
      "(row) => ({ x: 1n })",
      "(row) => ({ x: '1' })",
      "(row) => ({ x: /1/ })",
      "(row) => ({ x: /1/g })",
      "(row) => ({ x: 1e999 })",
      "(row) => ({ x: null })",
      "(row) => ({ x: `1` })",
      "(row) => ({ ['x']: 1 })",
      "(row) => ({ y: 1 })",
      "(row) => ({ x: -1 })",
      "function (row) { return { x: 1 }; }",
    ];
    expect(new Set(different.map(hash)).size).toBe(different.length);
  });
});
