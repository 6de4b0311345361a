/** SQL over the files of a table of aggregates: its rows by key and time, and the keys that a commit touched. */
import { type AggregateView, reservedColumns } from "../define/definitions.ts";
import { quoteName, quoteText, type Relation, timestampSql } from "../engine/engine.ts";
import type { Field } from "../schema.ts";

const event = reservedColumns.eventTimestamp;
const position = "file_row_number";

/** What is read of a table. */
export interface TableRows {
  readonly definition: AggregateView;
  /** Columns beside join keys and event timestamp. */
  readonly columns: readonly Field[];
  /** Rows before this instant are left out. */
  readonly floor: bigint | undefined;
}

/** Join keys, event timestamp and columns of all rows, sorted by key and then as aggregators want them. */
export function sortedRows(rows: TableRows, paths: readonly string[]): Relation {
  return relation(rows, storedSql(rows, paths), undefined);
}

/** The same of the keys in a table of join keys. Every key also has a row without an event timestamp: it may have no other. */
export function sortedRowsOf(rows: TableRows, paths: readonly string[], keys: Relation): Relation {
  const names = keyNames(rows);
  const only = `SEMI JOIN (${keys.sql}) AS wanted USING (${names})`;
  return relation(
    rows,
    paths.length > 0 ? storedSql(rows, paths, only) : undefined,
    `SELECT ${names} FROM (${keys.sql})`,
  );
}

/** The rows that commits brought, and every key that they took rows of, as a row without an event timestamp. */
export function changedRows(rows: TableRows, added: readonly string[], removed: readonly string[]): Relation {
  const gone = removed.length > 0
    ? `SELECT DISTINCT ${keyNames(rows)} FROM read_parquet(${list(removed)})${whereFloor(rows)}`
    : undefined;
  return relation(rows, added.length > 0 ? storedSql(rows, added) : undefined, gone);
}

function keyNames({ definition }: TableRows): string {
  return definition.entity.joinKeys.map(({ name }) => quoteName(name)).join(", ");
}

/** Rows of one slice and key lie in one file, so that their order in it tells those of equal times apart. */
function storedSql(rows: TableRows, paths: readonly string[], join = ""): string {
  const order = rows.definition.edge === "exact" ? [position] : [];
  const names = [keyNames(rows), event, ...order, ...rows.columns.map(({ name }) => quoteName(name))].join(", ");
  return `SELECT ${names} FROM read_parquet(${list(paths)}, file_row_number = true) ${join}${whereFloor(rows)}`;
}

function whereFloor({ floor }: TableRows): string {
  return floor === undefined ? "" : ` WHERE ${event} >= ${timestampSql(floor)}`;
}

/** Without stored rows there are no columns but keys and times, which are null. */
function relation(rows: TableRows, stored: string | undefined, keys: string | undefined): Relation {
  const { definition: { entity, edge } } = rows;
  const columns = stored === undefined ? [] : rows.columns;
  const names = [keyNames(rows), event, ...columns.map(({ name }) => quoteName(name))].join(", ");
  const ties = stored !== undefined && edge === "exact" ? [position] : [];
  const order = [keyNames(rows), `${event} NULLS FIRST`, ...ties].join(", ");
  const all = stored === undefined
    ? `SELECT *, CAST(NULL AS TIMESTAMPTZ) AS ${event} FROM (${keys})`
    : keys === undefined
    ? stored
    : `${stored} UNION ALL BY NAME (${keys})`;
  const schema = [
    ...entity.joinKeys.map(({ name, type }) => ({ name, type })),
    { name: event, type: "timestamp" as const },
    ...columns,
  ];
  return { sql: `SELECT ${names} FROM (${all}) ORDER BY ${order}`, schema };
}

function list(paths: readonly string[]): string {
  return `[${paths.map(quoteText).join(", ")}]`;
}
