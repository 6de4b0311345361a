/**
 * A key with more rows than may be in memory: its rows are added up between all times at which a window of its probes begins or
 * ends, piece by piece in order of time. What is left are states, like those of tiles, and no more than there are such times.
 */
import { makeStates, type SlotColumn, type States } from "./aggregator.ts";
import type { KeyedRows } from "./keyed_rows.ts";
import { adderOf } from "./leaves.ts";
import type { SweepPlan, SweptAggregation } from "./sweep.ts";

/** The same plan over states of one key. */
export function overStates(plan: SweepPlan): SweepPlan {
  let slot = 0;
  return {
    ...plan,
    aggregations: plan.aggregations.map((aggregation): SweptAggregation => ({
      ...aggregation,
      leaves: { kind: "states", slots: aggregation.aggregator.slots.map(() => slot++) },
    })),
  };
}

/** Times at which windows of sorted probes begin or end, ascending, each once. */
export function boundTimes({ edges, visibleAt }: SweepPlan, probes: Float64Array): Float64Array {
  const { spanCount } = edges;
  const all = new Float64Array(2 * spanCount * probes.length);
  probes.forEach((t, i) => edges.spansAt(t, visibleAt(t), all.subarray(2 * spanCount * i, 2 * spanCount * (i + 1))));
  all.sort();
  let count = 0;
  for (const time of all) if (count === 0 || time > all[count - 1]!) all[count++] = time;
  return all.subarray(0, count);
}

/** States of one key's rows between bounds, where there are rows; as rows that {@link overStates} sweeps. */
export function statesBetween(
  plan: SweepPlan,
  bounds: Float64Array,
  pieces: Iterable<KeyedRows>,
): KeyedRows {
  const times: number[] = [];
  const states = plan.aggregations.map(({ aggregator }) => new GrowingStates(aggregator));
  let bound = -1;
  for (const piece of pieces) {
    const adders = plan.aggregations.map(({ aggregator, leaves }) => adderOf(aggregator, leaves, piece).add);
    const end = piece.starts[piece.idCount]!;
    for (let row = 0; row < end;) {
      let next = bound + 1;
      while (next < bounds.length && bounds[next]! <= piece.times[row]!) next++;
      const isNew = next - 1 > bound;
      bound = next - 1;
      const stop = next < bounds.length ? bounds[next]! : Infinity;
      let last = row + 1;
      while (last < end && piece.times[last]! < stop) last++;
      // Before the first bound and from the last on there is no window.
      if (bound >= 0 && next < bounds.length) {
        if (isNew || times.at(-1) !== bounds[bound]) {
          times.push(bounds[bound]!);
          for (const each of states) each.push();
        }
        adders.forEach((add, a) => add(states[a]!.states, times.length - 1, row, last));
      }
      row = last;
    }
  }
  return {
    firstId: 0,
    idCount: 1,
    starts: Int32Array.of(0, times.length),
    times: Float64Array.from(times),
    columns: states.flatMap((each) => each.states.map((values) => ({ values }))),
  };
}

/** States that come one after the other. */
class GrowingStates {
  states: States;
  readonly #aggregator: SweptAggregation["aggregator"];
  #count = 0;
  #room = 64;

  constructor(aggregator: SweptAggregation["aggregator"]) {
    this.#aggregator = aggregator;
    this.states = makeStates(aggregator, this.#room);
  }

  push(): void {
    if (this.#count === this.#room) {
      this.#room *= 2;
      const longer = makeStates(this.#aggregator, this.#room);
      longer.forEach((column, slot) => copyInto(column, this.states[slot]!));
      this.states = longer;
    }
    this.#aggregator.clear(this.states, this.#count++);
  }
}

function copyInto(into: SlotColumn, from: SlotColumn): void {
  if (ArrayBuffer.isView(into)) (into as Float64Array).set(from as Float64Array);
  else for (let i = 0; i < from.length; i++) into[i] = from[i];
}
