/**
 * The sweep over files whose rows lie in the order of their times: whole slices one after the other, sorted by key and
 * event timestamp. A row's position then stands for its time, and one store per row is all that it costs.
 */
import { fileFactor } from "../engine/file_rows.ts";
import type { Micros, TimeRange } from "../time.ts";
import { noPosition } from "./latest_sweep.ts";

/** More intervals than this (20 years of minutes) are not told apart by a table. */
const mostIntervals = 10_000_000n;
/** The rows of a file are held at once; more than this are not. */
const mostRows = 8_000_000;

/** A file that may hold a whole slice. */
export interface PlacedFile {
  readonly rows: number;
  readonly slice?: TimeRange;
}

/** Files by slice, and from when on each is seen. */
export interface PlaceOrder<File extends PlacedFile> {
  readonly files: readonly File[];
  /** From the start of the first slice to the last micro of the last one. */
  readonly bounds: { readonly min: Micros; readonly max: Micros };
  /** How many files hold slices that have ended by a cutoff, which is the last micro of an interval, as an offset from the first start. */
  filesBy(cutoff: number): number;
}

/** The order of the files' places, if every file holds a slice of one interval: then no cutoff falls into a slice. */
export function placeOrder<File extends PlacedFile>(
  files: readonly File[],
  interval: Micros | undefined,
): PlaceOrder<File> | undefined {
  if (interval === undefined || files.length === 0) return undefined;
  const fits = ({ slice, rows }: File) =>
    slice !== undefined && slice.start % interval === 0n && slice.end === slice.start + interval && rows <= mostRows;
  if (!files.every(fits)) return undefined;
  const sorted = [...files].sort((a, b) =>
    a.slice!.start < b.slice!.start ? -1 : a.slice!.start > b.slice!.start ? 1 : 0
  );
  const bounds = { min: sorted[0]!.slice!.start, max: sorted.at(-1)!.slice!.end - 1n };
  const intervals = (bounds.max + 1n - bounds.min) / interval;
  if (intervals > mostIntervals) return undefined;
  const ended = new Int32Array(Number(intervals));
  for (const { slice } of sorted) ended[Number((slice!.start - bounds.min) / interval)]!++;
  for (let i = 1; i < ended.length; i++) ended[i]! += ended[i - 1]!;
  const length = Number(interval);
  return { files: sorted, bounds, filesBy: (cutoff) => ended[Math.floor(cutoff / length)]! };
}

/** What is asked: for probe i the last row of key ids[i] in the first ends[i] files; by ends. */
export interface PlaceProbes {
  readonly ids: Int32Array;
  readonly ends: Int32Array;
  readonly rows: Int32Array;
}

/** Probes by how many files they see. */
export function dealByEnd({ ids, ends, rows }: PlaceProbes, fileCount: number): PlaceProbes {
  const next = new Int32Array(fileCount + 2);
  for (let i = 0; i < ends.length; i++) next[ends[i]! + 1]!++;
  for (let end = 0; end <= fileCount; end++) next[end + 1]! += next[end]!;
  const dealt = { ids: new Int32Array(ids.length), ends: new Int32Array(ids.length), rows: new Int32Array(ids.length) };
  for (let i = 0; i < ends.length; i++) {
    const place = next[ends[i]!]!++;
    dealt.ids[place] = ids[i]!;
    dealt.ends[place] = ends[i]!;
    dealt.rows[place] = rows[i]!;
  }
  return dealt;
}

/** One sweep: `add` rows file by file, then `finish`. */
export class PlaceSweep {
  readonly #probes: PlaceProbes;
  readonly #found: Float64Array;
  /** Per key: the position of its last row so far. */
  readonly #last: Float64Array;
  /** The first probe that still waits, and the first position that it does not see. */
  #next = 0;
  #bound: number;

  constructor(probes: PlaceProbes, keyCount: number) {
    this.#probes = probes;
    this.#found = new Float64Array(probes.ids.length).fill(noPosition);
    this.#last = new Float64Array(keyCount).fill(noPosition);
    this.#bound = this.#boundOf(0);
  }

  /** Takes rows of a file, in any order, but of no file before those of earlier calls. */
  add(ids: Int32Array, positions: Float64Array): void {
    const last = this.#last;
    let bound = this.#bound;
    for (let i = 0; i < ids.length; i++) {
      const position = positions[i]!;
      if (position >= bound) bound = this.#answer(position);
      const id = ids[i]!;
      if (position > last[id]!) last[id] = position;
    }
  }

  /** Positions by probe; `noPosition` where the key has no such row. */
  finish(): Float64Array {
    this.#answer(Infinity);
    return this.#found;
  }

  /** Answers the probes that do not see this position; gives the bound of the next one. */
  #answer(position: number): number {
    const { ids } = this.#probes;
    while (this.#next < ids.length && this.#boundOf(this.#next) <= position) {
      this.#found[this.#next] = this.#last[ids[this.#next]!]!;
      this.#next++;
    }
    this.#bound = this.#boundOf(this.#next);
    return this.#bound;
  }

  #boundOf(probe: number): number {
    return probe < this.#probes.ends.length ? this.#probes.ends[probe]! * fileFactor : Infinity;
  }
}

/** Rows of some files, as the engine gives them. */
export interface PlacedRows {
  readonly ids: Int32Array;
  readonly positions: Float64Array;
}

/** The same rows file by file, whatever order the engine gives them in: its threads may take turns. */
export function byFile(batches: readonly PlacedRows[]): PlacedRows[] {
  const runs: PlacedRows[] = [];
  for (const { ids, positions } of batches) {
    let start = 0;
    let low = 0;
    let high = 0;
    for (let i = 0; i <= positions.length; i++) {
      const position = positions[i] ?? Infinity;
      if (position >= low && position < high) continue;
      if (i > start) runs.push({ ids: ids.subarray(start, i), positions: positions.subarray(start, i) });
      start = i;
      low = Math.floor(position / fileFactor) * fileFactor;
      high = low + fileFactor;
    }
  }
  return runs.sort((a, b) => Math.floor(a.positions[0]! / fileFactor) - Math.floor(b.positions[0]! / fileFactor));
}
