/** How often each value came, exactly: countDistinct, topK and valueCounts. */
import { VarveError } from "../../errors.ts";
import type { DataType } from "../../schema.ts";
import type { Aggregator, States } from "../aggregator.ts";
import { insertBest } from "./sorted_list.ts";
import { valueKeys } from "./value_key.ts";
import { orderOf } from "./value_order.ts";

/** How many different values a state holds at most: more are an error, never a wrong number. */
export const maxDifferent = 1_000_000;

/** A value and how often it came. */
type Counted = readonly [value: unknown, count: number];

/**
 * One of the three. State: every different value and a double; a Map while it is worked with, two lists, by value, when it is packed.
 */
export function valueCountsAggregator(
  name: string,
  kind: "countDistinct" | "topK" | "valueCounts",
  type: DataType,
  result: DataType,
  k: number,
): Aggregator {
  const { toKey, toValue } = valueKeys(type);
  const compare = orderOf(type);
  const mapAt = (states: States, i: number): Map<unknown, number> => {
    const held = states[0]![i] as unknown;
    if (held instanceof Map) return held as Map<unknown, number>;
    const map = new Map<unknown, number>();
    each(states, i, (key, count) => map.set(key, count));
    states[0]![i] = map as never;
    states[1]![i] = null as never;
    return map;
  };
  /** Keys and counts, in either form. */
  const each = (states: States, i: number, visit: (key: unknown, count: number) => void): void => {
    const held = states[0]![i] as unknown as null | Map<unknown, number> | readonly unknown[];
    if (held === null) return;
    if (held instanceof Map) return held.forEach((count, key) => visit(key, count));
    const counts = states[1]![i] as unknown as readonly number[];
    for (let k = 0; k < held.length; k++) visit(toKey(held[k]), counts[k]!);
  };
  const add = (map: Map<unknown, number>, key: unknown, count: number): void => {
    const sum = (map.get(key) ?? 0) + count;
    if (sum === 0) map.delete(key);
    else map.set(key, sum);
    if (map.size > maxDifferent) throw tooMany(name, kind);
  };
  const addAll = (into: States, i: number, from: States, j: number, times: 1 | -1): void => {
    if (from[0]![j] === null) return;
    const map = mapAt(into, i);
    each(from, j, (key, count) => add(map, key, times * count));
  };
  const mostFrequent = (states: States, i: number): Counted[] => {
    const best: Counted[] = [];
    const order = (a: Counted, b: Counted): number => b[1] - a[1] || compare(a[0], b[0]);
    each(states, i, (key, count) => insertBest(best, [toValue(key), count], order, k));
    return best;
  };
  return {
    slots: [{ name: "values", type: { list: type } }, { name: "counts", type: { list: "float64" } }],
    result,
    clear(states, i) {
      states[0]![i] = states[1]![i] = null as never;
    },
    update: (states, i, value) => add(mapAt(states, i), toKey(value), 1),
    merge: (into, i, from, j) => addAll(into, i, from, j, 1),
    subtract: (into, i, from, j) => addAll(into, i, from, j, -1),
    finalize(states, i) {
      switch (kind) {
        case "countDistinct": {
          const held = states[0]![i] as unknown as null | Map<unknown, number> | readonly unknown[];
          return BigInt(held === null ? 0 : held instanceof Map ? held.size : held.length);
        }
        case "topK":
          return mostFrequent(states, i).map(([value]) => value);
        case "valueCounts":
          return mostFrequent(states, i).map(([value, count]) => ({ value, count: BigInt(count) }));
      }
    },
    pack(states, i) {
      if (!((states[0]![i] as unknown) instanceof Map)) return;
      const sorted: Counted[] = [];
      each(states, i, (key, count) => sorted.push([toValue(key), count]));
      sorted.sort((a, b) => compare(a[0], b[0]));
      const isEmpty = sorted.length === 0;
      states[0]![i] = (isEmpty ? null : sorted.map(([value]) => value)) as never;
      states[1]![i] = (isEmpty ? null : sorted.map(([, count]) => count)) as never;
    },
  };
}

function tooMany(name: string, kind: string): VarveError {
  return new VarveError(
    // Trying again does not help.
    "UNSUPPORTED",
    `Cannot compute "${name}": one key has more than ${maxDifferent} different values; ${
      kind === "countDistinct" ? "use approxCountDistinct" : "aggregate something with fewer values"
    }, or shorten the windows`,
    { details: { aggregation: name } },
  );
}
