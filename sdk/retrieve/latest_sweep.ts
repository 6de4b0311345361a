/**
 * Finds, for many probes (key, cutoff), the newest row of the key at or before the cutoff, in one pass over the rows in any
 * order. Keys are dense ids and times are numbers, so the pass touches typed arrays only: a third of what a sort costs.
 */

/** Times as offsets in micros: doubles where the span allows it, which is below 285 years, else bigints. */
export type Times = Float64Array | BigInt64Array;

/** Probes, sorted by key id and then by cutoff. */
export interface Probes {
  /** The key of probe i; ids are 0 … keyCount − 1. */
  readonly ids: Int32Array;
  readonly cutoffs: Times;
  readonly keyCount: number;
}

/** No row was found. */
export const noPosition = -1;

/** One sweep: `add` rows, then `finish`. */
export class LatestSweep {
  readonly #starts: Int32Array;
  /** Per key: where the row before was placed. Rows of a key mostly come in order, so the next place is near. */
  readonly #cursors: Int32Array;
  readonly #cutoffs: Times;
  readonly #times: Times;
  readonly #positions: Float64Array;

  constructor(probes: Probes) {
    const starts = new Int32Array(probes.keyCount + 1);
    for (const id of probes.ids) starts[id + 1]!++;
    for (let id = 0; id < probes.keyCount; id++) starts[id + 1]! += starts[id]!;
    this.#starts = starts;
    this.#cursors = starts.slice(0, probes.keyCount);
    this.#cutoffs = probes.cutoffs;
    const count = probes.cutoffs.length;
    this.#times = probes.cutoffs instanceof BigInt64Array ? new BigInt64Array(count) : new Float64Array(count);
    this.#positions = new Float64Array(count).fill(noPosition);
  }

  /**
   * Takes rows: key ids, times and row numbers; `base` is added to the row number to give the position.
   * A row belongs to the first probe of its key whose cutoff it does not exceed; there the newest row stays.
   */
  add(ids: Int32Array, times: Times, rows: Float64Array, base: number): void {
    const starts = this.#starts;
    const cursors = this.#cursors;
    const cutoffs = this.#cutoffs;
    const newest = this.#times;
    const positions = this.#positions;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      const time = times[i]!;
      const start = starts[id]!;
      const end = starts[id + 1]!;
      let probe = cursors[id]!;
      if (probe < end && cutoffs[probe]! < time) probe++;
      if ((probe < end && cutoffs[probe]! < time) || (probe > start && cutoffs[probe - 1]! >= time)) {
        probe = lowerBound(cutoffs, start, end, time);
      }
      cursors[id] = probe;
      if (probe === end || (positions[probe] !== noPosition && newest[probe]! >= time)) continue;
      newest[probe] = time;
      positions[probe] = base + rows[i]!;
    }
  }

  /** Positions by probe; `noPosition` where the key has no row that old. A later probe sees what earlier ones saw. */
  finish(): Float64Array {
    const positions = this.#positions;
    for (let id = 0; id + 1 < this.#starts.length; id++) {
      const end = this.#starts[id + 1]!;
      for (let probe = this.#starts[id]! + 1; probe < end; probe++) {
        // What a probe found itself is newer than what the one before it found: it lies between the two cutoffs.
        if (positions[probe] === noPosition) positions[probe] = positions[probe - 1]!;
      }
    }
    return positions;
  }
}

/** The first place in [low, high) that is not below the time; `high` when all are. */
function lowerBound(values: Times, low: number, high: number, time: number | bigint): number {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
