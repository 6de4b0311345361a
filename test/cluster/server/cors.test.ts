/** Pages of other origins: what browsers ask before they ask, and what they need to read an answer. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Authenticator } from "../../../cluster/server/auth.ts";
import { startServer } from "../../../cluster/server/server.ts";
import { VarveError } from "../../../sdk/errors.ts";
import { clock, ServedStore, serverConfig, url } from "./served_store.ts";

const store = await ServedStore.open();
beforeAll(() => store.publish());
afterAll(() => store.close());

const page = "https://shop.example.com";
const payload = JSON.stringify({ params: { featureServiceName: "small", joinKeyMap: { user: -1, active: false } } });
const preflight = { "access-control-request-method": "POST", "access-control-request-headers": "authorization" };

/** Asks as a browser does for a page of an origin. */
async function asking(corsOrigins: readonly string[], more: Parameters<ServedStore["app"]>[1] = {}) {
  const app = await store.app({ corsOrigins }, more);
  const read = (headers: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(Object.entries(headers).filter(([name]) => /^(access-control-|vary$)/.test(name)));
  return {
    app,
    ask: async (origin: string | undefined, path = url) => {
      const headers = { "content-type": "application/json", ...(origin !== undefined && { origin }) };
      const answer = await app.inject({ method: "POST", url: path, headers, payload });
      return { status: answer.statusCode, headers: read(answer.headers) };
    },
    before: async (origin: string) => {
      const answer = await app.inject({ method: "OPTIONS", url, headers: { origin, ...preflight } });
      return { status: answer.statusCode, headers: read(answer.headers), body: answer.body };
    },
  };
}

const readable = {
  "access-control-allow-origin": page,
  "access-control-expose-headers": "retry-after, x-request-id",
  vary: "Origin",
};

describe("a page of an origin that is named", () => {
  it("is told before that it may ask, and may read what is answered, errors too", async () => {
    const { ask, before } = await asking(["http://localhost:3000", page]);
    expect(await before(page)).toEqual({
      status: 204,
      body: "",
      headers: {
        "access-control-allow-origin": page,
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "authorization, content-type, x-request-id",
        "access-control-max-age": "7200",
        vary: "Origin",
      },
    });
    expect(await ask(page)).toEqual({ status: 200, headers: readable });
    expect(await ask(page, "/nowhere")).toEqual({ status: 404, headers: readable });
  });

  it("may read that its key is refused, and needs none to be told that it may ask", async () => {
    const refusal = new VarveError("UNAUTHENTICATED", "no key", { details: { reason: "absent" } });
    const auth = {
      authenticate: () => {
        throw refusal;
      },
    } as unknown as Authenticator;
    const { ask, before } = await asking([page], { auth });
    expect((await before(page)).status).toBe(204);
    expect(await ask(page)).toEqual({ status: 401, headers: readable });
  });
});

describe("a page of another origin", () => {
  it("may not, whatever its origin looks like, and hears of none that may", async () => {
    const { ask, before } = await asking([page]);
    for (
      const origin of ["https://evil.example.com", `${page}.evil.com`, `${page}:444`, "http://shop.example.com", "null"]
    ) {
      expect(await before(origin)).toMatchObject({ status: 405, headers: { vary: "Origin" } });
      expect(await ask(origin)).toEqual({ status: 200, headers: { vary: "Origin" } });
    }
    expect(await ask(undefined)).toEqual({ status: 200, headers: { vary: "Origin" } });
  });

  it("may not where none is named", async () => {
    const { ask, before } = await asking([]);
    expect(await before(page)).toMatchObject({ status: 405, headers: {} });
    expect(await ask(page)).toEqual({ status: 200, headers: {} });
  });
});

describe("pages of all origins", () => {
  it("may ask where all are meant", async () => {
    const { ask, before } = await asking(["*"]);
    expect((await before(page)).headers["access-control-allow-origin"]).toBe("*");
    expect((await ask("https://other.example.com")).headers["access-control-allow-origin"]).toBe("*");
  });

  it("may not without keys: every page could read what this computer may", async () => {
    const config = { ...serverConfig, corsOrigins: ["*"] };
    const options = { serving: await store.serving(), workspace: "default", clock, config, logger: store.logger };
    await expect(startServer(options)).rejects.toMatchObject({
      code: "INVALID_CONFIG",
      message: expect.stringMatching(/name the origins in VARVE_CORS_ORIGINS, or set VARVE_AUTH=on/),
    });
  });
});
