/**
 * What the public HTTP clients of Tecton send, recorded between them and this server: path, user agent, body. Python:
 * tecton-client 0.4.0. Java: java-client 0.9.4. Both send `Authorization: Tecton-key …`.
 */

const python = { "user-agent": "tecton-http-python-client 0.4.0", "content-type": "application/json" };
const java = {
  "user-agent": "tecton-http-java-client 0.9.4-SNAPSHOT",
  "content-type": "application/json; charset=utf-8",
  accept: "application/json",
};

const one = "/api/v1/feature-service/get-features";
const many = "/api/v1/feature-service/get-features-batch";
const metadata = "/api/v1/feature-service/metadata";

/** One recorded request. */
export interface Recorded {
  readonly headers: Readonly<Record<string, string>>;
  readonly path: string;
  readonly body: string;
}

/** By what they are about. */
export const recorded = {
  "python with all metadata": {
    headers: python,
    path: one,
    body: String
      .raw`{"params":{"workspaceName":"default","featureServiceName":"checkout","joinKeyMap":{"shop":"Zoë's","region":7},"requestContextMap":{},"allowPartialResults":false,"metadataOptions":{"includeNames":true,"includeDataTypes":true,"includeEffectiveTimes":true,"includeSloInfo":true,"includeServingStatus":true,"includeFeatureDescriptions":true,"includeFeatureTags":true},"requestOptions":{}}}`,
  },
  "python with text for an integer, and nulls stored": {
    headers: python,
    path: one,
    body: String
      .raw`{"params":{"workspaceName":"default","featureServiceName":"checkout","joinKeyMap":{"shop":"nulls","region":"7"},"requestContextMap":{},"allowPartialResults":false,"metadataOptions":{"includeNames":true,"includeDataTypes":true,"includeServingStatus":true},"requestOptions":{}}}`,
  },
  "python with a null key": {
    headers: python,
    path: one,
    body: String
      .raw`{"params":{"workspaceName":"default","featureServiceName":"checkout","joinKeyMap":{"shop":null,"region":7},"requestContextMap":{},"allowPartialResults":false,"metadataOptions":{"includeNames":true,"includeDataTypes":true,"includeServingStatus":true},"requestOptions":{}}}`,
  },
  "python with a large integer as a number": {
    headers: python,
    path: one,
    body: String
      .raw`{"params":{"workspaceName":"default","featureServiceName":"model","joinKeyMap":{"user":9007199254740993,"active":true},"requestContextMap":{},"allowPartialResults":false,"metadataOptions":{"includeNames":true,"includeDataTypes":true},"requestOptions":{}}}`,
  },
  "python without metadata": {
    headers: python,
    path: one,
    body: String
      .raw`{"params":{"workspaceName":"default","featureServiceName":"small","joinKeyMap":{"user":"9007199254740993","active":true},"requestContextMap":{},"allowPartialResults":false,"metadataOptions":{},"requestOptions":{}}}`,
  },
  "python with all options": {
    headers: python,
    path: one,
    body: String
      .raw`{"params":{"workspaceName":"default","featureServiceName":"small","joinKeyMap":{"user":"9007199254740993","active":true},"requestContextMap":{},"allowPartialResults":true,"metadataOptions":{},"requestOptions":{"readFromCache":true,"writeToCache":true,"ignoreExtraRequestContextFields":true,"latencyBudgetMs":100,"coerceNullCountsToZero":true}}}`,
  },
  "python asking for metadata": {
    headers: python,
    path: metadata,
    body: String.raw`{"params":{"featureServiceName":"checkout","workspaceName":"default"}}`,
  },
  "python with an unknown service": {
    headers: python,
    path: one,
    body: String
      .raw`{"params":{"workspaceName":"default","featureServiceName":"none","joinKeyMap":{"a":"1"},"requestContextMap":{},"allowPartialResults":false,"metadataOptions":{},"requestOptions":{}}}`,
  },
  "python with an unknown workspace": {
    headers: python,
    path: one,
    body: String
      .raw`{"params":{"workspaceName":"prod","featureServiceName":"small","joinKeyMap":{},"requestContextMap":{},"allowPartialResults":false,"metadataOptions":{},"requestOptions":{}}}`,
  },
  "java with all metadata": {
    headers: java,
    path: one,
    body: String
      .raw`{"params":{"feature_service_name":"checkout","join_key_map":{"shop":"Zoë's","region":"7"},"metadata_options":{"include_feature_descriptions":true,"include_slo_info":true,"include_feature_tags":true,"include_effective_times":true,"include_names":true,"include_data_types":true,"include_serving_status":true},"request_context_map":null,"workspace_name":"default"}}`,
  },
  "java with its own choice of metadata": {
    headers: java,
    path: one,
    body: String
      .raw`{"params":{"feature_service_name":"checkout","join_key_map":{"shop":"Zoë's","region":"7"},"metadata_options":{"include_names":true,"include_data_types":true},"request_context_map":null,"workspace_name":"default"}}`,
  },
  "java with a null key and options": {
    headers: java,
    path: one,
    body: String
      .raw`{"params":{"feature_service_name":"checkout","join_key_map":{"shop":null,"region":"7"},"metadata_options":{"include_names":true,"include_data_types":true,"include_serving_status":true},"request_context_map":null,"request_options":{"ignoreExtraRequestContextFields":false,"coerceNullCountsToZero":true,"latency_budget_ms":5000,"readFromCache":false},"workspace_name":"default"}}`,
  },
  "java with a batch of three": {
    headers: java,
    path: many,
    body: String
      .raw`{"params":{"feature_service_name":"checkout","metadata_options":{"include_feature_descriptions":true,"include_slo_info":true,"include_feature_tags":true,"include_effective_times":true,"include_names":true,"include_data_types":true,"include_serving_status":true},"request_data":[{"join_key_map":{"shop":"Zoë's","region":"7"}},{"join_key_map":{"shop":"nulls","region":"7"}},{"join_key_map":{"shop":"old","region":"7"}}],"workspace_name":"default"}}`,
  },
  "java with a batch of one": {
    headers: java,
    path: many,
    body: String
      .raw`{"params":{"feature_service_name":"checkout","metadata_options":{"include_feature_descriptions":true,"include_slo_info":true,"include_feature_tags":true,"include_effective_times":true,"include_names":true,"include_data_types":true,"include_serving_status":true},"request_data":[{"join_key_map":{"shop":"none","region":"7"}}],"workspace_name":"default"}}`,
  },
  "java with a batch of five": {
    headers: java,
    path: many,
    body: String
      .raw`{"params":{"feature_service_name":"checkout","metadata_options":{"include_feature_descriptions":true,"include_slo_info":true,"include_feature_tags":true,"include_effective_times":true,"include_names":true,"include_data_types":true,"include_serving_status":true},"request_data":[{"join_key_map":{"shop":"Zoë's","region":"7"}},{"join_key_map":{"shop":"nulls","region":"7"}},{"join_key_map":{"shop":"old","region":"7"}},{"join_key_map":{"shop":"none","region":"7"}},{"join_key_map":{"shop":"Zoë's","region":"7"}}],"workspace_name":"default"}}`,
  },
  "java asking for metadata": {
    headers: java,
    path: metadata,
    body: String.raw`{"params":{"feature_service_name":"checkout","workspace_name":"default"}}`,
  },
  "java with an unknown service": {
    headers: java,
    path: one,
    body: String
      .raw`{"params":{"feature_service_name":"none","join_key_map":{"shop":"Zoë's","region":"7"},"metadata_options":{"include_names":true,"include_data_types":true},"request_context_map":null,"workspace_name":"default"}}`,
  },
  "java with an unknown workspace": {
    headers: java,
    path: one,
    body: String
      .raw`{"params":{"feature_service_name":"checkout","join_key_map":{"shop":"Zoë's","region":"7"},"metadata_options":{"include_names":true,"include_data_types":true},"request_context_map":null,"workspace_name":"prod"}}`,
  },
  "java without a join key": {
    headers: java,
    path: one,
    body: String
      .raw`{"params":{"feature_service_name":"checkout","join_key_map":{"shop":"x"},"metadata_options":{"include_names":true,"include_data_types":true},"request_context_map":null,"workspace_name":"default"}}`,
  },
  "java with a wrong row in a batch": {
    headers: java,
    path: many,
    body: String
      .raw`{"params":{"feature_service_name":"checkout","metadata_options":{"include_feature_descriptions":true,"include_slo_info":true,"include_feature_tags":true,"include_effective_times":true,"include_names":true,"include_data_types":true,"include_serving_status":true},"request_data":[{"join_key_map":{"shop":"Zoë's","region":"7"}},{"join_key_map":{"shöp":"x"}}],"workspace_name":"default"}}`,
  },
} satisfies Readonly<Record<string, Recorded>>;
