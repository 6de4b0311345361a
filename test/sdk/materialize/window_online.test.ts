import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { AggregateView, WindowDefinition } from "../../../sdk/define/definitions.ts";
import { floatTolerance, sameValue } from "../../../sdk/retrieve/same_value.ts";
import { lmdbOnlineStore } from "../../../sdk/storage/online_lmdb.ts";
import { redisOnlineStore } from "../../../sdk/storage/online_redis.ts";
import type { OnlineStore } from "../../../sdk/storage/online_store.ts";
import { durationToMicros, toMicros } from "../../../sdk/time.ts";
import { Random } from "../../conformance/expr_values.ts";
import { type RedisServer, startRedis } from "../../support/redis.ts";
import { Rig } from "./rig.ts";
import { day, type Event, hour, instant, minute, OnlineRig, time, type ViewOptions } from "./online_rig.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

let rig: Rig;
let windows: OnlineRig;
let stores: OnlineStore[];
beforeEach(async () => {
  rig = await Rig.open();
  windows = new OnlineRig(rig);
  await server.command("FLUSHALL");
  stores = [
    redisOnlineStore({ url: server.url, workspace: "test" }),
    lmdbOnlineStore(join(rig.folder, "online"), { clock: rig.clock }),
  ];
});
afterEach(async () => {
  for (const store of stores) await store.close();
  await rig.close();
});

const users = ["ann", "bob", "cy", "nobody"];

/** Every answer at an instant is that of plain loops over what was stored when the state was reached. */
async function check(
  view: AggregateView,
  online: OnlineStore,
  at: number,
  stored: ReadonlyMap<number, readonly Event[]>,
  note: string,
): Promise<void> {
  const state = (await online.state(view.name, 1))!;
  const answers = await windows.read(view, online, users, at);
  for (const [i, user] of users.entries()) {
    const expected = windows.expected(view, user, at, Number(toMicros(state.watermark)), stored);
    const actual = answers[i]!;
    for (const [f, feature] of view.features.entries()) {
      if (sameValue(actual.values[f], expected.values[f], floatTolerance)) continue;
      const where = `${note}, ${user} at ${at}: ${feature.name} ${JSON.stringify(feature.window)}`;
      expect(actual.values[f], where).toEqual(expected.values[f]);
    }
    expect(actual.statuses, `${note}, ${user} at ${at}`).toEqual(expected.statuses);
    expect(actual.effectiveTimes).toEqual(expected.effectiveTimes);
  }
}

const seed = Number(process.env["VARVE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const rounds = Number(process.env["VARVE_ROUNDS"] ?? 4);

function randomView(random: Random): AggregateView {
  const edge = random.pick(["complete", "complete", "fresh", "exact"] as const);
  const [every, schedule] = random.pick([["15m", "1h"], ["1h", "1h"], ["1h", "6h"], ["30m", "1d"]] as const);
  const isHourly = edge !== "exact" && every === "1h";
  const all: WindowDefinition[] = [
    time("1h"),
    time("6h"),
    time("1d"),
    time("5d"),
    time("1h", "1d"),
    time("12h", isHourly ? "3h" : "90m"),
    { kind: "lifetime", offset: "0s" },
    { kind: "lifetime", offset: "1d" },
    { kind: "series", size: "1h", step: "1h", from: "5h", to: "0s" },
    { kind: "series", size: "2h", step: isHourly ? "1h" : "30m", from: "9h", to: "1h" },
  ];
  const plain = all.filter((window) => window.kind !== "series" && window.offset === "0s");
  // Windows that end together are answered from totals.
  const used = (random.chance(0.5) ? plain : all).filter(() => random.chance(0.4));
  const options: ViewOptions = {
    windows: used.length > 0 ? used : [time("1d")],
    edge,
    every,
    schedule,
    dataDelay: random.pick(["0s", "0s", "20m", "2h"]),
    boundary: random.pick(["inclusive", "exclusive"]),
    secondaryKey: random.chance(0.3),
    ...(edge === "exact" && { maxRows: random.pick([1, 3, 20, 100_000]) }),
  };
  return windows.view(options);
}

function randomEvent(random: Random, from: number, to: number): Event {
  const at = from + random.below((to - from) / minute) * minute +
    random.pick([0, 0, 0, 1, -1, random.below(minute)]);
  return {
    user: random.pick(users.slice(0, random.pick([1, 3]))),
    at: random.chance(0.2) ? Math.round(at / hour) * hour + random.pick([0, 0, -1]) : at,
    written: from + random.below(3) * hour,
    amount: random.chance(0.15) ? null : random.pick([random.next() * 100 - 50, 1, 0.1, -0, 1e300, NaN, Infinity]),
    n: random.chance(0.1) ? null : BigInt(random.below(2000) - 1000) * random.pick([1n, 1n, 2n ** 44n]),
    kind: random.chance(0.1) ? null : random.pick(["a", "b", "é"]),
    ok: random.pick([true, true, false, null]),
  };
}

function once(action: () => Promise<void>): () => Promise<void> {
  let isDone = false;
  return async () => {
    if (isDone) return;
    isDone = true;
    await action();
  };
}

/** Another loader, in the middle of a load, with newer data. */
async function overtake(
  view: AggregateView,
  online: OnlineStore,
  random: Random,
  start: number,
  now: number,
): Promise<void> {
  const kept = windows.events.filter(() => !random.chance(0.3));
  await windows.write([...kept, randomEvent(random, start, now), randomEvent(random, start, now)]);
  const from = start + random.below((now - start) / hour) * hour;
  await windows.run(view, from, from + random.pick([hour, day]), true);
  await windows.load(view, online, { rebuild: random.chance(0.2) });
}

describe("aggregates online", () => {
  it(`are what plain loops over all events give, in any order of runs and loads (seed ${seed})`, async () => {
    for (let round = 0; round < rounds; round++) {
      const random = new Random(seed + round);
      rig.use(`round${round}`);
      windows.stored.clear();
      const view = randomView(random);
      const online = stores[round % stores.length]!;
      const schedule = Number(durationToMicros(view.schedule));
      let now = instant("2001-01-02") + random.below(3 * 24) * hour;
      const start = instant(view.start);
      await windows.write(
        Array.from({ length: random.pick([3, 60, 200, 500]) }, () => randomEvent(random, start, now)),
      );
      for (let step = 0; step < 7; step++) {
        rig.clock.set(BigInt(now));
        const note = `seed ${seed + round} step ${step}: ${view.edge}, every ${view.every}, schedule ${view.schedule}`;
        await windows.run(view, random.chance(0.3) ? now - day : start, now);
        if (random.chance(0.5)) {
          const from = start + random.below((now - start) / hour) * hour;
          await windows.run(view, from, from + random.pick([hour, day]), true);
        }
        if (random.chance(0.15)) {
          // It dies on the way, or somebody else is faster.
          const crash = () => Promise.reject(new Error("crash"));
          await windows.load(view, online, { context: { failpoint: crash } }).catch(() => undefined);
        }
        const overtaken = random.chance(0.2) ? once(() => overtake(view, online, random, start, now)) : undefined;
        const result = await windows.load(view, online, {
          rebuild: random.chance(0.1),
          ...(overtaken && { context: { failpoint: overtaken } }),
        });
        expect(["fresh", "incremental", "already", "superseded"]).toContain(result.outcome);
        // What was overtaken may have left out what came meanwhile.
        if (overtaken) await windows.load(view, online);
        const stored = new Map(windows.stored);
        const boundary = Math.ceil(now / schedule) * schedule;
        for (const at of [now, boundary - 1, boundary, boundary + 1, now + random.below(7 * 24) * hour]) {
          if (at >= now) await check(view, online, at, stored, note);
        }
        // Time passes; events come, late ones among them, and some are gone.
        const before = now;
        now += random.pick([hour, hour, schedule, schedule + 20 * minute, 30 * hour, 8 * day]);
        const events = windows.events.filter(() => !random.chance(0.05));
        for (let i = random.below(20); i > 0; i--) {
          events.push(randomEvent(random, random.chance(0.3) ? start : before, random.chance(0.9) ? now : before));
        }
        await windows.write(events);
      }
      await online.drop((await online.state(view.name, 1))!.collection!);
      await online.removeState(view.name, 1);
    }
  }, 60_000 + rounds * 30_000);
});
