/** The answers of one aggregation: values of its windows, probe by probe. */
import { type Aggregator, makeStates } from "./aggregator.ts";
import type { KeyedRows } from "./keyed_rows.ts";
import { adderOf, type Leaves } from "./leaves.ts";
import { type Finish, type RangeStates, rangeStates, type RowAdder } from "./range_states.ts";
import type { ResultColumn } from "./result_column.ts";

/** One feature: an aggregation over a span, or over several for a series. */
export interface SweptFeature {
  /** Its place among the results. */
  readonly place: number;
  /** Spans of the view's edges. */
  readonly spans: readonly number[];
  readonly isSeries: boolean;
  /** Whether it is the list of secondary keys. */
  readonly isKeys: boolean;
}

interface ShownFeature extends SweptFeature {
  readonly finish: Finish;
  /** The value of a window without rows (S7). */
  readonly empty: unknown;
}

/** See the head of this file. */
export class SweptAnswers {
  readonly #aggregator: Aggregator;
  readonly #leaves: Leaves;
  readonly #features: readonly ShownFeature[];
  readonly #spanCount: number;
  readonly #ranges: RangeStates;
  #rows: RowAdder = { add: () => undefined };

  constructor(aggregator: Aggregator, leaves: Leaves, features: readonly SweptFeature[], spanCount: number) {
    this.#aggregator = aggregator;
    this.#leaves = leaves;
    this.#features = features.map((feature) => ({ ...feature, ...endings(aggregator, feature.isKeys) }));
    this.#spanCount = spanCount;
    this.#ranges = rangeStates(aggregator);
  }

  /** Turns to other rows. */
  begin(rows: KeyedRows): void {
    this.#rows = adderOf(this.#aggregator, this.#leaves, rows);
  }

  /** Adds up the rows of a key between bounds. */
  build(bounds: Int32Array, count: number): void {
    this.#ranges.build(bounds, count, this.#rows);
  }

  /** Writes the values of probes of the key; `los` and `his` have the bounds of their windows, from the first probe on. */
  write(los: Int32Array, his: Int32Array, first: number, end: number, columns: readonly ResultColumn[]): void {
    const spanCount = this.#spanCount;
    for (const feature of this.#features) {
      const { place, spans, isSeries } = feature;
      const column = columns[place]!;
      if (isSeries) {
        for (let probe = first, at = 0; probe < end; probe++, at += spanCount) {
          column.set(probe, spans.map((span) => this.#value(feature, span, los[at + span]!, his[at + span]!)));
        }
        continue;
      }
      if (this.#ranges.write) {
        this.#ranges.write({ los, his, at: spans[0]!, step: spanCount, first, end }, column);
        continue;
      }
      let a = 0;
      let b = 0;
      let value = feature.empty;
      for (let probe = first, at = spans[0]!; probe < end; probe++, at += spanCount) {
        // Probes of one schedule interval mostly see the same rows.
        if (los[at] !== a || his[at] !== b) {
          a = los[at]!;
          b = his[at]!;
          value = this.#value(feature, spans[0]!, a, b);
        }
        column.set(probe, value);
      }
    }
  }

  #value({ finish, empty }: ShownFeature, span: number, a: number, b: number): unknown {
    return b > a ? this.#ranges.value(span, a, b, finish) : empty;
  }
}

/** How states of an aggregator become values, and what that gives for no rows. */
export function endings(aggregator: Aggregator, isKeys: boolean): Pick<ShownFeature, "finish" | "empty"> {
  const { grouped } = aggregator;
  const finish: Finish = isKeys && grouped
    ? (states, i) => grouped.keys(states, i)
    : (states, i) => aggregator.finalize(states, i);
  const states = makeStates(aggregator, 1);
  aggregator.clear(states, 0);
  return { finish, empty: finish(states, 0) };
}
