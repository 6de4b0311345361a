/** Whether the process lives, and whether it can answer. */
import type { Serving } from "varve/serving";
import type { Authenticator } from "./auth.ts";
import type { FastifyInstance } from "./fastify.ts";
import type { ServerState } from "./guard.ts";

const ready = {
  type: "object",
  required: ["ready", "problems", "degraded"],
  properties: {
    ready: { type: "boolean" },
    problems: { type: "array", items: { type: "string" }, description: "Why requests would fail." },
    degraded: {
      type: "array",
      items: { type: "string" },
      description: "Why requests of some services would fail, while others are answered.",
    },
  },
};
const tags = ["Server"];
const schemas = {
  health: {
    operationId: "health",
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
    operationId: "ready",
    tags,
    summary: "Whether it can answer",
    response: { 200: { description: "It can.", ...ready }, 503: { description: "It cannot.", ...ready } },
  },
};

const untold = "ask with an API key to be told why, or see the server's log";

/** What is asked. */
export interface HealthOptions {
  readonly serving: Serving;
  readonly requestTimeoutMs: number;
  readonly state: ServerState;
  /** Absent: everybody is told everything. */
  readonly auth?: Pick<Authenticator, "accepts">;
}

/** Adds `/health` and `/ready`. */
export async function healthRoutes(
  app: FastifyInstance,
  { serving, requestTimeoutMs, state, auth }: HealthOptions,
): Promise<void> {
  const config = { access: "everybody", unshed: true } as const;
  app.get("/health", { schema: schemas.health, config }, async () => await Promise.resolve({ status: "ok" }));
  app.get("/ready", { schema: schemas.ready, config: { access: "everybody" } }, async (request, reply) => {
    const signal = AbortSignal.timeout(requestTimeoutMs);
    const problems = state.closing ? ["shutting down"] : await serving.problems(signal);
    const isReady = problems.length === 0;
    // Problems have addresses in them.
    const isTold = state.closing || !auth || auth.accepts(request.headers.authorization);
    const told = (texts: readonly string[]) => isTold || texts.length === 0 ? texts : [untold];
    return await reply.code(isReady ? 200 : 503).send({
      ready: isReady,
      problems: told(problems),
      degraded: told(serving.degraded()),
    });
  });
  await Promise.resolve();
}
