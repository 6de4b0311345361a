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
  readonly #more: Int32Array;

  /** Room for so many spans. */
  constructor(spanCount: number) {
    this.starts = new Float64Array(2 * spanCount);
    this.ends = new Float64Array(2 * spanCount);
    this.firsts = new Int32Array(spanCount);
    this.lasts = new Int32Array(spanCount);
    this.#cuts = new Float64Array(2 * spanCount);
    this.#more = new Int32Array(2 * spanCount);
  }

  /** Cuts spans: [spans[2k], spans[2k + 1]) for every k in `used`, which become spans 0 and following here. */
  cut(spans: Float64Array, used: readonly number[]): void {
    const cuts = this.#cuts;
    let ends = 0;
    for (const k of used) {
      if (!(spans[2 * k]! < spans[2 * k + 1]!)) continue;
      cuts[ends++] = spans[2 * k]!;
      cuts[ends++] = spans[2 * k + 1]!;
    }
    cuts.subarray(0, ends).sort();
    let cutCount = 0;
    for (let c = 0; c < ends; c++) if (c === 0 || cuts[c] !== cuts[c - 1]) cuts[cutCount++] = cuts[c]!;
    // How many more spans hold what follows a cut than hold what comes before it.
    const more = this.#more.fill(0, 0, cutCount);
    for (let i = 0; i < used.length; i++) {
      const [lo, hi] = [spans[2 * used[i]!]!, spans[2 * used[i]! + 1]!];
      this.firsts[i] = lo < hi ? this.#find(lo, cutCount) : -1;
      this.lasts[i] = lo < hi ? this.#find(hi, cutCount) : -1;
      if (!(lo < hi)) continue;
      more[this.firsts[i]!]!++;
      more[this.lasts[i]!]!--;
    }
    let count = 0;
    let holding = 0;
    for (let c = 0; c < cutCount; c++) {
      holding += more[c]!;
      more[c] = count;
      if (holding === 0) continue;
      this.starts[count] = cuts[c]!;
      this.ends[count++] = cuts[c + 1]!;
    }
    this.count = count;
    this.endTogether = true;
    for (let i = 0; i < used.length; i++) {
      const isEmpty = this.firsts[i] === -1;
      this.firsts[i] = isEmpty ? 0 : more[this.firsts[i]!]!;
      this.lasts[i] = isEmpty ? 0 : more[this.lasts[i]!]!;
      if (!isEmpty && this.lasts[i] !== count) this.endTogether = false;
    }
  }

  #find(place: number, count: number): number {
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#cuts[middle]! < place) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
