import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Micros } from "../../sdk/time.ts";
import { lmdbOnlineStore } from "../../sdk/storage/online_lmdb.ts";
import { type LookupCounts, openServing, type Serving } from "../../sdk/serving.ts";
import { StoreRig, trips } from "./store_rig.ts";

let rig: StoreRig;
const closing: Serving[] = [];
beforeEach(async () => {
  rig = await StoreRig.open();
  await rig.write(trips);
});
afterEach(async () => {
  for (const serving of closing.splice(0)) await serving.close();
  await rig.close();
});

async function open(pollMs: number): Promise<Serving> {
  const serving = await openServing({ storage: `${rig.folder}/store`, clock: rig.clock, pollMs });
  closing.push(serving);
  return serving;
}

const never = 3_600_000;

async function amount(serving: Serving, at: Micros = rig.clock.now()): Promise<unknown> {
  const reader = await serving.service("model");
  const [answer] = await reader.read([{ driver: "x", zone: 1n }], { at });
  return answer!.values[0];
}

describe("openServing()", () => {
  it("says why nothing can be read: nothing there, no service, nothing complete", async () => {
    const serving = await open(20);
    expect(await serving.problems()).toEqual(['workspace "default" is empty: publish a service']);
    await expect(serving.service("model")).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: expect.stringMatching(/: services are none$/),
    });
    const store = await rig.connect();
    const problems = expect.poll(() => serving.problems());
    await (await store.publish(rig.view())).apply();
    await problems.toEqual(['workspace "default" has no service: publish one']);
    await (await store.publish(rig.service())).apply();
    await expect.poll(() => serving.problems()).toEqual([]);
    expect(await amount(serving)).toBe(4);
  });

  it("does not wait for its next look when it is asked for a service it does not know", async () => {
    const serving = await open(never);
    const store = await rig.connect();
    await (await store.publish(rig.service())).apply();
    expect(await amount(serving)).toBe(4);
  });

  it("tells its observer of look-ups, by view and what became of them, and of the store's time; and what is loaded", async () => {
    const store = await rig.connect();
    await (await store.publish(rig.service())).apply();
    const counts = new Map<string, LookupCounts>();
    const took: number[] = [];
    const serving = await openServing({
      storage: `${rig.folder}/store`,
      clock: rig.clock,
      pollMs: never,
      observer: {
        countsOf: (view) => counts.get(view) ?? counts.set(view, {}).get(view)!,
        storeTook: (milliseconds) => took.push(milliseconds),
        functionTook: () => undefined,
      },
    });
    closing.push(serving);
    const reader = await serving.service("model");
    const keys = [{ driver: "x", zone: 1n }, { driver: "nobody", zone: 1n }, { driver: "x", zone: 1n }];
    await reader.read(keys, { at: rig.clock.now() });
    const [view] = [...new Set(reader.features.map((feature) => feature.view))];
    expect(Object.fromEntries(counts)).toEqual({ [view!]: { PRESENT: 2, MISSING: 1 } });
    await reader.read([{ driver: null, zone: 1n }], { at: rig.clock.now() });
    expect(counts.get(view!)).toEqual({ PRESENT: 2, MISSING: 1, NULL_KEY: 1 });
    // A null key asks the store nothing.
    expect(took).toEqual([expect.any(Number)]);
    expect(serving.loaded()).toEqual([expect.objectContaining({ view, version: 1, watermark: expect.any(String) })]);
  });

  it("serves the old version until the new one is complete, and follows it and back", async () => {
    const store = await rig.connect();
    await (await store.publish(rig.service())).apply();
    const serving = await open(20);
    const before = await serving.service("model");
    await (await store.publish(rig.service(10))).apply();
    await expect.poll(() => amount(serving)).toBe(40);
    // Whoever still holds the old reader gets the old values, not an error.
    expect((await before.read([{ driver: "x", zone: 1n }], { at: rig.clock.now() }))[0]!.values).toEqual([4]);
    await store.rollback("driver_amounts");
    await expect.poll(() => amount(serving)).toBe(4);
    expect(await serving.problems()).toEqual([]);
  });

  it("follows loads also while the registry cannot be read", async () => {
    const store = await rig.connect();
    await (await store.publish(rig.service())).apply();
    const { revision } = await store.status();
    const serving = await open(20);
    expect(await amount(serving)).toBe(4);
    const entry = `${String(revision + 1).padStart(20, "0")}.json`;
    await writeFile(join(rig.folder, "store", "objects", "default", "registry", entry), "torn");
    const online = lmdbOnlineStore(join(rig.folder, "store", "online", "default"));
    const [state] = await online.states();
    await online.setState({ ...state!, collection: await online.newCollection() }, state);
    await online.close();
    await expect.poll(() => amount(serving)).toBeNull();
  });

  it("reads loose features of views, and follows what serves", async () => {
    const serving = await open(20);
    const store = await rig.connect();
    await (await store.publish(rig.view())).apply();
    const read = async (feature = "amount", view = "driver_amounts") => {
      const reader = await serving.features([{ view, feature }]);
      const [answer] = await reader.read([{ driver: "x", zone: 1n }], { at: rig.clock.now() });
      return [reader.features[0]!.version, answer!.values[0]];
    };
    // Not at its next look: a view that it does not know is looked for.
    await expect.poll(() => read()).toEqual([1, 4]);
    expect((await serving.definitions()).views["driver_amounts"]!.serving).toBe(1);
    await (await store.publish(rig.view(10))).apply();
    await expect.poll(() => read()).toEqual([2, 40]);
    await expect(read("speed")).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: 'Cannot read feature "speed" of view "driver_amounts" version 2: its features are amount',
    });
    for (const name of ["none", "__proto__", "constructor"]) {
      await expect(read("amount", name)).rejects.toMatchObject({
        code: "NOT_FOUND",
        message: `Cannot read view "${name}": views are driver_amounts`,
      });
    }
    const reader = await serving.features([{ view: "driver_amounts", feature: "amount" }]);
    await expect(reader.read([{ driver: "x" }], { at: rig.clock.now() })).rejects.toThrow(
      'Cannot read features of "driver_amounts": join key "zone" is missing',
    );
  });

  it("closes once, however often it is told to", async () => {
    const serving = await open(20);
    await Promise.all([serving.close(), serving.close()]);
    await expect(serving.close()).resolves.toBeUndefined();
  });
});
