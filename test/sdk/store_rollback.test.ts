import { readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { Progress } from "../../sdk/materialize/progress.ts";
import { InProcessQueue } from "../../sdk/queue/in_process.ts";
import { openServing, type Serving } from "../../sdk/serving.ts";
import { lmdbOnlineStore } from "../../sdk/storage/online_lmdb.ts";
import type { Store } from "../../sdk/store.ts";
import { systemClock } from "../../sdk/time.ts";
import { StoreRig, trips } from "./store_rig.ts";

let rig: StoreRig;
let store: Store;
/** Three versions, the last of which serves. */
beforeEach(async () => {
  rig = await StoreRig.open();
  await rig.write(trips);
  store = await rig.connect();
  for (const factor of [1, 10, 100]) await (await store.publish(rig.service(factor))).apply();
});
afterEach(() => rig.close());

const x = { driver: "x", zone: 1n };
const amount = async () => (await store.online("model", x))["amount"];
const serving = async () => (await store.status()).views[0]!.serving;

/** As if the online store had been emptied, and the versions that serve were loaded again. */
async function lose(version: number): Promise<void> {
  const online = lmdbOnlineStore(join(rig.folder, "store", "online", "default"));
  await online.removeState("driver_amounts", version);
  await online.close();
}

/** A server's readers, asked without pause until it is stopped: what was answered, each once. */
function asking(server: Serving): { readonly seen: ReadonlySet<unknown>; readonly stop: () => Promise<void> } {
  const seen = new Set<unknown>();
  let isStopped = false;
  const asked = (async () => {
    while (!isStopped) {
      const reader = await server.service("model");
      const [answer] = await reader.read([x], { at: rig.clock.now() });
      seen.add(answer!.values[0]);
      await new Promise(setImmediate);
    }
  })().catch((error: unknown) => seen.add(String(error)));
  const stop = async () => {
    isStopped = true;
    await asked;
  };
  return { seen, stop };
}

describe("Store.rollback()", () => {
  it("loads what is not online any more before it serves, and tells how far it is", async () => {
    await lose(1);
    const server = await openServing({ storage: join(rig.folder, "store"), clock: rig.clock, pollMs: 20 });
    onTestFinished(() => server.close());
    const { seen, stop } = asking(server);
    await expect.poll(() => [...seen]).toEqual([400]);
    const told: Progress[] = [];
    await store.rollback("driver_amounts", 1, { onProgress: (progress) => told.push(progress) });
    await server.definitions();
    expect(server.loaded()).toMatchObject([{ version: 1 }]);
    await expect.poll(() => [...seen]).toEqual([400, 4]);
    await stop();
    expect([...seen]).toEqual([400, 4]);
    expect(told.map(({ phase, version }) => `${phase} ${version}`)).toEqual(
      expect.arrayContaining(["online 1", "done 1"]),
    );
    expect(told.at(-1)).toMatchObject({ phase: "done", slicesDone: 0, slicesTotal: 0, onlineRows: 4 });
  });

  it("needs nobody who loads where everything is online, and tells of no work", async () => {
    const alone = await rig.connect({ queue: new InProcessQueue({ clock: systemClock }) });
    const told: Progress[] = [];
    await alone.rollback("driver_amounts", undefined, { onProgress: (progress) => told.push(progress) });
    expect([await amount(), told]).toEqual([40, []]);
  });

  it("leaves everything as it is when loading fails, and can be repeated", async () => {
    await lose(1);
    const table = join(rig.folder, "store", "objects", "default", "views", "driver_amounts", "1");
    const [data] = (await readdir(table)).filter((name) => name !== "_delta_log");
    await rename(join(table, data!), join(rig.folder, "away"));
    const error = await store.rollback("driver_amounts", 1).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      name: "VarveError",
      message: expect.stringMatching(
        /^Cannot roll back view "driver_amounts" to version 1: .*what served serves on.*: Cannot /,
      ),
    });
    expect([await serving(), await amount()]).toEqual([3, 400]);
    await rename(join(rig.folder, "away"), join(table, data!));
    await store.rollback("driver_amounts", 1);
    expect([await serving(), await amount()]).toEqual([1, 4]);
  });

  it("can be stopped while it waits for a worker", async () => {
    await lose(1);
    const alone = await rig.connect({ queue: new InProcessQueue({ clock: systemClock }) });
    const stop = new AbortController();
    const rollback = alone.rollback("driver_amounts", 1, {
      signal: stop.signal,
      onProgress: ({ phase }) => phase === "waiting" && stop.abort(),
    });
    await expect(rollback).rejects.toMatchObject({ code: "CANCELLED" });
    expect([await serving(), await amount()]).toEqual([3, 400]);
  });
});
