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

/**
 * One sweep: `add` rows, then `finish`. A row belongs to the first probe of its key whose cutoff it does not exceed, where
 * only the newest stays. Each key keeps the probe and the row that it saw last apart from the big arrays: rows of a key
 * mostly come in order and several to a probe, and then touch nothing else.
 */
export class LatestSweep {
  /** The probes of key k are starts[k] … starts[k + 1] − 1. */
  readonly #starts: Int32Array;
  readonly #cutoffs: Times;
  readonly #times: Times;
  readonly #positions: Float64Array;
  /** Per key: the probe that the last row belongs to, its cutoff, and the newest row that it has. */
  readonly #probes: Int32Array;
  readonly #uppers: Times;
  readonly #lastTimes: Times;
  readonly #lastPositions: Float64Array;
  readonly #least: number | bigint;
  readonly #most: number | bigint;

  constructor({ ids, cutoffs, keyCount }: Probes) {
    const starts = new Int32Array(keyCount + 1);
    for (let i = 0; i < ids.length; i++) starts[ids[i]! + 1]!++;
    for (let id = 0; id < keyCount; id++) starts[id + 1]! += starts[id]!;
    this.#starts = starts;
    this.#cutoffs = cutoffs;
    this.#times = timesLike(cutoffs, cutoffs.length);
    this.#positions = new Float64Array(cutoffs.length).fill(noPosition);
    this.#probes = starts.slice(0, keyCount);
    this.#uppers = timesLike(cutoffs, keyCount);
    this.#lastTimes = timesLike(cutoffs, keyCount);
    this.#lastPositions = new Float64Array(keyCount).fill(noPosition);
    const isBig = cutoffs instanceof BigInt64Array;
    this.#least = isBig ? -(2n ** 63n) : -Infinity;
    this.#most = isBig ? 2n ** 63n - 1n : Infinity;
    for (let id = 0; id < keyCount; id++) this.#turnTo(id, starts[id]!);
  }

  /** Takes rows: key ids, times and positions. */
  add(ids: Int32Array, times: Times, positions: Float64Array): void {
    const uppers = this.#uppers;
    const lastTimes = this.#lastTimes;
    const lastPositions = this.#lastPositions;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      const time = times[i]!;
      if (time < lastTimes[id]! || time > uppers[id]!) {
        this.#store(id);
        this.#turnTo(id, this.#probeOf(id, time));
        if (time < lastTimes[id]!) continue;
      }
      lastTimes[id] = time;
      lastPositions[id] = positions[i]!;
    }
  }

  /** Positions by probe; `noPosition` where the key has no row that old. A later probe sees what earlier ones saw. */
  finish(): Float64Array {
    const positions = this.#positions;
    for (let id = 0; id < this.#probes.length; id++) {
      this.#store(id);
      const end = this.#starts[id + 1]!;
      for (let probe = this.#starts[id]! + 1; probe < end; probe++) {
        // What a probe found itself is newer than what the one before it found: it lies between the two cutoffs.
        if (positions[probe] === noPosition) positions[probe] = positions[probe - 1]!;
      }
    }
    return positions;
  }

  /** The probe of the key that a row of this time belongs to; its end when the row is too new for all of them. */
  #probeOf(id: number, time: number | bigint): number {
    const end = this.#starts[id + 1]!;
    const last = this.#probes[id]!;
    // The next one, mostly; then its cutoff is the first that is not below the time.
    if (last + 1 < end && this.#cutoffs[last]! < time && this.#cutoffs[last + 1]! >= time) return last + 1;
    return lowerBound(this.#cutoffs, this.#starts[id]!, end, time);
  }

  /** Keeps what the key's current probe has. */
  #store(id: number): void {
    const probe = this.#probes[id]!;
    if (probe === this.#starts[id + 1]! || this.#lastPositions[id] === noPosition) return;
    this.#times[probe] = this.#lastTimes[id]!;
    this.#positions[probe] = this.#lastPositions[id]!;
  }

  /** Makes a probe the key's current one. Past the last probe every newer row is taken, and never stored. */
  #turnTo(id: number, probe: number): void {
    const isPast = probe === this.#starts[id + 1]!;
    const has = !isPast && this.#positions[probe] !== noPosition;
    this.#probes[id] = probe;
    this.#uppers[id] = isPast ? this.#most : this.#cutoffs[probe]!;
    this.#lastTimes[id] = has ? this.#times[probe]! : this.#least;
    this.#lastPositions[id] = has ? this.#positions[probe]! : noPosition;
  }
}

function timesLike(times: Times, length: number): Times {
  return times instanceof BigInt64Array ? new BigInt64Array(length) : new Float64Array(length);
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
