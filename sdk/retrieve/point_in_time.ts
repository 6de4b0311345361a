/**
 * The point-in-time join, and the only place that knows it: for every spine row and view the newest feature row that was
 * effective at the row's time (S3, S4), within ttl (S6). Keys of the spine become dense ids; a sweep over (id, time) of the
 * feature rows finds the position of the row that each spine row reaches; features are then fetched by position, in one
 * scan. So no wide row is ever sorted by time, and every step of the engine's may spill.
 */
import { reservedColumns } from "../define/definitions.ts";
import { type EngineSession, quoteName, type Relation } from "../engine/engine.ts";
import type { Field } from "../schema.ts";
import { type AnyRead, featureOf, type FeatureRead, keyColumns, timing } from "./feature_read.ts";
import { literalSql } from "./literal_sql.ts";
import {
  AskedProbes,
  type FeatureRows,
  findPositions,
  type KeyIds,
  keyIds,
  positionColumn,
  positionedSql,
} from "./positions.ts";
import { rowColumn, type SpineTable } from "./spine_table.ts";
import { effectiveColumn, type PlannedWindows, windowJoin } from "./window_join.ts";

/** S4: by when a value could have been served, or (Feast's rule) by when it was true. */
export type AsOf = "effective" | "event";

/** One view to join: of attributes, and the rows to join it from; or of aggregates, and what to aggregate. */
export type JoinedView = JoinedRows | JoinedWindows;

/** A view of attributes. */
export interface JoinedRows {
  readonly read: FeatureRead;
  readonly rows: FeatureRows;
}

/** A view of aggregates. */
export interface JoinedWindows {
  readonly read: FeatureRead;
  readonly windows: PlannedWindows;
}

/** How to join. */
export interface PointInTimeOptions {
  readonly asOf: AsOf;
  /** Adds `<alias>__status`, a FeatureStatus, per view. */
  readonly statuses: boolean;
  /** Adds `<alias>__effective_timestamp` per view: when the row that was found, expired or not, became effective. */
  readonly effectiveTimestamps: boolean;
  /** Spine rows that are swept at a time: bounds memory. @default 2_000_000 */
  readonly rowsPerSweep?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Columns that a view adds to the spine's. */
export function addedColumns(
  read: AnyRead,
  options: Pick<PointInTimeOptions, "statuses" | "effectiveTimestamps">,
): Field[] {
  const columns: Field[] = read.features.map(({ feature, as }) => ({ name: as, type: featureOf(read, feature).type }));
  if (options.statuses) columns.push({ name: `${read.alias}__status`, type: "string" });
  if (options.effectiveTimestamps) columns.push({ name: `${read.alias}__effective_timestamp`, type: "timestamp" });
  return columns;
}

/** Joins views to a spine: one row per spine row, in its order (S2). The relation lives as long as the session. */
export async function pointInTimeJoin(
  session: EngineSession,
  spine: SpineTable,
  views: readonly JoinedView[],
  options: PointInTimeOptions,
): Promise<Relation> {
  const columns = spine.schema.map((field) => `s.${quoteName(field.name)}`);
  const schema: Field[] = [...spine.schema];
  const joins: string[] = [];
  const beside: string[] = [];
  const idsByKeys = new Map<string, KeyIds>();
  const asked = new AskedProbes();
  for (const [i, view] of views.entries()) {
    const keys = keyColumns(view.read);
    const named = JSON.stringify(keys.map(({ name }) => name));
    const ids = idsByKeys.get(named) ?? await keyIds(session, spine.table, keys, options.signal);
    idsByKeys.set(named, ids);
    const alias = `v${i}`;
    schema.push(...addedColumns(view.read, options));
    if ("windows" in view) {
      const showsEffective = options.statuses || options.effectiveTimestamps;
      const table = await windowJoin(session, spine, view.read, ids, view.windows, { ...options, showsEffective });
      beside.push(`POSITIONAL JOIN ${table} ${alias}`);
      columns.push(...windowColumns(view.read, alias, options));
      continue;
    }
    const found = await findPositions(session, {
      spineTable: spine.table,
      rowColumn,
      spineRows: spine.rows,
      keys,
      ids,
      joinKeys: view.read.definition.entity.joinKeys,
      cutoff: cutoffSql(view.read, `s.${quoteName(spine.eventTimestamp)}`, options.asOf),
      interval: options.asOf === "effective" ? timing(view.read.definition).schedule : undefined,
      rows: view.rows,
      asked,
      rowsPerSweep: options.rowsPerSweep,
      signal: options.signal,
    });
    const rows = positionedSql(view.rows, found, storedColumns(view.read, options));
    if (joins.length === 0) {
      // Its rows are read once, straight into the result: nothing of them is kept.
      beside.push(`POSITIONAL JOIN ${found.table} h`);
      joins.push(`LEFT JOIN (${rows}) ${alias} ON ${alias}.${positionColumn} = h.${positionColumn}`);
    } else {
      joins.push(
        `LEFT JOIN (SELECT h.rowid AS ${rowColumn}, f.* FROM ${found.table} h JOIN (${rows}) f USING (${positionColumn})) ${alias} ` +
          `ON ${alias}.${rowColumn} = s.${rowColumn}`,
      );
    }
    columns.push(...viewColumns(view.read, alias, spine, options));
  }
  for (const { table } of idsByKeys.values()) await session.run(`DROP TABLE ${table}`);
  // Tables of windows and positions have a row for each of the spine's, in order, and so does what is put together of them.
  const from = [spine.table, "s", ...beside, ...joins].join(" ");
  const sql = `SELECT ${columns.join(", ")} FROM ${from}${joins.length > 0 ? ` ORDER BY s.${rowColumn}` : ""}`;
  return { sql, schema };
}

/** The newest event timestamp that a spine row may see. Effective times grow with event times, interval by interval. */
export function cutoffSql(read: FeatureRead, time: string, asOf: AsOf): string {
  if (asOf === "event") return `epoch_us(${time})`;
  const { schedule, dataDelay } = timing(read.definition);
  // A row is effective at t when its interval ended by t − dataDelay: so before that instant, rounded down to an interval.
  const known = `(epoch_us(${time}) - ${dataDelay})`;
  return `(${known} - (${known} % ${schedule} + ${schedule}) % ${schedule} - 1)`;
}

function viewColumns(read: FeatureRead, alias: string, spine: SpineTable, options: PointInTimeOptions): string[] {
  const { ttl } = timing(read.definition);
  const event = `${alias}.${reservedColumns.eventTimestamp}`;
  const isFound = `${alias}.${positionColumn} IS NOT NULL`;
  const isValid = ttl === undefined
    ? undefined
    : `epoch_us(${event}) > epoch_us(s.${quoteName(spine.eventTimestamp)}) - ${ttl}`;
  const columns = read.features.map(({ feature, as }) => {
    const value = `${alias}.${quoteName(feature)}`;
    return featureSql(read, feature, as, isValid === undefined ? value : `CASE WHEN ${isValid} THEN ${value} END`);
  });
  const expired = isValid === undefined ? "" : `WHEN ${isFound} AND NOT (${isValid}) THEN 'EXPIRED' `;
  return [
    ...columns,
    ...stateColumns(read, expired, isFound, `${alias}.${reservedColumns.effectiveTimestamp}`, options),
  ];
}

function windowColumns(read: FeatureRead, alias: string, options: PointInTimeOptions): string[] {
  const effective = `${alias}.${effectiveColumn}`;
  return [
    ...read.features.map(({ feature, as }) => featureSql(read, feature, as, `${alias}.${quoteName(feature)}`)),
    ...stateColumns(read, "", `${effective} IS NOT NULL`, effective, options),
  ];
}

/** The value of a feature, or its default where that is null (S7). */
function featureSql(read: FeatureRead, feature: string, as: string, value: string): string {
  const definition = featureOf(read, feature);
  const hasDefault = definition.default !== undefined && definition.default !== null;
  return `${hasDefault ? `coalesce(${value}, ${literalSql(definition.default!, definition.type)})` : value} AS ${
    quoteName(as)
  }`;
}

function stateColumns(
  read: FeatureRead,
  expired: string,
  isFound: string,
  effective: string,
  options: PointInTimeOptions,
): string[] {
  const columns: string[] = [];
  if (options.statuses) {
    const isNullKey = keyColumns(read).map(({ name }) => `s.${quoteName(name)} IS NULL`).join(" OR ");
    columns.push(
      `CASE WHEN ${isNullKey} THEN 'NULL_KEY' ${expired}WHEN ${isFound} THEN 'PRESENT' ELSE 'MISSING' END AS ${
        quoteName(`${read.alias}__status`)
      }`,
    );
  }
  if (options.effectiveTimestamps) {
    columns.push(`${effective} AS ${quoteName(`${read.alias}__effective_timestamp`)}`);
  }
  return columns;
}

function storedColumns(read: FeatureRead, options: PointInTimeOptions): Field[] {
  const names = new Set(read.features.map(({ feature }) => feature));
  const columns: Field[] = [...names].map((name) => ({ name, type: featureOf(read, name).type }));
  if (timing(read.definition).ttl !== undefined) {
    columns.push({ name: reservedColumns.eventTimestamp, type: "timestamp" });
  }
  if (options.effectiveTimestamps) columns.push({ name: reservedColumns.effectiveTimestamp, type: "timestamp" });
  return columns;
}
