/** Whether the process lives, and whether it can answer. */
import type { Serving } from "varve/serving";
import type { ServerConfig } from "../config.ts";
import type { FastifyInstance } from "./fastify.ts";
import type { ServerState } from "./server.ts";

const ready = {
  type: "object",
  required: ["ready", "problems"],
  properties: {
    ready: { type: "boolean" },
    problems: { type: "array", items: { type: "string" }, description: "Why requests would fail." },
  },
};
const tags = ["Server"];
const schemas = {
  health: {
    tags,
    summary: "Whether the process lives",
    response: {
      200: {
        description: "It does.",
        type: "object",
        required: ["status"],
        properties: { status: { type: "string", enum: ["ok"] } },
      },
    },
  },
  ready: {
    tags,
    summary: "Whether it can answer",
    response: { 200: { description: "It can.", ...ready }, 503: { description: "It cannot.", ...ready } },
  },
};

/** Adds `/health` and `/ready`. */
export async function healthRoutes(
  app: FastifyInstance,
  { serving, config, state }: { serving: Serving; config: ServerConfig; state: ServerState },
): Promise<void> {
  app.get("/health", { schema: schemas.health }, async () => await Promise.resolve({ status: "ok" }));
  app.get("/ready", { schema: schemas.ready }, async (_request, reply) => {
    const signal = AbortSignal.timeout(config.requestTimeoutMs);
    const problems = state.closing ? ["shutting down"] : await serving.problems(signal);
    return await reply.code(problems.length === 0 ? 200 : 503).send({ ready: problems.length === 0, problems });
  });
  await Promise.resolve();
}
