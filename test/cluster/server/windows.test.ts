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

async function ask(url: string, payload: object) {
  const response = await app.inject({ method: "POST", url, payload });
  expect(response.statusCode, response.body).toBe(200);
  return response.json();
}

describe("aggregates over windows", () => {
  it("come by Tecton's rules: counts as text, structs as lists", async () => {
    const metadataOptions = { includeNames: true, includeDataTypes: true, includeServingStatus: true };
    const joinKeyMaps = [{ shop: "Zoë's", region: 7 }, { shop: "none", region: 7 }, { shop: null, region: 7 }];
    const { result, metadata } = await ask("/api/v1/feature-service/get-features-batch", {
      params: {
        featureServiceName: "sold",
        metadataOptions,
        requestData: joinKeyMaps.map((joinKeyMap) => ({ joinKeyMap })),
      },
    });
    const counted = {
      type: "struct",
      fields: [{ name: "value", dataType: { type: "string" } }, { name: "count", dataType: { type: "int64" } }],
    };
    const statuses = {
      status: ["PRESENT", "MISSING_DATA", "MISSING_DATA"],
      reason: ["PRESENT", "MISSING", "NULL_KEY"],
    };
    expect(metadata.features).toEqual([
      { name: "traffic.labels_2d", dataType: { type: "array", elementType: counted }, ...statuses },
      { name: "traffic.lastLabels_2d", dataType: { type: "array", elementType: { type: "string" } }, ...statuses },
      { name: "traffic.mean_1d", dataType: { type: "float64" }, ...statuses },
      { name: "traffic.mean_2d", dataType: { type: "float64" }, ...statuses },
      { name: "traffic.sold_1d", dataType: { type: "int64" }, ...statuses },
    ]);
    expect(result).toEqual([
      { features: [[["a", "2"], ["b", "1"]], ["b", "a"], null, 1.75, "1"] },
      // Over nothing counts are 0 and lists empty (S7).
      { features: [[], [], null, null, "0"] },
      { features: [[], [], null, null, "0"] },
    ]);
  });

  it("come by Feast's rules: counts as numbers, structs as objects", async () => {
    const { metadata, results } = await ask("/get-online-features", {
      features: ["traffic:sold_1d", "traffic:mean_1d", "traffic:labels_2d"],
      entities: { shop: ["Zoë's", "none"], region: [7, 7] },
    });
    expect(metadata.feature_names.slice(2)).toEqual(["sold_1d", "mean_1d", "labels_2d"]);
    expect(results.slice(2).map(({ values, statuses }: Record<string, unknown>) => ({ values, statuses }))).toEqual([
      { values: [1, 0], statuses: ["PRESENT", "NOT_FOUND"] },
      { values: [null, null], statuses: ["NULL_VALUE", "NOT_FOUND"] },
      { values: [[{ value: "a", count: 2 }, { value: "b", count: 1 }], []], statuses: ["PRESENT", "NOT_FOUND"] },
    ]);
    for (const { event_timestamps } of results.slice(2)) expect(Date.parse(event_timestamps[0])).not.toBeNaN();
  });
});
