/** Joins as SQL. The left side is carried along row by row; the right side is read whole. */
import { addedColumns, schemaOf } from "../frame/query_schema.ts";
import type { AsOfJoinStep, JoinKey, JoinStep, Query } from "../frame/query.ts";
import { columnNames } from "../schema.ts";
import { durationToMicros } from "../time.ts";
import { quoteName } from "./engine.ts";
import { as, names, positionColumn, selectFrom, sliceColumn } from "./sql_text.ts";
import type { Part } from "./sql_text.ts";

/** A join on equal keys. */
export function joinSql(step: JoinStep, left: Part, right: Part): Part {
  const added = step.how === "semi" || step.how === "anti" ? [] : addedColumns(step);
  const keepsRows = added.length === 0 && step.how !== "inner" && step.how !== "left";
  const positioned = left.positioned && (keepsRows || isUniqueBy(step.right, step.on.map((key) => key.right)));
  const columns = [
    ...leftColumns(left),
    ...added.map(({ name, as: alias }) => as(`r.${quoteName(name)}`, alias)),
    ...(positioned ? [`l.${positionColumn}`] : []),
  ];
  const on = equalKeys(step.on).join(" AND ");
  return {
    ...left,
    sql: joined(columns, left.sql, `${step.how.toUpperCase()} JOIN`, right.sql, on),
    schema: schemaOf(step),
    positioned,
  };
}

function leftColumns(left: Part): string[] {
  return [...(left.sliced ? [`l.${sliceColumn}`] : []), ...names(left.schema).map((name) => `l.${name}`)];
}

function equalKeys(on: readonly JoinKey[]): string[] {
  return on.map((key) => `l.${quoteName(key.left)} = r.${quoteName(key.right)}`);
}

function joined(columns: readonly string[], left: string, verb: string, right: string, on: string): string {
  return `${selectFrom(columns, left, "", "l")}\n${verb} (\n  ${right.replaceAll("\n", "\n  ")}\n) AS r ON ${on}`;
}

/** Whether no two rows of a query have equal keys: then a join with it does not multiply rows. */
function isUniqueBy(query: Query, keys: readonly string[]): boolean {
  if (query.kind === "aggregate") return query.by.every((name) => keys.includes(name));
  if (query.kind === "distinct") {
    const columns = query.columns.length > 0 ? query.columns : columnNames(schemaOf(query));
    return columns.every((name) => keys.includes(name));
  }
  const keepsColumns = query.kind === "filter" || query.kind === "sort" || query.kind === "limit" ||
    query.kind === "sample";
  return keepsColumns && isUniqueBy(query.input, keys);
}

/** A join with the newest right row that is not newer. `right` carries positions where it has them. */
export function asOfJoinSql(step: AsOfJoinStep, left: Part, right: Part): Part {
  const keys = [...step.on.map((key) => key.right), step.time.right].map(quoteName);
  // Of right rows with equal keys and times one is kept: the last in the source, else the greatest.
  const order = right.positioned
    ? `${positionColumn} DESC`
    : names(right.schema).map((name) => `${name} DESC NULLS LAST`).join(", ");
  const last = `QUALIFY row_number() OVER (PARTITION BY ${keys.join(", ")} ORDER BY ${order}) = 1`;
  const [time, rightTime] = [`l.${quoteName(step.time.left)}`, `r.${quoteName(step.time.right)}`];
  const { tolerance } = step;
  const fresh = (sql: string): string =>
    tolerance === undefined
      ? sql
      : `CASE WHEN epoch_us(${rightTime}) > epoch_us(${time}) - ${durationToMicros(tolerance)} THEN ${sql} END`;
  const columns = [
    ...leftColumns(left),
    ...addedColumns(step).map(({ name, as: alias }) => as(fresh(`r.${quoteName(name)}`), alias)),
    ...(left.positioned ? [`l.${positionColumn}`] : []),
  ];
  const on = [...equalKeys(step.on), `${time} >= ${rightTime}`].join(" AND ");
  const sql = joined(columns, left.sql, "ASOF LEFT JOIN", selectFrom(names(right.schema), right.sql, last), on);
  return { ...left, sql, schema: schemaOf(step) };
}
