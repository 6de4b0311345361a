import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningServer, startServer } from "../../../cluster/server/server.ts";
import { clock, ServedStore, serverConfig } from "./served_store.ts";
import { recorded } from "./tecton_recorded.ts";

const store = await ServedStore.open();
let server: RunningServer;

beforeAll(async () => {
  await store.publish();
  const serving = await store.serving();
  server = await startServer({ serving, workspace: "default", clock, config: serverConfig, logger: store.logger });
});
afterAll(async () => {
  await server.close();
  await store.close();
});

/** Sends what was recorded. */
async function replay(name: keyof typeof recorded) {
  const { path, headers, body } = recorded[name];
  const response = await fetch(server.url + path, {
    method: "POST",
    headers: { ...headers, authorization: "Tecton-key k" },
    body,
  });
  // deno-lint-ignore no-explicit-any
  return { status: response.status, words: response.statusText, body: await response.json() as any };
}

interface DataType {
  readonly type: string;
  readonly elementType?: DataType;
}

/** What the clients make of a value of a type, or fail as they do. */
function read(value: unknown, { type, elementType }: DataType): unknown {
  if (value === null) return null;
  const wrong = () => new TypeError(`${JSON.stringify(value)} is no ${type}`);
  switch (type) {
    case "int64":
      if (typeof value !== "string") throw wrong();
      return BigInt(value);
    case "float64":
      if (typeof value !== "number" && !["NaN", "Infinity", "-Infinity"].includes(String(value))) throw wrong();
      return value;
    case "boolean":
      if (typeof value !== "boolean") throw wrong();
      return value;
    case "string":
    case "timestamp":
      if (typeof value !== "string") throw wrong();
      return value;
    case "array":
      return (value as unknown[]).map((element) => read(element, elementType!));
  }
  throw new TypeError(`no client knows ${type}`);
}

/** A vector as `{ "view.feature": value }`. */
// deno-lint-ignore no-explicit-any
function vector(features: readonly unknown[], metadata: any): Record<string, unknown> {
  expect(metadata.features).toHaveLength(features.length);
  return Object.fromEntries(
    features.map((value, i) => {
      const { name, dataType } = metadata.features[i];
      // The Java client splits names at their point.
      expect(name.split(".")).toHaveLength(2);
      return [name, read(value, dataType)];
    }),
  );
}

const zoe = {
  "shop_stats.label": "a.b",
  "shop_stats.level": -3n,
  "shop_stats.names": ["x", ""],
  "shop_stats.open": true,
  "shop_stats.ratio": 0.5,
  "shop_stats.recent": [9007199254740993n, 2n],
  "shop_stats.sales": 9007199254740995n,
  "shop_stats.share": 0.25,
  "shop_stats.vector": [0.5, -1],
};
const nulls = Object.fromEntries(Object.keys(zoe).map((name) => [name, null]));
const slo = {
  sloEligible: expect.any(Boolean),
  serverTimeSeconds: expect.any(Number),
  sloServerTimeSeconds: expect.any(Number),
  storeMaxLatency: expect.any(Number),
};

describe("the public clients of Tecton", () => {
  it.each(["python with all metadata", "java with all metadata"] as const)("%s", async (name) => {
    const { status, body } = await replay(name);
    expect(status).toBe(200);
    expect(vector(body.result.features, body.metadata)).toEqual(zoe);
    expect(body.metadata.sloInfo).toMatchObject({ ...slo, storeResponseSizeBytes: expect.any(Number) });
    for (const feature of body.metadata.features) {
      expect(feature).toMatchObject({ status: "PRESENT", effectiveTime: "2001-01-05T00:00:00Z", tags: {} });
    }
  });

  it("java with its own choice of metadata", async () => {
    const { body } = await replay("java with its own choice of metadata");
    expect(vector(body.result.features, body.metadata)).toEqual(zoe);
  });

  it.each(
    [
      ["python with text for an integer, and nulls stored", "PRESENT"],
      ["python with a null key", "MISSING_DATA"],
      ["java with a null key and options", "MISSING_DATA"],
    ] as const,
  )("%s", async (name, status) => {
    const { body } = await replay(name);
    expect(vector(body.result.features, body.metadata)).toEqual(nulls);
    expect(new Set(body.metadata.features.map((feature: { status: string }) => feature.status))).toEqual(
      new Set([status]),
    );
  });

  it("python with a large integer as a number", async () => {
    const { body } = await replay("python with a large integer as a number");
    expect(vector(body.result.features, body.metadata)).toMatchObject({
      "profile.visits": 9007199254740995n,
      "profile.level": 7n,
      "profile.score": "NaN",
      "profile.seen": "2001-01-02T05:00:00.000001Z",
    });
  });

  it.each(["python without metadata", "python with all options"] as const)("%s", async (name) => {
    expect((await replay(name)).body).toEqual({ result: { features: ["Zoë", "9007199254740995"] } });
  });

  it.each(
    [
      ["java with a batch of three", [zoe, nulls, nulls], ["PRESENT", "PRESENT", "MISSING_DATA"]],
      ["java with a batch of one", [nulls], ["MISSING_DATA"]],
      [
        "java with a batch of five",
        [zoe, nulls, nulls, nulls, zoe],
        ["PRESENT", "PRESENT", "MISSING_DATA", "MISSING_DATA", "PRESENT"],
      ],
    ] as const,
  )("%s", async (name, rows, statuses) => {
    const { status, body } = await replay(name);
    expect(status).toBe(200);
    expect(body.result.map(({ features }: { features: unknown[] }) => vector(features, body.metadata))).toEqual(rows);
    expect(body.metadata.sloInfo).toEqual(rows.map(() => expect.objectContaining(slo)));
    expect(body.metadata.batchSloInfo).toMatchObject(slo);
    const newest = statuses.includes("PRESENT" as never) ? "2001-01-05T00:00:00Z" : null;
    for (const feature of body.metadata.features) {
      // One time for all rows: the Java client refuses a list there.
      expect(feature.effectiveTime).toBe(newest);
      expect(feature.status).toEqual(statuses);
    }
  });

  it.each(["python asking for metadata", "java asking for metadata"] as const)("%s", async (name) => {
    const { body } = await replay(name);
    expect(body.featureServiceType).toBe("DEFAULT");
    expect(body.inputJoinKeys).toEqual([
      { name: "shop", dataType: { type: "string" } },
      { name: "region", dataType: { type: "int64" } },
    ]);
    expect(body.inputRequestContextKeys).toEqual([]);
    expect(body.featureValues.map(({ name }: { name: string }) => name)).toEqual(Object.keys(zoe));
    expect(body.featureValues[2].dataType).toEqual({ type: "array", elementType: { type: "string" } });
  });

  it.each(
    [
      ["python with an unknown service", 404, /^Cannot read service "none": services are/],
      ["python with an unknown workspace", 404, /^Cannot read workspace "prod": this server serves "default"/],
      ["java with an unknown service", 404, /^Cannot read service "none": services are/],
      ["java with an unknown workspace", 404, /^Cannot read workspace "prod": this server serves "default"/],
      ["java without a join key", 400, /join key "region" is missing; join keys are shop string, region int32/],
      ["java with a wrong row in a batch", 400, /"shöp" is no join key of it.*\(row 1 of 2, from 0\)/],
    ] as const,
  )("%s is told so", async (name, status, message) => {
    const answer = await replay(name);
    expect(answer.status).toBe(status);
    expect(answer.body.message).toMatch(message);
    // The Java client drops the body of an error and shows the status line.
    const words = answer.body.message.replace("ö", "?");
    expect(answer.words).toBe(name.startsWith("java") ? words : status === 404 ? "Not Found" : "Bad Request");
  });

  it("never saw a failure inside", () => {
    expect(store.logger.lines.filter((line) => JSON.stringify(line).includes("request failed"))).toEqual([]);
  });
});
