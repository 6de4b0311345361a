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
  /** Room for the few rows that most keys have. */
  readonly few: Copied;
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
    return this.#kinds.map((kind) => sortedColumn(kind, makeValues(kind, count)));
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
    const timeColumn = sortedColumn("float64", times);
    const ties = this.#ties.map((c) => this.#columns[c]!.values as Float64Array);
    const isAfter = comparison(times, ties);
    for (let k = 0; k + 1 < starts.length; k++) {
      const end = starts[k + 1]!;
      for (let i = starts[k]! + 1; i < end; i++) {
        if (times[i - 1]! < times[i]! || !isAfter(i - 1, i)) continue;
        sortStretch(starts[k]!, end, timeColumn, this.#columns, isAfter);
        break;
      }
    }
  }
}

function sortedColumn(kind: ColumnKind, values: Values): SortedColumn {
  return { kind, values, copied: copiedOf(values), few: copiedOf(makeValues(kind, fewRows)), nulls: undefined };
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

/** Puts [start, end) in order. */
function sortStretch(
  start: number,
  end: number,
  times: SortedColumn,
  columns: readonly SortedColumn[],
  isAfter: Comparison,
): void {
  const count = end - start;
  const order = count <= fewRows ? insertedOrder(start, count, isAfter) : mergedOrder(start, end, isAfter);
  applyOrder(times, order, start, count);
  for (const column of columns) applyOrder(column, order, start, count);
}

/** Below this, shifting costs less than merging. */
const fewRows = 32;
const fewInTurn = Int32Array.from({ length: fewRows }, (_, i) => i);
const fewInOrder = new Int32Array(fewRows);

function insertedOrder(start: number, count: number, isAfter: Comparison): Int32Array {
  const order = fewInOrder;
  for (let i = 0; i < count; i++) {
    let at = i;
    for (; at > 0 && isAfter(order[at - 1]!, start + i); at--) order[at] = order[at - 1]!;
    order[at] = start + i;
  }
  return order;
}

/** Merges the runs that are in order: as many passes as their number has bits. */
function mergedOrder(start: number, end: number, isAfter: Comparison): Int32Array {
  let order = Int32Array.from({ length: end - start }, (_, i) => start + i);
  let merged = new Int32Array(end - start);
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
  return order;
}

function applyOrder({ kind, copied, few, nulls }: SortedColumn, order: Int32Array, start: number, count: number): void {
  permute(kind, copied, few, order, start, count);
  if (nulls) permute("byte", nulls, fewNulls, order, start, count);
}

const fewNulls = new Uint8Array(fewRows);

function permute(
  kind: ColumnKind | "byte",
  values: Copied,
  few: Copied,
  order: Int32Array,
  start: number,
  count: number,
): void {
  if (count <= fewRows) {
    copyByOrder(kind, few, 0, values, order, 0, count);
    return copyByOrder(kind, values, start, few, fewInTurn, 0, count);
  }
  const width = kind === "byte" ? 1 : widthOf(kind);
  const sorted = Array.isArray(values)
    ? new Array<unknown>(count)
    : new (values.constructor as Float64ArrayConstructor)(count * width);
  copyByOrder(kind, sorted, 0, values, order, 0, count);
  copyStretch(values, start * width, sorted, 0, count * width);
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
