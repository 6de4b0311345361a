/** Positions of feature rows: finds the row that each spine row reaches, and reads rows by position. */
import { reservedColumns } from "../define/definitions.ts";
import { type ColumnVector, type EngineSession, quoteName } from "../engine/engine.ts";
import { fileFactor, fileRowsSql, positionSql } from "../engine/file_rows.ts";
import type { Field } from "../schema.ts";
import type { Micros, TimeRange } from "../time.ts";
import { emptySql } from "./literal_sql.ts";
import { LatestSweep, noPosition, type Probes, type Times } from "./latest_sweep.ts";
import { byFile, dealByEnd, type PlaceOrder, placeOrder, PlaceSweep } from "./place_sweep.ts";

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
  /** Spine rows that are swept at a time. @default 2_000_000 */
  readonly rowsPerSweep?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** (`spine_row`, `position`) of the spine rows that reach a row. */
export interface Positions {
  /** A temporary table, or a subquery. */
  readonly table: string;
  /** Files that positions point into, in order. */
  readonly files: readonly FeatureFile[];
  /** The file's number, in the high half of a position, of the first of them. */
  readonly firstFile: number;
}

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
  if (rows.kind === "table") return `SELECT rowid AS position, ${names} FROM ${rows.table}`;
  if (positions.files.length > 0) {
    return `SELECT ${positionSql(positions.firstFile)} AS position, ${names} FROM ${scanSql(positions.files)}`;
  }
  return emptySql([{ name: "position", type: "int64" }, ...columns]);
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
  const found: string[] = [];
  const isHit = new Uint8Array(files.length);
  for (let start = 0; bounds && start < spineRows; start += rowsPerSweep) {
    const probes = await readProbes(session, options, bounds, start, start + rowsPerSweep, order === undefined);
    if (probes.rows.length === 0) continue;
    const { rows, positions } = order
      ? await sweepByPlace(session, options, order, probes)
      : await sweepByTime(session, options, files, bounds, probes);
    found.push(await storePositions(session, rows, positions, isHit, signal));
  }
  return joined(found, files, isHit);
}

interface Found {
  /** Rows of the spine, and the position that each reaches. */
  readonly rows: Int32Array;
  readonly positions: Float64Array;
}

async function sweepByPlace(
  session: EngineSession,
  options: FindOptions,
  order: PlaceOrder<FeatureFile>,
  { ids, cutoffs, rows }: SpineProbes,
): Promise<Found> {
  const ends = Int32Array.from(cutoffs as Float64Array, (cutoff) => order.filesBy(cutoff));
  const probes = dealByEnd({ ids, ends, rows }, order.files.length);
  const sweep = new PlaceSweep(probes, options.ids.count);
  for (const { start, end } of groupsOf(order.files)) {
    const sql = keyedSql(options, positionSql(start), scanSql(order.files.slice(start, end)));
    const batches = await session.collectBatches(sql, keyedSchema, options.signal);
    const placed = batches.map(({ columns }) => ({
      ids: columns[0]!.values as Int32Array,
      positions: columns[1]!.values as Float64Array,
    }));
    for (const batch of byFile(placed)) sweep.add(batch.ids, batch.positions);
  }
  return { rows: probes.rows, positions: sweep.finish() };
}

async function sweepByTime(
  session: EngineSession,
  options: FindOptions,
  files: readonly FeatureFile[],
  bounds: Bounds,
  { ids, cutoffs, rows }: SpineProbes,
): Promise<Found> {
  const sweep = new LatestSweep({ ids, cutoffs, keyCount: options.ids.count });
  const time = offsetSql(`epoch_us(r.${reservedColumns.eventTimestamp})`, bounds);
  const schema: Field[] = [...keyedSchema, { name: "t", type: isExact(bounds) ? "float64" : "int64" }];
  const sources = options.rows.kind === "table"
    ? [keyedSql(options, "r.rowid", options.rows.table, time)]
    : [...groupsOf(files)].map(({ start, end }) =>
      keyedSql(options, positionSql(start), scanSql(files.slice(start, end)), time)
    );
  for (const sql of sources) {
    for await (const { columns } of session.batches(sql, schema, options.signal)) {
      const [key, position, at] = columns;
      sweep.add(key!.values as Int32Array, at!.values as Times, position!.values as Float64Array);
    }
  }
  return { rows, positions: sweep.finish() };
}

const keyedSchema: readonly Field[] = [{ name: "id", type: "int32" }, { name: "position", type: "float64" }];

/** (key id, position, time if asked for) of the rows whose keys the spine has. */
function keyedSql({ ids, joinKeys }: FindOptions, position: string, from: string, time?: string): string {
  return `SELECT k.id, (${position})::DOUBLE AS position${time === undefined ? "" : `, ${time} AS t`} ` +
    `FROM ${from} r JOIN ${ids.table} k ON ${ids.on("r", joinKeys.map(({ name }) => name))}`;
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

/** Probes and the spine row of each. */
interface SpineProbes extends Omit<Probes, "keyCount"> {
  readonly rows: Int32Array;
}

async function readProbes(
  session: EngineSession,
  { spineTable, rowColumn, keys, ids, cutoff, signal }: FindOptions,
  bounds: Bounds,
  start: number,
  end: number,
  isSorted: boolean,
): Promise<SpineProbes> {
  const time = offsetSql(`least(cutoff, ${bounds.max})`, bounds);
  const batches = await session.collectBatches(
    `SELECT id, ${time} AS t, ${rowColumn} FROM (SELECT k.id, ${cutoff} AS cutoff, s.${rowColumn} FROM ${spineTable} s JOIN ${ids.table} k ` +
      `ON ${
        ids.on("s", keys.map(({ name }) => name))
      } WHERE s.${rowColumn} >= ${start} AND s.${rowColumn} < ${end}) WHERE cutoff >= ${bounds.min}${
        isSorted ? " ORDER BY id, t" : ""
      }`,
    [{ name: "id", type: "int32" }, { name: "t", type: isExact(bounds) ? "float64" : "int64" }, {
      name: rowColumn,
      type: "int32",
    }],
    signal,
  );
  const count = batches.reduce((sum, batch) => sum + batch.rowCount, 0);
  const cutoffs: Times = isExact(bounds) ? new Float64Array(count) : new BigInt64Array(count);
  const probes = { ids: new Int32Array(count), cutoffs, rows: new Int32Array(count) };
  let at = 0;
  for (const { columns, rowCount } of batches) {
    probes.ids.set(columns[0]!.values as Int32Array, at);
    probes.cutoffs.set(columns[1]!.values as never, at);
    probes.rows.set(columns[2]!.values as Int32Array, at);
    at += rowCount;
  }
  return probes;
}

function isExact({ min, max }: Bounds): boolean {
  return max - min < exactSpan;
}

/** Files that are read by one query: as many as fit a batch. */
function* groupsOf(files: readonly FeatureFile[]): Iterable<{ start: number; end: number }> {
  for (let start = 0; start < files.length;) {
    let end = start + 1;
    let count = files[start]!.rows;
    while (end < files.length && count + files[end]!.rows <= rowsPerBatch) count += files[end++]!.rows;
    yield { start, end };
    start = end;
  }
}

/** Writes (spine row, position) of the probes that found a row, in order of spine rows, and notes which files they are in. */
async function storePositions(
  session: EngineSession,
  rows: Int32Array,
  positions: Float64Array,
  isHit: Uint8Array,
  signal?: AbortSignal,
): Promise<string> {
  let first = rows[0]!;
  let last = first;
  for (const row of rows) {
    if (row < first) first = row;
    else if (row > last) last = row;
  }
  const byRow = new Float64Array(last - first + 1).fill(noPosition);
  let count = 0;
  for (let i = 0; i < rows.length; i++) {
    if (positions[i] === noPosition) continue;
    byRow[rows[i]! - first] = positions[i]!;
    if (isHit.length > 0) isHit[Math.floor(positions[i]! / fileFactor)] = 1;
    count++;
  }
  const foundRows = new Int32Array(count);
  const foundPositions = new BigInt64Array(count);
  // Two words instead of a bigint per row: little-endian, as every machine that runs Node is.
  const words = new Uint32Array(foundPositions.buffer);
  for (let i = 0, at = 0; at < count; i++) {
    const position = byRow[i]!;
    if (position === noPosition) continue;
    foundRows[at] = first + i;
    words[2 * at] = position % fileFactor;
    words[2 * at++ + 1] = position / fileFactor;
  }
  const table = temporaryName("found");
  const schema: Field[] = [{ name: "spine_row", type: "int32" }, { name: "position", type: "int64" }];
  await session.fill(
    table,
    schema,
    [{ rowCount: count, columns: [filled(foundRows), filled(foundPositions)] }],
    signal,
  );
  return table;
}

function filled(values: Int32Array | BigInt64Array): ColumnVector {
  return { values, hasNulls: false, isNull: () => false };
}

/** One relation of all positions, into the files from the first to the last that is needed. */
function joined(found: readonly string[], files: readonly FeatureFile[], isHit: Uint8Array): Positions {
  const table = found.length === 0
    ? "(SELECT 0 AS spine_row, 0::BIGINT AS position WHERE false)"
    : found.length === 1
    ? found[0]!
    : `(${found.map((name) => `FROM ${name}`).join(" UNION ALL ")})`;
  const firstFile = Math.max(0, isHit.indexOf(1));
  return { table, files: files.slice(firstFile, isHit.lastIndexOf(1) + 1), firstFile };
}
