import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { closedSliceCount, dueSlices, slicesIn } from "../../../sdk/materialize/due_slices.ts";
import { formatRange, toMicros } from "../../../sdk/time.ts";

const daily = { name: "v", schedule: "1d", dataDelay: "0s", start: "2024-02-27" };
const none = new Map<bigint, number>();
const texts = (slices: readonly { start: bigint; end: bigint }[]) => slices.map(formatRange);

describe("dueSlices()", () => {
  it("lists closed slices newest first", () => {
    expect(texts(dueSlices({ ...daily, start: "2001-01-01" }, none, toMicros("2001-01-03T12:00")))).toEqual([
      "[2001-01-02T00:00:00Z, 2001-01-03T00:00:00Z)",
      "[2001-01-01T00:00:00Z, 2001-01-02T00:00:00Z)",
    ]);
  });

  it("counts 29 February as a day of its own", () => {
    const starts = dueSlices(daily, none, toMicros("2024-03-02")).map((slice) => formatRange(slice).slice(1, 11));
    expect(starts).toEqual(["2024-03-01", "2024-02-29", "2024-02-28", "2024-02-27"]);
  });

  it("makes 24 hours of every UTC day, also when clocks change in Europe and America", () => {
    const slices = dueSlices({ ...daily, start: "2024-03-09" }, none, toMicros("2024-04-02"));
    expect(slices).toHaveLength(24);
    expect(new Set(slices.map((slice) => slice.end - slice.start))).toEqual(new Set([86_400_000_000n]));
  });

  it("works before 1970", () => {
    const slices = dueSlices({ ...daily, start: "1969-12-30", end: "1970-01-02" }, none, toMicros("1975-01-01"));
    expect(slices.map((slice) => slice.start)).toEqual([0n, -86_400_000_000n, -172_800_000_000n]);
  });

  it("waits for the end of the slice plus the data delay, to the microsecond (S4)", () => {
    const delayed = { ...daily, start: "2001-07-01", dataDelay: "2h" };
    expect(dueSlices(delayed, none, toMicros("2001-07-02T01:59:59.999999"))).toEqual([]);
    expect(dueSlices(delayed, none, toMicros("2001-07-02T02:00"))).toHaveLength(1);
  });

  it("leaves out committed slices, empty ones too", () => {
    const committed = new Map([[toMicros("2001-01-02"), 4]]);
    const starts = dueSlices({ ...daily, start: "2001-01-01" }, committed, toMicros("2001-01-04")).map((slice) =>
      slice.start
    );
    expect(starts).toEqual([toMicros("2001-01-03"), toMicros("2001-01-01")]);
  });

  it("starts no slice at or after the end of the view", () => {
    expect(dueSlices({ ...daily, end: "2024-02-29" }, none, toMicros("2030-01-01"))).toHaveLength(2);
    expect(dueSlices({ ...daily, end: "2024-02-28T01:00" }, none, toMicros("2030-01-01"))).toHaveLength(2);
  });

  it("gives nothing before the start", () => {
    expect(dueSlices(daily, none, toMicros("2000-01-01"))).toEqual([]);
    expect(closedSliceCount(daily, toMicros("2000-01-01"))).toBe(0);
  });

  it("refuses a view with more than a million slices, and says what to change", () => {
    expect(() => dueSlices({ ...daily, schedule: "1m", start: "2001-01-01" }, none, toMicros("2026-01-01"))).toThrow(
      /view "v": a schedule of 1m since 2001-01-01T00:00:00Z makes \d+ slices.*longer schedule or a later start/,
    );
  });

  it("agrees with stepping through time", () => {
    const schedules = ["1m", "7m", "1h", "5h", "1d", "7d"];
    fc.assert(fc.property(
      fc.constantFrom(...schedules),
      fc.constantFrom("0s", "1s", "2h", "3d"),
      fc.bigInt(-5_000n, 5_000n),
      fc.bigInt(0n, 300n),
      fc.bigInt(-5n, 5n),
      (schedule, dataDelay, first, count, jitter) => {
        const length = { "1m": 60n, "7m": 420n, "1h": 3600n, "5h": 18_000n, "1d": 86_400n, "7d": 604_800n }[schedule]! *
          1_000_000n;
        const delay = { "0s": 0n, "1s": 1n, "2h": 7200n, "3d": 259_200n }[dataDelay]! * 1_000_000n;
        const start = first * length;
        const now = start + count * length + delay + jitter;
        const expected: bigint[] = [];
        for (let s = start; s + length + delay <= now; s += length) expected.unshift(s);
        const definition = { name: "v", schedule, dataDelay, start: new Date(Number(start / 1000n)).toISOString() };
        expect(dueSlices(definition, none, now).map((slice) => slice.start)).toEqual(expected);
        expect(closedSliceCount(definition, now)).toBe(expected.length);
      },
    ));
  });
});

describe("slicesIn()", () => {
  it("refuses a range that cuts a slice and gives the range that does not", () => {
    expect(() => slicesIn({ start: toMicros("2001-01-01T06:00"), end: toMicros("2001-01-02") }, 86_400_000_000n))
      .toThrow(
        /not made of whole slices; use \[2001-01-01T00:00:00Z, 2001-01-02T00:00:00Z\)/,
      );
  });

  it("lists slices in time order", () => {
    expect(texts(slicesIn({ start: toMicros("2001-01-01"), end: toMicros("2001-01-03") }, 86_400_000_000n))).toEqual([
      "[2001-01-01T00:00:00Z, 2001-01-02T00:00:00Z)",
      "[2001-01-02T00:00:00Z, 2001-01-03T00:00:00Z)",
    ]);
  });
});
