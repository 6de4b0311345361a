import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AttributeView } from "../../../sdk/define/definitions.ts";
import { holdMs, reconcile, type ReconcileInput, type VersionData } from "../../../sdk/materialize/reconcile.ts";
import { type Job, jobId, type MaterializeJob } from "../../../sdk/queue/jobs.ts";
import type { JobRecord } from "../../../sdk/queue/queue.ts";
import type { RegisteredView, RegistryState } from "../../../sdk/registry/state.ts";
import type { ViewState } from "../../../sdk/storage/online_store.ts";
import { toMicros } from "../../../sdk/time.ts";

const dayMicros = 86_400_000_000n;
const now = "2001-01-11T01:00Z"; // with a delay of 1 h, ten days of January have closed
const queueNow = new Date("2026-01-01T00:00Z");

function definition(more: Partial<AttributeView> = {}): AttributeView {
  return {
    kind: "view",
    name: "trips",
    mode: "attributes",
    entity: { kind: "entity", name: "driver", joinKeys: [{ name: "driver_id", type: "int64" }] },
    query: { kind: "scan", source: { kind: "file", format: "parquet", paths: ["x.parquet"] }, schema: [] },
    eventTimestamp: "ts",
    features: [{ name: "fare", type: "float64" }],
    schedule: "1d",
    dataDelay: "1h",
    start: "2001-01-01T00:00:00Z",
    ttl: "forever",
    lookback: 0,
    online: false,
    offline: true,
    ...more,
  };
}

function registry(view: Partial<RegisteredView> = {}, more: Partial<AttributeView> = {}): RegistryState {
  const versions = [1, 2].map((version) => ({
    version,
    definition: definition(more),
    dataHash: String(version),
    createdAt: "2001-01-01T00:00:00Z",
  }));
  const trips: RegisteredView = { name: "trips", versions, ...view };
  return { revision: 1, entities: {}, services: {}, views: { trips }, realtimeViews: {} };
}

/** Days of January -> the commit that wrote them. */
function stored(days: Readonly<Record<number, number>>, more: Partial<VersionData> = {}): VersionData {
  const committed = new Map(Object.entries(days).map(([day, commit]) => [january(Number(day)), commit]));
  return { view: "trips", version: 1, tableVersion: Math.max(-1, ...committed.values()), committed, ...more };
}

function january(day: number): bigint {
  return toMicros("2001-01-01") + BigInt(day - 1) * dayMicros;
}

function run(more: Partial<ReconcileInput> = {}) {
  const base = {
    workspace: "w",
    state: registry({ building: 1 }),
    data: [stored({})],
    records: [],
    now: toMicros(now),
    queueNow,
  };
  return reconcile({ ...base, ...more });
}

/** `reason first–last day priority`, most urgent first. */
function told(jobs: readonly { job: Job; options: { priority?: number } }[]): string[] {
  return jobs.map(({ job, options }) => {
    if (job.name !== "materialize") return `${job.name} ${job.view}/${job.version} ${options.priority}`;
    const [first, end] = [job.start, job.end].map((text) => Number((toMicros(text) - january(1)) / dayMicros) + 1);
    return `${job.reason} ${first}-${end! - 1} ${options.priority}`;
  });
}

function record(job: Partial<MaterializeJob> & { days?: [number, number] }, more: Partial<JobRecord>): JobRecord {
  const { days = [1, 10], ...rest } = job;
  const text = (day: number) => `2001-01-${String(day).padStart(2, "0")}T00:00:00Z`;
  const full: MaterializeJob = {
    name: "materialize",
    workspace: "w",
    view: "trips",
    version: 1,
    start: text(days[0]),
    end: text(days[1] + 1),
    overwrite: false,
    reason: "backfill",
    ...rest,
  };
  return { id: jobId(full), job: full, state: "waiting", attempts: 0, enqueuedAt: queueNow, ...more };
}

const ago = (ms: number) => new Date(queueNow.getTime() - ms);
const full = Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((day) => [day, 1]));
const onlineState = (more: Partial<ViewState> = {}): ViewState => ({
  view: "trips",
  version: 1,
  collection: "c1",
  appliedVersion: 1,
  watermark: "2001-01-11T00:00:00Z",
  layout: "L",
  updatedAt: "2001-01-11T00:00:00Z",
  ...more,
});

describe("reconcile(): slices", () => {
  it("submits what has closed and is not committed, newest first, and nothing else (S4)", () => {
    expect(told(run({ limits: { slicesPerJob: 4 } }).jobs)).toEqual([
      "backfill 9-10 100",
      "backfill 5-8 101",
      "backfill 1-4 102",
    ]);
    expect(told(run({ data: [stored({ 3: 1, 7: 2 })] }).jobs)).toEqual([
      "backfill 8-10 100",
      "backfill 4-6 101",
      "backfill 1-2 102",
    ]);
    expect(run({ data: [stored(full)] }).jobs).toEqual([]);
    expect(told(run({ now: toMicros("2001-01-11T00:59:59Z") }).jobs)).toEqual(["backfill 1-9 100"]);
  });

  it("keeps the borders between jobs where they are when more slices close", () => {
    const jobs = (at: string) =>
      told(run({ now: toMicros(at), limits: { slicesPerJob: 4 } }).jobs).map((job) => job.split(" ")[1]);
    expect(jobs("2001-01-09T01:00Z")).toEqual(["5-8", "1-4"]);
    expect(jobs("2001-01-10T01:00Z")).toEqual(["9-9", "5-8", "1-4"]);
  });

  it("calls the newest slices of a serving version scheduled, and runs them before any backfill", () => {
    const state = registry({ serving: 1 });
    expect(told(run({ state, data: [stored({ 5: 1, 6: 1, 7: 1, 8: 1 })] }).jobs)).toEqual([
      "schedule 9-10 20",
      "backfill 1-4 101",
    ]);
  });

  it("leaves out what jobs in the queue cover, however they are cut", () => {
    for (const state of ["waiting", "delayed", "active"] as const) {
      const records = [
        record({ days: [2, 5] }, { state }),
        record({ days: [9, 9], overwrite: true, reason: "manual" }, { state }),
      ];
      expect(told(run({ records }).jobs)).toEqual(["backfill 10-10 100", "backfill 6-8 101", "backfill 1-1 102"]);
    }
    const others = [record({ version: 2 }, {}), record({ view: "rides" }, {})];
    expect(told(run({ records: others }).jobs)).toEqual(["backfill 1-10 100"]);
  });

  it("does not fill the queue with one view", () => {
    const records = [record({ days: [10, 10] }, {}), record({ days: [9, 9] }, { state: "active" })];
    expect(told(run({ records, limits: { slicesPerJob: 1, jobsPerVersion: 4 } }).jobs)).toEqual([
      "backfill 8-8 100",
      "backfill 7-7 101",
    ]);
    expect(run({ records, limits: { jobsPerVersion: 2 } }).jobs).toEqual([]);
  });

  it("makes smaller jobs of large slices, and larger jobs of very many", () => {
    const large = stored({ 10: 1 }, { rowsPerSlice: 10_000_000 });
    expect(told(run({ data: [large] }).jobs).length).toBeGreaterThan(1);
    const state = registry({ building: 1 }, { start: "1900-01-01T00:00:00Z" });
    const { job } = run({ state }).jobs[1]!;
    expect((toMicros((job as MaterializeJob).end) - toMicros((job as MaterializeJob).start)) / dayMicros).toBe(248n);
  });

  it("works on serving and building versions only, and skips what could not be read", () => {
    const state = registry({ serving: 2 });
    const data = [stored({}), stored({}, { version: 2 })];
    expect(run({ state, data }).jobs.map(({ job }) => job.version)).toEqual([2]);
    expect(run({ data: [] })).toEqual({ jobs: [], serve: [], held: [], problems: [] });
  });

  it("does not let an impossible definition stop the other views", () => {
    const { trips } = registry({ building: 1 }).views;
    const rides = {
      ...trips!,
      name: "rides",
      versions: [{
        ...trips!.versions[0]!,
        definition: definition({ name: "rides", schedule: "1s", start: "1990-01-01T00:00:00Z" }),
      }],
    };
    const state = { ...registry(), views: { rides, trips: trips! } };
    const plan = run({ state, data: [stored({}), stored({}, { view: "rides" })] });
    expect(told(plan.jobs)).toEqual(["backfill 1-10 100"]);
    expect(plan.problems).toMatchObject([{ what: 'view "rides" version 1', error: { code: "INVALID_DEFINITION" } }]);
  });

  it("covers every slice that is due exactly once, whatever is committed and in flight", () => {
    fc.assert(fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 10 })),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 10 }))),
      fc.integer({ min: 1, max: 12 }),
      (done, flights, slicesPerJob) => {
        const data = [stored(Object.fromEntries(done.map((day) => [day, 1])))];
        const records = flights.map(([a, b]) =>
          record({ days: [Math.min(a, b), Math.max(a, b)] }, { state: "active" })
        );
        const { jobs } = run({ data, records, limits: { slicesPerJob } });
        const submitted = jobs.flatMap(({ job }) => {
          const { start, end } = job as MaterializeJob;
          const days: number[] = [];
          for (let at = toMicros(start); at < toMicros(end); at += dayMicros) {
            days.push(Number((at - january(1)) / dayMicros) + 1);
          }
          return days.reverse();
        });
        const flying = (day: number) => flights.some(([a, b]) => Math.min(a, b) <= day && day <= Math.max(a, b));
        const expected = [10, 9, 8, 7, 6, 5, 4, 3, 2, 1].filter((day) => !done.includes(day) && !flying(day));
        expect(submitted).toEqual(expected);
      },
    ));
  });
});

describe("reconcile(): lookback (S10)", () => {
  const state = registry({ serving: 1 }, { lookback: 3 });

  it("runs the last slices again when the newest was committed after them, once", () => {
    expect(told(run({ state, data: [stored({ ...full, 10: 2 })] }).jobs)).toEqual(["lookback 7-9 50"]);
    expect(run({ state, data: [stored({ ...full, 10: 2, 9: 3, 8: 3, 7: 3 })] }).jobs).toEqual([]);
    expect(told(run({ state, data: [stored({ ...full, 10: 2, 9: 3 })] }).jobs)).toEqual(["lookback 7-8 50"]);
  });

  it("waits for the newest slice, and does nothing after a backfill that went newest first", () => {
    const { 10: _ten, ...nine } = full;
    expect(told(run({ state, data: [stored(nine)] }).jobs)).toEqual(["schedule 10-10 20"]);
    expect(run({ state, data: [stored({ 10: 1, 9: 2, 8: 3, 7: 4, 6: 5, 5: 6, 4: 7, 3: 8, 2: 9, 1: 10 })] }).jobs)
      .toEqual([]);
  });

  it("overwrites; a job that only fills gaps does not stand for it", () => {
    const data = [stored({ ...full, 10: 2 })];
    expect(run({ state, data }).jobs[0]!.job).toMatchObject({ overwrite: true, reason: "lookback" });
    expect(told(run({ state, data, records: [record({ days: [7, 9] }, { state: "active" })] }).jobs)).toEqual([
      "lookback 7-9 50",
    ]);
    const same = [record({ days: [7, 9], overwrite: true }, { state: "active" })];
    expect(run({ state, data, records: same }).jobs).toEqual([]);
  });

  it("is of serving versions, and stops at the first slice", () => {
    expect(run({ state: registry({ building: 1 }, { lookback: 3 }), data: [stored({ ...full, 10: 2 })] }).jobs).toEqual(
      [],
    );
    const far = registry({ serving: 1 }, { lookback: 99 });
    expect(told(run({ state: far, data: [stored({ ...full, 10: 2 })] }).jobs)).toEqual(["lookback 1-9 50"]);
  });
});

describe("reconcile(): late rows (S10)", () => {
  const scan = {
    kind: "scan",
    source: { kind: "file", format: "parquet", paths: ["x"], eventTimestamp: "t", writtenTimestamp: "w" },
    schema: [{ name: "t", type: "timestamp" }, { name: "w", type: "timestamp" }],
  } as const;
  const asked = { query: scan, writtenTimestamp: "w" } as const;
  const state = registry({ serving: 1 }, asked);
  const note = (late: Readonly<Record<number, number>>, lookedAt = toMicros(now)): VersionData["late"] => ({
    lookedAt,
    tableVersion: 1,
    late: new Map(Object.entries(late).map(([day, version]) => [january(Number(day)), version])),
  });
  const jobs = (late: VersionData["late"], more: Partial<VersionData> = {}, of = state) =>
    told(run({ state: of, data: [stored(full, { ...late && { late }, ...more })] }).jobs);

  it("computes late slices again until they were", () => {
    expect(jobs(note({ 2: 1, 3: 1, 7: 1 }))).toEqual(["repair 7-7 60", "repair 2-3 60"]);
    expect(jobs(note({ 2: 1, 3: 1 }), stored({ ...full, 3: 2 }))).toEqual(["repair 2-2 60"]);
    expect(run({ state, data: [stored(full, { late: note({ 2: 1 })! })] }).jobs[0]!.job).toMatchObject({
      overwrite: true,
      reason: "repair",
    });
  });

  it("leaves to the lookback what it runs anyway", () => {
    const both = registry({ serving: 1 }, { ...asked, lookback: 1 });
    expect(jobs(note({ 9: 1, 8: 1 }), stored({ ...full, 10: 2 }), both)).toEqual(["lookback 9-9 50", "repair 8-8 60"]);
  });

  it("asks a source that says when rows were written, once after each slice, for serving versions", () => {
    const ask = ["find-late trips/1 70"];
    expect(jobs(undefined)).toEqual(ask);
    expect(jobs(note({}))).toEqual([]);
    expect(jobs(note({}, january(10)))).toEqual(ask);
    expect(jobs(undefined, {}, registry({ serving: 1 }))).toEqual([]);
    expect(jobs(undefined, {}, registry({ building: 1 }, asked))).toEqual([]);
  });
});

describe("reconcile(): online and serving", () => {
  const online = { online: true };
  const serving = registry({ serving: 1 }, online);
  const load = ["load-online trips/1 10"];

  it("loads a serving version when something was committed, lost, or is laid out otherwise", () => {
    const loads = (more: Partial<VersionData>) =>
      told(run({ state: serving, data: [stored(full, { layout: "L", ...more })] }).jobs);
    expect(loads({ online: onlineState() })).toEqual([]);
    expect(loads({ online: onlineState({ appliedVersion: 0 }) })).toEqual(load);
    expect(loads({})).toEqual(load);
    const { collection: _collection, ...unserved } = onlineState();
    expect(loads({ online: unserved })).toEqual(load);
    expect(loads({ online: onlineState(), layout: "another epoch" })).toEqual(load);
    expect(loads({ tableVersion: -1 })).toEqual([]);
  });

  it("loads the version that a rollback goes back to when it was lost, and leaves it alone otherwise", () => {
    const state = registry({ serving: 2, served: [1, 2] }, online);
    const serves = { ...stored(full, { layout: "L", online: onlineState() }), version: 2 };
    const loads = (more: Partial<VersionData>) =>
      told(run({ state, data: [serves, stored({ 1: 1 }, { layout: "L", ...more })] }).jobs);
    expect(loads({})).toEqual(["load-online trips/1 80"]);
    expect(loads({ online: onlineState(), layout: "another epoch" })).toEqual(["load-online trips/1 80"]);
    // Nothing is computed for it: what it lacks is due when it serves.
    expect(loads({ online: onlineState({ appliedVersion: 0 }) })).toEqual([]);
    expect(loads({ tableVersion: -1 })).toEqual([]);
    const offline = registry({ serving: 2, served: [1, 2] });
    expect(told(run({ state: offline, data: [stored(full), { ...stored(full), version: 2 }] }).jobs)).toEqual([]);
  });

  it("loads a building version only when it is complete, and lets it serve only when it is loaded", () => {
    const state = registry({ building: 1 }, online);
    const { 4: _four, ...missing } = full;
    expect(told(run({ state, data: [stored(missing, { layout: "L" })] }).jobs)).toEqual(["backfill 4-4 100"]);
    const unloaded = run({ state, data: [stored(full, { layout: "L" })] });
    expect([told(unloaded.jobs), unloaded.serve]).toEqual([load, []]);
    const loaded = run({ state, data: [stored(full, { layout: "L", online: onlineState() })] });
    expect([loaded.jobs, loaded.serve]).toEqual([[], [{ view: "trips", version: 1 }]]);
  });

  it("lets a version without online values serve when all its slices are committed", () => {
    expect(run({ data: [stored(full)] }).serve).toEqual([{ view: "trips", version: 1 }]);
    expect(run({ data: [stored({ 1: 1 })] }).serve).toEqual([]);
    expect(run({ state: registry({ serving: 1 }), data: [stored(full)] }).serve).toEqual([]);
  });

  it("does not load twice at a time", () => {
    const job = { name: "load-online", workspace: "w", view: "trips", version: 1, rebuild: false } as const;
    const records = [{ id: jobId(job), job, state: "active", attempts: 1, enqueuedAt: queueNow } as const];
    expect(run({ state: serving, data: [stored(full, { layout: "L" })], records }).jobs).toEqual([]);
  });

  it("cleans what is not registered any more", () => {
    const plan = run({ data: [], leftovers: [{ view: "old", version: 3 }] });
    expect(told(plan.jobs)).toEqual(["clean old/3 100000"]);
  });
});

describe("reconcile(): what has failed", () => {
  const failed = (days: [number, number], code: "UNAVAILABLE" | "CORRUPT", finishedAt: Date) =>
    record({ days }, { state: "failed", code, reason: "Cannot read it", finishedAt });

  it("holds back what died of a fault that may pass, for a while, and says why", () => {
    const plan = run({ records: [failed([9, 10], "UNAVAILABLE", ago(holdMs.passing - 1))] });
    expect(told(plan.jobs)).toEqual(["backfill 1-8 100"]);
    expect(plan.held).toMatchObject([{ reason: "Cannot read it", until: new Date(queueNow.getTime() + 1) }]);
    const later = run({ records: [failed([9, 10], "UNAVAILABLE", ago(holdMs.passing))] });
    expect([told(later.jobs), later.held]).toEqual([
      ["backfill 10-10 100", "backfill 9-9 101", "backfill 1-8 102"],
      [],
    ]);
  });

  it("takes apart what died of a fault that stays, and holds back the slice that has it", () => {
    const apart = run({ records: [failed([8, 10], "CORRUPT", ago(1_000))] });
    expect(told(apart.jobs)).toEqual([
      "backfill 10-10 100",
      "backfill 9-9 101",
      "backfill 8-8 102",
      "backfill 1-7 103",
    ]);
    const found = run({
      data: [stored({ 10: 1, 8: 2 })],
      records: [failed([8, 10], "CORRUPT", ago(2_000)), failed([9, 9], "CORRUPT", ago(1_000))],
    });
    expect([told(found.jobs), found.held.length]).toEqual([["backfill 1-7 100"], 1]);
    const hourLater = run({
      data: [stored({ 10: 1, 8: 2 })],
      records: [failed([9, 9], "CORRUPT", ago(holdMs.lasting))],
    });
    expect(told(hourLater.jobs)).toEqual(["backfill 9-9 100", "backfill 1-7 101"]);
  });

  it("takes nothing apart when everything fails", () => {
    const records = ([[1, 3], [4, 6], [7, 10]] as [number, number][]).map((days) =>
      failed(days, "CORRUPT", ago(1_000))
    );
    const plan = run({ records });
    expect([plan.jobs, plan.held.length]).toEqual([[], 3]);
  });

  it("never submits by itself what was cancelled", () => {
    const cancelled = record({ days: [1, 9] }, {
      state: "cancelled",
      reason: "wrong source",
      finishedAt: ago(30 * 86_400_000),
    });
    const plan = run({ records: [cancelled] });
    expect(told(plan.jobs)).toEqual(["backfill 10-10 100"]);
    expect(plan.held).toEqual([{ job: cancelled.job, reason: "cancelled: wrong source" }]);
  });

  it("holds back loads that died, and no others", () => {
    const state = registry({ serving: 1 }, { online: true });
    const job = { name: "load-online", workspace: "w", view: "trips", version: 1, rebuild: false } as const;
    const dead: JobRecord = {
      id: jobId(job),
      job,
      state: "failed",
      reason: "Redis is full",
      code: "EXHAUSTED",
      attempts: 5,
      enqueuedAt: queueNow,
      finishedAt: ago(1),
    };
    const plan = run({ state, data: [stored(full, { layout: "L" })], records: [dead] });
    expect([plan.jobs, plan.held.map((held) => held.reason)]).toEqual([[], ["Redis is full"]]);
  });

  it("does not hold a gap for an overwrite that failed", () => {
    const records = [
      record({ days: [10, 10], overwrite: true, reason: "manual" }, {
        state: "failed",
        code: "CORRUPT",
        finishedAt: ago(1),
      }),
    ];
    expect(told(run({ records }).jobs)).toEqual(["backfill 1-10 100"]);
  });
});
