/** Counts the nulls of a column: by what Parquet files say of themselves where they do, as that does not grow with their rows. */
import type { ScanStep } from "../frame/query.ts";
import type { DuckClient } from "./client.ts";
import type { SharedDatabase } from "./duckdb_engine.ts";
import { quoteName, quoteText } from "./engine.ts";
import { findSources } from "./source_finder.ts";
import { type ResolvedSource, scanSql } from "./source_sql.ts";

/** How many rows of a scan have null in the column. */
export async function nullCount(
  scan: ScanStep,
  column: string,
  client: DuckClient,
  shared: SharedDatabase,
  signal?: AbortSignal,
): Promise<number> {
  const read = { ...scan, schema: scan.schema.filter(({ name }) => name === column) };
  const source = (await findSources(read, client, shared, signal)).source(read.source);
  const told = await toldNulls(source, column, client, signal);
  if (told !== undefined) return told;
  const sql = scanSql(read, source, undefined, false);
  const [count] = await numbers(
    `SELECT count(*)::DOUBLE FROM (${sql}) WHERE ${quoteName(column)} IS NULL`,
    client,
    signal,
  );
  return count!;
}

/** What the files say; undefined unless all of them do, and of values that are what a reader will see. */
async function toldNulls(
  { metadata, columns }: ResolvedSource,
  column: string,
  client: DuckClient,
  signal?: AbortSignal,
): Promise<number | undefined> {
  const type = columns.get(column);
  if (metadata === undefined || type?.kind !== "scalar" || !/^(TIMESTAMP|DATE)/.test(type.name)) return undefined;
  const isColumn = `path_in_schema = ${quoteText(column)}`;
  const [groups, told, nulls] = await numbers(
    `SELECT count(DISTINCT (file_name, row_group_id))::DOUBLE, count(stats_null_count) FILTER (${isColumn})::DOUBLE, ` +
      `coalesce(sum(stats_null_count) FILTER (${isColumn}), 0)::DOUBLE FROM ${metadata}`,
    client,
    signal,
  );
  return told === groups ? nulls : undefined;
}

/** The only row of a result of doubles. */
async function numbers(sql: string, client: DuckClient, signal?: AbortSignal): Promise<number[]> {
  for (const { columns } of await client.collect(sql, signal)) return columns.map(({ items }) => Number(items![0]));
  return [];
}
