/** The HTTP server: what all routes share; every dialect has a file of its own. */
import { randomUUID } from "node:crypto";
import { isIP } from "node:net";
import { messageOf, VarveError } from "varve";
import type { ServerConfig } from "../config.ts";
import type { Logger } from "../log.ts";
import { Connections } from "./connections.ts";
import { answerBadHttp, errorAnswer } from "./errors_http.ts";
import { fastify } from "./fastify.ts";
import type { FastifyInstance, FastifyReply } from "./fastify.ts";
import { guard } from "./guard.ts";
import type { ServerState } from "./guard.ts";
import { healthRoutes } from "./health.ts";
import { readJsonOnly } from "./json_body.ts";
import { describeApi } from "./openapi.ts";
import { tectonRoutes } from "./tecton.ts";
import type { ReadRoutes } from "./tecton.ts";

export type { ServerState } from "./guard.ts";

export interface ServerOptions extends ReadRoutes {
  readonly logger: Logger;
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

/** Starts the server; `close()` it, and close the serving store after it. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  refuseOpenAddress(options.config);
  const state: ServerState = { closing: false };
  const app = createApp(options, state);
  const connections = new Connections(app.server);
  let url: string;
  try {
    url = await app.listen({ host: options.config.host, port: options.config.port });
  } catch (error) {
    await app.close();
    throw cannotListen(error, options.config);
  }
  options.logger.info({ url }, "listening");
  const close = async () => {
    state.closing = true;
    await connections.emptied(drainMs);
    const closed = app.close();
    connections.cutIdle();
    await closed;
    options.logger.info({ url }, "stopped listening");
  };
  let closed: Promise<void> | undefined;
  return { url, close: () => closed ??= close() };
}

/** The routes, without a socket: what tests inject requests into. */
export function createApp(options: ServerOptions, state: ServerState = { closing: false }): FastifyInstance {
  const { config } = options;
  const app = fastify({
    logger: false,
    bodyLimit: config.bodyLimitBytes,
    // A client that sends its request slowly must not hold a socket for ever.
    connectionTimeout: 10_000,
    requestTimeout: 10_000,
    keepAliveTimeout: 72_000,
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
  readJsonOnly(app);
  guard(app, state, options.logger);
  describeApi(app);
  void app.register(healthRoutes, { serving: options.serving, config, state });
  void app.register(tectonRoutes, options);
  return app;
}

/** The client's own id where it is a reasonable one: it leads from an answer to the log. */
function requestId(request: { readonly headers: Readonly<Record<string, unknown>> }): string {
  const given = request.headers["x-request-id"];
  return typeof given === "string" && /^[\w.:/+=-]{1,128}$/.test(given) ? given : randomUUID();
}

function cannotListen(error: unknown, { host, port }: ServerConfig): VarveError {
  const taken = (error as { code?: string }).code === "EADDRINUSE";
  const why = taken ? "another process does; set VARVE_PORT, or 0 for any free port" : messageOf(error);
  return new VarveError(taken ? "CONFLICT" : "INVALID_CONFIG", `Cannot listen on ${host}:${port}: ${why}`, {
    cause: error,
  });
}

/** Requests are not authenticated: listening beyond this computer takes an explicit word. */
function refuseOpenAddress(config: ServerConfig): void {
  const { host } = config;
  const loopback = host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
  if (loopback || config.allowUnauthenticated) return;
  throw new VarveError(
    "INVALID_CONFIG",
    `Cannot listen on ${host}: requests are not authenticated; listen on 127.0.0.1, or set VARVE_ALLOW_UNAUTHENTICATED=true where the network is closed`,
  );
}
