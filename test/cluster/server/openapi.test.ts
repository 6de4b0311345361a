import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ServerMetrics } from "../../../cluster/server/metrics.ts";
import type { FastifyInstance } from "../../../cluster/server/fastify.ts";
import { ServedStore } from "./served_store.ts";

const store = await ServedStore.open();
let app: FastifyInstance;

beforeAll(async () => {
  const metrics = new ServerMetrics({ version: "0", workspace: "default" });
  app = await store.app({}, { metrics });
});
afterAll(() => store.close());

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly security: readonly object[];
  readonly responses: Readonly<Record<string, object>>;
  readonly requestBody?: { readonly content: Readonly<Record<string, { example?: unknown; examples?: object }>> };
}

async function operations(): Promise<[string, Operation][]> {
  const { paths } = (await app.inject({ url: "/openapi.json" })).json() as {
    paths: Record<string, Record<string, Operation>>;
  };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [`${method} ${path}`, operation])
  );
}

describe("/openapi.json", () => {
  it("describes every route, and which key it takes", async () => {
    const first = "/api/v1/feature-service";
    const second = "/api/v2/workspaces/{workspace}/feature-services/{featureService}";
    const keyed = [{ bearer: [] }, { tectonKey: [] }];
    expect(Object.fromEntries((await operations()).map(([route, { security }]) => [route, security]))).toEqual({
      "get /health": [],
      "get /ready": [],
      "get /metrics": keyed,
      [`post ${first}/get-features`]: keyed,
      [`post ${first}/get-features-batch`]: keyed,
      [`post ${first}/metadata`]: keyed,
      [`post ${second}/get-features`]: keyed,
      [`post ${second}/get-features-batch`]: keyed,
      [`get ${second}/metadata`]: keyed,
      "post /get-online-features": keyed,
      "post /push": keyed,
      "post /materialize": keyed,
      "post /materialize-incremental": keyed,
    });
  });

  it("names every operation once, says what it is for, and how it fails", async () => {
    const all = await operations();
    expect(new Set(all.map(([, { operationId }]) => operationId)).size).toBe(all.length);
    const unavailable = expect.stringMatching(/"code":"UNAVAILABLE"/) as string;
    for (const [route, { operationId, summary, tags, responses, requestBody }] of all) {
      expect([route, operationId?.length > 0, summary?.length > 0, tags?.length]).toEqual([route, true, true, 1]);
      if (route.startsWith("post")) expect(Object.keys(responses)).toEqual(expect.arrayContaining(["4XX", "5XX"]));
      if (route.startsWith("post")) expect([route, JSON.stringify(responses["5XX"])]).toEqual([route, unavailable]);
      const content = requestBody?.content["application/json"];
      if (content) expect([route, content.example ?? content.examples]).toEqual([route, expect.any(Object)]);
    }
  });

  it("gives examples that the routes take", async () => {
    for (const [route, { requestBody }] of await operations()) {
      const payload = requestBody?.content["application/json"]?.example;
      if (payload === undefined) continue;
      const url = route.slice("post ".length).replace("{workspace}", "default").replace("{featureService}", "x");
      const response = await app.inject({ method: "POST", url, payload: payload as object });
      // Their service and view are not there; the materialize routes have no queue.
      expect([route, response.statusCode]).toEqual([route, url.startsWith("/materialize") ? 501 : 404]);
    }
  });

  it("has no key in it that leads nowhere", async () => {
    const document = (await app.inject({ url: "/openapi.json" })).json();
    const refs = JSON.stringify(document).match(/"\$ref":"[^"]*"/g)!;
    for (const ref of new Set(refs)) {
      const [, ...path] = JSON.parse(`{${ref}}`).$ref.split("/");
      expect([ref, path.reduce((at: Record<string, unknown>, key: string) => at[key] as object, document)])
        .toEqual([ref, expect.any(Object)]);
    }
  });
});

describe("/docs", () => {
  it("is a page that loads what it needs from this server alone", async () => {
    const page = await app.inject({ url: "/docs/" });
    expect(page.statusCode).toBe(200);
    expect(page.headers["content-security-policy"]).toContain("default-src 'none'; script-src 'self'");
    const parts = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address!);
    expect(parts.length).toBeGreaterThan(3);
    for (const part of parts) {
      expect(part).toMatch(/^\.\//);
      expect((await app.inject({ url: `/docs/${part.slice(2)}` })).statusCode).toBe(200);
    }
    const settings = await app.inject({ url: "/docs/static/swagger-initializer.js" });
    expect(settings.body).toContain('"validatorUrl":null');
    expect((await app.inject({ url: "/docs/json" })).json().info.title).toBe("varve");
  });
});
