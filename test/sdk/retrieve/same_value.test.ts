import { describe, expect, it } from "vitest";
import { sameValue } from "../../../sdk/retrieve/same_value.ts";
import { Timestamp } from "../../../sdk/time.ts";

describe("sameValue (S11)", () => {
  it("takes equal values of every type for the same", () => {
    const values = [null, true, 1n, 0.5, NaN, Infinity, "é", "", new Timestamp(5n), [1, null, NaN], {
      a: [1n],
      b: null,
    }];
    for (const [i, a] of values.entries()) {
      for (const [j, b] of values.entries()) expect(sameValue(a, b)).toBe(i === j);
    }
    expect(sameValue(new Timestamp(5n), new Timestamp(5n))).toBe(true);
    expect(sameValue([1, 2], [1, 2])).toBe(true);
    expect(sameValue([1, 2], [2, 1])).toBe(false);
    expect(sameValue({ a: 1 }, { b: 1 })).toBe(false);
    expect(sameValue(new Uint8Array([1]), new Uint8Array([2]))).toBe(false);
    expect(sameValue(undefined, null)).toBe(true);
    expect(sameValue(0, -0)).toBe(true);
    expect(sameValue(1, 1n)).toBe(false);
  });

  it("lets floats differ by the tolerance, relative, and nothing else", () => {
    expect(sameValue(1e9, 1e9 + 1e-4, 1e-12)).toBe(true);
    expect(sameValue(1e9, 1e9 + 1, 1e-12)).toBe(false);
    expect(sameValue(1e-300, 0, 1e-12)).toBe(false);
    expect(sameValue(Infinity, 1e308, 1e-12)).toBe(false);
    expect(sameValue(2n, 3n, 1)).toBe(false);
  });
});
