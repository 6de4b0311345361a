import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson, hashOf } from "../../../sdk/frame/hash.ts";
import { col } from "../../../sdk/frame/expr.ts";

describe("canonicalJson()", () => {
  it("sorts keys and drops what is undefined", () => {
    expect(canonicalJson({ b: [1, undefined, { d: null, c: "x" }], a: undefined, A: -0 })).toBe(
      '{"A":0,"b":[1,null,{"c":"x","d":null}]}',
    );
  });

  it("does not depend on the order of keys, and reads back as the same data", () => {
    const shuffled = (value: unknown): unknown => {
      if (typeof value !== "object" || value === null) return value;
      if (Array.isArray(value)) return value.map(shuffled);
      return Object.fromEntries(Object.entries(value).reverse().map(([key, each]) => [key, shuffled(each)]));
    };
    fc.assert(fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value);
      expect(canonicalJson(shuffled(value))).toBe(text);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
    }));
  });

  it.each([[1n], [NaN], [() => 1], [new Map()], [Symbol("x")]])("refuses %s", (value) => {
    expect(() => canonicalJson({ value })).toThrow(TypeError);
  });

  it("refuses what refers to itself", () => {
    const loop: Record<string, unknown> = {};
    loop["self"] = loop;
    expect(() => canonicalJson(loop)).toThrow("refers to itself");
  });
});

describe("hashOf()", () => {
  it("is the SHA-256 of the canonical text, the same for ever", () => {
    expect(hashOf({ b: 1, a: "x" })).toBe(hashOf({ a: "x", b: 1 }));
    expect(hashOf({})).toBe("44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    expect(hashOf(col("delay").gt(15).node)).not.toBe(hashOf(col("delay").gt(16).node));
  });
});
