/** What every request passes before its route, and every answer after it: keys, limits, metrics, the access log. */
import { VarveError } from "varve";
import type { ApiKey, KeyScope } from "varve/serving";
import type { ServerConfig } from "../config.ts";
import type { Logger } from "../log.ts";
import { AccessLog } from "./access_log.ts";
import type { Authenticator } from "./auth.ts";
import { authRefusal } from "./auth.ts";
import { clientError } from "./errors_http.ts";
import type { FastifyInstance, FastifyRequest, onRequestHookHandler, RouteOptions } from "./fastify.ts";
import { isLoopbackHost } from "./loopback.ts";
import type { ServerMetrics } from "./metrics.ts";
import { RateLimiter } from "./rate_limit.ts";

/** Who may ask for a route: everybody, or whoever has an API key with this scope. */
export type Access = "everybody" | KeyScope;

declare module "fastify" {
  interface FastifyContextConfig {
    /** Who may ask; every route must say so. */
    access?: Access;
    /** Answered also when the server sheds load: somebody must be able to see that it does. */
    unshed?: boolean;
  }
  interface FastifyRequest {
    /** `performance.now()` when it came in. */
    startedAt: number;
    /** The feature service that it reads, once that is known to exist: a label of the metrics. */
    service: string | undefined;
    /** Its API key, where one was asked for. */
    apiKey: ApiKey | undefined;
    /** Its route, where there is one: `routeOptions` makes a new object every time it is looked at. */
    route: RouteOptions | undefined;
  }
}

/** What changes while the server runs. */
export interface ServerState {
  /** It has been told to end. */
  closing: boolean;
  /** Requests that are being answered. */
  inFlight: number;
  /** How late the event loop was when it was looked at last. */
  lagMs: number;
}

/** The state of a server that begins. */
export function newState(): ServerState {
  return { closing: false, inFlight: 0, lagMs: 0 };
}

/** What requests are measured against. */
export interface GuardOptions {
  readonly config: ServerConfig;
  readonly logger: Logger;
  /** Absent: everybody on this computer may ask for everything. */
  readonly auth?: Authenticator;
  readonly metrics?: ServerMetrics;
  /** Milliseconds that never go back. @default performance.now */
  readonly now?: () => number;
}

/** Adds the hooks; call it before routes are added. */
export function guard(app: FastifyInstance, state: ServerState, options: GuardOptions): void {
  const { config, metrics } = options;
  const admit = admitter(state, options);
  const accessLog = new AccessLog(config.accessLog, options.logger);
  app.decorateRequest("route", undefined);
  app.decorateRequest("startedAt", 0);
  app.decorateRequest("service", undefined);
  app.decorateRequest("apiKey", undefined);
  onEveryRoute(app, (route, request) => {
    request.startedAt = performance.now();
    request.route = route;
    admit(route, request);
  });
  app.addHook("onSend", (request, reply, payload, done) => {
    reply.header("x-request-id", request.id);
    // A kept-alive connection would hold close() until it times out: tell clients to let go.
    if (state.closing) reply.header("connection", "close");
    const status = reply.statusCode;
    const ms = request.startedAt === 0 ? 0 : performance.now() - request.startedAt;
    const route = request.route?.url;
    metrics?.answered(route, request.service, status, ms / 1_000);
    if (accessLog.wants(status)) {
      accessLog.write({
        requestId: request.id,
        method: request.method,
        route,
        service: request.service,
        status,
        ms: Math.round(ms * 1_000) / 1_000,
        bytes: byteLength(payload),
        key: request.apiKey?.id,
      });
    }
    done();
  });
}

/**
 * Runs before every route; what is thrown is answered. A route whose author forgot to say who may ask must not be open to more
 * than was meant: the server does not start. That there is no such route is no secret, and is not asked here.
 */
function onEveryRoute(app: FastifyInstance, work: (route: RouteOptions, request: FastifyRequest) => void): void {
  const routes: RouteOptions[] = [];
  const ours = new WeakSet<object>();
  app.addHook("onRoute", (route) => {
    routes.push(route);
    const hook: onRequestHookHandler = (request, _reply, done) => {
      try {
        work(route, request);
      } catch (error) {
        return done(error as Error);
      }
      done();
    };
    ours.add(hook);
    // A HEAD route is made of its GET route, hook included.
    const others = [route.onRequest ?? []].flat().filter((other) => !ours.has(other));
    route.onRequest = [hook, ...others];
  });
  app.addHook("onReady", (done) => {
    const open = routes.filter(({ config }) => config?.access === undefined).map(({ url }) => url);
    if (open.length === 0) return done();
    done(new Error(`Cannot serve ${[...new Set(open)].join(", ")}: say who may ask, as config: { access }`));
  });
}

/** Throws unless a request may go on to its route. */
function admitter(
  state: ServerState,
  { config, auth, metrics, now }: GuardOptions,
): (route: RouteOptions, request: FastifyRequest) => void {
  const limiter = new RateLimiter(now);
  const common = config.ratePerSecond;
  return ({ config: routeConfig }, request) => {
    const access = routeConfig!.access!;
    if (!routeConfig!.unshed) shed(state, config, metrics);
    if (request.headers.host === undefined && request.raw.httpVersionMinor === 1) {
      throw clientError(400, "it has no host header, which HTTP/1.1 asks for");
    }
    if (auth === undefined) {
      // Also for /health: nobody else can reach it by an honest name.
      if (!isLoopbackHost(request.headers.host)) throw strangeHost();
    } else if (access !== "everybody") {
      try {
        request.apiKey = auth.authenticate(request.headers.authorization, access, request.raw.socket);
      } catch (error) {
        const reason = authRefusal(error);
        if (reason !== undefined) metrics?.refused(reason);
        throw error;
      }
    }
    const perSecond = request.apiKey?.ratePerSecond ?? common;
    if (access === "everybody" || perSecond === undefined) return;
    const id = request.apiKey?.id ?? "none";
    try {
      limiter.take(id, { perSecond, burst: config.rateBurst ?? perSecond });
    } catch (error) {
      metrics?.rateLimited(id);
      throw error;
    }
  };
}

/** Load that cannot be answered in time is better refused at once: whoever asks can go elsewhere. */
function shed(state: ServerState, config: ServerConfig, metrics: ServerMetrics | undefined): void {
  const late = state.lagMs > config.maxLoopLagMs;
  if (!late && state.inFlight < config.maxInFlight) return;
  metrics?.shed(late ? "loop_lag" : "in_flight");
  const why = late
    ? `its event loop is ${state.lagMs} ms late, and the limit is ${config.maxLoopLagMs} (VARVE_MAX_LOOP_LAG_MS)`
    : `it answers ${config.maxInFlight} requests already, its limit (VARVE_MAX_IN_FLIGHT)`;
  throw new VarveError(
    "UNAVAILABLE",
    `Cannot answer now: the server is overloaded: ${why}; try again in a second, or start more servers`,
    { details: { retryAfterSeconds: 1 } },
  );
}

function strangeHost(): VarveError {
  return new VarveError(
    "FORBIDDEN",
    "Cannot answer a request to another host than this computer: authentication is off; ask for 127.0.0.1 or localhost, or start the server with VARVE_AUTH=on",
  );
}

function byteLength(payload: unknown): number | undefined {
  if (typeof payload === "string" || payload instanceof Uint8Array) return Buffer.byteLength(payload);
  return payload === null || payload === undefined ? 0 : undefined;
}
