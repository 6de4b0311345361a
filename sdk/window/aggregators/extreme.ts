/** The least and the greatest: min, max, minBy, maxBy. */
import { type DataType, isFloatType } from "../../schema.ts";
import type { Aggregator, States } from "../aggregator.ts";
import { heldValue } from "./held_value.ts";
import { orderOf, plainOf } from "./value_order.ts";

/** The least or the greatest value; NaN is greatest. State: one value. */
export function extremeAggregator(kind: "min" | "max", type: DataType): Aggregator {
  const held = heldValue("value", type);
  const compare = isFloatType(type) ? undefined : orderOf(type);
  const isMin = kind === "min";
  const isBetter = (value: unknown, best: unknown): boolean => {
    if (compare) return isMin ? compare(value, best) < 0 : compare(value, best) > 0;
    const [x, y] = [value as number, best as number];
    // Comparisons with NaN are false: it is better than any other greatest, and any other is better than it as the least.
    return isMin ? x < y || (y !== y && x === x) : x > y || (x !== x && y === y);
  };
  const plain = plainOf(type);
  const add = (states: States, i: number, value: unknown): void => {
    if (!held.has(states, i) || isBetter(value, held.read(states, i))) held.write(states, i, value);
  };
  return {
    slots: held.slots,
    result: type,
    clear: (states, i) => held.clear(states, i),
    update: (states, i, value) => add(states, i, plain(value)),
    merge: (into, i, from, j) => {
      if (held.has(from, j)) add(into, i, held.read(from, j));
    },
    finalize: (states, i) => held.has(states, i) ? held.read(states, i) : null,
  };
}

/** The value where another is least or greatest; of several, the least or the greatest. State: two values. */
export function extremeByAggregator(kind: "minBy" | "maxBy", type: DataType, byType: DataType): Aggregator {
  const held = heldValue("value", type);
  const by = heldValue("by", byType, held.slots.length);
  const [compare, compareBy] = [orderOf(type), orderOf(byType)];
  const sign = kind === "minBy" ? 1 : -1;
  const add = (states: States, i: number, value: unknown, key: unknown): void => {
    if (by.has(states, i)) {
      const order = sign * compareBy(key, by.read(states, i));
      if (order > 0 || (order === 0 && sign * compare(value, held.read(states, i)) >= 0)) return;
    }
    held.write(states, i, value);
    by.write(states, i, key);
  };
  const [plain, plainBy] = [plainOf(type), plainOf(byType)];
  return {
    slots: [...held.slots, ...by.slots],
    result: type,
    clear(states, i) {
      held.clear(states, i);
      by.clear(states, i);
    },
    update(states, i, value, _time, key) {
      if (key !== null) add(states, i, plain(value), plainBy(key));
    },
    merge(into, i, from, j) {
      if (by.has(from, j)) add(into, i, held.read(from, j), by.read(from, j));
    },
    finalize: (states, i) => by.has(states, i) ? held.read(states, i) : null,
  };
}
