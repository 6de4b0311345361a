/** The HTTP server: Tecton's `get-features`, `/health` and `/ready`; the door to fastify. */
import { isIP } from "node:net";
import underPressure from "@fastify/under-pressure";
import fastify from "fastify";
import type { FastifyInstance } from "fastify";
import { VarveError } from "varve";
import type { Clock } from "varve";
import type { Serving } from "varve/serving";
import type { ServerConfig } from "../config.ts";
import type { Logger } from "../log.ts";
import { errorAnswer } from "./errors_http.ts";
import { getFeatures } from "./get_features.ts";
import { getFeaturesSchema, readParams } from "./get_features_schema.ts";

export interface ServerOptions {
  readonly serving: Serving;
  readonly workspace: string;
  readonly clock: Clock;
  readonly config: ServerConfig;
  readonly logger: Logger;
}

/** A server that listens. */
export interface RunningServer {
  /** `http://host:port`. */
  readonly url: string;
  /** Stops taking requests, answers those in flight, and closes. */
  close(): Promise<void>;
}

/** Starts the server; `close()` it, and close the serving store after it. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  refuseOpenAddress(options.config);
  const app = createApp(options);
  await app.register(underPressure, { maxEventLoopDelay: 1_000, retryAfter: 1 });
  let url: string;
  try {
    url = await app.listen({ host: options.config.host, port: options.config.port });
  } catch (error) {
    const { host, port } = options.config;
    const taken = (error as { code?: string }).code === "EADDRINUSE";
    throw new VarveError(
      taken ? "CONFLICT" : "INVALID_CONFIG",
      `Cannot listen on ${host}:${port}: ${
        taken ? "another process does; set VARVE_PORT, or 0 for any free port" : (error as Error).message
      }`,
      { cause: error },
    );
  }
  options.logger.info({ url }, "listening");
  return { url, close: () => app.close() };
}

/** The routes, without a socket: what tests inject requests into. */
export function createApp(options: ServerOptions): FastifyInstance {
  const { serving, config, clock, logger } = options;
  const app = fastify({
    logger: false,
    bodyLimit: config.bodyLimitBytes,
    // A client that sends its request slowly must not hold a socket for ever.
    connectionTimeout: 10_000,
    requestTimeout: 10_000,
    keepAliveTimeout: 72_000,
    requestIdHeader: "x-request-id",
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allErrors: false, allowUnionTypes: true } },
  }) as unknown as FastifyInstance;
  let closing = false;

  app.setErrorHandler(async (error, request, reply) => {
    const { status, body } = errorAnswer(error);
    if (status >= 500) {
      logger.error(
        { requestId: request.id, route: request.routeOptions.url, code: body.code, err: error },
        "request failed",
      );
    }
    if (status === 503) reply.header("retry-after", "1");
    return await reply.code(status).send(body);
  });
  app.setNotFoundHandler(async (request, reply) => {
    const text = `Cannot ${request.method} ${request.url.split("?")[0]!.slice(0, 200)}: there is no such route`;
    return await reply.code(404).send(errorAnswer(new VarveError("NOT_FOUND", text)).body);
  });
  // A kept-alive connection would hold close() until it times out: tell clients to let go.
  app.addHook("preClose", async () => {
    closing = true;
    await Promise.resolve();
  });
  app.addHook("onSend", async (_request, reply) => {
    if (closing) reply.header("connection", "close");
    await Promise.resolve();
  });

  app.get("/health", async () => await Promise.resolve({ status: "ok" }));
  app.get("/ready", async (_request, reply) => {
    const problems = closing ? ["shutting down"] : await serving.problems(AbortSignal.timeout(config.requestTimeoutMs));
    return await reply.code(problems.length === 0 ? 200 : 503).send({ ready: problems.length === 0, problems });
  });
  app.post("/api/v1/feature-service/get-features", { schema: { body: getFeaturesSchema } }, async (request) => {
    const started = performance.now();
    const params = readParams(request.body);
    if (params.workspaceName !== undefined && params.workspaceName !== options.workspace) {
      throw new VarveError(
        "NOT_FOUND",
        `Cannot read workspace ${JSON.stringify(params.workspaceName)}: this server serves ${
          JSON.stringify(options.workspace)
        }`,
      );
    }
    const signal = AbortSignal.timeout(config.requestTimeoutMs);
    return await getFeatures(serving, params, { at: clock.now(), signal, started });
  });
  return app;
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
