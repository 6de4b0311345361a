/**
 * Requests and answers of Tecton's dialect as JSON Schema, with a cap on everything that clients send. Requests are checked
 * by them, answers are described by them.
 */
import { errorAnswers } from "./error_schema.ts";

/** The most rows of one batch. */
export const maxBatchRows = 1_000;

/** The most values of a list that a request gives. */
const maxRequestItems = 1_000;

const name = { type: "string", minLength: 1, maxLength: 128 } as const;
const keyMap = (description: string, value: object) => ({
  type: "object",
  description,
  maxProperties: 64,
  propertyNames: { maxLength: 128 },
  additionalProperties: value,
});
const scalar = { type: ["string", "number", "boolean", "null"], maxLength: 4096 };

const part = {
  type: [...scalar.type, "array", "object"],
  maxLength: 4096,
  maxItems: maxRequestItems,
  maxProperties: 64,
};

/** A value of a request field: lists and structs may lie in each other. */
export const requestValue = { ...part, items: part, additionalProperties: part };

const joinKeyMap = keyMap(
  "The value of every join key by its name; int64 as text or as a number, null where there is none (nothing is looked up then).",
  scalar,
);
const requestContextMap = keyMap(
  "What realtime views ask of the request itself, by name: every field of inputRequestContextKeys, null where there is none. " +
    "int64 as text or as a number, NaN and infinities as text, timestamps as ISO text, bytes as base64, structs as objects or, as in answers, as arrays.",
  requestValue,
);

const flags = (meanings: Readonly<Record<string, string>>) => ({
  type: "object",
  additionalProperties: false,
  properties: Object.fromEntries(
    Object.entries(meanings).map(([key, description]) => [key, { type: "boolean", description }]),
  ),
});

const metadataOptions = {
  ...flags({
    includeNames: "The name of every feature: view.feature.",
    includeEffectiveTimes: "When every value became effective.",
    includeDataTypes: "The type of every feature.",
    includeExactTypes:
      "The type of every feature as its definition has it: dataType knows fewer. Not in Tecton's API; varve's client asks for it.",
    includeServingStatus: "What became of every look-up.",
    includeSloInfo: "How long it took.",
    includeFeatureDescriptions: "The description of every feature.",
    includeFeatureTags: "The tags of every feature's view.",
  }),
  description: "What to tell beside the values.",
};

const requestOptions = {
  type: "object",
  description: "How to answer.",
  additionalProperties: false,
  properties: {
    readFromCache: {
      type: "boolean",
      description: "Taken and without effect: every answer is read from the online store.",
    },
    writeToCache: { type: "boolean", description: "Taken and without effect, as there is no cache of answers." },
    latencyBudgetMs: {
      type: "integer",
      minimum: 1,
      maximum: 600_000,
      description: "The longest the client waits. Values that have not come by then are null, their status TIME_OUT.",
    },
    ignoreExtraRequestContextFields: {
      type: "boolean",
      description: "Leave request context unread that the service does not know, instead of refusing it.",
    },
    coerceNullCountsToZero: {
      type: "boolean",
      description: "Taken and without effect: a count over nothing is 0.",
    },
  },
};

const options = {
  metadataOptions,
  requestOptions,
  allowPartialResults: {
    type: "boolean",
    description:
      "When the store, or a function, does not answer in time: null and TIME_OUT for what did not come, instead of an error.",
  },
};

const names = {
  workspaceName: { ...name, description: "The workspace that this server serves; may be left out." },
  featureServiceName: { ...name, description: "The feature service." },
  featureServiceId: { ...name, description: "In place of the name: a feature service's id is its name." },
};

const rows = {
  type: "array",
  description: "One entry per row of the answer.",
  minItems: 1,
  maxItems: maxBatchRows,
  items: { type: "object", additionalProperties: false, properties: { joinKeyMap, requestContextMap } },
};

/** `{ params: {…} }`; unknown fields are refused rather than ignored. */
function paramsBody(
  properties: Readonly<Record<string, object>>,
  required: readonly string[],
  example: object,
  named: boolean,
) {
  const service = named ? { featureServiceName: "delay_model" } : {};
  return {
    type: "object",
    examples: [{ params: { ...service, ...example } }],
    description: "Fields may be written in camelCase or in snake_case.",
    required: ["params"],
    additionalProperties: false,
    properties: {
      params: {
        type: "object",
        additionalProperties: false,
        properties: { ...names, ...properties },
        ...(required.length > 0 && { required }),
        ...(named && { anyOf: [{ required: ["featureServiceName"] }, { required: ["featureServiceId"] }] }),
      },
    },
  };
}

const exampleOptions = { metadataOptions: { includeNames: true, includeServingStatus: true } };
const examples = {
  one: { joinKeyMap: { origin: "ATL" }, ...exampleOptions },
  many: { requestData: [{ joinKeyMap: { origin: "ATL" } }, { joinKeyMap: { origin: "SFO" } }], ...exampleOptions },
} as const;

const one = { joinKeyMap, requestContextMap, ...options };
const many = { requestData: rows, ...options };

/** What the path of version 2 names. */
const pathParams = {
  type: "object",
  required: ["workspace", "featureService"],
  properties: {
    workspace: { ...name, description: "The workspace that this server serves." },
    featureService: { ...name, description: "The feature service." },
  },
};

const typeName = ["boolean", "int64", "string", "float64", "timestamp", "array", "struct"];

/** A type in an answer; by its name, since it holds itself. */
export const dataTypeSchema = {
  $id: "DataType",
  type: "object",
  required: ["type"],
  properties: {
    type: { type: "string", enum: typeName },
    elementType: { $ref: "DataType#" },
    fields: {
      type: "array",
      items: {
        type: "object",
        required: ["name", "dataType"],
        properties: { name: { type: "string" }, dataType: { $ref: "DataType#" } },
      },
    },
  },
};

const value = {
  description:
    "As its type says: int64 as text, other numbers as numbers, NaN and infinities as text, zeros without a sign, timestamps as ISO text, structs as arrays, null where there is none.",
};
const vector = {
  type: "object",
  required: ["features"],
  properties: { features: { type: "array", items: value } },
};
const instant = { type: ["string", "null"], format: "date-time" };
const status = { type: "string", enum: ["PRESENT", "MISSING_DATA", "TIME_OUT"] };
const reason = {
  type: "string",
  enum: ["PRESENT", "MISSING", "EXPIRED", "NULL_KEY", "TIME_OUT"],
  description: "The status in full: why there is no value.",
};

const sloInfo = {
  type: "object",
  required: ["sloEligible", "sloServerTimeSeconds", "serverTimeSeconds", "storeMaxLatency"],
  properties: {
    sloEligible: { type: "boolean", description: "Whether the request counts when latency is judged." },
    sloIneligibilityReasons: {
      type: "array",
      items: { type: "string", enum: ["REDIS_RESPONSE_SIZE_LIMIT_EXCEEDED", "REDIS_LATENCY_LIMIT_EXCEEDED"] },
      description: "More than 2 MiB, or longer than 25 ms.",
    },
    sloServerTimeSeconds: { type: "number" },
    serverTimeSeconds: { type: "number" },
    storeMaxLatency: { type: "number", description: "How long the online store took, in seconds." },
    storeResponseSizeBytes: { type: "integer", description: "How much the online store gave." },
  },
};

const described = {
  name: { type: "string" },
  dataType: { $ref: "DataType#" },
  exactType: { description: 'As a name, { "list": type } or { "struct": [{ "name", "type" }] }.' },
  description: { type: ["string", "null"] },
  tags: { type: "object", additionalProperties: { type: "string" } },
};
const listOf = (items: object) => ({ type: "array", items });
const metadata = (feature: object, slo: object) => ({
  type: "object",
  required: ["features"],
  properties: { features: listOf({ type: "object", properties: { ...described, ...feature } }), ...slo },
});

const exampleNames = ["airport_days.delay_mean", "airport_days.late_share"];
const oneAnswer = {
  description:
    "The features in the order of their names; those of realtime views come first, in the order of each view.",
  examples: [{
    result: { features: [7.25, 0.125] },
    metadata: { features: exampleNames.map((name) => ({ name, status: "PRESENT", reason: "PRESENT" })) },
  }],
  type: "object",
  required: ["result"],
  properties: {
    result: vector,
    metadata: metadata({ effectiveTime: instant, status, reason }, { sloInfo }),
  },
};
const manyAnswer = {
  description: "One vector per row.",
  examples: [{
    result: [{ features: [7.25, 0.125] }, { features: [null, null] }],
    metadata: {
      features: exampleNames.map((name) => ({
        name,
        status: ["PRESENT", "MISSING_DATA"],
        reason: ["PRESENT", "MISSING"],
      })),
    },
  }],
  type: "object",
  required: ["result"],
  properties: {
    result: listOf(vector),
    metadata: metadata({
      effectiveTime: { ...instant, description: "The newest of the rows." },
      effectiveTimes: listOf(instant),
      status: listOf(status),
      reason: listOf(reason),
    }, { sloInfo: listOf(sloInfo), batchSloInfo: sloInfo }),
  },
};
const fields = listOf({
  type: "object",
  required: ["name", "dataType"],
  properties: { name: { type: "string" }, dataType: { $ref: "DataType#" } },
});
const metadataAnswer = {
  description: "What the service reads and gives.",
  examples: [{
    featureServiceType: "DEFAULT",
    inputJoinKeys: [{ name: "origin", dataType: { type: "string" } }],
    inputRequestContextKeys: [],
    featureValues: exampleNames.map((name) => ({ name, dataType: { type: "float64" } })),
  }],
  type: "object",
  required: ["featureServiceType", "inputJoinKeys", "inputRequestContextKeys", "featureValues"],
  properties: {
    featureServiceType: { type: "string", enum: ["DEFAULT"] },
    inputJoinKeys: fields,
    inputRequestContextKeys: { ...fields, description: "What every request gives beside join keys." },
    featureValues: { ...fields, description: "In the order of the vectors." },
  },
};

const tags = ["Features"];
const oneOf = { tags, response: { 200: oneAnswer, ...errorAnswers } };
const manyOf = { tags, response: { 200: manyAnswer, ...errorAnswers } };
const metadataOf = { tags, response: { 200: metadataAnswer, ...errorAnswers } };

/** The schema of every route, by version. */
export const tectonSchemas = {
  getFeatures: {
    operationId: "getFeatures",
    summary: "The features of one key",
    body: paramsBody(one, [], examples.one, true),
    ...oneOf,
  },
  getFeaturesBatch: {
    operationId: "getFeaturesBatch",
    summary: "The features of many keys",
    body: paramsBody(many, ["requestData"], examples.many, true),
    ...manyOf,
  },
  metadata: {
    operationId: "getMetadata",
    summary: "What a feature service reads and gives",
    body: paramsBody({}, [], {}, true),
    ...metadataOf,
  },
  v2: {
    getFeatures: {
      operationId: "getFeaturesV2",
      summary: "The features of one key",
      params: pathParams,
      body: paramsBody(one, [], examples.one, false),
      ...oneOf,
    },
    getFeaturesBatch: {
      operationId: "getFeaturesBatchV2",
      summary: "The features of many keys",
      params: pathParams,
      body: paramsBody(many, ["requestData"], examples.many, false),
      ...manyOf,
    },
    metadata: {
      operationId: "getMetadataV2",
      summary: "What a feature service reads and gives",
      params: pathParams,
      ...metadataOf,
    },
  },
};
