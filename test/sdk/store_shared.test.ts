/** One store in S3 and Redis, opened by several processes' worth of connections, and one folder left by a killed process. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import type { ConnectOptions } from "../../sdk/connect.ts";
import { parquet } from "../../sdk/frame/sources.ts";
import { openObjects } from "../../sdk/places.ts";
import type { Store } from "../../sdk/store.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { type S3Server, startS3 } from "../support/s3_server.ts";
import { driver, StoreRig, trips, tripTypes } from "./store_rig.ts";

let redis: RedisServer;
let s3: S3Server;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

let rig: StoreRig;
beforeEach(async () => {
  s3 = await startS3();
  await redis.command("FLUSHALL");
  rig = await StoreRig.open();
  await rig.write(trips);
});
afterEach(async () => {
  await rig.close();
  await s3.close();
});

function shared(): ConnectOptions {
  const { endpoint, region, accessKeyId, secretAccessKey, bucket } = s3;
  return {
    path: `s3://${bucket}/features`,
    redis: redis.url,
    s3: { endpoint, region, accessKeyId, secretAccessKey },
    cacheFolder: join(rig.folder, "cache"),
  };
}

const x = { driver: "x", zone: 1n };
const amounts = async (store: Store) =>
  await store.online(rig.service(), [x, { driver: "y", zone: 1n }, { driver: "11", zone: 2n }]);
const expected = [{ amount: 4 }, { amount: 3 }, { amount: 6 }];

it("connect() keeps a store in S3 and Redis: publish, serve, train, publish again", async () => {
  const store = await rig.connect(shared());
  await (await store.plan(rig.service())).apply();
  expect(await amounts(store)).toEqual(expected);
  const other = await rig.connect({ ...shared(), cacheFolder: join(rig.folder, "other") });
  expect(await amounts(other)).toEqual(expected);
  const set = await other.train("model", [{ ...x, time: new Date("2001-01-03T00:00Z") }]);
  expect((await set.rows()).map((row) => row["amount"])).toEqual([2]);
  set.close();
  expect((await other.plan(rig.service())).isEmpty).toBe(true);
  await (await other.plan(rig.service(10))).apply();
  expect((await store.online("model", x))["amount"]).toBe(40);
});

it("reads sources in S3 by glob", async () => {
  const store = await rig.connect(shared());
  const objects = openObjects({
    storage: `s3://${s3.bucket}`,
    s3: shared().s3!,
    cacheFolder: join(rig.folder, "other"),
  });
  await objects.put("raw/2001/a.parquet", await readFile(rig.path));
  await rig.write([{ driver: "y", zone: 1, at: "2001-01-05T07:00Z", amount: 30 }]);
  await objects.put("raw/2001/b.parquet", await readFile(rig.path));
  await objects.put("raw/other/c.parquet", "not read");
  await objects.close();
  const frame = parquet(`s3://${s3.bucket}/raw/2001/*.parquet`, { eventTimestamp: "at", schema: tripTypes });
  await (await frame.by(driver).publish(store, { name: "remote", schedule: "1d", start: "2001-01-01", online: true }))
    .apply();
  expect(await store.online("remote", [x, { driver: "y", zone: 1n }])).toEqual([{ amount: 4 }, { amount: 30 }]);
  const missing = parquet(`s3://${s3.bucket}/nothing/*.parquet`, { eventTimestamp: "at", schema: tripTypes });
  await expect(missing.by(driver).publish(store, { name: "missing", schedule: "1d", start: "2001-01-01" })).rejects
    .toThrow(/nothing\/\*\.parquet": no object matches/);
});

it("StorePlan.apply() gives one result when two do it at once", async () => {
  const stores = [
    await rig.connect(shared()),
    await rig.connect({ ...shared(), cacheFolder: join(rig.folder, "other") }),
  ];
  await (await stores[0]!.plan(rig.service())).apply({ wait: false });
  await Promise.all(stores.map((store) => store.catchUp()));
  const { views } = await stores[0]!.status();
  expect(views[0]!.versions).toMatchObject([{
    state: "serving",
    slicesDone: 5,
    rows: 6,
    files: 4,
    online: { upToDate: true },
  }]);
  expect(await amounts(stores[1]!)).toEqual(expected);
});

it("Store.catchUp() loads Redis again when it was emptied", async () => {
  const store = await rig.connect(shared());
  await (await store.plan(rig.service())).apply();
  await redis.command("FLUSHALL");
  await expect(store.online("model", x)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await store.catchUp();
  expect(await amounts(store)).toEqual(expected);
});

it("Store.catchUp() makes what a rollback goes back to ready again, too", async () => {
  const store = await rig.connect(shared());
  await (await store.plan(rig.service())).apply();
  await (await store.plan(rig.service(10))).apply();
  await redis.command("FLUSHALL");
  await store.catchUp();
  expect(await amounts(store)).not.toEqual(expected);
  await store.rollback("driver_amounts");
  expect(await amounts(store)).toEqual(expected);
});

it("StorePlan.apply() goes on where a killed process ended, in the same folder", async () => {
  const script = new URL("./store_killed.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, ["--import", "tsx", script, rig.folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  // It says so at its first commit, and then waits to be killed.
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  const store = await rig.connect();
  const { views } = await store.status();
  expect(views).toMatchObject([{ building: 1 }]);
  await (await store.plan(rig.service())).apply();
  expect(await amounts(store)).toEqual(expected);
  expect((await store.status()).views[0]!.versions).toMatchObject([{ state: "serving", slicesDone: 5, rows: 6 }]);
});
