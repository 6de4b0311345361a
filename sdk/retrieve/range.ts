/** Every value of a view in a range of time, with the half-open interval in which it was the one to serve; and previews. */
import { reservedColumns, type ViewDefinition } from "../define/definitions.ts";
import { type Engine, type EngineSession, quoteName, type Relation } from "../engine/engine.ts";
import { VarveError } from "../errors.ts";
import { warnOnce } from "../frame/runtime.ts";
import type { Field, Schema } from "../schema.ts";
import type { DeltaTable } from "../storage/delta_format.ts";
import { alignDown, type Micros, type TimeRange, timestampLimits } from "../time.ts";
import { type DefinedView, readOfView, timing } from "./feature_read.ts";
import { emptySql, literalSql } from "./literal_sql.ts";
import { coverageWarning, offlineRows, pinTable } from "./offline_rows.ts";
import type { AsOf } from "./point_in_time.ts";
import { type FeatureRows, scanSql } from "./positions.ts";
import { sliceRange, sourceRows } from "./source_rows.ts";
import { windowPreview } from "./window_preview.ts";

/** Names of the columns that a range read adds. */
export const validityColumns = { from: "valid_from", to: "valid_to" } as const;

/** How to read a range. */
export interface RangeOptions {
  /** @default "offline" */
  readonly from?: "offline" | "source";
  readonly signal?: AbortSignal | undefined;
}

/** A result that lives as long as its session. */
export interface OpenRelation {
  readonly session: EngineSession;
  readonly relation: Relation;
}

/**
 * The values that a view would have served in `[start, end)`: join keys, `valid_from`, `valid_to`, features; by key and time.
 * A value is valid from when it was effective (S4) until the next one was, or until its ttl ended (S6). Intervals of a key
 * do not overlap, and are cut at the range. Close the session.
 */
export async function rangeRead(
  engine: Engine,
  view: DefinedView,
  table: DeltaTable | undefined,
  range: TimeRange,
  { from = "offline", signal }: RangeOptions = {},
): Promise<OpenRelation> {
  if (view.definition.mode === "aggregates") {
    throw new VarveError(
      "UNSUPPORTED",
      `Cannot read a range of view "${view.definition.name}": values of windows change as time goes by, also without new rows; train on a spine of the keys and instants that you want`,
      { details: { view: view.definition.name } },
    );
  }
  return await opened(engine, async (session) => {
    const rows = await rowsUntil(session, view, from === "offline" ? table : undefined, range.end - 1n, signal);
    return rangeRelation(view.definition, rows, range);
  });
}

/** How to preview. */
export interface PreviewOptions {
  /** The instant to look from, micros. */
  readonly at: Micros;
  /** The most keys to show. @default 100 */
  readonly limit?: number;
  /** Of aggregates: whether rows are known by S4, or when they happen. @default "effective" */
  readonly asOf?: AsOf;
  readonly signal?: AbortSignal | undefined;
}

/** What each key would have at an instant, computed from the source; nothing is published or kept. Close the session. */
export async function preview(
  engine: Engine,
  definition: ViewDefinition,
  { at, limit = 100, asOf = "effective", signal }: PreviewOptions,
): Promise<OpenRelation> {
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot preview ${limit} keys of view "${definition.name}": limit is a whole number from 1 on`,
    );
  }
  return await opened(engine, async (session) => {
    if (definition.mode === "aggregates") return await windowPreview(session, definition, { at, limit, asOf, signal });
    const rows = await rowsUntil(session, { definition, version: 0 }, undefined, at, signal);
    const { sql, schema } = rangeRelation(definition, rows, { start: at, end: at + 1n });
    const keys = definition.entity.joinKeys.map((key) => quoteName(key.name)).join(", ");
    const shown = schema.filter(({ name }) => name !== validityColumns.from && name !== validityColumns.to);
    const columns = shown.map(({ name }) => quoteName(name)).join(", ");
    return { sql: `SELECT ${columns} FROM (${sql}) ORDER BY ${keys} LIMIT ${limit}`, schema: shown };
  });
}

async function opened(engine: Engine, make: (session: EngineSession) => Promise<Relation>): Promise<OpenRelation> {
  const session = await engine.session();
  try {
    return { session, relation: await make(session) };
  } catch (error) {
    session.close();
    throw error;
  }
}

/** The rows that are effective by an instant: of the table, or of the source when there is none. */
async function rowsUntil(
  session: EngineSession,
  view: DefinedView,
  table: DeltaTable | undefined,
  at: Micros,
  signal: AbortSignal | undefined,
): Promise<FeatureRows> {
  const { schedule, dataDelay } = timing(view.definition);
  // The newest event that is effective by then: the last micro before the interval that holds at − dataDelay.
  const newest = alignDown(at - dataDelay, schedule) - 1n;
  if (!table) return await sourceRows(session, view.definition, sliceRange(view.definition, newest + 1n), signal);
  const read = readOfView(view);
  const snapshot = await pinTable(table, read);
  const warning = coverageWarning(read, snapshot, { newest, expired: undefined });
  if (warning !== undefined) warnOnce(warning, warning);
  return await offlineRows(table, snapshot, { newest, expired: undefined }, {
    statuses: false,
    effectiveTimestamps: false,
    signal,
  });
}

function rangeRelation(definition: ViewDefinition, rows: FeatureRows, { start, end }: TimeRange): Relation {
  const { ttl } = timing(definition);
  const keys = definition.entity.joinKeys;
  const keyList = keys.map((key) => quoteName(key.name)).join(", ");
  const schema: Schema = [
    ...keys.map(({ name, type }): Field => ({ name, type })),
    { name: validityColumns.from, type: "timestamp" },
    { name: validityColumns.to, type: "timestamp" },
    ...definition.features.map(({ name, type }): Field => ({ name, type })),
  ];
  if (rows.kind === "files" && rows.files.length === 0) return { sql: emptySql(schema), schema };
  const features = definition.features.map((feature) => {
    const name = quoteName(feature.name);
    if (feature.default === undefined || feature.default === null) return name;
    return `coalesce(${name}, ${literalSql(feature.default, feature.type)}) AS ${name}`;
  });
  const event = `epoch_us(${reservedColumns.eventTimestamp})`;
  const effective = `epoch_us(${reservedColumns.effectiveTimestamp})`;
  // Of the rows of an interval, which become effective together, only the newest is ever served. The row before it ends
  // where the next interval's begins. A value is valid while its event timestamp > t − ttl, so up to event + ttl.
  const newest =
    `SELECT *, coalesce(lead(${effective}) OVER (PARTITION BY ${keyList} ORDER BY ${event}), ${timestampLimits.max}) AS __next ` +
    `FROM (FROM ${
      fromSql(rows)
    } QUALIFY row_number() OVER (PARTITION BY ${keyList}, ${effective} ORDER BY ${event} DESC) = 1)`;
  const until = ttl === undefined ? `least(__next, ${end})` : `least(__next, ${event} + ${ttl}, ${end})`;
  const columns = [
    keyList,
    `make_timestamptz(__since) AS ${validityColumns.from}`,
    `make_timestamptz(__until) AS ${validityColumns.to}`,
    ...features,
  ];
  const sql =
    `SELECT ${
      columns.join(", ")
    } FROM (SELECT *, greatest(${effective}, ${start}) AS __since, ${until} AS __until FROM (${newest})) ` +
    `WHERE __since < __until ORDER BY ${keyList}, __since`;
  return { sql, schema };
}

function fromSql(rows: FeatureRows): string {
  return rows.kind === "table" ? rows.table : scanSql(rows.files);
}
