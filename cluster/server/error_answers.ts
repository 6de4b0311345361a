/** Answers what went wrong, and tells the log about what is the server's fault. */
import { VarveError } from "varve";
import { LogGate } from "../log.ts";
import type { Logger } from "../log.ts";
import { errorAnswer } from "./errors_http.ts";
import type { FastifyInstance, FastifyReply } from "./fastify.ts";
import type { ServerMetrics } from "./metrics.ts";
import { RouteMethods } from "./route_methods.ts";

/** Sets the handlers of errors and of routes that there are not. */
export function answerErrors(app: FastifyInstance, logger: Logger, metrics: ServerMetrics | undefined): void {
  // A store that is down fails every request: one line in the log a second is enough.
  const gate = new LogGate(1_000);
  app.setErrorHandler(async (error, request, reply) => {
    const { status, body } = errorAnswer(error);
    metrics?.failed(body.code);
    if (status >= 500 && gate.opens(body.code)) {
      const facts = { requestId: request.id, route: request.routeOptions.url, code: body.code, err: error };
      logger.error({ ...facts, untold: gate.takeUntold(body.code) }, "request failed");
    }
    errorHeaders(reply, status, body.details);
    return await reply.code(status).send(body);
  });
  const methods = new RouteMethods(app);
  app.setNotFoundHandler(async (request, reply) => {
    const path = request.url.split("?")[0]!;
    const taken = methods.of(path);
    const what = `Cannot ${request.method} ${path.slice(0, 200)}`;
    const { status, body } = errorAnswer(
      taken.length === 0
        ? new VarveError("NOT_FOUND", `${what}: there is no such route`)
        : { statusCode: 405, message: `${what}: this route takes ${taken.join(" and ")}` },
    );
    metrics?.failed(body.code);
    if (taken.length > 0) reply.header("allow", taken.join(", "));
    return await reply.code(status).send(body);
  });
}

/** Headers that go with an error: when to come again, and how to say who asks. */
function errorHeaders(reply: FastifyReply, status: number, details: Readonly<Record<string, unknown>>): void {
  if (status === 503 || status === 429) {
    reply.header("retry-after", String((details["retryAfterSeconds"] as number | undefined) ?? 1));
  }
  if (status === 401) reply.header("www-authenticate", `Bearer realm="varve"${tokenProblem(details["reason"])}`);
}

function tokenProblem(reason: unknown): string {
  if (reason === "absent") return "";
  return reason === "malformed" ? ', error="invalid_request"' : ', error="invalid_token"';
}
