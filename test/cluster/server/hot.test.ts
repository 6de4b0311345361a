/** Servers under load while definitions change, and while what they stand on goes away. */
import { describe, expect, it, onTestFinished } from "vitest";
import { connect as connectToCluster, openQueue } from "../../../cluster/connect.ts";
import { startServer } from "../../../cluster/server/server.ts";
import { connect } from "../../../sdk/connect.ts";
import { entity } from "../../../sdk/define/entity.ts";
import { service } from "../../../sdk/define/service.ts";
import { view } from "../../../sdk/define/view.ts";
import { col } from "../../../sdk/frame/expr.ts";
import { fromRows } from "../../../sdk/frame/sources.ts";
import { jobHandler } from "../../../sdk/materialize/run.ts";
import { openServing } from "../../../sdk/serving.ts";
import { StoreParts } from "../../../sdk/store_parts.ts";
import { toMicros } from "../../../sdk/time.ts";
import { startRedis } from "../../support/redis.ts";
import { startS3 } from "../../support/s3_server.ts";
import { clock, ServedStore, serverConfig } from "./served_store.ts";

const user = entity("user", { user: "string" });
const scores = fromRows(
  ["a", "b"].map((name) => ({ user: name, at: toMicros("2001-01-03T06:00Z"), score: 1 })),
  { schema: { user: "string", at: "timestamp", score: "float64" }, eventTimestamp: "at" },
);

/** Every feature of one version is the same number. */
function model(factor: number, features: readonly string[]) {
  const derived = Object.fromEntries(features.map((name) => [name, col("score").times(factor)]));
  const rows = scores.derive(derived).drop("score").by(user);
  return service("hot", [view("scores", rows, { schedule: "1d", start: "2001-01-01", online: true })]);
}

/** Clients that ask without pause, each on a connection of its own, and note every answer. */
class Load {
  readonly seen = new Map<string, number>();
  readonly failures: string[] = [];
  answers = 0;
  #stopped = false;
  readonly #done: Promise<unknown>;

  constructor(urls: readonly string[]) {
    this.#done = Promise.all(urls.flatMap((url) => [this.#run(url), this.#run(url)]));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  /** Waits until no client has had another answer than this for a while; gives what was seen until then. */
  async settled(wanted: string): Promise<string[]> {
    const seen = new Set<string>();
    const isSettled = () => {
      const found = [...this.seen.keys()];
      for (const each of found) seen.add(each);
      const isEnough = (this.seen.get(wanted) ?? 0) > 50;
      if (isEnough && found.length === 1) return true;
      if (isEnough || this.failures.length > 0) this.seen.clear();
      return this.failures.length > 0;
    };
    await expect.poll(isSettled).toBe(true);
    expect(this.failures).toEqual([]);
    return [...seen];
  }

  async #run(url: string): Promise<void> {
    while (!this.#stopped) {
      const response = await fetch(`${url}/api/v1/feature-service/get-features-batch`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          params: {
            featureServiceName: "hot",
            requestData: ["a", "b"].map((name) => ({ joinKeyMap: { user: name } })),
            metadataOptions: { includeNames: true },
          },
        }),
      }).catch((error: unknown) => String(error));
      if (typeof response === "string" || response.status !== 200) {
        this.failures.push(typeof response === "string" ? response : await response.text());
        continue;
      }
      const { result, metadata } = await response.json() as {
        result: { features: number[] }[];
        metadata: { features: { name: string }[] };
      };
      const names = metadata.features.map(({ name }) => name.split(".")[1]);
      const answer = `${names.join("+")}: ${[...new Set(result.map(({ features }) => features.join()))].join(" | ")}`;
      this.seen.set(answer, (this.seen.get(answer) ?? 0) + 1);
      this.answers++;
    }
  }
}

/** A store in S3 and Redis, and two servers of it. */
async function open(queued: boolean) {
  const [redis, s3] = [await startRedis({ appendonly: true }), await startS3()];
  onTestFinished(() => redis.stop());
  onTestFinished(() => s3.close());
  const { bucket, endpoint, region, accessKeyId, secretAccessKey } = s3;
  const places = {
    storage: `s3://${bucket}/hot`,
    s3: { endpoint, region, accessKeyId, secretAccessKey },
    redis: redis.url,
  };
  const served = await ServedStore.open();
  onTestFinished(() => served.close());
  const options = { ...served.options, ...places, cacheFolder: `${served.folder}/cache` };
  const store = await (queued ? connectToCluster : connect)(options);
  onTestFinished(() => store.close());
  const publish = async (factor: number, features: readonly string[]) =>
    await (await store.publish(model(factor, features))).apply();
  /** Once something is published. */
  const serve = async (problems: unknown[] = []) =>
    await Promise.all([1, 2].map(async () => {
      const serving = await openServing({ ...places, clock, onProblem: (error) => problems.push(error) });
      onTestFinished(() => serving.close());
      const server = await startServer({
        serving,
        workspace: "default",
        clock,
        // The backfill runs in this process too.
        config: { ...serverConfig, requestTimeoutMs: 60_000 },
        logger: served.logger,
        queue: () => Promise.reject(new Error("the queue is down")),
      });
      onTestFinished(() => server.close());
      return server;
    }));
  return { redis, s3, options, store, publish, serve };
}

describe("servers under load", () => {
  it(
    "follow definitions without a failed request or a mixed answer, and go on without registry and queue",
    async () => {
      const { s3, store, publish, serve } = await open(false);
      await publish(1, ["x", "y"]);
      const problems: unknown[] = [];
      const servers = await serve(problems);
      const load = new Load(servers.map(({ url }) => url));
      onTestFinished(() => load.stop());
      expect(await load.settled("x+y: 1,1")).toEqual(["x+y: 1,1"]);

      // Another definition of the values: a new version. Nobody is answered with some of each.
      await publish(10, ["x", "y"]);
      expect(await load.settled("x+y: 10,10")).toEqual(["x+y: 1,1", "x+y: 10,10"]);
      await store.rollback("scores");
      expect(await load.settled("x+y: 1,1")).toEqual(["x+y: 10,10", "x+y: 1,1"]);
      // More features, in values of another layout.
      await publish(100, ["x", "y", "z"]);
      expect(await load.settled("x+y+z: 100,100,100")).toEqual(["x+y: 1,1", "x+y+z: 100,100,100"]);

      // The object store goes away: what is known is served on, and looked for again and again.
      await s3.close();
      const known = problems.length;
      await expect.poll(() => problems.length).toBeGreaterThan(known);
      load.seen.clear();
      expect(await load.settled("x+y+z: 100,100,100")).toEqual(["x+y+z: 100,100,100"]);
      expect((await fetch(`${servers[0]!.url}/ready`)).status).toBe(200);
      await load.stop();
      expect(load.failures).toEqual([]);
    },
  );

  it("see no version without its values when it is rolled back to one that was lost: a worker loads it first", async () => {
    const { redis, options, store, publish, serve } = await open(true);
    const queue = await openQueue(redis.url, "default");
    const parts = new StoreParts({ ...options, queue, cacheFolder: `${options.cacheFolder}-of-worker` });
    onTestFinished(() => parts.close());
    const ran: string[] = [];
    const handler = jobHandler(parts.runContext());
    const worker = queue.work((job, context) => {
      ran.push(`${job.name} ${job.version}`);
      return handler(job, context);
    });
    onTestFinished(() => worker.close());
    for (const factor of [1, 10, 100]) await publish(factor, ["x", "y"]);
    await redis.command("FLUSHALL");
    // What serves, and where a rollback goes by itself: no more is loaded again.
    await store.catchUp();
    const load = new Load((await serve()).map(({ url }) => url));
    onTestFinished(() => load.stop());
    expect(await load.settled("x+y: 100,100")).toEqual(["x+y: 100,100"]);
    ran.length = 0;
    await store.rollback("scores", 1);
    expect(ran).toEqual(["load-online 1"]);
    expect(await load.settled("x+y: 1,1")).toEqual(["x+y: 100,100", "x+y: 1,1"]);
    await load.stop();
    expect(load.failures).toEqual([]);
  });
});
