import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FastifyInstance } from "../../../cluster/server/fastify.ts";
import { ManualClock } from "../../../sdk/time.ts";
import { clock, ServedStore } from "./served_store.ts";

const store = await ServedStore.open();
let app: FastifyInstance;
/** A day later: a row has expired since it was loaded. */
let later: FastifyInstance;

beforeAll(async () => {
  await store.publish();
  app = await store.app();
  const nextDay = new ManualClock(clock.now());
  nextDay.advance("1d6h");
  later = await store.app({}, { clock: nextDay });
});
afterAll(() => store.close());

async function ask(payload: object | string, at = app) {
  const headers = { "content-type": "application/json" };
  const response = await at.inject({ method: "POST", url: "/get-online-features", payload, headers });
  return { status: response.statusCode, body: response.json(), text: response.body };
}

const zoe = { shop: ["Zoë's", "nulls", "none", null], region: [7, "7", 7, 7] };
const none = "1970-01-01T00:00:00Z";

describe("/get-online-features", () => {
  it("answers one result per name, the join keys first", async () => {
    const features = ["shop_stats:share", "shop_stats:label"];
    const { status, body } = await ask({ features, entities: zoe });
    expect(status).toBe(200);
    expect(body).toEqual({
      metadata: { feature_names: ["shop", "region", "share", "label"] },
      results: [
        {
          values: zoe.shop,
          statuses: ["PRESENT", "PRESENT", "PRESENT", "NULL_VALUE"],
          event_timestamps: Array(4).fill(none),
        },
        { values: [7, 7, 7, 7], statuses: Array(4).fill("PRESENT"), event_timestamps: Array(4).fill(none) },
        {
          values: [0.25, null, null, null],
          statuses: ["PRESENT", "NULL_VALUE", "NOT_FOUND", "NOT_FOUND"],
          event_timestamps: ["2001-01-04T06:00:00Z", "2001-01-04T06:00:00.000001Z", none, none],
        },
        {
          values: ["a.b", null, null, null],
          statuses: ["PRESENT", "NULL_VALUE", "NOT_FOUND", "NOT_FOUND"],
          event_timestamps: ["2001-01-04T06:00:00Z", "2001-01-04T06:00:00.000001Z", none, none],
        },
      ],
    });
  });

  it("takes the order of keys and features from the request", async () => {
    const features = ["shop_stats:share", "profile:visits", "shop_stats:label"];
    const entities = { region: [7], active: [true], user: ["9007199254740993"], shop: ["Zoë's"] };
    const { body } = await ask({ features, entities });
    expect(body.metadata.feature_names).toEqual(["region", "active", "user", "shop", "share", "label", "visits"]);
  });

  it("writes every type as Feast's server does", async () => {
    const { text } = await ask(
      '{"feature_service":"model","entities":{"user":[9007199254740993,"9007199254740993",-1],"active":[true,true,false]}}',
    );
    // Whole numbers of 64 bits as they are: JSON.parse would round them.
    const [user, , ...columns] = [...text.matchAll(/"values":(\[.*?\]),"statuses"/g)].map(([, values]) => values);
    expect(user).toBe("[9007199254740993,9007199254740993,-1]");
    const names = JSON.parse(text).metadata.feature_names.slice(2);
    expect(Object.fromEntries(names.map((name: string, i: number) => [name, columns[i]]))).toEqual({
      visits: "[9007199254740995,9007199254740995,0]",
      score: '["NaN","NaN",0.5]',
      peak: '["Infinity","Infinity",null]',
      low: '["-Infinity","-Infinity",0.0]',
      name: '["Zoë","Zoë",null]',
      level: "[7,7,null]",
      seen: "[978411600,978411600,null]",
      likes: "[[1,null],[1,null],[]]",
    });
  });

  it("writes whole floats with a point, as Python does", async () => {
    const { text } = await ask({ features: ["shop_stats:vector"], entities: { shop: ["Zoë's"], region: [7] } });
    expect(text).toContain('"values":[[0.5,-1.0]]');
  });

  it("names features by their views, and tells which versions were read", async () => {
    const { body } = await ask({
      feature_service: "checkout",
      features: [],
      entities: { shop: ["old"], region: [7] },
      full_feature_names: true,
      include_feature_view_version_metadata: true,
    });
    expect(body.metadata.feature_names.slice(0, 4)).toEqual([
      "shop",
      "region",
      "shop_stats__sales",
      "shop_stats__share",
    ]);
    expect(body.metadata.feature_view_metadata).toEqual([{ name: "shop_stats", version: 1 }]);
  });

  it("tells what is too old, and since when it was true", async () => {
    const features = ["shop_stats:share"];
    const entities = { shop: ["Zoë's"], region: [7] };
    const { body } = await ask({ features, feature_service: null, entities }, later);
    expect(body.results[2]).toEqual({
      values: [null],
      statuses: ["OUTSIDE_MAX_AGE"],
      event_timestamps: ["2001-01-04T06:00:00Z"],
    });
  });

  // Recorded between Feast 0.67.0's SDK, with its remote online store, and this server.
  it.each([
    [
      String
        .raw`{"entities": {"shop": ["Zo\u00eb's", "nulls", "none"], "region": [7, 7, 7]}, "full_feature_names": false, "include_feature_view_version_metadata": false, "features": ["shop_stats:sales", "shop_stats:share", "shop_stats:vector"]}`,
      ["shop", "region", "sales", "share", "vector"],
      ["9007199254740995,null,null", "0.25,null,null", "[0.5,-1.0],null,null"],
    ],
    [
      String
        .raw`{"entities": {"shop": ["Zo\u00eb's"], "region": [7]}, "full_feature_names": true, "include_feature_view_version_metadata": false, "feature_service": "checkout"}`,
      [
        "shop",
        "region",
        ...["sales", "share", "ratio", "open", "label", "level", "recent", "names", "vector"].map((name) =>
          `shop_stats__${name}`
        ),
      ],
      ["9007199254740995", "0.25", "0.5", "true", '"a.b"', "-3", "[9007199254740993,2]", '["x",""]', "[0.5,-1.0]"],
    ],
    [
      String
        .raw`{"entities": {"user": [9007199254740993], "active": [true]}, "full_feature_names": false, "include_feature_view_version_metadata": false, "features": ["profile:visits", "profile:score", "profile:seen", "profile:level"]}`,
      ["user", "active", "visits", "score", "seen", "level"],
      ["9007199254740995", '"NaN"', "978411600", "7"],
    ],
  ])("answers %s", async (payload, names, columns) => {
    const { status, body, text } = await ask(payload);
    expect([status, body.metadata]).toEqual([200, { feature_names: names }]);
    // The SDK reads results[i].values[row] by feature_names[i], and the time of the first feature from results[1].
    expect([...text.matchAll(/"values":\[(.*?)\],"statuses"/g)].slice(2).map(([, values]) => values)).toEqual(columns);
    for (const result of body.results) {
      expect(new Set([result.values, result.statuses, result.event_timestamps].map(({ length }) => length)).size).toBe(
        1,
      );
    }
  });

  const one = { shop: ["x"], region: [7] };
  const share = ["shop_stats:share"];
  it.each([
    ["neither features nor a service", { entities: one }, 400, /name either features, as view:feature, or a feature_s/],
    ["both", { entities: one, features: share, feature_service: "model" }, 400, /name either features/],
    ["no entities", { features: share }, 400, /must have required property 'entities'/],
    ["empty entities", { features: share, entities: {} }, 400, /entities must NOT have fewer than 1 properties/],
    ["entities without rows", { features: share, entities: { shop: [] } }, 400, /entities\/shop must NOT have fewer/],
    [
      "rows of different number",
      { features: share, entities: { shop: ["a", "b"], region: [7] } },
      400,
      /2 \(shop\), 1/,
    ],
    ["a missing key", { features: share, entities: { shop: ["x"] } }, 400, /join key "region" is missing/],
    ["an extra key", { features: share, entities: { ...one, zone: [1] } }, 400, /"zone" is no join key; join keys are/],
    [
      "a key of Object.prototype",
      { features: share, entities: { ...one, toString: [1] } },
      400,
      /"toString" is no join/,
    ],
    ["a wrong key", { features: share, entities: { shop: [1], region: [7] } }, 400, /Cannot use 1 as join key "shop"/],
    [
      "a wrong key in a later row",
      { features: share, entities: { shop: ["a", "b"], region: [7, 0.5] } },
      400,
      /0\.5 as join key "region".*\(row 1 of 2, from 0\)/,
    ],
    [
      "a list as a key",
      { features: share, entities: { shop: [["x"]], region: [7] } },
      400,
      /Cannot use \["x"\] as join key "shop"/,
    ],
    ["too many rows", { features: share, entities: { shop: Array(1001).fill("x") } }, 400, /more than 1000 items/],
    ["a name without a view", { features: ["share"], entities: one }, 400, /features\/0 must match pattern/],
    ["a name with a version", { features: ["shop_stats@v1:share"], entities: one }, 404, /view "shop_stats@v1": views/],
    [
      "an unknown view",
      { features: ["shops:share"], entities: one },
      404,
      /view "shops": views are profile, shop_stats/,
    ],
    [
      "an unknown feature",
      { features: ["shop_stats:x"], entities: one },
      404,
      /feature "x" of view "shop_stats" version/,
    ],
    ["an unknown service", { feature_service: "none", entities: one }, 404, /services are model, small, checkout/],
    ["a feature twice", { features: [...share, ...share], entities: one }, 400, /"share" would be there twice/],
    ["an unknown field", { features: share, entities: one, project: "x" }, 400, /additional properties: "project"/],
    ["a list", [], 400, /body must be object/],
  ])("refuses %s", async (_, payload, status, message) => {
    const { status: given, body } = await ask(payload);
    expect([given, Object.keys(body)]).toEqual([status, ["error", "code", "message", "details"]]);
    expect(body.message).toMatch(message);
  });

  it("keeps equal names apart by their views", async () => {
    const features = ["profile:name", "profile:name"];
    const entities = { user: [1], active: [true] };
    expect((await ask({ features, entities, full_feature_names: true })).body.message).toMatch(
      /name each of them once/,
    );
  });
});

describe("/push", () => {
  it("is not there yet, and says so", async () => {
    const response = await app.inject({ method: "POST", url: "/push", payload: { push_source_name: "x", df: {} } });
    expect([response.statusCode, response.json().code]).toEqual([501, "UNSUPPORTED"]);
  });
});
