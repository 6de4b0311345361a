/** Room for rows: few big arrays instead of many small ones, which the collector of garbage would have to look after. */
import { type ColumnKind, type Copied, copiedOf, copyStretch, makeValues, widthOf } from "./columns.ts";

/** A column of an arena. */
export interface ArenaColumn {
  readonly kind: ColumnKind;
  readonly values: Copied;
  /** Made when the first null comes. */
  nulls: Uint8Array | undefined;
}

/** Rows with ids and times. */
export interface Arena {
  readonly ids: Int32Array;
  readonly times: Float64Array;
  readonly columns: readonly ArenaColumn[];
}

/** Room for so many rows. */
export function makeArena(kinds: readonly ColumnKind[], rows: number): Arena {
  return {
    ids: new Int32Array(rows),
    times: new Float64Array(rows),
    columns: kinds.map((kind) => ({ kind, values: copiedOf(makeValues(kind, rows)), nulls: undefined })),
  };
}

/** Copies `size` rows that lie together. */
export function copyRows(into: Arena, at: number, from: Arena, start: number, size: number): void {
  copyStretch(into.ids, at, from.ids, start, size);
  copyStretch(into.times, at, from.times, start, size);
  for (let c = 0; c < into.columns.length; c++) {
    const column = into.columns[c]!;
    const { kind, values, nulls } = from.columns[c]!;
    const width = widthOf(kind);
    copyStretch(column.values, at * width, values, start * width, size * width);
    if (nulls) copyStretch(column.nulls ??= new Uint8Array(into.ids.length), at, nulls, start, size);
    else column.nulls?.fill(0, at, at + size);
  }
}

/** Lets go of values that are objects. */
export function forgetObjects({ columns }: Arena): void {
  for (const { values } of columns) if (Array.isArray(values)) values.fill(null);
}
