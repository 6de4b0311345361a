/**
 * Where a profile of a view finds values: rows of a view of attributes; of a view of aggregates, what its windows give for keys at
 * the end of each interval. Either ends up in a temporary table with names of its own, which users' columns cannot meet.
 */
import { type AggregateView, reservedColumns, type ViewDefinition } from "../define/definitions.ts";
import { type EngineSession, quoteName, timestampSql } from "../engine/engine.ts";
import { sliceRelations } from "../engine/slice_rows.ts";
import type { DeltaTable } from "../storage/delta_format.ts";
import { alignDown, alignUp, type Micros, type TimeRange } from "../time.ts";
import { type ProfiledColumn, sampleTable } from "./column_stats.ts";
import { type DefinedView, readOfView, timing } from "./feature_read.ts";
import { literalSql } from "./literal_sql.ts";
import { offlineRows, pinTable } from "./offline_rows.ts";
import { pointInTimeJoin } from "./point_in_time.ts";
import { type FeatureRows, scanSql, temporaryName } from "./positions.ts";
import { intervalOf } from "./profile_intervals.ts";
import { sliceRange, sourceRows } from "./source_rows.ts";
import { rowColumn, type SpineTable } from "./spine_table.ts";
import { plannedRead, sourceWindows, storedWindows } from "./window_input.ts";

/** Column of the table: when, in microseconds. */
export const atColumn = "__varve_at";

/** Column of the table for a join key. */
export function keyColumn(index: number): string {
  return `__varve_key_${index}`;
}

/** What is looked at, in a temporary table with {@link atColumn}, a {@link keyColumn} for each key, and the columns. */
export interface ProfiledRows {
  readonly table: string;
  readonly columns: readonly ProfiledColumn[];
  /** How long an interval is. */
  readonly every: Micros;
  /** How many rows there are, whether or not they are in the table. */
  readonly rowCount: number;
  readonly keys: number;
  /** The keys with the most rows, in a temporary table with `n` and a {@link keyColumn} for each. */
  readonly topKeys: string;
  /** Which rows of the table stand for all, as SQL: others are only there for the sake of a top key. */
  readonly sampled: string;
}

/** How it is chosen. */
export interface ProfiledOptions {
  readonly features: readonly string[];
  readonly start: Micros | undefined;
  /** The instant of the look. */
  readonly end: Micros;
  readonly every: Micros | undefined;
  readonly entities: number;
  readonly maxRows: number;
  readonly signal?: AbortSignal | undefined;
}

/** Rows of the table of a view version, or of its source when there is none. */
export async function profiledRows(
  session: EngineSession,
  view: DefinedView,
  table: DeltaTable | undefined,
  options: ProfiledOptions,
): Promise<ProfiledRows> {
  const { definition } = view;
  return definition.mode === "aggregates"
    ? await windowValues(session, { ...view, definition }, table, options)
    : await attributeRows(session, view, table, options);
}

function columnsOf(definition: ViewDefinition, names: readonly string[]): ProfiledColumn[] {
  return names.map((name, i) => {
    const { type } = definition.features.find((feature) => feature.name === name)!;
    return { name, type, column: `__varve_feature_${i}` };
  });
}

const sampledColumn = "__varve_sampled";
const eventMicros = `epoch_us(${reservedColumns.eventTimestamp})`;

async function attributeRows(
  session: EngineSession,
  view: DefinedView,
  table: DeltaTable | undefined,
  options: ProfiledOptions,
): Promise<ProfiledRows> {
  const { definition } = view;
  const { schedule } = timing(definition);
  const { start, end, maxRows, entities, signal } = options;
  const columns = columnsOf(definition, options.features);
  const keys = definition.entity.joinKeys.map(({ name }) => quoteName(name));
  const rows = table
    ? await storedRows(view, table, options)
    : await sourceRows(session, definition, within(sliceRange(definition, end), start, schedule), signal);
  const range = [`${eventMicros} < ${end}`, ...(start === undefined ? [] : [`${eventMicros} >= ${start}`])];
  const from = rows.kind === "files" && rows.files.length === 0
    ? undefined
    : `(SELECT * FROM ${rows.kind === "table" ? rows.table : scanSql(rows.files)} WHERE ${range.join(" AND ")})`;
  const named = [
    ...keys.map((key, i) => `${key} AS ${keyColumn(i)}`),
    `${eventMicros} AS ${atColumn}`,
    ...columns.map(({ name, column }) => `${defaultedSql(definition, name)} AS ${column}`),
  ];
  if (from === undefined) {
    return { ...await emptyRows(session, definition, columns, signal), every: options.every ?? schedule };
  }
  const names = keys.map((_, i) => keyColumn(i)).join(", ");
  const counts = temporaryName("keys");
  await session.run(
    `CREATE TEMP TABLE ${counts} AS SELECT ${keys.map((key, i) => `${key} AS ${keyColumn(i)}`).join(", ")}, ` +
      `count(*)::DOUBLE AS n, min(${eventMicros}) AS first, max(${eventMicros}) AS last FROM ${from} GROUP BY ${
        keys.join(", ")
      }`,
    signal,
  );
  const [counted] = await session.rows(
    `SELECT coalesce(sum(n), 0) AS n, count(*)::DOUBLE AS keys, min(first)::VARCHAR AS first, max(last)::VARCHAR AS last FROM ${counts}`,
    signal,
  );
  const rowCount = Number(counted!["n"]);
  const by = [...keys, reservedColumns.eventTimestamp];
  const kept = await sampleTable(session, { select: named, from, by, rows: rowCount, maxRows }, signal);
  const topKeys = temporaryName("top");
  await session.run(
    `CREATE TEMP TABLE ${topKeys} AS SELECT ${names}, n FROM ${counts} ORDER BY n DESC, ${names} LIMIT ${entities}`,
    signal,
  );
  return {
    table: kept,
    columns,
    every: intervalOf(options.every, schedule, bounds(counted!)),
    rowCount,
    keys: Number(counted!["keys"]),
    topKeys,
    sampled: "true",
  };
}

async function storedRows(
  view: DefinedView,
  table: DeltaTable,
  { start, end, signal }: Pick<ProfiledOptions, "start" | "end" | "signal">,
): Promise<FeatureRows> {
  const snapshot = await pinTable(table, readOfView(view));
  const reach = { newest: end - 1n, expired: start === undefined ? undefined : start - 1n };
  return await offlineRows(table, snapshot, reach, { statuses: false, effectiveTimestamps: false, signal });
}

/** The part of the slices that begins with the one that holds an instant. */
function within(range: TimeRange | undefined, start: Micros | undefined, schedule: Micros): TimeRange | undefined {
  if (!range || start === undefined) return range;
  const first = alignDown(start, schedule);
  const from = first > range.start ? first : range.start;
  return from < range.end ? { start: from, end: range.end } : undefined;
}

function bounds(row: Record<string, unknown>): TimeRange | undefined {
  const { first, last } = row as { first: string | null; last: string | null };
  return first === null || last === null ? undefined : { start: BigInt(first), end: BigInt(last) + 1n };
}

/** A feature with its default in place of null, as SQL. */
export function defaultedSql(definition: ViewDefinition, feature: string): string {
  const found = definition.features.find(({ name }) => name === feature)!;
  const name = quoteName(feature);
  if (found.default === undefined || found.default === null) return name;
  return `coalesce(${name}, ${literalSql(found.default, found.type)})`;
}

async function emptyRows(
  session: EngineSession,
  definition: ViewDefinition,
  columns: readonly ProfiledColumn[],
  signal: AbortSignal | undefined,
): Promise<Omit<ProfiledRows, "every">> {
  const keys = definition.entity.joinKeys.map(({ type }, i) => `${literalSql(null, type)} AS ${keyColumn(i)}`);
  const features = columns.map(({ column, type }) => `${literalSql(null, type)} AS ${column}`);
  const [table, topKeys] = [temporaryName("profile"), temporaryName("top")];
  await session.run(
    `CREATE TEMP TABLE ${table} AS SELECT ${[...keys, `0::BIGINT AS ${atColumn}`, ...features].join(", ")} WHERE false`,
    signal,
  );
  await session.run(`CREATE TEMP TABLE ${topKeys} AS SELECT ${keys.join(", ")}, 0::DOUBLE AS n WHERE false`, signal);
  return { table, columns, rowCount: 0, keys: 0, topKeys, sampled: "true" };
}

/** What windows give: for some keys, at the end of each interval. */
async function windowValues(
  session: EngineSession,
  view: DefinedView & { readonly definition: AggregateView },
  table: DeltaTable | undefined,
  options: ProfiledOptions,
): Promise<ProfiledRows> {
  const { definition } = view;
  const { schedule, dataDelay } = timing(definition);
  const { end, maxRows, signal } = options;
  const columns = columnsOf(definition, options.features);
  const joinKeys = definition.entity.joinKeys;
  const snapshot = table && await pinTable(table, readOfView(view));
  // What is known at the end: rows of intervals that are over, and reported.
  const known = alignDown(end - dataDelay, schedule);
  const found = table && snapshot
    ? await storedKeys(session, view, table, known, options)
    : await sourceKeys(session, definition, known, options);
  const counted = found === undefined ? undefined : (await session.rows(
    `SELECT count(*)::DOUBLE AS keys, min(first)::VARCHAR AS first, max(last)::VARCHAR AS last FROM ${found}`,
    signal,
  ))[0]!;
  const seen = counted && bounds(counted);
  if (found === undefined || !seen) {
    return { ...await emptyRows(session, definition, columns, signal), every: options.every ?? schedule };
  }
  const every = intervalOf(options.every, schedule, seen);
  // An interval is known by its end: then all of its rows are in, and no window ends elsewhere.
  const instants: Micros[] = [];
  for (let at = alignDown(seen.start, every) + every; at <= alignUp(seen.end, every) && at <= known; at += every) {
    instants.push(at + dataDelay);
  }
  if (instants.length === 0) instants.push(known + dataDelay);
  const names = joinKeys.map((_, i) => keyColumn(i));
  const keys = Number(counted!["keys"]);
  const wanted = Math.max(1, Math.floor(maxRows / instants.length));
  const topKeys = temporaryName("top");
  await session.run(
    `CREATE TEMP TABLE ${topKeys} AS SELECT ${names.join(", ")}, n FROM ${found} ` +
      `ORDER BY n DESC, ${names.join(", ")} LIMIT ${options.entities}`,
    signal,
  );
  const isSampled = keys > wanted ? `hash(${names.join(", ")}) % ${keys}::UBIGINT < ${wanted}` : "true";
  const list = `SELECT unnest([${instants.join(", ")}]::BIGINT[]) AS ${atColumn}`;
  const grid = `${found}, (${list}) WHERE ${atColumn} - ${dataDelay} > first`;
  const [size] = await session.rows(`SELECT count(*)::DOUBLE AS n FROM ${grid}`, signal);
  const spineTable = temporaryName("spine");
  await session.run(
    `CREATE TEMP TABLE ${spineTable} AS SELECT (row_number() OVER (ORDER BY ${
      names.join(", ")
    }, ${atColumn}) - 1)::INTEGER AS ${rowColumn}, ` +
      `${joinKeys.map(({ name }, i) => `${keyColumn(i)} AS ${quoteName(name)}`).join(", ")}, ` +
      `make_timestamptz(${atColumn}) AS ${reservedColumns.eventTimestamp}, ${isSampled} AS ${sampledColumn} ` +
      `FROM ${grid} AND (${isSampled} OR EXISTS (SELECT 1 FROM ${topKeys} t WHERE ${
        names.map((name) => `t.${name} = ${found}.${name}`).join(" AND ")
      })) ` +
      `ORDER BY ${rowColumn}`,
    signal,
  );
  const [spineSize] = await session.rows(`SELECT count(*)::INTEGER AS n FROM ${spineTable}`, signal);
  const spine: SpineTable = {
    table: spineTable,
    schema: [...joinKeys, { name: reservedColumns.eventTimestamp, type: "timestamp" }, {
      name: sampledColumn,
      type: "boolean",
    }],
    rows: Number(spineSize!["n"]),
    eventTimestamp: reservedColumns.eventTimestamp,
  };
  const read = {
    ...readOfView(view),
    features: columns.map(({ name, column }) => ({ feature: name, as: column })),
  };
  const plan = plannedRead(read, "effective", table ? "offline" : "source")!;
  const windows = table && snapshot
    ? await storedWindows(session, spine, plan, table, snapshot, signal)
    : await sourceWindows(session, spine, plan, signal);
  const joined = await pointInTimeJoin(session, spine, [{ read, windows }], {
    asOf: "effective",
    statuses: false,
    effectiveTimestamps: false,
    signal,
  });
  const kept = temporaryName("profile");
  const selected = [
    ...joinKeys.map(({ name }, i) => `${quoteName(name)} AS ${keyColumn(i)}`),
    `${eventMicros} - ${dataDelay} AS ${atColumn}`,
    sampledColumn,
    ...columns.map(({ column }) => column),
  ];
  await session.run(`CREATE TEMP TABLE ${kept} AS SELECT ${selected.join(", ")} FROM (${joined.sql})`, signal);
  return {
    table: kept,
    columns,
    every,
    rowCount: Number(size!["n"]),
    keys,
    topKeys,
    sampled: sampledColumn,
  };
}

/** A temporary table of keys with how many rows or tiles each has, and when the first and the last are. */
async function sourceKeys(
  session: EngineSession,
  view: AggregateView,
  known: Micros,
  { start, signal }: ProfiledOptions,
): Promise<string | undefined> {
  const { schedule } = timing(view);
  const range = within(sliceRange(view, known), start, schedule);
  if (!range) return undefined;
  const time = `epoch_us(${quoteName(view.eventTimestamp)}::TIMESTAMPTZ)`;
  const parts = temporaryName("parts");
  let made = false;
  for await (const { sql } of sliceRelations(session, view, range, signal)) {
    const select = keysSql(view, `(${sql})`, time);
    await session.run(made ? `INSERT INTO ${parts} ${select}` : `CREATE TEMP TABLE ${parts} AS ${select}`, signal);
    made = true;
  }
  const names = view.entity.joinKeys.map((_, i) => keyColumn(i));
  const table = temporaryName("keys");
  await session.run(
    `CREATE TEMP TABLE ${table} AS SELECT ${names.join(", ")}, sum(n) AS n, min(first) AS first, max(last) AS last ` +
      `FROM ${parts} GROUP BY ${names.join(", ")}`,
    signal,
  );
  return table;
}

async function storedKeys(
  session: EngineSession,
  view: DefinedView,
  table: DeltaTable,
  known: Micros,
  { start, signal }: ProfiledOptions,
): Promise<string | undefined> {
  const rows = await storedRows(view, table, { start, end: known, signal });
  if (rows.kind !== "files" || rows.files.length === 0) return undefined;
  const { definition } = view;
  const range = [
    `${reservedColumns.eventTimestamp} < ${timestampSql(known)}`,
    ...(start === undefined ? [] : [`${reservedColumns.eventTimestamp} >= ${timestampSql(start)}`]),
  ];
  const from = `(SELECT * FROM ${scanSql(rows.files)} WHERE ${range.join(" AND ")})`;
  const made = temporaryName("keys");
  await session.run(`CREATE TEMP TABLE ${made} AS ${keysSql(definition, from, eventMicros)}`, signal);
  return made;
}

function keysSql({ entity }: ViewDefinition, from: string, time: string): string {
  const keys = entity.joinKeys.map(({ name }) => quoteName(name));
  const named = keys.map((key, i) => `${key} AS ${keyColumn(i)}`);
  return `SELECT ${
    named.join(", ")
  }, count(*)::DOUBLE AS n, min(${time}) AS first, max(${time}) AS last FROM ${from} ` +
    `WHERE ${[...keys, time].map((each) => `${each} IS NOT NULL`).join(" AND ")} GROUP BY ${keys.join(", ")}`;
}
