/** Holds what requests get of a service against what training computes for the same keys, fields and times: random ones, over both stores. */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FeatureService } from "../../sdk/define/service.ts";
import { fromRows } from "../../sdk/frame/sources.ts";
import type { Row, SchemaTypes } from "../../sdk/schema.ts";
import type { Store } from "../../sdk/store.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { StoreRig } from "./store_rig.ts";

/** One request. */
interface Asked {
  readonly at: bigint;
  readonly keys: Row;
  readonly fields: Row;
}

/** What is asked, of what. */
interface Model {
  readonly features: FeatureService;
  readonly request: fc.Arbitrary<Asked>;
  /** Of keys and fields. */
  readonly types: SchemaTypes;
  /** How many lists of requests. */
  readonly numRuns: number;
}

/** Adds the tests. */
export function describeRequestsAndTraining(title: string, { features, request, types, numRuns }: Model): void {
  describe.each(["lmdb", "redis"] as const)(`${title} over %s`, (kind) => {
    let redis: RedisServer | undefined;
    let rig: StoreRig;
    let store: Store;

    beforeAll(async () => {
      redis = kind === "redis" ? await startRedis() : undefined;
      rig = await StoreRig.open(redis ? { redis: redis.url } : {});
      store = await rig.connect();
      await (await store.publish(features)).apply();
    });
    afterAll(async () => {
      await rig.close();
      await redis?.stop();
    });

    it("give the same to requests and to training", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 50, size: "max" }), async (requests) => {
          const online: Row[] = [];
          for (const { at, keys, fields } of requests) {
            online.push(await store.online(features, keys, { at, request: fields }));
          }
          const spine = fromRows(requests.map(({ at, keys, fields }) => ({ ...keys, ...fields, at })), {
            schema: { ...types, at: "timestamp" },
            eventTimestamp: "at",
          });
          const train = await store.train(features, spine, { eventTimestamp: "at" });
          const rows: Row[] = await train.rows();
          train.close();
          const names = Object.keys(online[0]!);
          // Identical, NaN and -0 included: one function computes both.
          const exact = (row: Row) => names.map((name) => [name, row[name]]);
          expect(rows.map(exact)).toStrictEqual(online.map(exact));
        }),
        { numRuns, seed: 5 },
      );
    });
  });
}
