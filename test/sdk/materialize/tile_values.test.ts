import { expect, it } from "vitest";
import { TileValues } from "../../../sdk/materialize/tile_values.ts";
import { TotalChoice } from "../../../sdk/materialize/total_places.ts";
import { type Aggregator, makeStates } from "../../../sdk/window/aggregator.ts";
import { countAggregator } from "../../../sdk/window/aggregators/count.ts";
import { onlinePlan } from "../../../sdk/window/online_plan.ts";
import { aggregations, day, hour, instant, OnlineRig, time } from "./online_rig.ts";
import type { Rig } from "./rig.ts";

const watermark = instant("2001-02-01");

/** The values of a key with a row in every hour of two days. */
function valuesOf(aggregator: Aggregator) {
  const view = new OnlineRig({ source: "nowhere.parquet" } as Rig).view({
    windows: [time("1h"), time("2d")],
    aggregations: aggregations.filter(({ name }) => name === "count"),
  });
  const values = new TileValues({
    aggregators: [aggregator],
    unit: hour,
    floor: watermark - 2 * day,
    hasTail: false,
    totals: new TotalChoice(view, onlinePlan(view), watermark),
  });
  const times = Float64Array.from({ length: 48 }, (_, i) => watermark - 2 * day + i * hour);
  const states = makeStates(aggregator, 48);
  for (const [i, at] of times.entries()) {
    aggregator.clear(states, i);
    aggregator.update(states, i, 1, at, null);
  }
  values.begin();
  values.add({ rows: { times, states: [states], columns: [] }, from: 0, to: 48 });
  return values.values(1n).map(({ totals, levels }) => ({
    isTotals: totals !== undefined,
    levels: levels.map(({ count }) => count),
  }));
}

it("makes totals, and tiles in levels", () => {
  const [totals, tiles] = valuesOf(countAggregator());
  expect(totals!.isTotals).toBe(true);
  expect(tiles).toEqual({ isTotals: false, levels: [48, 6] });
});

it("does without where an aggregator refuses to add up so much: only who asks for it is told", () => {
  const plain = countAggregator();
  const refusing: Aggregator = {
    ...plain,
    merge(into, i, from, j) {
      if ((into[0] as Float64Array)[i]! >= 5) throw new Error("too many");
      plain.merge(into, i, from, j);
    },
  };
  expect(valuesOf(refusing)).toEqual([{ isTotals: false, levels: [48] }]);
});
