import { describe, expect, it } from "vitest";
import { Segments } from "../../../sdk/window/segments.ts";

function cut(spans: readonly (readonly [number, number])[], used = spans.map((_, k) => k)) {
  const segments = new Segments(used.length);
  segments.cut(Float64Array.from(spans.flat()), used);
  const { count, starts, ends, firsts, lasts, endTogether } = segments;
  return {
    segments: Array.from({ length: count }, (_, s) => [starts[s], ends[s]]),
    spans: used.map((_, k) => [firsts[k], lasts[k]]),
    endTogether,
  };
}

describe("Segments", () => {
  it("cuts windows that end together where each begins", () => {
    expect(cut([[9, 10], [-Infinity, 10], [5, 10]])).toEqual({
      segments: [[-Infinity, 5], [5, 9], [9, 10]],
      spans: [[2, 3], [0, 3], [1, 3]],
      endTogether: true,
    });
  });

  it("cuts series, and leaves out what no window holds", () => {
    expect(cut([[0, 2], [1, 3], [7, 8]])).toEqual({
      segments: [[0, 1], [1, 2], [2, 3], [7, 8]],
      spans: [[0, 2], [1, 3], [3, 4]],
      endTogether: false,
    });
  });

  it("knows empty spans, and only looks at those that are used", () => {
    expect(cut([[5, 5], [7, 3], [0, 1], [0, 9]], [0, 1, 2])).toEqual({
      segments: [[0, 1]],
      spans: [[0, 0], [0, 0], [0, 1]],
      endTogether: true,
    });
    expect(cut([[0, 9], [0, 4], [6, 6]])).toMatchObject({ endTogether: false });
    expect(cut([[5, 2]])).toEqual({ segments: [], spans: [[0, 0]], endTogether: true });
  });
});
