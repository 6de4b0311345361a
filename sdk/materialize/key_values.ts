/** What makes the online value of one key after the other: tiles or rows. */
import type { TileReader, TileValue } from "../storage/encoding.ts";
import type { WindowRun } from "./window_batch.ts";

/** Half-open spans of event time in micros, ascending, that do not touch. */
export type Spans = readonly { readonly start: number; readonly end: number }[];

/** `begin`, then rows in order; or `replace`. Then `values`. */
export interface KeyValues {
  /** Starts a key of which nothing is known: all of its rows that matter follow. */
  begin(): void;
  /** Adds rows, which come after those before. A row without a time only names the key. */
  add(run: WindowRun): void;
  /**
   * Starts from an older value of a key, with the rows in the changed spans replaced by those in `runs`. False: the older
   * value does not say enough, and only the whole table does.
   */
  replace(old: TileReader, runs: readonly WindowRun[], changed: Spans): boolean;
  /** The instant after the newest row or tile; undefined where there is none. */
  readonly end: number | undefined;
  /** How many rows were left out, since there are too many newer ones. */
  readonly leftOut: number;
  /** The value that requests find, and behind totals that of the tiles; their arrays are used again for the next key. */
  values(sequence: bigint): readonly TileValue[];
}

/** Goes through an older value's rows and the new ones in order of time; what the older has in changed spans is left out. */
export function replaceSpans(
  old: TileReader,
  runs: readonly WindowRun[],
  changed: Spans,
  addOld: (from: number, to: number) => void,
  add: (run: WindowRun) => void,
): void {
  const count = old.count(0);
  const find = (time: number) => count === 0 ? 0 : old.find(0, Math.ceil(time / old.unit));
  let row = 0;
  let run = 0;
  let next = 0;
  for (const { start, end } of changed) {
    addOld(row, find(start));
    row = find(end);
    for (; run < runs.length; run++, next = 0) {
      const { rows, from, to } = runs[run]!;
      const first = Math.max(from, next);
      next = first;
      // Rows without a time compare false, and go along.
      while (next < to && !(rows.times[next]! >= end)) next++;
      if (next > first) add({ rows, from: first, to: next });
      if (next < to) break;
    }
  }
  addOld(row, count);
}
