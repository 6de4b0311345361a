/**
 * Late rows (S10): a source that says when its rows were written is asked, once a schedule interval, which slices got rows since
 * they were computed; those are computed again. What is found is noted in the object store. Losing the note loses nothing but
 * time: the next look compares with the commits.
 */
import type { ViewDefinition } from "../define/definitions.ts";
import { type EngineSession, quoteName, timestampSql } from "../engine/engine.ts";
import type { ScanStep } from "../frame/query.ts";
import { findField } from "../schema.ts";
import type { DeltaTable } from "../storage/delta_format.ts";
import type { ObjectStore } from "../storage/object_store.ts";
import {
  alignDown,
  type Clock,
  durationToMicros,
  formatTimestamp,
  type Micros,
  type TimeRange,
  toMicros,
} from "../time.ts";
import { closedRange, sliceLength } from "./due_slices.ts";
import { drivingScans } from "./stage_slices.ts";

/** What the last look at a view version's source has found. */
export interface LateNote {
  /** Rows written up to then (inclusive) have been looked at. */
  readonly lookedAt: Micros;
  /** The table's version then. */
  readonly tableVersion: number;
  /** Slices with rows that came after they were committed: by the version of the table in which they were found wanting. */
  readonly late: ReadonlyMap<bigint, number>;
}

/** The most slices that are noted; others are found again by the next look. */
const maxLate = 10_000;
/** The most commits that are looked up. Slices of older ones count as late when anything was written since. */
const maxCommits = 1_000;

/** Where the note of a view version is. */
export function lateNoteKey(workspace: string, view: string, version: number): string {
  return `${workspace}/late/${view}/${version}.json`;
}

/** The scans that say when their rows became true and when they were written; none: nothing can be found. */
export function lateScans({ query, writtenTimestamp }: ViewDefinition): ScanStep[] {
  if (writtenTimestamp === undefined) return [];
  return drivingScans(query).filter(({ source, schema }) =>
    [source.eventTimestamp, source.writtenTimestamp].every((name) => name !== undefined && findField(schema, name))
  );
}

/** Whether the source is to be looked at: once after each slice has closed. */
export function isLookDue(
  definition: ViewDefinition,
  note: LateNote | undefined,
  committed: ReadonlyMap<bigint, number>,
  now: Micros,
): boolean {
  if (committed.size === 0 || lateScans(definition).length === 0) return false;
  if (!note) return true;
  // There is more to be found, but enough to do.
  if (lateSlices(definition, note, committed).length >= maxLate) return false;
  const delay = durationToMicros(definition.dataDelay, "dataDelay", { allowZero: true });
  return note.lookedAt < alignDown(now - delay, sliceLength(definition)) + delay;
}

/** Slices that were found late and have not been committed since, newest first. */
export function lateSlices(
  definition: ViewDefinition,
  note: LateNote | undefined,
  committed: ReadonlyMap<bigint, number>,
): TimeRange[] {
  const length = sliceLength(definition);
  return [...note?.late ?? []]
    .filter(([start, version]) => (committed.get(start) ?? Infinity) <= version)
    .sort(([a], [b]) => a < b ? 1 : -1)
    .map(([start]) => ({ start, end: start + length }));
}

/** The note; undefined when there is none, or none that can be read. */
export async function readLateNote(
  objects: Pick<ObjectStore, "find">,
  key: string,
  signal?: AbortSignal,
): Promise<LateNote | undefined> {
  const body = await objects.find(key, signal);
  if (!body) return undefined;
  try {
    const note = JSON.parse(new TextDecoder().decode(body)) as {
      readonly lookedAt: string;
      readonly tableVersion: number;
      readonly late: Readonly<Record<string, number>>;
    };
    const late = Object.entries(note.late).map(([start, version]) => [toMicros(start), version] as const);
    return { lookedAt: toMicros(note.lookedAt), tableVersion: note.tableVersion, late: new Map(late) };
  } catch {
    return undefined;
  }
}

/** What a look needs. */
export interface LateRowsContext {
  readonly session: EngineSession;
  readonly table: DeltaTable;
  readonly objects: Pick<ObjectStore, "find" | "put">;
  /** Of the note. */
  readonly key: string;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

/** Looks at the rows that were written since the last look, and notes which committed slices they belong to. */
export async function findLateRows(definition: ViewDefinition, context: LateRowsContext): Promise<LateNote> {
  const { table, objects, key, clock, signal } = context;
  const before = await readLateNote(objects, key, signal);
  // What this snapshot holds was read before now: rows that are written later are not in it.
  const snapshot = await table.snapshot();
  const now = clock.now();
  const known = before && before.tableVersion <= snapshot.version ? before : undefined;
  const readAt = await commitTimes(table, known?.tableVersion ?? -1, snapshot.version);
  const since = known?.lookedAt ?? [...readAt.values()].reduce((a, b) => a < b ? a : b, now);
  const late = new Map<bigint, number>();
  for (const { start } of lateSlices(definition, known, snapshot.slices)) late.set(start, known!.late.get(start)!);
  for (const [start, newest] of await newestWritten(definition, context, { start: since, end: now })) {
    const committed = snapshot.slices.get(start);
    if (committed === undefined || late.size >= maxLate) continue;
    // Slices that the last look knew have been read before it; newer ones when their commit says.
    if (newest >= (readAt.get(committed) ?? since)) late.set(start, snapshot.version);
  }
  const note: LateNote = late.size < maxLate
    ? { lookedAt: now, tableVersion: snapshot.version, late }
    : { lookedAt: since, tableVersion: known?.tableVersion ?? -1, late };
  const text = {
    lookedAt: formatTimestamp(note.lookedAt),
    tableVersion: note.tableVersion,
    late: Object.fromEntries([...late].map(([start, version]) => [formatTimestamp(start), version])),
  };
  await objects.put(key, `${JSON.stringify(text)}\n`, signal);
  return note;
}

/** When the attempts behind the newest commits began to read, by version. */
export async function commitTimes(
  table: DeltaTable,
  after: number,
  upTo: number,
): Promise<ReadonlyMap<number, Micros>> {
  if (upTo <= after) return new Map();
  const entries = await table.history(Math.min(maxCommits, upTo - after));
  return new Map(entries.map(({ version, timestamp, info }) => {
    const readAt = info["readAt"];
    return [version, typeof readAt === "string" ? toMicros(readAt) : BigInt(timestamp) * 1000n];
  }));
}

/** By slice: the newest of its rows that were written in the range, after its start. */
async function newestWritten(
  definition: ViewDefinition,
  { session, clock, signal }: LateRowsContext,
  { start, end }: TimeRange,
): Promise<ReadonlyMap<bigint, bigint>> {
  const closed = closedRange(definition, clock.now());
  const newest = new Map<bigint, bigint>();
  if (!closed) return newest;
  const length = sliceLength(definition);
  for (const scan of lateScans(definition)) {
    const { eventTimestamp, writtenTimestamp } = scan.source;
    const [event, written] = [quoteName(eventTimestamp!), quoteName(writtenTimestamp!)];
    // A scan has the columns that its schema names: no others are read.
    const schema = scan.schema.filter(({ name }) => name === eventTimestamp || name === writtenTimestamp);
    const { sql } = await session.compile({ ...scan, schema }, {}, signal);
    const rows = await session.rows(
      `SELECT (epoch_us(${event}::TIMESTAMPTZ) - ${closed.start}) // ${length} AS slice, ` +
        `epoch_us(max(${written}::TIMESTAMPTZ)) AS newest FROM (${sql}) ` +
        `WHERE ${written} > ${timestampSql(start)} AND ${written} <= ${timestampSql(end)} ` +
        `AND ${event} >= ${timestampSql(closed.start)} AND ${event} < ${
          timestampSql(closed.end)
        } GROUP BY 1 ORDER BY 1 DESC`,
      signal,
    );
    for (const row of rows) {
      const slice = closed.start + BigInt(row["slice"]) * length;
      const at = BigInt(row["newest"]);
      if (at > (newest.get(slice) ?? at - 1n)) newest.set(slice, at);
    }
  }
  return newest;
}
