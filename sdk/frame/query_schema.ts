/** The columns that a query gives, with every check that needs only schemas. */
import { VarveError } from "../errors.ts";
import { columnNames, findField, formatType, isListType, requireField, sameType } from "../schema.ts";
import type { DataType, Field, Schema } from "../schema.ts";
import { durationToMicros } from "../time.ts";
import { aggregateType } from "./aggregate_type.ts";
import { columnType, typeOfExpr } from "./expr_type.ts";
import type { ExprNode } from "./expr_node.ts";
import type {
  AsOfJoinStep,
  JoinKey,
  JoinStep,
  NamedExpr,
  Query,
  RenameStep,
  ScanStep,
  SqlStep,
  UnionStep,
} from "./query.ts";

const known = new WeakMap<Query, Schema>();

/** The columns of a query's result. Throws INVALID_DEFINITION when a step does not fit the columns it gets. */
export function schemaOf(query: Query): Schema {
  let schema = known.get(query);
  if (!schema) {
    schema = Object.freeze(compute(query));
    known.set(query, schema);
  }
  return schema;
}

/** Names that a query keeps for itself. */
export const internalPrefix = "__";

function compute(query: Query): Schema {
  switch (query.kind) {
    case "scan":
      return scanSchema(query);
    case "sql":
      return sqlSchema(query);
    case "filter":
      requireBoolean(query.where, schemaOf(query.input), "filter");
      return schemaOf(query.input);
    case "select":
      if (query.columns.length === 0) throw invalid("Cannot select no columns: name at least one");
      return named(query.columns, schemaOf(query.input), "select");
    case "derive":
      return merge(schemaOf(query.input), named(query.columns, schemaOf(query.input), "derive"));
    case "rename":
      return renameSchema(query);
    case "drop":
      return dropSchema(query.columns, schemaOf(query.input));
    case "join":
      return joinSchema(query);
    case "asOfJoin":
      return asOfJoinSchema(query);
    case "union":
      return unionSchema(query);
    case "aggregate": {
      const input = schemaOf(query.input);
      if (query.aggregates.length === 0 && query.by.length === 0) {
        throw invalid("Cannot aggregate: name at least one aggregate");
      }
      const by = query.by.map((name) => requireField(input, name, "group by column"));
      const values = query.aggregates.map((item) => ({ name: item.name, type: aggregateType(item, input) }));
      return unique([...by, ...values], "aggregate");
    }
    case "distinct":
      for (const name of query.columns) requireField(schemaOf(query.input), name, "compare column");
      return schemaOf(query.input);
    case "sort":
      if (query.by.length === 0) throw invalid("Cannot sort: name at least one column");
      for (const key of query.by) typeOfExpr(key.expr, schemaOf(query.input));
      return schemaOf(query.input);
    case "limit":
      requireCount(query.count, "limit", "count");
      requireCount(query.offset, "limit", "offset");
      return schemaOf(query.input);
    case "unnest":
      return unnestSchema(query.column, schemaOf(query.input));
    case "sample":
      return sampleSchema(query.rows, query.fraction, schemaOf(query.input));
  }
}

function invalid(message: string): VarveError {
  return new VarveError("INVALID_DEFINITION", message);
}

function scanSchema(step: ScanStep): Schema {
  const { eventTimestamp, writtenTimestamp } = step.source;
  const schema = unique(step.schema, "read");
  if (schema.length === 0) throw invalid("Cannot read a source without columns");
  for (const name of [eventTimestamp, writtenTimestamp]) {
    if (name === undefined) continue;
    const { type } = requireField(schema, name, "use as timestamp column");
    if (type !== "timestamp" && type !== "date") {
      throw invalid(
        `Cannot use column "${name}" as timestamp: it is ${
          formatType(type)
        }; declare it in schema as "timestamp", or cast it first`,
      );
    }
  }
  return schema;
}

function sqlSchema(step: SqlStep): Schema {
  for (const input of Object.values(step.inputs)) schemaOf(input);
  return unique(step.schema, "run SQL");
}

function requireBoolean(where: ExprNode, schema: Schema, verb: string): void {
  const type = typeOfExpr(where, schema);
  if (type !== "boolean") {
    throw invalid(`Cannot ${verb} by a condition of type ${formatType(type)}: it must be boolean`);
  }
}

function requireCount(value: number, verb: string, what: string): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw invalid(`Cannot ${verb}: ${what} is ${value}; it must be a whole number, 0 or more`);
  }
}

function named(columns: readonly NamedExpr[], input: Schema, verb: string): Schema {
  return unique(columns.map(({ name, expr }) => ({ name, type: namedType(expr, input, verb) })), verb);
}

function namedType(expr: ExprNode, input: Schema, verb: string): DataType {
  if (expr.kind === "column") {
    return columnType(input, expr.name, verb === "select" ? "select column" : "use column");
  }
  return typeOfExpr(expr, input);
}

/** Refuses names that occur twice, are empty or are reserved. */
function unique(fields: readonly Field[], verb: string): Schema {
  const seen = new Set<string>();
  for (const { name } of fields) {
    if (name === "") throw invalid(`Cannot ${verb} a column without a name`);
    if (name.startsWith(internalPrefix)) {
      throw invalid(
        `Cannot ${verb} column "${name}": names that start with ${internalPrefix} are reserved; choose another`,
      );
    }
    // DuckDB compares names without case: two that differ only in case could not both be found.
    const key = name.toLowerCase();
    if (seen.has(key)) throw invalid(`Cannot ${verb} column "${name}": the name is there twice; rename one`);
    seen.add(key);
  }
  return fields.map(({ name, type }) => Object.freeze({ name, type }));
}

function merge(input: Schema, added: Schema): Schema {
  const replaced = input.map((field) => findField(added, field.name) ?? field);
  return unique([...replaced, ...added.filter((field) => !findField(input, field.name))], "derive");
}

function renameSchema(step: RenameStep): Schema {
  const input = schemaOf(step.input);
  for (const old of Object.keys(step.names)) requireField(input, old, "rename column");
  return unique(input.map((field) => ({ name: renamed(step, field.name), type: field.type })), "rename");
}

function renamed(step: RenameStep, name: string): string {
  return Object.hasOwn(step.names, name) ? step.names[name]! : name;
}

function dropSchema(columns: readonly string[], input: Schema): Schema {
  for (const name of columns) requireField(input, name, "drop column");
  const rest = input.filter((field) => !columns.includes(field.name));
  if (rest.length === 0) throw invalid("Cannot drop every column: at least one must stay");
  return rest;
}

function checkKeys(on: readonly JoinKey[], left: Schema, right: Schema): void {
  if (on.length === 0) throw invalid("Cannot join: name at least one key");
  for (const key of on) {
    const a = requireField(left, key.left, "join on left column");
    const b = requireField(right, key.right, "join on right column");
    if (comparable(a.type, b.type)) continue;
    throw invalid(
      `Cannot join "${key.left}" with "${key.right}": they are ${formatType(a.type)} and ${
        formatType(b.type)
      }; cast one of them`,
    );
  }
}

/** Types whose equality means the same on both sides. */
export function comparable(a: DataType, b: DataType): boolean {
  const integers = ["int32", "int64"];
  return sameType(a, b) || (integers.includes(a as string) && integers.includes(b as string));
}

/** The right columns that a join adds, with the names they get. */
export function addedColumns(
  step: JoinStep | AsOfJoinStep,
): readonly { readonly name: string; readonly as: string; readonly type: DataType }[] {
  const left = schemaOf(step.input);
  const gone = new Set(step.on.map((key) => key.right));
  return schemaOf(step.right)
    .filter((field) => !gone.has(field.name))
    .map(({ name, type }) => ({ name, as: findField(left, name) ? `${name}${step.suffix}` : name, type }));
}

function joinSchema(step: JoinStep): Schema {
  const left = schemaOf(step.input);
  checkKeys(step.on, left, schemaOf(step.right));
  if (step.how === "semi" || step.how === "anti") return left;
  return unique([...left, ...addedColumns(step).map(({ as, type }) => ({ name: as, type }))], "join");
}

function asOfJoinSchema(step: AsOfJoinStep): Schema {
  const left = schemaOf(step.input);
  const right = schemaOf(step.right);
  checkKeys(step.on, left, right);
  for (const [side, schema] of [["left", left], ["right", right]] as const) {
    if (step.time[side] !== "") continue;
    throw invalid(
      `Cannot join as of a time: the ${side} frame has no event timestamp; name its column with time: { left, right }, ` +
        `columns are ${columnNames(schema).join(", ")}`,
    );
  }
  const a = requireField(left, step.time.left, "join on left time column");
  const b = requireField(right, step.time.right, "join on right time column");
  if (a.type !== b.type || (a.type !== "timestamp" && a.type !== "date" && a.type !== "int64" && a.type !== "int32")) {
    throw invalid(
      `Cannot join as of "${step.time.left}" and "${step.time.right}": they are ${formatType(a.type)} and ${
        formatType(b.type)
      }; both must be timestamp (or both date or integer)`,
    );
  }
  if (step.tolerance !== undefined) {
    if (a.type !== "timestamp") {
      throw invalid(`Cannot use a tolerance with times of type ${formatType(a.type)}: cast them to timestamp`);
    }
    durationToMicros(step.tolerance, "tolerance");
  }
  return unique([...left, ...addedColumns(step).map(({ as, type }) => ({ name: as, type }))], "join");
}

function unionSchema(step: UnionStep): Schema {
  const [first, ...rest] = step.inputs.map(schemaOf);
  if (!first) throw invalid("Cannot union nothing: give at least one frame");
  for (const other of rest) {
    const missing = first.filter((field) => !findField(other, field.name));
    const extra = other.filter((field) => !findField(first, field.name));
    if (missing.length > 0 || extra.length > 0) {
      throw invalid(
        `Cannot union frames of other columns: ${columnNames(first).join(", ")} and ${columnNames(other).join(", ")}`,
      );
    }
    for (const field of first) {
      const { type } = findField(other, field.name)!;
      if (!sameType(type, field.type)) {
        throw invalid(
          `Cannot union column "${field.name}": it is ${formatType(field.type)} and ${
            formatType(type)
          }; cast one of them`,
        );
      }
    }
  }
  return first;
}

function unnestSchema(column: string, input: Schema): Schema {
  const { type } = requireField(input, column, "unnest column");
  if (!isListType(type)) throw invalid(`Cannot unnest column "${column}": it is ${formatType(type)}, not a list`);
  return input.map((field) => field.name === column ? Object.freeze({ name: column, type: type.list }) : field);
}

function sampleSchema(rows: number | undefined, fraction: number | undefined, input: Schema): Schema {
  if ((rows === undefined) === (fraction === undefined)) throw invalid("Cannot sample: give either rows or fraction");
  if (rows !== undefined) requireCount(rows, "sample", "rows");
  if (fraction !== undefined && !(fraction >= 0 && fraction <= 1)) {
    throw invalid(`Cannot sample: fraction is ${fraction}; it must be from 0 to 1`);
  }
  return input;
}
