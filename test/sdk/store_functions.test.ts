import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from "vitest";
import { realtimeView } from "../../sdk/define/realtime_view.ts";
import { service } from "../../sdk/define/service.ts";
import { view } from "../../sdk/define/view.ts";
import { last, mean } from "../../sdk/frame/aggregates.ts";
import { fromRows } from "../../sdk/frame/sources.ts";
import type { Store } from "../../sdk/store.ts";
import { driver, StoreRig, trips } from "./store_rig.ts";
import { sandboxes } from "../support/sandboxes.ts";

let rig: StoreRig;
let store: Store;
beforeEach(async () => {
  rig = await StoreRig.open();
  await rig.write(trips);
  store = await rig.connect({ functions: { timeoutMs: 1_000 } });
});
afterEach(() => rig.close());

const daily = { schedule: "1d", start: "2001-01-01", online: true } as const;
const x = { driver: "x", zone: 1n };
const nobody = { driver: "nobody", zone: 1n };

/** A request's amount against the mean of five days. */
function seed() {
  const spend = view("spend", rig.trips().by(driver).aggregate({ usual: mean("amount") }, { windows: ["5d"] }), daily);
  const risk = realtimeView("risk", {
    request: { amount: "float64" },
    from: [spend.select("usual_5d")],
    output: { score: "float64", band: "string", hour: "int32" },
    compute: (row) => {
      // What is declared inside is no capture.
      const score = row.amount === null ? null : row.amount / (row.usual_5d ?? 1);
      const hour = row.requestTimestamp.toDate().getUTCHours();
      return { score, band: score === null ? undefined : score > 3 ? "high" : "low", hour };
    },
    defaults: { band: "unknown" },
    descriptions: { band: "how unusual it is" },
  });
  return { spend, risk, model: service("model", [risk, spend]) };
}

const spineSchema = { driver: "string", zone: "int64", amount: "float64", at: "timestamp" } as const;

describe("a store, of functions", () => {
  it("serves what they give, and trains on the same", async () => {
    const { risk, model } = seed();
    const plan = await store.publish(model);
    expect(String(plan)).toMatch(
      /\+ realtime view risk, version 1\n {4}request amount float64\n {4}reads spend\.usual_5d\n {4}gives score float64, band string, hour int32\n {4}function [0-9a-f]{12}:\n {8}\(row\) => \{\n/,
    );
    await plan.apply();
    expect((await store.publish(model)).isEmpty).toBe(true);
    rig.clock.set("2001-01-06T13:30:00Z");
    const answer = await store.online(model, x, { request: { amount: 14 } });
    expect(answer).toEqual({ score: 14 / ((1 + 2 + 4) / 3), band: "high", hour: 13, usual_5d: 7 / 3 });
    expectTypeOf(answer).toEqualTypeOf<
      { score: number | null; band: string; hour: number | null; usual_5d: number | null }
    >();
    expect(await store.online(risk, [x, nobody, nobody], { request: [{ amount: null }, { amount: 3 }, { amount: 1 }] }))
      .toEqual([
        { score: null, band: "unknown", hour: 13 },
        { score: 3, band: "low", hour: 13 },
        { score: 1, band: "low", hour: 13 },
      ]);
    const { answers } = await store.onlineDetails("model", [x], { request: { amount: 7 } });
    expect(answers[0]).toMatchObject({ statuses: ["PRESENT", "PRESENT", "PRESENT", "PRESENT"] });

    const spine = fromRows(
      [{ ...x, amount: 14, at: "2001-01-06T13:30:00Z" }, { ...nobody, amount: null, at: "2001-01-06T13:30:00Z" }],
      { schema: spineSchema },
    );
    for (const from of ["offline", "source"] as const) {
      const rows = await (await store.train(model, spine, { from })).rows();
      expect(rows.map(({ score, band, hour, usual_5d }) => ({ score, band, hour, usual_5d }))).toEqual([
        answer,
        { score: null, band: "unknown", hour: 13, usual_5d: null },
      ]);
    }
    const { features } = await store.leaks(model, spine);
    expect(features.map(({ feature }) => feature)).toEqual(expect.arrayContaining(["score", "band"]));
  });

  it("rebuilds a training set of a function that has changed, and refuses one whose text was touched", async () => {
    const { risk, model } = seed();
    await (await store.publish(model)).apply();
    const spine = fromRows([{ ...x, amount: 14, at: "2001-01-06T13:30:00Z" }], { schema: spineSchema });
    const first = await store.train(model, spine);
    const record = JSON.parse(JSON.stringify(first.record)) as typeof first.record;
    expect(record.views.map(({ definition }) => definition)).toContainEqual(risk.definition);
    const changed = realtimeView("risk", {
      request: { amount: "float64" },
      output: { score: "float64", band: "string", hour: "int32" },
      compute: ({ amount }) => ({ score: amount, band: "new", hour: 1 }),
    });
    const plan = await store.publish(changed);
    expect(String(plan)).toMatch(
      /~ realtime view risk, version 2\n {4}removes .*\n {4}function [0-9a-f]{12} -> [0-9a-f]{12}:\n/,
    );
    expect(String(plan)).toContain("- const score = row.amount === null");
    expect(String(plan)).toContain("+ score: amount,");
    await plan.apply();
    expect(await store.online("risk", {}, { request: { amount: 14 } })).toEqual({ score: 14, band: "new", hour: 1 });
    const again = await store.retrain(record, spine);
    expect(await again.rows()).toEqual(await first.rows());
    await store.rollback("risk");
    expect(await store.online("risk", x, { request: { amount: 14 } })).toMatchObject({ band: "high" });
    const touched = JSON.parse(JSON.stringify(record).replace("> 3", "> 9")) as typeof record;
    const other = await store.retrain(touched, spine);
    await expect(other.rows()).rejects.toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining("its text does not have the hash that was published with it"),
    });
  });

  it("says for which row a function failed, and why; others are answered", async () => {
    const picky = realtimeView("picky", {
      request: { n: "int32" },
      output: { half: "int32" },
      compute: ({ n }) => {
        if (n === 13) throw new RangeError("no luck");
        if (n === 14) return { half: "seven" as unknown as number };
        if (n === 15) return {} as { half: number };
        return { half: n === null ? null : Math.trunc(n / 2) };
      },
    });
    await (await store.publish(picky)).apply();
    const ask = (...n: number[]) => store.online(picky, n.map(() => ({})), { request: n.map((n) => ({ n })) });
    await expect(ask(4, 13)).rejects.toMatchObject({
      code: "FUNCTION_FAILED",
      status: 422,
      details: { view: "picky", row: 1 },
      message: 'Cannot compute realtime view "picky" for row 1 of 2, from 0: it threw RangeError: no luck',
    });
    await expect(ask(14)).rejects.toMatchObject({
      message:
        'Cannot compute realtime view "picky" for the request: its answer, field "half", is a string of 5 characters, not a whole number of 32 bits',
      details: { field: "half" },
    });
    await expect(ask(15)).rejects.toThrow('field "half", is missing');
    expect(await ask(4, 9)).toEqual([{ half: 2 }, { half: 4 }]);
    const spine = fromRows([{ n: 1, at: new Date(0) }, { n: 13, at: new Date(0) }], {
      schema: { n: "int32", at: "timestamp" },
    });
    await expect((await store.train(picky, spine)).rows()).rejects.toThrow(
      'Cannot compute realtime view "picky" for row 1 of the spine: it threw RangeError: no luck',
    );
  });

  it("refuses an answer that is too large, and goes on", async () => {
    const wordy = realtimeView("wordy", {
      request: { n: "int32" },
      output: { size: "int32", text: "string" },
      compute: ({ n }) => ({ size: n, text: "x".repeat(n === null || n < 0 || n > 20_000_000 ? 0 : n) }),
    });
    await (await store.publish(wordy)).apply();
    await expect(store.online(wordy, {}, { request: { n: 20_000_000 } })).rejects.toMatchObject({
      code: "FUNCTION_FAILED",
      message:
        'Cannot compute realtime view "wordy" for the request: its answer, field "text", is too large: the answer is 20000016 bytes, and the limit of an answer is 8000000',
      details: { field: "text" },
    });
    expect(await store.online(wordy, {}, { request: { n: 3 } })).toEqual({ size: 3, text: "xxx" });
  });

  it("ends a function that takes too long or too much, and starts it again", async () => {
    const greedy = realtimeView("greedy", {
      request: { n: "int32" },
      output: { size: "int64" },
      compute: ({ n }) => {
        while (n === 13) { /* forever */ }
        const kept: Uint8Array[] = [];
        if (n === 14) { for (;;) kept.push(new Uint8Array(50_000_000).fill(1)); }
        return { size: kept.length };
      },
    });
    await (await store.publish(greedy)).apply();
    const ask = (n: number, signal?: AbortSignal) =>
      store.online(greedy, {}, { request: { n }, ...(signal && { signal }) });
    const patient = await rig.connect({ functions: { memoryMb: 64, timeoutMs: 60_000 } });
    await expect(ask(13)).rejects.toMatchObject({ code: "TIMEOUT", message: expect.stringContaining("1000 ms") });
    expect(await ask(1)).toEqual({ size: 0n });
    await expect(patient.online(greedy, {}, { request: { n: 14 } })).rejects.toMatchObject({
      message: expect.stringMatching(/memory|Array buffer allocation failed/),
    });
    expect(await patient.online(greedy, {}, { request: { n: 1 } })).toEqual({ size: 0n });
    await expect(ask(13, AbortSignal.timeout(200))).rejects.toMatchObject({
      code: "TIMEOUT",
      message: 'Cannot finish realtime view "greedy": the deadline passed',
    });
  });

  it("reads long lists and texts, of a training set and of many requests", async () => {
    await rig.write(Array.from({ length: 300 }, (_, n) => ({
      driver: "x",
      zone: 1,
      at: new Date(Date.UTC(2001, 0, 1, 0, n)).toISOString(),
      amount: n,
    })));
    const windows = rig.trips().by(driver).aggregate([last("amount", 300)], { windows: ["5d"] });
    const long = realtimeView("long", {
      request: { n: "int32", text: "string", values: { list: "float64" } },
      from: [view("windows", windows, daily)],
      output: { place: "int32", sum: "float64", length: "int32", count: "int32" },
      compute: ({ n, text, values, amount_last_300_5d: amounts }) => ({
        place: n,
        sum: (amounts ?? []).reduce((total, amount) => total + (amount ?? 0), 0),
        length: (text ?? "").length,
        count: (values ?? []).length,
      }),
    });
    const usual = await rig.connect();
    await (await usual.publish(service("model", [long]))).apply();
    const values = Array.from({ length: 1_000 }, (_, i) => i / 2);
    const asked = Array.from({ length: 2_000 }, (_, n) => ({ n, text: "x".repeat(5_000 + 12 * n), values }));
    const right = asked.map(({ n, text }) => ({
      place: n,
      sum: 300 * 299 / 2,
      length: text.length,
      count: 1_000,
    }));
    rig.clock.set("2001-01-05T12:00Z");
    const online = await usual.online(long, asked.slice(0, 1_000).map(() => x), { request: asked.slice(0, 1_000) });
    expect(online).toEqual(right.slice(0, 1_000));
    const spine = fromRows(asked.map((row) => ({ ...x, ...row, at: "2001-01-05T12:00:00Z" })), {
      schema: {
        driver: "string",
        zone: "int64",
        n: "int32",
        text: "string",
        values: { list: "float64" },
        at: "timestamp",
      },
    });
    const trained = await (await usual.train(long, spine, { from: "source" })).rows();
    expect(trained.map(({ place, sum, length, count }) => ({ place, sum, length, count }))).toEqual(right);
  });

  it("goes on after its process was killed", async () => {
    const { risk } = seed();
    await (await store.publish(risk)).apply();
    const ask = () => store.online(risk, x, { request: { amount: 14 } });
    const right = await ask();
    for (let round = 0; round < 3; round += 1) {
      const asked = Array.from({ length: 20 }, ask);
      for (const pid of sandboxes()) process.kill(pid, "SIGKILL");
      // What was being worked on has no answer; nothing is wrong, and the next is answered.
      for (const end of await Promise.allSettled(asked)) {
        if (end.status === "fulfilled") expect(end.value).toEqual(right);
        else expect(end.reason).toMatchObject({ code: "UNAVAILABLE" });
      }
      expect(await ask()).toEqual(right);
    }
    await store.close();
    expect(sandboxes()).toEqual([]);
  });

  it("does without Deno what needs no function", async () => {
    const { spend, risk, model } = seed();
    const poor = await rig.connect({ functions: { deno: join(rig.folder, "none") } });
    await expect(poor.publish(risk)).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringMatching(/^Cannot publish realtime view "risk": its function cannot be tried\. .*none/),
    });
    await (await store.publish(model)).apply();
    // It is published already: there is nothing to try.
    expect((await poor.publish(model)).isEmpty).toBe(true);
    expect(await poor.online(spend, x)).toEqual({ usual_5d: 7 / 3 });
    await expect(poor.online(risk, x, { request: { amount: 1 } })).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringMatching(
        /^Cannot read realtime view "risk": Cannot run published functions: .*no executable/,
      ),
    });
    const spine = fromRows([{ ...x, amount: 14, at: "2001-01-06T13:30:00Z" }], { schema: spineSchema });
    await expect((await poor.train(risk, spine)).rows()).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });
});

describe("publishing a function", () => {
  it("tries it on what can come: inputs with defaults and the time of the request are never null", async () => {
    const facts = view("facts", rig.trips().by(driver), { ...daily, features: ["amount"], defaults: { amount: 1 } });
    const windows = rig.trips().by(driver).aggregate([last("amount", 3)], { windows: ["5d"] });
    const strict = realtimeView("strict", {
      request: { n: "float64" },
      from: [facts, view("windows", windows, daily)],
      output: { x: "float64" },
      compute: (row) => {
        if (row.n === null && (row.amount === null || row.amount_last_3_5d === null)) throw new Error("never");
        if (row.n !== null) throw new Error("only nulls have an answer");
        return { x: row.amount + row.amount_last_3_5d.length + row.requestTimestamp.toDate().getTime() };
      },
    });
    expect((await store.publish(strict)).isEmpty).toBe(false);
  });

  it("tries it on rows as they are stored, and tells no value of them", async () => {
    const facts = view("facts", rig.trips().by(driver), { ...daily, features: ["amount"] });
    const windows = rig.trips().by(driver).aggregate({ usual: mean("amount") }, { windows: ["5d"] });
    const from = [facts, view("spend", windows, daily).select("usual_5d")] as const;
    const planned = async (
      compute: (
        row: { n: number | null; amount: number | null; usual_5d: number | null },
      ) => { x: number | null },
    ) => {
      const picky = realtimeView("picky", { request: { n: "float64" }, from, output: { x: "float64" }, compute });
      return String(await store.publish(picky));
    };
    const warning = "    ! its function has no answer to";
    // Amounts from 2 to 6 are stored, and are in no row that is made up.
    expect(
      await planned(({ n, amount, usual_5d }) => {
        if (amount === 4 && usual_5d !== null) throw new Error(`secret ${amount}`);
        return { x: n };
      }),
    ).toContain(`${warning} 1 of 6 rows of stored features: it threw an error, whose text may have values in it`);
    expect(
      await planned(({ n, amount }) => ({ x: n === null ? null : (amount! > 3 ? 1n as unknown as number : 1) * n })),
    ).toContain(`${warning} 3 of 6 rows of stored features: it threw TypeError: Cannot mix BigInt`);
    expect(
      await planned(({ amount }) => ({ x: amount === 4 ? "secret" as unknown as number : 0 })),
    ).toContain(`${warning} 1 of 6 rows of stored features: its answer, field "x", is not of its output`);
    expect(await planned(({ amount }) => ({ x: amount }))).not.toContain("!");
    await expect(planned(({ n, amount, usual_5d }) => {
      if (amount !== null && amount > 0.5 && usual_5d !== null) throw new RangeError(`not ${amount * 7}`);
      return { x: n };
    })).rejects.toMatchObject({
      code: "INVALID_DEFINITION",
      message:
        'Cannot publish realtime view "picky": it has no answer to any of 6 rows of stored features, of amount float64, usual_5d float64, requestTimestamp timestamp with n float64 made up: it threw RangeError, whose text may have values in it; give null where there is none',
    });
  });

  it("tries it on made-up rows alone when the source is gone", async () => {
    const facts = view("facts", rig.trips().by(driver), { ...daily, features: ["amount"] });
    await (await store.publish(facts)).apply();
    await rm(rig.path);
    const picky = realtimeView("picky", {
      from: [facts],
      output: { x: "float64" },
      compute: ({ amount }) => ({ x: amount === 4 ? "four" as unknown as number : amount }),
    });
    expect(String(await store.publish(picky))).not.toContain("!");
  });

  it("refuses answers that depend on more than the row, or are not of the output", async () => {
    const counting = realtimeView("counting", {
      request: { n: "int32" },
      output: { count: "int32" },
      compute: function count(): { count: number } {
        const self = count as { n?: number };
        self.n = (self.n ?? 0) + 1;
        return { count: self.n };
      },
    });
    const other = realtimeView("other", {
      request: { n: "int32" },
      output: { half: "float64" },
      compute: ({ n }) => ({ halv: n }) as unknown as { half: number | null },
    });
    await expect(store.publish(other)).rejects.toMatchObject({
      code: "INVALID_DEFINITION",
      message: expect.stringMatching(
        /^Cannot publish realtime view "other": it has no answer to any of 19 rows of a made-up sample: .*"halv",? is not declared/,
      ),
    });
    await expect(store.publish(counting)).rejects.toThrow(
      /"counting": it has no answer to any of \d+ rows of a made-up sample: it threw TypeError: .*not extensible/,
    );
  });
});
