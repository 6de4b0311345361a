/** Work that is cancelled while its queue is in trouble. */
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { InProcessQueue } from "../../sdk/queue/in_process.ts";
import type { Queue } from "../../sdk/queue/queue.ts";
import { systemClock } from "../../sdk/time.ts";
import { StoreRig, trips } from "./store_rig.ts";

afterEach(() => void vi.useRealTimers());

/** A queue that nobody works for, and that cannot be told a cancel so many times; plans a service's first backfill on it. */
async function open(deafFor: number) {
  const queue = new InProcessQueue({ clock: systemClock });
  let cancels = 0;
  const deaf = new Proxy<Queue>(queue, {
    get: (target, name) => {
      const member = target[name as keyof Queue] as unknown;
      if (name === "cancel" && ++cancels <= deafFor) return () => Promise.reject(new Error("no answer"));
      return typeof member === "function" ? member.bind(target) as unknown : member;
    },
  });
  const rig = await StoreRig.open();
  onTestFinished(() => rig.close());
  await rig.write(trips);
  const plan = await (await rig.connect({ queue: deaf })).plan(rig.service());
  const stop = new AbortController();
  queue.watch(({ kind }) => kind === "added" && stop.abort(new Error("enough")));
  return { queue, apply: () => plan.apply({ signal: stop.signal }) };
}

test("is cancelled although the queue could not be told the first time", async () => {
  const { queue, apply } = await open(1);
  await expect(apply()).rejects.toMatchObject({ code: "CANCELLED", message: expect.stringContaining("enough") });
  expect(await queue.list({ states: ["waiting", "delayed", "active"] })).toEqual([]);
});

test("is waited for no longer when the queue cannot be told at all", async () => {
  const { queue, apply } = await open(Infinity);
  const added = new Promise<void>((resolve) => void queue.watch(({ kind }) => kind === "added" && resolve()));
  let error: unknown;
  void apply().catch((reason: unknown) => error = reason);
  await added;
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  while (error === undefined) await vi.advanceTimersByTimeAsync(1_000);
  expect(error).toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringMatching(/^Cannot tell whether 1 job is cancelled: .* has not said so within 15 s/),
  });
});
