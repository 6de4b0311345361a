/**
 * The rows of a view, slice by slice, without ties: the one rule by which materialization stores rows, and by which reads from
 * the source compute them. Works over any engine's sessions.
 */
import { reservedColumns, type ViewDefinition } from "../define/definitions.ts";
import { VarveError } from "../errors.ts";
import { type Field, findField, formatType, sameType, type Schema } from "../schema.ts";
import { durationToMicros, formatTimestamp, type TimeRange } from "../time.ts";
import { type EngineSession, quoteName, type Relation, timestampSql } from "./engine.ts";

/** What is read of a view: its query must give the columns, which are the features of a view of attributes. */
export type SlicedView =
  & Pick<ViewDefinition, "name" | "entity" | "query" | "schedule" | "eventTimestamp" | "writtenTimestamp">
  & { readonly features: readonly Field[] };

/** The first column: the start of the slice that a row is computed in. */
export const sliceColumn = "__slice";

/**
 * One relation for all slices of the range, or one per slice when the query cannot keep slices apart. Never none: without a
 * range the relation is empty and has the columns.
 */
export async function* sliceRelations(
  session: EngineSession,
  { query, schedule }: Pick<SlicedView, "query" | "schedule">,
  range: TimeRange | undefined,
  signal?: AbortSignal,
): AsyncIterable<Relation> {
  const interval = durationToMicros(schedule, "schedule");
  const inSlice = (start: bigint, { sql, schema, ...rest }: Relation): Relation => ({
    ...rest,
    sql: `SELECT ${timestampSql(start)} AS ${sliceColumn}, * FROM (${sql})`,
    schema: [{ name: sliceColumn, type: "timestamp" }, ...schema],
  });
  if (!range) {
    const relation = await session.compile(query, { position: true }, signal);
    return yield inSlice(0n, { ...relation, sql: `SELECT * FROM (${relation.sql}) WHERE false` });
  }
  const lifted = await session.compile(query, { slices: { range, interval }, position: true }, signal)
    .catch((error: unknown) => {
      if (error instanceof VarveError && error.code === "UNSUPPORTED") return undefined;
      throw error;
    });
  if (lifted) return yield lifted;
  for (let start = range.start; start < range.end; start += interval) {
    const slice = { start, end: start + interval };
    yield inSlice(start, await session.compile(query, { slices: { range: slice }, position: true }, signal));
  }
}

/** Fails when the query does not give what the definition promises any more. `verb` begins the message: `materialize`. */
export function checkSliceColumns(definition: SlicedView, schema: Schema, verb: string): void {
  const { writtenTimestamp } = definition;
  const times = [definition.eventTimestamp, ...writtenTimestamp === undefined ? [] : [writtenTimestamp]];
  const wanted: Schema = [
    ...definition.entity.joinKeys,
    ...times.map((name) => ({ name, type: "timestamp" as const })),
    ...definition.features,
  ];
  for (const { name, type } of wanted) {
    const field = findField(schema, name);
    // A day is read as its first instant.
    if (field && (sameType(field.type, type) || (field.type === "date" && times.includes(name)))) continue;
    const state = field ? `is ${formatType(field.type)}, not ${formatType(type)}` : "does not exist any more";
    throw new VarveError(
      "SCHEMA_MISMATCH",
      `Cannot ${verb} view "${definition.name}": column "${name}" ${state}; mend the source, or publish the view again`,
      { details: { view: definition.name, column: name } },
    );
  }
}

/**
 * Of equal key and event timestamp the last written wins (S3), then the last in the source; where the query has lost that order,
 * rows are ordered by their values, so that every run keeps the same one. Columns: {@link sliceColumn}, join keys, event
 * timestamp, written timestamp (null when the source has none), features. Rows without key or time stay in when
 * `keepUnstorable` says so, to be counted.
 */
export function sliceRowsSql(
  definition: SlicedView,
  relation: Relation,
  { keepUnstorable = false }: { readonly keepUnstorable?: boolean } = {},
): string {
  const { eventTimestamp, writtenTimestamp } = reservedColumns;
  const keys = definition.entity.joinKeys.map((key) => quoteName(key.name));
  const features = definition.features.map((feature) => quoteName(feature.name));
  const position = relation.position ? ["__position"] : [];
  const written = definition.writtenTimestamp === undefined ? "NULL" : quoteName(definition.writtenTimestamp);
  const named = [
    sliceColumn,
    ...keys,
    `${quoteName(definition.eventTimestamp)}::TIMESTAMPTZ AS ${eventTimestamp}`,
    `${written}::TIMESTAMPTZ AS ${writtenTimestamp}`,
    ...features,
  ];
  const order = [writtenTimestamp, ...position, ...features].map((column) => `${column} DESC NULLS LAST`);
  const isStorable = storableSql(definition.entity.joinKeys);
  return `SELECT ${[sliceColumn, ...keys, eventTimestamp, writtenTimestamp, ...features].join(", ")} ` +
    `FROM (SELECT ${[...named, ...position].join(", ")} FROM (${relation.sql})) ` +
    `${keepUnstorable ? "" : `WHERE ${isStorable} `}QUALIFY ${
      keepUnstorable ? `NOT (${isStorable}) OR ` : ""
    }row_number() OVER (` +
    `PARTITION BY ${[sliceColumn, ...keys, eventTimestamp].join(", ")} ORDER BY ${order.join(", ")}) = 1`;
}

/** Whether a row can be stored: nothing could ever find one without its keys or a time. */
export function storableSql(keys: readonly Pick<Field, "name">[]): string {
  const columns = [...keys.map((key) => quoteName(key.name)), reservedColumns.eventTimestamp];
  return columns.map((column) => `${column} IS NOT NULL`).join(" AND ");
}

/** Says that a row lies outside the slice that it was computed in: it would be seen too early or too late (S4). */
export function strayRow(
  definition: Pick<SlicedView, "name" | "eventTimestamp">,
  eventMicros: bigint,
  verb: string,
): VarveError {
  return new VarveError(
    "SCHEMA_MISMATCH",
    `Cannot ${verb} view "${definition.name}": column "${definition.eventTimestamp}" is ${
      formatTimestamp(eventMicros)
    } ` +
      "in a row made of source rows of another schedule interval; derive an event timestamp within the interval, or use a longer schedule",
    { details: { view: definition.name, column: definition.eventTimestamp } },
  );
}
