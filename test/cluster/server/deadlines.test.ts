import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Deadlines } from "../../../cluster/server/deadlines.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "performance"], now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

describe("Deadlines", () => {
  it.each([1, 5, 17, 50, 199, 200, 2_000, 600_000])("raises one of %d ms after its time and soon after it", (ms) => {
    const deadlines = new Deadlines();
    vi.advanceTimersByTime(3);
    const signal = deadlines.after(ms);
    vi.advanceTimersByTime(ms - 1);
    expect(signal.aborted).toBe(false);
    // A twentieth later at most, but not more than 50 ms, and the milliseconds of a timer.
    vi.advanceTimersByTime(1 + Math.min(50, ms / 20) + 3);
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toMatchObject({ name: "TimeoutError" });
  });

  it("shares one among requests of the same few milliseconds, and never an old one", () => {
    const deadlines = new Deadlines();
    const signals = new Set<AbortSignal>();
    for (let ms = 0; ms < 1_000; ms++) {
      const signal = deadlines.after(2_000);
      expect(signal.aborted).toBe(false);
      signals.add(signal);
      vi.advanceTimersByTime(1);
    }
    expect(signals.size).toBeLessThanOrEqual(21);
    vi.advanceTimersByTime(5_000);
    expect([...signals].every((signal) => signal.aborted)).toBe(true);
    expect(deadlines.after(2_000).aborted).toBe(false);
  });
});
