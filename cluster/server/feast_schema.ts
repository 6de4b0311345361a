/** Requests and answers of Feast's dialect as JSON Schema, with a cap on everything that clients send. */
import { errorAnswers } from "./error_schema.ts";
import { maxBatchRows, requestValue } from "./tecton_schema.ts";

const name = { type: "string", minLength: 1, maxLength: 128 };
const reference = {
  type: "string",
  maxLength: 300,
  pattern: "^[^:]+:[^:]+$",
  description: "`view:feature`",
};

const onlineFeatures = {
  type: "object",
  examples: [{
    features: ["airport_days:delay_mean", "airport_days:late_share"],
    entities: { origin: ["ATL", "SFO"] },
  }],
  description: "Name either `features` or a `feature_service`.",
  required: ["entities"],
  additionalProperties: false,
  properties: {
    entities: {
      type: "object",
      description:
        "The values of every join key, and of every field that realtime views ask of a request: a list of the same length for each; null where there is none.",
      minProperties: 1,
      maxProperties: 64,
      propertyNames: { maxLength: 128 },
      additionalProperties: {
        type: "array",
        minItems: 1,
        maxItems: maxBatchRows,
        items: requestValue,
      },
    },
    features: { type: ["array", "null"], maxItems: 1_000, items: reference },
    feature_service: { ...name, type: ["string", "null"] },
    full_feature_names: { type: "boolean", description: "Names of features as `view__feature`." },
    include_feature_view_version_metadata: {
      type: "boolean",
      description: "Tell which version of every view was read.",
    },
  },
};

const listOf = (items: object) => ({ type: "array", items });
const exampleTimes = (time: string) => [time, time];
const noTimes = exampleTimes("1970-01-01T00:00:00Z");
const times = exampleTimes("2001-01-31T21:36:00Z");
const onlineFeaturesAnswer = {
  examples: [{
    metadata: { feature_names: ["origin", "delay_mean", "late_share"] },
    results: [
      { values: ["ATL", "SFO"], statuses: ["PRESENT", "PRESENT"], event_timestamps: noTimes },
      { values: [7.25, 9.5], statuses: ["PRESENT", "PRESENT"], event_timestamps: times },
      { values: [0.125, null], statuses: ["PRESENT", "NULL_VALUE"], event_timestamps: times },
    ],
  }],
  description: "One result per name: the join keys, then the features.",
  type: "object",
  required: ["metadata", "results"],
  properties: {
    metadata: {
      type: "object",
      required: ["feature_names"],
      properties: {
        feature_names: listOf({ type: "string" }),
        feature_view_metadata: listOf({
          type: "object",
          required: ["name", "version"],
          properties: { name: { type: "string" }, version: { type: "integer" } },
        }),
      },
    },
    results: listOf({
      type: "object",
      required: ["values", "statuses", "event_timestamps"],
      properties: {
        values: listOf({
          description:
            "As its type says: integers as numbers (up to 64 bits), NaN and infinities as text, zeros without a sign, timestamps as seconds since 1970, null where there is none.",
        }),
        statuses: listOf({ type: "string", enum: ["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"] }),
        event_timestamps: listOf({
          type: "string",
          format: "date-time",
          description: "When the value was true; 1970 where there is none.",
        }),
      },
    }),
  },
};

const instant = { type: "string", maxLength: 64, description: "An instant as ISO text; UTC without a zone." };
const views = {
  type: ["array", "null"],
  minItems: 1,
  maxItems: 1_000,
  items: name,
  description: "Without: all views that are kept online.",
};
const alike = {
  feature_views: views,
  full_feature_names: { type: "boolean", description: "Taken and without effect." },
  version: {
    type: ["string", "null"],
    maxLength: 16,
    pattern: "^v?[1-9][0-9]{0,8}$",
    description: "A version of the one view that is named, such as `v2`; without: what serves and what is being built.",
  },
};
const switchText = { type: "string", enum: ["true", "True", "1", "false", "False", "0"] };
const querystring = {
  type: "object",
  additionalProperties: false,
  properties: {
    async: { ...switchText, description: "Answer 202 at once; whoever schedules jobs brings the result online." },
    force: { ...switchText, description: "Also while jobs of these views wait or run." },
  },
};

const count = { type: "integer" };
const materializeAnswers = {
  200: {
    description: "It is done.",
    type: "object",
    required: ["status", "feature_views"],
    properties: {
      status: { type: "string", enum: ["done"] },
      feature_views: listOf({ type: "string" }),
      versions: listOf({
        type: "object",
        properties: { name: { type: "string" }, version: count, slices: count, rows: count, online_rows: count },
      }),
    },
  },
  202: {
    description: "The jobs are in line.",
    type: "object",
    required: ["status", "feature_views"],
    properties: {
      status: { type: "string", enum: ["accepted"] },
      feature_views: listOf({ type: "string" }),
      jobs: listOf({ type: "string" }),
    },
  },
  ...errorAnswers,
};

const tags = ["Feast"];

/** The schema of every route. */
export const feastSchemas = {
  onlineFeatures: {
    operationId: "getOnlineFeatures",
    tags,
    summary: "The features of many keys, column by column",
    body: onlineFeatures,
    response: { 200: onlineFeaturesAnswer, ...errorAnswers },
  },
  materialize: {
    operationId: "materialize",
    tags,
    summary: "Compute a range of time again, and bring it online",
    querystring,
    body: {
      examples: [{ start_ts: "2001-01-01T00:00:00", end_ts: "2001-01-02T00:00:00", feature_views: ["airport_days"] }],
      type: "object",
      additionalProperties: false,
      properties: {
        start_ts: { ...instant, type: ["string", "null"] },
        end_ts: { ...instant, type: ["string", "null"] },
        disable_event_timestamp: { type: "boolean", description: "All time, in place of start and end." },
        ...alike,
      },
    },
    response: materializeAnswers,
  },
  materializeIncremental: {
    operationId: "materializeIncremental",
    tags,
    summary: "Compute what is missing up to an instant, and bring it online",
    querystring,
    body: {
      examples: [{ end_ts: "2001-01-02T00:00:00" }],
      type: "object",
      required: ["end_ts"],
      additionalProperties: false,
      properties: { end_ts: instant, ...alike },
    },
    response: materializeAnswers,
  },
  push: {
    operationId: "push",
    tags,
    summary: "Not there yet: views of streams do not exist",
    response: { ...errorAnswers },
  },
};
