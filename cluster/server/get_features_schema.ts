/** The shape of a `get-features` request, in camelCase and snake_case, as JSON Schema with a cap on everything. */
import { VarveError } from "varve";

const scalar = {
  anyOf: [{ type: "string", maxLength: 4096 }, { type: "number" }, { type: "boolean" }, { type: "null" }],
};
const keyMap = { type: "object", maxProperties: 64, propertyNames: { maxLength: 128 }, additionalProperties: scalar };
const flag = { type: "boolean" };
const name = { type: "string", minLength: 1, maxLength: 128 };

const metadataOptions = {
  type: "object",
  additionalProperties: false,
  properties: Object.fromEntries(
    [
      "includeNames",
      "includeEffectiveTimes",
      "includeDataTypes",
      "includeSloInfo",
      "includeServingStatus",
      "includeFeatureDescriptions",
      "includeFeatureTags",
    ].flatMap((key) => [[key, flag], [snakeCase(key), flag]]),
  ),
};

const requestOptions = {
  type: "object",
  additionalProperties: false,
  properties: Object.fromEntries(
    [
      ["readFromCache", flag],
      ["writeToCache", flag],
      ["latencyBudgetMs", { type: "integer", minimum: 1, maximum: 600_000 }],
    ].flatMap(([key, schema]) => [[key as string, schema], [snakeCase(key as string), schema]]),
  ),
};

const params: Readonly<Record<string, unknown>> = {
  workspaceName: name,
  featureServiceName: name,
  joinKeyMap: keyMap,
  requestContextMap: keyMap,
  metadataOptions,
  requestOptions,
  allowPartialResults: flag,
};

/** `{ params: {…} }`; unknown fields are refused rather than ignored. */
export const getFeaturesSchema = {
  type: "object",
  required: ["params"],
  additionalProperties: false,
  properties: {
    params: {
      type: "object",
      additionalProperties: false,
      properties: Object.fromEntries(
        Object.entries(params).flatMap(([key, schema]) => [[key, schema], [snakeCase(key), schema]]),
      ),
      anyOf: [{ required: ["featureServiceName"] }, { required: ["feature_service_name"] }],
    },
  },
} as const;

/** What the route reads from a request. */
export interface GetFeaturesParams {
  readonly workspaceName?: string;
  readonly featureServiceName: string;
  readonly joinKeyMap: Readonly<Record<string, unknown>>;
  readonly requestContextMap: Readonly<Record<string, unknown>>;
  readonly metadataOptions: Readonly<Record<string, boolean>>;
  /** The longest the client waits. */
  readonly latencyBudgetMs?: number;
}

/** The request's parameters under their camelCase names. */
export function readParams(body: unknown): GetFeaturesParams {
  const given = camelKeys((body as { params: Record<string, unknown> }).params);
  const { metadataOptions, requestOptions, ...rest } = given;
  const { latencyBudgetMs } = camelKeys((requestOptions ?? {}) as Record<string, unknown>);
  return {
    joinKeyMap: {},
    requestContextMap: {},
    ...rest,
    metadataOptions: camelKeys((metadataOptions ?? {}) as Record<string, unknown>),
    ...(latencyBudgetMs === undefined ? {} : { latencyBudgetMs }),
  } as GetFeaturesParams;
}

function camelKeys(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    const name = key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (Object.hasOwn(found, name)) {
      const text = `Cannot read the request: ${name} is there twice, in camelCase and in snake_case; give it once`;
      throw new VarveError("INVALID_REQUEST", text);
    }
    found[name] = item;
  }
  return found;
}

function snakeCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
