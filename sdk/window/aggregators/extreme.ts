/** The least and the greatest: min, max, minBy, maxBy. */
import { type DataType, isFloatType } from "../../schema.ts";
import type { Aggregator, States } from "../aggregator.ts";
import { heldValue } from "./held_value.ts";
import { orderOf, plainOf } from "./value_order.ts";

/** The least or the greatest value; NaN is greatest. State: one value. */
export function extremeAggregator(kind: "min" | "max", type: DataType): Aggregator {
  if (isFloatType(type) || type === "int32" || type === "date") return numberExtreme(kind, type);
  const held = heldValue("value", type);
  const compare = orderOf(type);
  const sign = kind === "min" ? 1 : -1;
  const isBetter = (value: unknown, best: unknown): boolean => sign * compare(value, best) < 0;
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

/** The same of numbers, whose columns are read without a call: most aggregations are these, and sums. */
function numberExtreme(kind: "min" | "max", type: DataType): Aggregator {
  const { slots } = heldValue("value", type);
  const isMin = kind === "min";
  const columns = (states: States) => states as unknown as readonly [flags: Int32Array, values: Float64Array];
  const add = (states: States, i: number, value: number): void => {
    const [flags, values] = columns(states);
    const best = values[i]!;
    // Comparisons with NaN are false: it is better than any other greatest, and any other is better than it as the least.
    const isBetter = isMin
      ? value < best || (best !== best && value === value)
      : value > best || (value !== value && best === best);
    if (!isBetter && flags[i] !== 0) return;
    flags[i] = 1;
    values[i] = value;
  };
  return {
    slots,
    result: type,
    clear(states, i) {
      const [flags, values] = columns(states);
      flags[i] = values[i] = 0;
    },
    update(states, i, value) {
      // Minus zero becomes zero.
      add(states, i, (value as number) + 0);
    },
    merge(into, i, from, j) {
      const [flags, values] = columns(from);
      if (flags[j] !== 0) add(into, i, values[j]!);
    },
    finalize(states, i) {
      const [flags, values] = columns(states);
      return flags[i] === 0 ? null : values[i]!;
    },
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
