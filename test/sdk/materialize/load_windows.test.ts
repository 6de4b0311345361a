import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { AggregateView, WindowDefinition } from "../../../sdk/define/definitions.ts";
import type { LookupCounts, ReadObserver } from "../../../sdk/retrieve/observe.ts";
import { encodeKey, readHeader, tileLayout, TileReader, tilesKey } from "../../../sdk/storage/encoding.ts";
import { packed } from "../../../sdk/storage/encoding_batch.ts";
import { lmdbOnlineStore } from "../../../sdk/storage/online_lmdb.ts";
import { redisOnlineStore } from "../../../sdk/storage/online_redis.ts";
import type { OnlineStore, PackedBatch } from "../../../sdk/storage/online_store.ts";
import { onlinePlan } from "../../../sdk/window/online_plan.ts";
import { type RedisServer, startRedis } from "../../support/redis.ts";
import { aggregations, day, type Event, hour, instant, minute, OnlineRig, time } from "./online_rig.ts";
import { Rig } from "./rig.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

let rig: Rig;
let views: OnlineRig;
let online: OnlineStore;
beforeEach(async () => {
  rig = await Rig.open();
  views = new OnlineRig(rig);
  await server.command("FLUSHALL");
  online = redisOnlineStore({ url: server.url, workspace: "test" });
});
afterEach(async () => {
  await online.close();
  await rig.close();
});

const start = instant("2001-01-01");
const lifetime: WindowDefinition = { kind: "lifetime", offset: "0s" };
const few = aggregations.filter(({ name }) => ["count", "sum", "lastN"].includes(name));

function event(user: string, at: number, n: number): Event {
  return { user, at, written: at, amount: n, n: BigInt(n), kind: "a", ok: true };
}

/** An event of a user in every hour from one to another. */
function hourly(user: string, from: number, to: number, n = 1): Event[] {
  return Array.from({ length: (to - from) / hour }, (_, i) => event(user, from + i * hour + minute, n + i));
}

/** Moves the clock, computes what is due, and loads it. */
async function advance(view: AggregateView, to: number, context = {}): Promise<string> {
  rig.clock.set(BigInt(to));
  await views.run(view, start, to);
  return (await views.load(view, online, { context })).outcome;
}

/** Answers at an instant, and that they are those of plain loops. */
async function answers(
  view: AggregateView,
  users: readonly string[],
  at: number,
  store = online,
): Promise<unknown[][]> {
  const { watermark } = (await store.state("values", 1))!;
  const found = await views.read(view, store, users, at);
  for (const [i, user] of users.entries()) {
    const { values, statuses, effectiveTimes } = found[i]!;
    expect({ values, statuses, effectiveTimes }).toEqual(views.expected(view, user, at, instant(watermark)));
  }
  return found.map(({ values }) => values);
}

async function stored(user: string, ofTiles = false, store = online): Promise<Uint8Array | undefined> {
  const { collection } = (await store.state("values", 1))!;
  const key = encodeKey([{ name: "user", type: "string" }], [user])!;
  return (await store.getMany([collection!], [ofTiles ? tilesKey(key) : key]))[0];
}

function opened(view: AggregateView, value: Uint8Array): TileReader {
  const reader = new TileReader(tileLayout(onlinePlan(view).columns));
  reader.open(value);
  return reader;
}

describe("loadOnline() of aggregates", () => {
  const windows = [time("1h"), time("12h"), time("2d")];

  it("loads the tiles that windows reach, then the keys that changed", async () => {
    const view = views.view({ windows, aggregations: few });
    await views.write([...hourly("ann", start, start + 3 * day), event("bob", start + minute, 5)]);
    rig.clock.set(BigInt(start + 3 * day));
    await views.run(view, start, start + 3 * day);
    expect(await views.load(view, online)).toEqual({
      outcome: "fresh",
      appliedVersion: 1,
      // Totals and tiles; nothing of bob, whose row no window reaches.
      rows: 2,
      watermark: "2001-01-04T00:00:00Z",
    });
    expect(await stored("bob")).toBeUndefined();
    await answers(view, ["ann", "bob"], start + 3 * day);
    await views.write([...views.events, event("bob", start + 3 * day + minute, 6)]);
    expect(await advance(view, start + 3 * day + hour)).toBe("incremental");
    expect(readHeader((await stored("ann"))!).sequence).toBe(1n);
    expect((await answers(view, ["ann", "bob"], start + 3 * day + hour)).map(([count]) => count)).toEqual([0n, 1n]);
    expect((await views.load(view, online)).outcome).toBe("already");
  });

  it("keeps totals small, and answers from tiles once they are out of date", async () => {
    const view = views.view({ windows, aggregations: few });
    await views.write(hourly("ann", start, start + 3 * day));
    await advance(view, start + 3 * day);
    const totals = opened(view, (await stored("ann"))!);
    expect([totals.isTotals, totals.count(0) <= 32]).toEqual([true, true]);
    expect(opened(view, (await stored("ann", true))!).count(0)).toBe(2 * 24 + 2);
    // Nothing happens any more; time goes on.
    for (const days of [1, 2, 4]) {
      expect(await advance(view, start + 3 * day + days * day)).toBe("incremental");
      expect(readHeader((await stored("ann"))!).sequence).toBe(1n);
      await answers(view, ["ann"], start + 3 * day + days * day + 5 * minute);
    }
  });

  it("repairs late rows, and rows that are gone", async () => {
    const view = views.view({ windows: [...windows, lifetime], aggregations: few });
    await views.write([...hourly("ann", start, start + 3 * day), event("bob", start + day, 5), event("cy", start, 1)]);
    await advance(view, start + 3 * day);
    const at = start + 3 * day;
    const others = views.events.filter(({ user }) => user !== "bob" && user !== "cy");
    await views.write([...others, event("ann", start + 2 * day + minute, 1000), event("cy", start + hour, 2)]);
    await views.run(view, start + day, start + 3 * day, true);
    expect((await views.load(view, online)).outcome).toBe("incremental");
    await answers(view, ["ann", "bob", "cy"], at);
    expect(opened(view, (await stored("bob"))!).count(0)).toBe(0);
    // What a lifetime holds from before all other windows is one state: the key is made anew.
    await advance(view, start + 5 * day);
    await views.run(view, start, start + day, true);
    expect((await views.load(view, online)).outcome).toBe("incremental");
    await answers(view, ["ann", "bob", "cy"], start + 5 * day);
  });

  it("answers as of the last load while the next one is written, or as of that", async () => {
    const view = views.view({ windows, aggregations: few });
    await views.write([...hourly("ann", start, start + 2 * day), event("bob", start + day, 5)]);
    await advance(view, start + 2 * day);
    await views.write([...views.events, event("ann", start + 2 * day, 50), event("bob", start + 2 * day, 60)]);
    const before = new Map(views.stored);
    const at = start + 2 * day + hour;
    let checked = 0;
    const merge = online.merge.bind(online);
    online.merge = async (...batch) => {
      const taken = await merge(...batch);
      const found = await views.read(view, online, ["ann", "bob"], at);
      // Ann's totals are of the new state only; bob's tiles can tell the old one too.
      expect(found[0]!.values).toEqual(views.expected(view, "ann", at, at).values);
      expect(found[1]!.values).toEqual(views.expected(view, "bob", at, start + 2 * day, before).values);
      checked++;
      return taken;
    };
    expect(await advance(view, at)).toBe("incremental");
    expect(checked).toBe(1);
  });

  it("lets no paused loader undo a newer one, nor bring back what is gone", async () => {
    const view = views.view({ windows, aggregations: few });
    await views.write(hourly("ann", start, start + day));
    await advance(view, start + day);
    await views.write([...views.events, event("ann", start + day, 7), event("bob", start + day, 8)]);
    rig.clock.set(BigInt(start + day + hour));
    await views.run(view, start, start + day + hour);
    let paused = true;
    const zombie = await views.load(view, online, {
      context: {
        failpoint: async () => {
          if (!paused) return;
          paused = false;
          await views.write([...views.events.filter(({ user }) => user === "ann"), event("ann", start + day, 9)]);
          await views.run(view, start + day, start + day + hour, true);
          expect((await views.load(view, online)).outcome).toBe("incremental");
        },
      },
    });
    expect(zombie.outcome).toBe("superseded");
    const [ann, bob] = await answers(view, ["ann", "bob"], start + day + hour);
    expect([ann![0], bob![0]]).toEqual([2n, 0n]);
  });

  it("gives the same when two load at once", async () => {
    const view = views.view({ windows, aggregations: few });
    await views.write(hourly("ann", start, start + day));
    await advance(view, start + day);
    await views.write([...views.events, ...hourly("bob", start, start + day)]);
    await views.run(view, start, start + day, true);
    const outcomes = (await Promise.all([1, 2].map(() => views.load(view, online)))).map(({ outcome }) => outcome);
    expect(outcomes).toEqual(["incremental", "incremental"]);
    await answers(view, ["ann", "bob"], start + day);
  });

  /** Lets only some values of the next merge arrive, and then dies. */
  async function crash(view: AggregateView, isLost: (key: Buffer) => boolean): Promise<void> {
    const dying = redisOnlineStore({ url: server.url, workspace: "test" });
    const merge = dying.merge.bind(dying);
    dying.merge = async (collection, batch, signal) => {
      const all = packed(batch);
      const rows = Array.from({ length: all.count }, (_, i) => i).filter((i) => !isLost(partOf(all, i, "key")));
      await merge(collection, {
        keys: rows.map((i) => partOf(all, i, "key")),
        values: rows.map((i) => partOf(all, i, "value")),
      }, signal);
      throw new Error("crash");
    };
    await expect(views.load(view, dying)).rejects.toThrow("crash");
    await dying.close();
  }

  it.each([["tiles", true], ["totals", false]])("mends what lost its %s in a crash", async (_, losesTiles) => {
    const view = views.view({ windows, aggregations: few });
    const isTiles = (key: Buffer) => key.at(-1) === 0;
    const lose = (key: Buffer) => isTiles(key) === losesTiles;
    // Few rows have one value; more have two; fewer again leave the second one behind, which then is of before.
    for (const [step, count] of [[1, 3], [2, 30], [3, 25], [4, 2], [5, 36]] as const) {
      await views.write(hourly("ann", start + day, start + day + count * hour, step * 1000));
      rig.clock.set(BigInt(start + 3 * day));
      await views.run(view, start + day, start + 3 * day, true);
      if (step > 1) await crash(view, lose);
      await views.load(view, online);
      for (const hours of [0, 1, 40]) await answers(view, ["ann"], start + 3 * day + hours * hour);
    }
    // A day is emptied, which leaves few rows and the tiles of before; then another one fills.
    await views.write(hourly("ann", start + 2 * day, start + 2.5 * day));
    await views.run(view, start + day, start + 2 * day, true);
    await views.load(view, online);
    await views.write(hourly("ann", start + 2 * day, start + 3 * day));
    await views.run(view, start + 2 * day, start + 3 * day, true);
    await crash(view, lose);
    await views.load(view, online);
    await answers(view, ["ann"], start + 3 * day);
    await views.write([...views.events, event("ann", start + 3 * day, 1)]);
    await advance(view, start + 3 * day + hour);
    await answers(view, ["ann"], start + 3 * day + hour);
  });

  it("leaves no tiles behind when a key has few again", async () => {
    const view = views.view({ windows: [...windows, lifetime], aggregations: few });
    await views.write(hourly("ann", start, start + day));
    await advance(view, start + day);
    expect(opened(view, (await stored("ann", true))!).count(0)).toBe(24);
    await advance(view, start + 5 * day);
    await views.write([...views.events, event("ann", start + 5 * day, 1)]);
    await advance(view, start + 5 * day + hour);
    expect(opened(view, (await stored("ann"))!).isTotals).toBe(false);
    expect(opened(view, (await stored("ann", true))!)).toMatchObject({ levelCount: 0, isTotals: true });
    await answers(view, ["ann"], start + 5 * day + hour);
  });

  it.each([["some", 1], ["few", 2]] as const)(
    "gives no wrong answer where a key gets %s tiles between the look-ups of a read",
    async (_, idle) => {
      const view = views.view({ windows, aggregations: few });
      await views.write(hourly("ann", start, start + 2 * day));
      await advance(view, start + 2 * day);
      const asked = start + 2 * day + idle * day;
      await advance(view, asked);
      await views.write([...views.events, event("ann", asked, 1)]);
      const before = views.expected(view, "ann", asked, asked).values;
      const reader = await views.reader(view, online);
      const getMany = online.getMany.bind(online);
      let calls = 0;
      online.getMany = async (...args) => {
        if (++calls === 2) await advance(view, asked + hour);
        return await getMany(...args);
      };
      // Few tiles are found at once: behind the totals that were there, there are none any more.
      expect((await reader.read([{ user: "ann" }], { at: BigInt(asked) }))[0]!.values).toEqual(before);
      expect(calls).toBeGreaterThan(1);
    },
  );

  it("refuses totals whose tiles are lost, until the view is loaded again", async () => {
    const view = views.view({ windows, aggregations: few });
    await views.write(hourly("ann", start, start + 2 * day));
    await advance(view, start + 2 * day);
    await advance(view, start + 3 * day);
    const { collection } = (await online.state("values", 1))!;
    const key = tilesKey(encodeKey([{ name: "user", type: "string" }], ["ann"])!);
    const older = Buffer.from((await stored("ann", true))!);
    older.writeBigUInt64BE(0n, 8);
    await online.load(collection!, { keys: [key], values: [older] });
    await expect(views.read(view, online, ["ann"], start + 3 * day)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await views.load(view, online, { rebuild: true });
    await answers(view, ["ann"], start + 3 * day);
  });

  it("makes values anew that cannot be read", async () => {
    const view = views.view({ windows, aggregations: few });
    await views.write([...hourly("ann", start, start + day), event("bob", start, 3)]);
    await advance(view, start + day);
    const { collection } = (await online.state("values", 1))!;
    const keys = ["ann", "bob"].map((user) => encodeKey([{ name: "user", type: "string" }], [user])!);
    const torn = (await online.getMany([collection!, collection!], keys)).map((value) => value!.subarray(0, 40));
    await online.load(collection!, { keys, values: torn });
    await expect(views.read(view, online, ["ann"], start + day)).rejects.toMatchObject({ code: "CORRUPT" });
    await views.write([...views.events, event("ann", start + day, 1), event("bob", start + day, 1)]);
    expect(await advance(view, start + day + hour)).toBe("incremental");
    await answers(view, ["ann", "bob"], start + day + hour);
  });

  it("looks into the table for keys whose value the store may have dropped", async () => {
    // A store that goes by the test's clock.
    const own = lmdbOnlineStore(join(rig.folder, "online"), { clock: rig.clock });
    try {
      const view = views.view({ windows: [time("1h"), time("2d")], aggregations: few });
      const load = (context = {}) => views.load(view, own, { context: { expires: true, ...context } });
      await views.write(hourly("ann", start, start + 20 * hour));
      rig.clock.set(BigInt(start + day));
      await views.run(view, start, start + day);
      expect((await load()).outcome).toBe("fresh");
      expect(await own.prune()).toBe(0);
      // Nothing is computed for a long time.
      rig.clock.set(BigInt(start + 30 * day));
      expect(await own.prune()).toBe(2);
      // It catches up in steps: after the first, windows still reach what was dropped.
      await views.write([...views.events, event("ann", start + day + minute, 100)]);
      await views.run(view, start, start + day + hour);
      expect((await load()).outcome).toBe("incremental");
      await answers(view, ["ann"], start + 30 * day, own);
      expect(await own.prune()).toBe(0);
      // Without expiry in mind a key without a value is new, and its older rows would be missed.
      await views.run(view, start, start + 30 * day);
      expect((await load()).outcome).toBe("incremental");
      await answers(view, ["ann"], start + 30 * day, own);
    } finally {
      await own.close();
    }
  });

  it("does not look into the table for new keys of a view that is up to date", async () => {
    const view = views.view({ windows, aggregations: few });
    const own = lmdbOnlineStore(join(rig.folder, "online"), { clock: rig.clock });
    try {
      await views.write(hourly("ann", start, start + day));
      rig.clock.set(BigInt(start + day));
      await views.run(view, start, start + day);
      await views.load(view, own, { context: { expires: true } });
      const table = rig.table();
      const asked: number[] = [];
      const localPaths = table.localPaths.bind(table);
      table.localPaths = async (files, signal) => {
        asked.push(files.length);
        return await localPaths(files, signal);
      };
      rig.clock.set(BigInt(start + day + hour));
      await views.write([...views.events, event("new", start + day, 1)]);
      await views.run(view, start, start + day + hour);
      await views.load(view, own, { context: { table, expires: true } });
      expect(Math.max(...asked)).toBe(1);
      await answers(view, ["ann", "new"], start + day + hour, own);
    } finally {
      await own.close();
    }
  });

  it("loads again when windows change, and answers from tiles until then", async () => {
    const view = views.view({ windows, aggregations: few });
    await views.write(hourly("ann", start, start + 4 * day));
    await advance(view, start + 4 * day);
    const at = start + 4 * day;
    const within = views.view({ windows: [time("30h"), time("7h")], aggregations: few });
    await answers(within, ["ann"], at);
    const beyond = views.view({ windows: [time("3d")], aggregations: few });
    await expect(views.read(beyond, online, ["ann"], at)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    const { collection } = (await online.state("values", 1))!;
    expect((await views.load(beyond, online)).outcome).toBe("fresh");
    expect((await online.state("values", 1))!.collection).not.toBe(collection);
    await answers(beyond, ["ann"], at);
  });

  it("refuses requests for instants that nothing is kept for", async () => {
    const view = views.view({ windows, aggregations: few });
    await views.write(hourly("ann", start, start + 4 * day));
    await advance(view, start + 4 * day);
    // A clock that is a little slow is no reason.
    await answers(view, ["ann"], start + 4 * day - 5 * minute);
    await expect(views.read(view, online, ["ann"], start + 3 * day)).rejects.toThrow(
      /Cannot read view "values" as of 2001-01-04T00:00:00Z: its windows reach back to 2001-01-02T00:00:00Z, and values online only to 2001-01-02T22:00:00Z; check this computer's clock/,
    );
  });

  it("answers what is only in windows that are not asked for as present and empty", async () => {
    const view = views.view({ windows, aggregations: few });
    await views.write([event("bob", start + minute, 5), ...hourly("ann", start, start + day)]);
    await advance(view, start + 2 * day);
    const [bob, ann] = await views.read(view, online, ["bob", "ann"], start + 2 * day, ["count_0"]);
    expect([bob!.values, bob!.statuses]).toEqual([[0n], ["PRESENT"]]);
    expect([ann!.values, ann!.statuses]).toEqual([[0n], ["PRESENT"]]);
  });

  it("fills a fresh collection when the files that were replaced are gone", async () => {
    const view = views.view({ windows, aggregations: few });
    await views.write(hourly("ann", start, start + day));
    await advance(view, start + day);
    await views.write([event("ann", start, 3)]);
    await views.run(view, start, start + day, true);
    const table = rig.table();
    const { removed } = (await table.changes(1, 2))[0]!;
    await rig.objects.delete(removed.map(({ path }) => `${table.path}/${path}`));
    expect((await views.load(view, online)).outcome).toBe("fresh");
    await answers(view, ["ann"], start + day);
  });
});

describe("loadOnline() of exact edges", () => {
  const view = (maxRows: number) =>
    views.view({ windows: [time("1h"), time("1d")], edge: "exact", maxRows, aggregations: few });

  it("keeps the newest rows of a key, says how many keys have more, and which answers lack some", async () => {
    await views.write([...hourly("ann", start, start + day), event("bob", start + day - minute, 5)]);
    rig.clock.set(BigInt(start + day));
    const of = view(10);
    await views.run(of, start, start + day);
    await views.load(of, online);
    expect(await online.state("values", 1)).toMatchObject({ cutKeys: 1 });
    const [ann, bob] = await views.read(of, online, ["ann", "bob"], start + day);
    expect(ann!.values).toEqual(views.expected(of, "ann", start + day, start + day).values);
    // The day reaches back to rows that are not kept, the hour does not.
    expect([ann!.cut, bob!.cut]).toEqual([["values"], undefined]);
    const counts: LookupCounts = {};
    const observer: ReadObserver = {
      countsOf: () => counts,
      storeTook: () => undefined,
      functionTook: () => undefined,
    };
    await (await views.reader(of, online, undefined, observer))
      .read([{ user: "ann" }, { user: "bob" }], { at: BigInt(start + day) });
    expect(counts).toEqual({ PRESENT: 2, CUT: 1 });
    expect(await views.read(of, online, ["ann"], start + day, ["count_0"])).not.toHaveProperty("0.cut");
    await views.write([...views.events, event("bob", start + day, 1)]);
    await advance(of, start + day + hour);
    expect(await online.state("values", 1)).toMatchObject({ cutKeys: 1 });
    expect((await views.load(view(100), online)).outcome).toBe("fresh");
    expect(await online.state("values", 1)).toMatchObject({ cutKeys: 0 });
  });

  it("brings rows back that had to make room for ones that are gone", async () => {
    const of = view(10);
    await views.write(hourly("ann", start, start + day));
    await advance(of, start + day);
    await views.write(hourly("ann", start, start + 18 * hour));
    await views.run(of, start + 18 * hour, start + day, true);
    expect((await views.load(of, online)).outcome).toBe("incremental");
    await answers(of, ["ann"], start + day);
    expect(opened(of, (await stored("ann"))!).count(0)).toBe(10);
    // Fewer than are kept: nothing is cut any more.
    await views.write(hourly("ann", start, start + 4 * hour));
    await views.run(of, start, start + day, true);
    await views.load(of, online);
    await answers(of, ["ann"], start + day);
    expect(await online.state("values", 1)).toMatchObject({ cutKeys: 0 });
  });

  it("holds no more rows of a key than are kept, however many come", async () => {
    const of = view(3);
    const many = Array.from({ length: 5000 }, (_, i) => event("ann", start + i * 1000, i));
    await views.write(many);
    await advance(of, start + hour);
    await views.write([
      ...many.slice(0, 100),
      event("ann", start + 2 * minute, 1),
      event("ann", start + 3 * minute, 2),
    ]);
    await views.run(of, start, start + hour, true);
    await views.load(of, online);
    const [values] = await answers(of, ["ann"], start + 30 * minute + hour);
    expect(values![4]).toEqual([99n, 1n, 2n]);
  });
});

function partOf(batch: PackedBatch, i: number, part: "key" | "value"): Buffer {
  const [bytes, offsets] = part === "key" ? [batch.keys, batch.keyOffsets] : [batch.values, batch.valueOffsets];
  return Buffer.from(bytes.subarray(offsets[i], offsets[i + 1]));
}
