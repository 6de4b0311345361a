/** Realtime views over HTTP: what requests give, in both dialects and through the client. */
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from "vitest";
import type { FastifyInstance } from "../../../cluster/server/fastify.ts";
import { startServer } from "../../../cluster/server/server.ts";
import { featureClient } from "../../../sdk/client.ts";
import { connect } from "../../../sdk/connect.ts";
import { realtimeView } from "../../../sdk/define/realtime_view.ts";
import { col } from "../../../sdk/frame/expr.ts";
import { service } from "../../../sdk/define/service.ts";
import { Timestamp } from "../../../sdk/time.ts";
import { clock, scored, scoredContext, ServedStore, serverConfig } from "./served_store.ts";

const store = await ServedStore.open();
let app: FastifyInstance;
beforeAll(async () => {
  await store.publish();
  app = await store.app();
});
afterAll(() => store.close());

const first = "/api/v1/feature-service";
const zoe = { user: "9007199254740993", active: true };

async function ask(path: string, payload: object) {
  const response = await app.inject({ method: "POST", url: path, payload });
  return { status: response.statusCode, body: response.json() };
}

async function get(context: unknown, more: object = {}) {
  const params = { featureServiceName: "scored", joinKeyMap: zoe, requestContextMap: context, ...more };
  return await ask(`${first}/get-features`, { params });
}

/** In the order of the view, then what is stored. */
const vector = [
  "Infinity",
  "9007199254740994",
  "1",
  "x",
  "2001-01-02T05:00:00.000001Z",
  "2001-01-01",
  "AQI=",
  "9007199254740995",
];

describe("get-features, of realtime views", () => {
  it("computes with what the request gives, features in the order of the view and before the stored ones", async () => {
    const { status, body } = await get(scoredContext, {
      metadataOptions: {
        includeNames: true,
        includeEffectiveTimes: true,
        includeServingStatus: true,
        includeDataTypes: true,
        includeFeatureDescriptions: true,
        includeFeatureTags: true,
      },
    });
    expect([status, body.result.features]).toEqual([200, vector]);
    const names = body.metadata.features.map(({ name }: { name: string }) => name);
    expect(names).toEqual(
      ["z_ratio", "more", "age", "firstLabel", "last_seen", "a_day", "sameBytes"].map((name) => `score.${name}`)
        .concat("profile.visits"),
    );
    expect(body.metadata.features[1]).toEqual({
      name: "score.more",
      dataType: { type: "int64" },
      description: "one more",
      tags: { team: "growth" },
      effectiveTime: "2001-01-06T00:00:00Z",
      status: "PRESENT",
      reason: "PRESENT",
    });
  });

  it("takes a context per row, in camelCase and in snake_case", async () => {
    const none = { amount: null, n: null, since: null, day: null, labels: null, bytes: null };
    const camel = {
      featureServiceName: "scored",
      requestData: [
        { joinKeyMap: zoe, requestContextMap: scoredContext },
        { joinKeyMap: { user: 5, active: true }, requestContextMap: { ...none, amount: 7, n: -5 } },
      ],
      metadataOptions: { includeServingStatus: true },
    };
    const { status, body } = await ask(`${first}/get-features-batch`, { params: camel });
    expect([status, body.result]).toEqual([200, [
      { features: vector },
      { features: [null, "-4", null, null, null, null, null, "0"] },
    ]]);
    expect(body.metadata.features[0].status).toEqual(["PRESENT", "PRESENT"]);
    expect(body.metadata.features[7].reason).toEqual(["PRESENT", "MISSING"]);
    const snake = {
      feature_service_name: "scored",
      request_data: camel.requestData.map(({ joinKeyMap, requestContextMap }) => ({
        join_key_map: joinKeyMap,
        request_context_map: requestContextMap,
      })),
    };
    expect((await ask(`${first}/get-features-batch`, { params: snake })).body).toEqual({ result: body.result });
    const path = "/api/v2/workspaces/default/feature-services/scored/get-features";
    const params = { joinKeyMap: zoe, requestContextMap: scoredContext };
    expect((await ask(path, { params })).body).toEqual({ result: { features: vector } });
  });

  const wanted =
    /request fields are amount float64, n int64, since timestamp, day date, labels list<string>, bytes binary/;
  it.each([
    ["nothing", undefined, /request field "amount" is missing/],
    [
      "a field less",
      { ...scoredContext, n: undefined },
      /: request field "n" is missing \(null where there is none\);/,
    ],
    ["a field more", { ...scoredContext, constructor: 1 }, /there is no request field "constructor"/],
    ["a text for a number", { ...scoredContext, amount: "12" }, /"amount" does not fit: "12" is not float64/],
    ["a number for a text", { ...scoredContext, labels: [1] }, /"labels" does not fit: 1 is not string/],
    ["half a whole number", { ...scoredContext, n: 0.5 }, /"n" does not fit: 0.5 is not int64/],
    ["a whole number that is too large", { ...scoredContext, n: "9223372036854775808" }, /"n" does not fit/],
    ["no instant", { ...scoredContext, since: "yesterday" }, /"since" does not fit/],
    ["a number for an instant", { ...scoredContext, since: 5 }, /"since" does not fit/],
    ["no day", { ...scoredContext, day: "2001-02-30" }, /"day" does not fit/],
    ["no list", { ...scoredContext, labels: "x" }, /"labels" does not fit: "x" is not list/],
    ["no bytes", { ...scoredContext, bytes: "?" }, /"bytes" does not fit/],
  ])("refuses %s, listing fields and types", async (_, context, message) => {
    const { status, body } = await get(context);
    expect([status, body.code]).toEqual([400, "INVALID_REQUEST"]);
    expect(body.message).toMatch(message);
    expect(body.message).toMatch(wanted);
  });

  it("says where request fields belong that are among the join keys", async () => {
    const { amount, ...rest } = scoredContext;
    const asked = async (more: object) => (await get(rest, { joinKeyMap: { ...zoe, ...more } })).body.message;
    expect(await asked({ amount, day: null })).toBe(
      'Cannot read service "scored": request fields are given in requestContextMap, not among join keys: ' +
        '"amount", "day"; join keys are user, active',
    );
    expect(await asked({ amount, zone: 1 })).toContain('"amount"; "zone" is no join key of it; join keys are user');
  });

  it("says which row of a batch is wrong, and which feature has no value", async () => {
    const rows = [scoredContext, { ...scoredContext, n: "9223372036854775807" }];
    const requestData = rows.map((requestContextMap) => ({ joinKeyMap: zoe, requestContextMap }));
    const { status, body } = await ask(`${first}/get-features-batch`, {
      params: { featureServiceName: "scored", requestData },
    });
    expect([status, body.message]).toEqual([
      400,
      expect.stringMatching(/Cannot compute feature "more" of realtime view "score" for row 1 of 2/),
    ]);
  });

  it("leaves extra fields unread where that is asked for", async () => {
    const { body } = await get({ ...scoredContext, other: 1 }, {
      requestOptions: { ignoreExtraRequestContextFields: true },
    });
    expect(body).toEqual({ result: { features: vector } });
  });

  it("tells fields and types as metadata", async () => {
    const { body } = await ask(`${first}/metadata`, { params: { featureServiceName: "scored" } });
    expect(body.inputRequestContextKeys).toEqual([
      { name: "amount", dataType: { type: "float64" } },
      { name: "n", dataType: { type: "int64" } },
      { name: "since", dataType: { type: "timestamp" } },
      { name: "day", dataType: { type: "string" } },
      { name: "labels", dataType: { type: "array", elementType: { type: "string" } } },
      { name: "bytes", dataType: { type: "string" } },
    ]);
    expect(body.featureValues.map(({ name }: { name: string }) => name).slice(-2)).toEqual([
      "score.sameBytes",
      "profile.visits",
    ]);
  });
});

describe("get-online-features, of realtime views", () => {
  const entities = {
    user: [9007199254740991, -1],
    active: [true, false],
    ...Object.fromEntries(Object.entries(scoredContext).map(([name, value]) => [name, [value, null]])),
  };

  it("takes request data among the entities, and does not answer it", async () => {
    const { status, body } = await ask("/get-online-features", { feature_service: "scored", entities });
    expect(status).toBe(200);
    expect(body.metadata.feature_names).toEqual([
      ...["user", "active", "visits", "z_ratio", "more", "age", "firstLabel", "last_seen", "a_day", "sameBytes"],
    ]);
    expect(body.results[4]).toEqual({
      values: [Number("9007199254740994"), null],
      statuses: ["PRESENT", "NULL_VALUE"],
      event_timestamps: ["2001-01-06T00:00:00Z", "2001-01-06T00:00:00Z"],
    });
  });

  it("reads loose features of realtime views", async () => {
    const { body } = await ask("/get-online-features", {
      features: ["score:a_day", "profile:level"],
      entities,
      full_feature_names: true,
    });
    expect(body.metadata.feature_names.slice(2)).toEqual(["score__a_day", "profile__level"]);
    expect(body.results[2].values).toEqual(["2001-01-01", null]);
  });

  it.each([
    ["a field that is missing", { ...entities, n: undefined }, /request field "n" is missing/],
    ["a name that nothing reads", { ...entities, zone: [1, 2] }, /"zone" is no join key or request field/],
    ["another number of values", { ...entities, n: [1] }, /1 \(n\)/],
  ])("refuses %s", async (_, given, message) => {
    const { status, body } = await ask("/get-online-features", { feature_service: "scored", entities: given });
    expect([status, body.message]).toEqual([400, expect.stringMatching(message)]);
  });
});

describe("a feature client, of realtime views", () => {
  it("asks for the fields of a request by their types, alone and joined", async () => {
    const server = await startServer({
      serving: await store.serving(),
      workspace: "default",
      clock,
      config: serverConfig,
      logger: store.logger,
    });
    try {
      const client = featureClient({ url: server.url });
      const keys = { user: 9_007_199_254_740_993n, active: true };
      const request = {
        amount: Infinity,
        n: 9_007_199_254_740_993n,
        since: new Timestamp(clock.now() - 1n),
        day: "2001-01-01",
        labels: ["x", null],
        bytes: new Uint8Array([1, 2]),
      };
      const features = await client.features(scored, keys, { request });
      expectTypeOf(features.more).toEqualTypeOf<bigint | null>();
      const answer = {
        visits: 9_007_199_254_740_995n,
        z_ratio: Infinity,
        more: 9_007_199_254_740_994n,
        age: 1n,
        firstLabel: "x",
        last_seen: new Timestamp(978_411_600_000_001n),
        a_day: "2001-01-01",
        sameBytes: new Uint8Array([1, 2]),
      };
      expect(features).toEqual(answer);
      expect(await client.featuresOf(scored, [keys, keys], { request: [request, { ...request, n: 1n }] })).toEqual(
        [answer, { ...answer, more: 2n }],
      );
      expect(await client.featuresOf(scored, [keys, keys], { request })).toEqual([answer, answer]);
      await expect(client.featuresOf(scored, [keys, keys], { request: [request] })).rejects.toThrow(
        "there are 2 keys and 1 requests; give one for each, or one for all",
      );
      const joined = featureClient({ url: server.url, batch: {} });
      const both = [request, { ...request, n: 2n }].map((each) => joined.features(scored, keys, { request: each }));
      expect(await Promise.all(both)).toEqual([answer, { ...answer, more: 3n }]);
      // @ts-expect-error: the fields of a request are missing
      await expect(client.features(scored, keys)).rejects.toThrow(/request field "amount" is missing/);
      // @ts-expect-error: there is no such field
      const extra = client.features(scored, keys, { request: { ...request, x: 1 } });
      await expect(extra).rejects.toThrow(/there is no request field "x"/);
    } finally {
      await server.close();
    }
  });
});

describe("request fields of structs", () => {
  const place = {
    struct: [{ name: "id", type: "int64" }, { name: "share", type: "float64" }, { name: "raw", type: "binary" }],
  } as const;
  const at = (id: unknown, share: unknown = "NaN", raw: unknown = "AQI=") => ({ id, share, raw });

  let placing: FastifyInstance;
  beforeAll(async () => {
    const fields = { one: place, many: { list: place } } as const;
    const placed = realtimeView("placed", { request: fields, features: { first: col("one"), all: col("many") } });
    const other = await connect(store.options);
    await (await other.publish(service("placed", [placed]))).apply();
    await other.close();
    placing = await store.app();
  });

  async function send(path: string, payload: string) {
    const headers = { "content-type": "application/json" };
    const response = await placing.inject({ method: "POST", url: path, headers, payload });
    return { status: response.statusCode, body: response.json() };
  }

  it.each([
    '{"id":"9007199254740993","share":"NaN","raw":"AQI="}',
    '{"raw":"AQI","share":"NaN","id":9007199254740993}',
    '["9007199254740993","NaN","AQI="]',
  ])("come as objects, or as the lists that answers have: %s", async (one) => {
    const context = `{"one":${one},"many":[${one},null]}`;
    const params = `{"featureServiceName":"placed","requestContextMap":${context}}`;
    const { body } = await send(`${first}/get-features`, `{"params":${params}}`);
    const answer = ["9007199254740993", "NaN", "AQI="];
    expect(body).toEqual({ result: { features: [answer, [answer, null]] } });
    const entities = `{"one":[${one}],"many":[[${one}]]}`;
    const { status } = await send("/get-online-features", `{"feature_service":"placed","entities":${entities}}`);
    expect(status).toBe(200);
  });

  it.each([
    ["a field less", { id: 1, share: 1 }, /"one" does not fit: field "raw" is missing/],
    ["a field more", { ...at(1), x: 1 }, /"one" does not fit: there is no field "x"/],
    ["a list that is too short", [1, 2], /"one" does not fit/],
    ["a part of a wrong type", at("x"), /"one" does not fit: "x" is not int64/],
    ["half a byte", at(1, 1, "A"), /"one" does not fit: "A" is not binary/],
  ])("refuses %s", async (_, one, message) => {
    const params = { featureServiceName: "placed", requestContextMap: { one, many: [] } };
    const { status, body } = await send(`${first}/get-features`, JSON.stringify({ params }));
    expect([status, body.message]).toEqual([400, expect.stringMatching(message)]);
  });

  it("are read and written by the client as in the SDK", async () => {
    const serving = await store.serving();
    const server = await startServer({
      serving,
      workspace: "default",
      clock,
      config: serverConfig,
      logger: store.logger,
    });
    try {
      const one = { id: 2n ** 60n + 1n, share: -Infinity, raw: new Uint8Array([255]) };
      const answer = await featureClient({ url: server.url }).features("placed", {}, { request: { one, many: [one] } });
      expect(answer).toEqual({ first: one, all: [one] });
    } finally {
      await server.close();
    }
  });
});

it("follows another definition without a failed request", async () => {
  const hot = await store.app();
  const asked = async () => {
    const payload = { params: { featureServiceName: "doubled", requestContextMap: { n: 3 } } };
    return (await hot.inject({ method: "POST", url: `${first}/get-features`, payload })).json();
  };
  const published = async (factor: number) => {
    const other = await connect(store.options);
    try {
      const times = realtimeView("times", { request: { n: "int64" }, features: { more: col("n").times(factor) } });
      await (await other.publish(service("doubled", [times]))).apply();
    } finally {
      await other.close();
    }
  };
  await published(2);
  await expect.poll(asked).toEqual({ result: { features: ["6"] } });
  await published(5);
  await expect.poll(asked).toEqual({ result: { features: ["15"] } });
});
