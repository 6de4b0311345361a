/** The HTTP server: what all routes share; every dialect has a file of its own. */
import { messageOf, VarveError } from "varve";
import type { ServerConfig } from "../config.ts";
import type { Logger } from "../log.ts";
import { watchLag } from "../worker/loop_lag.ts";
import type { Authenticator } from "./auth.ts";
import { Connections } from "./connections.ts";
import { allowOrigins } from "./cors.ts";
import { answerErrors } from "./error_answers.ts";
import { answerBadHttp, answerExpectation, errorAnswer } from "./errors_http.ts";
import { fastify } from "./fastify.ts";
import type { FastifyInstance, FastifyReply } from "./fastify.ts";
import { feastRoutes } from "./feast.ts";
import { materializeRoutes } from "./feast_materialize.ts";
import type { MaterializeRoutes } from "./feast_materialize.ts";
import { guard, newState } from "./guard.ts";
import type { ServerState } from "./guard.ts";
import { healthRoutes } from "./health.ts";
import { readJsonOnly } from "./json_body.ts";
import { isLoopback } from "./loopback.ts";
import type { MetricsText, ServerMetrics } from "./metrics.ts";
import { metricsRoute } from "./metrics_route.ts";
import { describeApi } from "./openapi.ts";
import { newRequestId } from "./request_id.ts";
import { tectonRoutes } from "./tecton.ts";

export type { ServerState } from "./guard.ts";

export interface ServerOptions extends MaterializeRoutes {
  readonly logger: Logger;
  /** Whose requests are answered; absent: everybody's on this computer, and nobody else's. */
  readonly auth?: Authenticator;
  readonly metrics?: ServerMetrics;
  /** All metrics at `/metrics`, where they are not this process's alone. */
  readonly gatherMetrics?: () => Promise<MetricsText>;
}

/** A server that listens. */
export interface RunningServer {
  /** `http://host:port`. */
  readonly url: string;
  /** Tells clients to go, answers what they ask meanwhile, and closes. */
  close(): Promise<void>;
}

/** How long clients have to take their last answer and go. */
const drainMs = 1_000;

/** How long a connection may take to ask that was opened while the server was closing. */
const lastMs = 500;

/** Starts the server; `close()` it, and close the serving store after it. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { config, metrics, serving, clock, auth } = options;
  if (!auth) refuseOthers(config);
  const state = newState();
  const app = createApp(options, state);
  const connections = new Connections(app.server, state, config.maxConnections);
  metrics?.follow({
    serving,
    clock,
    load: () => ({ inFlight: state.inFlight, connections: connections.count }),
    keys: () => auth?.liveKeys,
  });
  let url: string;
  try {
    url = await app.listen({ host: config.host, port: config.port });
  } catch (error) {
    await app.close();
    throw cannotListen(error, config);
  }
  const lagSteps = { limitMs: -Infinity, everyMs: 100 };
  const unwatch = watchLag(({ lagMs }) => state.lagMs = lagMs, lagSteps);
  options.logger.info({ url }, "listening");
  const close = async () => {
    state.closing = true;
    const since = performance.now();
    await connections.emptied(drainMs);
    const closed = app.close();
    connections.cutIdle(since);
    // Whoever came in the last moment has not been heard yet.
    await connections.emptied(lastMs);
    connections.cutIdle();
    await closed;
    unwatch();
    options.logger.info({ url }, "stopped listening");
  };
  let closed: Promise<void> | undefined;
  return { url, close: () => closed ??= close() };
}

/** The routes, without a socket: what tests inject requests into. */
export function createApp(options: ServerOptions, state: ServerState = newState()): FastifyInstance {
  const { config } = options;
  const app = fastify({
    logger: false,
    bodyLimit: config.bodyLimitBytes,
    // Longer than any name, also percent-encoded: how long names may be is said by the routes.
    routerOptions: { maxParamLength: 512 },
    // A client that sends its request slowly is told so; one that takes its answer slowly has twice the time.
    connectionTimeout: 2 * config.clientTimeoutMs,
    requestTimeout: config.clientTimeoutMs,
    keepAliveTimeout: 72_000,
    http: {
      headersTimeout: config.clientTimeoutMs,
      requestTimeout: config.clientTimeoutMs,
      // How soon such a client is noticed; Node looks every half minute. Well before its connection has been idle for twice the time,
      // which would end it without an answer.
      connectionsCheckingInterval: Math.min(1_000, config.clientTimeoutMs / 4),
      // Who sends no host is told so (guard.ts); Node would say nothing.
      requireHostHeader: false,
    },
    requestIdHeader: false,
    genReqId: requestId,
    // What a client asks before it has heard that the server closes is answered.
    return503OnClosing: false,
    frameworkErrors: (error, _request, reply) => {
      const { status, body } = errorAnswer(error);
      void (reply as FastifyReply).code(status).send(body);
    },
    clientErrorHandler: answerBadHttp,
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allErrors: false, allowUnionTypes: true } },
  }) as unknown as FastifyInstance;
  app.server.on("checkExpectation", answerExpectation);
  readJsonOnly(app, config);
  allowOrigins(app, config.corsOrigins);
  guard(app, state, options);
  answerErrors(app, options.logger, options.metrics);
  describeApi(app);
  const { serving, auth, metrics } = options;
  void app.register(healthRoutes, {
    serving,
    requestTimeoutMs: config.requestTimeoutMs,
    state,
    ...(auth && { auth }),
  });
  if (metrics) void app.register(metricsRoute, { gather: options.gatherMetrics ?? (() => metrics.text()) });
  void app.register(tectonRoutes, options);
  void app.register(feastRoutes, options);
  void app.register(materializeRoutes, options);
  return app;
}

/** The client's own id where it is a reasonable one: it leads from an answer to the log. */
function requestId(request: { readonly headers: Readonly<Record<string, unknown>> }): string {
  const given = request.headers["x-request-id"];
  return typeof given === "string" && /^[\w.:/+=-]{1,128}$/.test(given) ? given : newRequestId();
}

function cannotListen(error: unknown, { host, port }: ServerConfig): VarveError {
  const taken = (error as { code?: string }).code === "EADDRINUSE";
  const why = taken
    ? "another process does; choose one by --port or VARVE_PORT, or 0 for any free port"
    : messageOf(error);
  return new VarveError(taken ? "CONFLICT" : "INVALID_CONFIG", `Cannot listen on ${host}:${port}: ${why}`, {
    cause: error,
  });
}

/** Without authentication nobody but this computer may ask, whatever the network is, nor pages of everybody by its browser. */
function refuseOthers({ host, corsOrigins }: ServerConfig): void {
  if (!isLoopback(host)) {
    throw new VarveError(
      "INVALID_CONFIG",
      `Cannot listen on ${host} without authentication: others than this computer could ask; leave VARVE_AUTH=off (--no-auth) out and give clients API keys (\`varve keys create NAME\`), or listen on 127.0.0.1`,
    );
  }
  if (corsOrigins.includes("*")) {
    throw new VarveError(
      "INVALID_CONFIG",
      "Cannot let pages of all origins ask without authentication: every page that is opened on this computer could read features; name the origins in VARVE_CORS_ORIGINS, or set VARVE_AUTH=on",
    );
  }
}
