/** Rows of a view computed from its sources, as materialization would store them: slice by slice, without ties. */
import { reservedColumns, type ViewDefinition } from "../define/definitions.ts";
import { type EngineSession, quoteName, type Relation, timestampSql } from "../engine/engine.ts";
import { VarveError } from "../errors.ts";
import { findField, formatType, sameType } from "../schema.ts";
import { alignDown, alignUp, formatTimestamp, type Micros, type TimeRange, toMicros } from "../time.ts";
import { timing } from "./feature_read.ts";
import { type FeatureTable, temporaryName } from "./positions.ts";

const sliceColumn = "__slice";

/** Slices of a view that a read up to `until` (exclusive, event time) may touch; undefined when there are none. */
export function sliceRange(definition: ViewDefinition, until: Micros): TimeRange | undefined {
  const { schedule } = timing(definition);
  const start = alignDown(toMicros(definition.start), schedule);
  const last = definition.end === undefined ? undefined : alignUp(toMicros(definition.end), schedule);
  const end = alignUp(until, schedule);
  const range = { start, end: last !== undefined && last < end ? last : end };
  return range.end > range.start ? range : undefined;
}

/** Computes slices of the view from its sources into a temporary table with the columns of stored tables. */
export async function sourceRows(
  session: EngineSession,
  definition: ViewDefinition,
  range: TimeRange | undefined,
  signal?: AbortSignal,
): Promise<FeatureTable> {
  const table = temporaryName("source");
  let made = false;
  for await (const relation of sliceRelations(session, definition, range, signal)) {
    checkColumns(definition, relation);
    const sql = reducedSql(definition, relation);
    await session.run(made ? `INSERT INTO ${table} ${sql}` : `CREATE TEMP TABLE ${table} AS ${sql}`, signal);
    made = true;
  }
  await checkInside(session, definition, table, signal);
  return { kind: "table", table };
}

/** One query for all slices; one per slice when the query cannot keep slices apart. Never none: an empty one gives the columns. */
async function* sliceRelations(
  session: EngineSession,
  definition: ViewDefinition,
  range: TimeRange | undefined,
  signal?: AbortSignal,
): AsyncIterable<Relation> {
  const { schedule } = timing(definition);
  if (!range) {
    const relation = await session.compile(definition.query, { position: true }, signal);
    yield {
      ...relation,
      sql: `SELECT make_timestamptz(0::BIGINT) AS ${sliceColumn}, * FROM (${relation.sql}) WHERE false`,
    };
    return;
  }
  const lifted = await session.compile(
    definition.query,
    { slices: { range, interval: schedule }, position: true },
    signal,
  ).catch((error: unknown) => {
    if (error instanceof VarveError && error.code === "UNSUPPORTED") return undefined;
    throw error;
  });
  if (lifted) return yield lifted;
  for (let start = range.start; start < range.end; start += schedule) {
    const slice = { start, end: start + schedule };
    const relation = await session.compile(definition.query, { slices: { range: slice }, position: true }, signal);
    yield { ...relation, sql: `SELECT ${timestampSql(start)} AS ${sliceColumn}, * FROM (${relation.sql})` };
  }
}

/**
 * Of equal key and event timestamp the last written wins (S3), then the last by source position; rows that neither
 * decides are ordered by their values. Materialization follows the same rule, so both keep the same row.
 */
function reducedSql(definition: ViewDefinition, relation: Relation): string {
  const { schedule, dataDelay } = timing(definition);
  const keys = definition.entity.joinKeys.map((key) => quoteName(key.name));
  const features = definition.features.map((feature) => quoteName(feature.name));
  const event = quoteName(definition.eventTimestamp);
  const order = [
    ...(definition.writtenTimestamp === undefined ? [] : [quoteName(definition.writtenTimestamp)]),
    ...(relation.position ? ["__position"] : []),
    ...features,
  ].map((column) => `${column} DESC NULLS LAST`);
  const columns = [
    sliceColumn,
    ...keys,
    `${event} AS ${reservedColumns.eventTimestamp}`,
    `make_timestamptz(epoch_us(${sliceColumn}) + ${schedule + dataDelay}) AS ${reservedColumns.effectiveTimestamp}`,
    ...features,
  ];
  const notNull = [...keys, event].map((column) => `${column} IS NOT NULL`).join(" AND ");
  return `SELECT ${columns.join(", ")} FROM (${relation.sql}) WHERE ${notNull} QUALIFY row_number() OVER ` +
    `(PARTITION BY ${[sliceColumn, ...keys, event].join(", ")} ORDER BY ${order.join(", ")}) = 1`;
}

function checkColumns(definition: ViewDefinition, { schema }: Relation): void {
  const wanted = [
    ...definition.entity.joinKeys,
    { name: definition.eventTimestamp, type: "timestamp" as const },
    ...definition.features,
  ];
  for (const { name, type } of wanted) {
    const field = findField(schema, name);
    if (field && sameType(field.type, type)) continue;
    const state = field ? `is ${formatType(field.type)}, not ${formatType(type)}` : "does not exist any more";
    throw new VarveError(
      "SCHEMA_MISMATCH",
      `Cannot read view "${definition.name}" from its source: column "${name}" ${state}; mend the source, or publish the view again`,
      { details: { view: definition.name, column: name } },
    );
  }
}

/** A row outside its slice would be seen too early or too late (S4), and materialization refuses it. */
async function checkInside(
  session: EngineSession,
  definition: ViewDefinition,
  table: string,
  signal?: AbortSignal,
): Promise<void> {
  const { schedule } = timing(definition);
  const into = `epoch_us(${reservedColumns.eventTimestamp}) - epoch_us(${sliceColumn})`;
  const [row] = await session.rows(
    `SELECT epoch_us(${reservedColumns.eventTimestamp})::VARCHAR AS stray FROM ${table} WHERE NOT (${into} BETWEEN 0 AND ${
      schedule - 1n
    }) ORDER BY 1 LIMIT 1`,
    signal,
  );
  if (!row) return;
  throw new VarveError(
    "SCHEMA_MISMATCH",
    `Cannot read view "${definition.name}" from its source: column "${definition.eventTimestamp}" is ${
      formatTimestamp(BigInt(row["stray"]))
    } in a row made of source rows of another schedule interval; derive an event timestamp within the interval, or use a longer schedule`,
    { details: { view: definition.name, column: definition.eventTimestamp } },
  );
}
