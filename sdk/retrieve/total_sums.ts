/** Finds totals: the state of a window is that of everything from its first tile on, which was added up beforehand. */
import type { TileReader } from "../storage/encoding.ts";
import type { OnlinePlan } from "../window/online_plan.ts";
import type { SummedAggregation } from "./online_windows.ts";

/** Reads totals. */
export class TotalSums {
  readonly #plan: OnlinePlan;
  readonly #aggregations: readonly SummedAggregation[];

  constructor(plan: OnlinePlan, aggregations: readonly SummedAggregation[]) {
    this.#plan = plan;
    this.#aggregations = aggregations;
  }

  /** Reads the open value. Gives whether anything is in a span; place k of the states is that of span `used[k]`. */
  add(reader: TileReader, spans: Float64Array, used: readonly number[]): boolean {
    let isPresent = false;
    for (let k = 0; k < used.length; k++) {
      const lo = spans[2 * used[k]!]!;
      if (lo === -Infinity) {
        if (reader.hasTail) isPresent = true;
        this.#readAll(reader, k);
        continue;
      }
      const row = reader.levelCount === 0 ? 0 : reader.find(0, Math.ceil(lo / reader.unit));
      const isFound = row < reader.count(0);
      if (isFound) isPresent = true;
      this.#read(reader, k, isFound ? row : -1);
    }
    return isPresent;
  }

  #read(reader: TileReader, place: number, row: number): void {
    for (const { aggregator, states, place: aggregation } of this.#aggregations) {
      if (row < 0) {
        aggregator.clear(states, place);
        continue;
      }
      const { firstSlot } = this.#plan.aggregations[aggregation]!;
      for (let slot = 0; slot < states.length; slot++) {
        reader.read(0, firstSlot + slot, row, row + 1, states[slot]!, place);
      }
    }
  }

  #readAll(reader: TileReader, place: number): void {
    for (const { aggregator, states, place: aggregation } of this.#aggregations) {
      const { firstSlot } = this.#plan.aggregations[aggregation]!;
      if (!reader.hasTail) aggregator.clear(states, place);
      else for (let slot = 0; slot < states.length; slot++) reader.readTail(firstSlot + slot, states[slot]!, place);
    }
  }
}
