import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { redisOnlineStore } from "../../../sdk/storage/online_redis.ts";
import type { OnlineStore } from "../../../sdk/storage/online_store.ts";
import { type RedisServer, startRedis } from "../../support/redis.ts";
import { Rig, served } from "./rig.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

let rig: Rig;
let online: OnlineStore;
beforeEach(async () => {
  rig = await Rig.open();
  await server.command("FLUSHALL");
  online = redisOnlineStore({ url: server.url, workspace: "test" });
});
afterEach(async () => {
  await online.close();
  await rig.close();
});

const rows = [
  { a: "x", b: 1, t: "2001-01-01T06:00Z", v: 1 },
  { a: "x", b: 1, t: "2001-01-02T06:00Z", v: 2 },
  { a: "y", b: 1, t: "2001-01-02T07:00Z", v: 3 },
  { a: "x", b: 1, t: "2001-01-04T00:00Z", v: 4 },
];
const keys = [["x", 1], ["y", 1], ["z", 9]] as const;
const values = async (definition = rig.definition()) =>
  (await served(online, definition, keys)).map((entry) => entry?.[0]);

describe("loadOnline()", () => {
  it("loads the newest row of every key into a fresh collection", async () => {
    await rig.write(rows);
    await rig.run(1, 5);
    expect(await rig.load(online)).toEqual({
      outcome: "fresh",
      appliedVersion: 1,
      rows: 2,
      watermark: "2001-01-05T00:00:00Z",
    });
    expect(await served(online, rig.definition(), keys)).toEqual([
      [4, "2001-01-04T00:00:00Z"],
      [3, "2001-01-02T07:00:00Z"],
      undefined,
    ]);
  });

  it("has nothing to do when everything is applied", async () => {
    await rig.write(rows);
    await rig.run(1, 5);
    await rig.load(online);
    expect(await rig.load(online)).toMatchObject({ outcome: "already", rows: 0, appliedVersion: 1 });
  });

  it("merges what is new, and newer rows win in any order of slices", async () => {
    await rig.write([...rows, { a: "z", b: 9, t: "2001-01-01T00:00Z", v: 9 }]);
    await rig.run(4, 5);
    await rig.load(online);
    const { collection } = (await online.state("values", 1))!;
    await rig.run(2, 3);
    expect(await rig.load(online)).toMatchObject({ outcome: "incremental", rows: 1, appliedVersion: 2 });
    await rig.run(1, 2);
    await rig.load(online);
    expect(await values()).toEqual([4, 3, 9]);
    expect(await online.state("values", 1)).toMatchObject({
      collection,
      appliedVersion: 3,
      watermark: "2001-01-05T00:00:00Z",
    });
  });

  it("replaces a value of the same event time by that of a later commit", async () => {
    await rig.write(rows);
    await rig.run(1, 5);
    await rig.load(online);
    await rig.write(rows.map((row) => ({ ...row, v: row.v * 10 })));
    await rig.run(4, 5, { overwrite: true });
    expect(await rig.load(online)).toMatchObject({ outcome: "incremental", rows: 1 });
    expect(await values()).toEqual([40, 3, undefined]);
  });

  it("fills a fresh collection when an overwrite took a newest row away", async () => {
    await rig.write(rows);
    await rig.run(1, 5);
    await rig.load(online);
    await rig.write(rows.slice(0, 3));
    await rig.run(4, 5, { overwrite: true });
    expect(await rig.load(online)).toMatchObject({ outcome: "fresh" });
    expect(await values()).toEqual([2, 3, undefined]);
  });

  it("merges an overwrite that took rows away which newer ones had covered", async () => {
    await rig.write(rows);
    await rig.run(1, 5);
    await rig.load(online);
    await rig.write(rows.slice(1));
    await rig.run(1, 2, { overwrite: true });
    expect(await rig.load(online)).toMatchObject({ outcome: "incremental", appliedVersion: 2 });
    expect(await values()).toEqual([4, 3, undefined]);
  });

  it("leaves out rows past their ttl (S6), and loads again when the ttl changes", async () => {
    await rig.write(rows);
    await rig.run(1, 5);
    rig.clock.set("2001-01-10");
    const short = rig.definition({ ttl: "7d" });
    expect(await rig.load(online, { definition: short })).toMatchObject({ outcome: "fresh", rows: 1 });
    expect(await values(short)).toEqual([4, undefined, undefined]);
    expect(await rig.load(online)).toMatchObject({ outcome: "fresh", rows: 2 });
    expect(await values()).toEqual([4, 3, undefined]);
  });

  it("rebuilds from the table when the online store was emptied", async () => {
    await rig.write(rows);
    await rig.run(1, 5);
    await rig.load(online);
    await server.command("FLUSHALL");
    expect(await rig.load(online)).toMatchObject({ outcome: "fresh", rows: 2 });
    expect(await values()).toEqual([4, 3, undefined]);
  });

  it("rebuilds on demand", async () => {
    await rig.write(rows);
    await rig.run(1, 5);
    await rig.load(online);
    const before = (await online.state("values", 1))!.collection;
    expect(await rig.load(online, { rebuild: true })).toMatchObject({ outcome: "fresh", rows: 2 });
    expect((await online.state("values", 1))!.collection).not.toBe(before);
  });

  it("serves one collection when it runs twice at once, and drops the other", async () => {
    await rig.write(rows);
    await rig.run(1, 5);
    const outcomes = (await Promise.all([rig.load(online), rig.load(online)])).map((result) => result.outcome);
    expect(outcomes.sort()).toEqual(["fresh", "superseded"]);
    expect(await values()).toEqual([4, 3, undefined]);
    expect(await valueKeys()).toBe(2);
  });

  it("lets no paused loader undo a newer state", async () => {
    await rig.write(rows);
    await rig.run(1, 3);
    let paused = true;
    const zombie = await rig.load(online, {
      context: {
        failpoint: async () => {
          if (!paused) return;
          paused = false;
          await rig.run(3, 5);
          await rig.load(online);
        },
      },
    });
    expect(zombie).toMatchObject({ outcome: "superseded", appliedVersion: 2 });
    expect(await values()).toEqual([4, 3, undefined]);
  });

  it("never moves an incremental state back", async () => {
    await rig.write(rows);
    await rig.run(1, 2);
    await rig.load(online);
    await rig.run(2, 3);
    let paused = true;
    const zombie = await rig.load(online, {
      context: {
        failpoint: async () => {
          if (!paused) return;
          paused = false;
          await rig.run(4, 5);
          await rig.load(online);
        },
      },
    });
    expect(zombie.outcome).toBe("superseded");
    expect(await online.state("values", 1)).toMatchObject({ appliedVersion: 3 });
    expect(await values()).toEqual([4, 3, undefined]);
  });

  it("resumes after a crash in the middle, and removes what the dead loader wrote", async () => {
    await rig.write(rows);
    await rig.run(1, 5);
    const dead = redisOnlineStore({ url: server.url, workspace: "test" });
    const load = dead.load.bind(dead);
    dead.load = async (...batch) => {
      await load(...batch);
      throw new Error("crash");
    };
    // A process that dies does not tidy up.
    const collections = Object.assign(rig.collections(dead), { drop: () => Promise.reject(new Error("dead")) });
    const crash = rig.load(dead, { context: { collections } });
    await expect(crash).rejects.toThrow("crash");
    await dead.close();
    expect(await online.state("values", 1)).toBeUndefined();
    expect(await valueKeys()).toBe(2);
    expect(await rig.load(online)).toMatchObject({ outcome: "fresh" });
    expect(await valueKeys()).toBe(4);
    rig.clock.advance("1d");
    expect(await rig.load(online)).toMatchObject({ outcome: "already" });
    expect(await valueKeys()).toBe(2);
    expect(await values()).toEqual([4, 3, undefined]);
  });

  it("keeps a collection that was replaced for as long as servers may read it", async () => {
    await rig.write(rows);
    await rig.run(1, 5);
    await rig.load(online);
    await rig.load(online, { rebuild: true });
    expect(await valueKeys()).toBe(4);
    rig.clock.advance("4m");
    await rig.load(online);
    expect(await valueKeys()).toBe(4);
    rig.clock.advance("2m");
    await rig.load(online);
    expect(await valueKeys()).toBe(2);
  });

  it("keeps what is served when the note of its predecessor cannot be written", async () => {
    await rig.write(rows);
    await rig.run(1, 3);
    await rig.load(online);
    const refusing = Object.assign(rig.collections(online), { retire: () => Promise.reject(new Error("no answer")) });
    const load = () => rig.load(online, { rebuild: true, context: { collections: refusing } });
    await expect(load()).rejects.toThrow("no answer");
    expect(await values()).toEqual([2, 3, undefined]);
    expect(await valueKeys()).toBe(2);
  });

  it("keeps what it let serve although the answer was lost", async () => {
    await rig.write(rows);
    await rig.run(1, 5);
    const deaf: OnlineStore = redisOnlineStore({ url: server.url, workspace: "test" });
    const setState = deaf.setState.bind(deaf);
    deaf.setState = async (...states) => {
      await setState(...states);
      throw new Error("the answer was lost");
    };
    await expect(rig.load(deaf)).rejects.toThrow("the answer was lost");
    await deaf.close();
    expect(await rig.load(online)).toMatchObject({ outcome: "already" });
    expect(await values()).toEqual([4, 3, undefined]);
  });

  it("gives a collection time to go before another one is served", async () => {
    await rig.write(rows);
    await rig.run(1, 5);
    await rig.load(online);
    // Its own note, of the day on which it was opened, is long past.
    rig.clock.advance("2d");
    const before = (await online.state("values", 1))!.collection!;
    const setState = online.setState.bind(online);
    online.setState = async (...states) => {
      const done = await setState(...states);
      await rig.collections(online).sweep();
      return done;
    };
    await rig.load(online, { rebuild: true });
    expect((await online.state("values", 1))!.collection).not.toBe(before);
    expect(await valueKeys()).toBe(4);
  });

  it.each(["a first load", "a load of changes"])(
    "lets %s that the store was emptied under not be served",
    async (kind) => {
      await rig.write(rows);
      await rig.run(1, 3);
      if (kind !== "a first load") await rig.load(online);
      await rig.run(3, 5);
      const flush = async () => void await server.command("FLUSHALL");
      await expect(rig.load(online, { context: { failpoint: flush } })).rejects.toMatchObject({ code: "UNAVAILABLE" });
      expect(await online.state("values", 1)).toBeUndefined();
      expect(await rig.load(online)).toMatchObject({ outcome: "fresh" });
      expect(await values()).toEqual([4, 3, undefined]);
    },
  );

  it("begins again when the store came back from its disk with less than it had", async () => {
    const own = await startRedis();
    onTestFinished(() => own.stop());
    const store = redisOnlineStore({ url: own.url, workspace: "test" });
    onTestFinished(() => store.close());
    await rig.write(rows);
    await rig.run(4, 5);
    await rig.load(store);
    await own.command("SAVE");
    await rig.run(1, 4);
    const merge = store.merge.bind(store);
    store.merge = async (...batch) => {
      const taken = await merge(...batch);
      await own.kill();
      await own.restart();
      await expect.poll(() => store.ping().then(() => true, () => false)).toBe(true);
      return taken;
    };
    await expect(rig.load(store)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    store.merge = merge;
    expect(await rig.load(store)).toMatchObject({ outcome: "incremental" });
    const found = await served(store, rig.definition(), keys);
    expect(found.map((entry) => entry?.[0])).toEqual([4, 3, undefined]);
  });

  it("loads an empty table", async () => {
    await rig.write([]);
    await rig.run(1, 3);
    expect(await rig.load(online)).toMatchObject({ outcome: "fresh", rows: 0, watermark: "2001-01-03T00:00:00Z" });
    expect(await values()).toEqual([undefined, undefined, undefined]);
  });

  it("stops when it is cancelled and leaves nothing behind", async () => {
    await rig.write(rows);
    await rig.run(1, 5);
    const controller = new AbortController();
    const cancelled = rig.load(online, {
      context: { signal: controller.signal, failpoint: () => controller.abort(new Error("enough")) },
    });
    await expect(cancelled).rejects.toMatchObject({ code: "CANCELLED" });
    expect(await online.state("values", 1)).toBeUndefined();
    expect(await valueKeys()).toBe(0);
  });
});

/** Values of all collections. */
async function valueKeys(): Promise<number> {
  const keyspace = await server.command("DBSIZE");
  const control = (await Promise.all(
    ["varve:epoch", "varve:collections", "varve:{test}:states"].map((key) => server.command("EXISTS", key)),
  ))
    .filter((answer) => answer.includes("1")).length;
  return Number(keyspace.replace(":", "")) - control;
}
