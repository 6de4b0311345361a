import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { FastifyInstance } from "fastify";
import { Authenticator } from "../../../cluster/server/auth.ts";
import { ServerMetrics } from "../../../cluster/server/metrics.ts";
import { keyScopes } from "../../../sdk/registry/api_key.ts";
import { VarveError } from "../../../sdk/errors.ts";
import { KeyRing, type NewKey } from "../../../sdk/registry/key_ring.ts";
import { ManualClock } from "../../../sdk/time.ts";
import { LogRecorder } from "../../support/log_recorder.ts";
import { MemoryStore } from "../../support/memory_store.ts";
import { ServedStore, url } from "./served_store.ts";

const start = "2026-03-01T12:00:00Z";
const payload = { params: { featureServiceName: "small", joinKeyMap: { user: -1, active: false } } };
const here = { workspaces: ["default"] };

let store: ServedStore;
let objects: MemoryStore;
let clock: ManualClock;
let ring: KeyRing;
let auth: Authenticator;
let app: FastifyInstance;
let metrics: ServerMetrics;
let problems: unknown[];
let log: LogRecorder;

beforeAll(async () => {
  store = await ServedStore.open();
  await store.publish();
});
afterAll(() => store.close());

beforeEach(async () => {
  objects = new MemoryStore();
  clock = new ManualClock(start);
  // Keys are made by somebody else than who serves.
  ring = new KeyRing({ store: objects, author: "ana", clock });
  const followed = new KeyRing({ store: objects, author: "server", clock });
  problems = [];
  await followed.state();
  const onProblem = (error: unknown) => problems.push(error);
  auth = new Authenticator({ ring: followed, workspace: "default", clock, onProblem, pollMs: 1 });
  metrics = new ServerMetrics({ version: "1", workspace: "default" });
  log = new LogRecorder();
  app = await store.app({ accessLog: "all" }, { auth, metrics, logger: log });
  return () => auth.stop();
});

async function ask(authorization?: string, path = url) {
  const headers = { "content-type": "application/json", ...(authorization !== undefined && { authorization }) };
  const response = path === url
    ? await app.inject({ method: "POST", url, payload, headers })
    : await app.inject({ url: path, headers });
  return { status: response.statusCode, text: response.body, headers: response.headers };
}

/** A key that the server has heard of. */
async function made(key: Partial<NewKey> = {}): Promise<{ id: string; text: string; name: string }> {
  const { key: { id, name }, text } = await ring.create({ name: `key${ring.cached.keys.size}`, ...here, ...key });
  await expect.poll(async () => (await ask(`Bearer ${text}`)).text).not.toContain("there is none like it");
  return { id, name, text };
}

describe("a server with API keys", () => {
  it("answers by either scheme, in any case", async () => {
    const { text } = await made();
    for (const scheme of ["Bearer", "Tecton-key", "bearer", "TECTON-KEY"]) {
      expect((await ask(`${scheme} ${text}`)).status).toBe(200);
    }
    expect((await ask(`Bearer   ${text}  `)).status).toBe(200);
    // What was accepted is in no log either.
    expect(log.lines.length).toBeGreaterThan(4);
    expect(JSON.stringify(log.lines)).not.toContain(text.slice(16, 40));
  });

  it("refuses whoever has none, and says the way out", async () => {
    for (const header of [undefined, ""]) {
      const { status, text, headers } = await ask(header);
      expect(status).toBe(401);
      expect(headers["www-authenticate"]).toBe('Bearer realm="varve"');
      expect(JSON.parse(text)).toEqual({
        error: "Unauthorized",
        code: "UNAUTHENTICATED",
        message: expect.stringMatching(/send "Authorization: Bearer KEY".*varve keys create/),
        details: { reason: "absent" },
      });
    }
  });

  it("refuses what is no key, and never repeats it", async () => {
    const { text } = await made();
    const strange = [text, `Basic ${text}`, `Bearer ${text} ${text}`, `Bearer${text}`, "Bearer", "Bearer  ", "\u00e9"];
    const unknown = [`${text.slice(0, -1)}x`, text.slice(0, -1), `${text}0`, "a", "x".repeat(256), text.toUpperCase()];
    const answers = await Promise.all(
      [...strange, ...unknown.map((each) => `Bearer ${each}`)].map((each) => ask(each)),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(answers.length).fill(401));
    const reasons = answers.map((answer) =>
      (JSON.parse(answer.text) as { details: { reason: string } }).details.reason
    );
    expect(reasons).toEqual([...strange.map(() => "malformed"), ...unknown.map(() => "unknown")]);
    for (const answer of answers) {
      expect(answer.text).not.toContain(text.slice(16, 40));
      expect(answer.headers["www-authenticate"]).toMatch(/^Bearer realm="varve", error="invalid_(request|token)"$/);
    }
    expect(JSON.stringify(log.lines)).not.toContain(text.slice(16, 40));
  });

  it("asks for the scope of the route, and for the workspace that is served", async () => {
    const read = await made({ scopes: ["read"] });
    const admin = await made({ scopes: ["admin"], workspaces: "all" });
    const others = await made({ scopes: ["ingest", "publish"] });
    const elsewhere = await made({ scopes: ["admin"], workspaces: ["prod", "staging"] });
    expect([(await ask(`Bearer ${read.text}`)).status, (await ask(`Bearer ${admin.text}`)).status]).toEqual([200, 200]);
    const wrongScope = await ask(`Bearer ${others.text}`);
    expect([wrongScope.status, JSON.parse(wrongScope.text)]).toEqual([403, {
      error: "Forbidden",
      code: "FORBIDDEN",
      message: expect.stringMatching(new RegExp(`"${others.name}".*has scope ingest, publish, and this takes read`)),
      details: { reason: "scope", scope: "read" },
    }]);
    const wrongPlace = await ask(`Bearer ${elsewhere.text}`);
    expect([wrongPlace.status, JSON.parse(wrongPlace.text)]).toMatchObject([403, {
      message: expect.stringContaining('it is not for workspace "default"'),
      details: { reason: "workspace", workspace: "default" },
    }]);
    for (const scope of keyScopes) {
      const { text } = await made({ scopes: [scope] });
      const accepted = keyScopes.filter((wanted) => {
        try {
          return auth.authenticate(`Bearer ${text}`, wanted);
        } catch {
          return false;
        }
      });
      expect(accepted).toEqual(scope === "admin" ? [...keyScopes] : [scope]);
    }
  });

  it("learns of new, rotated and revoked keys while it runs", async () => {
    const { text, id } = await made();
    const rotated = await ring.rotate(id, { overlap: "1h" });
    await expect.poll(async () => (await ask(`Bearer ${rotated.text}`)).status).toBe(200);
    expect((await ask(`Bearer ${text}`)).status).toBe(200);
    clock.advance("1h");
    expect(await ask(`Bearer ${text}`)).toMatchObject({
      status: 401,
      text: expect.stringMatching(/was rotated at 2026-03-01T12:00:00Z.*use the new one/),
    });
    await ring.revoke(id);
    await expect.poll(async () => (await ask(`Bearer ${rotated.text}`)).text).toMatch(
      /was revoked at 2026-03-01T13:00/,
    );
  });

  it("refuses a key from its end on, by the clock of keys and not by that of features", async () => {
    const { text } = await made({ expiresIn: "30d" });
    clock.set("2026-03-31T11:59:59.999Z");
    expect((await ask(`Bearer ${text}`)).status).toBe(200);
    clock.set("2026-03-31T12:00:00Z");
    expect(await ask(`Bearer ${text}`)).toMatchObject({
      status: 401,
      text: expect.stringMatching(/expired at 2026-03-31T12:00:00Z; .*varve keys rotate/),
    });
  });

  it("judges what comes on one connection anew when the key, the keys or the time change", async () => {
    const connection = {};
    const judged = (text: string): string => {
      try {
        return auth.authenticate(`Bearer ${text}`, "read", connection).name;
      } catch (error) {
        return String((error as VarveError).details["reason"]);
      }
    };
    const [first, second] = [await made(), await made({ expiresIn: "1h" })];
    const ingest = await made({ scopes: ["ingest"] });
    const wrong = `${first.text.slice(0, -1)}${first.text.endsWith("0") ? "1" : "0"}`;
    for (let i = 0; i < 2; i++) {
      expect([judged(first.text), judged(first.text), judged(wrong)]).toEqual([first.name, first.name, "unknown"]);
      expect([judged(first.text), judged(second.text), judged(second.text)]).toEqual([
        first.name,
        second.name,
        second.name,
      ]);
      // Who it is is remembered, not what for.
      expect([judged(ingest.text), judged(ingest.text)]).toEqual(["scope", "scope"]);
    }
    expect(judged(second.text)).toBe(second.name);
    clock.advance("1h");
    expect(judged(second.text)).toBe("expired");
    expect(judged(first.text)).toBe(first.name);
    await ring.revoke(first.id);
    await expect.poll(() => judged(first.text)).toBe("revoked");
  });

  it("goes on with the keys it knows while the store is down, and says so", async () => {
    const { text } = await made();
    objects.faults.failReads = Infinity;
    await expect.poll(() => problems.length).toBeGreaterThan(2);
    expect((await ask(`Bearer ${text}`)).status).toBe(200);
    objects.faults.failReads = 0;
    await made();
  });

  it("lets everybody ask whether it lives and what its API is, and tells problems to who has a key", async () => {
    const { text } = await made({ scopes: ["ingest"] });
    for (const path of ["/health", "/ready", "/openapi.json", "/docs", "/docs/static/index.html"]) {
      expect([path, (await ask(undefined, path)).status]).toEqual([path, expect.toBeOneOf([200, 302])]);
    }
    // That there is no such route is no secret.
    expect((await ask(undefined, "/nothing")).status).toBe(404);
    const empty = await ServedStore.open();
    try {
      const other = await empty.app({}, { auth });
      const hidden = await other.inject("/ready");
      expect([hidden.statusCode, hidden.json()]).toEqual([503, {
        ready: false,
        problems: [expect.stringContaining("ask with an API key")],
        degraded: [],
      }]);
      const told = await other.inject({ url: "/ready", headers: { authorization: `Bearer ${text}` } });
      const problems = ['workspace "default" is empty: publish a service'];
      expect(told.json()).toEqual({ ready: false, problems, degraded: [] });
    } finally {
      await empty.close();
    }
  });

  it("counts refusals by reason, and logs the id of a key", async () => {
    const { id, text } = await made();
    const before = log.lines.length;
    await ask();
    await ask(`Bearer ${text}`);
    expect(log.lines.slice(before).map(({ details }) => [details["status"], details["key"]])).toEqual([
      [401, undefined],
      [200, id],
    ]);
    const { status, text: page } = await ask(`Bearer ${text}`, "/metrics");
    expect(status).toBe(200);
    expect(page).toMatch(/^varve_auth_refused_total\{reason="absent"\} 1$/m);
    expect(page).toMatch(/^varve_errors_total\{code="UNAUTHENTICATED"\} \d+$/m);
    expect((await ask(undefined, "/metrics")).status).toBe(401);
    expect((await ask(`Bearer ${(await made({ scopes: ["ingest"] })).text}`, "/metrics")).status).toBe(403);
  });
});

describe("every route", () => {
  it("asks for this scope", async () => {
    const { paths } = (await app.inject("/openapi.json")).json() as { paths: Record<string, Record<string, object>> };
    // A key that may nothing is told what it would take.
    const nobody = Object.create(auth, {
      authenticate: {
        value: (_: unknown, scope: string) => {
          throw new VarveError("FORBIDDEN", "no", { details: { scope } });
        },
      },
    }) as Authenticator;
    const strict = await store.app({}, { auth: nobody, metrics });
    const scopes: Record<string, string[]> = {};
    for (const [path, methods] of Object.entries(paths)) {
      for (const method of Object.keys(methods)) {
        const answer = await strict.inject({
          method: method.toUpperCase() as "GET",
          url: path.replace(/\{\w+\}/g, "x"),
        });
        const scope = answer.statusCode === 403
          ? (answer.json() as VarveError).details["scope"] as string
          : "everybody";
        (scopes[scope] ??= []).push(`${method} ${path.split("/").at(-1)}`);
      }
    }
    const sorted = Object.fromEntries(Object.entries(scopes).map(([scope, routes]) => [scope, routes.sort()]));
    expect(sorted).toEqual({
      everybody: ["get health", "get ready"],
      ingest: ["post push"],
      publish: ["post materialize", "post materialize-incremental"],
      read: expect.arrayContaining(["get metrics", "post get-features", "post get-online-features"]),
    });
  });
});

describe("a server without authentication", () => {
  it("answers this computer only, by whatever name it is asked", async () => {
    const open = await store.app();
    const asked = async (host: string) =>
      (await open.inject({ method: "POST", url, payload, headers: { host } })).statusCode;
    for (const host of ["localhost", "LOCALHOST:80", "127.0.0.1:6566", "127.8.0.1", "[::1]:6566"]) {
      expect([host, await asked(host)]).toEqual([host, 200]);
    }
    const strange = [
      "evil.example",
      "evil.example:6566",
      "localhost.evil.example",
      "127.0.0.1.evil.example",
      "10.0.0.1",
    ];
    for (const host of [...strange, "[::2]", "::1", "a b", "localhost:x"]) {
      expect([host, await asked(host)]).toEqual([host, 403]);
    }
  });
});
