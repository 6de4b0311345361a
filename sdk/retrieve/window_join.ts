/**
 * Windows at the rows of a spine: what every feature of a view of aggregates was, as a temporary table with one row per spine
 * row, in its order. Rows of the view are dealt by ranges of keys, sorted and swept range by range; answers go to the places of
 * their spine rows. Each has its share of memory, and spills what exceeds it.
 */
import { type EngineSession, quoteName } from "../engine/engine.ts";
import type { Field } from "../schema.ts";
import { kindOf } from "../window/columns.ts";
import { RowBlocks } from "../window/row_blocks.ts";
import { PartSweep, type SweepLimits } from "../window/sweep_parts.ts";
import { type FeatureRead, keyColumns } from "./feature_read.ts";
import { type KeyIds, temporaryName } from "./positions.ts";
import { rowColumn, type SpineTable } from "./spine_table.ts";
import { WindowAnswers } from "./window_answers.ts";
import { windowFailure } from "./window_failure.ts";
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
    answers: new WindowAnswers({
      rows: spine.rows,
      kinds,
      empty: plan.features.map((feature) => feature.empty),
      showsTimes: showsEffective,
      memory: memory.answers,
      spillPath,
    }),
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
    return await storeAnswers(session, plan, blocks.answers, showsEffective, signal);
  } catch (error) {
    throw windowFailure(read.definition.name, error);
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
  answers: WindowAnswers,
  showsEffective: boolean,
  signal: AbortSignal | undefined,
): Promise<string> {
  const table = temporaryName("windows");
  const schema: Field[] = [
    ...(showsEffective ? [{ name: effectiveColumn, type: "timestamp" } as const] : []),
    ...features.map(({ name, type }) => ({ name, type })),
  ];
  await session.fill(table, schema, [], signal);
  for (const batch of answers.batches()) {
    await session.append(table, schema, [batch], signal);
    await letOthersRun(signal);
  }
  return table;
}
