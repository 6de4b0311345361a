/** Feast's dialect: what its feature server answers, over the same readers as Tecton's. */
import { VarveError } from "varve";
import type { ServiceReader } from "varve/serving";
import { Deadlines } from "./deadlines.ts";
import { jsonType } from "./errors_http.ts";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "./fastify.ts";
import { nameOf, onlineFeatures } from "./feast_answer.ts";
import { feastSchemas } from "./feast_schema.ts";
import { contextOf } from "./request_context.ts";
import type { ReadRoutes } from "./tecton.ts";

interface OnlineFeaturesBody {
  readonly entities: Readonly<Record<string, readonly unknown[]>>;
  readonly features?: readonly string[] | null;
  readonly feature_service?: string | null;
  readonly full_feature_names?: boolean;
  readonly include_feature_view_version_metadata?: boolean;
}

/** Adds `/get-online-features`, and says why there is no `/push`. */
export async function feastRoutes(app: FastifyInstance, { serving, clock, config }: ReadRoutes): Promise<void> {
  const deadlines = new Deadlines();
  const readerOf = async (
    request: FastifyRequest,
    { features, feature_service: service }: OnlineFeaturesBody,
    signal: AbortSignal,
  ): Promise<ServiceReader> => {
    const named = features ?? [];
    if ((typeof service === "string") === (named.length > 0)) {
      const text = "Cannot read the request: name either features, as view:feature, or a feature_service";
      throw new VarveError("INVALID_REQUEST", text);
    }
    if (typeof service !== "string") return await serving.features(named.map(featureRef), signal);
    const reader = await serving.service(service, signal);
    request.service = reader.service;
    return reader;
  };
  app.post(
    "/get-online-features",
    { schema: feastSchemas.onlineFeatures, config: { access: "read" } },
    async (request, reply: FastifyReply) => {
      const body = request.body as OnlineFeaturesBody;
      const signal = deadlines.after(config.requestTimeoutMs);
      const reader = await readerOf(request, body, signal);
      const fullNames = body.full_feature_names === true;
      refuseEqualNames(reader, fullNames);
      const rows = entityRows(reader, body.entities);
      // Request data comes among the entities, and is not answered.
      const isKey = (name: string) => reader.joinKeys.some((key) => key.name === name);
      const context = reader.requestFields.length > 0 ? rows.map((row) => contextOf(reader, row, true)) : undefined;
      const answers = await reader.read(rows, { at: clock.now(), context, signal });
      const versions = body.include_feature_view_version_metadata === true;
      const keys = Object.fromEntries(Object.entries(body.entities).filter(([name]) => isKey(name)));
      const text = onlineFeatures(reader, keys, answers, { fullNames, versions });
      return await reply.type(jsonType).send(text);
    },
  );
  app.post("/push", { schema: feastSchemas.push, config: { access: "ingest" } }, async () => {
    await Promise.resolve();
    throw new VarveError(
      "UNSUPPORTED",
      "Cannot push rows: there are no views of streams yet; write them to the source of a batch view, and materialize it",
    );
  });
  await Promise.resolve();
}

/** `view:feature`; the schema has seen to the colon. */
function featureRef(text: string): { view: string; feature: string } {
  const colon = text.indexOf(":");
  return { view: text.slice(0, colon), feature: text.slice(colon + 1) };
}

function refuseEqualNames(reader: ServiceReader, fullNames: boolean): void {
  const names = reader.features.map((feature) => nameOf(feature, fullNames));
  if (new Set(names).size === names.length) return;
  const twice = [...new Set(names.filter((name, i) => names.indexOf(name) !== i))];
  const wayOut = fullNames ? "name each of them once" : "ask for them once, or with full_feature_names: true";
  throw new VarveError(
    "INVALID_REQUEST",
    `Cannot name the features of the answer: ${
      twice.map((name) => `"${name}"`).join(", ")
    } would be there twice; ${wayOut}`,
    { details: { names: twice } },
  );
}

/** The columns of join keys and request fields as a request per row. */
function entityRows(
  reader: ServiceReader,
  entities: OnlineFeaturesBody["entities"],
): Readonly<Record<string, unknown>>[] {
  const keys = Object.keys(entities);
  const known = [...reader.joinKeys, ...reader.requestFields].map(({ name }) => name);
  const what = reader.requestFields.length > 0 ? "join key or request field" : "join key";
  const extra = keys.filter((key) => !known.includes(key));
  if (extra.length > 0) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot read the entities: ${extra.map((key) => JSON.stringify(key)).join(", ")} is no ${what}; ${what}s are ${
        known.join(", ") || "none"
      }`,
      { details: { extra } },
    );
  }
  const counts = new Set(keys.map((key) => entities[key]!.length));
  if (counts.size > 1) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot read the entities: their lists have ${
        keys.map((key) => `${entities[key]!.length} (${key})`).join(", ")
      } values; give each as many`,
    );
  }
  const [count = 0] = counts;
  return Array.from({ length: count }, (_, i) => Object.fromEntries(keys.map((key) => [key, entities[key]![i]])));
}
