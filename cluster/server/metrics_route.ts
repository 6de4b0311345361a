/** `/metrics`, for Prometheus. */
import type { FastifyInstance } from "./fastify.ts";
import type { MetricsText } from "./metrics.ts";

const schema = {
  operationId: "metrics",
  tags: ["Server"],
  summary: "Metrics as OpenMetrics text",
  response: {
    200: {
      description: "Counters, histograms and gauges.",
      content: { "application/openmetrics-text": { schema: { type: "string" } } },
    },
  },
};

/** Adds the route. It names services and views: whoever may read features may read it. */
export async function metricsRoute(
  app: FastifyInstance,
  { gather }: { readonly gather: () => Promise<MetricsText> },
): Promise<void> {
  app.get("/metrics", { schema, config: { access: "read", unshed: true } }, async (_request, reply) => {
    const { type, text } = await gather();
    return await reply.header("content-type", type).send(text);
  });
  await Promise.resolve();
}
