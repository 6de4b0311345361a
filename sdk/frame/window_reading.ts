/** Reads `.aggregate(aggregates, options)`: from what people write to what is computed over which windows. */
import { givenText, type Issue, messageOf, optionIssues, type OptionNames } from "../errors.ts";
import { columnNames, type Field, findField, type Schema } from "../schema.ts";
import { type Duration, durationToMicros, formatDuration } from "../time.ts";
import type { Query } from "./query.ts";
import { schemaOf } from "./query_schema.ts";
import { type AggregatesInput, readAggregations, uniqueAggregations } from "./window_aggregations.ts";
import {
  everyIssues,
  maxFeatures,
  maxRowsDefault,
  maxRowsIssues,
  secondaryKeyIssues,
  sizeIssues,
  tooManyFeatures,
} from "./window_checks.ts";
import type { AggregationDefinition, WindowBoundary, WindowDefinition, WindowEdge } from "./window_spec.ts";
import type { AggregateOptions } from "./window_types.ts";
import { type NamedWindow, readWindow } from "./windows.ts";

/** A feature before its type is known. */
export interface WindowedFeature {
  /** Its name. */
  readonly name: string;
  /** The name of its aggregation; absent where it is the list of secondary keys of the window. */
  readonly aggregation?: string;
  /** Over which rows. */
  readonly window: WindowDefinition;
  /** What replaces null (S7), as it was written. */
  readonly default?: unknown;
  /** What it is, in words. */
  readonly description?: string;
}

/** What is computed over which windows. */
export interface WindowedSpec {
  /** Each once, sorted by name. */
  readonly aggregations: readonly AggregationDefinition[];
  /** By window, then by aggregation, as they were written. */
  readonly features: readonly WindowedFeature[];
  /** Where windows begin and end (S5). */
  readonly edge: WindowEdge;
  /** Whether a row at the very instant that is asked for counts (S5). */
  readonly boundary: WindowBoundary;
  /** The length of a tile; absent: what fits, once the schedule is known. */
  readonly every?: Duration;
  /** The column by whose values features are lists. */
  readonly secondaryKey?: string;
  /** How many rows of a key are kept for requests. */
  readonly maxRows?: number;
}

/** Aggregations over windows with the rows they are of. */
export interface WindowedSource {
  /** The rows. */
  readonly frame: { readonly query: Query };
  /** What they are about. */
  readonly entity: { readonly name: string; readonly joinKeys: readonly Field[] };
  /** What is computed over which windows. */
  readonly spec: WindowedSpec;
}

const aggregateOptions: OptionNames<AggregateOptions> = {
  windows: true,
  every: true,
  edge: true,
  boundary: true,
  secondaryKey: true,
  maxRows: true,
  defaults: true,
  descriptions: true,
};

const edges: readonly WindowEdge[] = ["complete", "exact", "fresh"];
const boundaries: readonly WindowBoundary[] = ["inclusive", "exclusive"];

/** Reads and checks everything that needs no schedule; what is wrong becomes issues. */
export function readWindowed(
  { frame, entity }: Omit<WindowedSource, "spec">,
  aggregates: AggregatesInput,
  options: AggregateOptions,
  issues: Issue[],
): WindowedSpec {
  const schema = schemaOf(frame.query);
  const given = (options ?? {}) as AggregateOptions;
  issues.push(...optionIssues(given, aggregateOptions));
  const edge = chosen("edge", given.edge ?? "complete", edges, issues);
  const boundary = chosen("boundary", given.boundary ?? "inclusive", boundaries, issues);
  const written = readAggregations(aggregates, schema, issues);
  const windows = readWindows(given.windows, issues);
  const { secondaryKey } = given;
  if (secondaryKey !== undefined) {
    issues.push(...secondaryKeyIssues(keyField(secondaryKey, schema, issues), entity.joinKeys));
  }
  const { aggregations, standsFor } = uniqueAggregations(written.map(({ aggregation }) => aggregation));
  const called = written.map((each) => each.called);
  const defaults = perAggregation("defaults", given.defaults, called, issues);
  const descriptions = perAggregation("descriptions", given.descriptions, called, issues);
  const count = windows.length * (called.length + (secondaryKey === undefined ? 0 : 1));
  if (count > maxFeatures) issues.push({ path: "windows", message: tooManyFeatures(count) });
  for (const [name, text] of Object.entries(descriptions)) {
    if (typeof text !== "string") issues.push({ path: `descriptions.${name}`, message: "it is not text" });
  }
  const features = count > maxFeatures
    ? []
    : windows.flatMap(({ name: window, window: definition }): WindowedFeature[] => [
      ...(secondaryKey === undefined ? [] : [{ name: `${secondaryKey}_keys_${window}`, window: definition }]),
      ...called.map((name): WindowedFeature => ({
        name: `${name}_${window}`,
        aggregation: standsFor.get(name)!,
        window: definition,
        ...(Object.hasOwn(defaults, name) && { default: defaults[name] }),
        ...(Object.hasOwn(descriptions, name) && { description: descriptions[name] as string }),
      })),
    ]);
  const every = readEvery(given.every, issues);
  issues.push(
    ...sizeIssues(windows, secondaryKey !== undefined),
    ...(every === undefined ? [] : everyIssues(every, edge, windows)),
    ...maxRowsIssues(edge, given.maxRows),
  );
  const maxRows = edge === "exact" ? given.maxRows ?? maxRowsDefault : undefined;
  return Object.freeze({
    aggregations,
    features: Object.freeze(features.map((each) => Object.freeze(each))),
    edge,
    boundary,
    ...(every === undefined ? {} : { every }),
    ...(secondaryKey === undefined ? {} : { secondaryKey }),
    ...(maxRows === undefined ? {} : { maxRows }),
  });
}

function chosen<T extends string>(path: string, value: T, choices: readonly T[], issues: Issue[]): T {
  if (choices.includes(value)) return value;
  issues.push({ path, message: `${JSON.stringify(value)} is not one of ${choices.join(", ")}` });
  return choices[0]!;
}

function readWindows(windows: unknown, issues: Issue[]): NamedWindow[] {
  if (windows !== undefined && !Array.isArray(windows)) {
    const list = typeof windows === "string" ? JSON.stringify([windows]) : '["24h"]';
    issues.push({ path: "windows", message: `${givenText(windows)} is no list; write { windows: ${list} }` });
    return [];
  }
  if (windows === undefined || windows.length === 0) {
    issues.push({ path: "windows", message: 'there are none; give at least one, as in { windows: ["24h"] }' });
    return [];
  }
  if (windows.length > maxFeatures) {
    issues.push({ path: "windows", message: tooManyFeatures(windows.length) });
    return [];
  }
  const read = windows.flatMap((each: unknown, i) => readWindow(each, `windows[${i}]`, issues) ?? []);
  const names = read.map(({ name }) => name);
  for (const name of new Set(names.filter((each, i) => names.indexOf(each) !== i))) {
    issues.push({
      path: "windows",
      message: `two are called "${name}"; name one: { window: …, name: "…" }`,
    });
  }
  return read;
}

function keyField(name: string, schema: Schema, issues: Issue[]): Field | undefined {
  const field = findField(schema, name);
  if (!field) {
    issues.push({
      path: "secondaryKey",
      message: `there is no column ${JSON.stringify(name)}; columns are ${columnNames(schema).join(", ")}`,
    });
  }
  return field;
}

function readEvery(every: unknown, issues: Issue[]): Duration | undefined {
  if (every === undefined) return undefined;
  try {
    return formatDuration(durationToMicros(every as Duration, "every"));
  } catch (error) {
    issues.push({ path: "every", message: messageOf(error).replace(/^Cannot read every /, "") });
    return undefined;
  }
}

/** What is said of aggregations by their names. */
function perAggregation(
  path: string,
  record: unknown,
  called: readonly string[],
  issues: Issue[],
): Readonly<Record<string, unknown>> {
  if (record === undefined) return {};
  if (typeof record !== "object" || record === null || Array.isArray(record)) {
    issues.push({ path, message: `they are a record by aggregation: { ${called[0] ?? "name"}: … }` });
    return {};
  }
  for (const name of Object.keys(record)) {
    if (called.includes(name)) continue;
    issues.push({
      path: `${path}.${name}`,
      message: `there is no such aggregation; aggregations are ${called.join(", ")}`,
    });
  }
  return record as Readonly<Record<string, unknown>>;
}
