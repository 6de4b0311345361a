/**
 * The sweep: for every probe (a key at an instant) the values of all windows, over rows or tiles sorted by key and time. Bounds
 * of windows only move forward with time, so they are found by walking, and the cost does not depend on how long windows are.
 */
import type { Aggregator } from "./aggregator.ts";
import type { WindowEdges } from "./edges.ts";
import type { KeyedRows } from "./keyed_rows.ts";
import type { Leaves } from "./leaves.ts";
import type { ResultColumn } from "./result_column.ts";
import { SweptAnswers, type SweptFeature } from "./swept_answers.ts";

/** One aggregation over columns of the rows. */
export interface SweptAggregation {
  readonly aggregator: Aggregator;
  readonly leaves: Leaves;
  /** The features that show it. */
  readonly features: readonly SweptFeature[];
}

/** What is computed. */
export interface SweepPlan {
  readonly edges: WindowEdges;
  /** Event times below this are known at t; grows with t. */
  readonly visibleAt: (t: number) => number;
  readonly aggregations: readonly SweptAggregation[];
}

/** Where the answers go: row i is that of the i-th probe. */
export interface SweepResults {
  /** By place of the feature. */
  readonly features: readonly ResultColumn[];
  /** What was visible to the probe, if any row of its key lies in any window; else NaN. */
  readonly seen: Float64Array;
}

/** Answers all probes of a range of keys. */
export class Sweep {
  readonly #plan: SweepPlan;
  readonly #answers: readonly SweptAnswers[];
  /** 1 for spans that a feature shows; others only say whether there are rows. */
  readonly #isShown: Uint8Array;
  readonly #span: Float64Array;
  /** By probe and span: the bounds of its rows. */
  #los = new Int32Array(0);
  #his = new Int32Array(0);
  /** By position of a row: the number of the bound that lies before it. */
  #boundAt = new Int32Array(0);
  #bounds = new Int32Array(0);

  constructor(plan: SweepPlan) {
    this.#plan = plan;
    const { spanCount } = plan.edges;
    this.#span = new Float64Array(2 * spanCount);
    this.#isShown = new Uint8Array(spanCount);
    for (const { features } of plan.aggregations) {
      for (const { spans } of features) for (const span of spans) this.#isShown[span] = 1;
    }
    this.#answers = plan.aggregations.map(({ aggregator, leaves, features }) =>
      new SweptAnswers(aggregator, leaves, features, spanCount)
    );
  }

  /** Answers probes in their order. Rows and probes are of the same range of ids. */
  run(rows: KeyedRows, probes: KeyedRows, results: SweepResults): void {
    for (const answers of this.#answers) answers.begin(rows);
    for (const column of results.features) column.clear();
    for (let k = 0; k < probes.idCount; k++) {
      const first = probes.starts[k]!;
      const end = probes.starts[k + 1]!;
      if (end === first) continue;
      const start = rows.starts[k]!;
      const stop = rows.starts[k + 1]!;
      this.#findBounds(rows.times, start, stop, probes.times, first, end, results.seen);
      const bounds = this.#numberBounds(start, stop, end - first);
      for (const answers of this.#answers) {
        if (bounds > 0) answers.build(this.#bounds, bounds);
        answers.write(this.#los, this.#his, first, end, results.features);
      }
    }
  }

  /** Positions of the first rows in and after every span of every probe. */
  #findBounds(
    times: Float64Array,
    start: number,
    stop: number,
    probes: Float64Array,
    first: number,
    end: number,
    seen: Float64Array,
  ): void {
    const { edges, visibleAt } = this.#plan;
    const { spanCount } = edges;
    const size = (end - first) * spanCount;
    if (this.#los.length < size) {
      this.#los = new Int32Array(size + (size >> 1));
      this.#his = new Int32Array(this.#los.length);
    }
    const los = this.#los;
    const his = this.#his;
    const span = this.#span;
    for (let probe = first, at = 0; probe < end; probe++) {
      const t = probes[probe]!;
      const visible = visibleAt(t);
      edges.spansAt(t, visible, span);
      let isPresent = false;
      // Spans mostly end together.
      let endTime = NaN;
      let hi = start;
      for (let s = 0; s < spanCount; s++, at++) {
        const isFirst = probe === first;
        const lo = walk(times, isFirst ? start : los[at - spanCount]!, stop, span[2 * s]!);
        if (span[2 * s + 1] !== endTime) {
          endTime = span[2 * s + 1]!;
          hi = walk(times, isFirst ? start : his[at - spanCount]!, stop, endTime);
        }
        los[at] = lo;
        his[at] = hi;
        if (hi > lo) isPresent = true;
      }
      seen[probe] = isPresent ? visible : NaN;
    }
  }

  /** Replaces positions by numbers of bounds, equal where a span is empty; gives how many bounds there are. */
  #numberBounds(start: number, stop: number, probeCount: number): number {
    const rows = stop - start;
    if (this.#boundAt.length <= rows) {
      this.#boundAt = new Int32Array(rows + (rows >> 1) + 1);
      this.#bounds = new Int32Array(this.#boundAt.length);
    }
    const boundAt = this.#boundAt.fill(0, 0, rows + 1);
    const los = this.#los;
    const his = this.#his;
    const isShown = this.#isShown;
    const spanCount = isShown.length;
    const size = probeCount * spanCount;
    for (let at = 0, s = 0; at < size; at++) {
      if (isShown[s] === 1 && his[at]! > los[at]!) {
        boundAt[los[at]! - start] = 1;
        boundAt[his[at]! - start] = 1;
      }
      if (++s === spanCount) s = 0;
    }
    // Whether a row is a bound cannot be foretold: so all are written, and those that are not are written over.
    const bounds = this.#bounds;
    let count = 0;
    for (let i = 0; i <= rows; i++) {
      const isBound = boundAt[i]!;
      bounds[count] = start + i;
      boundAt[i] = count;
      count += isBound;
    }
    for (let at = 0; at < size; at++) {
      const isEmpty = his[at]! <= los[at]!;
      los[at] = isEmpty ? 0 : boundAt[los[at]! - start]!;
      his[at] = isEmpty ? 0 : boundAt[his[at]! - start]!;
    }
    return count;
  }
}

/** Rows that are looked at one by one before larger steps are taken. */
const nearRows = 12;

/** The first position from `from` on that is not before the time: mostly near, else found by longer and longer steps. */
function walk(times: Float64Array, from: number, stop: number, time: number): number {
  const near = from + nearRows < stop ? from + nearRows : stop;
  while (from < near && times[from]! < time) from++;
  if (from < near || from === stop || times[from]! >= time) return from;
  let low = from; // is before the time
  let step = 1;
  while (low + step < stop && times[low + step]! < time) {
    low += step;
    step *= 2;
  }
  let high = Math.min(low + step, stop);
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (times[middle]! < time) low = middle;
    else high = middle;
  }
  return high;
}
