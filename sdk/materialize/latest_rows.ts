/** What is newest in the files of a view's table: the newest row of every key, and whether a commit took newest rows away. */
import { reservedColumns, type ViewDefinition } from "../define/definitions.ts";
import { type ColumnBatch, type EngineSession, quoteName, quoteText, timestampSql } from "../engine/engine.ts";
import { fileFactor, fileRowsSql, positionSql } from "../engine/file_rows.ts";
import { findField, type Schema } from "../schema.ts";
import { durationToMicros, type TimeRange } from "../time.ts";
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

/** Where to find the newest rows. */
export interface LatestRowsOptions {
  readonly session: EngineSession;
  readonly definition: ViewDefinition;
  /** Files of one version of the view's table, in any order. */
  readonly files: readonly LocalPart[];
  /** Only rows after this instant count. */
  readonly after?: bigint | undefined;
  /**
   * So many newest rows are read by one query, or those of one block.
   * @default 250_000, or a 32nd of all: every query looks at all positions
   */
  readonly rowsPerQuery?: number;
  /** So many rows of a file are a block: files with more newest rows than one query reads are read in blocks. @default 3_932_160, 32 row groups */
  readonly rowsPerBlock?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A file of a table on this computer. */
export interface LocalPart {
  readonly path: string;
  readonly slice: TimeRange;
}

/** The columns of {@link latestRows}: join keys, event timestamp and features. */
function latestSchema(definition: ViewDefinition): Schema {
  const stored = storedSchema(definition);
  return [
    ...definition.entity.joinKeys.map((key) => findField(stored, key.name)!),
    findField(stored, event)!,
    ...definition.features.map(({ name, type }) => ({ name, type })),
  ];
}

/** The positions of the newest rows: a temporary table of the session, which the engine may spill. */
const latestTable = "varve_latest";

/**
 * The newest rows of some files, as a temporary table too: a join that finds few gives every block of a file as a batch of its
 * own, and thousands of small batches cost more than their rows.
 */
const foundTable = "varve_found";

/**
 * The newest row of every key in the files, with the columns of {@link latestSchema}, newest slices first. Slices do not
 * overlap, a part is sorted by join keys and event timestamp, and a key's rows of a slice are in one part: so in files ordered by
 * slice the newest row of a key is the one of greatest position, and the first pass reads nothing but keys. The features are
 * then read some files at a time, at the positions found. Newest first because there most of the rows are: the store has work while
 * older files are searched for the few keys that appear in no newer one. Files without any are not read again. A batch is gone
 * when the next one is asked for.
 */
export async function* latestRows(options: LatestRowsOptions): AsyncGenerator<ColumnBatch, void, undefined> {
  const { session, definition, after, signal } = options;
  const files = options.files.toSorted((a, b) =>
    a.slice.start < b.slice.start ? -1 : a.slice.start > b.slice.start ? 1 : 0
  );
  const schema = latestSchema(definition);
  const columns = schema.map(({ name }) => quoteName(name)).join(", ");
  const keys = definition.entity.joinKeys.map(({ name }) => quoteName(name)).join(", ");
  const where = after === undefined ? "" : ` WHERE ${event} > ${timestampSql(after)}`;
  await session.run(
    `CREATE OR REPLACE TEMP TABLE ${latestTable} AS SELECT max(${positionSql(0)}) AS __position ` +
      `FROM ${fileRowsSql(files.map(({ path }) => path))}${where} GROUP BY ${keys}`,
    signal,
  );
  const { rowsPerBlock = 3_932_160 } = options;
  const counts = await countByBlock(session, rowsPerBlock, signal);
  const { rowsPerQuery = Math.max(250_000, sumOf(counts.flat()) / 32) } = options;
  for (const { start, end, first, last } of groupsOf(counts, rowsPerQuery)) {
    const from = fileRowsSql(files.slice(start, end).map(({ path }) => path));
    // Whole files are not asked for their rows; of a part of one, the engine skips the other row groups.
    const part = first === undefined
      ? ""
      : ` WHERE file_row_number >= ${first * rowsPerBlock} AND file_row_number < ${last * rowsPerBlock}`;
    const rows = `SELECT ${columns}, ${positionSql(start)} AS __position FROM ${from}${part}`;
    const found = `SELECT __position FROM ${latestTable} ` +
      `WHERE __position >= ${start * fileFactor} AND __position < ${end * fileFactor}`;
    await session.run(
      `CREATE OR REPLACE TEMP TABLE ${foundTable} AS SELECT ${columns} FROM (${rows}) JOIN (${found}) USING (__position)`,
      signal,
    );
    yield* session.borrowedBatches(`FROM ${foundTable}`, schema, signal);
  }
}

/** How many of the positions are in each block of each file. */
async function countByBlock(
  session: EngineSession,
  rowsPerBlock: number,
  signal: AbortSignal | undefined,
): Promise<number[][]> {
  const found = await session.rows(
    `SELECT (__position >> 32)::INTEGER AS file, ((__position & ${
      fileFactor - 1
    }) // ${rowsPerBlock})::INTEGER AS block, ` +
      `count(*)::DOUBLE AS n FROM ${latestTable} GROUP BY ALL`,
    signal,
  );
  const counts: number[][] = [];
  for (const row of found) (counts[Number(row["file"])] ??= [])[Number(row["block"])] = Number(row["n"]);
  return Array.from(counts, (blocks) => Array.from(blocks ?? [], (count) => count ?? 0));
}

/** What one query reads: files from `start` up to `end`, or of one file the blocks from `first` up to `last`. */
type Group =
  & { readonly start: number; readonly end: number }
  & ({ readonly first: number; readonly last: number } | { readonly first?: undefined; readonly last?: undefined });

/** Neighbours that are read together, last first; what has no position is in none. */
function* groupsOf(counts: readonly (readonly number[])[], rowsPerQuery: number): Iterable<Group> {
  for (const { start, end } of neighbours(counts.map(sumOf), rowsPerQuery)) {
    const blocks = counts[start]!;
    if (end - start > 1 || blocks.length === 1 || sumOf(blocks) <= rowsPerQuery) yield { start, end };
    else for (const part of neighbours(blocks, rowsPerQuery)) yield { start, end, first: part.start, last: part.end };
  }
}

/** Runs of places whose counts are not 0 and come to at most `limit`, or that stand alone; last first. */
function* neighbours(counts: readonly number[], limit: number): Iterable<{ start: number; end: number }> {
  for (let end = counts.length; end > 0;) {
    let start = end - 1;
    let count = counts[start]!;
    while (count > 0 && start > 0 && counts[start - 1]! > 0 && count + counts[start - 1]! <= limit) {
      count += counts[--start]!;
    }
    if (count > 0) yield { start, end };
    end = start;
  }
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
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
