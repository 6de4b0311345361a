/**
 * The contract of aggregators: the one implementation of every aggregation, in bulk and online. A state is what is known of
 * some rows; it lives in columns, so that a million states are a handful of typed arrays, which are swept, stored as tiles in
 * Parquet, and packed online without an object per state.
 */
import type { DataType } from "../schema.ts";

/** One column of a state. */
export interface Slot {
  /** Unique in the aggregator; a letter, then letters and digits. */
  readonly name: string;
  /**
   * How it is stored. In memory float64 is a Float64Array, int32 an Int32Array, int64 a BigInt64Array; anything else is an
   * array of values in row form (bigint for timestamps and durations, days for dates, Uint8Array for binary), null included;
   * between {@link Aggregator.pack}s it may hold something else that is faster to work with.
   */
  readonly type: DataType;
}

/** A column of states. */
export type SlotColumn = Float64Array | Int32Array | BigInt64Array | unknown[];

/** States of one aggregator: a column per slot, all equally long; state i is place i of each. */
export type States = readonly SlotColumn[];

/**
 * One aggregation over rows of known types. Pure and deterministic: equal rows in equal order give equal states.
 *
 * Order: rows come in (event time, written time, position in the source) order. In `merge` every row behind `from` comes after
 * every row behind `into`.
 */
export interface Aggregator {
  /** Columns of a state. */
  readonly slots: readonly Slot[];
  /** The type of the result. */
  readonly result: DataType;
  /**
   * Set where a secondary key splits the rows: `update` is then told of every row that has one, also of those that do not
   * count, and their value is null. The result is a list, parallel to the keys.
   */
  readonly grouped?: GroupKeys;
  /** Makes place i the state of no rows. */
  clear(states: States, i: number): void;
  /**
   * Adds a row whose input is not null and whose condition holds. `value` is in row form: undefined for `count()` without an
   * input. `time` is the row's event time in micros. `by` may be null. `key` is the secondary key where rows are `grouped`.
   */
  update(states: States, i: number, value: unknown, time: number, by: unknown, key?: unknown): void;
  /**
   * Adds rows [from, to) at once: as {@link Aggregator.update} does, one after the other, with those that are not null. Numbers
   * lie in typed arrays, and `nulls`, where some are null, has 1 for those; other values are in row form, null included. Without
   * `values`, as for `count()`, every row counts. Only for what looks neither at times nor at `by` nor at keys; absent where a
   * loop over `update` is all that it would be.
   */
  updateAll?(
    states: States,
    i: number,
    values: ArrayLike<unknown> | undefined,
    nulls: Uint8Array | undefined,
    from: number,
    to: number,
  ): void;
  /** Adds the rows of a later state. `from` stays as it is. */
  merge(into: States, i: number, from: States, j: number): void;
  /**
   * Takes away the rows that were added first: `into` holds what was merged of j and then of others. Only aggregators
   * for which the rest is as exact as if j had never been there have it. `from` stays as it is.
   */
  subtract?(into: States, i: number, from: States, j: number): void;
  /**
   * Makes place i the state of the rows that state b of `from` has more than state a, whose rows are the first of its: as
   * `clear`, `merge` of b and `subtract` of a do it. Absent where those are as fast.
   */
  difference?(into: States, i: number, from: States, a: number, b: number): void;
  /**
   * Makes places 0 to `count - 1` states of all rows from the first of the bounds on up to theirs: of bounds of rows, ascending,
   * of which the first `count` are meant. As `clear`, `merge` of the state before and {@link Aggregator.updateAll} do it, for
   * whose aggregators this is, where one loop over rows is faster than calls for every bound.
   */
  accumulate?(
    states: States,
    bounds: Int32Array,
    count: number,
    values: ArrayLike<unknown> | undefined,
    nulls: Uint8Array | undefined,
  ): void;
  /** The result in row form (as of {@link Slot.type}); null where there is none (S7). The state stays as it is. */
  finalize(states: States, i: number): unknown;
  /**
   * Puts place i into row form, as storing it needs. Every method takes states in either form; packing twice changes
   * nothing. Absent: states always are in row form.
   */
  pack?(states: States, i: number): void;
}

/** What aggregators say where a secondary key splits the rows. */
export interface GroupKeys {
  /** The values of the secondary key that came, in ascending order and row form: the same of all aggregators over the same rows. */
  keys(states: States, i: number): unknown[];
}

/** Columns for `count` states; their places hold nothing until they are cleared. */
export function makeStates(aggregator: Aggregator, count: number): States {
  return aggregator.slots.map(({ type }) => {
    switch (type) {
      case "float64":
        return new Float64Array(count);
      case "int32":
        return new Int32Array(count);
      case "int64":
        return new BigInt64Array(count);
      default:
        return new Array<unknown>(count).fill(null);
    }
  });
}
