/** SQL over the files of a view's table: the newest row of every key, and whether a commit took newest rows away. */
import { reservedColumns, type ViewDefinition } from "../define/definitions.ts";
import { quoteName, quoteText, type Relation, timestampSql } from "../engine/engine.ts";
import { findField, type Schema } from "../schema.ts";
import { durationToMicros } from "../time.ts";
import { storedSchema } from "./stage_slices.ts";

const event = reservedColumns.eventTimestamp;

/** Length of a view's ttl in micros; undefined is for ever (S6). */
export function ttlMicros(definition: Pick<ViewDefinition, "ttl">): bigint | undefined {
  return definition.ttl === "forever" ? undefined : durationToMicros(definition.ttl, "ttl");
}

/** The instant after which rows still count at `now` (S6); undefined: all do. */
export function oldestValid(definition: ViewDefinition, now: bigint): bigint | undefined {
  const ttl = ttlMicros(definition);
  return ttl === undefined ? undefined : now - ttl;
}

/**
 * The newest row of every key in the files, with join keys, event timestamp and features, as columns in this order. Tables have no
 * two rows of equal key and event timestamp, so joining the newest time back finds exactly one row: that reads the
 * features of the rows that matter only, which is three times as fast as carrying all of them through an aggregation.
 */
export function latestRows(definition: ViewDefinition, paths: readonly string[], after?: bigint): Relation {
  const stored = storedSchema(definition);
  const keys = definition.entity.joinKeys.map((key) => quoteName(key.name));
  const columns = [...keys, event, ...definition.features.map((feature) => quoteName(feature.name))];
  const files = filesSql(paths, after);
  const newest = `SELECT ${keys.join(", ")}, max(${event}) AS ${event} FROM ${files} GROUP BY ALL`;
  const schema: Schema = [
    ...definition.entity.joinKeys.map((key) => findField(stored, key.name)!),
    findField(stored, event)!,
    ...definition.features.map(({ name, type }) => ({ name, type })),
  ];
  const sql = `SELECT ${columns.join(", ")} FROM ${files} SEMI JOIN (${newest}) newest USING (${
    [...keys, event].join(", ")
  })`;
  return { sql, schema };
}

/**
 * One row if some key's newest row among the removed files has no row in the live files that is as new: then the online
 * store may hold a value that is not true any more and that no newer value replaces.
 */
export function vanishedSql(
  definition: ViewDefinition,
  removed: readonly string[],
  live: readonly string[],
  after?: bigint,
): string {
  const keys = definition.entity.joinKeys.map((key) => quoteName(key.name)).join(", ");
  const newest = (paths: readonly string[], name: string) =>
    `SELECT ${keys}, max(${event}) AS ${name} FROM ${filesSql(paths, after)} GROUP BY ALL`;
  const gone = newest(removed, "gone");
  if (live.length === 0) return `SELECT 1 AS vanished FROM (${gone}) LIMIT 1`;
  return `SELECT 1 AS vanished FROM (${gone}) LEFT JOIN (${newest(live, "there")}) USING (${keys}) ` +
    `WHERE there IS NULL OR there < gone LIMIT 1`;
}

function filesSql(paths: readonly string[], after: bigint | undefined): string {
  const list = paths.map(quoteText).join(", ");
  const where = after === undefined ? "" : ` WHERE ${event} > ${timestampSql(after)}`;
  return `(SELECT * FROM read_parquet([${list}])${where})`;
}
