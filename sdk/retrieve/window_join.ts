/**
 * Windows at the rows of a spine: what every feature of a view of aggregates was, as a temporary table with one row per spine
 * row, in its order. Rows of the view are dealt by ranges of keys, sorted and swept range by range; answers are dealt by ranges
 * of spine rows. Each has its share of memory, and spills what exceeds it.
 */
import { type ColumnBatch, type ColumnVector, type EngineSession, quoteName } from "../engine/engine.ts";
import type { Field } from "../schema.ts";
import { type Column, type ColumnKind, kindOf } from "../window/columns.ts";
import { type KeyedRows, KeySorter } from "../window/keyed_rows.ts";
import { RowBlocks } from "../window/row_blocks.ts";
import { PartSweep, type SweepLimits } from "../window/sweep_parts.ts";
import { type FeatureRead, keyColumns } from "./feature_read.ts";
import { type KeyIds, temporaryName } from "./positions.ts";
import { rowColumn, type SpineTable } from "./spine_table.ts";
import type { WindowPlan } from "./window_plan.ts";
import type { WindowRows } from "./window_rows.ts";

/** Bytes that rows, probes, answers, and parts that are dealt again may take; about 300 MB with what is sorted at a time. */
export interface WindowMemory {
  readonly rows: number;
  readonly probes: number;
  readonly answers: number;
  readonly finer: number;
  /** Rows that are sorted at a time. */
  readonly part: number;
}

const megabyte = 2 ** 20;
const windowMemory: WindowMemory = {
  rows: 208 * megabyte,
  probes: 24 * megabyte,
  answers: 68 * megabyte,
  finer: 64 * megabyte,
  part: 24 * megabyte,
};

/** What is computed, of which rows. */
export interface PlannedWindows {
  readonly plan: WindowPlan;
  readonly rows: WindowRows;
}

/** The column that says by when the answer could be served (S4); null where no row lies in any window. */
export const effectiveColumn = "__varve_effective";

/** How windows are computed. */
export interface WindowJoinOptions {
  /** Whether the table has {@link effectiveColumn}. */
  readonly showsEffective: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly memory?: WindowMemory;
}

/** Computes windows. The table has the plan's features, and what the options say. */
export async function windowJoin(
  session: EngineSession,
  spine: SpineTable,
  read: FeatureRead,
  ids: KeyIds,
  { plan, rows }: PlannedWindows,
  { showsEffective, signal, memory = windowMemory }: WindowJoinOptions,
): Promise<string> {
  const spillPath = () => session.spillPath();
  const limits: SweepLimits = { memory: memory.finer, partBytes: memory.part, spillPath };
  const ofKeys = { firstId: 0, idCount: ids.count, spillPath };
  const kinds = plan.features.map(({ type }) => kindOf(type));
  const blocks = {
    rows: new RowBlocks({ ...ofKeys, kinds: rows.kinds, memory: memory.rows }),
    probes: new RowBlocks({ ...ofKeys, kinds: ["int32"], memory: memory.probes }),
    answers: new RowBlocks({ firstId: 0, idCount: spine.rows, kinds, memory: memory.answers, spillPath }),
  };
  try {
    await readProbes(session, spine, read, ids, blocks.probes, signal);
    for await (const batch of rows.batches(ids, signal)) blocks.rows.add(batch);
    const sweep = new PartSweep(plan.sweep(rows.leaves), kinds, limits);
    const parts = sweep.run(
      { blocks: blocks.rows, kinds: rows.kinds, ties: rows.ties },
      { blocks: blocks.probes, kinds: ["int32"], ties: [] },
    );
    for (const { probes, count, features, seen } of parts) {
      // The time of an answer is when it could be served.
      for (let i = 0; showsEffective && i < count; i++) {
        if (!Number.isNaN(seen[i])) seen[i] = plan.effectiveOf(seen[i]!);
      }
      blocks.answers.add({
        ids: (probes.columns[0]!.values as Int32Array).subarray(0, count),
        times: seen.subarray(0, count),
        columns: features,
      });
      await letOthersRun(signal);
    }
    return await storeAnswers(session, plan, blocks.answers, kinds, showsEffective, signal);
  } finally {
    for (const each of Object.values(blocks)) each.close();
  }
}

/** Sweeps hold the thread; between parts others have it. */
async function letOthersRun(signal: AbortSignal | undefined): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal?.throwIfAborted();
}

async function readProbes(
  session: EngineSession,
  { table, eventTimestamp }: SpineTable,
  read: FeatureRead,
  ids: KeyIds,
  probes: RowBlocks,
  signal: AbortSignal | undefined,
): Promise<void> {
  const keys = keyColumns(read).map(({ name }) => name);
  const sql = `SELECT k.id, epoch_us(s.${quoteName(eventTimestamp)})::DOUBLE AS t, s.${rowColumn} ` +
    `FROM ${table} s JOIN ${ids.table} k ON ${ids.on("s", keys)}`;
  const schema: Field[] = [
    { name: "id", type: "int32" },
    { name: "t", type: "float64" },
    { name: rowColumn, type: "int32" },
  ];
  for await (const { columns } of session.borrowedBatches(sql, schema, signal)) {
    probes.add({
      ids: columns[0]!.values as Int32Array,
      times: columns[1]!.values as Float64Array,
      columns: [{ values: columns[2]!.values as Int32Array }],
    });
  }
}

async function storeAnswers(
  session: EngineSession,
  { features }: WindowPlan,
  answers: RowBlocks,
  kinds: readonly ColumnKind[],
  showsEffective: boolean,
  signal: AbortSignal | undefined,
): Promise<string> {
  const table = temporaryName("windows");
  const schema: Field[] = [
    ...(showsEffective ? [{ name: effectiveColumn, type: "timestamp" } as const] : []),
    ...features.map(({ name, type }) => ({ name, type })),
  ];
  await session.fill(table, schema, [], signal);
  const sorter = new KeySorter(kinds);
  const empty = features.map((feature) => feature.empty);
  for (let first = 0; first < answers.partCount; first += partsPerAppend) {
    const end = Math.min(first + partsPerAppend, answers.partCount);
    await session.append(table, schema, answerBatches(sorter, answers, first, end, empty, showsEffective), signal);
    await letOthersRun(signal);
  }
  return table;
}

/** Each append is a little work of its own. */
const partsPerAppend = 32;

function* answerBatches(
  sorter: KeySorter,
  answers: RowBlocks,
  first: number,
  end: number,
  empty: readonly unknown[],
  showsEffective: boolean,
): Iterable<ColumnBatch> {
  for (let part = first; part < end; part++) {
    const rows = sorter.sort(answers, part);
    const columns = rows.columns.map((column, c) => answerVector(rows, column, empty[c]));
    yield { rowCount: rows.idCount, columns: showsEffective ? [effectiveVector(rows), ...columns] : columns };
    answers.drop(part);
  }
}

/** One value per spine row of a range; for those without a key what there is over no rows (S7). */
function answerVector({ idCount, starts }: KeyedRows, { values, nulls }: Column, empty: unknown): ColumnVector {
  if (starts[idCount] === idCount) {
    if (Array.isArray(values)) return { values, hasNulls: true, isNull: (row) => values[row] === null };
    return {
      values: values.subarray(0, idCount),
      hasNulls: nulls !== undefined,
      isNull: (row) => nulls?.[row] === 1,
      ...(nulls && { nulls }),
    };
  }
  const spread = Array.from({ length: idCount }, (_, row) => {
    const at = starts[row]!;
    if (starts[row + 1]! === at) return empty;
    return nulls?.[at] === 1 ? null : values[at];
  });
  return { values: spread, hasNulls: true, isNull: (row) => spread[row] === null };
}

/** The times of answers. */
function effectiveVector({ idCount, starts, times }: KeyedRows): ColumnVector {
  const values = new BigInt64Array(idCount);
  const nulls = new Uint8Array(idCount).fill(1);
  for (let row = 0; row < idCount; row++) {
    const at = starts[row]!;
    if (starts[row + 1]! === at || Number.isNaN(times[at])) continue;
    values[row] = BigInt(times[at]!);
    nulls[row] = 0;
  }
  return { values, hasNulls: true, isNull: (row) => nulls[row] === 1, nulls };
}
