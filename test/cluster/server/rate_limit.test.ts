import { describe, expect, it } from "vitest";
import { RateLimiter } from "../../../cluster/server/rate_limit.ts";
import type { VarveError } from "../../../sdk/errors.ts";

function rig() {
  let now = 0;
  const limiter = new RateLimiter(() => now);
  /** 0 when the request passes, else the seconds to wait. */
  const take = (id: string, perSecond: number, burst = perSecond): number => {
    try {
      limiter.take(id, { perSecond, burst });
      return 0;
    } catch (error) {
      const { code, details } = error as VarveError;
      expect(code).toBe("RATE_LIMITED");
      return details["retryAfterSeconds"] as number;
    }
  };
  return { take, wait: (ms: number) => void (now += ms), back: (ms: number) => void (now -= ms) };
}

describe("RateLimiter", () => {
  it("lets a burst pass, then the rate, and no more after any pause", () => {
    const { take, wait } = rig();
    const passed = (count: number) => Array.from({ length: count }, () => take("a", 10, 5)).filter((s) => s === 0);
    expect(passed(20)).toHaveLength(5);
    wait(99);
    expect(passed(20)).toHaveLength(0);
    wait(1);
    expect(passed(20)).toHaveLength(1);
    wait(1_000_000);
    expect(passed(20)).toHaveLength(5);
  });

  it("lets exactly the rate through, however often it is asked", () => {
    const { take, wait } = rig();
    let passed = 0;
    for (let ms = 0; ms < 60_000; ms++) {
      wait(1);
      if (take("a", 7, 1) === 0) passed++;
    }
    expect(passed).toBeGreaterThanOrEqual(7 * 60);
    expect(passed).toBeLessThanOrEqual(7 * 60 + 1);
  });

  it("says when to come again, and whoever comes then passes", () => {
    const { take, wait } = rig();
    for (const perSecond of [0.1, 0.5, 1, 3, 1000]) {
      const id = `key${perSecond}`;
      expect(take(id, perSecond)).toBe(0);
      while (take(id, perSecond) === 0);
      const seconds = take(id, perSecond);
      expect(seconds).toBeGreaterThanOrEqual(1);
      wait(seconds * 1000);
      expect(take(id, perSecond)).toBe(0);
    }
  });

  it("keeps keys apart, and is not fooled by a clock that goes back", () => {
    const { take, back } = rig();
    expect([take("a", 1), take("b", 1)]).toEqual([0, 0]);
    back(5_000);
    expect([take("a", 1), take("b", 1)]).toEqual([1, 1]);
  });
});
