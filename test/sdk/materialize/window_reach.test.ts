import { describe, expect, it } from "vitest";
import type { AggregateView, WindowDefinition } from "../../../sdk/define/definitions.ts";
import { TotalChoice } from "../../../sdk/materialize/total_places.ts";
import { windowReach } from "../../../sdk/materialize/window_reach.ts";
import { onlinePlan } from "../../../sdk/window/online_plan.ts";
import { day, hour, instant, minute, OnlineRig, time, type ViewOptions } from "./online_rig.ts";
import type { Rig } from "./rig.ts";

const noRig = { source: "nowhere.parquet" } as Rig;
const lifetime: WindowDefinition = { kind: "lifetime", offset: "0s" };
const view = (options: ViewOptions): AggregateView => new OnlineRig(noRig).view(options);
const now = instant("2001-03-01T10:20Z");
const watermark = instant("2001-03-01T10:00Z");

function reach(options: ViewOptions, times = { now, watermark }, expires = true) {
  const definition = view(options);
  return windowReach(definition, onlinePlan(definition), times, expires);
}

describe("windowReach()", () => {
  it("keeps what requests of a while ago may still ask for, and no more", () => {
    const start = instant("2001-03-01T09:00Z");
    expect(reach({ windows: [time("1d"), time("1h")] }).floor).toBe(start - day);
    expect(reach({ windows: [time("1d", "2d")] }).floor).toBe(start - 3 * day);
    expect(reach({ windows: [time("1d")], edge: "fresh", every: "15m" }).floor).toBe(
      instant("2001-03-01T09:15Z") - day,
    );
    expect(reach({ windows: [time("1d")], edge: "exact", maxRows: 5 }).floor).toBe(
      instant("2001-03-01T09:15Z") + 1 - day,
    );
    expect(reach({ windows: [lifetime] }).floor).toBe(start);
    expect(reach({ windows: [lifetime], edge: "exact", maxRows: 5 }).floor).toBe(-Infinity);
  });

  it("keeps what was current when the view's last rows were, however long ago", () => {
    const late = { now: now + 365 * day, watermark };
    expect(reach({ windows: [time("1d")] }, late).floor).toBe(watermark - day);
    expect(reach({ windows: [time("1d")], edge: "fresh", every: "15m" }, late).floor).toBe(watermark - day);
  });

  it("lets values be dropped long after windows have left them, later where the view lags, and never where it has ended", () => {
    const options: ViewOptions = { windows: [time("1d")] };
    const last = watermark;
    const expiry = reach(options).expireAt(last) * 1000;
    // The window, the schedule's interval, a day of slack and four intervals.
    expect(expiry).toBeGreaterThanOrEqual(last + day + hour + day + 4 * hour);
    expect(expiry).toBeLessThan(last + 3 * day);
    const late = { now: now + 100 * day, watermark };
    expect(reach(options, late).expireAt(last) * 1000).toBeGreaterThan(expiry + 99 * day);
    expect(reach({ ...options, end: "2001-03-01T10:00:00Z" }, late).expireAt(last)).toBe(Infinity);
    expect(reach({ windows: [lifetime] }).expireAt(last)).toBe(Infinity);
    expect(reach(options, { now, watermark }, false).expireAt(last)).toBe(Infinity);
  });

  it("keeps empty values for as long as a paused loader may bring the older one", () => {
    expect(reach({ windows: [lifetime] }).expireAt(undefined) * 1000).toBe(now + day);
    expect(reach({ windows: [time("1h")] }).expireAt(watermark - 30 * day) * 1000).toBe(now + day);
  });

  it("does not trust that a key without a value is new, once the view lags behind", () => {
    const options: ViewOptions = { windows: [time("1d")] };
    expect(reach(options).mayHaveExpired).toBe(false);
    expect(reach(options, { now: now + 10 * hour, watermark }).mayHaveExpired).toBe(false);
    expect(reach(options, { now: now + 2 * day, watermark }).mayHaveExpired).toBe(true);
    expect(reach({ windows: [lifetime] }, { now: now + 2 * day, watermark }).mayHaveExpired).toBe(false);
    for (const schedule of ["1h", "1d"]) {
      const due = instant("2001-03-01T00:00Z");
      expect(reach({ ...options, schedule }, { now: due + minute, watermark: due }).mayHaveExpired).toBe(false);
    }
  });
});

describe("TotalChoice", () => {
  const choice = (options: ViewOptions) => {
    const definition = view(options);
    return new TotalChoice(definition, onlinePlan(definition), watermark);
  };
  const places = (from: number, step: number, count: number) =>
    Float64Array.from({ length: count }, (_, i) => from / hour + i * step);
  const thirty = { windows: [time("1h"), time("1d"), time("30d")] };

  it("has none of keys with few tiles", () => {
    expect(choice(thirty).of(places(watermark - 16 * hour, 1, 16), 16)).toBeUndefined();
  });

  it("has all of keys with some tiles, for ever", () => {
    const chosen = choice(thirty).of(places(watermark - 30 * hour, 1, 30), 30)!;
    expect([chosen.rows.length, chosen.until]).toEqual([30, Infinity]);
  });

  it("has those at the beginnings of windows of keys with many, for a while", () => {
    const dense = places(watermark - 30 * day, 1, 720);
    const { rows, until } = choice(thirty).of(dense, 720)!;
    expect(rows.length).toBeLessThanOrEqual(32);
    expect(until).toBeGreaterThanOrEqual(watermark + hour);
    const sparse = places(watermark - 30 * day, 8, 90);
    const longer = choice(thirty).of(sparse, 90)!;
    expect(longer.until).toBeGreaterThan(until);
    // Every window that may be asked for begins with a tile that is there, or with none at all.
    for (const [tiles, { rows: chosen, until: last }] of [[dense, { rows, until }], [sparse, longer]] as const) {
      for (let end = watermark; end <= last; end += hour) {
        for (const size of [hour, day, 30 * day]) {
          const first = tiles.findIndex((place) => place * hour >= end - size);
          expect(first < 0 || chosen.includes(first)).toBe(true);
        }
      }
    }
  });

  it("has none where they would be as many as the tiles", () => {
    const many = Array.from({ length: 40 }, (_, i) => time(`${i + 1}h`));
    expect(choice({ windows: many }).of(places(watermark - 40 * hour, 1, 40), 40)).toBeUndefined();
  });
});
