/**
 * What a view holds, for somebody who looks at it and has not asked for a profile: of few rows all, of many a sample, and never for
 * longer than a moment.
 */
import { reservedColumns, type ViewDefinition } from "../define/definitions.ts";
import type { ViewFacts } from "../define/view_facts.ts";
import { type FeatureProfile, lookedText } from "../define/view_profile.ts";
import { type Engine, type EngineSession, quoteName } from "../engine/engine.ts";
import { storableSql } from "../engine/slice_rows.ts";
import { kernel } from "../display.ts";
import { messageOf, VarveError } from "../errors.ts";
import { readStopped, stoppable } from "../interrupt.ts";
import type { DeltaTable } from "../storage/delta_format.ts";
import { formatCount } from "../text.ts";
import { alignDown, alignUp, formatTimestamp, type Micros } from "../time.ts";
import { columnProfiles, type ProfiledColumn } from "./column_stats.ts";
import { type DefinedView, readOfView, timing } from "./feature_read.ts";
import { pinTable } from "./offline_rows.ts";
import { scanSql, temporaryName } from "./positions.ts";
import { intervalOf } from "./profile_intervals.ts";
import { atColumn, defaultedSql } from "./profile_rows.ts";
import { sliceRange } from "./source_rows.ts";
import { overTime, viewProfile } from "./view_profile.ts";

/** What is looked at, of more rows: of many features fewer, and never more than so many values. */
const sampledRows = 10_000;
const sampledValues = 300_000;
/** Of more features the first ones are looked at. */
const lookedFeatures = 100;
/** Windows over at most so many rows, or tiles, are computed for all of history; over more, for the newest slices. */
const fewRows = 20_000;
const newestSlices = 24n;
/** Files of a table hold at most about so many rows, or only some of them are read. */
const readRows = 1_000_000;
/** Whoever looks at a view waits no longer. A cell of tslab does not wait: what is late takes its place on the page. */
const patienceMs = () => kernel() === "tslab" ? 10_000 : 900;

/** Where it looks, and until when. */
export interface GlanceOptions {
  /** The table of the version, when the view is stored. */
  readonly table?: DeltaTable | undefined;
  /** The instant of the look. */
  readonly now: Micros;
  /** How long it may take. */
  readonly patienceMs?: number;
}

/** What it holds, or a line that says why that is not known. It never fails, and never takes long. */
export async function viewGlance(
  engine: Engine,
  view: DefinedView,
  { patienceMs: limit = patienceMs(), ...options }: GlanceOptions,
): Promise<ViewFacts> {
  const over = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  // What does not hear the signal is not waited for either.
  const late = new Promise<ViewFacts>((resolve) => {
    timer = setTimeout(() => {
      over.abort();
      resolve({ lines: [tooLong] });
    }, limit);
  });
  try {
    return await stoppable(
      { signal: over.signal },
      readStopped,
      async ({ signal }) => await Promise.race([look(engine, view, options, signal), late]),
    );
  } catch (error) {
    if (over.signal.aborted) return { lines: [tooLong] };
    if (error instanceof VarveError && error.code === "UNSUPPORTED") return { lines: [bySlices] };
    return { lines: [`values are not shown: ${messageOf(error)}`] };
  } finally {
    clearTimeout(timer);
  }
}

const tooLong = "values are not shown: reading a sample takes longer than a moment; profile() waits for it";
const bySlices = "values are not shown: its query is computed slice by slice; profile() does it";

async function look(
  engine: Engine,
  view: DefinedView,
  { table, now }: GlanceOptions,
  signal: AbortSignal,
): Promise<ViewFacts> {
  const { definition } = view;
  const session = await engine.session();
  try {
    return definition.mode === "attributes"
      ? await attributes(session, view, table, now, signal)
      : await windows(engine, session, view, table, now, signal);
  } finally {
    session.close();
  }
}

function looked({ features }: ViewDefinition): ViewDefinition["features"] {
  return features.slice(0, lookedFeatures);
}

function only({ features }: ViewDefinition): string {
  return features.length > lookedFeatures ? ` · the first ${lookedFeatures} features` : "";
}

function rowLimit(features: number): number {
  return Math.min(sampledRows, Math.ceil(sampledValues / features));
}

const eventMicros = `epoch_us(${reservedColumns.eventTimestamp})`;

/** What follows FROM: the rows of a view, of which one of several of equal key and time is no matter here. */
async function sourceSql(
  session: EngineSession,
  definition: ViewDefinition,
  now: Micros,
  signal: AbortSignal,
): Promise<string | undefined> {
  const range = sliceRange(definition, now);
  if (!range) return undefined;
  const { schedule: interval } = timing(definition);
  const { sql } = await session.compile(definition.query, { slices: { range, interval } }, signal);
  const time = `${quoteName(definition.eventTimestamp)}::TIMESTAMPTZ AS ${reservedColumns.eventTimestamp}`;
  return `(SELECT * FROM (SELECT *, ${time} FROM (${sql})) WHERE ${storableSql(definition.entity.joinKeys)})`;
}

async function attributes(
  session: EngineSession,
  view: DefinedView,
  table: DeltaTable | undefined,
  now: Micros,
  signal: AbortSignal,
): Promise<ViewFacts> {
  const { definition } = view;
  const stored = table && await storedFiles(view, table, now, signal);
  const from = stored ? stored.from : await sourceSql(session, definition, now, signal);
  const where = table ? `of version ${view.version}` : "of the source";
  if (from === undefined) return { lines: [`no rows ${where}`] };
  const features = looked(definition);
  const limit = rowLimit(features.length);
  const columns = features.map(({ name, type }, i): ProfiledColumn => ({
    name,
    type,
    column: `__varve_feature_${i}`,
  }));
  const made = temporaryName("glance");
  const selected = columns.map(({ name, column }) => `${defaultedSql(definition, name)} AS ${column}`);
  const keys = definition.entity.joinKeys.map(({ name }) => quoteName(name));
  // The same rows in every run, in one pass.
  await session.run(
    `CREATE TEMP TABLE ${made} AS SELECT ${[`${eventMicros} AS ${atColumn}`, ...selected].join(", ")} FROM ${from} ` +
      `ORDER BY hash(${[...keys, eventMicros].join(", ")}) LIMIT ${limit}`,
    signal,
  );
  const [row] = await session.rows(
    `SELECT count(*)::DOUBLE AS n, min(${atColumn})::VARCHAR AS first, max(${atColumn})::VARCHAR AS last FROM ${made}`,
    signal,
  );
  const { n, first, last } = row as { n: number; first: string | null; last: string | null };
  if (first === null || last === null) return { lines: [`no rows ${where}`] };
  const range = { start: BigInt(first), end: BigInt(last) + 1n };
  const every = intervalOf(undefined, timing(definition).schedule, range);
  const profiles = await columnProfiles(session, made, columns, signal);
  const times = await overTime(session, made, { columns, every }, signal);
  const counted = n < limit
    ? `${formatCount(n)} ${n === 1 ? "row" : "rows"} ${where}`
    : `a sample of ${formatCount(n)}${stored ? ` of ${formatCount(stored.rows)}` : ""} rows ${where}`;
  return {
    lines: [],
    glance: {
      features: profiles.map((each, i): FeatureProfile => ({ ...each, overTime: times[i]!, byEntity: [] })),
      looked: `${counted} · ${day(range.start)} to ${day(range.end)}${only(definition)}`,
    },
  };
}

/** Of a large table some files, from all of its time: no more is fetched. */
async function storedFiles(
  view: DefinedView,
  table: DeltaTable,
  now: Micros,
  signal: AbortSignal,
): Promise<{ readonly from: string | undefined; readonly rows: number }> {
  const files = (await pinTable(table, readOfView(view))).files.filter((file) => file.minEventTimestamp < now);
  const rows = files.reduce((sum, file) => sum + file.rows, 0);
  const step = Math.max(1, Math.ceil(rows / readRows));
  const kept = files.filter((_, i) => i % step === 0);
  const paths = await table.localPaths(kept, signal);
  const scanned = kept.map((file, i) => ({ ...file, path: paths[i]! }));
  return { from: kept.length === 0 ? undefined : `(SELECT * FROM ${scanSql(scanned)})`, rows };
}

async function windows(
  engine: Engine,
  session: EngineSession,
  view: DefinedView,
  table: DeltaTable | undefined,
  now: Micros,
  signal: AbortSignal,
): Promise<ViewFacts> {
  const { rows, last } = table
    ? await storedExtent(view, table)
    : await sourceExtent(session, view.definition, now, signal);
  if (last === undefined) return { lines: [`no rows of ${table ? `version ${view.version}` : "the source"}`] };
  const { schedule, dataDelay } = timing(view.definition);
  // The newest slice is known when its time has come.
  const until = alignUp(last + 1n, schedule) + dataDelay;
  const end = until < now ? until : now;
  const isFew = rows <= fewRows;
  const features = looked(view.definition);
  const profile = await viewProfile(engine, view, table, {
    now,
    end,
    ...(isFew ? {} : { start: alignDown(end - dataDelay, schedule) - newestSlices * schedule }),
    entities: 0,
    features: features.map(({ name }) => name),
    maxRows: rowLimit(features.length),
    signal,
  });
  const where = table ? `version ${view.version}` : "the source";
  const slices = isFew ? `from ${where}` : `the newest ${newestSlices} slices of ${where}`;
  return {
    lines: [],
    glance: { features: profile.features, looked: `${slices} · ${lookedText(profile)}${only(view.definition)}` },
  };
}

/** How many rows or tiles there are, and when the last is. */
interface Extent {
  readonly rows: number;
  readonly last: Micros | undefined;
}

async function storedExtent(view: DefinedView, table: DeltaTable): Promise<Extent> {
  const { files } = await pinTable(table, readOfView(view));
  return files.reduce<Extent>(({ rows, last }, file) => ({
    rows: rows + file.rows,
    last: last === undefined || file.maxEventTimestamp > last ? file.maxEventTimestamp : last,
  }), { rows: 0, last: undefined });
}

async function sourceExtent(
  session: EngineSession,
  definition: ViewDefinition,
  now: Micros,
  signal: AbortSignal,
): Promise<Extent> {
  const from = await sourceSql(session, definition, now, signal);
  if (from === undefined) return { rows: 0, last: undefined };
  const [row] = await session.rows(
    `SELECT count(*)::DOUBLE AS n, max(${eventMicros})::VARCHAR AS last FROM ${from}`,
    signal,
  );
  const { n, last } = row as { n: number; last: string | null };
  return { rows: n, last: last === null ? undefined : BigInt(last) };
}

function day(micros: Micros): string {
  return formatTimestamp(micros).slice(0, 10);
}
