/** Lets pages of other origins ask from a browser: those that are named, and no others. */
import type { FastifyInstance } from "./fastify.ts";

/** For how long a browser need not ask again whether it may, in seconds; Chromium takes no more. */
const maxAgeSeconds = "7200";

/** Adds the hook, where there are such origins; call it before everything that may refuse a request: a refusal is read, too. */
export function allowOrigins(app: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return;
  const allowed = new Set(origins);
  const all = allowed.has("*");
  app.addHook("onRequest", (request, reply, done) => {
    const { origin } = request.headers;
    if (!all) reply.header("vary", "Origin");
    if (origin === undefined || !(all || allowed.has(origin))) return done();
    reply.header("access-control-allow-origin", all ? "*" : origin);
    if (request.method !== "OPTIONS" || request.headers["access-control-request-method"] === undefined) {
      reply.header("access-control-expose-headers", "retry-after, x-request-id");
      return done();
    }
    // A browser asks first whether it may, without the key. It answers nobody, and is no request to a route.
    reply.header("access-control-allow-methods", "GET, POST");
    reply.header("access-control-allow-headers", "authorization, content-type, x-request-id");
    reply.header("access-control-max-age", maxAgeSeconds);
    void reply.code(204).send();
  });
}
