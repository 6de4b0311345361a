/** What is added up between the bounds of windows: rows, or states of tiles. */
import type { Aggregator, SlotColumn } from "./aggregator.ts";
import type { Column } from "./columns.ts";
import type { KeyedRows } from "./keyed_rows.ts";
import type { AddRows, RowAdder } from "./range_states.ts";

/** What an aggregation is made of: places of columns. */
export type Leaves = RowLeaves | StateLeaves;

/** Rows: those count whose value is not null; every row where there is no value. */
export interface RowLeaves {
  readonly kind: "rows";
  readonly value?: number;
  readonly by?: number;
  /** The secondary key, which no row lacks. */
  readonly key?: number;
}

/** States: a column per slot. */
export interface StateLeaves {
  readonly kind: "states";
  readonly slots: readonly number[];
}

/** Adds rows to states. */
export function adderOf(aggregator: Aggregator, leaves: Leaves, rows: KeyedRows): RowAdder {
  const { updateAll, accumulate } = aggregator;
  if (leaves.kind === "states" || leaves.by !== undefined || aggregator.grouped || !updateAll) {
    return { add: oneByOne(aggregator, leaves, rows) };
  }
  const { values, nulls }: Partial<Column> = leaves.value === undefined ? {} : rows.columns[leaves.value]!;
  return {
    add: (states, i, from, to) => updateAll.call(aggregator, states, i, values, nulls, from, to),
    ...(accumulate && {
      accumulate: (states, bounds, count) => accumulate.call(aggregator, states, bounds, count, values, nulls),
    }),
  };
}

function oneByOne(aggregator: Aggregator, leaves: Leaves, { times, columns }: KeyedRows): AddRows {
  if (leaves.kind === "states") {
    const slots = leaves.slots.map((slot) => columns[slot]!.values as SlotColumn);
    return (states, i, from, to) => {
      for (let row = from; row < to; row++) aggregator.merge(states, i, slots, row);
    };
  }
  const by = leaves.by === undefined ? undefined : columns[leaves.by]!;
  const value = leaves.value === undefined ? undefined : columns[leaves.value]!;
  if (aggregator.grouped) {
    const keys = columns[leaves.key!]!.values;
    return (states, i, from, to) => {
      for (let row = from; row < to; row++) {
        const counted = value === undefined ? undefined : valueAt(value, row);
        aggregator.update(states, i, counted, times[row]!, by && valueAt(by, row), keys[row]);
      }
    };
  }
  if (value === undefined) {
    return (states, i, from, to) => {
      for (let row = from; row < to; row++) {
        aggregator.update(states, i, undefined, times[row]!, by && valueAt(by, row));
      }
    };
  }
  const { values, nulls } = value;
  return (states, i, from, to) => {
    for (let row = from; row < to; row++) {
      const counted = values[row];
      if (nulls ? nulls[row] === 1 : counted === null) continue;
      aggregator.update(states, i, counted, times[row]!, by && valueAt(by, row));
    }
  };
}

function valueAt({ values, nulls }: Column, row: number): unknown {
  return nulls?.[row] === 1 ? null : values[row];
}
