/** Positions of feature rows: finds the row that each spine row reaches, and reads rows by position. */
import { reservedColumns } from "../define/definitions.ts";
import { type ColumnBatch, type EngineSession, quoteName } from "../engine/engine.ts";
import { fileFactor, fileRowsSql, positionSql } from "../engine/file_rows.ts";
import type { Field } from "../schema.ts";
import type { Micros, TimeRange } from "../time.ts";
import { emptySql } from "./literal_sql.ts";
import { LatestSweep, noPosition, type Times } from "./latest_sweep.ts";
import { byFile, mostFiles, packedSql, type PlaceOrder, placeOrder, PlaceSweep } from "./place_sweep.ts";

/** Where the rows of a view are: files of its table, or a temporary table. Both have the columns of stored tables, without ties. */
export type FeatureRows = FeatureFiles | FeatureTable;

/** Local Parquet files. */
export interface FeatureFiles {
  readonly kind: "files";
  readonly files: readonly FeatureFile[];
}

/** One file and bounds of the event timestamps in it. */
export interface FeatureFile {
  /**
   * The slice whose rows it holds: whole schedule intervals, sorted by join keys and event timestamp, every key in one file
   * of the slice. So materialization writes them, and a join by effective time then needs no event timestamps at all.
   */
  readonly slice?: TimeRange;
  readonly path: string;
  readonly rows: number;
  readonly minEventTimestamp: Micros;
  readonly maxEventTimestamp: Micros;
}

/** A temporary table of the session. */
export interface FeatureTable {
  readonly kind: "table";
  readonly table: string;
}

/** What to find. */
export interface FindOptions {
  readonly spineTable: string;
  readonly rowColumn: string;
  readonly spineRows: number;
  /** The spine's columns that hold the join keys, in their order. */
  readonly keys: readonly Field[];
  readonly joinKeys: readonly Field[];
  /** Numbers of the keys. */
  readonly ids: KeyIds;
  /** SQL over spine row `s`: the newest event timestamp in micros that it may see. */
  readonly cutoff: string;
  /** The length of the intervals at whose ends cutoffs lie, when they do: those of the schedule (S4). */
  readonly interval?: Micros | undefined;
  readonly rows: FeatureRows;
  /** Of the join: what its views ask of the spine. */
  readonly asked: AskedProbes;
  /** Spine rows that are swept at a time. @default 2_000_000 */
  readonly rowsPerSweep?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What the spine's rows reach. */
export interface Positions {
  /** A temporary table: row n has the position that row n of the spine reaches, or null. */
  readonly table: string;
  /** Files that positions point into, in order. */
  readonly files: readonly FeatureFile[];
  /** The file's number, in the high half of a position, of the first of them. */
  readonly firstFile: number;
}

/** The column with the position of a row, or that it reaches: no feature has the name. */
export const positionColumn = "__varve_position";

/** Feature rows per batch: with the spine rows of a sweep, what is in JavaScript's memory at a time (about 150 MB). */
const rowsPerBatch = 1_000_000;
/** Offsets up to here are exact in a double: 285 years of micros. */
const exactSpan = 2n ** 53n;

let tables = 0;

/** A name for a temporary table that nothing else in the process uses. */
export function temporaryName(what: string): string {
  return `varve_${what}_${++tables}`;
}

/** SQL that reads columns of rows, with the position of each row. */
export function positionedSql(rows: FeatureRows, positions: Positions, columns: readonly Field[]): string {
  const names = columns.map(({ name }) => quoteName(name)).join(", ");
  if (rows.kind === "table") return `SELECT rowid AS ${positionColumn}, ${names} FROM ${rows.table}`;
  if (positions.files.length > 0) {
    return `SELECT ${positionSql(positions.firstFile)} AS ${positionColumn}, ${names} FROM ${scanSql(positions.files)}`;
  }
  return emptySql([{ name: positionColumn, type: "int64" }, ...columns]);
}

/** The rows of files: see {@link fileRowsSql}. */
export function scanSql(files: readonly FeatureFile[]): string {
  return fileRowsSql(files.map(({ path }) => path));
}

/** Finds the position of the row that each spine row reaches. */
export async function findPositions(session: EngineSession, options: FindOptions): Promise<Positions> {
  const { spineRows, rowsPerSweep = 2_000_000, signal } = options;
  const given = options.rows.kind === "files" ? options.rows.files : [];
  const order = placeOrder(given, options.interval);
  const files = order?.files ?? given;
  const bounds = order?.bounds ?? await timeBounds(session, options);
  const isHit = new Uint8Array(files.length);
  const table = temporaryName("found");
  await session.fill(table, foundSchema, [], signal);
  for (let start = 0; start < spineRows; start += rowsPerSweep) {
    const range = { start, end: Math.min(start + rowsPerSweep, spineRows) };
    const answers = new Float64Array(range.end - start).fill(noPosition);
    if (order) await sweepByPlace(session, options, order, range, answers);
    else if (bounds) await sweepByTime(session, options, files, bounds, range, answers);
    await session.append(table, foundSchema, [foundBatch(answers, isHit)], signal);
  }
  const firstFile = Math.max(0, isHit.indexOf(1));
  return { table, files: files.slice(firstFile, isHit.lastIndexOf(1) + 1), firstFile };
}

/** Rows of the spine: from `start` up to `end`. */
interface RowRange {
  readonly start: number;
  readonly end: number;
}

/** Finds what the rows of the range reach in files whose places are in the order of time. */
async function sweepByPlace(
  session: EngineSession,
  options: FindOptions,
  order: PlaceOrder<FeatureFile>,
  range: RowRange,
  answers: Float64Array,
): Promise<void> {
  const { bounds: { min, max }, ended } = order;
  const interval = `((least(cutoff, ${max}) - (${min})) // ${options.interval!})::INTEGER`;
  const probes = probesSql(options, range, interval, min);
  const { ids, cutoffs, rows } = await options.asked.read(session, probes, answers.length, options.signal);
  if (ids.length === 0) return;
  const ends = new Int32Array(ids.length);
  for (let i = 0; i < ends.length; i++) ends[i] = ended[cutoffs[i]!]!;
  const sweep = new PlaceSweep({ ids, ends, rows }, options.ids.count, order.files.length, answers);
  const groups = [...groupsOf(order.files, mostFiles)];
  const room = new BigInt64Array(Math.max(...groups.map((group) => group.rows)));
  for (const { start, end } of groups) {
    const sql = keyedSql(options, packedSql("k.id"), scanSql(order.files.slice(start, end)));
    const count = await session.collectInto(sql, [room], options.signal);
    for (const run of byFile(room.subarray(0, count), start)) sweep.add(run);
  }
  sweep.finish();
}

/** Finds what the rows of the range reach in rows of any order. */
async function sweepByTime(
  session: EngineSession,
  options: FindOptions,
  files: readonly FeatureFile[],
  bounds: Bounds,
  range: RowRange,
  answers: Float64Array,
): Promise<void> {
  const type = isExact(bounds) ? "float64" : "int64";
  const cutoff = offsetSql(`least(cutoff, ${bounds.max})`, bounds);
  const probes = `${probesSql(options, range, cutoff, bounds.min)} ORDER BY id, t`;
  const room: Times = type === "float64" ? new Float64Array(answers.length) : new BigInt64Array(answers.length);
  const { ids, cutoffs, rows } = await readProbes(session, probes, room, options.signal);
  if (ids.length === 0) return;
  const sweep = new LatestSweep({ ids, cutoffs, keyCount: options.ids.count });
  const time = offsetSql(`epoch_us(r.${reservedColumns.eventTimestamp})`, bounds);
  const keyed = (position: string, from: string) =>
    keyedSql(options, `k.id, (${position})::DOUBLE AS position, ${time} AS t`, from);
  const sources = options.rows.kind === "table"
    ? [keyed("r.rowid", options.rows.table)]
    : [...groupsOf(files)].map(({ start, end }) => keyed(positionSql(start), scanSql(files.slice(start, end))));
  const schema: Field[] = [{ name: "id", type: "int32" }, { name: "position", type: "float64" }, { name: "t", type }];
  for (const sql of sources) {
    for await (const { columns } of session.batches(sql, schema, options.signal)) {
      const [key, position, at] = columns;
      sweep.add(key!.values as Int32Array, at!.values as Times, position!.values as Float64Array);
    }
  }
  const positions = sweep.finish();
  for (let i = 0; i < rows.length; i++) answers[rows[i]!] = positions[i]!;
}

const foundSchema: readonly Field[] = [{ name: positionColumn, type: "int64" }];

/** What spine rows ask: the ids of their keys, cutoffs in some form, and the rows. */
interface SpineProbes<T> {
  readonly ids: Int32Array;
  readonly cutoffs: T;
  readonly rows: Int32Array;
}

/** Reads what {@link probesSql} gives; cutoffs into `room`, which has a place for each row. */
async function readProbes<T extends Int32Array | Times>(
  session: EngineSession,
  sql: string,
  room: T,
  signal: AbortSignal | undefined,
): Promise<SpineProbes<T>> {
  const ids = new Int32Array(room.length);
  const rows = new Int32Array(room.length);
  const count = await session.collectInto(sql, [ids, room, rows], signal);
  return { ids: ids.subarray(0, count), cutoffs: room.subarray(0, count) as T, rows: rows.subarray(0, count) };
}

/** Keeps the probes that were read last: views of one entity and schedule mostly ask the same of a spine. */
export class AskedProbes {
  #sql = "";
  #probes: SpineProbes<Int32Array> | undefined;

  /** As {@link readProbes}, of at most so many rows; nobody may write into what it gives. */
  async read(
    session: EngineSession,
    sql: string,
    most: number,
    signal: AbortSignal | undefined,
  ): Promise<SpineProbes<Int32Array>> {
    if (this.#probes && this.#sql === sql) return this.#probes;
    this.#probes = undefined;
    this.#probes = await readProbes(session, sql, new Int32Array(most), signal);
    this.#sql = sql;
    return this.#probes;
  }
}

/** Columns of the rows `r` whose keys `k` the spine has. */
function keyedSql({ ids, joinKeys }: FindOptions, columns: string, from: string): string {
  return `SELECT ${columns} FROM ${from} r JOIN ${ids.table} k ` +
    `ON ${ids.on("r", joinKeys.map(({ name }) => name))}`;
}

/** (key id, cutoff in some form, row within the range) of the spine rows that have a key and see anything. */
function probesSql(
  { spineTable, rowColumn, keys, ids, cutoff }: FindOptions,
  { start, end }: RowRange,
  form: string,
  least: Micros,
): string {
  const rows =
    `SELECT k.id, ${cutoff} AS cutoff, s.${rowColumn} - ${start} AS n FROM ${spineTable} s JOIN ${ids.table} k ` +
    `ON ${ids.on("s", keys.map(({ name }) => name))} WHERE s.${rowColumn} >= ${start} AND s.${rowColumn} < ${end}`;
  return `SELECT id, ${form} AS t, n FROM (${rows}) WHERE cutoff >= ${least}`;
}

/** Numbers of the spine's distinct keys, in a temporary table. */
export interface KeyIds {
  readonly table: string;
  readonly count: number;
  /** SQL condition that joins rows `r` with join keys of these names to ids `k`. */
  on(row: string, keys: readonly string[]): string;
}

/**
 * Numbers the distinct keys of the spine: the only place where keys are compared, by structure (S8). A null key has no number
 * (S7). Numbers follow the order of keys, as files do: so a sweep walks through its arrays instead of jumping about.
 */
export async function keyIds(
  session: EngineSession,
  spineTable: string,
  keys: readonly Field[],
  signal?: AbortSignal,
): Promise<KeyIds> {
  const table = temporaryName("ids");
  const columns = keys.map(({ name }, i) => `${quoteName(name)} AS k${i}`).join(", ");
  const order = keys.map((_, i) => `k${i}`).join(", ");
  const notNull = keys.map(({ name }) => `${quoteName(name)} IS NOT NULL`).join(" AND ");
  await session.run(
    `CREATE TEMP TABLE ${table} AS SELECT *, (row_number() OVER (ORDER BY ${order}) - 1)::INTEGER AS id ` +
      `FROM (SELECT DISTINCT ${columns} FROM ${spineTable} WHERE ${notNull})`,
    signal,
  );
  const [row] = await session.rows(`SELECT count(*)::INTEGER AS n FROM ${table}`, signal);
  return {
    table,
    count: Number(row!["n"]),
    on: (alias, names) => names.map((name, i) => `${alias}.${quoteName(name)} = k.k${i}`).join(" AND "),
  };
}

/** Bounds of the event timestamps of the rows; undefined when there are none. */
interface Bounds {
  readonly min: Micros;
  readonly max: Micros;
}

async function timeBounds(session: EngineSession, { rows, signal }: FindOptions): Promise<Bounds | undefined> {
  if (rows.kind === "files") {
    if (rows.files.length === 0) return undefined;
    return rows.files.map((file) => ({ min: file.minEventTimestamp, max: file.maxEventTimestamp })).reduce((a, b) => ({
      min: a.min < b.min ? a.min : b.min,
      max: a.max > b.max ? a.max : b.max,
    }));
  }
  const time = `epoch_us(${reservedColumns.eventTimestamp})`;
  const [row] = await session.rows(
    `SELECT min(${time})::VARCHAR AS min, max(${time})::VARCHAR AS max FROM ${rows.table}`,
    signal,
  );
  return row!["min"] === null ? undefined : { min: BigInt(row!["min"]), max: BigInt(row!["max"]) };
}

/** Micros since the earliest row: doubles, or bigints when the span is too long for that. */
function offsetSql(micros: string, { min, max }: Bounds): string {
  return max - min < exactSpan ? `(${micros} - (${min}))::DOUBLE` : `(${micros} - (${min}))::BIGINT`;
}

function isExact({ min, max }: Bounds): boolean {
  return max - min < exactSpan;
}

/** Files that are read by one query: as many as fit a batch. */
function* groupsOf(
  files: readonly FeatureFile[],
  mostFiles: number = files.length,
): Iterable<{ start: number; end: number; rows: number }> {
  for (let start = 0; start < files.length;) {
    let end = start + 1;
    let { rows } = files[start]!;
    while (end < files.length && end - start < mostFiles && rows + files[end]!.rows <= rowsPerBatch) {
      rows += files[end++]!.rows;
    }
    yield { start, end, rows };
    start = end;
  }
}

/** Positions as a column of the engine's, null where there is none; notes which files they are in. */
function foundBatch(answers: Float64Array, isHit: Uint8Array): ColumnBatch {
  const values = new BigInt64Array(answers.length);
  // Two words instead of a bigint per row: little-endian, as every machine that runs Node is.
  const words = new Uint32Array(values.buffer);
  let found = 0;
  for (let row = 0; row < answers.length; row++) {
    const position = answers[row]!;
    if (position === noPosition) continue;
    const file = Math.floor(position / fileFactor);
    words[2 * row] = position - file * fileFactor;
    words[2 * row + 1] = file;
    if (isHit.length > 0) isHit[file] = 1;
    found++;
  }
  const column = { values, hasNulls: found < answers.length, isNull: (row: number) => answers[row] === noPosition };
  return { rowCount: answers.length, columns: [column] };
}
