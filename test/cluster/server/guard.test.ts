import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { type AccessFacts, AccessLog } from "../../../cluster/server/access_log.ts";
import { fastify } from "../../../cluster/server/fastify.ts";
import { guard, newState } from "../../../cluster/server/guard.ts";
import { checkSizes } from "../../../cluster/server/json_limits.ts";
import { ServerMetrics } from "../../../cluster/server/metrics.ts";
import type { Authenticator } from "../../../cluster/server/auth.ts";
import type { ServerOptions } from "../../../cluster/server/server.ts";
import type { ApiKey } from "../../../sdk/registry/api_key.ts";
import { VarveError } from "../../../sdk/errors.ts";
import { LogRecorder } from "../../support/log_recorder.ts";
import { ServedStore, serverConfig, url } from "./served_store.ts";

let store: ServedStore;
beforeAll(async () => {
  store = await ServedStore.open();
  await store.publish();
});
afterAll(() => store.close());

const payload = { params: { featureServiceName: "small", joinKeyMap: { user: -1, active: false } } };

describe("routes", () => {
  it("must say who may ask, or the server does not start", async () => {
    const app = fastify();
    guard(app, newState(), { config: serverConfig, logger: new LogRecorder() });
    app.get("/secrets", async () => await Promise.resolve("all of them"));
    await expect(app.ready()).rejects.toThrow(/Cannot serve \/secrets: say who may ask/);
    const good = fastify();
    guard(good, newState(), { config: serverConfig, logger: new LogRecorder() });
    good.get("/secrets", { config: { access: "admin" } }, async () => await Promise.resolve("all of them"));
    expect((await good.inject("/secrets")).body).toBe("all of them");
  });
});

describe("rate limits", () => {
  /** An authenticator that takes the header for the id of a key. */
  const anyKey = (rates: Readonly<Record<string, number>> = {}) =>
    ({
      authenticate: (
        header: string | undefined,
      ) => ({ id: header!, ratePerSecond: rates[header!] } as unknown as ApiKey),
    }) as unknown as Authenticator;

  async function open(config: Partial<typeof serverConfig>, more: Partial<ServerOptions>) {
    const metrics = new ServerMetrics({ version: "1", workspace: "default" });
    const app = await store.app(config, { metrics, ...more });
    const ask = async (authorization = "a") =>
      await app.inject({ method: "POST", url, payload, headers: { authorization } });
    return { app, ask, metrics };
  }

  it("are counted by key, told in Retry-After, and a key's own comes first", async () => {
    // So slow that no test lasts long enough for a second one.
    const slow = { ratePerSecond: 1e-4, rateBurst: 2 };
    const { app, ask, metrics } = await open(slow, { auth: anyKey({ fast: 1e6 }) });
    expect([(await ask()).statusCode, (await ask()).statusCode]).toEqual([200, 200]);
    const third = await ask();
    expect([third.statusCode, third.json()]).toEqual([429, {
      error: "Too Many Requests",
      code: "RATE_LIMITED",
      message: expect.stringMatching(/asks more than 0.0001 times a second; try again in \d+ s$/),
      details: { retryAfterSeconds: expect.any(Number), perSecond: 1e-4 },
    }]);
    expect(third.headers["retry-after"]).toBe(String((third.json() as VarveError).details["retryAfterSeconds"]));
    expect(Number(third.headers["retry-after"])).toBeGreaterThan(9_000);
    expect((await ask("other")).statusCode).toBe(200);
    for (let i = 0; i < 20; i++) expect((await ask("fast")).statusCode).toBe(200);
    // Whoever asks whether it lives is not counted.
    for (let i = 0; i < 5; i++) expect((await app.inject("/health")).statusCode).toBe(200);
    expect((await metrics.text()).text).toMatch(/^varve_rate_limited_total\{key="a"\} 1$/m);
  });

  it("count a HEAD once, as every other request", async () => {
    const { app } = await open({ ratePerSecond: 1e-4, rateBurst: 3 }, { auth: anyKey() });
    const head = async () =>
      (await app.inject({ method: "HEAD", url: "/metrics", headers: { authorization: "a" } })).statusCode;
    expect([await head(), await head(), await head(), await head()]).toEqual([200, 200, 200, 429]);
  });

  it("hold for all together where no key is asked for, and are off unless set", async () => {
    const limited = await open({ ratePerSecond: 1e-4, rateBurst: 1 }, {});
    expect([(await limited.ask()).statusCode, (await limited.ask("b")).statusCode]).toEqual([200, 429]);
    const free = await open({}, {});
    for (let i = 0; i < 50; i++) expect((await free.ask()).statusCode).toBe(200);
  });
});

describe("load", () => {
  it("is shed by requests in flight and by a late event loop; who asks for life and metrics is answered", async () => {
    const metrics = new ServerMetrics({ version: "1", workspace: "default" });
    const app = await store.app({ maxInFlight: 3, maxLoopLagMs: 200 }, { metrics });
    const ask = async () => await app.inject({ method: "POST", url, payload });
    store.state.inFlight = 2;
    store.state.lagMs = 200;
    expect((await ask()).statusCode).toBe(200);
    try {
      for (
        const [load, words] of [
          [{ inFlight: 3, lagMs: 0 }, /answers 3 requests already, its limit \(VARVE_MAX_IN_FLIGHT\)/],
          [{ inFlight: 0, lagMs: 201 }, /event loop is 201 ms late, and the limit is 200 \(VARVE_MAX_LOOP_LAG_MS\)/],
        ] as const
      ) {
        Object.assign(store.state, load);
        const refused = await ask();
        expect([refused.statusCode, refused.headers["retry-after"], refused.json()]).toEqual([503, "1", {
          error: "Service Unavailable",
          code: "UNAVAILABLE",
          message: expect.stringMatching(words),
          details: { retryAfterSeconds: 1 },
        }]);
        expect((await app.inject("/ready")).statusCode).toBe(503);
        expect((await app.inject("/health")).statusCode).toBe(200);
        expect((await app.inject("/metrics")).statusCode).toBe(200);
      }
    } finally {
      Object.assign(store.state, newState());
    }
    const { text } = await metrics.text();
    expect(text).toMatch(/^varve_shed_total\{reason="in_flight"\} 2$/m);
    expect(text).toMatch(/^varve_shed_total\{reason="loop_lag"\} 2$/m);
  });
});

describe("checkSizes()", () => {
  const limits = { maxTextLength: 5, maxListLength: 3, maxJsonDepth: 4 };
  const problem = (value: unknown): string | undefined => {
    try {
      checkSizes(value, limits);
      return undefined;
    } catch (error) {
      expect((error as VarveError).code).toBe("INVALID_REQUEST");
      return String((error as VarveError).details["variable"]);
    }
  };

  it.each<[unknown, string | undefined]>([
    ["12345", undefined],
    ["123456", "VARVE_MAX_TEXT_LENGTH"],
    [["123456"], "VARVE_MAX_TEXT_LENGTH"],
    [{ "123456": 1 }, "VARVE_MAX_TEXT_LENGTH"],
    [[1, 2, 3], undefined],
    [[1, 2, 3, 4], "VARVE_MAX_LIST_LENGTH"],
    [{ a: 1, b: 2, c: 3, d: 4 }, "VARVE_MAX_LIST_LENGTH"],
    [[[[[1]]]], undefined],
    [[[[[[]]]]], "VARVE_MAX_JSON_DEPTH"],
    [{ a: [{ a: [{}] }] }, "VARVE_MAX_JSON_DEPTH"],
    [null, undefined],
    [undefined, undefined],
    [1, undefined],
  ])("judges %j", (value, expected) => expect(problem(value)).toBe(expected));

  it("does not fall over what is deeper than any stack", () => {
    let value: unknown = 1;
    for (let i = 0; i < 1_000_000; i++) value = [value];
    expect(problem(value)).toBe("VARVE_MAX_JSON_DEPTH");
  });
});

describe("limits of requests", () => {
  it("are stated, and hold for every route before its own", async () => {
    const app = await store.app({ maxTextLength: 100, maxListLength: 10, maxJsonDepth: 8 });
    const send = async (params: object) => await app.inject({ method: "POST", url, payload: { params } });
    const answers = await Promise.all([
      send({ ...payload.params, joinKeyMap: { user: "1".repeat(101), active: true } }),
      send({ ...payload.params, joinKeyMap: Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`k${i}`, 1])) }),
      app.inject({ method: "POST", url, payload: "[".repeat(9) + "]".repeat(9), headers: json }),
      app.inject({ method: "POST", url, payload: "[".repeat(30_000) + "]".repeat(30_000), headers: json }),
    ]);
    expect(answers.map((answer) => [answer.statusCode, answer.json().code])).toEqual(
      Array(4).fill([400, "INVALID_REQUEST"]),
    );
    expect(answers.map((answer) => answer.json().message as string)).toEqual([
      expect.stringMatching(/a text has 101 characters, and the limit is 100; .* VARVE_MAX_TEXT_LENGTH/),
      expect.stringMatching(/an object has 11 elements, and the limit is 10; .* VARVE_MAX_LIST_LENGTH/),
      expect.stringMatching(/lie deeper in each other, and the limit is 8; .* VARVE_MAX_JSON_DEPTH/),
      expect.stringMatching(/VARVE_MAX_JSON_DEPTH/),
    ]);
  });
});

const json = { "content-type": "application/json" };

describe("the access log", () => {
  async function lines(accessLog: typeof serverConfig.accessLog, work: (ask: Ask) => Promise<void>) {
    const logger = new LogRecorder();
    const app = await store.app({ accessLog }, { logger });
    await work(async (params, id) => {
      const headers = { ...json, "x-request-id": id };
      await app.inject({ method: "POST", url, payload: { params }, headers });
    });
    return logger.lines.filter(({ message }) => message === "request").map(({ details }) => details);
  }
  type Ask = (params: object, id: string) => Promise<void>;
  const secret = { featureServiceName: "small", joinKeyMap: { user: "424242", active: true } };
  const wrong = { featureServiceName: "secretive", joinKeyMap: { user: "424242" } };

  it("has a line per request, and neither values nor keys nor what clients made up", async () => {
    const found = await lines("all", async (ask) => {
      await ask(secret, "one");
      await ask(wrong, "two");
    });
    const facts = { method: "POST", route: url, ms: expect.any(Number), bytes: expect.any(Number), key: undefined };
    expect(found).toEqual([
      { ...facts, requestId: "one", service: "small", status: 200 },
      { ...facts, requestId: "two", service: undefined, status: 404 },
    ]);
    expect(JSON.stringify(found)).not.toMatch(/424242|secretive/);
  });

  it("has failures alone, none, or an exact share", async () => {
    const both = async (ask: Ask) => {
      await ask(secret, "fine");
      await ask(wrong, "failed");
    };
    expect((await lines("errors", both)).map(({ requestId }) => requestId)).toEqual(["failed"]);
    expect(await lines("off", both)).toEqual([]);
    const many = async (ask: Ask) => {
      for (let i = 0; i < 20; i++) await ask(secret, `r${i}`);
    };
    expect((await lines(0.25, many)).map(({ requestId }) => requestId)).toEqual(["r3", "r7", "r11", "r15", "r19"]);
    expect(await lines(0, many)).toEqual([]);
  });

  it("is not filled by a client that fails in a loop, and says how many lines are left out", () => {
    vi.useFakeTimers({ toFake: ["performance"], now: 1_000_000 });
    onTestFinished(() => void vi.useRealTimers());
    const logger = new LogRecorder();
    const log = new AccessLog("errors", logger);
    const fail = () => log.wants(404) && log.write({ status: 404 } as AccessFacts);
    for (let i = 0; i < 200; i++) fail();
    vi.advanceTimersByTime(60);
    fail();
    expect(logger.lines.map(({ details }) => details)).toEqual([{ status: 404 }, { status: 404, untold: 199 }]);
  });
});
