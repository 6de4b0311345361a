import { describe, expect, it } from "vitest";
import type { Definition } from "../../../sdk/define/definitions.ts";
import { entity } from "../../../sdk/define/entity.ts";
import { service } from "../../../sdk/define/service.ts";
import { view } from "../../../sdk/define/view.ts";
import { VarveError } from "../../../sdk/errors.ts";
import { type Aggregate, count, mean } from "../../../sdk/frame/aggregates.ts";
import { col } from "../../../sdk/frame/expr.ts";
import { dataHash } from "../../../sdk/registry/data_hash.ts";
import type { PlanItem } from "../../../sdk/registry/plan.ts";
import type { SourceEstimate } from "../../../sdk/registry/plan_backfill.ts";
import { openRegistry, type Registry } from "../../../sdk/registry/registry.ts";
import { ManualClock } from "../../../sdk/time.ts";
import { airport, delays, fileFrame, flights, route } from "../../support/flight_views.ts";
import { MemoryStore } from "../../support/memory_store.ts";

const daily = { schedule: "1d", start: "2001-01-01" } as const;

function open(now = "2001-01-11T00:00:00Z"): { registry: Registry; clock: ManualClock } {
  const clock = new ManualClock(now);
  return { registry: openRegistry({ store: new MemoryStore(), workspace: "prod", author: "ana", clock }), clock };
}

/** A registry in which these definitions were published and their views are complete. */
async function published(...definitions: Definition[]): Promise<Registry> {
  const { registry } = open();
  await (await registry.plan(definitions)).apply();
  for (const each of definitions) if (each.kind === "view") await registry.promote(each.name, 1);
  return registry;
}

function item(items: readonly PlanItem[], name: string): PlanItem {
  return items.find((each) => each.name === name)!;
}

async function refused(attempt: Promise<unknown>): Promise<VarveError> {
  return await attempt.then(() => expect.unreachable(), (error) => error);
}

describe("planChanges()", () => {
  it("creates what is not there, with the slices that have closed", async () => {
    const { registry } = open();
    const plan = await registry.plan(service("model", [delays({ online: true })]).definitions, { reason: "first" });
    expect(plan.items.map((each) => `${each.change} ${each.kind} ${each.name}`)).toEqual([
      "create entity airport",
      "create view delays",
      "create service model",
    ]);
    expect(item(plan.items, "delays")).toMatchObject({
      version: 1,
      backfill: { slices: 10, ranges: [{ start: "2001-01-01T00:00:00Z", end: "2001-01-11T00:00:00Z" }] },
    });
    expect([plan.isEmpty, plan.slices, plan.warnings]).toEqual([false, 10, []]);
    expect((await registry.state()).revision).toBe(0);
    expect((await plan.apply())!.reason).toBe("first");
    expect((await registry.state()).views["delays"]!.building).toBe(1);
  });

  it("is empty for what is there unchanged, and applying it writes nothing", async () => {
    const model = service("model", [delays({ online: true })]);
    const registry = await published(...model.definitions);
    const plan = await registry.plan(model.definitions);
    expect([plan.isEmpty, plan.actions, plan.items.map((each) => each.change)]).toEqual([true, [], [
      "unchanged",
      "unchanged",
      "unchanged",
    ]]);
    expect(String(plan)).toBe("No changes");
    const { revision } = await registry.state();
    expect(await plan.apply()).toBeUndefined();
    expect((await registry.state()).revision).toBe(revision);
  });

  it.each<[string, Parameters<typeof delays>[0], string[]]>([
    ["a description", { description: "late?" }, ["description: none -> late?"]],
    ["an owner and tags", { owner: "ben", tags: { a: "1" } }, ["owner: none -> ben", 'tags: none -> {"a":"1"}']],
    ["a ttl", { ttl: "7d" }, ["ttl: forever -> 7d"]],
    ["a default", { defaults: { delay: 0 } }, ["feature delay: default none -> 0"]],
    ["a lookback", { lookback: 2 }, ["lookback: 0 -> 2"]],
    ["a switch", { online: true }, ["online: false -> true"]],
    ["an end", { end: "2001-02-01" }, ["end: none -> 2001-02-01T00:00:00Z"]],
    ["a later start", { start: "2001-01-05" }, ["start: 2001-01-01T00:00:00Z -> 2001-01-05T00:00:00Z"]],
  ])("updates %s in place, without a slice to compute", async (_, options, texts) => {
    const registry = await published(...delays().definitions);
    const plan = await registry.plan(delays(options).definitions);
    const changed = item(plan.items, "delays");
    expect([changed.change, changed.version, changed.differences.map((each) => each.text), changed.backfill]).toEqual([
      "update",
      1,
      texts,
      undefined,
    ]);
    await plan.apply();
    const after = (await registry.state()).views["delays"]!;
    expect([after.serving, after.building, after.versions[0]!.definition]).toEqual([
      1,
      undefined,
      delays(options).definition,
    ]);
    expect((await registry.plan(delays(options).definitions)).isEmpty).toBe(true);
  });

  it("adds only the missing slices when the start moves back or the end forward", async () => {
    const registry = await published(...delays({ end: "2001-01-05" }).definitions);
    const plan = await registry.plan(delays({ start: "2000-12-30", end: "2001-01-08" }).definitions);
    expect(item(plan.items, "delays")).toMatchObject({
      change: "update",
      backfill: {
        slices: 5,
        ranges: [{ start: "2000-12-30T00:00:00Z", end: "2001-01-01T00:00:00Z" }, {
          start: "2001-01-05T00:00:00Z",
          end: "2001-01-08T00:00:00Z",
        }],
      },
    });
  });

  const rounded = flights().derive({ late: col("delay").gt(15) }).by(airport);
  it.each<[string, readonly Definition[], string]>([
    ["a schedule", delays({ schedule: "12h" }).definitions, "schedule: 1d -> 12h"],
    ["a delay", delays({ dataDelay: "1h" }).definitions, "dataDelay: 0s -> 1h"],
    ["one more feature", delays({ features: ["delay", "distance"] }).definitions, "adds feature distance (int64)"],
    ["another feature", delays({ features: ["distance"] }).definitions, "removes feature delay"],
    ["a query", view("delays", rounded, { ...daily, features: ["delay", "late"] }).definitions, "+ derive "],
    [
      "an entity",
      view("delays", flights().by(route), { ...daily, features: ["delay"] }).definitions,
      "entity: airport (origin string) -> route",
    ],
  ])("makes a new version for %s, beside the one that serves", async (_, definitions, text) => {
    const registry = await published(...delays().definitions);
    const plan = await registry.plan(definitions);
    const changed = item(plan.items, "delays");
    expect([changed.change, changed.version]).toEqual(["newVersion", 2]);
    expect(changed.differences.map((each) => each.text).join("\n")).toContain(text);
    expect(changed.backfill!.slices).toBeGreaterThanOrEqual(9);
    await plan.apply();
    expect((await registry.state()).views["delays"]).toMatchObject({ serving: 1, building: 2 });
    expect((await registry.plan(definitions)).isEmpty).toBe(true);
  });

  it("gives up a version that is being built for a newer one, or for the one that serves", async () => {
    const registry = await published(...delays().definitions);
    await (await registry.plan(delays({ schedule: "12h" }).definitions)).apply();
    const third = await registry.plan(delays({ schedule: "6h" }).definitions);
    expect(item(third.items, "delays").differences.at(-1)!.text).toBe("version 2, which is being built, is given up");
    await third.apply();
    expect((await registry.state()).views["delays"]).toMatchObject({
      serving: 1,
      building: 3,
      versions: [{ version: 1 }, { version: 3 }],
    });
    const back = await registry.plan(delays().definitions);
    expect(item(back.items, "delays").change).toBe("update");
    await back.apply();
    const after = (await registry.state()).views["delays"]!;
    expect([after.serving, after.building, after.versions.length]).toEqual([1, undefined, 1]);
  });

  it("serves a complete version again instead of computing it again", async () => {
    const registry = await published(...delays().definitions);
    await (await registry.plan(delays({ schedule: "12h" }).definitions)).apply();
    await registry.promote("delays", 2);
    const plan = await registry.plan(delays({ description: "back" }).definitions);
    expect(item(plan.items, "delays")).toMatchObject({
      change: "update",
      version: 1,
      differences: [{}, {}, { text: "version 1, which is complete, serves again" }],
    });
    await plan.apply();
    expect((await registry.state()).views["delays"]!.serving).toBe(1);
  });

  it("lets a view that stores nothing serve at once", async () => {
    const registry = await published();
    const plan = await registry.plan(delays({ offline: false }).definitions);
    expect(plan.slices).toBe(0);
    await plan.apply();
    expect((await registry.state()).views["delays"]!.serving).toBe(1);
  });

  it("conflicts with a change of the same view since it was made, and not with others", async () => {
    const registry = await published(...delays().definitions);
    const [mine, other] = [
      await registry.plan(delays({ ttl: "7d" }).definitions),
      await registry.plan(delays({ name: "more" }).definitions),
    ];
    await (await registry.plan(delays({ ttl: "9d" }).definitions)).apply({ reason: "longer" });
    expect((await refused(mine.apply())).message).toContain('"longer": updates version 1 of view "delays"');
    expect((await other.apply())!.revision).toBe(4);
  });

  it("follows a worker that moved the pointer meanwhile", async () => {
    const registry = await published(...delays().definitions);
    await (await registry.plan(delays({ schedule: "12h" }).definitions)).apply();
    const plan = await registry.plan(delays({ schedule: "12h", ttl: "7d" }).definitions);
    await registry.promote("delays", 2);
    await plan.apply();
    expect((await registry.state()).views["delays"]).toMatchObject({
      serving: 2,
      versions: [{}, { definition: { ttl: "7d" } }],
    });
  });
});

describe("planChanges() about entities and services", () => {
  it("keeps the description of an entity that a view brings along bare", async () => {
    const described = entity("airport", { origin: "string" }, { description: "where flights start" });
    const registry = await published(described.definition);
    expect(item((await registry.plan(delays().definitions)).items, "airport").change).toBe("unchanged");
    // Only who names the entity alone changes it.
    expect(item((await registry.plan([airport.definition])).items, "airport").differences).toEqual([{
      field: "description",
      text: "description: where flights start -> none",
    }]);
  });

  it("refuses an entity of other keys while a view has the old ones", async () => {
    const registry = await published(...delays().definitions);
    const wide = entity("airport", { origin: "string", destination: "string" });
    const error = await refused(registry.plan([wide.definition]));
    expect(error.message).toContain(
      'its join keys are origin string, destination string here and origin string in view "delays"',
    );
    const moved = view("delays", flights().by(wide), { ...daily, features: ["delay"] });
    const plan = await registry.plan(moved.definitions);
    expect(plan.items.map((each) => each.change)).toEqual(["update", "newVersion"]);
    await plan.apply();
  });

  it("updates a service and says what differs", async () => {
    const both = delays({ features: ["delay", "distance"] });
    const registry = await published(...service("model", [both.select("delay")]).definitions);
    const plan = await registry.plan(service("model", [both.rename({ delay: "late" })], { owner: "ben" }).definitions);
    expect(item(plan.items, "model")).toMatchObject({
      change: "update",
      differences: [{ text: "adds late (delays.delay)" }, { text: "adds distance (delays.distance)" }, {
        text: "removes delay (delays.delay)",
      }, { text: "owner: none -> ben" }],
    });
    expect(plan.warnings).toEqual([{
      path: "service:model",
      message: 'view "delays" is not online: requests cannot read it, only training can',
    }]);
  });

  it("refuses a change that would break a registered service, and names it", async () => {
    const registry = await published(...service("model", [delays()]).definitions);
    const error = await refused(registry.plan(delays({ features: ["distance"] }).definitions));
    expect(error.code).toBe("INVALID_DEFINITION");
    expect(error.message).toContain(
      'service:model: views.delays: view "delays" has no feature "delay"; features are distance; this plan would break it',
    );
    const together = service("model", [delays({ features: ["distance"] })]);
    expect(item((await registry.plan(together.definitions)).items, "delays").change).toBe("newVersion");
  });

  it("warns a service of a feature that changes its type", async () => {
    const registry = await published(...service("model", [delays()]).definitions);
    const wider = view("delays", flights().derive({ delay: col("delay").cast("float64") }).by(airport), {
      ...daily,
      features: ["delay"],
    });
    const plan = await registry.plan(wider.definitions);
    expect(item(plan.items, "delays").warnings).toContain(
      'feature delay becomes float64 instead of int32 for service "model"',
    );
  });

  it("refuses a service whose view is nowhere", async () => {
    const { registry } = open();
    const model = service("model", [delays()]);
    expect((await refused(registry.plan([model.definition]))).message).toContain('there is no view "delays"');
  });

  it("refuses one name with two meanings, and view names that differ in case", async () => {
    const { registry } = open();
    expect((await refused(registry.plan([...delays().definitions, ...delays({ ttl: "1d" }).definitions]))).message)
      .toContain("it is defined twice, and differently");
    expect((await refused(registry.plan([...delays().definitions, ...delays({ name: "Delays" }).definitions]))).message)
      .toContain("differs in case only");
  });
});

describe("planChanges() deleting", () => {
  const model = service("model", [delays()]);

  it("deletes only what is named, in an order that fits", async () => {
    const registry = await published(...model.definitions);
    const plan = await registry.plan([], { delete: ["entity:airport", "view:delays", "service:model"] });
    expect(plan.items.map((each) => `${each.change} ${each.kind}`)).toEqual([
      "delete service",
      "delete view",
      "delete entity",
    ]);
    await plan.apply();
    const state = await registry.state();
    expect([Object.keys(state.views), Object.keys(state.services), Object.keys(state.entities)]).toEqual([[], [], []]);
    const again = await registry.plan(delays().definitions);
    expect(item(again.items, "delays").version).toBe(2); // version 1 may still have data
  });

  it.each<[string, string[], string]>([
    [
      "a view that a service reads",
      ["view:delays"],
      'service:model: it reads view "delays", to be deleted; delete the service too',
    ],
    ["an entity that a view is about", ["entity:airport"], 'view "delays" is about it'],
    ["what is not there", ["view:nope"], "there is no such view; there are delays"],
    ["what cannot be understood", ["delays"], 'say what to delete as "view:x"'],
    ["a property of every object", ["view:constructor"], "there is no such view"],
  ])("refuses %s", async (_, names, message) => {
    const registry = await published(...model.definitions);
    expect((await refused(registry.plan([], { delete: names }))).message).toContain(message);
  });

  it("refuses what is protected, until it is published without", async () => {
    const registry = await published(...delays({ preventDestroy: true }).definitions);
    expect((await refused(registry.plan([], { delete: ["view:delays"] }))).message).toContain("preventDestroy is set");
    await (await registry.plan(delays().definitions)).apply();
    expect((await registry.plan([], { delete: ["view:delays"] })).isEmpty).toBe(false);
    expect((await refused(registry.plan(delays().definitions, { delete: ["view:delays"] }))).message).toContain(
      "both wanted and to be deleted",
    );
  });
});

describe("planChanges() estimating", () => {
  async function warningsOf(
    estimate: SourceEstimate,
    definitions: readonly Definition[] = delays().definitions,
  ): Promise<PlanItem> {
    const { registry } = open();
    return item((await registry.plan(definitions, { estimate: async () => estimate })).items, "delays");
  }

  it("counts rows and bytes in proportion to the time covered", async () => {
    const { backfill } = await warningsOf({
      rows: 2000,
      bytes: 80_000,
      first: "2001-01-01",
      last: "2001-01-20T23:59:59.999999Z",
    });
    expect(backfill).toMatchObject({ slices: 10, rows: 1000, bytes: 40_000 });
  });

  it.each<[string, SourceEstimate, string]>([
    ["null timestamps", { nullTimestamps: 3 }, "3 rows of the source have no event timestamp"],
    [
      "future timestamps",
      { first: "2001-01-01", last: "2031-01-01" },
      "event timestamps in the future, up to 2031-01-01",
    ],
    [
      "ties",
      { ties: 7 },
      "7 rows share their join keys and event timestamp with another: the last counts; a writtenTimestamp says",
    ],
    [
      "a late beginning",
      { first: "2001-01-04T05:00", last: "2001-01-10" },
      "the first 3 slices from the start, 2001-01-01T00:00:00Z, will be empty",
    ],
    ["an early end", { first: "1999-01-01", last: "2000-01-10" }, "nothing is in it"],
    [
      "what the source itself says",
      { warnings: ["naive timestamps are read as UTC"] },
      "naive timestamps are read as UTC",
    ],
  ])("warns of %s", async (_, estimate, message) => {
    expect((await warningsOf(estimate)).warnings.join("\n")).toContain(message);
  });

  it.each<[string, readonly Definition[], string]>([
    [
      "a ttl shorter than the schedule",
      delays({ ttl: "12h" }).definitions,
      "ttl, 12h, is shorter than schedule and dataDelay, 1d",
    ],
    [
      "a start in the future",
      delays({ start: "2001-05-01" }).definitions,
      "no slice has closed yet at 2001-01-11T00:00:00Z",
    ],
    ["very many slices", delays({ schedule: "1m", start: "2000-10-01" }).definitions, "slices are many"],
    [
      "a right side with times",
      view(
        "delays",
        flights().join(
          fileFrame({ origin: "string", at: "timestamp", size: "int32" }, { eventTimestamp: "at" }),
          "origin",
        ).by(airport),
        daily,
      ).definitions,
      "use asOfJoin",
    ],
  ])("warns of %s", async (_, definitions, message) => {
    expect((await warningsOf({}, definitions)).warnings.join("\n")).toContain(message);
  });

  it("refuses too many slices, and a source that cannot be read, by the name of the view", async () => {
    const { registry } = open();
    expect((await refused(registry.plan(delays({ schedule: "1m", start: "1990-01-01" }).definitions))).message)
      .toContain("at most 1000000 are allowed");
    const estimate = async () => {
      throw new VarveError("NOT_FOUND", 'Cannot read "/data/flights.parquet": there is no such file');
    };
    expect((await refused(registry.plan(delays().definitions, { estimate }))).message).toContain(
      'view:delays: Cannot read "/data/flights.parquet"',
    );
  });

  it("prints as text and as JSON", async () => {
    const { registry } = open();
    const plan = await registry.plan(delays({ ttl: "12h" }).definitions, {
      estimate: async () => ({ rows: 5, bytes: 9 }),
    });
    expect(String(plan)).toBe([
      "+ entity airport",
      "+ view delays, version 1",
      "    backfill: 10 slices, 2001-01-01 to 2001-01-11; reads about 5 rows, 9 B",
      "    ! ttl, 12h, is shorter than schedule and dataDelay, 1d: values expire before the next ones can be served (S4, S6)",
    ].join("\n"));
    expect(JSON.parse(JSON.stringify(plan))).toMatchObject({
      revision: 0,
      isEmpty: false,
      items: [{ name: "airport" }, { name: "delays" }],
    });
  });
});

describe("dataHash()", () => {
  const base = dataHash(delays().definition);
  it.each<[string, Parameters<typeof delays>[0]]>([
    ["description", { description: "x" }],
    ["ttl", { ttl: "7d" }],
    ["default", { defaults: { delay: 1 } }],
    ["start", { start: "2000-01-01" }],
    ["end", { end: "2002-01-01" }],
    ["lookback", { lookback: 1 }],
    ["online", { online: true }],
    ["name", { name: "other" }],
  ])("does not see %s", (_, options) => {
    expect(dataHash(delays(options).definition)).toBe(base);
  });

  it("sees what shapes the data", () => {
    const hourly = flights().derive({ hour: col("date").dt.truncate("hour") }).groupBy("origin", "hour").aggregate({
      delay: count(),
    });
    const others = [
      delays({ schedule: "12h" }),
      delays({ dataDelay: "1h" }),
      delays({ features: ["distance"] }),
      delays({ eventTimestamp: "loaded" }),
      delays({ writtenTimestamp: "loaded" }),
      view("delays", hourly.by(airport), daily),
      view("delays", flights({ paths: ["/other.parquet"] }).by(airport), { ...daily, features: ["delay"] }),
    ].map((each) => dataHash(each.definition));
    expect(new Set([base, ...others]).size).toBe(others.length + 1);
  });
});

describe("planChanges() of aggregates over windows", () => {
  const keyed = flights().by(airport);

  function counts(change: Record<string, unknown> = {}, settings: Record<string, unknown> = {}): readonly Definition[] {
    const { aggregates = { n: count(), delay: mean("delay") }, ...options } = change;
    const frame = keyed.aggregate(
      aggregates as Record<string, Aggregate<"delay">>,
      { windows: ["24h", "7d"], every: "1h", ...options } as never,
    );
    return view("counts", frame, { ...daily, online: true, ...settings } as never).definitions;
  }

  async function change(from: readonly Definition[], to: readonly Definition[]): Promise<[string, number, string]> {
    const registry = await published(...from);
    const plan = await registry.plan(to);
    const { change, version, differences } = item(plan.items, "counts");
    await plan.apply();
    expect((await registry.plan(to)).isEmpty).toBe(true);
    return [change, version!, differences.map((each) => each.text).join("\n")];
  }

  it("says what a new view computes", async () => {
    const { registry } = open();
    const plan = await registry.plan(counts());
    expect(String(plan).split("\n").slice(1)).toEqual([
      "+ view counts, version 1",
      "    tiles of 1h, edge complete",
      "    delay = mean(delay)",
      "    n = count()",
      "    over 24h, 7d: 4 features",
      "    backfill: 10 slices, 2001-01-01 to 2001-01-11",
    ]);
    await plan.apply();
    expect((await registry.plan(counts())).isEmpty).toBe(true);
  });

  it.each<[string, Record<string, unknown>, Record<string, unknown>, string]>([
    ["a window that tiles have", { windows: ["24h", "3d", "7d"] }, {}, "adds feature n_3d (int64)"],
    ["a window less", { windows: ["24h"] }, {}, "removes feature n_7d"],
    ["an order", { windows: ["7d", "24h"] }, {}, "the order of its features"],
    ["another window of one name", { windows: [{ window: "2d", name: "24h" }, "7d"] }, {}, "n over 24h -> n over 2d"],
    ["a boundary", { boundary: "exclusive" }, {}, "boundary: inclusive -> exclusive"],
    ["a default", { defaults: { delay: 0 } }, {}, "feature delay_24h: default none -> 0"],
    [
      "a longer window that nobody asks for online",
      { windows: ["24h", "30d"] },
      { online: false },
      "adds feature n_30d",
    ],
    ["an earlier start", {}, { start: "2000-12-01" }, "start: 2001-01-01T00:00:00Z -> 2000-12-01T00:00:00Z"],
    ["an end in the future", {}, { end: "2001-02-01" }, "end: none -> 2001-02-01T00:00:00Z"],
  ])("updates %s in place", async (_, options, settings, text) => {
    const [kind, version, texts] = await change(counts(), counts(options, settings));
    expect([kind, version]).toEqual(["update", 1]);
    expect(texts).toContain(text);
  });

  it.each<[string, Record<string, unknown>, Record<string, unknown>, string]>([
    ["a tile", { every: "12h" }, {}, "every: 1h -> 12h"],
    ["an edge", { edge: "fresh" }, {}, "edge: complete -> fresh"],
    ["an aggregation", { aggregates: { n: count() } }, {}, "removes aggregation delay"],
    ["another name", { aggregates: { n: count(), late: mean("delay") } }, {}, "adds late = mean(delay)"],
    [
      "another condition",
      { aggregates: { n: count().where(col("delay").gt(15)), delay: mean("delay") } },
      {},
      "n = count() -> count() where delay > 15",
    ],
    ["a secondary key", { secondaryKey: "destination" }, {}, "secondaryKey: none -> destination string"],
    ["a schedule", {}, { schedule: "12h" }, "schedule: 1d -> 12h"],
    ["a longer window", { windows: ["24h", "30d"] }, {}, "windows need more than is kept for requests"],
    ["a lifetime", { windows: ["24h", "7d", "lifetime"] }, {}, "windows need more than is kept for requests"],
    ["a finer window", { windows: ["24h", "1h", "7d"] }, {}, "windows need more than is kept for requests"],
    ["an earlier window", { windows: ["24h", { window: "7d", offset: "-1d" }] }, {}, "windows need more than is kept"],
    ["a later start", {}, { start: "2001-01-05" }, "windows count all rows that are stored"],
    ["an end in the past", {}, { end: "2001-01-05" }, "windows count all rows that are stored"],
  ])("makes a new version for %s", async (_, options, settings, text) => {
    const [kind, version, texts] = await change(counts(), counts(options, settings));
    expect([kind, version]).toEqual(["newVersion", 2]);
    expect(texts).toContain(text);
  });

  it("keeps more rows in a new version, and fewer in place", async () => {
    const exact = (maxRows: number) => counts({ edge: "exact", every: undefined, windows: ["7d"], maxRows });
    expect(await change(exact(100), exact(200))).toMatchObject([
      "newVersion",
      2,
      expect.stringContaining("100 -> 200"),
    ]);
    expect(await change(exact(200), exact(100))).toMatchObject(["update", 1, "maxRows: 200 -> 100"]);
  });

  it("makes a new version when attributes become aggregates", async () => {
    const attributes = view("counts", keyed, { ...daily, features: ["delay"] }).definitions;
    const [kind, version, texts] = await change(attributes, counts());
    expect([kind, version]).toEqual(["newVersion", 2]);
    expect(texts).toContain("mode: attributes -> aggregates");
    expect(texts).toContain("tiles of 1h, edge complete");
  });

  it("warns once of windows that surprise", async () => {
    const { registry } = open();
    const plan = await registry.plan(counts({ windows: ["1h", "7d"] }));
    expect(plan.warnings.map(({ message }) => message)).toEqual([expect.stringContaining("windows of 1h are shorter")]);
  });
});
