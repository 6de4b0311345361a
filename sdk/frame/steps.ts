/** Makes the steps of a query from what people write: checked against the columns at the call, frozen, plain data. */
import { checkOptions, VarveError } from "../errors.ts";
import { columnNames, formatType, isListType, requireField } from "../schema.ts";
import { durationToMicros, formatDuration } from "../time.ts";
import { aggregateFunctions, failureOf } from "./aggregate_type.ts";
import { Aggregate } from "./aggregates.ts";
import { inputNode } from "./aggregates.ts";
import type { ColumnInput } from "./aggregates.ts";
import { Expr } from "./expr.ts";
import type { AggregateFunction, JoinKey, NamedAggregate, NamedExpr, Query, SortKey } from "./query.ts";
import { schemaOf } from "./query_schema.ts";
import { eventTimestampOf } from "./query_time.ts";

/** Freezes a step and checks that it fits its input. */
export function checked<Q extends Query>(query: Q): Q {
  for (const part of Object.values(query)) {
    if (typeof part === "object" && part !== null && !Object.isFrozen(part)) deepFreeze(part);
  }
  Object.freeze(query);
  schemaOf(query);
  return query;
}

/** Freezes plain data, part by part. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}

/** Expressions by name, as people write them; a string is a column's name. */
export type NamedInputs = Readonly<Record<string, ColumnInput>>;

/** What select takes: names, then expressions by name. */
export function selectColumns(columns: readonly (string | NamedInputs)[]): NamedExpr[] {
  return columns.flatMap((column) =>
    typeof column === "string" ? [{ name: column, expr: inputNode(column) }] : namedExprs(column)
  );
}

/** Named expressions in the order they were written. */
export function namedExprs(columns: NamedInputs): NamedExpr[] {
  return Object.entries(columns).map(([name, input]) => ({ name, expr: inputNode(input) }));
}

/** A condition; boolean columns may be given by name. */
export function conditionNode(condition: ColumnInput | boolean): Expr["node"] {
  if (typeof condition === "boolean") {
    throw new VarveError("INVALID_REQUEST", `Cannot filter by ${condition}: use col("x").eq(y), not JavaScript's ==`);
  }
  return inputNode(condition);
}

/** Keys of a join as people write them: a name, names, or left name by right name. */
export type JoinOn = string | readonly string[] | Readonly<Record<string, string>>;

/** Keys of a join. */
export function joinKeys(on: JoinOn): JoinKey[] {
  if (on === undefined || on === null) {
    throw new VarveError(
      "INVALID_DEFINITION",
      'Cannot join without keys: name them, as in join(other, "origin"), join(other, ["origin", "day"]) or join(other, { origin: "airport" })',
    );
  }
  if (typeof on === "string") return [{ left: on, right: on }];
  if (Array.isArray(on)) return on.map((name: string) => ({ left: name, right: name }));
  return Object.entries(on).map(([left, right]) => ({ left, right: right as string }));
}

/** A sort key as people write it. */
export type SortInput = ColumnInput | {
  readonly by: ColumnInput;
  readonly descending?: boolean;
  readonly nulls?: "first" | "last";
};

/** A sort key in descending order. */
export function descending<const X extends ColumnInput>(by: X): { readonly by: X; readonly descending: true } {
  return { by, descending: true };
}

const sortOptions = { by: true, descending: true, nulls: true } as const;

/** Sort keys. */
export function sortKeys(keys: readonly SortInput[]): SortKey[] {
  return keys.map((key) => {
    if (typeof key === "string" || key instanceof Expr) {
      return { expr: inputNode(key), descending: false, nulls: "last" };
    }
    if (typeof key !== "object" || key === null || key.by === undefined) {
      throw new VarveError(
        "INVALID_DEFINITION",
        'Cannot sort: give columns, and for another order descending("delay") or { by: "delay", descending: true, nulls: "first" }',
      );
    }
    checkOptions("Cannot sort", key, sortOptions);
    return { expr: inputNode(key.by), descending: key.descending ?? false, nulls: key.nulls ?? "last" };
  });
}

/** Aggregates by name; what needs an order and names none is ordered by the source's event timestamp. */
export function namedAggregates(input: Query, aggregates: Readonly<Record<string, Aggregate>>): NamedAggregate[] {
  return Object.entries(aggregates).map(([name, aggregate]) => {
    if (!(aggregate instanceof Aggregate)) {
      throw new VarveError(
        "INVALID_DEFINITION",
        `Cannot aggregate "${name}": give an aggregate such as count() or mean("x")`,
      );
    }
    const { function: called, parameters: _, ...rest } = aggregate.spec;
    if (!isGroupFunction(called)) {
      throw failureOf({ name, function: called })(
        `it is a function over windows, as in .by(entity).aggregate(…); a group-by has ${
          aggregateFunctions.join(", ")
        }`,
      );
    }
    const time = (called === "first" || called === "last") && !rest.by ? eventTimestampOf(input) : undefined;
    return { name, function: called, ...rest, ...(time === undefined ? {} : { by: inputNode(time) }) };
  });
}

function isGroupFunction(name: string): name is AggregateFunction {
  return (aggregateFunctions as readonly string[]).includes(name);
}

/** A tolerance in canonical text. */
export function canonicalTolerance(tolerance: string): string {
  return formatDuration(durationToMicros(tolerance, "tolerance"));
}

/** Checks that join keys of an entity exist and have its types. */
export function checkEntityKeys(
  query: Query,
  entity: { readonly name: string; readonly joinKeys: readonly { readonly name: string; readonly type: unknown }[] },
): void {
  if (!Array.isArray((entity as Partial<typeof entity> | undefined)?.joinKeys)) {
    throw new VarveError(
      "INVALID_DEFINITION",
      'Cannot key a frame by this: give an entity, as in by(entity("airport", { origin: "string" }))',
    );
  }
  const schema = schemaOf(query);
  if (entity.joinKeys.length === 0) {
    throw new VarveError("INVALID_DEFINITION", `Cannot key by entity "${entity.name}": it has no join keys`);
  }
  for (const key of entity.joinKeys) {
    const field = requireField(schema, key.name, `key by entity "${entity.name}": join key`);
    const same = field.type === key.type || (field.type === "int32" && key.type === "int64");
    if (!same) {
      const what = isListType(field.type) ? "a list" : formatType(field.type);
      throw new VarveError(
        "INVALID_DEFINITION",
        `Cannot key by entity "${entity.name}": column "${key.name}" is ${what} and the join key is ${key.type}; cast one of them`,
        { details: { column: key.name, columns: columnNames(schema) } },
      );
    }
  }
}
