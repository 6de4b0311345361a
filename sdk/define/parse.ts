/** Definitions from outside: a file, a request, another process. Nothing is taken on trust. */
import { type Issue, throwIssues } from "../errors.ts";
import { parseExpr } from "../frame/expr_json.ts";
import type { ExprNode, LiteralValue } from "../frame/expr_node.ts";
import type { Query } from "../frame/query.ts";
import { parseQuery } from "../frame/query_json.ts";
import { schemaOf } from "../frame/query_schema.ts";
import { columnNames } from "../schema.ts";
import { durationToMicros, formatDuration, formatTimestamp, toMicros } from "../time.ts";
import { descriptive, entityIssues } from "./checks.ts";
import type {
  Definition,
  Descriptive,
  EntityDefinition,
  FeatureDefinition,
  RealtimeCompute,
  RealtimeViewDefinition,
  ServiceDefinition,
  ServiceView,
  ViewDefinition,
} from "./definitions.ts";
import { JsonReader } from "./json_reader.ts";
import { canonicalAggregates, parseAggregateFields } from "./parse_aggregates.ts";
import { realtimeIssues } from "./realtime_checks.ts";
import { checkSource } from "./realtime_function.ts";
import { serviceIssues } from "./service.ts";
import { viewIssues } from "./view_checks.ts";

/** What definitions of a kind are called. */
const titles = {
  entity: "entity",
  view: "view",
  realtimeView: "realtime view",
  service: "service",
} as const satisfies Record<
  Definition["kind"],
  string
>;

/** Checks that JSON is a definition and gives it in canonical form; throws INVALID_DEFINITION with every problem. */
export function parseDefinition(json: unknown): Definition {
  const issues: Issue[] = [];
  const reader = new JsonReader(json, "", issues);
  throwIssues("Cannot read definition", issues);
  const kind = reader.text("kind");
  const name = reader.raw("name");
  const subject = `Cannot read ${Object.hasOwn(titles, kind) ? titles[kind as Definition["kind"]] : "definition"} ${
    JSON.stringify(name ?? "")
  }`;
  const definition = parseKind(kind, reader);
  if (!definition) {
    throwIssues(subject, [...issues, {
      path: "kind",
      message: `${JSON.stringify(kind)} is not entity, view, realtimeView or service`,
    }]);
  }
  reader.end();
  throwIssues(subject, issues);
  throwIssues(subject, checked(definition!));
  if (definition!.kind === "realtimeView") checkSource(definition!);
  return canonical(definition!);
}

function parseKind(kind: string, reader: JsonReader): Definition | undefined {
  switch (kind) {
    case "entity":
      return parseEntity(reader);
    case "view":
      return parseView(reader);
    case "realtimeView":
      return parseRealtimeView(reader);
    case "service":
      return parseService(reader);
  }
  return undefined;
}

function checked(definition: Definition): Issue[] {
  switch (definition.kind) {
    case "entity":
      return entityIssues(definition);
    case "view":
      return viewIssues(definition);
    case "realtimeView":
      return realtimeIssues(definition);
    case "service":
      return serviceIssues(definition);
  }
}

function parseEntity(reader: JsonReader): EntityDefinition {
  reader.raw("kind");
  return Object.freeze({
    kind: "entity",
    name: reader.text("name"),
    joinKeys: reader.list("joinKeys", (key) => key.field()),
    ...descriptive(parseDescriptive(reader)),
  });
}

function parseView(reader: JsonReader): ViewDefinition {
  const mode = reader.choice("mode", ["attributes", "aggregates"] satisfies ViewDefinition["mode"][]);
  const written = reader.optionalText("writtenTimestamp");
  const end = reader.optionalText("end");
  const head = {
    kind: "view",
    name: reader.text("name"),
    entity: reader.object("entity", parseEntity),
    query: reader.parsed("query", parseQuery) ?? nothing,
    eventTimestamp: reader.text("eventTimestamp"),
    ...(written === undefined ? {} : { writtenTimestamp: written }),
  } as const;
  const tail = {
    schedule: reader.text("schedule"),
    dataDelay: reader.optionalText("dataDelay") ?? "0s",
    start: reader.text("start"),
    ...(end === undefined ? {} : { end }),
    ttl: reader.optionalText("ttl") ?? "forever",
    lookback: reader.number("lookback", 0),
    online: reader.flag("online", false),
    offline: reader.flag("offline", true),
    ...descriptive(parseDescriptive(reader)),
    ...(reader.flag("preventDestroy", false) ? { preventDestroy: true } : {}),
  };
  return mode === "aggregates"
    ? { ...head, mode, ...parseAggregateFields(reader, parseFeature), ...tail }
    : { ...head, mode, features: reader.list("features", parseFeature), ...tail };
}

/** Stands in for a query that could not be read; the definition is refused before anybody looks at it. */
const nothing: Query = Object.freeze({ kind: "union", inputs: Object.freeze([]) });

function parseFeature(reader: JsonReader): FeatureDefinition {
  const value = reader.raw("default");
  const description = reader.optionalText("description");
  return {
    ...reader.field(),
    ...(value === undefined ? {} : { default: value as LiteralValue }),
    ...(description ? { description } : {}),
  };
}

function parseRealtimeView(reader: JsonReader): RealtimeViewDefinition {
  return Object.freeze({
    kind: "realtimeView",
    name: reader.text("name"),
    request: reader.list("request", (each) => each.field()),
    from: reader.list("from", parseServiceView),
    inputs: reader.list("inputs", (each) => each.field()),
    joinKeys: reader.list("joinKeys", (each) => each.field()),
    compute: reader.object("compute", parseCompute),
    features: reader.list("features", parseFeature),
    ...descriptive(parseDescriptive(reader)),
  });
}

function parseCompute(reader: JsonReader): RealtimeCompute {
  const kind = reader.choice("kind", ["expressions", "function"] satisfies RealtimeCompute["kind"][]);
  if (kind === "function") return Object.freeze({ kind, source: reader.text("source"), hash: reader.text("hash") });
  const expressions = reader.parsed("expressions", (value) => {
    if (typeof value !== "object" || value === null) throw new TypeError("they must be an object of expressions");
    const entries = Object.entries(value).map(([name, each]): [string, ExprNode] => [name, parseExpr(each)]);
    return Object.freeze(Object.fromEntries(entries));
  });
  return Object.freeze({ kind, expressions: expressions ?? {} });
}

function parseService(reader: JsonReader): ServiceDefinition {
  return Object.freeze({
    kind: "service",
    name: reader.text("name"),
    views: reader.list("views", parseServiceView),
    ...descriptive(parseDescriptive(reader)),
  });
}

function parseServiceView(reader: JsonReader): ServiceView {
  const view = reader.text("view");
  const keys = Object.entries(reader.texts("joinKeyMap")).filter(([key, column]) => key !== column).sort(([a], [b]) =>
    a < b ? -1 : 1
  );
  return {
    view,
    alias: reader.optionalText("alias") ?? view,
    features: reader.list("features", (each) => ({ feature: each.text("feature"), as: each.text("as") })),
    joinKeyMap: Object.freeze(Object.fromEntries(keys)),
  };
}

function parseDescriptive(reader: JsonReader): Descriptive {
  const description = reader.optionalText("description");
  const owner = reader.optionalText("owner");
  return {
    ...(description === undefined ? {} : { description }),
    ...(owner === undefined ? {} : { owner }),
    tags: reader.texts("tags"),
  };
}

/** Times as the builders write them and features in the order of the query, so that equal definitions have equal JSON. */
function canonical(definition: Definition): Definition {
  if (definition.kind !== "view") return definition;
  const duration = (text: string) => formatDuration(durationToMicros(text, "duration", { allowZero: true }));
  const times = {
    schedule: duration(definition.schedule),
    dataDelay: duration(definition.dataDelay),
    ttl: definition.ttl === "forever" ? "forever" : duration(definition.ttl),
    start: formatTimestamp(toMicros(definition.start)),
    ...(definition.end === undefined ? {} : { end: formatTimestamp(toMicros(definition.end)) }),
  };
  if (definition.mode === "aggregates") {
    return Object.freeze({ ...definition, ...canonicalAggregates(definition), ...times });
  }
  const order = columnNames(schemaOf(definition.query));
  const features = [...definition.features].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  return Object.freeze({ ...definition, features: Object.freeze(features), ...times });
}
