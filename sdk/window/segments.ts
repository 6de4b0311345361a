/**
 * Spans cut where any of them begins or ends: what lies between two cuts is added up once, for all spans that hold it. Windows of
 * one view mostly end together, so that a short one is the end of every longer one.
 */

/** The segments of some spans. */
export class Segments {
  /** How many there are; the arrays may be longer. Segments that no span holds are left out. */
  count = 0;
  /** Segment s is [starts[s], ends[s]); the first may start at -Infinity. */
  readonly starts: Float64Array;
  readonly ends: Float64Array;
  /** Span k is made of segments firsts[k] … lasts[k] - 1; equal for an empty one. */
  readonly firsts: Int32Array;
  readonly lasts: Int32Array;
  /** Whether all spans that are not empty reach to the end of the last segment. */
  endTogether = true;
  readonly #cuts: Float64Array;

  /** Room for so many spans. */
  constructor(spanCount: number) {
    this.starts = new Float64Array(2 * spanCount);
    this.ends = new Float64Array(2 * spanCount);
    this.firsts = new Int32Array(spanCount);
    this.lasts = new Int32Array(spanCount);
    this.#cuts = new Float64Array(2 * spanCount);
  }

  /** Cuts spans: [spans[2k], spans[2k + 1]) for every k in `used`, which become spans 0 and following here. */
  cut(spans: Float64Array, used: readonly number[]): void {
    const cuts = this.#cuts;
    let cutCount = 0;
    for (const k of used) {
      if (!(spans[2 * k]! < spans[2 * k + 1]!)) continue;
      cuts[cutCount++] = spans[2 * k]!;
      cuts[cutCount++] = spans[2 * k + 1]!;
    }
    cuts.subarray(0, cutCount).sort();
    let count = 0;
    for (let c = 0; c + 1 < cutCount; c++) {
      const start = cuts[c]!;
      const end = cuts[c + 1]!;
      if (start === end || !used.some((k) => spans[2 * k]! <= start && end <= spans[2 * k + 1]!)) continue;
      this.starts[count] = start;
      this.ends[count++] = end;
    }
    this.count = count;
    this.endTogether = true;
    for (let i = 0; i < used.length; i++) {
      const lo = spans[2 * used[i]!]!;
      const hi = spans[2 * used[i]! + 1]!;
      let first = 0;
      while (first < count && this.starts[first]! < lo) first++;
      let last = first;
      while (last < count && this.ends[last]! <= hi) last++;
      this.firsts[i] = first;
      this.lasts[i] = lo < hi ? last : first;
      if (lo < hi && last < count) this.endTogether = false;
    }
  }
}
