/** Tecton's dialect: `get-features`, `get-features-batch` and `metadata`, by the paths of versions 1 and 2. */
import type { Clock } from "varve";
import type { ServiceReader, Serving } from "varve/serving";
import type { ServerConfig } from "../config.ts";
import { Deadlines } from "./deadlines.ts";
import { errorAnswer, jsonType } from "./errors_http.ts";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "./fastify.ts";
import { batchAnswer, oneAnswer, readRows, watchFor } from "./get_features.ts";
import type { ReadContext } from "./get_features.ts";
import { answerWriter } from "./tecton_answer.ts";
import { tectonType } from "./tecton_json.ts";
import { camelCased, serviceMeant } from "./tecton_params.ts";
import type { ServiceNames, VectorOptions, VectorRow } from "./tecton_params.ts";
import { dataTypeSchema, tectonSchemas } from "./tecton_schema.ts";

/** What the routes read from. */
export interface ReadRoutes {
  readonly serving: Serving;
  readonly workspace: string;
  readonly clock: Clock;
  readonly config: ServerConfig;
}

type Params = ServiceNames & VectorOptions & VectorRow & { readonly requestData?: readonly VectorRow[] };
type Answers = Readonly<
  Record<
    "getFeatures" | "getFeaturesBatch" | "metadata",
    (request: FastifyRequest, reply: FastifyReply) => Promise<string | object>
  >
>;

/** Adds the routes; a plugin of its own, so that its hooks are its own. */
export async function tectonRoutes(app: FastifyInstance, options: ReadRoutes): Promise<void> {
  app.addSchema(dataTypeSchema);
  app.addHook("preValidation", (request, _reply, done) => {
    try {
      if (request.body !== undefined) request.body = camelCased(request.body);
      done();
    } catch (error) {
      done(error as Error);
    }
  });
  app.addHook("onError", tellJavaClient);
  const { getFeatures: one, getFeaturesBatch: many, metadata, v2 } = tectonSchemas;
  const answers = answersFrom(options);
  const config = { access: "read" } as const;
  const first = "/api/v1/feature-service";
  app.post(`${first}/get-features`, { schema: one, config }, answers.getFeatures);
  app.post(`${first}/get-features-batch`, { schema: many, config }, answers.getFeaturesBatch);
  app.post(`${first}/metadata`, { schema: metadata, config }, answers.metadata);
  const second = "/api/v2/workspaces/:workspace/feature-services/:featureService";
  app.post(`${second}/get-features`, { schema: v2.getFeatures, config }, answers.getFeatures);
  app.post(`${second}/get-features-batch`, { schema: v2.getFeaturesBatch, config }, answers.getFeaturesBatch);
  app.get(`${second}/metadata`, { schema: v2.metadata, config }, answers.metadata);
  await Promise.resolve();
}

function answersFrom({ serving, workspace, clock, config }: ReadRoutes): Answers {
  const deadlines = new Deadlines();
  const contextOf = ({ startedAt }: FastifyRequest, params: Params): ReadContext => {
    const budgetMs = Math.min(config.requestTimeoutMs, params.requestOptions?.latencyBudgetMs ?? Infinity);
    return { at: clock.now(), signal: deadlines.after(budgetMs, startedAt) };
  };
  const readerOf = (request: FastifyRequest, params: Params, signal: AbortSignal): Promise<ServiceReader> =>
    serving.service(serviceMeant(workspace, params, namesInPath(request)), signal);
  return {
    getFeatures: async (request, reply) => {
      const params = paramsOf(request);
      const context = contextOf(request, params);
      const reader = await readerOf(request, params, context.signal);
      request.service = reader.service;
      const watch = watchFor(params, request.startedAt);
      const [row] = await readRows(reader, [params], params, context);
      reply.header("content-type", jsonType);
      return oneAnswer(reader, row, params, watch?.answered());
    },
    getFeaturesBatch: async (request, reply) => {
      const params = paramsOf(request);
      const context = contextOf(request, params);
      const reader = await readerOf(request, params, context.signal);
      request.service = reader.service;
      const watch = watchFor(params, request.startedAt);
      const rows = await readRows(reader, params.requestData!, params, context);
      reply.header("content-type", jsonType);
      return batchAnswer(reader, rows, params, watch?.answered());
    },
    metadata: async (request) => {
      const params = paramsOf(request);
      const reader = await readerOf(request, params, contextOf(request, params).signal);
      request.service = reader.service;
      return serviceMetadata(reader);
    },
  };
}

function paramsOf(request: FastifyRequest): Params {
  return (request.body as { readonly params: Params } | undefined)?.params ?? {};
}

const noNames: ServiceNames = {};

function namesInPath(request: FastifyRequest): ServiceNames {
  const { workspace, featureService } = request.params as { workspace?: string; featureService?: string };
  // Version 1 has none.
  if (workspace === undefined || featureService === undefined) return noNames;
  return { workspaceName: workspace, featureServiceName: featureService };
}

function serviceMetadata(reader: ServiceReader): object {
  return {
    featureServiceType: "DEFAULT",
    inputJoinKeys: reader.joinKeys.map(({ name, type }) => ({ name, dataType: tectonType(type) })),
    inputRequestContextKeys: reader.requestFields.map(({ name, type }) => ({ name, dataType: tectonType(type) })),
    featureValues: answerWriter(reader).features,
  };
}

/**
 * The public Java client expects an error's code to be a number; where it is none, it drops the body and shows the words of
 * the status line. There it finds the message.
 */
function tellJavaClient(request: FastifyRequest, reply: FastifyReply, error: Error, done: () => void): void {
  const agent = request.headers["user-agent"] ?? "";
  if (agent.startsWith("tecton-http-java-client")) {
    const { message } = errorAnswer(error).body;
    reply.raw.statusMessage = message.replace(/[^\x20-\x7e]+/g, "?").slice(0, 1_000);
  }
  done();
}
