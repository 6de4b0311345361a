import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FastifyInstance } from "../../../cluster/server/fastify.ts";
import { ServedStore } from "./served_store.ts";

const store = await ServedStore.open();
let app: FastifyInstance;

beforeAll(async () => {
  await store.publish();
  app = await store.app();
});
afterAll(() => store.close());

async function ask(url: string, params?: object) {
  const response = await app.inject(
    params === undefined ? { url } : { method: "POST", url, payload: { params }, headers: {} },
  );
  return { status: response.statusCode, body: response.json() };
}

const first = "/api/v1/feature-service";
const second = "/api/v2/workspaces/default/feature-services/small";
const key = { user: "9007199254740993", active: true };
const features = ["Zoë", "9007199254740995"];

describe("get-features-batch", () => {
  const batch = (requestData: unknown, more: object = {}) =>
    ask(`${first}/get-features-batch`, { featureServiceName: "small", requestData, ...more });

  it("answers a row per request, in order, by one look-up", async () => {
    const rows = [{ joinKeyMap: key }, { joinKeyMap: { user: 1, active: true } }, { joinKeyMap: key }];
    expect(await batch(rows)).toEqual({
      status: 200,
      body: { result: [{ features }, { features: [null, "0"] }, { features }] },
    });
  });

  it("tells what became of every row", async () => {
    const metadataOptions = { includeNames: true, includeServingStatus: true, includeEffectiveTimes: true };
    const rows = [{ joinKeyMap: key }, { joinKeyMap: { user: null, active: true } }, {
      joinKeyMap: { ...key, user: 1 },
    }];
    const { body } = await batch(rows, { metadataOptions });
    expect(body.metadata).toEqual({
      features: ["profile.p_name", "profile.p_visits"].map((name) => ({
        name,
        status: ["PRESENT", "MISSING_DATA", "MISSING_DATA"],
        reason: ["PRESENT", "NULL_KEY", "MISSING"],
        effectiveTime: "2001-01-03T00:00:00Z",
        effectiveTimes: ["2001-01-03T00:00:00Z", null, null],
      })),
    });
  });

  it("adds up what the store gave", async () => {
    const { body } = await batch(Array(3).fill({ joinKeyMap: key }), { metadataOptions: { includeSloInfo: true } });
    const { sloInfo, batchSloInfo } = body.metadata;
    expect(sloInfo).toHaveLength(3);
    expect(sloInfo[0].storeResponseSizeBytes).toBeGreaterThan(0);
    expect(batchSloInfo.storeResponseSizeBytes).toBe(3 * sloInfo[0].storeResponseSizeBytes);
  });

  it("takes snake_case, and nulls for what is not given", async () => {
    const { status, body } = await ask(`${first}/get-features-batch`, {
      feature_service_name: "small",
      workspace_name: null,
      metadata_options: { include_names: null },
      request_options: null,
      request_data: [{ join_key_map: key, request_context_map: null }],
    });
    expect([status, body]).toEqual([200, { result: [{ features }] }]);
  });

  it.each([
    ["no rows", [], /requestData must NOT have fewer than 1 items/],
    ["too many rows", Array(1001).fill({ joinKeyMap: key }), /requestData must NOT have more than 1000 items/],
    ["a row that is none", [1], /requestData\/0 must be object/],
    ["rows that are no list", { joinKeyMap: key }, /requestData must be array/],
    [
      "an unknown field of a row",
      [{ joinKeys: key }],
      /requestData\/0 must NOT have additional properties: "joinKeys"/,
    ],
    [
      "a missing key in a row",
      [{ joinKeyMap: key }, {}],
      /join keys "user", "active" are missing.*\(row 1 of 2, from 0\)/,
    ],
    [
      "a wrong key in a row",
      [{ joinKeyMap: key }, { joinKeyMap: { ...key, user: "x" } }],
      /"x".*\(row 1 of 2, from 0\)/,
    ],
    ["an extra key in a row", [{ joinKeyMap: { ...key, zone: 1 } }], /"zone" is no join key of it/],
    [
      "request context in a row",
      [{ joinKeyMap: key }, { joinKeyMap: key, requestContextMap: { amount: 1 } }],
      /there is no request field "amount"; request fields are none \(row 1 of 2, from 0\)/,
    ],
    ["fields twice in a row", [{ joinKeyMap: key, join_key_map: key }], /joinKeyMap is there twice/],
  ])("refuses %s", async (_, rows, message) => {
    const { status, body } = await batch(rows);
    expect([status, body.code]).toEqual([400, "INVALID_REQUEST"]);
    expect(body.message).toMatch(message);
  });
});

describe("request options", () => {
  it("leave request context unread that nobody takes, where that is asked for", async () => {
    const requestOptions = { ignoreExtraRequestContextFields: true };
    const params = { featureServiceName: "small", joinKeyMap: key, requestContextMap: { amount: 1 }, requestOptions };
    expect((await ask(`${first}/get-features`, params)).body).toEqual({ result: { features } });
  });

  it("take the flags of a cache that there is not, and read the store all the same", async () => {
    for (const on of [true, false]) {
      const requestOptions = { readFromCache: on, writeToCache: on, coerceNullCountsToZero: on };
      const params = { featureServiceName: "small", joinKeyMap: key, requestOptions };
      expect((await ask(`${first}/get-features`, params)).body).toEqual({ result: { features } });
    }
  });

  it.each([
    ["a budget of nothing", { latencyBudgetMs: 0 }],
    ["a budget in words", { latencyBudgetMs: "5ms" }],
    ["half a millisecond", { latencyBudgetMs: 0.5 }],
    ["an option that there is not", { writeFromCache: true }],
  ])("refuse %s", async (_, requestOptions) => {
    const params = { featureServiceName: "small", joinKeyMap: key, requestOptions };
    expect(await ask(`${first}/get-features`, params)).toMatchObject({
      status: 400,
      body: { code: "INVALID_REQUEST", message: expect.stringContaining("/params/requestOptions") },
    });
  });
});

describe("the service", () => {
  it("may be named by its id, which is its name", async () => {
    const params = { featureServiceId: "small", joinKeyMap: key };
    expect((await ask(`${first}/get-features`, params)).body).toEqual({ result: { features } });
    expect(await ask(`${first}/get-features`, { ...params, featureServiceName: "model" })).toMatchObject({
      status: 400,
      body: { message: 'Cannot read the request: it names "model" and "small"; name one service' },
    });
  });

  it("is in the path of version 2", async () => {
    expect((await ask(`${second}/get-features`, { joinKeyMap: key })).body).toEqual({ result: { features } });
    expect((await ask(`${second}/get-features-batch`, { requestData: [{ joinKeyMap: key }] })).body).toEqual({
      result: [{ features }],
    });
    const same = { featureServiceName: "small", workspaceName: "default", joinKeyMap: key };
    expect((await ask(`${second}/get-features`, same)).status).toBe(200);
    expect((await ask(`${second}/get-features`, { ...same, featureServiceName: "model" })).status).toBe(400);
    expect((await ask(`${second}/get-features`, { ...same, workspaceName: "prod" })).status).toBe(404);
    for (
      const path of ["prod/feature-services/small", "default/feature-services/none", "default/feature-services/%20"]
    ) {
      const url = `/api/v2/workspaces/${path}/metadata`;
      expect(await ask(url)).toMatchObject({
        status: 404,
        body: { code: "NOT_FOUND", message: expect.stringMatching(/Cannot read/) },
      });
    }
    const long = `/api/v2/workspaces/default/feature-services/${"x".repeat(128)}/metadata`;
    expect((await ask(long)).status).toBe(404);
    expect((await ask(long.replace("/metadata", "x/metadata"))).body.message).toMatch(
      /\/featureService must NOT have more/,
    );
  });

  it("says what it reads and gives", async () => {
    const metadata = {
      featureServiceType: "DEFAULT",
      inputJoinKeys: [{ name: "user", dataType: { type: "int64" } }, { name: "active", dataType: { type: "boolean" } }],
      inputRequestContextKeys: [],
      featureValues: [
        { name: "profile.p_name", dataType: { type: "string" } },
        { name: "profile.p_visits", dataType: { type: "int64" } },
      ],
    };
    expect((await ask(`${second}/metadata`)).body).toEqual(metadata);
    expect((await ask(`${first}/metadata`, { feature_service_name: "small" })).body).toEqual(metadata);
    expect((await ask(`${first}/metadata`, {})).status).toBe(400);
    expect((await ask(`${first}/metadata`, { featureServiceName: "small", joinKeyMap: key })).status).toBe(400);
  });
});
