import { describe, expect, it } from "vitest";
import { endsWithin, raised } from "../../../sdk/queue/timers.ts";
import { deferred } from "../../conformance/queue.ts";
import { ManualTimers } from "../../support/manual_timers.ts";

describe("raised()", () => {
  it("waits for the signal, and not for one that is raised already", async () => {
    const abort = new AbortController();
    let isOver = false;
    const wait = raised(abort.signal).then(() => isOver = true);
    await Promise.resolve();
    expect(isOver).toBe(false);
    abort.abort();
    await wait;
    await raised(abort.signal);
    expect(isOver).toBe(true);
  });
});

describe("endsWithin()", () => {
  it("waits until work ends, and leaves no timer", async () => {
    const timers = new ManualTimers();
    const work = deferred();
    const ended = endsWithin(work.promise, 100, timers);
    await timers.pass(99);
    work.resolve();
    expect([await ended, timers.waits]).toEqual([true, []]);
  });

  it("waits no longer than it may, whatever comes of the work later", async () => {
    const timers = new ManualTimers();
    let fail: (error: Error) => void = () => {};
    const ended = endsWithin(new Promise((_, reject) => fail = reject), 100, timers);
    await timers.pass(100);
    expect(await ended).toBe(false);
    // Unheard, it would end the process.
    fail(new Error("late"));
    await timers.pass(0);
  });

  it("fails when work fails in time, and leaves no timer", async () => {
    const timers = new ManualTimers();
    await expect(endsWithin(Promise.reject(new Error("broken")), 100, timers)).rejects.toThrow("broken");
    expect(timers.waits).toEqual([]);
  });
});
