/**
 * Follows timestamps along the driving path of a query: from the source (the input of each step, the left side of joins, every side
 * of a union) to a column of the result. Slices are cut at the source, so what a view calls its event timestamp must be the source's.
 */
import { schemaOf } from "../frame/query_schema.ts";
import type { ExprNode } from "../frame/expr_node.ts";
import type { AggregateStep, NamedExpr, Query, ScanStep, SqlStep } from "../frame/query.ts";
import { columnNames, findField, type Schema } from "../schema.ts";

/** Which of a source's two timestamps. */
export type TimestampRole = "eventTimestamp" | "writtenTimestamp";

/** A column that holds the source's timestamp, rounded down to multiples of some micros (1: not rounded). */
export interface TimeColumn {
  /** The name of the column. */
  readonly name: string;
  /** Micros. */
  readonly rounding: bigint;
}

/** The columns of a result that hold the source's timestamp, the likeliest first; or why there is none. */
export type Trace = { readonly columns: readonly TimeColumn[] } | { readonly problem: string };

/** Functions that give back one of the timestamps they are given, which then lies in the same slice. */
const keepingFunctions: readonly string[] = ["min", "max", "first", "last"];

const roleNames = { eventTimestamp: "event timestamp", writtenTimestamp: "written timestamp" } as const;

/** Where a source's timestamp is in the result of a query. */
export function traceTimestamp(query: Query, role: TimestampRole): Trace {
  switch (query.kind) {
    case "scan": {
      const column = query.source[role];
      if (column !== undefined) return { columns: [{ name: column, rounding: 1n }] };
      return { problem: `its source has no ${roleNames[role]}; name one of its columns${choice(query, role)}` };
    }
    case "filter":
    case "sort":
    case "limit":
    case "sample":
    case "distinct":
      return traceTimestamp(query.input, role);
    case "unnest":
    case "drop": {
      const gone = query.kind === "drop" ? query.columns : [query.column];
      return through(query.input, role, (columns) => columns.filter((each) => !gone.includes(each.name)), query.kind);
    }
    case "join":
    case "asOfJoin":
      return traceTimestamp(query.input, role);
    case "rename":
      return through(
        query.input,
        role,
        (columns) =>
          columns.map(({ name, rounding }) => ({
            name: Object.hasOwn(query.names, name) ? query.names[name]! : name,
            rounding,
          })),
        "rename",
      );
    case "select":
      return through(query.input, role, (columns) => carriers(query.columns, columns), "select");
    case "derive":
      return through(query.input, role, (columns) => {
        const replaced = new Set(query.columns.map((column) => column.name));
        return [...columns.filter((each) => !replaced.has(each.name)), ...carriers(query.columns, columns)];
      }, "derive");
    case "aggregate":
      return through(query.input, role, (columns) => kept(query, columns), "aggregate");
    case "union": {
      const traces = query.inputs.map((input) => traceTimestamp(input, role));
      const problem = traces.find((trace) => "problem" in trace);
      if (problem) return problem;
      const sets = traces.map((trace) => "columns" in trace ? trace.columns : []);
      const columns = sets[0]!.flatMap(({ name }) => {
        const same = sets.map((set) => set.find((each) => each.name === name));
        return same.every((each) => each !== undefined)
          ? [{ name, rounding: longest(same.map((each) => each.rounding)) }]
          : [];
      });
      if (columns.length > 0) return { columns };
      return {
        problem: `the frames of a union have it under different names (${
          sets.map((set) => set[0]!.name).join(", ")
        }); rename them alike first`,
      };
    }
    case "sql":
      return traceSql(query, role);
  }
}

/**
 * The same query with another column of its result as the source's timestamp: the sources are told which of their columns it comes
 * from. A problem when the column is computed on the way.
 */
export function withTimestamp(
  query: Query,
  role: TimestampRole,
  column: string,
): { readonly query: Query } | { readonly problem: string } {
  const inner = (input: Query, name: string): { readonly query: Query } | { readonly problem: string } => {
    const result = withTimestamp(input, role, name);
    return "problem" in result ? result : { query: Object.freeze({ ...query, input: result.query } as Query) };
  };
  const computed = (step: string) => ({
    problem:
      `it is computed by ${step}, and slices are cut by a column of the source; name that one, or declare it at the source`,
  });
  switch (query.kind) {
    case "scan": {
      const type = findField(query.schema, column)?.type;
      if (type !== "timestamp" && type !== "date") {
        return {
          problem: `column "${column}" of the source is ${
            String(type)
          }, not a timestamp; declare it as one in the source's schema`,
        };
      }
      return {
        query: Object.freeze({ ...query, source: Object.freeze({ ...query.source, [role]: column }) }) as ScanStep,
      };
    }
    case "filter":
    case "sort":
    case "limit":
    case "sample":
    case "distinct":
    case "drop":
    case "unnest":
      return inner(query.input, column);
    case "join":
    case "asOfJoin":
      if (findField(schemaOf(query.input), column)) return inner(query.input, column);
      return { problem: "it comes from the right side of a join, which is read whole; use a time of the left side" };
    case "rename":
      return inner(query.input, Object.entries(query.names).find(([, name]) => name === column)?.[0] ?? column);
    case "select":
    case "derive": {
      const expr = query.columns.find((each) => each.name === column)?.expr;
      if (!expr) return inner(query.input, column);
      const from = carried(expr);
      return from === undefined ? computed(query.kind) : inner(query.input, from.name);
    }
    case "aggregate": {
      if (query.by.includes(column)) return inner(query.input, column);
      const from = query.aggregates.find((each) => each.name === column && keepingFunctions.includes(each.function))
        ?.input;
      const given = from && carried(from);
      return given === undefined ? computed("aggregate") : inner(query.input, given.name);
    }
    case "union": {
      const inputs: Query[] = [];
      for (const input of query.inputs) {
        const result = withTimestamp(input, role, column);
        if ("problem" in result) return result;
        inputs.push(result.query);
      }
      return { query: Object.freeze({ ...query, inputs: Object.freeze(inputs) }) };
    }
    case "sql":
      return computed("SQL");
  }
}

/** Units that every longer one is made of, counted from 1970: a row rounded to them stays in a slice that is a multiple of them. */
const roundingUnits: Readonly<Record<string, bigint>> = {
  second: 1_000_000n,
  minute: 60_000_000n,
  hour: 3_600_000_000n,
  day: 86_400_000_000n,
};

/** The column that an expression gives back, as it is or rounded down. Midnight of a date is the same instant. */
function carried(expr: ExprNode): TimeColumn | undefined {
  if (expr.kind === "column") return { name: expr.name, rounding: 1n };
  if (expr.kind === "cast") {
    if (expr.to === "timestamp") return rounded(expr.input, 1n);
    return expr.to === "date" ? rounded(expr.input, roundingUnits["day"]) : undefined;
  }
  if (expr.kind !== "call" || !expr.args[0]) return undefined;
  if (expr.operation === "truncate") return rounded(expr.args[0], roundingUnits[String(expr.options?.["unit"])]);
  return expr.operation === "date" && !expr.options ? rounded(expr.args[0], roundingUnits["day"]) : undefined;
}

function rounded(expr: ExprNode, rounding: bigint | undefined): TimeColumn | undefined {
  const column = carried(expr);
  return column && rounding !== undefined
    ? { name: column.name, rounding: longest([column.rounding, rounding]) }
    : undefined;
}

function longest(roundings: readonly bigint[]): bigint {
  return roundings.reduce((a, b) => a > b ? a : b, 1n);
}

/** How far the timestamp among `columns` that an expression gives back is rounded; undefined when it gives back none. */
function carriedFrom(expr: ExprNode, columns: readonly TimeColumn[]): bigint | undefined {
  const found = carried(expr);
  const from = found && columns.find((each) => each.name === found.name);
  return from && longest([found.rounding, from.rounding]);
}

/** Unrounded ones first, then those that keep their name. */
function carriers(exprs: readonly NamedExpr[], columns: readonly TimeColumn[]): TimeColumn[] {
  const found = exprs.flatMap(({ name, expr }) => {
    const rounding = carriedFrom(expr, columns);
    return rounding === undefined ? [] : [{ name, rounding }];
  });
  const rank = (each: TimeColumn) =>
    (each.rounding > 1n ? 2 : 0) + (columns.some((column) => column.name === each.name) ? 0 : 1);
  return found.sort((a, b) => rank(a) - rank(b));
}

function kept(step: AggregateStep, columns: readonly TimeColumn[]): TimeColumn[] {
  const chosen = step.aggregates.flatMap((each) => {
    if (!keepingFunctions.includes(each.function) || each.where || !each.input) return [];
    const rounding = carriedFrom(each.input, columns);
    return rounding === undefined ? [] : [{ name: each.name, rounding }];
  });
  return [...columns.filter((each) => step.by.includes(each.name)), ...chosen];
}

function through(
  input: Query,
  role: TimestampRole,
  keep: (columns: readonly TimeColumn[]) => TimeColumn[],
  step: string,
): Trace {
  const trace = traceTimestamp(input, role);
  if ("problem" in trace) return trace;
  const columns = keep(trace.columns);
  if (columns.length > 0) return { columns };
  const { name } = trace.columns[0]!;
  const way = step === "derive"
    ? "it is replaced by something that is not the same time; give that another name"
    : step === "aggregate"
    ? `group by it too, or keep one: { ${name}: max("${name}") }`
    : "keep the column";
  return { problem: `column "${name}" is lost in ${step}; ${way}` };
}

function traceSql(step: SqlStep, role: TimestampRole): Trace {
  const columns = new Map<string, TimeColumn>();
  let problem: Trace = { problem: `no input of the SQL has a ${roleNames[role]}` };
  for (const input of Object.values(step.inputs)) {
    const trace = traceTimestamp(input, role);
    if ("problem" in trace) problem = trace;
    else for (const column of trace.columns) columns.set(column.name, column);
  }
  if (columns.size === 0) return problem;
  const found = [...columns.values()].filter((column) => isTime(step.schema, column.name));
  if (found.length > 0) return { columns: found };
  return {
    problem: `the SQL does not return ${
      [...columns.keys()].map((name) => `"${name}"`).join(" or ")
    }; select that column under its name`,
  };
}

function isTime(schema: Schema, name: string): boolean {
  const type = findField(schema, name)?.type;
  return type === "timestamp" || type === "date";
}

function choice(scan: ScanStep, role: TimestampRole): string {
  const times = columnNames(scan.schema).filter((name) => isTime(scan.schema, name));
  return times.length > 0 ? ` (${times.join(", ")}) with the option ${role}` : "";
}
