/**
 * Rows of many keys in memory that has a limit: dealt by ranges of key ids, so that each range can be sorted and swept on its
 * own while it is in the processor's cache. What does not fit is written to a file and read back range by range.
 */
import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { deserialize, serialize } from "node:v8";
import { bytesOf, type Column, type ColumnKind, copyByOrder, copyStretch, makeValues, type Values } from "./columns.ts";

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
  /** Longer than `count`, as all arrays are. */
  readonly ids: Int32Array;
  readonly times: Float64Array;
  readonly columns: readonly Column[];
  /**
   * Ends of the stretches that came together, and the order of stretches by their first rows. The engine's threads take turns,
   * so rows that lie in order of time come in stretches that are in order, and out of turn.
   */
  readonly ends: Int32Array;
  readonly order: Int32Array;
}

const mostParts = 64;
/** Rows of a block. Runs of a batch that go to one part are some dozens long. */
const blockRows = 512;
const leastArenaBlocks = 64;
const mostArenaBlocks = 2048;
/** Blocks that are written together. */
const mostPieceBlocks = 128;
const noNulls = new Uint8Array(0);

/** Room for blocks: few big arrays instead of many small ones. */
interface Arena {
  readonly ids: Int32Array;
  readonly times: Float64Array;
  readonly columns: readonly { readonly values: Values; nulls: Uint8Array | undefined }[];
}

/** Where a block lies. */
interface Block {
  readonly arena: Arena;
  readonly start: number;
}

/** Rows of a part that were written to the file: where each column begins, and how long it is. */
interface Spilled {
  readonly count: number;
  readonly pieces: readonly { readonly at: number; readonly bytes: number }[];
}

interface Part {
  /** Rows that were ever added. */
  count: number;
  readonly spilled: Spilled[];
  blocks: Block[];
  /** Rows in the blocks: all blocks are full but the last. */
  held: number;
  /** After each batch the number of rows. */
  ends: number[];
}

/** Rows by ranges of ids: add all, then read part by part, then close. */
export class RowBlocks {
  readonly #options: RowBlockOptions;
  /** A key's part is `(id - firstId) >> shift`. */
  readonly #shift: number;
  readonly #parts: Part[];
  /** The first time of each batch. */
  readonly #firsts: number[] = [];
  #stretchOrder: Int32Array | undefined;
  readonly #free: Block[] = [];
  #bytes = 0;
  readonly #cursors: Int32Array;
  #order = new Int32Array(0);
  #loaded: Arena;
  #file: { readonly path: string; readonly descriptor: number; end: number } | undefined;

  constructor(options: RowBlockOptions) {
    this.#options = options;
    let shift = 0;
    while ((Math.max(0, options.idCount - 1) >> shift) >= mostParts) shift++;
    this.#shift = shift;
    const partCount = options.idCount === 0 ? 0 : ((options.idCount - 1) >> shift) + 1;
    this.#parts = Array.from({ length: partCount }, () => ({ count: 0, spilled: [], blocks: [], held: 0, ends: [] }));
    this.#cursors = new Int32Array(partCount);
    this.#loaded = makeArena(options.kinds, 0);
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

  /** Takes rows; their arrays are copied. */
  add({ ids, times, columns }: RowBatch): void {
    const count = ids.length;
    if (count === 0) return;
    this.#firsts.push(times[0]!);
    this.#stretchOrder = undefined;
    if (this.#order.length < count) this.#order = new Int32Array(count);
    const order = this.#order;
    const ends = this.#cursors;
    const { firstId } = this.#options;
    const shift = this.#shift;
    ends.fill(0);
    for (let i = 0; i < count; i++) ends[(ids[i]! - firstId) >> shift]!++;
    for (let part = 0, start = 0; part < ends.length; part++) {
      const size = ends[part]!;
      ends[part] = start;
      start += size;
    }
    for (let i = 0; i < count; i++) order[ends[(ids[i]! - firstId) >> shift]!++] = i;
    for (let p = 0, start = 0; p < ends.length; p++) {
      const part = this.#parts[p]!;
      for (const end = ends[p]!; start < end;) {
        const used = part.held % blockRows;
        if (used === 0) this.#addBlock(part);
        const { arena, start: base } = part.blocks.at(-1)!;
        const size = Math.min(end - start, blockRows - used);
        const at = base + used;
        copyByOrder(arena.ids, at, ids, order, start, size);
        copyByOrder(arena.times, at, times, order, start, size);
        for (let c = 0; c < columns.length; c++) {
          const into = arena.columns[c]!;
          const { values, nulls } = columns[c]!;
          copyByOrder(into.values, at, values, order, start, size);
          if (nulls) copyByOrder(into.nulls ??= new Uint8Array(arena.ids.length), at, nulls, order, start, size);
          else into.nulls?.fill(0, at, at + size);
        }
        part.held += size;
        part.count += size;
        start += size;
      }
      part.ends.push(part.count);
    }
  }

  /** The rows of a part. The arrays are used again by the next call. */
  load(p: number): PartRows {
    const part = this.#parts[p]!;
    if (this.#loaded.ids.length < part.count) {
      // Let go of the old room before taking more.
      this.#loaded = makeArena(this.#options.kinds, 0);
      this.#loaded = makeArena(this.#options.kinds, part.count + (part.count >> 3));
    }
    let at = 0;
    for (const spilled of part.spilled) {
      this.#read(spilled, this.#loaded, at);
      at += spilled.count;
    }
    this.#gather(part, 0, Infinity, this.#loaded, at);
    const { ids, times, columns } = this.#loaded;
    return {
      count: part.count,
      ids,
      times,
      columns,
      ends: Int32Array.from(part.ends),
      order: this.#orderOfStretches(),
    };
  }

  /** The rows of a part in the order in which they came, some at a time; their arrays are used again. */
  *batches(p: number): Iterable<RowBatch> {
    const part = this.#parts[p]!;
    const piece = makeArena(this.#options.kinds, mostPieceBlocks * blockRows);
    const batch = (count: number): RowBatch => ({
      ids: piece.ids.subarray(0, count),
      times: piece.times.subarray(0, count),
      columns: piece.columns,
    });
    for (const spilled of part.spilled) {
      this.#read(spilled, piece, 0);
      yield batch(spilled.count);
    }
    for (let first = 0; first * blockRows < part.held; first += mostPieceBlocks) {
      yield batch(this.#gather(part, first, mostPieceBlocks, piece, 0));
    }
  }

  /** Forgets a part that is done. */
  drop(p: number): void {
    const part = this.#parts[p]!;
    this.#free.push(...part.blocks);
    Object.assign(part, { count: 0, spilled: [], blocks: [], held: 0, ends: [] });
  }

  /** Removes the file. */
  close(): void {
    if (!this.#file) return;
    closeSync(this.#file.descriptor);
    rmSync(this.#file.path, { force: true });
    this.#file = undefined;
  }

  #orderOfStretches(): Int32Array {
    if (this.#stretchOrder) return this.#stretchOrder;
    const firsts = this.#firsts;
    // Stable: of equal ones the one that came first.
    return this.#stretchOrder = Int32Array.from(firsts.keys()).sort((a, b) => firsts[a]! - firsts[b]! || a - b);
  }

  #addBlock(part: Part): void {
    if (this.#free.length === 0) this.#makeRoom();
    part.blocks.push(this.#free.pop()!);
  }

  #makeRoom(): void {
    const { kinds, memory } = this.#options;
    const perBlock = blockRows * bytesOf(kinds);
    const held = Math.floor(this.#bytes / perBlock);
    const most = Math.floor(memory / perBlock) - held;
    if (held > 0 && most < leastArenaBlocks) return this.#spill();
    const count = Math.max(leastArenaBlocks, Math.min(mostArenaBlocks, held, most));
    const arena = makeArena(kinds, count * blockRows);
    this.#bytes += count * perBlock;
    for (let i = count - 1; i >= 0; i--) this.#free.push({ arena, start: i * blockRows });
  }

  /** Writes whatever is in memory to the file, in pieces that are read back at once. */
  #spill(): void {
    if (!this.#file) {
      const path = this.#options.spillPath();
      this.#file = { path, descriptor: openSync(path, "wx+", 0o600), end: 0 };
    }
    const piece = makeArena(this.#options.kinds, mostPieceBlocks * blockRows);
    for (const part of this.#parts) {
      for (let first = 0; first * blockRows < part.held; first += mostPieceBlocks) {
        const count = this.#gather(part, first, mostPieceBlocks, piece, 0);
        part.spilled.push(this.#write(piece, count));
      }
      this.#free.push(...part.blocks);
      part.blocks = [];
      part.held = 0;
    }
  }

  /** Copies blocks of a part one after the other; gives how many rows they hold. */
  #gather(part: Part, first: number, blocks: number, into: Arena, at: number): number {
    const count = Math.max(0, Math.min(part.held - first * blockRows, blocks * blockRows));
    for (let b = first, left = count; left > 0; b++, left -= blockRows, at += blockRows) {
      const { arena, start } = part.blocks[b]!;
      const size = Math.min(left, blockRows);
      copyStretch(into.ids, at, arena.ids, start, size);
      copyStretch(into.times, at, arena.times, start, size);
      for (let c = 0; c < into.columns.length; c++) {
        const column = into.columns[c]!;
        const { values, nulls } = arena.columns[c]!;
        copyStretch(column.values, at, values, start, size);
        if (nulls) copyStretch(column.nulls ??= new Uint8Array(into.ids.length), at, nulls, start, size);
        else column.nulls?.fill(0, at, at + size);
      }
    }
    return count;
  }

  #write({ ids, times, columns }: Arena, count: number): Spilled {
    const file = this.#file!;
    const pieces: { at: number; bytes: number }[] = [];
    for (const values of [ids, times, ...columns.flatMap((column) => [column.values, column.nulls ?? noNulls])]) {
      const used = Array.isArray(values) ? serialize(values.slice(0, count)) : values.subarray(0, count);
      const bytes = new Uint8Array(used.buffer, used.byteOffset, used.byteLength);
      pieces.push({ at: file.end, bytes: bytes.length });
      for (let done = 0; done < bytes.length;) {
        done += writeSync(file.descriptor, bytes, done, bytes.length - done, file.end + done);
      }
      file.end += bytes.length;
    }
    return { count, pieces };
  }

  #read({ count, pieces }: Spilled, into: Arena, at: number): void {
    const file = this.#file!;
    const read = (piece: number, bytes: Uint8Array): Uint8Array => {
      for (let done = 0; done < bytes.length;) {
        const size = readSync(file.descriptor, bytes, done, bytes.length - done, pieces[piece]!.at + done);
        if (size === 0) throw new Error(`Cannot read rows back from ${file.path}: it is shorter than it was`);
        done += size;
      }
      return bytes;
    };
    const readValues = (piece: number, values: Values | Uint8Array): void => {
      if (ArrayBuffer.isView(values)) {
        const width = values.BYTES_PER_ELEMENT;
        read(piece, new Uint8Array(values.buffer, values.byteOffset + at * width, count * width));
      } else {copyStretch(
          values,
          at,
          deserialize(read(piece, new Uint8Array(pieces[piece]!.bytes))) as unknown[],
          0,
          count,
        );}
    };
    readValues(0, into.ids);
    readValues(1, into.times);
    for (const [c, column] of into.columns.entries()) {
      readValues(2 + 2 * c, column.values);
      if (pieces[3 + 2 * c]!.bytes > 0) readValues(3 + 2 * c, column.nulls ??= new Uint8Array(into.ids.length));
      else column.nulls?.fill(0, at, at + count);
    }
  }
}

function makeArena(kinds: readonly ColumnKind[], rows: number): Arena {
  return {
    ids: new Int32Array(rows),
    times: new Float64Array(rows),
    columns: kinds.map((kind) => ({ values: makeValues(kind, rows), nulls: undefined })),
  };
}
