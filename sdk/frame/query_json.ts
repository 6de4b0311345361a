/** Queries from outside (a registry, a request): checked part by part, rebuilt frozen, and checked against their schemas. */
import { messageOf, VarveError } from "../errors.ts";
import { parseType } from "../schema.ts";
import type { Schema } from "../schema.ts";
import { aggregateFunctions } from "./aggregate_type.ts";
import { parseExpr } from "./expr_json.ts";
import type { ExprNode } from "./expr_node.ts";
import type { JoinKey, JoinStep, NamedAggregate, NamedExpr, Query, SortKey, SourceSpec } from "./query.ts";
import { schemaOf } from "./query_schema.ts";
import { deepFreeze } from "./steps.ts";

/** The longest chain, and the deepest nesting, that is accepted from outside. */
export const maxQueryDepth = 500;

/** Reads a query from JSON; throws INVALID_DEFINITION that says where it is wrong. */
export function parseQuery(json: unknown): Query {
  const query = deepFreeze(step(json, "query", 0));
  schemaOf(query);
  return query;
}

type Json = Readonly<Record<string, unknown>>;

function fail(path: string, why: string): never {
  throw new VarveError("INVALID_DEFINITION", `Cannot read query: ${path} ${why}`, { details: { path } });
}

function record(value: unknown, path: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) fail(path, "is not an object");
  return value as Json;
}

function list<T>(value: unknown, path: string, item: (value: unknown, path: string) => T): T[] {
  if (!Array.isArray(value)) fail(path, "is not a list");
  if (value.length > 100_000) fail(path, "is too long");
  return value.map((part, i) => item(part, `${path}[${i}]`));
}

function text(value: unknown, path: string): string {
  if (typeof value !== "string") fail(path, "is not text");
  return value;
}

function number(value: unknown, path: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) fail(path, "is not a number");
  return value;
}

function boolean(value: unknown, path: string): boolean {
  if (typeof value !== "boolean") fail(path, "is not true or false");
  return value;
}

function choice<T extends string>(value: unknown, choices: readonly T[], path: string): T {
  if (!choices.includes(value as T)) fail(path, `is ${JSON.stringify(value)}; it must be one of ${choices.join(", ")}`);
  return value as T;
}

/** Refuses what nobody reads: a misspelt option must not be ignored. */
function only(json: Json, path: string, names: readonly string[]): void {
  for (const name of Object.keys(json)) if (!names.includes(name)) fail(`${path}.${name}`, "is not known");
}

function optional<T, N extends string>(
  json: Json,
  name: N,
  path: string,
  read: (value: unknown, path: string) => T,
): { [K in N]?: T } {
  if (json[name] === undefined) return {};
  return { [name]: read(json[name], `${path}.${name}`) } as { [K in N]?: T };
}

function expr(value: unknown, path: string): ExprNode {
  try {
    return parseExpr(value);
  } catch (error) {
    return fail(path, `is not an expression: ${messageOf(error)}`);
  }
}

function schema(value: unknown, path: string): Schema {
  return list(value, path, (field, at) => {
    const json = record(field, at);
    only(json, at, ["name", "type"]);
    try {
      return { name: text(json["name"], `${at}.name`), type: parseType(json["type"]) };
    } catch (error) {
      return fail(at, messageOf(error));
    }
  });
}

function step(value: unknown, path: string, depth: number): Query {
  if (depth > maxQueryDepth) fail(path, `is nested more than ${maxQueryDepth} deep`);
  const json = record(value, path);
  const input = (): Query => step(json["input"], `${path}.input`, depth + 1);
  const right = (): Query => step(json["right"], `${path}.right`, depth + 1);
  const allow = (...names: string[]): void => only(json, path, ["kind", ...names]);
  const kind = json["kind"] as Query["kind"];
  switch (kind) {
    case "scan":
      allow("source", "schema");
      return {
        kind,
        source: source(json["source"], `${path}.source`),
        schema: schema(json["schema"], `${path}.schema`),
      };
    case "sql": {
      allow("sql", "inputs", "schema");
      const inputs = Object.entries(record(json["inputs"], `${path}.inputs`))
        .map(([name, part]) => [name, step(part, `${path}.inputs.${name}`, depth + 1)] as const);
      return {
        kind,
        sql: text(json["sql"], `${path}.sql`),
        inputs: Object.fromEntries(inputs),
        schema: schema(json["schema"], `${path}.schema`),
      };
    }
    case "filter":
      allow("input", "where");
      return { kind, input: input(), where: expr(json["where"], `${path}.where`) };
    case "select":
    case "derive":
      allow("input", "columns");
      return { kind, input: input(), columns: list(json["columns"], `${path}.columns`, namedExpr) };
    case "rename":
      allow("input", "names");
      return { kind, input: input(), names: textRecord(json["names"], `${path}.names`) };
    case "drop":
    case "distinct":
      allow("input", "columns");
      return { kind, input: input(), columns: list(json["columns"], `${path}.columns`, text) };
    case "join":
      allow("input", "right", "how", "on", "suffix");
      return {
        kind,
        how: choice(json["how"], ["inner", "left", "semi", "anti"] satisfies JoinStep["how"][], `${path}.how`),
        input: input(),
        right: right(),
        on: list(json["on"], `${path}.on`, joinKey),
        suffix: text(json["suffix"], `${path}.suffix`),
      };
    case "asOfJoin":
      allow("input", "right", "on", "time", "tolerance", "suffix");
      return {
        kind,
        input: input(),
        right: right(),
        on: list(json["on"], `${path}.on`, joinKey),
        time: joinKey(json["time"], `${path}.time`),
        ...optional(json, "tolerance", path, text),
        suffix: text(json["suffix"], `${path}.suffix`),
      };
    case "union":
      allow("inputs");
      return { kind, inputs: list(json["inputs"], `${path}.inputs`, (part, at) => step(part, at, depth + 1)) };
    case "aggregate":
      allow("input", "by", "aggregates");
      return {
        kind,
        input: input(),
        by: list(json["by"], `${path}.by`, text),
        aggregates: list(json["aggregates"], `${path}.aggregates`, aggregate),
      };
    case "sort":
      allow("input", "by");
      return { kind, input: input(), by: list(json["by"], `${path}.by`, sortKey) };
    case "limit":
      allow("input", "count", "offset");
      return {
        kind,
        input: input(),
        count: number(json["count"], `${path}.count`),
        offset: number(json["offset"], `${path}.offset`),
      };
    case "unnest":
      allow("input", "column", "keepEmpty");
      return {
        kind,
        input: input(),
        column: text(json["column"], `${path}.column`),
        keepEmpty: boolean(json["keepEmpty"], `${path}.keepEmpty`),
      };
    case "sample":
      allow("input", "rows", "fraction", "seed");
      return {
        kind,
        input: input(),
        ...optional(json, "rows", path, number),
        ...optional(json, "fraction", path, number),
        seed: seed(json["seed"], `${path}.seed`),
      };
  }
  return fail(`${path}.kind`, `is ${JSON.stringify(kind)}, which is no step`);
}

function seed(value: unknown, path: string): number {
  const found = number(value, path);
  // It becomes part of SQL.
  if (!Number.isSafeInteger(found)) fail(path, "is not a whole number");
  return found;
}

const formats = ["parquet", "csv", "json", "ndjson"] as const;

function source(value: unknown, path: string): SourceSpec {
  const json = record(value, path);
  const times = { ...optional(json, "eventTimestamp", path, text), ...optional(json, "writtenTimestamp", path, text) };
  switch (json["kind"]) {
    case "file":
      only(json, path, ["kind", "format", "paths", "eventTimestamp", "writtenTimestamp", "options"]);
      return {
        kind: "file",
        format: choice(json["format"], formats, `${path}.format`),
        paths: list(json["paths"], `${path}.paths`, text),
        ...times,
        ...optional(json, "options", path, readerOptions),
      };
    case "memory":
      only(json, path, ["kind", "id", "rowCount", "eventTimestamp", "writtenTimestamp"]);
      if (!/^[0-9a-f]{64}$/.test(text(json["id"], `${path}.id`))) fail(`${path}.id`, "is not a content hash");
      return {
        kind: "memory",
        id: json["id"] as string,
        rowCount: number(json["rowCount"], `${path}.rowCount`),
        ...times,
      };
  }
  return fail(`${path}.kind`, `is ${JSON.stringify(json["kind"])}; it must be file or memory`);
}

function readerOptions(value: unknown, path: string): Record<string, string | number | boolean> {
  const json = record(value, path);
  for (const [name, option] of Object.entries(json)) {
    if (!/^[a-z_]+$/.test(name)) fail(`${path}.${name}`, "is not the name of an option");
    if (!["string", "number", "boolean"].includes(typeof option)) {
      fail(`${path}.${name}`, "is not text, a number, true or false");
    }
  }
  return { ...json } as Record<string, string | number | boolean>;
}

function textRecord(value: unknown, path: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(record(value, path)).map(([name, part]) => [name, text(part, `${path}.${name}`)]),
  );
}

function namedExpr(value: unknown, path: string): NamedExpr {
  const json = record(value, path);
  only(json, path, ["name", "expr"]);
  return { name: text(json["name"], `${path}.name`), expr: expr(json["expr"], `${path}.expr`) };
}

function joinKey(value: unknown, path: string): JoinKey {
  const json = record(value, path);
  only(json, path, ["left", "right"]);
  return { left: text(json["left"], `${path}.left`), right: text(json["right"], `${path}.right`) };
}

function sortKey(value: unknown, path: string): SortKey {
  const json = record(value, path);
  only(json, path, ["expr", "descending", "nulls"]);
  return {
    expr: expr(json["expr"], `${path}.expr`),
    descending: boolean(json["descending"], `${path}.descending`),
    nulls: choice(json["nulls"], ["first", "last"], `${path}.nulls`),
  };
}

function aggregate(value: unknown, path: string): NamedAggregate {
  const json = record(value, path);
  only(json, path, ["name", "function", "input", "by", "where", "quantile"]);
  return {
    name: text(json["name"], `${path}.name`),
    function: choice(json["function"], aggregateFunctions, `${path}.function`),
    ...optional(json, "input", path, expr),
    ...optional(json, "by", path, expr),
    ...optional(json, "where", path, expr),
    ...optional(json, "quantile", path, number),
  };
}
