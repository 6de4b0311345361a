/**
 * The sweep over files whose rows lie in the order of their times: whole slices one after the other, sorted by key and
 * event timestamp. A row's position then stands for its time, and one store per row is all that it costs.
 */
import { fileFactor } from "../engine/file_rows.ts";
import type { Micros, TimeRange } from "../time.ts";
import { noPosition } from "./latest_sweep.ts";

/** More intervals than this (20 years of minutes) are not told apart by a table. */
const mostIntervals = 10_000_000n;
/** A row in one number, as that is what crosses from the engine at least cost: its key's id, its file, its row there. */
const rowBits = 23;
const rowMask = 2 ** rowBits - 1;
/** More rows of a file than have a number, and would be held at once, are none to sweep here. */
const mostRows = 2 ** rowBits;
/** How many files are numbered. */
export const mostFiles = 2 ** (31 - rowBits);

/** SQL of a packed row: of key `id`, with `file_index` and `file_row_number`. */
export function packedSql(id: string): string {
  return `(${id}::BIGINT << 32) + (file_index::BIGINT << ${rowBits}) + file_row_number`;
}

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
  /** How many files hold slices that end in or before interval i, counted from the first start. */
  readonly ended: Int32Array;
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
  return { files: sorted, bounds, ended };
}

/** What is asked: for probe i the last row of key ids[i] in the first ends[i] files, as the answer of rows[i]. */
export interface PlaceProbes {
  readonly ids: Int32Array;
  readonly ends: Int32Array;
  readonly rows: Int32Array;
}

/** One sweep: `add` rows file by file, then `finish`. */
export class PlaceSweep {
  readonly #probes: PlaceProbes;
  readonly #answers: Float64Array;
  /** Probes by how many files they see; those that see the same ones in any order. */
  readonly #queue: Int32Array;
  /** Per key: the position of its last row so far. */
  readonly #last: Float64Array;
  /** How many probes of the queue are answered. */
  #answered = 0;

  /** Answers go to `answers`, which holds `noPosition` where there is none. */
  constructor(probes: PlaceProbes, keyCount: number, fileCount: number, answers: Float64Array) {
    this.#probes = probes;
    this.#answers = answers;
    this.#queue = queueByEnd(probes.ends, fileCount);
    this.#last = new Float64Array(keyCount).fill(noPosition);
  }

  /** Takes rows of a file, in any order, but of no file before those of earlier calls. */
  add({ file, words }: RowsOfFile): void {
    this.#answer(file);
    const last = this.#last;
    const first = file * fileFactor;
    for (let i = 0; i < words.length; i += 2) {
      const position = first + (words[i]! & rowMask);
      const id = words[i + 1]!;
      if (position > last[id]!) last[id] = position;
    }
  }

  /** Answers what still waits. */
  finish(): void {
    this.#answer(Infinity);
  }

  /** Answers the probes that do not see this file. */
  #answer(file: number): void {
    const { ids, ends, rows } = this.#probes;
    const queue = this.#queue;
    const last = this.#last;
    const answers = this.#answers;
    let at = this.#answered;
    for (; at < queue.length; at++) {
      const probe = queue[at]!;
      if (ends[probe]! > file) break;
      answers[rows[probe]!] = last[ids[probe]!]!;
    }
    this.#answered = at;
  }
}

function queueByEnd(ends: Int32Array, fileCount: number): Int32Array {
  const next = new Int32Array(fileCount + 2);
  for (let i = 0; i < ends.length; i++) next[ends[i]! + 1]!++;
  for (let end = 0; end <= fileCount; end++) next[end + 1]! += next[end]!;
  const queue = new Int32Array(ends.length);
  for (let i = 0; i < ends.length; i++) queue[next[ends[i]!]!++] = i;
  return queue;
}

/** Rows of one file: some of the packed ones. */
export interface RowsOfFile {
  readonly file: number;
  readonly words: Int32Array;
}

/** Packed rows file by file, whatever order the engine gives them in: its threads may take turns. */
export function byFile(packed: BigInt64Array, firstFile: number): RowsOfFile[] {
  // Two words instead of a bigint per row: little-endian, as every machine that runs Node is.
  const words = new Int32Array(packed.buffer, packed.byteOffset, 2 * packed.length);
  const runs: RowsOfFile[] = [];
  for (let start = 0, end = 0; start < words.length; start = end) {
    const file = words[start]! >>> rowBits;
    while (end < words.length && words[end]! >>> rowBits === file) end += 2;
    runs.push({ file: firstFile + file, words: words.subarray(start, end) });
  }
  return runs.sort((a, b) => a.file - b.file);
}
