/** Checks of a view of aggregates beyond those of every view, wherever it comes from. */
import { type Issue, messageOf, VarveError } from "../errors.ts";
import { aggregationType, isNeverNull, windowFeatureType } from "../frame/window_aggregations.ts";
import {
  everyIssues,
  maxFeatures,
  maxRowsIssues,
  secondaryKeyIssues,
  sizeIssues,
  tooManyFeatures,
} from "../frame/window_checks.ts";
import { differentWindows, windowProblem } from "../frame/windows.ts";
import { columnNames, type DataType, findField, formatType, sameType, type Schema } from "../schema.ts";
import { durationToMicros, formatTimestamp, type Micros, toMicros } from "../time.ts";
import { columnIssues, defaultIssues, twinIssues } from "./checks.ts";
import type { AggregateView, AggregationDefinition, WindowFeature } from "./definitions.ts";

/** The most aggregations of a view. */
const maxAggregations = 500;

/** Windows count in micros as doubles, which are exact in these limits. */
export const windowTimes: { readonly min: Micros; readonly max: Micros } = {
  min: toMicros("1685-01-01"),
  max: toMicros("2255-01-01"),
};

/** Problems of windows, aggregations and features. */
export function aggregateIssues(view: AggregateView, schema: Schema): Issue[] {
  const types = new Map<string, DataType>();
  return [
    ...limitIssues(view),
    ...windowIssues(view),
    ...keyIssues(view, schema),
    ...aggregationIssues(view, schema, types),
    ...featureIssues(view, types),
  ];
}

function limitIssues(view: AggregateView): Issue[] {
  const issues: Issue[] = [];
  if (view.ttl !== "forever") {
    issues.push({ path: "ttl", message: `it is ${view.ttl}; windows say how long rows count: leave it out` });
  }
  for (const path of ["start", "end"] as const) {
    const micros = view[path] === undefined ? undefined : readable(() => toMicros(view[path]!));
    if (micros !== undefined && (micros < windowTimes.min || micros > windowTimes.max)) {
      const [min, max] = [windowTimes.min, windowTimes.max].map(formatTimestamp);
      issues.push({ path, message: `${view[path]} is not between ${min} and ${max}, where windows are exact` });
    }
  }
  return issues;
}

/** What cannot be read is told elsewhere. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function windowIssues(view: AggregateView): Issue[] {
  const issues: Issue[] = [];
  for (const { name, window } of view.features) {
    const problem = windowProblem(window);
    if (problem !== undefined) issues.push({ path: `features.${name}.window`, message: problem });
  }
  if (issues.length > 0) return issues;
  // Features share windows: a problem of one is told once.
  const windows = differentWindows(view.features);
  issues.push(...sizeIssues(windows, view.secondaryKey !== undefined), ...tileIssues(view, windows));
  if (view.edge === "exact" && view.maxRows === undefined) {
    issues.push({ path: "maxRows", message: "it is missing; with edge exact it says how many rows of a key are kept" });
  }
  return [...issues, ...maxRowsIssues(view.edge, view.maxRows)];
}

function tileIssues(view: AggregateView, windows: readonly WindowFeature[]): Issue[] {
  try {
    durationToMicros(view.every, "every");
  } catch (error) {
    return [{ path: "every", message: messageOf(error) }];
  }
  // There are no tiles, and the definition says the schedule: see `canonical`.
  if (view.edge === "exact") return [];
  const schedule = readable(() => durationToMicros(view.schedule));
  const divides = schedule === undefined || schedule % durationToMicros(view.every) === 0n;
  return [
    ...everyIssues(view.every, view.edge, windows),
    ...(divides ? [] : [{
      path: "every",
      message: `the schedule, ${view.schedule}, is not a multiple of it, ${view.every}, so that slices would cut tiles`,
    }]),
  ];
}

function keyIssues(view: AggregateView, schema: Schema): Issue[] {
  const issues: Issue[] = [];
  const { secondaryKey, entity } = view;
  if (secondaryKey) {
    const path = "secondaryKey";
    const type = findField(schema, secondaryKey.name)?.type;
    if (type === undefined) {
      issues.push({
        path,
        message: `the query has no column "${secondaryKey.name}"; columns are ${columnNames(schema).join(", ")}`,
      });
    } else if (!sameType(type, secondaryKey.type)) {
      issues.push({ path, message: `it is ${formatType(secondaryKey.type)}, the query gives ${formatType(type)}` });
    }
    issues.push(...columnIssues(secondaryKey.name, path), ...secondaryKeyIssues(secondaryKey, entity.joinKeys));
    if (secondaryKey.name === view.eventTimestamp || secondaryKey.name === view.writtenTimestamp) {
      issues.push({ path, message: `column "${secondaryKey.name}" is a time` });
    }
  }
  if (view.writtenTimestamp === view.eventTimestamp) {
    issues.push({ path: "writtenTimestamp", message: `column "${view.eventTimestamp}" is the event timestamp` });
  }
  for (const name of storedColumns(view)) {
    if (/^input_\d+$/i.test(name)) {
      issues.push({
        path: "query",
        message: `"${name}" cannot be the name of a key or time: it is reserved for what aggregations read; rename it`,
      });
    }
  }
  return issues;
}

/** Columns of the query that are kept beside what aggregations read. */
function storedColumns({ entity, eventTimestamp, writtenTimestamp, secondaryKey }: AggregateView): string[] {
  return [
    ...entity.joinKeys.map(({ name }) => name),
    eventTimestamp,
    ...(writtenTimestamp === undefined ? [] : [writtenTimestamp]),
    ...(secondaryKey === undefined ? [] : [secondaryKey.name]),
  ];
}

function aggregationIssues(view: AggregateView, schema: Schema, types: Map<string, DataType>): Issue[] {
  const { aggregations } = view;
  if (aggregations.length > maxAggregations) {
    return [{
      path: "aggregations",
      message: `there are ${aggregations.length}, at most ${maxAggregations} are allowed`,
    }];
  }
  const issues = twinIssues(aggregations.map(({ name }) => name), "aggregations");
  for (const aggregation of aggregations) {
    const path = `aggregations.${aggregation.name}`;
    issues.push(...columnIssues(aggregation.name, path));
    // Its state is stored in columns of names like this.
    const prefix = `${aggregation.name}__`.toLowerCase();
    const clash = storedColumns(view).find((name) => name.toLowerCase().startsWith(prefix));
    if (clash !== undefined) {
      issues.push({ path, message: `column "${clash}" starts like the columns of its state; rename one` });
    }
    try {
      types.set(aggregation.name, aggregationType(aggregation, schema));
    } catch (error) {
      if (!(error instanceof VarveError)) throw error;
      issues.push({ path, message: error.message });
    }
  }
  return issues;
}

function featureIssues(view: AggregateView, types: ReadonlyMap<string, DataType>): Issue[] {
  const { features, secondaryKey } = view;
  if (features.length === 0) return [{ path: "features", message: "there are none; choose at least one" }];
  if (features.length > maxFeatures) {
    return [{ path: "features", message: tooManyFeatures(features.length) }];
  }
  const keys = new Set(view.entity.joinKeys.map(({ name }) => name.toLowerCase()));
  const aggregations = new Map(view.aggregations.map((each) => [each.name, each]));
  const issues = twinIssues(features.map(({ name }) => name), "features");
  for (const feature of features) {
    const path = `features.${feature.name}`;
    issues.push(...columnIssues(feature.name, path));
    if (keys.has(feature.name.toLowerCase())) issues.push({ path, message: "it is a join key" });
    const aggregation = feature.aggregation === undefined ? undefined : aggregations.get(feature.aggregation);
    const type = aggregation ? types.get(aggregation.name) : secondaryKey?.type;
    if (feature.aggregation !== undefined && !aggregation) {
      issues.push({ path, message: `there is no aggregation "${feature.aggregation}"` });
    } else if (!aggregation && !secondaryKey) {
      issues.push({ path, message: "it says no aggregation, and there is no secondaryKey whose values it could list" });
    } else if (type !== undefined) {
      issues.push(...typeIssues(feature, aggregation, type, secondaryKey !== undefined, path));
    }
  }
  return issues;
}

function typeIssues(
  feature: WindowFeature,
  aggregation: AggregationDefinition | undefined,
  type: DataType,
  hasSecondaryKey: boolean,
  path: string,
): Issue[] {
  const given = windowFeatureType(type, feature.window, hasSecondaryKey);
  if (!sameType(given, feature.type)) {
    return [{ path, message: `it is ${formatType(feature.type)}, the aggregation gives ${formatType(given)}` }];
  }
  return feature.default !== undefined && isNeverNull(aggregation, feature.window, hasSecondaryKey)
    ? [{ path: `${path}.default`, message: "it is never null: there is nothing to replace" }]
    : defaultIssues(feature, path);
}
