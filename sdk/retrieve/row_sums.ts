/** Adds up the rows that are kept of a key with `edge: "exact"`. */
import type { TileReader } from "../storage/encoding.ts";
import type { OnlinePlan } from "../window/online_plan.ts";
import type { Segments } from "../window/segments.ts";
import type { SegmentSums, SummedAggregation } from "./online_windows.ts";

/** Sums of rows. */
export class RowSums implements SegmentSums {
  readonly #plan: OnlinePlan;
  readonly #aggregations: readonly SummedAggregation[];
  /** The columns that are read, by place; rows from the first one of the first segment on. */
  readonly #columns: readonly (unknown[] | undefined)[];
  readonly #times: number[] = [];

  constructor(plan: OnlinePlan, aggregations: readonly SummedAggregation[]) {
    this.#plan = plan;
    this.#aggregations = aggregations;
    const read = new Set(aggregations.flatMap(({ place }) => {
      const { input, by, where } = plan.aggregations[place]!;
      return [input, by, where];
    }));
    read.add(plan.secondaryKey);
    this.#columns = plan.columns.map((_, column) => read.has(column) ? [] : undefined);
  }

  add(reader: TileReader, { count, starts, ends }: Segments): boolean {
    if (reader.levelCount === 0 || count === 0) return false;
    const find = (time: number) => reader.find(0, Math.ceil(time / reader.unit));
    const first = starts[0] === -Infinity ? 0 : find(starts[0]!);
    const end = find(ends[count - 1]!);
    if (end <= first) return false;
    for (let row = first; row < end; row++) this.#times[row - first] = reader.place(0, row) * reader.unit;
    for (const [place, column] of this.#columns.entries()) if (column) reader.read(0, place, first, end, column, 0);
    let hasRows = false;
    for (let s = 0; s < count; s++) {
      const from = s === 0 ? 0 : find(starts[s]!) - first;
      const to = find(ends[s]!) - first;
      if (to > from) hasRows = true;
      for (const aggregation of this.#aggregations) this.#sum(aggregation, s, from, to);
    }
    return hasRows;
  }

  #sum({ aggregator, states, place }: SummedAggregation, segment: number, from: number, to: number): void {
    const plan = this.#plan.aggregations[place]!;
    const columns = this.#columns;
    const [inputs, bys, wheres] = [columns[plan.input], columns[plan.by], columns[plan.where]];
    const keys = columns[this.#plan.secondaryKey];
    aggregator.clear(states, segment);
    for (let row = from; row < to; row++) {
      let value = inputs?.[row];
      if (wheres && wheres[row] !== true) value = null;
      const isCounted = inputs || wheres ? value !== null : true;
      if (!isCounted && !aggregator.grouped) continue;
      aggregator.update(states, segment, value, this.#times[row]!, bys ? bys[row] : null, keys?.[row]);
    }
  }
}
