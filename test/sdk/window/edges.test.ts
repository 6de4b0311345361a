import { describe, expect, it } from "vitest";
import type { AggregateView, WindowDefinition } from "../../../sdk/define/definitions.ts";
import { toMicros } from "../../../sdk/time.ts";
import { windowEdges } from "../../../sdk/window/edges.ts";

type Settings = Pick<AggregateView, "every" | "edge" | "boundary" | "schedule" | "dataDelay">;

const window = (size: string, offset = "0s"): WindowDefinition => ({ kind: "time", size, offset });
const at = (time: string) => Number(toMicros(`2001-01-01T${time}Z`));

function spans(settings: Partial<Settings>, windows: WindowDefinition[], t: number, visible?: number): number[] {
  const edges = windowEdges({
    every: "1m",
    edge: "complete",
    boundary: "inclusive",
    schedule: "1m",
    dataDelay: "0s",
    ...settings,
    features: windows.map((each) => ({ window: each })),
  });
  const out = new Float64Array(2 * edges.spanCount);
  edges.spansAt(t, visible ?? edges.happenedAt(t), out);
  return [...out];
}

describe("windowEdges (S5)", () => {
  const t = at("01:05:20");

  it("gives the design's example of each edge", () => {
    expect(spans({ edge: "complete" }, [window("5m")], t)).toEqual([at("01:00:00"), at("01:05:00")]);
    expect(spans({ edge: "exact" }, [window("5m")], t)).toEqual([at("01:00:20") + 1, at("01:05:20") + 1]);
    expect(spans({ edge: "fresh" }, [window("5m")], t)).toEqual([at("01:00:00"), at("01:05:20") + 1]);
  });

  it("leaves the instant itself out when the boundary is exclusive", () => {
    expect(spans({ edge: "exact", boundary: "exclusive" }, [window("5m")], t)).toEqual([
      at("01:00:20"),
      at("01:05:20"),
    ]);
    expect(spans({ edge: "fresh", boundary: "exclusive" }, [window("5m")], at("01:05:00"))).toEqual([
      at("01:00:00"),
      at("01:05:00"),
    ]);
  });

  it("knows whole schedule intervals that ended dataDelay before (S4)", () => {
    const edges = windowEdges({
      every: "1h",
      edge: "complete",
      boundary: "inclusive",
      schedule: "1d",
      dataDelay: "2h",
      features: [],
    });
    expect(edges.visibleAt(Number(toMicros("2001-07-03T01:00Z")))).toBe(Number(toMicros("2001-07-02")));
    expect(edges.visibleAt(Number(toMicros("2001-07-03T02:00Z")))).toBe(Number(toMicros("2001-07-03")));
    expect(edges.visibleAt(Number(toMicros("1969-12-31T12:00Z")))).toBe(Number(toMicros("1969-12-31")));
  });

  it("cuts windows at what is known, but not their beginnings", () => {
    expect(spans({ edge: "exact" }, [window("10m")], t, at("01:00:00"))).toEqual([at("00:55:20") + 1, at("01:00:00")]);
  });

  it("moves windows back by an offset", () => {
    expect(spans({ edge: "complete" }, [window("5m", "1h")], t)).toEqual([at("00:00:00"), at("00:05:00")]);
    expect(spans({ edge: "fresh" }, [window("5m", "1h")], t)).toEqual([at("00:00:00"), at("00:05:00")]);
  });

  it("makes series oldest first, and shares spans between features", () => {
    const edges = windowEdges({
      every: "1m",
      edge: "complete",
      boundary: "inclusive",
      schedule: "1m",
      dataDelay: "0s",
      features: [
        { window: { kind: "series", size: "2m", step: "1m", from: "4m", to: "0s" } },
        { window: window("2m") },
        { window: { kind: "lifetime", offset: "0s" } },
      ],
    });
    expect(edges.featureSpans).toEqual([[0, 1, 2], [2], [3]]);
    const out = new Float64Array(8);
    edges.spansAt(t, edges.happenedAt(t), out);
    expect([...out]).toEqual([
      at("01:01:00"),
      at("01:03:00"),
      at("01:02:00"),
      at("01:04:00"),
      at("01:03:00"),
      at("01:05:00"),
      -Infinity,
      at("01:05:00"),
    ]);
    expect(edges.reach).toBe(Infinity);
  });

  it("says how far windows go back from their end, and the grain of their edges", () => {
    const windows: WindowDefinition[] = [window("30m"), window("30d", "90m"), { kind: "lifetime", offset: "1d" }];
    const settings = { every: "5m", boundary: "inclusive", schedule: "1h", dataDelay: "2h" } as const;
    const features = windows.map((each) => ({ window: each }));
    const of = (edge: Settings["edge"], used = features) => {
      const { depth, grain } = windowEdges({ ...settings, edge, features: used });
      return [depth / 60_000_000, grain];
    };
    const depth = 30 * 24 * 60 + 90;
    expect(of("complete")).toEqual([depth, 30 * 60_000_000]);
    expect(of("fresh")).toEqual([depth, 5 * 60_000_000]);
    expect(of("exact")).toEqual([depth, 1]);
    expect(of("complete", features.slice(2))).toEqual([24 * 60, 60 * 60_000_000]);
    expect(of("complete", [])).toEqual([0, 60 * 60_000_000]);
  });
});
