/** From what a user says about a view to the plain data that the registry stores. */
import { type Issue, messageOf, throwIssues, VarveError } from "../errors.ts";
import { literalOf, type Plain } from "../frame/expr_literal.ts";
import type { LiteralValue } from "../frame/expr_node.ts";
import type { Query } from "../frame/query.ts";
import { schemaOf } from "../frame/query_schema.ts";
import { columnNames, type Field, findField, type Row, type SchemaTypes } from "../schema.ts";
import { alignDown, alignUp, durationToMicros, formatDuration, formatTimestamp, toMicros } from "../time.ts";
import { descriptive } from "./checks.ts";
import type { EntityDefinition, FeatureDefinition, ViewDefinition } from "./definitions.ts";
import { traceTimestamp, withTimestamp } from "./event_time.ts";
import { viewIssues } from "./view_checks.ts";
import type { FeatureChoice, FeatureOptions, KeyedSource, ViewOptions } from "./view_types.ts";

const timeColumns = ["eventTimestamp", "writtenTimestamp"] as const;

/** Makes and checks the plain data of a view; every problem is told at once. */
export function viewDefinition(
  name: string,
  source: KeyedSource<Row, SchemaTypes>,
  options: ViewOptions,
): ViewDefinition {
  const subject = `Cannot define view ${JSON.stringify(name)}`;
  const issues: Issue[] = [];
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
  const taken = new Set([
    ...source.entity.joinKeys.map((key) => key.name),
    times.eventTimestamp,
    times.writtenTimestamp,
  ]);
  const features = featuresOf(
    options,
    columnNames(schemaOf(query)).filter((column) => !taken.has(column)),
    query,
    issues,
  );
  const definition: ViewDefinition = Object.freeze({
    kind: "view",
    name,
    mode: "attributes",
    entity: entityOf(source.entity),
    query,
    eventTimestamp: times.eventTimestamp ?? "",
    ...(times.writtenTimestamp === undefined ? {} : { writtenTimestamp: times.writtenTimestamp }),
    features: Object.freeze(features),
    ...scheduleOf(options, issues),
    ...descriptive(options),
    ...(options.preventDestroy ? { preventDestroy: true } : {}),
  });
  const told = new Set(issues.map((issue) => issue.path));
  throwIssues(subject, [...issues, ...viewIssues(definition).filter((issue) => !told.has(issue.path))]);
  return definition;
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

/** Features in the order of the query's columns, so that the order in which they were named does not matter. */
function featuresOf(
  options: ViewOptions,
  columns: readonly string[],
  query: Query,
  issues: Issue[],
): FeatureDefinition[] {
  const schema = schemaOf(query);
  const chosen = options.features as FeatureChoice<Row, string> | undefined;
  const details = new Map<string, FeatureOptions>();
  if (Array.isArray(chosen)) { for (const name of chosen) details.set(String(name), {}); }
  else if (chosen !== undefined) {
    for (const [name, more] of Object.entries(chosen)) {
      details.set(name, more === true || more === undefined ? {} : more);
    }
  } else for (const name of columns) details.set(name, {});
  const defaults = (options.defaults ?? {}) as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(defaults)) {
    if (!details.has(name)) {
      issues.push({
        path: `defaults.${name}`,
        message: `there is no such feature; features are ${[...details.keys()].join(", ")}`,
      });
    } else if (details.get(name)!.default !== undefined) {
      issues.push({ path: `defaults.${name}`, message: "it has a default in features already" });
    }
  }
  const order = columnNames(schema);
  const rank = (name: string) => order.includes(name) ? order.indexOf(name) : order.length;
  return [...details].sort(([a], [b]) => rank(a) - rank(b)).map(([name, more]) => {
    const type = findField(schema, name)?.type ?? "string";
    const value = more.default ?? defaults[name];
    let encoded: LiteralValue | undefined;
    try {
      encoded = value === undefined ? undefined : literalOf(value as Plain, type).value;
    } catch (error) {
      issues.push({ path: `features.${name}.default`, message: messageOf(error) });
    }
    return Object.freeze({
      name,
      type,
      ...(encoded === undefined ? {} : { default: encoded }),
      ...(more.description ? { description: more.description } : {}),
    });
  });
}

type Schedule = Pick<
  ViewDefinition,
  "schedule" | "dataDelay" | "start" | "end" | "ttl" | "lookback" | "online" | "offline"
>;

/** Canonical text of every time, so that equal definitions have equal JSON; what cannot be read becomes an issue. */
function scheduleOf(options: ViewOptions, issues: Issue[]): Schedule {
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
  const hour = 3_600_000_000n;
  const missing = (path: string, example: string): never => {
    throw new TypeError(`it is missing; give one, as in { ${path}: "${example}" }`);
  };
  const schedule = read(
    "schedule",
    () => options.schedule === undefined ? missing("schedule", "1d") : durationToMicros(options.schedule, "schedule"),
    hour,
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
