/** Aggregations by a secondary key: one result for each value of it that came, in ascending order. */
import { VarveError } from "../../errors.ts";
import type { DataType } from "../../schema.ts";
import { type Aggregator, makeStates, type SlotColumn, type States } from "../aggregator.ts";
import { orderOf, plainOf } from "./value_order.ts";
import { valueKeys } from "./value_key.ts";

/** How many values of a secondary key a state holds at most: more are an error, as leaving some out would be a wrong answer. */
export const maxGroups = 10_000;

/** The groups of a state while it is worked with. */
interface Groups {
  /** The place of a group in `rows` and `inner`. */
  readonly places: Map<unknown, number>;
  /** How many rows each group has, those included that do not count. */
  rows: number[];
  /** States of the groups; longer than there are groups. */
  inner: States;
  /** Places of groups that are gone. */
  readonly free: number[];
}

/**
 * What an aggregator gives for each value of a secondary key. Every row of the key makes its group, also one that does not
 * count. State: per group the value, a double, and the inner state; as a Map and columns while it is worked with, as lists by
 * the value when it is packed.
 */
export function groupedAggregator(name: string, inner: Aggregator, keyType: DataType): Aggregator {
  const { toKey, toValue } = valueKeys(keyType);
  const plain = plainOf(keyType);
  const compare = orderOf(keyType);

  const groupsAt = (states: States, i: number): Groups => {
    const held = groupsOf(states, i);
    states[0]![i] = held as never;
    for (let k = 1; k < states.length; k++) states[k]![i] = null as never;
    return held;
  };
  /** Read from lists where they are packed; the lists are the columns then, and stay as they are. */
  const groupsOf = (states: States, i: number): Groups => {
    const held = states[0]![i] as unknown;
    if (held !== null && !Array.isArray(held)) return held as Groups;
    const values = held as readonly unknown[] | null ?? [];
    const groups: Groups = {
      places: new Map(values.map((value, place) => [toKey(value), place])),
      rows: values.length === 0 ? [] : Array.from(states[1]![i] as unknown as readonly number[]),
      inner: makeStates(inner, values.length),
      free: [],
    };
    groups.inner.forEach((column, k) => {
      const list = states[k + 2]![i] as unknown as readonly unknown[];
      for (let place = 0; place < values.length; place++) column[place] = list[place] as never;
    });
    return groups;
  };
  const placeOf = (groups: Groups, key: unknown): number => {
    const found = groups.places.get(key);
    if (found !== undefined) return found;
    if (groups.places.size >= maxGroups) throw tooMany(name);
    const place = groups.free.pop() ?? groups.rows.push(0) - 1;
    if (place >= (groups.inner[0]?.length ?? Infinity)) groups.inner = longer(inner, groups.inner);
    inner.clear(groups.inner, place);
    groups.rows[place] = 0;
    groups.places.set(key, place);
    return place;
  };
  /** Keys of groups and their places, by key. */
  const sorted = (groups: Groups): (readonly [value: unknown, place: number])[] =>
    [...groups.places].map(([key, place]) => [toValue(key), place] as const).sort((a, b) => compare(a[0], b[0]));
  const isNothing = (states: States, i: number): boolean => states[0]![i] === null;

  return {
    slots: [
      { name: "groupKeys", type: { list: keyType } },
      { name: "groupRows", type: { list: "float64" } },
      ...inner.slots.map(({ name: slot, type }) => ({ name: slot, type: { list: type } })),
    ],
    result: { list: inner.result },
    grouped: { keys: (states, i) => isNothing(states, i) ? [] : sorted(groupsOf(states, i)).map(([value]) => value) },
    clear(states, i) {
      for (const column of states) column[i] = null as never;
    },
    update(states, i, value, time, by, key) {
      if (key === null || key === undefined) return;
      const groups = groupsAt(states, i);
      const place = placeOf(groups, toKey(plain(key)));
      groups.rows[place]! += 1;
      if (value !== null) inner.update(groups.inner, place, value, time, by);
    },
    merge(into, i, from, j) {
      if (isNothing(from, j)) return;
      const groups = groupsAt(into, i);
      const other = groupsOf(from, j);
      for (const [key, place] of other.places) {
        const own = placeOf(groups, key);
        groups.rows[own]! += other.rows[place]!;
        inner.merge(groups.inner, own, other.inner, place);
      }
    },
    ...(inner.subtract && {
      subtract(into: States, i: number, from: States, j: number): void {
        if (isNothing(from, j)) return;
        const groups = groupsAt(into, i);
        const other = groupsOf(from, j);
        for (const [key, place] of other.places) {
          const own = groups.places.get(key)!;
          groups.rows[own]! -= other.rows[place]!;
          if (groups.rows[own]! > 0) {
            inner.subtract!(groups.inner, own, other.inner, place);
          } else {
            groups.places.delete(key);
            groups.free.push(own);
          }
        }
        if (groups.places.size === 0) into[0]![i] = null as never;
      },
    }),
    finalize(states, i) {
      if (isNothing(states, i)) return [];
      const groups = groupsOf(states, i);
      return sorted(groups).map(([, place]) => inner.finalize(groups.inner, place));
    },
    pack(states, i) {
      const held = states[0]![i] as unknown;
      if (held === null || Array.isArray(held)) return;
      const groups = held as Groups;
      const order = sorted(groups);
      if (inner.pack) { for (const [, place] of order) inner.pack(groups.inner, place); }
      states[0]![i] = order.map(([value]) => value) as never;
      states[1]![i] = order.map(([, place]) => groups.rows[place]) as never;
      groups.inner.forEach((column, k) => states[k + 2]![i] = order.map(([, place]) => column[place]) as never);
    },
  };
}

/** Columns of twice the length with the same states. */
function longer(inner: Aggregator, states: States): States {
  const length = states[0]!.length;
  const more = makeStates(inner, Math.max(4, 2 * length));
  states.forEach((column, k) => {
    const into: SlotColumn = more[k]!;
    for (let place = 0; place < length; place++) into[place] = column[place] as never;
  });
  return more;
}

function tooMany(name: string): VarveError {
  return new VarveError(
    // Trying again does not help.
    "UNSUPPORTED",
    `Cannot compute "${name}": one key has more than ${maxGroups} values of the secondary key; shorten the windows, or make ` +
      "the secondary key a join key",
    { details: { aggregation: name } },
  );
}
