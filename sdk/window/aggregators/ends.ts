/** Values by the order of rows: first, last, firstN, lastN, firstDistinct, lastDistinct. */
import type { DataType } from "../../schema.ts";
import type { Aggregator, States } from "../aggregator.ts";
import { heldValue } from "./held_value.ts";
import { plainOf, sameOf } from "./value_order.ts";

/** The value of the first or the last row. State: one value. */
export function endAggregator(kind: "first" | "last", type: DataType): Aggregator {
  const held = heldValue("value", type);
  const isLast = kind === "last";
  return {
    slots: held.slots,
    result: type,
    clear: (states, i) => held.clear(states, i),
    update: (states, i, value) => {
      if (isLast || !held.has(states, i)) held.write(states, i, value);
    },
    merge: (into, i, from, j) => {
      if (held.has(from, j) && (isLast || !held.has(into, i))) held.write(into, i, held.read(from, j));
    },
    finalize: (states, i) => held.has(states, i) ? held.read(states, i) : null,
  };
}

/** A list of values: null for an empty one, so that states without rows need none. */
export type Listed = unknown[] | null;

/** What aggregators that keep a list have in common: how to add one value, and a whole later list. */
export function listAggregator(
  type: DataType,
  add: (list: unknown[], value: unknown) => void,
  addAll: (list: unknown[], later: readonly unknown[]) => void,
): Aggregator {
  const lists = (states: States) => states[0] as Listed[];
  return {
    slots: [{ name: "values", type: { list: type } }],
    result: { list: type },
    clear: (states, i) => {
      lists(states)[i] = null;
    },
    update: (states, i, value) => {
      add(lists(states)[i] ??= [], value);
    },
    merge: (into, i, from, j) => {
      const later = lists(from)[j]!;
      if (later === null) return;
      const list = lists(into)[i]!;
      if (list === null) lists(into)[i] = later.slice();
      else addAll(list, later);
    },
    finalize: (states, i) => lists(states)[i]?.slice() ?? [],
  };
}

/** The values of the first or the last n rows, in order. State: up to n values. */
export function endsAggregator(kind: "firstN" | "lastN", type: DataType, n: number): Aggregator {
  if (kind === "firstN") {
    return listAggregator(
      type,
      (list, value) => {
        if (list.length < n) list.push(value);
      },
      (list, later) => {
        for (let k = 0; list.length < n && k < later.length; k++) list.push(later[k]);
      },
    );
  }
  return listAggregator(
    type,
    (list, value) => {
      if (list.length >= n) list.shift();
      list.push(value);
    },
    (list, later) => {
      for (const value of later) list.push(value);
      if (list.length > n) list.splice(0, list.length - n);
    },
  );
}

/** The n different values that came first, or last, in the order in which they did so. State: up to n values. */
export function distinctAggregator(kind: "firstDistinct" | "lastDistinct", type: DataType, n: number): Aggregator {
  const [plain, same] = [plainOf(type), sameOf(type)];
  const isFirst = kind === "firstDistinct";
  const add = (list: unknown[], given: unknown): void => {
    const value = plain(given);
    // The newest are last, and often come again.
    let k = list.length - 1;
    while (k >= 0 && !same(list[k], value)) k--;
    if (isFirst) {
      if (k < 0 && list.length < n) list.push(value);
      return;
    }
    if (k >= 0) list.splice(k, 1);
    else if (list.length >= n) list.shift();
    list.push(value);
  };
  return listAggregator(type, add, (list, later) => {
    for (const value of later) add(list, value);
  });
}
