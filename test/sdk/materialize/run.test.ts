import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Job } from "../../../sdk/queue/jobs.ts";
import type { JobContext } from "../../../sdk/queue/queue.ts";
import { completeVersion, jobHandler, type RunContext } from "../../../sdk/materialize/run.ts";
import { openRegistry, type Registry } from "../../../sdk/registry/registry.ts";
import type { ViewDefinition } from "../../../sdk/define/definitions.ts";
import { lmdbOnlineStore } from "../../../sdk/storage/online_lmdb.ts";
import type { OnlineStore } from "../../../sdk/storage/online_store.ts";
import { Rig } from "./rig.ts";

let rig: Rig;
let online: OnlineStore;
let registry: Registry;
let run: RunContext;
beforeEach(async () => {
  rig = await Rig.open();
  rig.clock.set("2001-01-03T02:00Z");
  online = lmdbOnlineStore(`${rig.folder}/online`, { clock: rig.clock });
  registry = openRegistry({ store: rig.objects, workspace: "test", author: "tester", clock: rig.clock });
  run = {
    registry,
    objects: rig.objects,
    table: (_view, version) => rig.table(version),
    engine: () => Promise.resolve(rig.engine),
    online: () => Promise.resolve(online),
    clock: rig.clock,
    tempDir: rig.tempDir,
  };
  await rig.write([{ a: "x", b: 1, t: "2001-01-01T06:00Z", v: 1 }, { a: "x", b: 1, t: "2001-01-03T06:00Z", v: 2 }]);
});
afterEach(async () => {
  await online.close();
  await rig.close();
});

async function register(definition: ViewDefinition = rig.definition()): Promise<void> {
  await registry.commit([
    { kind: "putEntity", entity: definition.entity },
    { kind: "addVersion", version: { version: 1, definition, dataHash: "hash", createdAt: "2001-01-01T00:00:00Z" } },
  ]);
}

const context: JobContext = {
  id: "job",
  attempt: 1,
  signal: new AbortController().signal,
  progress: () => Promise.resolve(),
};
const identity = { workspace: "test", view: "values", version: 1 } as const;
const slices = (start: string, end: string, overwrite = false): Job => ({
  name: "materialize",
  ...identity,
  start,
  end,
  overwrite,
  reason: "backfill",
});
const load: Job = { name: "load-online", ...identity, rebuild: false };
const clean: Job = { name: "clean", ...identity };

describe("jobHandler()", () => {
  it("computes, loads, and lets the version serve when both are complete", async () => {
    await register();
    const handle = jobHandler(run);
    expect(await handle(slices("2001-01-01", "2001-01-02"), context)).toMatchObject({
      outcome: "committed",
      slices: 1,
      served: false,
    });
    expect(await handle(slices("2001-01-02", "2001-01-03"), context)).toMatchObject({
      outcome: "committed",
      served: false,
    });
    expect(await handle(load, context)).toMatchObject({ outcome: "fresh", rows: 1, served: true });
    expect((await registry.state()).views["values"]).toMatchObject({ serving: 1 });
    expect(await completeVersion(run, "values", 1)).toBe(false);
  });

  it.each([[true, 1], [false, 0]])("tells the store when values expire: %s", async (expires, gone) => {
    await register(rig.definition({ ttl: "7d" }));
    const handle = jobHandler({ ...run, expires });
    await handle(slices("2001-01-01", "2001-01-03"), context);
    await handle(load, context);
    rig.clock.advance("10d");
    expect(await online.prune()).toBe(gone);
  });

  it("lets a version that is not online serve as soon as its slices are there", async () => {
    await register(rig.definition({ online: false }));
    expect(await jobHandler(run)(slices("2001-01-01", "2001-01-03"), context)).toMatchObject({
      slices: 2,
      served: true,
    });
    expect(await jobHandler(run)(load, context)).toEqual({ outcome: "gone" });
  });

  it("leaves slices that have not closed by its own clock", async () => {
    await register();
    expect(await jobHandler(run)(slices("2001-01-02", "2001-01-06"), context)).toMatchObject({
      outcome: "committed",
      slices: 1,
    });
    expect(await jobHandler(run)(slices("2001-01-05", "2001-01-06"), context)).toMatchObject({
      outcome: "already",
      slices: 0,
    });
  });

  it("has nothing to do for a version that was deleted meanwhile", async () => {
    expect(await jobHandler(run)(slices("2001-01-01", "2001-01-02"), context)).toEqual({ outcome: "gone" });
    expect((await rig.table().snapshot()).version).toBe(-1);
  });

  it("refuses jobs of another workspace", async () => {
    await expect(jobHandler(run)({ ...load, workspace: "other" }, context)).rejects.toMatchObject({
      code: "INVALID_REQUEST",
    });
  });

  it("cleans everything of a version that was deleted, and nothing that is in use", async () => {
    await register();
    const handle = jobHandler(run);
    await handle(slices("2001-01-01", "2001-01-03"), context);
    await handle(load, context);
    expect(await handle(clean, context)).toEqual({ outcome: "cleaned", objects: 0, values: 0 });
    expect(await rig.stored()).toHaveLength(1);
    await registry.commit([{ kind: "deleteView", name: "values" }]);
    expect(await handle(clean, context)).toMatchObject({ outcome: "cleaned", values: 1 });
    expect(await online.states()).toEqual([]);
    for await (const { key } of rig.objects.list("test/views/")) throw new Error(`left ${key}`);
    expect(await handle(clean, context)).toEqual({ outcome: "cleaned", objects: 0, values: 0 });
  });

  it("tells the queue how far it is", async () => {
    await register();
    const told: unknown[] = [];
    await jobHandler(run)(slices("2001-01-01", "2001-01-03"), {
      ...context,
      progress: (value) => Promise.resolve(void told.push(value)),
    });
    expect(told.at(-1)).toMatchObject({ view: "values", version: 1, phase: "slices", slicesDone: 2, slicesTotal: 2 });
  });
});
