import { describe, expect, it } from "vitest";
import { entity } from "../../../sdk/define/entity.ts";
import { VarveError } from "../../../sdk/errors.ts";
import { logKey } from "../../../sdk/registry/change_entry.ts";
import { dataHash } from "../../../sdk/registry/data_hash.ts";
import { openRegistry, type Registry } from "../../../sdk/registry/registry.ts";
import type { Action, RegistryState } from "../../../sdk/registry/state.ts";
import { deleteWorkspace, listWorkspaces } from "../../../sdk/registry/workspaces.ts";
import { ManualClock } from "../../../sdk/time.ts";
import { airport, delays } from "../../support/flight_views.ts";
import { MemoryStore } from "../../support/memory_store.ts";

const clock = new ManualClock("2001-03-01T12:00:00Z");

function open(store: MemoryStore, author = "ana", workspace = "prod"): Registry {
  return openRegistry({ store, workspace, author, clock });
}

function put(name: string, description?: string): Action {
  return {
    kind: "putEntity",
    entity: entity(name, { origin: "string" }, description ? { description } : {}).definition,
  };
}

function add(version: number, schedule = "1d"): Action {
  const { definition } = delays({ schedule });
  return {
    kind: "addVersion",
    version: { version, definition, dataHash: dataHash(definition), createdAt: "2001-03-01T12:00:00Z" },
  };
}

const airportAction: Action = { kind: "putEntity", entity: airport.definition };
const code = (error: unknown) => (error as VarveError).code;

describe("Registry", () => {
  it("is empty before its first change and writes nothing by being read", async () => {
    const store = new MemoryStore();
    expect((await open(store).state()).revision).toBe(0);
    expect(store.objects.size).toBe(0);
  });

  it("appends changes that another reader sees, with author, time and reason", async () => {
    const store = new MemoryStore();
    const change = await open(store).commit([airportAction, add(1)], { reason: "first" });
    expect(change).toMatchObject({ revision: 1, author: "ana", at: "2001-03-01T12:00:00Z", reason: "first" });
    expect([...store.objects.keys()]).toEqual(["prod/registry/00000000000000000001.json"]);
    const state = await open(store, "ben").state();
    expect(state.views["delays"]!.building).toBe(1);
  });

  it("looks once when nothing has changed", async () => {
    const store = new MemoryStore();
    const registry = open(store);
    for (let i = 0; i < 5; i++) await registry.commit([put(`e${i}`)]);
    store.reads = 0;
    await registry.state();
    expect(store.reads).toBe(1);
  });

  it("shares reads among those who ask at once, and none gets an older answer", async () => {
    const store = new MemoryStore();
    const registry = open(store);
    await registry.state();
    const early = registry.state();
    await open(store, "ben").commit([put("b")]);
    store.reads = 0;
    const late = await Promise.all(Array.from({ length: 50 }, () => registry.state()));
    await early;
    expect(late.every((state) => state.revision === 1)).toBe(true);
    expect(store.reads).toBeLessThan(6);
  });

  it("refuses bad workspace names and empty changes", async () => {
    expect(() => open(new MemoryStore(), "ana", "a/b")).toThrow('Cannot open workspace "a/b"');
    await expect(open(new MemoryStore()).commit([])).rejects.toThrow("without actions");
  });

  it("refuses actions that do not fit, all at once", async () => {
    const registry = open(new MemoryStore());
    const attempt = registry.commit([
      { kind: "serve", view: "delays", version: 1 },
      { kind: "deleteView", name: "x" },
      { kind: "deleteEntity", name: "y" },
      { kind: "deleteService", name: "z" },
      add(2),
    ]);
    const error = await attempt.catch((caught) => caught);
    expect(code(error)).toBe("INVALID_REQUEST");
    expect(error.details.issues.map((issue: { path: string }) => issue.path)).toEqual([
      "view:delays",
      "view:x",
      "entity:y",
      "service:z",
      "view:delays",
    ]);
    expect((await registry.state()).revision).toBe(0);
  });

  it("refuses views without their entity, services without their views, and the loss of what serves", async () => {
    const registry = open(new MemoryStore());
    await expect(registry.commit([add(1)])).rejects.toThrow('its entity "airport" is not registered');
    await registry.commit([airportAction, add(1)]);
    await registry.promote("delays", 1);
    await expect(registry.commit([{ kind: "deleteVersion", view: "delays", version: 1 }])).rejects.toThrow(
      "version 1 is being served",
    );
    const service = {
      kind: "service",
      name: "s",
      views: [{ view: "delays", alias: "d", features: [{ feature: "nope", as: "n" }], joinKeyMap: {} }],
    } as const;
    await expect(registry.commit([{ kind: "putService", service }])).rejects.toThrow(
      'it reads "nope" of view "delays", whose features are delay',
    );
    await expect(registry.commit([{ kind: "deleteEntity", name: "airport" }])).rejects.toThrow(
      'its entity "airport" is not registered',
    );
  });
});

describe("Registry.commit() in a race", () => {
  it("puts a change that touches other things on top", async () => {
    const store = new MemoryStore();
    const [ana, ben] = [open(store), open(store, "ben")];
    const base = (await ana.state()).revision;
    await ben.commit([put("b")]);
    expect((await ana.commit([put("a")], { expectedRevision: base })).revision).toBe(2);
  });

  it("tells the loser who changed the same thing, when and why", async () => {
    const store = new MemoryStore();
    const [ana, ben] = [open(store), open(store, "ben")];
    await ben.commit([put("shared", "by ben")], { reason: "tidy up" });
    const error = await ana.commit([put("shared", "by ana")], { expectedRevision: 0 }).catch((caught) => caught);
    expect(code(error)).toBe("CONFLICT");
    expect(error.message).toContain('revision 1 by ben at 2001-03-01T12:00:00Z, "tidy up": sets entity "shared"');
    expect(error.details.changes).toEqual([
      { revision: 1, author: "ben", at: "2001-03-01T12:00:00Z", reason: "tidy up", touched: ["entity:shared"] },
    ]);
  });

  it("agrees when both want the same", async () => {
    const store = new MemoryStore();
    await open(store, "ben").commit([airportAction]);
    expect((await open(store).commit([airportAction, add(1)], { expectedRevision: 0 })).revision).toBe(2);
  });

  it("refuses a change whose ground is gone, though it touches nothing the other touched", async () => {
    const store = new MemoryStore();
    const [ana, ben] = [open(store), open(store, "ben")];
    await ana.commit([airportAction]);
    await ben.commit([{ kind: "deleteEntity", name: "airport" }]);
    const error = await ana.commit([add(1)], { expectedRevision: 1 }).catch((caught) => caught);
    expect(code(error)).toBe("CONFLICT");
    expect(error.message).toContain('deletes entity "airport"');
  });

  it("lets one of many at once win per thing, and loses nothing", async () => {
    const store = new MemoryStore();
    const outcomes = await Promise.all(
      Array.from(
        { length: 20 },
        (_, i) =>
          open(store, `p${i}`).commit([put(i % 2 ? "shared" : `own${i}`, `by ${i}`)], { expectedRevision: 0 }).then(
            () => "won",
            code,
          ),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === "won")).toHaveLength(11);
    expect(outcomes.filter((outcome) => outcome === "CONFLICT")).toHaveLength(9);
    const state = await open(store).state();
    expect([state.revision, Object.keys(state.entities).length]).toEqual([11, 11]);
  });

  it("knows its own change again when the answer is lost", async () => {
    const store = new MemoryStore();
    const registry = open(store);
    store.faults.losePutAnswers = 1;
    expect((await registry.commit([put("a")])).revision).toBe(1);
    store.faults.repeatPuts = 1;
    expect((await registry.commit([put("b")])).revision).toBe(2);
    expect((await open(store).state()).revision).toBe(2);
  });

  it("passes a failure on when nothing was written, and can be tried again", async () => {
    const store = new MemoryStore();
    const registry = open(store);
    store.faults.failPuts = 1;
    expect(code(await registry.commit([put("a")]).catch((caught) => caught))).toBe("UNAVAILABLE");
    expect((await registry.commit([put("a")])).revision).toBe(1);
  });

  it("finds the change that arrived after its writer had been told of a failure", async () => {
    const store = new MemoryStore();
    const registry = openRegistry({ store, workspace: "prod", author: "ana", clock, newId: () => "same" });
    store.faults.losePutAnswers = 1;
    const put1 = store.find.bind(store);
    let hide = true;
    // The entry cannot be read back at once either.
    store.find = async (key) =>
      hide && key === logKey("prod", 1) && store.objects.has(key) ? (hide = false, undefined) : await put1(key);
    expect(code(await registry.commit([put("a")]).catch((caught) => caught))).toBe("TIMEOUT");
    expect((await registry.commit([put("a")], { expectedRevision: 0 })).revision).toBe(1);
    expect(store.objects.size).toBe(1);
  });
});

describe("Registry.promote()", () => {
  async function building(): Promise<{ store: MemoryStore; registry: Registry }> {
    const store = new MemoryStore();
    const registry = open(store);
    await registry.commit([airportAction, add(1)]);
    return { store, registry };
  }

  it("moves the pointer once, whoever asks how often", async () => {
    const { store, registry } = await building();
    const changes = await Promise.all(
      [registry, open(store, "w1"), open(store, "w2")].map((each) => each.promote("delays", 1)),
    );
    expect(changes.filter((change) => change !== undefined)).toHaveLength(1);
    expect(await registry.promote("delays", 1)).toBeUndefined();
    expect((await registry.state()).views["delays"]).toMatchObject({ serving: 1, served: [1] });
  });

  it("does not undo a rollback when it is repeated late", async () => {
    const { registry } = await building();
    await registry.promote("delays", 1);
    await registry.commit([add(2, "1h")]);
    await registry.promote("delays", 2);
    await registry.rollback("delays");
    expect(await registry.promote("delays", 2)).toBeUndefined();
    expect((await registry.state()).views["delays"]!.serving).toBe(1);
  });

  it("refuses a version that another one replaced", async () => {
    const { registry } = await building();
    await registry.promote("delays", 1);
    await registry.commit([add(2, "1h")]);
    await registry.commit([{ kind: "deleteVersion", view: "delays", version: 2 }, add(3, "2h")]);
    const error = await registry.promote("delays", 2).catch((caught) => caught);
    expect([code(error), error.message]).toEqual([
      "CONFLICT",
      'Cannot serve version 2 of view "delays": it was replaced, version 3 is being built',
    ]);
    expect(code(await registry.promote("nope", 1).catch((caught) => caught))).toBe("NOT_FOUND");
  });
});

describe("Registry.rollback()", () => {
  async function served(): Promise<Registry> {
    const registry = open(new MemoryStore());
    await registry.commit([airportAction, add(1)]);
    await registry.promote("delays", 1);
    for (const [version, schedule] of [[2, "1h"], [3, "2h"]] as const) {
      await registry.commit([add(version, schedule)]);
      await registry.promote("delays", version);
    }
    return registry;
  }

  it("serves the version before, or the one that is named", async () => {
    const registry = await served();
    await registry.rollback("delays");
    expect((await registry.state()).views["delays"]!.serving).toBe(2);
    const change = await registry.rollback("delays", 1, { reason: "worse numbers" });
    expect(change.reason).toBe("worse numbers");
    expect((await registry.state()).views["delays"]!.serving).toBe(1);
  });

  it("refuses versions that were never complete, and says which were", async () => {
    const registry = await served();
    await registry.commit([add(4, "3h")]);
    await expect(registry.rollback("delays", 4)).rejects.toThrow("complete versions are 1, 2");
    await expect(registry.rollback("delays", 3)).rejects.toThrow("it is being served");
    await expect(registry.rollback("nope")).rejects.toThrow("views are delays");
    const fresh = open(new MemoryStore());
    await fresh.commit([airportAction, add(1)]);
    await fresh.promote("delays", 1);
    await expect(fresh.rollback("delays")).rejects.toThrow("no other version was ever complete");
  });

  it("moves nothing before what is to be done before, nor when that fails, nor when others moved it meanwhile", async () => {
    const registry = await served();
    const serving = async () => (await registry.state()).views["delays"]!.serving;
    const told: unknown[] = [];
    await registry.rollback("delays", 1, { before: async (targets) => void told.push(targets, await serving()) });
    expect(told).toEqual([[{ kind: "serve", view: "delays", version: 1 }], 3]);
    expect(await serving()).toBe(1);
    const before = () => Promise.reject(new Error("not loaded"));
    await expect(registry.rollback("delays", 2, { before })).rejects.toThrow("not loaded");
    expect(await serving()).toBe(1);
    const late = registry.rollback("delays", 2, { before: async () => void await registry.rollback("delays", 3) });
    expect(code(await late.catch((caught) => caught))).toBe("CONFLICT");
    expect(await serving()).toBe(3);
  });
});

describe("Registry.history()", () => {
  it("gives changes newest first, of one name where wanted, up to a limit", async () => {
    const registry = open(new MemoryStore());
    await registry.commit([airportAction, add(1)], { reason: "one" });
    for (let i = 0; i < 70; i++) await registry.commit([put("other", `text ${i}`)]);
    await registry.promote("delays", 1);
    expect((await registry.history({ limit: 2 })).map((change) => change.revision)).toEqual([72, 71]);
    expect((await registry.history({ name: "delays" })).map((change) => change.revision)).toEqual([72, 1]);
    expect((await registry.history({ name: "entity:airport" })).map((change) => change.reason)).toEqual(["one"]);
    expect(await registry.history({ name: "view:airport" })).toEqual([]);
  });
});

describe("Registry.watch()", () => {
  it("tells what comes, goes on after a failed read, and stops", async () => {
    const store = new MemoryStore();
    const registry = open(store);
    const told: number[] = [];
    const errors: unknown[] = [];
    let wake = () => {};
    const next = () => new Promise<void>((resolve) => wake = resolve);
    const stop = registry.watch((state: RegistryState) => {
      told.push(state.revision);
      wake();
    }, { pollMs: 1, onError: (error) => (errors.push(error), wake()) });
    const first = next();
    await open(store, "ben").commit([put("a")]);
    await first;
    const failed = next();
    store.faults.failReads = 1;
    await failed;
    const second = next();
    await open(store, "ben").commit([put("b")]);
    await second;
    stop();
    await open(store, "ben").commit([put("c")]);
    await registry.state();
    expect(told).toEqual([1, 2]);
    expect(errors.map(code)).toEqual(["UNAVAILABLE"]);
  });
});

describe("Registry reading a log", () => {
  const entry = (change: object) =>
    JSON.stringify({ format: 1, revision: 1, id: "x", author: "a", at: "t", reason: "", actions: [], ...change });

  it.each<[string, string, string, string]>([
    [
      "a newer format",
      entry({ format: 2 }),
      "UNSUPPORTED",
      "it was written by a newer varve (format 2, this one reads up to 1); upgrade this one",
    ],
    ["an unknown action", entry({ actions: [{ kind: "paint" }] }), "UNSUPPORTED", "upgrade this one"],
    [
      "an unknown mode of view",
      entry({
        actions: [{
          kind: "updateVersion",
          view: "v",
          version: 1,
          definition: { kind: "view", mode: "windows", name: "v" },
        }],
      }),
      "UNSUPPORTED",
      "a windows view",
    ],
    ["torn bytes", entry({}).slice(0, 40), "CORRUPT", "it is not JSON"],
    ["an empty object", "", "CORRUPT", "it is not JSON"],
    ["a list", "[]", "CORRUPT", "it is not an object"],
    ["no format", entry({ format: "1" }), "CORRUPT", "no format number"],
    ["another revision", entry({ revision: 7 }), "CORRUPT", "it says revision 7"],
    ["no author", entry({ author: undefined }), "CORRUPT", '"author" is missing'],
    [
      "an action without its fields",
      entry({ actions: [{ kind: "serve", view: "v" }] }),
      "CORRUPT",
      '"version" of action "serve"',
    ],
  ])("stops at %s and names the object", async (_, text, expected, message) => {
    const store = new MemoryStore();
    await store.put(logKey("prod", 1), text);
    const error = await open(store).state().catch((caught) => caught);
    expect([code(error), error.message.includes("prod/registry/00000000000000000001.json")]).toEqual([expected, true]);
    expect(error.message).toContain(message);
  });

  it("stops at a hole", async () => {
    const store = new MemoryStore();
    const registry = open(store);
    for (const name of ["a", "b", "c"]) await registry.commit([put(name)]);
    store.objects.delete(logKey("prod", 2));
    await expect(open(store).state()).rejects.toThrow(
      'Cannot read registry entry "prod/registry/00000000000000000002.json": it is missing',
    );
  });

  it("does not write over what it cannot read", async () => {
    const store = new MemoryStore();
    await store.put(logKey("prod", 1), "{");
    expect(code(await open(store).commit([put("a")]).catch((caught) => caught))).toBe("CORRUPT");
    expect(store.objects.size).toBe(1);
  });
});

describe("workspaces", () => {
  it("know nothing of each other", async () => {
    const store = new MemoryStore();
    await open(store, "ana", "a").commit([put("x")]);
    await open(store, "ana", "a-b").commit([put("y")]);
    await open(store, "ana", "a0").commit([put("z")]);
    await store.put("lonely/views/x/1/part.parquet", "data");
    expect(await listWorkspaces(store)).toEqual(["a-b", "a", "a0"]);
    expect(Object.keys((await open(store, "ana", "a").state()).entities)).toEqual(["x"]);
  });

  it("are deleted whole, unless a view is protected", async () => {
    const store = new MemoryStore();
    const { definition } = delays({ preventDestroy: true });
    const protectedView: Action = {
      kind: "addVersion",
      version: { version: 1, definition, dataHash: dataHash(definition), createdAt: "" },
    };
    await open(store, "ana", "a").commit([airportAction, protectedView]);
    await store.put("a/views/delays/1/part.parquet", "data");
    await open(store, "ana", "b").commit([put("y")]);
    await expect(deleteWorkspace(store, "a")).rejects.toThrow('preventDestroy is set on view "delays"');
    await deleteWorkspace(store, "a", { force: true });
    expect([...store.objects.keys()]).toEqual([logKey("b", 1)]);
    await expect(deleteWorkspace(store, "a")).rejects.toThrow("it does not exist; workspaces are b");
  });
});
