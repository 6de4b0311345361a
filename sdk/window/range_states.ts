/**
 * States of many ranges of a key's rows. Ranges begin and end at a few bounds, so rows are added up once between neighbouring
 * bounds; a range is then the difference of two running states, or what slides along with it, or a merge of O(log n) nodes of a
 * tree. In all three a long range costs what a short one does.
 */
import { isListType } from "../schema.ts";
import { type Aggregator, makeStates, type States } from "./aggregator.ts";
import type { Ranges, ResultColumn, WritingAggregator } from "./result_column.ts";

/** Adds rows [from, to) of a key to place i of the states. */
export type AddRows = (states: States, i: number, from: number, to: number) => void;

/** How rows of a key are added up. */
export interface RowAdder {
  readonly add: AddRows;
  /** Makes places 0 to `count - 1` states of all rows before the bounds, where that is faster than one after the other. */
  readonly accumulate?: ((states: States, bounds: Int32Array, count: number) => void) | undefined;
}

/** What a state comes to: its result, or the secondary keys in it. The state stays as it is. */
export type Finish = (states: States, i: number) => unknown;

/** What ranges of the current key come to, one after the other. */
export interface RangeStates {
  /** Adds up the rows between bounds: positions of rows, ascending, of which the first `count` are meant. */
  build(bounds: Int32Array, count: number, rows: RowAdder): void;
  /**
   * What the state of the rows from bound `a` to bound `b` comes to, which is greater. Ranges of one span are best asked for in
   * turn: where a bound moves back, as when another feature shows the same span, its rows are added up anew.
   */
  value(span: number, a: number, b: number, finish: Finish): unknown;
  /** Writes the results of many ranges at once; absent where the aggregator cannot. */
  readonly write?: ((ranges: Ranges, results: ResultColumn) => void) | undefined;
}

/** Picks the way that the aggregator allows. */
export function rangeStates(aggregator: WritingAggregator): RangeStates {
  const subtract = aggregator.subtract?.bind(aggregator);
  if (!subtract) return new TreeStates(aggregator);
  // Lists grow with the rows: the state of all rows before a bound would be long at every bound.
  const grows = aggregator.slots.some(({ type }) => isListType(type));
  return grows ? new SlidingStates(aggregator, subtract) : new RunningStates(aggregator, subtract);
}

type Subtract = NonNullable<Aggregator["subtract"]>;

/** At every bound the state of all rows before it: a range is what the later one has more. */
class RunningStates implements RangeStates {
  readonly write: RangeStates["write"];
  readonly #aggregator: Aggregator;
  readonly #subtract: Subtract;
  readonly #result: States;
  #states: States = [];
  #room = 0;

  constructor(aggregator: WritingAggregator, subtract: Subtract) {
    this.#aggregator = aggregator;
    this.#subtract = subtract;
    this.#result = makeStates(aggregator, 1);
    const write = aggregator.writeDifferences?.bind(aggregator);
    this.write = write && ((ranges, results) => write(this.#states, ranges, results));
  }

  build(bounds: Int32Array, count: number, { add, accumulate }: RowAdder): void {
    if (this.#room < count) {
      this.#room = roomFor(count);
      this.#states = makeStates(this.#aggregator, this.#room);
    }
    const states = this.#states;
    if (accumulate) return accumulate(states, bounds, count);
    this.#aggregator.clear(states, 0);
    for (let bound = 1; bound < count; bound++) {
      this.#aggregator.clear(states, bound);
      this.#aggregator.merge(states, bound, states, bound - 1);
      add(states, bound, bounds[bound - 1]!, bounds[bound]!);
    }
  }

  value(_span: number, a: number, b: number, finish: Finish): unknown {
    // Before the first bound there is nothing to take away.
    if (a === 0) return finish(this.#states, b);
    const aggregator = this.#aggregator;
    const result = this.#result;
    if (aggregator.difference) aggregator.difference(result, 0, this.#states, a, b);
    else {
      aggregator.clear(result, 0);
      aggregator.merge(result, 0, this.#states, b);
      this.#subtract(result, 0, this.#states, a);
    }
    return finish(result, 0);
  }
}

/** The rows between neighbouring bounds, and for each span the state of its last range, to which later rows are added. */
class SlidingStates implements RangeStates {
  readonly #aggregator: Aggregator;
  readonly #subtract: Subtract;
  #states: States = [];
  #room = 0;
  /** By span; emptied when another key comes. */
  readonly #ranges: { readonly states: States; a: number; b: number }[] = [];

  constructor(aggregator: Aggregator, subtract: Subtract) {
    this.#aggregator = aggregator;
    this.#subtract = subtract;
  }

  build(bounds: Int32Array, count: number, { add }: RowAdder): void {
    if (this.#room < count) {
      this.#room = roomFor(count);
      this.#states = makeStates(this.#aggregator, this.#room);
    }
    for (let bound = 0; bound + 1 < count; bound++) {
      this.#aggregator.clear(this.#states, bound);
      add(this.#states, bound, bounds[bound]!, bounds[bound + 1]!);
    }
    for (const range of this.#ranges) if (range) range.a = range.b = 0;
  }

  value(span: number, a: number, b: number, finish: Finish): unknown {
    const aggregator = this.#aggregator;
    const range = this.#ranges[span] ??= { states: makeStates(aggregator, 1), a: 0, b: 0 };
    if (range.b <= a || a < range.a || b < range.b) {
      aggregator.clear(range.states, 0);
      range.a = range.b = a;
    }
    while (range.b < b) aggregator.merge(range.states, 0, this.#states, range.b++);
    while (range.a < a) this.#subtract(range.states, 0, this.#states, range.a++);
    return finish(range.states, 0);
  }
}

/** A tree of merged states: level 0 has the rows between neighbouring bounds, each level above merges pairs of the one below. */
class TreeStates implements RangeStates {
  readonly #aggregator: Aggregator;
  readonly #result: States;
  #states: States = [];
  #room = 0;
  /** Where each level begins. */
  readonly #levels: number[] = [];
  readonly #later: number[] = [];

  constructor(aggregator: Aggregator) {
    this.#aggregator = aggregator;
    this.#result = makeStates(aggregator, 1);
  }

  build(bounds: Int32Array, count: number, { add }: RowAdder): void {
    const leaves = count - 1;
    this.#levels.length = 0;
    let total = 0;
    for (let size = leaves; size > 0; size = size === 1 ? 0 : (size + 1) >> 1) {
      this.#levels.push(total);
      total += size;
    }
    if (this.#room < total) {
      this.#room = roomFor(total);
      this.#states = makeStates(this.#aggregator, this.#room);
    }
    const aggregator = this.#aggregator;
    const states = this.#states;
    for (let leaf = 0; leaf < leaves; leaf++) {
      aggregator.clear(states, leaf);
      add(states, leaf, bounds[leaf]!, bounds[leaf + 1]!);
    }
    for (let level = 1; level < this.#levels.length; level++) {
      const below = this.#levels[level - 1]!;
      const start = this.#levels[level]!;
      for (let child = below, node = start; child < start; child += 2, node++) {
        aggregator.clear(states, node);
        aggregator.merge(states, node, states, child);
        if (child + 1 < start) aggregator.merge(states, node, states, child + 1);
      }
    }
  }

  value(_span: number, a: number, b: number, finish: Finish): unknown {
    const aggregator = this.#aggregator;
    const states = this.#states;
    // One node alone is its own result.
    if (b - a === 1) return finish(states, a);
    const result = this.#result;
    const later = this.#later;
    aggregator.clear(result, 0);
    later.length = 0;
    for (let level = 0; a < b; level++, a >>= 1, b >>= 1) {
      const start = this.#levels[level]!;
      if (a & 1) aggregator.merge(result, 0, states, start + a++);
      if (b & 1) later.push(start + --b);
    }
    for (let i = later.length - 1; i >= 0; i--) aggregator.merge(result, 0, states, later[i]!);
    return finish(result, 0);
  }
}

/** Room grows by halves, so that keys of all sizes share it. */
function roomFor(count: number): number {
  return Math.max(64, count + (count >> 1));
}
