/** Query -> SQL: one SELECT per step, nested, with slices and source positions carried along where they are wanted. */
import { VarveError } from "../errors.ts";
import { schemaOf } from "../frame/query_schema.ts";
import type {
  DeriveStep,
  DistinctStep,
  Query,
  SampleStep,
  ScanStep,
  SelectStep,
  SortStep,
  SourceSpec,
  SqlStep,
  UnnestStep,
} from "../frame/query.ts";
import { aggregateSql } from "./aggregate_sql.ts";
import { exprSql } from "./expr_sql.ts";
import { asOfJoinSql, joinSql } from "./join_sql.ts";
import { as, carry, names, positionColumn, selectFrom, sliceColumn } from "./sql_text.ts";
import type { Part } from "./sql_text.ts";
import { quoteName } from "./engine.ts";
import type { SliceOptions } from "./engine.ts";
import type { ResolvedSource } from "./source_sql.ts";
import { scanColumnSql, scanSql } from "./source_sql.ts";

/** What a compilation knows: where the sources are, and what the caller wants carried along. */
export interface SqlContext {
  readonly source: (spec: SourceSpec) => ResolvedSource;
  /** The physical columns that SQL gives. */
  readonly result: (step: SqlStep) => ResolvedSource;
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
      const renames = query.kind === "rename" ? query.names : {};
      const kept = input.schema.filter((field) => query.kind === "rename" || !query.columns.includes(field.name));
      const columns = kept.map(({ name }) => as(quoteName(name), Object.hasOwn(renames, name) ? renames[name]! : name));
      return carry(input, columns, schema);
    }
    case "join":
      return joinSql(query, querySql(query.input, context), querySql(query.right, whole(context)));
    case "asOfJoin":
      return asOfJoinSql(
        query,
        querySql(query.input, context),
        querySql(query.right, { ...whole(context), position: true }),
      );
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
  return { source: context.source, result: context.result, position: false };
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
  const result = context.result(step);
  // SQL is free in its types (HUGEINT sums, naive timestamps): what leaves the step has the declared ones.
  const columns = step.schema.map(({ name, type }) => as(scanColumnSql(name, type, result), name));
  return {
    sql: selectFrom(columns, statement(ctes, step.sql)),
    schema: schemaOf(step),
    sliced: false,
    positioned: false,
  };
}

/** User's SQL over named inputs: a subquery, not a second WITH, because the text may have its own. */
export function statement(ctes: readonly string[], text: string): string {
  return `${ctes.length > 0 ? `WITH ${ctes.join(", ")}\n` : ""}SELECT * FROM (\n${text.trim().replace(/;\s*$/, "")}\n)`;
}

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
    return as(exprSql(found, input.schema), name);
  };
  return carry(input, schema.map((field) => expr(field.name)), schema);
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
  // Ties are broken, so that a limit after the sort gives the same rows in every run.
  const order = [...keys, inputOrder(input)].join(", ");
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
