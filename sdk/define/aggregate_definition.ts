/** From aggregations over windows to the plain data that the registry stores. */
import type { Issue } from "../errors.ts";
import { schemaOf } from "../frame/query_schema.ts";
import { aggregationType, isNeverNull, windowFeatureType } from "../frame/window_aggregations.ts";
import { defaultEvery } from "../frame/window_checks.ts";
import type { WindowedFeature, WindowedSpec } from "../frame/window_reading.ts";
import { type DataType, findField, type Row, type Schema, type SchemaTypes } from "../schema.ts";
import { alignUp, type Duration, durationToMicros, formatDuration, Timestamp } from "../time.ts";
import { windowTimes } from "./aggregate_checks.ts";
import type { AggregateView, AggregationDefinition, WindowFeature } from "./definitions.ts";
import { chosenFeatures, storedOptions, viewHead, viewRows, viewTail } from "./view_base.ts";
import { throwViewIssues } from "./view_definition.ts";
import type { FeatureOptions, KeyedSource, ViewOptions } from "./view_types.ts";

/** Makes and checks the plain data of a view of aggregates; every problem is told at once. */
export function aggregateDefinition(
  name: string,
  source: KeyedSource<Row, SchemaTypes>,
  spec: WindowedSpec,
  options: ViewOptions,
): AggregateView {
  const issues: Issue[] = [];
  if (options.ttl !== undefined) {
    issues.push({ path: "ttl", message: "windows say how long rows count; leave it out" });
  }
  const rows = viewRows(source, options, issues);
  const schema = schemaOf(rows.query);
  const features = featuresOf(spec, schema, options, issues);
  const used = new Set(features.map(({ aggregation }) => aggregation));
  const { ttl: _, ...settings } = options;
  const tail = viewTail(settings, issues, spec.every);
  const every = spec.every ?? defaultEvery(spec.edge, windowsOf(features), durationToMicros(tail.schedule));
  if (every === undefined) {
    issues.push({
      path: "windows",
      message: `no tile of 1m or more divides them and the schedule, ${tail.schedule}; give other windows, or every`,
    });
  }
  const secondaryKey = spec.secondaryKey === undefined ? undefined : findField(schema, spec.secondaryKey);
  const definition: AggregateView = Object.freeze({
    ...viewHead(name, "aggregates", source, rows),
    every: every ?? tail.schedule,
    edge: spec.edge,
    boundary: spec.boundary,
    ...(spec.maxRows === undefined ? {} : { maxRows: spec.maxRows }),
    ...(secondaryKey === undefined ? {} : { secondaryKey }),
    aggregations: Object.freeze(spec.aggregations.filter((each) => used.has(each.name))),
    features: Object.freeze(features),
    ...tail,
  });
  throwViewIssues(name, definition, issues);
  return definition;
}

/**
 * Stands in for a view before its name and schedule are known: daily slices, from the first instant on. Whoever previews it goes by
 * event time, so that the schedule decides only which rows a group-by in the query groups.
 */
export function previewDefinition(source: KeyedSource<Row, SchemaTypes>, spec: WindowedSpec): AggregateView {
  const tile = spec.every === undefined ? day : durationToMicros(spec.every, "every");
  const schedule = formatDuration(tile * ((day + tile - 1n) / tile));
  return aggregateDefinition("preview", source, spec, { schedule, start: firstStart(schedule) });
}

const day = durationToMicros("1d");

/** A start is moved back to a boundary, and none may lie before 1685. */
function firstStart(schedule: Duration): Timestamp {
  return new Timestamp(alignUp(windowTimes.min, durationToMicros(schedule)));
}

function windowsOf(features: readonly WindowFeature[]): WindowFeature["window"][] {
  return features.map(({ window }) => window);
}

/** Features in the order of windows and aggregations, whatever the order in which they were chosen. */
function featuresOf(spec: WindowedSpec, schema: Schema, options: ViewOptions, issues: Issue[]): WindowFeature[] {
  const names = spec.features.map(({ name }) => name);
  const chosen = chosenFeatures(options, names, issues);
  for (const name of chosen.keys()) {
    if (names.includes(name)) continue;
    issues.push({
      path: `features.${name}`,
      message: `there is no such feature; features are ${names.join(", ")}`,
    });
  }
  return spec.features.flatMap((feature) => {
    const more = chosen.get(feature.name);
    return more ? [featureOf(feature, more, spec, schema, issues)] : [];
  });
}

function featureOf(
  { name, aggregation: of, window, ...said }: WindowedFeature,
  more: FeatureOptions,
  { aggregations, secondaryKey }: WindowedSpec,
  schema: Schema,
  issues: Issue[],
): WindowFeature {
  const aggregation = aggregations.find((each) => each.name === of);
  const type = windowFeatureType(valueType(aggregation, secondaryKey, schema), window, secondaryKey !== undefined);
  // What is said of an aggregation goes for its features, where it can: lists of a series are never null.
  const inherited = window.kind === "series" ? {} : { default: said.default };
  const stored: FeatureOptions = {
    ...inherited,
    ...(said.description !== undefined && { description: said.description }),
    ...more,
  };
  if (stored.default !== undefined && isNeverNull(aggregation, window, secondaryKey !== undefined)) {
    issues.push({
      path: `features.${name}.default`,
      message: "counts and lists are never null: 0 and [] stand for nothing (S7); leave it out",
    });
  }
  return Object.freeze({
    name,
    type,
    ...(of === undefined ? {} : { aggregation: of }),
    window,
    ...storedOptions(name, type, stored, issues),
  });
}

/** The type of a value before it may become part of a list. What does not fit any more is told by the checks of the view. */
function valueType(
  aggregation: AggregationDefinition | undefined,
  secondaryKey: string | undefined,
  schema: Schema,
): DataType {
  try {
    if (aggregation) return aggregationType(aggregation, schema);
  } catch {
    return "string";
  }
  return schema.find(({ name }) => name === secondaryKey)?.type ?? "string";
}
