import { describe, expect, it } from "vitest";
import type { Issue } from "../../../sdk/errors.ts";
import { defaultEvery, everyIssues } from "../../../sdk/frame/window_checks.ts";
import type { WindowDefinition } from "../../../sdk/frame/window_spec.ts";
import { canonicalWindow, readWindow, series, windowCount, windowText } from "../../../sdk/frame/windows.ts";
import { durationToMicros, formatDuration } from "../../../sdk/time.ts";
import { windowEdges } from "../../../sdk/window/edges.ts";
import { Random } from "../../conformance/expr_values.ts";

function spansOf(window: WindowDefinition): Float64Array {
  const edges = windowEdges({
    every: "1m",
    edge: "exact",
    boundary: "inclusive",
    schedule: "1m",
    dataDelay: "0s",
    features: [{ window }],
  });
  const out = new Float64Array(2 * edges.spanCount);
  edges.spansAt(1e15, Infinity, out);
  return out;
}

const minutes = (count: number) => `${count}m`;

describe("windows of random lengths", () => {
  const seed = 20_010_301;

  it(`lie where they lay before they were written canonically (seed ${seed})`, () => {
    const random = new Random(seed);
    const between = (least: number, most: number) => least + random.below(most - least + 1);
    let several = 0;
    for (let i = 0; i < 2_000; i++) {
      const [window, step] = [between(1, 30), between(1, 30)];
      const to = between(0, 30);
      const from = to + window + between(0, 120);
      const written: WindowDefinition = {
        kind: "series",
        size: minutes(window),
        step: minutes(step),
        from: minutes(from),
        to: minutes(to),
      };
      const canonical = canonicalWindow(written);
      expect(spansOf(canonical)).toEqual(spansOf(written));
      expect(2 * windowCount(canonical)).toBe(spansOf(written).length);
      expect(canonicalWindow(canonical)).toEqual(canonical);
      // The window that ends last says where the series ends.
      const last = spansOf(written).at(-1)!;
      expect(1e15 + 1 - Number(durationToMicros((canonical as { to: string }).to, "to", { allowZero: true }))).toBe(
        last,
      );
      const issues: Issue[] = [];
      const read = readWindow(
        series({ window: minutes(window), step: minutes(step), from: `-${from}m`, to: `-${to}m` }),
        "",
        issues,
      );
      expect([read?.window, issues]).toEqual([canonical, []]);
      if (windowCount(canonical) > 1) several += 1;
    }
    expect(several).toBeGreaterThan(500);
  });

  it(`are made of whole tiles of the length that is chosen (seed ${seed})`, () => {
    const random = new Random(seed);
    const between = (least: number, most: number) => least + random.below(most - least + 1);
    for (let i = 0; i < 2_000; i++) {
      const edge = between(0, 1) === 0 ? "complete" : "fresh";
      const windows = Array.from({ length: between(1, 4) }, (): WindowDefinition => ({
        kind: "time",
        size: formatDuration(BigInt(between(1, 5_000)) * 60_000_000n),
        offset: formatDuration(BigInt(between(0, 3) * between(0, 600)) * 60_000_000n),
      }));
      const schedule = BigInt(between(1, 1_440)) * 60_000_000n;
      const every = defaultEvery(edge, windows, schedule)!;
      expect(everyIssues(every, edge, windows.map((window) => ({ name: "", window })))).toEqual([]);
      expect(schedule % durationToMicros(every)).toBe(0n);
    }
  });
});

describe("windowText()", () => {
  it("says a window in words, and lengths as they were written", () => {
    const texts = [
      "24h",
      "lifetime",
      { window: "24h", offset: "-7d" },
      series({ window: "1h", step: "30m", from: "-1d" }),
    ]
      .map((window) => windowText(readWindow(window, "", [])!));
    expect(texts).toEqual([
      "24h",
      "lifetime",
      "24h ending 7d before",
      "1h each every 30m from 1d to 0s before",
    ]);
    const { window } = readWindow({ window: "90m", offset: "-168h" }, "", [])!;
    expect(windowText({ name: "rides_90m_offset_168h", window })).toBe("90m ending 168h before");
    expect(windowText({ name: "late_rides", window })).toBe("1h30m ending 7d before");
  });
});
