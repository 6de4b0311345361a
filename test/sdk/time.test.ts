import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  alignDown,
  alignUp,
  durationToMicros,
  effectiveMicros,
  floorDivide,
  formatDuration,
  formatTimestamp,
  ManualClock,
  timeRange,
  Timestamp,
  timestampLimits,
  toMicros,
} from "../../sdk/time.ts";

const hour = 3_600_000_000n;
const day = 24n * hour;

describe("toMicros()", () => {
  it.each([
    ["1970-01-01", 0n],
    ["1970-01-01T00:00:00.000001Z", 1n],
    ["1969-12-31T23:59:59.999999Z", -1n],
    ["2001-03-01T12:00Z", 983_448_000_000_000n],
    ["2001-03-01 12:00:00", 983_448_000_000_000n],
    ["2001-03-01T12:00:00+02:00", 983_440_800_000_000n],
    ["2001-03-01T12:00:00-0530", 983_467_800_000_000n],
    ["2000-02-29", 951_782_400_000_000n],
    ["1970-01-01T00:00:00.123456789Z", 123_456n],
  ])("reads %s (S1)", (text, micros) => {
    expect(toMicros(text)).toBe(micros);
  });

  it.each(["", "yesterday", "2001-02-29", "2001-13-01", "2001-01-01T25:00", "12:00", "2001-01-01T10:00 Europe/Paris"])(
    "refuses %j",
    (text) => {
      expect(() => toMicros(text)).toThrow(/Cannot read .* as an instant/);
    },
  );

  it("refuses numbers, which do not say their unit", () => {
    expect(() => toMicros(5 as never)).toThrow(/give ISO text/);
    expect(() => toMicros(new Date(NaN))).toThrow(/invalid/);
  });

  it("reads what formatTimestamp() writes, to the microsecond", () => {
    fc.assert(fc.property(fc.bigInt(timestampLimits.min, timestampLimits.max), (micros) => {
      expect(toMicros(formatTimestamp(micros))).toBe(micros);
    }));
  });

  it.each([
    [0n, "1970-01-01T00:00:00Z"],
    [-1n, "1969-12-31T23:59:59.999999Z"],
    [-86_400_000_000n, "1969-12-31T00:00:00Z"],
    [1_000n, "1970-01-01T00:00:00.001Z"],
    [1_001n, "1970-01-01T00:00:00.001001Z"],
    [timestampLimits.min, "0001-01-01T00:00:00Z"],
    [timestampLimits.max, "9999-12-31T23:59:59.999999Z"],
  ])("writes %s as %s", (micros, text) => expect(formatTimestamp(micros)).toBe(text));

  it("writes milliseconds as Date does, near to now and far from it", () => {
    const near = fc.bigInt(-(10n ** 13n), 10n ** 13n);
    const far = fc.bigInt(timestampLimits.min / 1_000n, timestampLimits.max / 1_000n);
    fc.assert(fc.property(fc.oneof(near, far), (ms) => {
      expect(formatTimestamp(ms * 1_000n)).toBe(new Date(Number(ms)).toISOString().replace(".000Z", "Z"));
    }));
  });
});

describe("Timestamp", () => {
  it("compares by instant and prints as ISO text", () => {
    const early = Timestamp.from("2001-01-01");
    const late = Timestamp.from("2001-01-01T00:00:00.000001Z");
    expect(early < late).toBe(true);
    expect(`${late}`).toBe("2001-01-01T00:00:00.000001Z");
    expect(JSON.stringify({ late })).toBe('{"late":"2001-01-01T00:00:00.000001Z"}');
    expect(late.toDate().getTime()).toBe(early.toDate().getTime());
  });

  it("refuses years that no engine keeps", () => {
    expect(() => new Timestamp(timestampLimits.max + 1n)).toThrow("years run from 0001 to 9999");
  });
});

describe("durations", () => {
  it.each([["90m", "1h30m"], ["7d", "7d"], ["2w", "14d"], ["1h30m", "1h30m"], ["1500ms", "1s500ms"], ["5us", "5us"]])(
    "%s is written %s",
    (text, canonical) => {
      expect(formatDuration(durationToMicros(text))).toBe(canonical);
    },
  );

  it.each(["", "5", "h", "-1h", "1.5h", "1y", "0s", "1h ", "99999999999d"])("refuses %j", (text) => {
    expect(() => durationToMicros(text, "window")).toThrow(/Cannot read window/);
  });

  it("allows zero only where told", () => {
    expect(durationToMicros("0s", "data delay", { allowZero: true })).toBe(0n);
  });
});

describe("alignment", () => {
  it("aligns to the epoch on both sides of it", () => {
    expect(alignDown(-1n, day)).toBe(-day);
    expect(alignUp(-1n, day)).toBe(0n);
    expect(alignUp(day, day)).toBe(day);
  });

  it("floorDivide() rounds down", () => {
    fc.assert(fc.property(fc.bigInt(-(10n ** 18n), 10n ** 18n), fc.bigInt(1n, 10n ** 9n), (a, b) => {
      const q = floorDivide(a, b);
      expect(q * b <= a && a < (q + 1n) * b).toBe(true);
    }));
  });

  it("effectiveMicros() is the end of the schedule interval plus the delay (S4, the design's example)", () => {
    const at = effectiveMicros(toMicros("2001-07-01T13:00Z"), day, 2n * hour);
    expect(formatTimestamp(at)).toBe("2001-07-02T02:00:00Z");
  });
});

describe("timeRange()", () => {
  it("refuses an empty range", () => {
    expect(() => timeRange("2001-01-02", "2001-01-01")).toThrow(/the end must be after the start/);
  });
});

describe("ManualClock", () => {
  it("stands still until it is moved", () => {
    const clock = new ManualClock("2001-01-01");
    clock.advance("1h");
    expect(formatTimestamp(clock.now())).toBe("2001-01-01T01:00:00Z");
    clock.set("2000-01-01");
    expect(formatTimestamp(clock.now())).toBe("2000-01-01T00:00:00Z");
  });
});
