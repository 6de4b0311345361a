/** The n best values in order: minN, maxN, and how topK keeps the most frequent. */
import type { Compare } from "../../engine/row_value.ts";
import type { DataType } from "../../schema.ts";
import type { Aggregator } from "../aggregator.ts";
import { listAggregator } from "./ends.ts";
import { orderOf, plainOf } from "./value_order.ts";

/** The n least values ascending, or the n greatest descending, equal ones repeated. State: up to n values. */
export function bestAggregator(kind: "minN" | "maxN", type: DataType, n: number): Aggregator {
  const [ascending, plain] = [orderOf(type), plainOf(type)];
  const compare: Compare = kind === "minN" ? ascending : (a, b) => ascending(b, a);
  const add = (list: unknown[], value: unknown): void => insertBest(list, plain(value), compare, n);
  return listAggregator(type, add, (list, later) => {
    for (const value of later) add(list, value);
  });
}

/** Puts a value where it belongs in a sorted list of at most n; leaves it out when it is none of the n first. */
export function insertBest<T>(list: T[], value: T, compare: (a: T, b: T) => number, n: number): void {
  if (list.length >= n) {
    if (compare(value, list[n - 1]!) >= 0) return;
    list.pop();
  }
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(list[middle]!, value) <= 0) low = middle + 1;
    else high = middle;
  }
  list.splice(low, 0, value);
}
