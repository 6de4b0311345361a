/**
 * Rows of many keys in memory that has a limit: dealt by ranges of key ids, so that each range can be sorted and swept on its
 * own while it is in the processor's cache. What does not fit is written to a file and read back range by range.
 */
import { type Arena, copyRows, forgetObjects, makeArena } from "./arena.ts";
import {
  bytesOf,
  type Column,
  type ColumnKind,
  copiedOf,
  noNulls,
  scatter,
  sizeOfValues,
  valuesOf,
} from "./columns.ts";
import { type Spilled, SpillFile } from "./spill_file.ts";

/** Rows as a source gives them: of keys with these ids at these times, in any order. */
export interface RowBatch {
  readonly ids: Int32Array;
  /** Micros. */
  readonly times: Float64Array;
  readonly columns: readonly Column[];
}

/** How rows are kept. */
export interface RowBlockOptions {
  /** The first key id, and how many there are. */
  readonly firstId: number;
  readonly idCount: number;
  /** The columns. */
  readonly kinds: readonly ColumnKind[];
  /** Bytes that may be in memory; what is more is written to a file. */
  readonly memory: number;
  /** Where that file is made when it is needed. */
  readonly spillPath: () => string;
}

/** The rows of a part, in the order in which they came. */
export interface PartRows {
  readonly count: number;
  /** All full but the last. */
  readonly blocks: readonly Block[];
  /**
   * Ends of the stretches that came together, and the order of stretches by their first rows. The engine's threads take turns,
   * so rows that lie in order of time come in stretches that are in order, and out of turn.
   */
  readonly ends: Int32Array;
  readonly order: Int32Array;
}

/** Parts are small enough to be sorted in the processor's cache, and as few as leave most of the memory to blocks that are full. */
const leastParts = 64;
const mostParts = 256;
const blockBits = 9;
/** Rows of a block. */
export const blockRows: number = 1 << blockBits;
const leastArenaBlocks = 64;
/** Blocks that are written together, and read at a time. */
const pieceBlocks = 128;
/** Rows that are dealt together: counts of them take 16 bits. */
const mostDealt = 2 ** 15;

/** Where a block lies. */
export interface Block {
  readonly arena: Arena;
  readonly start: number;
  /** The number of its first row among those of all arenas. */
  readonly place: number;
}

interface Part {
  /** Rows that were ever added. */
  count: number;
  spilled: Spilled[];
  blocks: Block[];
  /** Rows in the blocks: all blocks are full but the last. */
  held: number;
}

/** Rows by ranges of ids: add all, then read part by part, then close. */
export class RowBlocks {
  readonly #options: RowBlockOptions;
  /** A key's part is `(id - firstId) >> shift`. */
  readonly #shift: number;
  readonly #parts: readonly Part[];
  readonly #arenas: { readonly arena: Arena; readonly place: number }[] = [];
  readonly #free: Block[] = [];
  #blockCount = 0;
  /** What values that are objects take: of all rows, and of those in memory. */
  #objectBytes = 0;
  #heldObjectBytes = 0;
  #rowCount = 0;
  /** The first time of each batch; by batch and part how many rows it had. */
  readonly #firsts: number[] = [];
  #counts = new Uint16Array(0);
  #batchOrder: Int32Array | undefined;
  /** By part: rows of the batch that is dealt, and the place of the last row. */
  readonly #dealt: Int32Array;
  readonly #last: Int32Array;
  /** By row of the batch: its place. */
  #places = new Int32Array(0);
  #loaded: Arena;
  #file: SpillFile | undefined;

  constructor(options: RowBlockOptions) {
    this.#options = options;
    const { idCount, kinds, memory } = options;
    const parts = Math.min(mostParts, Math.max(leastParts, memory / (8 * blockRows * bytesOf(kinds))));
    let shift = 0;
    while ((Math.max(0, idCount - 1) >> shift) >= parts) shift++;
    this.#shift = shift;
    const partCount = idCount === 0 ? 0 : ((idCount - 1) >> shift) + 1;
    this.#parts = Array.from({ length: partCount }, () => ({ count: 0, spilled: [], blocks: [], held: 0 }));
    this.#dealt = new Int32Array(partCount);
    this.#last = new Int32Array(partCount).fill(-1);
    this.#loaded = makeArena(kinds, 0);
  }

  /** How many parts there are. */
  get partCount(): number {
    return this.#parts.length;
  }

  /** The ids of a part. */
  idsOf(part: number): { readonly firstId: number; readonly idCount: number } {
    const { firstId, idCount } = this.#options;
    const first = part << this.#shift;
    return { firstId: firstId + first, idCount: Math.min(1 << this.#shift, idCount - first) };
  }

  /** How many rows a part has. */
  rowsOf(part: number): number {
    return this.#parts[part]!.count;
  }

  /** What a row takes in memory, in about. */
  get bytesPerRow(): number {
    return bytesOf(this.#options.kinds) + (this.#rowCount === 0 ? 0 : this.#objectBytes / this.#rowCount);
  }

  /** Takes rows; their arrays are copied. */
  add(batch: RowBatch): void {
    const count = batch.ids.length;
    if (count <= mostDealt) return this.#deal(batch);
    for (let start = 0; start < count; start += mostDealt) {
      this.#deal(sliceOf(batch, start, Math.min(start + mostDealt, count)));
    }
  }

  #deal({ ids, times, columns }: RowBatch): void {
    const count = ids.length;
    if (count === 0) return;
    this.#weigh(columns, count);
    this.#reserve(count);
    const { low, high } = this.#place(ids);
    this.#noteBatch(times[0]!);
    const places = this.#places;
    const copied = columns.map(({ values, nulls }) => ({ values: copiedOf(values), nulls }));
    for (const { arena, place } of this.#arenas) {
      const rows = arena.ids.length;
      if (place > high || place + rows <= low) continue;
      const target = { place, rows };
      scatter("int32", arena.ids, target, ids, 0, places, 0, count);
      scatter("float64", arena.times, target, times, 0, places, 0, count);
      for (let c = 0; c < copied.length; c++) {
        const into = arena.columns[c]!;
        const { values, nulls } = copied[c]!;
        scatter(into.kind, into.values, target, values, 0, places, 0, count);
        if (nulls) into.nulls ??= new Uint8Array(rows);
        if (into.nulls) scatter("byte", into.nulls, target, nulls ?? noNulls(count), 0, places, 0, count);
      }
    }
  }

  /** The rows of a part. The arrays are used again by the next call. */
  load(p: number): PartRows {
    const part = this.#parts[p]!;
    return {
      count: part.count,
      blocks: part.spilled.length > 0 ? this.#read(part) : part.blocks,
      ...this.#stretches(p),
    };
  }

  /** Rows of which some are in the file: all of them, put together. */
  #read(part: Part): readonly Block[] {
    if (this.#loaded.ids.length < part.count) {
      // Let go of the old room before taking more.
      this.#loaded = makeArena(this.#options.kinds, 0);
      this.#loaded = makeArena(this.#options.kinds, part.count + (part.count >> 3));
    }
    const arena = this.#loaded;
    let at = 0;
    for (const spilled of part.spilled) {
      this.#file!.read(spilled, arena, at);
      at += spilled.count;
    }
    gather(part, 0, Infinity, arena, at);
    return Array.from({ length: Math.ceil(part.count / blockRows) }, (_, i) => ({
      arena,
      start: i * blockRows,
      place: i * blockRows,
    }));
  }

  #stretches(p: number): Pick<PartRows, "ends" | "order"> {
    const partCount = this.#parts.length;
    const batchCount = this.#firsts.length;
    const ends = new Int32Array(batchCount);
    for (let batch = 0, at = p, end = 0; batch < batchCount; batch++, at += partCount) {
      ends[batch] = end += this.#counts[at]!;
    }
    return { ends, order: this.#orderOfBatches() };
  }

  /** The rows of a part in the order in which they came, some at a time; their arrays are used again. */
  *batches(p: number): Iterable<RowBatch> {
    const part = this.#parts[p]!;
    const rows = makeArena(this.#options.kinds, Math.min(part.count, pieceBlocks * blockRows));
    const columns = rows.columns.map(({ kind, values }) => valuesOf(values, kind));
    const batch = (count: number): RowBatch => ({
      ids: rows.ids.subarray(0, count),
      times: rows.times.subarray(0, count),
      columns: columns.map((values, c) => ({ values, nulls: rows.columns[c]!.nulls })),
    });
    for (const spilled of part.spilled) {
      this.#file!.read(spilled, rows, 0);
      yield batch(spilled.count);
    }
    for (let first = 0; first * blockRows < part.held; first += pieceBlocks) {
      yield batch(gather(part, first, pieceBlocks, rows, 0));
    }
  }

  /** Forgets a part that is done. */
  drop(p: number): void {
    const part = this.#parts[p]!;
    this.#free.push(...part.blocks);
    Object.assign(part, { count: 0, spilled: [], blocks: [], held: 0 });
    this.#last[p] = -1;
  }

  /** Removes the file. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  /** Objects may be of any size: where they outgrow the limit, everything goes to the file. */
  #weigh(columns: readonly Column[], count: number): void {
    let bytes = 0;
    for (const { values } of columns) if (Array.isArray(values)) bytes += sizeOfValues(values, count);
    this.#rowCount += count;
    this.#objectBytes += bytes;
    this.#heldObjectBytes += bytes;
    if (this.#heldObjectBytes > 0 && this.#heldObjectBytes > this.#options.memory / 2) this.#spill();
  }

  #noteBatch(first: number): void {
    const at = this.#firsts.length * this.#dealt.length;
    if (this.#counts.length < at + this.#dealt.length) {
      const counts = new Uint16Array(Math.max(2 * at, 16 * this.#dealt.length));
      counts.set(this.#counts);
      this.#counts = counts;
    }
    this.#counts.set(this.#dealt, at);
    this.#firsts.push(first);
    this.#batchOrder = undefined;
  }

  /** Gives every row of the batch a place; there are enough free blocks. Gives the lowest and the highest place. */
  #place(ids: Int32Array): { readonly low: number; readonly high: number } {
    const count = ids.length;
    if (this.#places.length < count) this.#places = new Int32Array(count);
    const places = this.#places;
    const dealt = this.#dealt.fill(0);
    const last = this.#last;
    const { firstId } = this.#options;
    const shift = this.#shift;
    let low = Infinity;
    let high = 0;
    for (let i = 0; i < count; i++) {
      const part = (ids[i]! - firstId) >> shift;
      let place = last[part]! + 1;
      if ((place & (blockRows - 1)) === 0) {
        const block = this.#free.pop()!;
        this.#parts[part]!.blocks.push(block);
        place = block.place;
      }
      places[i] = last[part] = place;
      dealt[part]!++;
      if (place < low) low = place;
      if (place > high) high = place;
    }
    for (let p = 0; p < dealt.length; p++) {
      const part = this.#parts[p]!;
      part.count += dealt[p]!;
      part.held += dealt[p]!;
    }
    return { low, high };
  }

  #orderOfBatches(): Int32Array {
    const firsts = this.#firsts;
    // Of equal ones the one that came first.
    return this.#batchOrder ??= Int32Array.from(firsts.keys()).sort((a, b) => firsts[a]! - firsts[b]! || a - b);
  }

  /** Sees to it that there are blocks for so many rows, whatever parts they go to. */
  #reserve(count: number): void {
    const { kinds, memory } = this.#options;
    const needed = this.#parts.length + Math.ceil(count / blockRows);
    while (this.#free.length < needed) {
      const least = Math.max(needed - this.#free.length, leastArenaBlocks);
      const most = Math.floor((memory - this.#heldObjectBytes) / (blockRows * bytesOf(kinds))) - this.#blockCount;
      if (most < least && this.#free.length < this.#blockCount) this.#spill();
      // Much more room, as far as the limit goes: memory that is never touched costs nothing, and batches are dealt fastest
      // where they lie in one arena.
      else this.#makeBlocks(Math.max(least, Math.min(24 * this.#blockCount, most)));
    }
  }

  #makeBlocks(count: number): void {
    const arena = makeArena(this.#options.kinds, count * blockRows);
    const place = this.#blockCount * blockRows;
    this.#arenas.push({ arena, place });
    this.#blockCount += count;
    for (let i = count - 1; i >= 0; i--) this.#free.push({ arena, start: i * blockRows, place: place + i * blockRows });
  }

  /** Writes whatever is in memory to the file. */
  #spill(): void {
    this.#file ??= new SpillFile(this.#options.spillPath());
    const rows = makeArena(this.#options.kinds, pieceBlocks * blockRows);
    for (const part of this.#parts) {
      for (let first = 0; first * blockRows < part.held; first += pieceBlocks) {
        part.spilled.push(this.#file.write(rows, gather(part, first, pieceBlocks, rows, 0)));
      }
      this.#free.push(...part.blocks);
      part.blocks = [];
      part.held = 0;
    }
    this.#last.fill(-1);
    // Those that lie together are used together.
    this.#free.sort((a, b) => b.place - a.place);
    this.#heldObjectBytes = 0;
    for (const { arena } of this.#arenas) forgetObjects(arena);
  }
}

/** Copies blocks of a part one after the other; gives how many rows they hold. */
function gather(part: Part, first: number, blocks: number, into: Arena, at: number): number {
  const count = Math.max(0, Math.min(part.held - first * blockRows, blocks * blockRows));
  for (let b = first, left = count; left > 0; b++, left -= blockRows, at += blockRows) {
    const { arena, start } = part.blocks[b]!;
    copyRows(into, at, arena, start, Math.min(left, blockRows));
  }
  return count;
}

/** Some rows of a batch. */
export function sliceOf({ ids, times, columns }: RowBatch, start: number, end: number): RowBatch {
  return {
    ids: ids.subarray(start, end),
    times: times.subarray(start, end),
    columns: columns.map(({ values, nulls }) => ({
      values: Array.isArray(values) ? values.slice(start, end) : values.subarray(start, end),
      nulls: nulls?.subarray(start, end),
    })),
  };
}
