/** What only views of aggregates say, from outside and in canonical form. */
import { parseExpr } from "../frame/expr_json.ts";
import type { ExprNode, LiteralValue } from "../frame/expr_node.ts";
import { deepFreeze } from "../frame/steps.ts";
import { canonicalAggregation, uniqueAggregations } from "../frame/window_aggregations.ts";
import { canonicalWindow } from "../frame/windows.ts";
import { durationToMicros, formatDuration } from "../time.ts";
import type {
  AggregateView,
  AggregationDefinition,
  FeatureDefinition,
  WindowBoundary,
  WindowDefinition,
  WindowEdge,
  WindowFeature,
} from "./definitions.ts";
import type { JsonReader } from "./json_reader.ts";

/** The fields that attributes do not have. */
export type AggregateFields = Pick<
  AggregateView,
  "every" | "edge" | "boundary" | "maxRows" | "secondaryKey" | "aggregations" | "features"
>;

const edges: readonly WindowEdge[] = ["complete", "exact", "fresh"];
const boundaries: readonly WindowBoundary[] = ["inclusive", "exclusive"];

/** Reads them; `readFeature` reads what every feature says. */
export function parseAggregateFields(
  reader: JsonReader,
  readFeature: (reader: JsonReader) => FeatureDefinition,
): AggregateFields {
  const maxRows = reader.raw("maxRows") === undefined ? undefined : reader.number("maxRows", 0);
  const secondaryKey = reader.raw("secondaryKey") === undefined
    ? undefined
    : Object.freeze(reader.object("secondaryKey", (each) => each.field()));
  return {
    every: reader.text("every"),
    edge: reader.choice("edge", edges),
    boundary: reader.choice("boundary", boundaries),
    ...(maxRows === undefined ? {} : { maxRows }),
    ...(secondaryKey === undefined ? {} : { secondaryKey }),
    aggregations: reader.list("aggregations", parseAggregation),
    features: reader.list("features", (each) => parseWindowFeature(each, readFeature)),
  };
}

function parseAggregation(reader: JsonReader): AggregationDefinition {
  const input = expression(reader, "input");
  const by = expression(reader, "by");
  const where = expression(reader, "where");
  const parameters = reader.raw("parameters") === undefined ? undefined : reader.parsed("parameters", parseParameters);
  return {
    name: reader.text("name"),
    function: reader.text("function"),
    ...(input && { input }),
    ...(by && { by }),
    ...(where && { where }),
    ...(parameters && { parameters }),
  };
}

/** The most values in the constants of one aggregation, and how deep they may be nested. */
const maxConstants = 10_000;
const maxConstantDepth = 8;

/** Constants of varve's functions are checked by their rules; those of a user's own may be any JSON of reasonable size. */
function parseParameters(json: unknown): Readonly<Record<string, LiteralValue>> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new TypeError("they are not a record of constants");
  }
  let count = 0;
  const look = (value: unknown, depth: number): void => {
    if (++count > maxConstants || depth > maxConstantDepth) {
      throw new TypeError(`there are more than ${maxConstants}, or they are nested more than ${maxConstantDepth} deep`);
    }
    if (typeof value === "object" && value !== null) Object.values(value).forEach((each) => look(each, depth + 1));
  };
  look(json, 0);
  return deepFreeze({ ...json });
}

function expression(reader: JsonReader, name: string): ExprNode | undefined {
  return reader.raw(name) === undefined ? undefined : reader.parsed(name, parseExpr);
}

function parseWindowFeature(
  reader: JsonReader,
  readFeature: (reader: JsonReader) => FeatureDefinition,
): WindowFeature {
  const aggregation = reader.optionalText("aggregation");
  const { name, type, ...said } = readFeature(reader);
  return {
    name,
    type,
    ...(aggregation === undefined ? {} : { aggregation }),
    window: Object.freeze(reader.object("window", parseWindow)),
    ...said,
  };
}

function parseWindow(reader: JsonReader): WindowDefinition {
  const kind = reader.choice("kind", ["time", "lifetime", "series"] satisfies WindowDefinition["kind"][]);
  switch (kind) {
    case "time":
      return { kind, size: reader.text("size"), offset: reader.text("offset") };
    case "lifetime":
      return { kind, offset: reader.text("offset") };
    case "series":
      return {
        kind,
        size: reader.text("size"),
        step: reader.text("step"),
        from: reader.text("from"),
        to: reader.text("to"),
      };
  }
}

/** As the builder writes them: durations in their only text, each aggregation once and with all constants. The view was checked. */
export function canonicalAggregates(view: AggregateView): Pick<AggregateView, "every" | "aggregations" | "features"> {
  const { aggregations, standsFor } = uniqueAggregations(view.aggregations.map(canonicalAggregation));
  const features = view.features.map(({ name, type, aggregation, window, ...said }) =>
    Object.freeze({
      name,
      type,
      ...(aggregation === undefined ? {} : { aggregation: standsFor.get(aggregation)! }),
      window: canonicalWindow(window),
      ...said,
    })
  );
  const used = new Set(features.map((each) => each.aggregation));
  return {
    // Without tiles nothing depends on their length.
    every: formatDuration(durationToMicros(view.edge === "exact" ? view.schedule : view.every, "every")),
    aggregations: Object.freeze(aggregations.filter((each) => used.has(each.name))),
    features: Object.freeze(features),
  };
}
