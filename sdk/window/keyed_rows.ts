/** Rows sorted by key and time: a counting sort by key, and by time only where rows did not come in order. */
import {
  type Column,
  type ColumnKind,
  type Copied,
  copiedOf,
  copyByOrder,
  copyStretch,
  makeValues,
  noNulls,
  scatter,
  type Values,
  widthOf,
} from "./columns.ts";
import { blockRows, type PartRows, type RowBlocks } from "./row_blocks.ts";

/** Rows of neighbouring key ids, sorted by id, then time, then ties. */
export interface KeyedRows {
  readonly firstId: number;
  readonly idCount: number;
  /** The rows of id `firstId + k` are `starts[k]` … `starts[k + 1] - 1`. */
  readonly starts: Int32Array;
  /** May be longer than there are rows, as the columns may. */
  readonly times: Float64Array;
  readonly columns: readonly Column[];
}

interface SortedColumn {
  readonly kind: ColumnKind;
  readonly values: Values;
  /** The same memory. */
  readonly copied: Copied;
  nulls: Uint8Array | undefined;
}

/** Sorts parts of rows, one after the other, in the same memory. */
export class KeySorter {
  readonly #kinds: readonly ColumnKind[];
  readonly #ties: readonly number[];
  #places = new Int32Array(0);
  #times = new Float64Array(0);
  #columns: SortedColumn[];

  /**
   * @param kinds the columns
   * @param ties columns of doubles that order rows of equal key and time, one after the other; what they leave stays as it came
   */
  constructor(kinds: readonly ColumnKind[], ties: readonly number[] = []) {
    this.#kinds = kinds;
    this.#ties = ties;
    this.#columns = this.#makeColumns(0);
  }

  /** The rows of a part. The arrays are used again by the next call. */
  sort(blocks: RowBlocks, part: number): KeyedRows {
    const { firstId, idCount } = blocks.idsOf(part);
    const rows = blocks.load(part);
    this.#makeRoom(rows.count);
    const starts = new Int32Array(idCount + 1);
    for (let at = 0, b = 0; at < rows.count; at += blockRows, b++) {
      const { arena: { ids }, start } = rows.blocks[b]!;
      const end = start + Math.min(blockRows, rows.count - at);
      for (let i = start; i < end; i++) starts[ids[i]! - firstId + 1]!++;
    }
    for (let k = 0; k < idCount; k++) starts[k + 1]! += starts[k]!;
    this.#placeRows(rows, firstId, starts.slice(0, idCount));
    this.#scatterRows(rows);
    this.#sortByTime(starts);
    return { firstId, idCount, starts, times: this.#times, columns: this.#columns };
  }

  /** By row its place, for each id the next one. */
  #placeRows({ blocks, ends, order }: PartRows, firstId: number, next: Int32Array): void {
    const places = this.#places;
    for (let s = 0; s < order.length; s++) {
      const stretch = order[s]!;
      const end = ends[stretch]!;
      for (let at = stretch === 0 ? 0 : ends[stretch - 1]!; at < end;) {
        const into = at % blockRows;
        const { arena: { ids }, start } = blocks[(at - into) / blockRows]!;
        const stop = Math.min(end, at - into + blockRows);
        for (let i = start + into; at < stop; i++, at++) places[at] = next[ids[i]! - firstId]!++;
      }
    }
  }

  #scatterRows({ count, blocks }: PartRows): void {
    const places = this.#places;
    const target = { place: 0, rows: this.#times.length };
    for (const [c, column] of this.#columns.entries()) {
      const hasNulls = blocks.some(({ arena }) => arena.columns[c]!.nulls !== undefined);
      column.nulls = hasNulls ? column.nulls ?? new Uint8Array(this.#times.length) : undefined;
    }
    for (let at = 0, b = 0; at < count; at += blockRows, b++) {
      const { arena: { times, columns }, start } = blocks[b]!;
      const size = Math.min(blockRows, count - at);
      scatter("float64", this.#times, target, times, start, places, at, size);
      for (let c = 0; c < columns.length; c++) {
        const { kind, copied, nulls } = this.#columns[c]!;
        const { values, nulls: given } = columns[c]!;
        scatter(kind, copied, target, values, start, places, at, size);
        if (nulls) scatter("byte", nulls, target, given ?? noNulls(start + size), start, places, at, size);
      }
    }
  }

  #makeColumns(count: number): SortedColumn[] {
    return this.#kinds.map((kind) => {
      const values = makeValues(kind, count);
      return { kind, values, copied: copiedOf(values), nulls: undefined };
    });
  }

  #makeRoom(count: number): void {
    if (this.#times.length >= count) return;
    // Let go of the old room before taking more.
    this.#columns = this.#makeColumns(0);
    const room = count + (count >> 3);
    this.#times = new Float64Array(room);
    this.#places = new Int32Array(room);
    this.#columns = this.#makeColumns(room);
  }

  #sortByTime(starts: Int32Array): void {
    const times = this.#times;
    const ties = this.#ties.map((c) => this.#columns[c]!.values as Float64Array);
    const isAfter = comparison(times, ties);
    for (let k = 0; k + 1 < starts.length; k++) {
      const end = starts[k + 1]!;
      for (let i = starts[k]! + 1; i < end; i++) {
        if (times[i - 1]! < times[i]! || !isAfter(i - 1, i)) continue;
        sortStretch(starts[k]!, end, times, this.#columns, isAfter);
        break;
      }
    }
  }
}

/** Whether row i comes after row j. */
type Comparison = (i: number, j: number) => boolean;

function comparison(times: Float64Array, ties: readonly Float64Array[]): Comparison {
  return (i, j) => {
    if (times[i] !== times[j]) return times[i]! > times[j]!;
    for (const tie of ties) if (tie[i] !== tie[j]) return tie[i]! > tie[j]!;
    return false;
  };
}

/** Puts [start, end) in order by merging the runs in it that are: as many passes as their number has bits. */
function sortStretch(
  start: number,
  end: number,
  times: Float64Array,
  columns: readonly SortedColumn[],
  isAfter: Comparison,
): void {
  const count = end - start;
  let order = new Int32Array(count);
  for (let i = 0; i < count; i++) order[i] = start + i;
  if (count <= mostInserted) insertInOrder(order, isAfter);
  else {
    let merged = new Int32Array(count);
    let runs = [start];
    for (let i = start + 1; i < end; i++) if (isAfter(i - 1, i)) runs.push(i);
    runs.push(end);
    while (runs.length > 2) {
      const longer = [start];
      for (let r = 0; r + 1 < runs.length; r += 2) {
        const last = runs[r + 2] ?? runs[r + 1]!;
        mergeRuns(order, merged, runs[r]! - start, runs[r + 1]! - start, last - start, isAfter);
        longer.push(last);
      }
      runs = longer;
      [order, merged] = [merged, order];
    }
  }
  applyOrder("float64", times, order, start);
  for (const { kind, copied, nulls } of columns) {
    applyOrder(kind, copied, order, start);
    if (nulls) applyOrder("byte", nulls, order, start);
  }
}

/** Below this, shifting costs less than merging. */
const mostInserted = 32;

function insertInOrder(order: Int32Array, isAfter: Comparison): void {
  for (let i = 1; i < order.length; i++) {
    const row = order[i]!;
    let at = i;
    for (; at > 0 && isAfter(order[at - 1]!, row); at--) order[at] = order[at - 1]!;
    order[at] = row;
  }
}

function applyOrder(kind: ColumnKind | "byte", values: Copied, order: Int32Array, start: number): void {
  const width = kind === "byte" ? 1 : widthOf(kind);
  const size = order.length * width;
  const sorted = Array.isArray(values)
    ? new Array<unknown>(size)
    : new (values.constructor as Float64ArrayConstructor)(size);
  copyByOrder(kind, sorted, 0, values, order, 0, order.length);
  copyStretch(values, start * width, sorted, 0, size);
}

function mergeRuns(
  from: Int32Array,
  into: Int32Array,
  start: number,
  middle: number,
  end: number,
  isAfter: Comparison,
): void {
  let left = start;
  let right = middle;
  for (let at = start; at < end; at++) {
    const takesLeft = right >= end || (left < middle && !isAfter(from[left]!, from[right]!));
    into[at] = from[takesLeft ? left++ : right++]!;
  }
}
