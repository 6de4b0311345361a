/** What every kind of view says of its rows and its schedule, read from what a user says. */
import { type Issue, messageOf, optionIssues, type OptionNames, VarveError } from "../errors.ts";
import { literalOf, type Plain } from "../frame/expr_literal.ts";
import type { LiteralValue } from "../frame/expr_node.ts";
import type { Query } from "../frame/query.ts";
import { schemaOf } from "../frame/query_schema.ts";
import { columnNames, type DataType, type Field, findField, type Row, type SchemaTypes } from "../schema.ts";
import {
  alignDown,
  alignUp,
  type Duration,
  durationToMicros,
  formatDuration,
  formatTimestamp,
  toMicros,
} from "../time.ts";
import { descriptive } from "./checks.ts";
import type { EntityDefinition, ViewDefinition } from "./definitions.ts";
import { traceTimestamp, withTimestamp } from "./event_time.ts";
import type { FeatureChoice, FeatureOptions, KeyedSource, ViewOptions } from "./view_types.ts";

const timeColumns = ["eventTimestamp", "writtenTimestamp"] as const;

const viewOptions: OptionNames<ViewOptions> = {
  schedule: true,
  start: true,
  end: true,
  dataDelay: true,
  ttl: true,
  lookback: true,
  online: true,
  offline: true,
  features: true,
  defaults: true,
  eventTimestamp: true,
  writtenTimestamp: true,
  description: true,
  owner: true,
  tags: true,
  preventDestroy: true,
};

const featureOptions: OptionNames<FeatureOptions> = { default: true, description: true };

/** The rows of a view, with its keys and times in their types. */
export interface ViewRows {
  /** The query, with casts where keys or times need them. */
  readonly query: Query;
  /** The columns that hold the times. */
  readonly times: { readonly eventTimestamp?: string; readonly writtenTimestamp?: string };
}

/** Finds keys and times in a frame; what is not there becomes issues. */
export function viewRows(source: KeyedSource<Row, SchemaTypes>, options: ViewOptions, issues: Issue[]): ViewRows {
  let query = withWideKeys(source.frame.query, source.entity.joinKeys);
  const times: { eventTimestamp?: string; writtenTimestamp?: string } = {};
  for (const role of timeColumns) {
    const placed = placeTimestamp(query, role, options[role]);
    if ("problem" in placed) {
      issues.push({ path: role, message: placed.problem });
    } else {
      query = placed.query;
      if (placed.column !== undefined) times[role] = placed.column;
    }
  }
  return { query, times };
}

/** Name, entity, query and times of a view. */
export function viewHead<M extends ViewDefinition["mode"]>(
  name: string,
  mode: M,
  source: KeyedSource<Row, SchemaTypes>,
  { query, times }: ViewRows,
): Pick<ViewDefinition, "kind" | "name" | "entity" | "query" | "eventTimestamp" | "writtenTimestamp"> & { mode: M } {
  return {
    kind: "view",
    name,
    entity: entityOf(source.entity),
    query,
    eventTimestamp: times.eventTimestamp ?? "",
    ...(times.writtenTimestamp === undefined ? {} : { writtenTimestamp: times.writtenTimestamp }),
    mode,
  };
}

/** Schedule, switches and descriptions of a view; a schedule that cannot be read is taken for `otherwise`, so that nothing else is told of it. */
export function viewTail(
  options: ViewOptions,
  issues: Issue[],
  otherwise?: Duration,
): Schedule & Pick<ViewDefinition, "description" | "owner" | "tags" | "preventDestroy"> {
  issues.push(...optionIssues(options, viewOptions));
  return {
    ...scheduleOf(options, issues, otherwise),
    ...descriptive(options),
    ...(options.preventDestroy ? { preventDestroy: true } : {}),
  };
}

/** Which features were chosen, with what is said of each; all of `names` when nothing is chosen. */
export function chosenFeatures(
  options: ViewOptions,
  names: readonly string[],
  issues: Issue[],
): ReadonlyMap<string, FeatureOptions> {
  const chosen = options.features as FeatureChoice<Row, string> | undefined;
  const details = new Map<string, FeatureOptions>();
  if (Array.isArray(chosen)) { for (const name of chosen) details.set(String(name), {}); }
  else if (chosen !== undefined) {
    for (const [name, more] of Object.entries(chosen)) {
      const said = more === true || more === undefined ? {} : more;
      issues.push(
        ...optionIssues(said, featureOptions).map(({ path, message }) => ({
          path: `features.${name}.${path}`,
          message,
        })),
      );
      details.set(name, said);
    }
  } else for (const name of names) details.set(name, {});
  const defaults = (options.defaults ?? {}) as Readonly<Record<string, unknown>>;
  for (const [name, value] of Object.entries(defaults)) {
    const more = details.get(name);
    if (!more) {
      issues.push({
        path: `defaults.${name}`,
        message: `there is no such feature; features are ${[...details.keys()].join(", ")}`,
      });
    } else if (more.default !== undefined) {
      issues.push({ path: `defaults.${name}`, message: "it has a default in features already" });
    } else if (value !== undefined) details.set(name, { ...more, default: value });
  }
  return details;
}

/** What a definition stores of a feature's options: a default in the feature's type, a description. */
export function storedOptions(
  name: string,
  type: DataType,
  { default: value, description }: FeatureOptions,
  issues: Issue[],
): { readonly default?: LiteralValue; readonly description?: string } {
  let encoded: LiteralValue | undefined;
  try {
    encoded = value === undefined ? undefined : literalOf(value as Plain, type).value;
  } catch (error) {
    issues.push({ path: `features.${name}.default`, message: messageOf(error) });
  }
  return { ...(encoded === undefined ? {} : { default: encoded }), ...(description ? { description } : {}) };
}

/** Finds or places a timestamp, as a column of type timestamp. */
function placeTimestamp(
  query: Query,
  role: typeof timeColumns[number],
  wanted: string | undefined,
): { readonly query: Query; readonly column?: string } | { readonly problem: string } {
  const trace = traceTimestamp(query, role);
  if (wanted === undefined) {
    if ("columns" in trace) {
      return { query: asTimestamp(query, trace.columns[0]!.name), column: trace.columns[0]!.name };
    }
    return role === "eventTimestamp" ? trace : { query };
  }
  const schema = schemaOf(query);
  if (!findField(schema, wanted)) {
    return { problem: `the query has no column "${wanted}"; columns are ${columnNames(schema).join(", ")}` };
  }
  if (role === "writtenTimestamp" || ("columns" in trace && trace.columns.some((each) => each.name === wanted))) {
    return { query: asTimestamp(query, wanted), column: wanted };
  }
  const placed = withTimestamp(query, role, wanted);
  return "problem" in placed
    ? { problem: `column "${wanted}" cannot be it: ${placed.problem}` }
    : { query: asTimestamp(placed.query, wanted), column: wanted };
}

/** A date as event timestamp is its midnight, UTC. */
function asTimestamp(query: Query, column: string): Query {
  return findField(schemaOf(query), column)?.type === "date"
    ? withCasts(query, [{ name: column, type: "timestamp" }])
    : query;
}

/** Keys of an int64 entity may come as int32 columns, as `by` allows. */
function withWideKeys(query: Query, keys: readonly Field[]): Query {
  const schema = schemaOf(query);
  return withCasts(query, keys.filter((key) => key.type === "int64" && findField(schema, key.name)?.type === "int32"));
}

function withCasts(query: Query, fields: readonly Field[]): Query {
  if (fields.length === 0) return query;
  const columns = fields.map(({ name, type }) => {
    const input = Object.freeze({ kind: "column", name } as const);
    return Object.freeze({ name, expr: Object.freeze({ kind: "cast", input, to: type, onError: "fail" } as const) });
  });
  return Object.freeze({ kind: "derive", input: query, columns: Object.freeze(columns) });
}

function entityOf(
  entity: KeyedSource<Row, SchemaTypes>["entity"] & { readonly definition?: EntityDefinition },
): EntityDefinition {
  return entity.definition ?? Object.freeze({ kind: "entity", name: entity.name, joinKeys: entity.joinKeys });
}

type Schedule = Pick<
  ViewDefinition,
  "schedule" | "dataDelay" | "start" | "end" | "ttl" | "lookback" | "online" | "offline"
>;

/** Canonical text of every time, so that equal definitions have equal JSON; what cannot be read becomes an issue. */
function scheduleOf(options: ViewOptions, issues: Issue[], otherwise: Duration = "1h"): Schedule {
  const read = <T>(path: string, parse: () => T, otherwise: T): T => {
    try {
      return parse();
    } catch (error) {
      issues.push({
        path,
        message: error instanceof VarveError ? error.message.replace(/^Cannot read \w+ /, "") : messageOf(error),
      });
      return otherwise;
    }
  };
  const missing = (path: string, example: string): never => {
    throw new Error(`it is missing; give one, as in { ${path}: "${example}" }`);
  };
  const schedule = read(
    "schedule",
    () => options.schedule === undefined ? missing("schedule", "1d") : durationToMicros(options.schedule, "schedule"),
    durationToMicros(otherwise),
  );
  const delay = read(
    "dataDelay",
    () => durationToMicros(options.dataDelay ?? "0s", "dataDelay", { allowZero: true }),
    0n,
  );
  const ttl = read(
    "ttl",
    () => (options.ttl ?? "forever") === "forever" ? "forever" : formatDuration(durationToMicros(options.ttl!, "ttl")),
    "forever",
  );
  const start = read(
    "start",
    () => options.start === undefined ? missing("start", "2024-01-01") : toMicros(options.start),
    0n,
  );
  const end = read("end", () => options.end === undefined ? undefined : toMicros(options.end), undefined);
  return {
    schedule: formatDuration(schedule),
    dataDelay: formatDuration(delay),
    start: formatTimestamp(alignDown(start, schedule)),
    ...(end === undefined ? {} : { end: formatTimestamp(alignUp(end, schedule)) }),
    ttl,
    lookback: options.lookback ?? 0,
    online: options.online ?? false,
    offline: options.offline ?? true,
  };
}
