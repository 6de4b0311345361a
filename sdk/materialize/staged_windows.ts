/** Rows of a view of aggregates in a temporary table, and what their tables say of time. */
import type { AggregateView } from "../define/definitions.ts";
import { timestampSql } from "../engine/engine.ts";
import type { Field } from "../schema.ts";
import { durationToMicros, type TimeRange } from "../time.ts";
import type { WindowInputs } from "../window/inputs.ts";

/** The rows of a view in a temporary table. */
export interface WindowRows {
  readonly view: AggregateView;
  readonly inputs: WindowInputs;
  /** Has {@link sliceColumn}, join keys, event and written timestamp, secondary key, inputs, and perhaps `__position`. */
  readonly table: string;
  /** Columns without which a row is dropped. */
  readonly keys: readonly Field[];
  /** What orders the rows of a key: time, then when they were written, then their place in the source or else their values. */
  readonly order: readonly string[];
}

/** The newest of what the source says; where it never says when, the time of this run, as of attributes. */
export function writtenSql(view: AggregateView, column: string, now: bigint): string {
  return view.writtenTimestamp === undefined ? timestampSql(now) : column;
}

/** When a slice's rows can be served (S4). */
export function effectiveSql(view: AggregateView, slice: TimeRange): string {
  return timestampSql(slice.end + durationToMicros(view.dataDelay, "dataDelay", { allowZero: true }));
}
