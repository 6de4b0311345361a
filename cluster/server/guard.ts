/** What every request passes before its route, and every answer after it. */
import underPressure from "@fastify/under-pressure";
import { VarveError } from "varve";
import { LogGate } from "../log.ts";
import type { Logger } from "../log.ts";
import { errorAnswer } from "./errors_http.ts";
import type { FastifyInstance } from "./fastify.ts";

/** What changes while the server runs. */
export interface ServerState {
  closing: boolean;
}

/** Hooks and error handlers; call it before routes are added. */
export function guard(app: FastifyInstance, state: ServerState, logger: Logger): void {
  refuseUnderPressure(app);
  answerErrors(app, logger);
  app.addHook("onSend", async (request, reply) => {
    reply.header("x-request-id", request.id);
    // A kept-alive connection would hold close() until it times out: tell clients to let go.
    if (state.closing) reply.header("connection", "close");
    await Promise.resolve();
  });
}

/** Sheds load when the event loop is late, except for whoever asks whether the process lives. */
function refuseUnderPressure(app: FastifyInstance): void {
  void app.register(underPressure, {
    maxEventLoopDelay: 1_000,
    pressureHandler: async (request, _reply, _type, delayMs) => {
      await Promise.resolve();
      if (request.routeOptions.url === "/health") return;
      throw new VarveError(
        "UNAVAILABLE",
        `Cannot answer now: the server is overloaded (its event loop is ${
          Math.round(delayMs ?? 0)
        } ms late); try again in a second`,
      );
    },
  });
}

function answerErrors(app: FastifyInstance, logger: Logger): void {
  // A store that is down fails every request: one line in the log a second is enough.
  const gate = new LogGate(1_000);
  app.setErrorHandler(async (error, request, reply) => {
    const { status, body } = errorAnswer(error);
    if (status >= 500 && gate.opens(body.code)) {
      const facts = { requestId: request.id, route: request.routeOptions.url, code: body.code, err: error };
      logger.error({ ...facts, untold: gate.takeUntold(body.code) }, "request failed");
    }
    if (status === 503) reply.header("retry-after", "1");
    return await reply.code(status).send(body);
  });
  app.setNotFoundHandler(async (request, reply) => {
    const text = `Cannot ${request.method} ${request.url.split("?")[0]!.slice(0, 200)}: there is no such route`;
    return await reply.code(404).send(errorAnswer(new VarveError("NOT_FOUND", text)).body);
  });
}
