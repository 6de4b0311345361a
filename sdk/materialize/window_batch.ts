/** Rows of a table of aggregates as the makers of online values read them. */
import type { ColumnBatch, ColumnVector } from "../engine/engine.ts";
import { isFloatType } from "../schema.ts";
import type { SlotColumn, States } from "../window/aggregator.ts";
import type { OnlinePlan } from "../window/online_plan.ts";

/** A batch: event times, and states or columns. */
export interface WindowBatch {
  /** Micros; NaN for a row that only names a key. */
  readonly times: Float64Array;
  /** Of tiles: by aggregation. */
  readonly states: readonly States[];
  /** Of rows: every column, nulls in place. */
  readonly columns: readonly (readonly unknown[])[];
}

/** Rows of one key: `from … to` of a batch. */
export interface WindowRun {
  readonly rows: WindowBatch;
  readonly from: number;
  readonly to: number;
}

/** Prepares a batch whose columns are `keyCount` join keys, the event timestamp, and the plan's columns if it has any. */
export function windowBatch(plan: OnlinePlan, keyCount: number, batch: ColumnBatch): WindowBatch {
  const vectors = batch.columns.slice(keyCount + 1);
  const times = timesOf(batch.columns[keyCount]!, batch.rowCount);
  if (vectors.length === 0) return { times, states: [], columns: [] };
  if (plan.keepsRows) return { times, states: [], columns: vectors.map((vector) => plainValues(vector)) };
  const columns = vectors.map((vector, i): SlotColumn => {
    const { type } = plan.columns[i]!;
    return type === "int32" || type === "int64" || (isFloatType(type) && vector.values instanceof Float64Array)
      ? vector.values as SlotColumn
      : plainValues(vector);
  });
  const states = plan.aggregations.map(({ firstSlot, aggregator }) =>
    columns.slice(firstSlot, firstSlot + aggregator.slots.length)
  );
  return { times, states, columns: [] };
}

/** Words instead of bigints, which would be an object per row. */
function timesOf(vector: ColumnVector, count: number): Float64Array {
  const values = vector.values as BigInt64Array;
  const low = new Uint32Array(values.buffer, values.byteOffset, 2 * values.length);
  const high = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
  const times = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    times[i] = vector.hasNulls && vector.isNull(i) ? NaN : high[2 * i + 1]! * 4294967296 + low[2 * i]!;
  }
  return times;
}

function plainValues({ values, hasNulls, isNull }: ColumnVector): unknown[] {
  if (Array.isArray(values)) return values;
  return Array.from(values as ArrayLike<unknown>, (value, i) => hasNulls && isNull(i) ? null : value);
}
