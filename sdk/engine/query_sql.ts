/** Query -> SQL: one SELECT per step, nested, with slices and source positions carried along where they are wanted. */
import { VarveError } from "../errors.ts";
import { addedColumns, schemaOf } from "../frame/query_schema.ts";
import type {
  AsOfJoinStep,
  DeriveStep,
  DistinctStep,
  JoinStep,
  Query,
  SampleStep,
  ScanStep,
  SelectStep,
  SortStep,
  SourceSpec,
  SqlStep,
  UnnestStep,
} from "../frame/query.ts";
import { columnNames, findField } from "../schema.ts";
import type { Schema } from "../schema.ts";
import { durationToMicros } from "../time.ts";
import { aggregateSql } from "./aggregate_sql.ts";
import { exprSql } from "./expr_sql.ts";
import { quoteName } from "./engine.ts";
import type { SliceOptions } from "./engine.ts";
import type { ResolvedSource } from "./source_sql.ts";
import { scanSql } from "./source_sql.ts";

/** The column that says which slice a row belongs to. */
export const sliceColumn = "__slice";
/** The column that grows with the order of the source's rows. */
export const positionColumn = "__position";

/** A compiled step: its columns are `__slice` (when sliced by interval), those of the schema, `__position` (when positioned). */
export interface Part {
  readonly sql: string;
  readonly schema: Schema;
  readonly sliced: boolean;
  readonly positioned: boolean;
}

/** What a compilation knows: where the sources are, and what the caller wants carried along. */
export interface SqlContext {
  readonly source: (spec: SourceSpec) => ResolvedSource;
  readonly slices?: SliceOptions;
  readonly position: boolean;
}

/** Compiles a query. */
export function querySql(query: Query, context: SqlContext): Part {
  switch (query.kind) {
    case "scan":
      return scan(query, context);
    case "sql":
      return rawSql(query, context);
    case "filter": {
      const input = querySql(query.input, context);
      return { ...input, sql: selectFrom(["*"], input.sql, `WHERE ${exprSql(query.where, input.schema)}`) };
    }
    case "select":
    case "derive":
      return project(query, context);
    case "rename":
    case "drop": {
      const input = querySql(query.input, context);
      const schema = schemaOf(query);
      const names = query.kind === "rename" ? query.names : {};
      const kept = input.schema.filter((field) => query.kind === "rename" || !query.columns.includes(field.name));
      const columns = kept.map(({ name }) =>
        as(quoteName(name), Object.hasOwn(names, name) ? names[name]! : name, name)
      );
      return carry(input, columns, schema);
    }
    case "join":
      return join(query, context);
    case "asOfJoin":
      return asOfJoin(query, context);
    case "union": {
      const schema = schemaOf(query);
      const inputs = query.inputs.map((input) => querySql(input, { ...context, position: false }));
      const sql = inputs.map((input) => carry(input, names(schema), schema).sql).join("\nUNION ALL\n");
      return { sql, schema, sliced: inputs[0]!.sliced, positioned: false };
    }
    case "aggregate": {
      const input = querySql(query.input, { ...context, position: false });
      const { range, interval } = context.slices ?? {};
      const slices = input.sliced ? { range: range!, interval: interval! } : undefined;
      return {
        sql: aggregateSql(query, input, slices),
        schema: schemaOf(query),
        sliced: input.sliced,
        positioned: false,
      };
    }
    case "distinct":
      return distinct(query, context);
    case "sort":
      return sort(query, context);
    case "limit": {
      refuseLifting("limit", context);
      const input = querySql(query.input, context);
      return {
        ...input,
        sql: selectFrom(["*"], input.sql, `LIMIT ${query.count}${query.offset > 0 ? ` OFFSET ${query.offset}` : ""}`),
      };
    }
    case "unnest":
      return unnest(query, context);
    case "sample":
      return sample(query, context);
  }
}

/** `SELECT columns FROM (input) rest`, laid out for people. */
export function selectFrom(columns: readonly string[], input: string, rest = "", alias = ""): string {
  const from = `(\n  ${input.replaceAll("\n", "\n  ")}\n)${alias ? ` AS ${alias}` : ""}`;
  return `SELECT ${columns.join(", ")}\nFROM ${from}${rest ? `\n${rest}` : ""}`;
}

/** `sql AS "name"`, unless it has that name already. */
function as(sql: string, name: string, was?: string): string {
  return name === was ? sql : `${sql} AS ${quoteName(name)}`;
}

function names(schema: Schema): string[] {
  return columnNames(schema).map(quoteName);
}

/** A projection of a part that keeps the columns carried along. */
function carry(input: Part, columns: readonly string[], schema: Schema): Part {
  const all = [...(input.sliced ? [sliceColumn] : []), ...columns, ...(input.positioned ? [positionColumn] : [])];
  return { ...input, schema, sql: selectFrom(all, input.sql) };
}

function refuseLifting(step: string, context: SqlContext): void {
  if (context.slices?.interval === undefined) return;
  throw new VarveError(
    "UNSUPPORTED",
    `Cannot compute many slices at once through step "${step}": run one query per slice`,
    { details: { step } },
  );
}

/** The context of inputs that are read whole. */
function whole(context: SqlContext): SqlContext {
  return { source: context.source, position: false };
}

function scan(step: ScanStep, context: SqlContext): Part {
  const source = context.source(step.source);
  const positioned = context.position && source.position !== undefined;
  const sliced = context.slices?.interval !== undefined;
  return { sql: scanSql(step, source, context.slices, positioned), schema: schemaOf(step), sliced, positioned };
}

function rawSql(step: SqlStep, context: SqlContext): Part {
  refuseLifting("sql", context);
  const ctes = Object.entries(step.inputs).map(([name, input]) => {
    // Of one slice, inputs with an event timestamp are read in range and the others whole.
    const part = querySql(
      input,
      context.slices && drivingTime(input) ? { ...context, position: false } : whole(context),
    );
    return `${quoteName(name)} AS (\n  ${part.sql.replaceAll("\n", "\n  ")}\n)`;
  });
  const text = step.sql.trim().replace(/;\s*$/, "");
  // A subquery, not a second WITH: the text may have its own.
  const sql = `${ctes.length > 0 ? `WITH ${ctes.join(", ")}\n` : ""}SELECT * FROM (\n${text}\n)`;
  return {
    sql: selectFrom(step.schema.map(({ name, type }) => resultCast(name, type)), sql),
    schema: schemaOf(step),
    sliced: false,
    positioned: false,
  };
}

function resultCast(name: string, type: Schema[number]["type"]): string {
  // SQL is free in its types (HUGEINT sums, naive timestamps); what leaves the step has the declared ones.
  return typeof type === "string"
    ? `CAST(${quoteName(name)} AS ${sqlTypes[type]}) AS ${quoteName(name)}`
    : quoteName(name);
}

const sqlTypes = {
  string: "VARCHAR",
  boolean: "BOOLEAN",
  int32: "INTEGER",
  int64: "BIGINT",
  float32: "FLOAT",
  float64: "DOUBLE",
  date: "DATE",
  timestamp: "TIMESTAMPTZ",
  duration: "BIGINT",
  binary: "BLOB",
} as const;

/** Whether the scan that drives a query has an event timestamp. */
function drivingTime(query: Query): boolean {
  if (query.kind === "scan") return query.source.eventTimestamp !== undefined;
  if (query.kind === "union") return query.inputs.every(drivingTime);
  if (query.kind === "sql") return Object.values(query.inputs).some(drivingTime);
  return drivingTime(query.input);
}

function project(step: SelectStep | DeriveStep, context: SqlContext): Part {
  const input = querySql(step.input, context);
  const schema = schemaOf(step);
  const expr = (name: string): string => {
    const found = step.columns.find((column) => column.name === name)?.expr;
    if (!found) return quoteName(name);
    return as(exprSql(found, input.schema), name, found.kind === "column" ? found.name : undefined);
  };
  return carry(input, schema.map((field) => expr(field.name)), schema);
}

function join(step: JoinStep, context: SqlContext): Part {
  const left = querySql(step.input, context);
  const right = querySql(step.right, whole(context));
  const on = step.on.map((key) => `l.${quoteName(key.left)} = r.${quoteName(key.right)}`).join(" AND ");
  const added = step.how === "semi" || step.how === "anti" ? [] : addedColumns(step);
  const positioned = left.positioned && (added.length === 0 ? step.how !== "inner" && step.how !== "left" : false) ||
    left.positioned && isUniqueBy(step.right, step.on.map((key) => key.right));
  const columns = [
    ...(left.sliced ? [`l.${sliceColumn}`] : []),
    ...left.schema.map((field) => `l.${quoteName(field.name)}`),
    ...added.map(({ name, as: alias }) => as(`r.${quoteName(name)}`, alias, name)),
    ...(positioned ? [`l.${positionColumn}`] : []),
  ];
  return {
    sql: joined(columns, left.sql, `${step.how.toUpperCase()} JOIN`, right.sql, on),
    schema: schemaOf(step),
    sliced: left.sliced,
    positioned,
  };
}

function joined(columns: readonly string[], left: string, verb: string, right: string, on: string): string {
  return `${selectFrom(columns, left, "", "l")}\n${verb} (\n  ${right.replaceAll("\n", "\n  ")}\n) AS r ON ${on}`;
}

/** Whether no two rows of a query have equal keys: then a join with it does not multiply rows. */
function isUniqueBy(query: Query, keys: readonly string[]): boolean {
  if (query.kind === "aggregate") return query.by.every((name) => keys.includes(name));
  if (query.kind === "distinct") return query.columns.length > 0 && query.columns.every((name) => keys.includes(name));
  return (query.kind === "filter" || query.kind === "sort" || query.kind === "limit" || query.kind === "sample") &&
    isUniqueBy(query.input, keys);
}

function asOfJoin(step: AsOfJoinStep, context: SqlContext): Part {
  const left = querySql(step.input, context);
  const right = querySql(step.right, { ...whole(context), position: true });
  const keys = [...step.on.map((key) => key.right), step.time.right].map(quoteName);
  // Of right rows with equal keys and times one is kept: the last in the source, else the greatest.
  const order = right.positioned
    ? `${positionColumn} DESC`
    : names(right.schema).map((name) => `${name} DESC NULLS LAST`).join(", ");
  const single = selectFrom(
    names(right.schema),
    right.sql,
    `QUALIFY row_number() OVER (PARTITION BY ${keys.join(", ")} ORDER BY ${order}) = 1`,
  );
  const times = [`l.${quoteName(step.time.left)}`, `r.${quoteName(step.time.right)}`] as const;
  const on = [
    ...step.on.map((key) => `l.${quoteName(key.left)} = r.${quoteName(key.right)}`),
    `${times[0]} >= ${times[1]}`,
  ].join(" AND ");
  const fresh = (sql: string): string =>
    step.tolerance === undefined
      ? sql
      : `CASE WHEN epoch_us(${times[1]}) > epoch_us(${times[0]}) - ${durationToMicros(step.tolerance)} THEN ${sql} END`;
  const columns = [
    ...(left.sliced ? [`l.${sliceColumn}`] : []),
    ...left.schema.map((field) => `l.${quoteName(field.name)}`),
    ...addedColumns(step).map(({ name, as: alias }) => `${fresh(`r.${quoteName(name)}`)} AS ${quoteName(alias)}`),
    ...(left.positioned ? [`l.${positionColumn}`] : []),
  ];
  return { ...left, sql: joined(columns, left.sql, "ASOF LEFT JOIN", single, on), schema: schemaOf(step) };
}

function distinct(step: DistinctStep, context: SqlContext): Part {
  if (step.columns.length === 0) {
    const input = querySql(step.input, { ...context, position: false });
    return { ...input, sql: selectFrom(["DISTINCT *"], input.sql) };
  }
  const input = querySql(step.input, { ...context, position: true });
  const by = [...(input.sliced ? [sliceColumn] : []), ...step.columns.map(quoteName)];
  const rank = `QUALIFY row_number() OVER (PARTITION BY ${by.join(", ")} ORDER BY ${inputOrder(input)}) = 1`;
  return dropPosition({ ...input, sql: selectFrom(["*"], input.sql, rank) }, context);
}

/** What orders rows as they came; by their values where the step before has no order of its own. */
function inputOrder(input: Part): string {
  return input.positioned ? positionColumn : names(input.schema).map((name) => `${name} NULLS LAST`).join(", ");
}

function dropPosition(part: Part, context: SqlContext): Part {
  if (context.position || !part.positioned) return part;
  return { ...carry({ ...part, positioned: false }, names(part.schema), part.schema) };
}

function sort(step: SortStep, context: SqlContext): Part {
  const input = querySql(step.input, { ...context, position: true });
  const keys = step.by.map((key) =>
    `${exprSql(key.expr, input.schema)} ${key.descending ? "DESC" : "ASC"} NULLS ${key.nulls.toUpperCase()}`
  );
  const order = [...keys, ...(input.positioned ? [positionColumn] : [])].join(", ");
  if (!context.position) {
    const columns = [...(input.sliced ? [sliceColumn] : []), ...names(input.schema)];
    return { ...input, positioned: false, sql: selectFrom(columns, input.sql, `ORDER BY ${order}`) };
  }
  // From here on the order of the rows is that of the sort.
  const columns = [
    ...(input.sliced ? [sliceColumn] : []),
    ...names(input.schema),
    `row_number() OVER (ORDER BY ${order}) AS ${positionColumn}`,
  ];
  return { ...input, positioned: true, sql: selectFrom(columns, input.sql, `ORDER BY ${positionColumn}`) };
}

function unnest(step: UnnestStep, context: SqlContext): Part {
  const input = querySql(step.input, { ...context, position: false });
  const column = quoteName(step.column);
  const list = step.keepEmpty ? `CASE WHEN len(${column}) > 0 THEN ${column} ELSE [NULL] END` : column;
  return carry(
    input,
    names(input.schema).map((name) => name === column ? `unnest(${list}) AS ${column}` : name),
    schemaOf(step),
  );
}

function sample(step: SampleStep, context: SqlContext): Part {
  refuseLifting("sample", context);
  const input = querySql(step.input, { ...context, position: true });
  const columns = names(input.schema);
  // Equal rows get numbers, so that each has a chance of its own.
  const identity = input.positioned
    ? positionColumn
    : `row_number() OVER (PARTITION BY ${columns.join(", ")}), ${columns.join(", ")}`;
  const chance = `hash(${step.seed}, ${identity})`;
  const marked = selectFrom(["*", `${chance} AS __chance`], input.sql);
  const kept = [...columns, ...(input.positioned ? [positionColumn] : [])];
  const limit = step.fraction === undefined
    ? selectFrom(kept, marked, `QUALIFY row_number() OVER (ORDER BY __chance, ${columns.join(", ")}) <= ${step.rows}`)
    : selectFrom(kept, marked, `WHERE (__chance >> 11)::DOUBLE / 9007199254740992 < ${step.fraction}`);
  const sql = input.positioned ? `${limit}\nORDER BY ${positionColumn}` : limit;
  return dropPosition({ ...input, sql }, context);
}
