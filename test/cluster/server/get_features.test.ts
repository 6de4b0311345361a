import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FastifyInstance } from "fastify";
import { ServedStore, url } from "./served_store.ts";

const store = await ServedStore.open();
let app: FastifyInstance;

beforeAll(async () => {
  await store.publish();
  app = await store.app();
});
afterAll(() => store.close());

interface Answered {
  readonly status: number;
  // deno-lint-ignore no-explicit-any
  readonly body: any;
  readonly headers: Readonly<Record<string, unknown>>;
}

async function send(payload: string | Buffer, headers: Record<string, string> = {}): Promise<Answered> {
  const response = await app.inject({
    method: "POST",
    url,
    payload,
    headers: { "content-type": "application/json", ...headers },
  });
  return { status: response.statusCode, body: JSON.parse(response.body), headers: response.headers };
}

const ask = (params: object, more: object = {}) => send(JSON.stringify({ params, ...more }));
const big = { user: "9007199254740993", active: true };
const all = { featureServiceName: "model", joinKeyMap: big };

/** What every error must be. */
function expectError(answer: Answered, status: number, code: string, message: RegExp): void {
  expect(answer.body).toEqual({
    error: expect.any(String),
    code,
    message: expect.stringMatching(message),
    details: expect.any(Object),
  });
  expect(answer.status).toBe(status);
  expect(answer.headers["content-type"]).toMatch(/application\/json/);
}

describe("get-features", () => {
  it("answers in the order of names, int64 as text and what JSON has no number for as text (S9)", async () => {
    const { status, body } = await ask({ ...all, metadataOptions: { includeNames: true } });
    expect(status).toBe(200);
    const names = body.metadata.features.map(({ name }: { name: string }) => name);
    expect(names).toEqual(
      ["level", "likes", "low", "name", "peak", "score", "seen", "visits"].map((name) => `profile.${name}`),
    );
    expect(body.result.features).toEqual([
      "7",
      ["1", null],
      "-Infinity",
      "Zoë",
      "Infinity",
      "NaN",
      "2001-01-02T05:00:00.000001Z",
      "9007199254740995",
    ]);
  });

  it("answers features alone when no metadata is asked for", async () => {
    const { body } = await ask({ ...all, featureServiceName: "small", metadataOptions: { includeNames: false } });
    expect(body).toEqual({ result: { features: ["Zoë", "9007199254740995"] } });
  });

  it.each([
    ["includeNames", { name: "profile.p_name" }],
    ["includeEffectiveTimes", { effectiveTime: "2001-01-03T00:00:00Z" }],
    ["includeDataTypes", { dataType: { type: "string" } }],
    ["includeServingStatus", { status: "PRESENT", reason: "PRESENT" }],
    ["includeFeatureDescriptions", { description: null }],
    ["includeFeatureTags", { tags: { team: "growth" } }],
  ])("tells %s alone", async (option, expected) => {
    const { body } = await ask({ ...all, featureServiceName: "small", metadataOptions: { [option]: true } });
    expect(body.metadata).toEqual({ features: [expected, expect.any(Object)] });
  });

  it("tells types of every kind, and descriptions", async () => {
    const metadataOptions = { includeDataTypes: true, includeFeatureDescriptions: true };
    const { body } = await ask({ ...all, metadataOptions });
    const types = body.metadata.features.map(({ dataType }: { dataType: object }) => dataType);
    expect(types).toEqual([
      { type: "int64" },
      { type: "array", elementType: { type: "int64" } },
      { type: "float64" },
      { type: "string" },
      { type: "float64" },
      { type: "float64" },
      { type: "timestamp" },
      { type: "int64" },
    ]);
    expect(body.metadata.features[5].description).toBe("how good");
  });

  it("tells how long it took", async () => {
    const { body } = await ask({ ...all, metadataOptions: { includeSloInfo: true } });
    expect(body.metadata.sloInfo).toEqual({
      sloEligible: true,
      sloServerTimeSeconds: expect.any(Number),
      storeMaxLatency: expect.any(Number),
      serverTimeSeconds: expect.any(Number),
      storeResponseSizeBytes: expect.any(Number),
    });
  });

  it("takes snake_case", async () => {
    const { status, body } = await ask({
      workspace_name: "default",
      feature_service_name: "small",
      join_key_map: big,
      metadata_options: { include_names: true },
      request_options: { read_from_cache: true, latency_budget_ms: 1_000 },
      allow_partial_results: false,
    });
    expect(status).toBe(200);
    expect(body.metadata.features).toEqual([{ name: "profile.p_name" }, { name: "profile.p_visits" }]);
  });

  it("fills in defaults for missing and null keys, and says which it was (S7)", async () => {
    const metadataOptions = { includeServingStatus: true, includeEffectiveTimes: true };
    const missing = await ask({
      featureServiceName: "small",
      joinKeyMap: { user: 5, active: true },
      metadataOptions,
    });
    expect(missing.body.result.features).toEqual([null, "0"]);
    expect(missing.body.metadata.features).toEqual(
      Array(2).fill({ status: "MISSING_DATA", reason: "MISSING", effectiveTime: null }),
    );
    const none = await ask({ featureServiceName: "small", joinKeyMap: { user: null, active: true }, metadataOptions });
    expect(none.status).toBe(200);
    expect(none.body.metadata.features[0].reason).toBe("NULL_KEY");
    const nulls = await ask({ featureServiceName: "model", joinKeyMap: { user: -1, active: false } });
    expect(nulls.body.result.features).toEqual([null, [], 0, null, null, 0.5, null, "0"]);
  });

  it("gives each answer an id, the client's own where it is a reasonable one", async () => {
    expect((await send("{}", { "x-request-id": "abc-1" })).headers["x-request-id"]).toBe("abc-1");
    const strange = (await send("{}", { "x-request-id": "a b\u00e9" })).headers["x-request-id"];
    expect(strange).toMatch(/^[0-9a-f]{24}-[0-9a-z]+$/);
  });
});

describe("get-features, asked wrongly,", () => {
  it("lists the services there are", async () => {
    expectError(
      await ask({ ...all, featureServiceName: "none" }),
      404,
      "NOT_FOUND",
      /services are model, small, checkout/,
    );
    for (const name of ["__proto__", "constructor", "toString"]) {
      expectError(await ask({ ...all, featureServiceName: name }), 404, "NOT_FOUND", /services are/);
    }
  });

  it("knows one workspace", async () => {
    expectError(await ask({ ...all, workspaceName: "prod" }), 404, "NOT_FOUND", /"prod".*serves "default"/);
  });

  it.each([
    ["a missing join key", { user: "1" }, /join key "active" is missing/],
    ["no join keys", {}, /join keys "user", "active" are missing/],
    ["an extra join key", { ...big, zone: 1 }, /"zone" is no join key of it; join keys are user, active/],
    ["a key of Object.prototype", { ...big, constructor: "x" }, /"constructor" is no join key/],
    ["text for int64", { user: "x", active: true }, /"x" as join key "user"/],
    ["a number that 64 bits cannot hold", { user: 2 ** 64, active: true }, /join key "user"/],
    ["a fraction", { user: 1.5, active: true }, /join key "user"/],
    ["text for boolean", { user: 1, active: "true" }, /join key "active"/],
    ["a list", { user: [1], active: true }, /\/params\/joinKeyMap\/user/],
    ["too long a key", { user: "1".repeat(5_000), active: true }, /\/params\/joinKeyMap\/user/],
    ["too long a name", { ["k".repeat(200)]: "1" }, /joinKeyMap/],
  ])("refuses %s", async (_, joinKeyMap, message) => {
    expectError(await ask({ featureServiceName: "model", joinKeyMap }), 400, "INVALID_REQUEST", message);
  });

  it.each([
    ["no body", ""],
    ["malformed JSON", "{"],
    ["text after JSON", '{"params":{}} x'],
    ["a list", "[]"],
    ["null", "null"],
    ["a number", "1"],
    ["no params", "{}"],
    ["no service", '{"params":{}}'],
    ["an empty name", '{"params":{"featureServiceName":""}}'],
    ["an unknown field", '{"params":{"featureServiceName":"model","joinKeys":{}}}'],
    ["an unknown field outside", '{"params":{"featureServiceName":"model"},"debug":true}'],
    ["an unknown option", '{"params":{"featureServiceName":"model","metadataOptions":{"all":true}}}'],
    ["an option of a wrong type", '{"params":{"featureServiceName":"model","metadataOptions":{"includeNames":"yes"}}}'],
    ["a name twice", '{"params":{"featureServiceName":"model","feature_service_name":"small"}}'],
    ["a deep body", `{"params":${"[".repeat(20_000)}${"]".repeat(20_000)}}`],
    [
      "deep join keys",
      `{"params":{"featureServiceName":"model","joinKeyMap":${'{"a":'.repeat(5_000)}1${"}".repeat(5_001)}}`,
    ],
    ["request context", '{"params":{"featureServiceName":"model","requestContextMap":{"amount":1}}}'],
  ])("refuses %s", async (_, payload) => {
    expectError(await send(payload), 400, "INVALID_REQUEST", /./);
  });

  it.each([
    ["__proto__", '{"params":{"featureServiceName":"model","joinKeyMap":{"__proto__":{"user":1}}}}'],
    ["__proto__ outside", '{"__proto__":{"params":{}},"params":{"featureServiceName":"model"}}'],
    ["__proto__ as escapes", String.raw`{"params":{"featureServiceName":"model","\u005f_proto__":1}}`],
    ["constructor.prototype", '{"params":{"featureServiceName":"model","joinKeyMap":{"constructor":{"prototype":1}}}}'],
  ])("says of a key %s that it is refused", async (_, payload) => {
    expectError(await send(payload), 400, "INVALID_REQUEST", /the keys "__proto__", .* are refused wherever they are/);
  });

  it("says of malformed JSON with such a key that it is no JSON", async () => {
    expectError(await send('{"__proto__":'), 400, "INVALID_REQUEST", /not valid JSON/);
  });

  it("refuses bytes that are not UTF-8 rather than look up something else", async () => {
    const text = '{"params":{"featureServiceName":"caf\u00e9"}}';
    expectError(await send(Buffer.from(text, "latin1")), 400, "INVALID_REQUEST", /UTF-8/);
    expectError(await send(Buffer.from(text, "utf8")), 404, "NOT_FOUND", /café/);
    for (const name of ["%ff", "%c3%28", "%ed%a0%80", "caf%e9"]) {
      const path = await app.inject({ url: `/api/v2/workspaces/default/feature-services/${name}/metadata` });
      expect([path.statusCode, path.json().code]).toEqual([400, "INVALID_REQUEST"]);
    }
  });

  it("refuses other content types and large bodies", async () => {
    const body = JSON.stringify({ params: all });
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/xml"]) {
      expectError(await send(body, { "content-type": type }), 415, "UNSUPPORTED_MEDIA_TYPE", /send JSON with/);
    }
    const large = await send(JSON.stringify("x".repeat(70_000)));
    expectError(large, 413, "TOO_LARGE", /larger than 65536 bytes, .* VARVE_BODY_LIMIT_BYTES/);
    expect(large.body.details).toEqual({ limit: 65_536, variable: "VARVE_BODY_LIMIT_BYTES" });
  });

  it("says of a compressed body that it is, whether it is or not", async () => {
    const body = JSON.stringify({ params: all });
    for (const payload of [body, gzipSync(body)]) {
      const answer = await send(payload, { "content-encoding": "gzip" });
      expectError(answer, 415, "UNSUPPORTED_MEDIA_TYPE", /content-encoding "gzip"; send JSON as it is/);
    }
    expect((await send(body, { "content-encoding": "identity" })).status).toBe(200);
  });

  it("tells what is wrong in words of its own", async () => {
    for (const payload of ["{", "", " ", "[1,]"]) {
      const { body } = await send(payload);
      expect([body.message, body.details]).toEqual([
        expect.stringMatching(/^Cannot read the request: its body is /),
        {},
      ]);
    }
    const path = await app.inject({ url: "/api/v2/workspaces/%zz/feature-services/model/metadata" });
    expect(path.json()).toMatchObject({ message: expect.stringMatching(/percent sign/), details: {} });
  });

  it("answers JSON for routes that there are not, and for paths that are no URL", async () => {
    for (const path of ["/", "/api/v2/nothing", "/%", `${url}/`, "/health/x"]) {
      const response = await app.inject({ method: "GET", url: path });
      expect(response.statusCode).toBeLessThan(500);
      expect(Object.keys(response.json())).toEqual(["error", "code", "message", "details"]);
    }
  });

  it("tells which methods a route takes", async () => {
    const v2 = "/api/v2/workspaces/default/feature-services/small";
    const taken = [[url, "POST"], [`${v2}/metadata`, "GET, HEAD"], [`${v2}/get-features?a=1`, "POST"]] as const;
    for (const [path, allow] of taken) {
      const response = await app.inject({ method: "DELETE", url: path });
      expect([response.statusCode, response.headers["allow"]]).toEqual([405, allow]);
      expect(response.json()).toMatchObject({
        error: "Method Not Allowed",
        message: `Cannot DELETE ${path.split("?")[0]}: this route takes ${allow.replace(", ", " and ")}`,
      });
    }
    for (const path of [`${v2}/metadata/x`, "/api/v2/workspaces//feature-services/small/metadata", `${url}/`]) {
      expect((await app.inject({ method: "DELETE", url: path })).statusCode).toBe(404);
    }
  });

  it("never failed inside", () => {
    expect(store.logger.lines).toEqual([]);
  });
});
