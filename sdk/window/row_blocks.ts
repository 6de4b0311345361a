/**
 * Rows of many keys in memory that has a limit: dealt by ranges of key ids, so that each range can be sorted and swept on its
 * own while it is in the processor's cache. What does not fit is written to a file and read back range by range.
 */
import { type Arena, copyRows, forgetObjects, makeArena } from "./arena.ts";
import { bytesOf, type Column, type ColumnKind, copiedOf, copyByOrder, sizeOfValues, valuesOf } from "./columns.ts";
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
  /** Has room for more. */
  readonly rows: Arena;
  /**
   * Ends of the stretches that came together, and the order of stretches by their first rows. The engine's threads take turns,
   * so rows that lie in order of time come in stretches that are in order, and out of turn.
   */
  readonly ends: readonly number[];
  readonly order: Int32Array;
}

const mostParts = 64;
/** Rows of a block. Runs of a batch that go to one part are some dozens long. */
const blockRows = 512;
const leastArenaBlocks = 64;
/** Blocks that are written together, and read at a time. */
const pieceBlocks = 128;

/** Where a block lies. */
interface Block {
  readonly arena: Arena;
  readonly start: number;
}

interface Part {
  /** Rows that were ever added. */
  count: number;
  spilled: Spilled[];
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
  readonly #parts: readonly Part[];
  /** The first time of each batch. */
  readonly #firsts: number[] = [];
  #batchOrder: Int32Array | undefined;
  readonly #arenas: Arena[] = [];
  readonly #free: Block[] = [];
  #blockCount = 0;
  /** What values that are objects take: of all rows, and of those in memory. */
  #objectBytes = 0;
  #heldObjectBytes = 0;
  #rowCount = 0;
  /** By part, while a batch is dealt: the end of its rows in `order`. */
  readonly #ends: Int32Array;
  #order = new Int32Array(0);
  #loaded: Arena;
  #file: SpillFile | undefined;

  constructor(options: RowBlockOptions) {
    this.#options = options;
    let shift = 0;
    while ((Math.max(0, options.idCount - 1) >> shift) >= mostParts) shift++;
    this.#shift = shift;
    const partCount = options.idCount === 0 ? 0 : ((options.idCount - 1) >> shift) + 1;
    this.#parts = Array.from({ length: partCount }, () => ({ count: 0, spilled: [], blocks: [], held: 0, ends: [] }));
    this.#ends = new Int32Array(partCount);
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

  /** What a row takes in memory, in about. */
  get bytesPerRow(): number {
    return bytesOf(this.#options.kinds) + (this.#rowCount === 0 ? 0 : this.#objectBytes / this.#rowCount);
  }

  /** Takes rows; their arrays are copied. */
  add({ ids, times, columns }: RowBatch): void {
    if (ids.length === 0) return;
    this.#firsts.push(times[0]!);
    this.#batchOrder = undefined;
    this.#orderByPart(ids);
    this.#weigh(columns, ids.length);
    const copied = columns.map(({ values, nulls }) => ({ values: copiedOf(values), nulls }));
    const order = this.#order;
    for (let p = 0, start = 0; p < this.#ends.length; p++) {
      const part = this.#parts[p]!;
      for (const end = this.#ends[p]!; start < end;) {
        const used = part.held % blockRows;
        if (used === 0) this.#addBlock(part);
        const { arena, start: base } = part.blocks.at(-1)!;
        const size = Math.min(end - start, blockRows - used);
        const at = base + used;
        copyByOrder("int32", arena.ids, at, ids, order, start, size);
        copyByOrder("float64", arena.times, at, times, order, start, size);
        for (let c = 0; c < copied.length; c++) {
          const into = arena.columns[c]!;
          const { values, nulls } = copied[c]!;
          copyByOrder(into.kind, into.values, at, values, order, start, size);
          if (nulls) {
            copyByOrder("byte", into.nulls ??= new Uint8Array(arena.ids.length), at, nulls, order, start, size);
          } else into.nulls?.fill(0, at, at + size);
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
      this.#file!.read(spilled, this.#loaded, at);
      at += spilled.count;
    }
    gather(part, 0, Infinity, this.#loaded, at);
    return { count: part.count, rows: this.#loaded, ends: part.ends, order: this.#orderOfBatches() };
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
    Object.assign(part, { count: 0, spilled: [], blocks: [], held: 0, ends: [] });
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

  /** Numbers of rows by part, and the end of each part's. */
  #orderByPart(ids: Int32Array): void {
    const count = ids.length;
    if (this.#order.length < count) this.#order = new Int32Array(count);
    const order = this.#order;
    const ends = this.#ends.fill(0);
    const { firstId } = this.#options;
    const shift = this.#shift;
    for (let i = 0; i < count; i++) ends[(ids[i]! - firstId) >> shift]!++;
    for (let part = 0, start = 0; part < ends.length; part++) {
      const size = ends[part]!;
      ends[part] = start;
      start += size;
    }
    for (let i = 0; i < count; i++) order[ends[(ids[i]! - firstId) >> shift]!++] = i;
  }

  #orderOfBatches(): Int32Array {
    const firsts = this.#firsts;
    // Of equal ones the one that came first.
    return this.#batchOrder ??= Int32Array.from(firsts.keys()).sort((a, b) => firsts[a]! - firsts[b]! || a - b);
  }

  #addBlock(part: Part): void {
    // Making room may take away what the part has.
    if (this.#free.length === 0) this.#makeRoom();
    part.blocks.push(this.#free.pop()!);
  }

  /** Twice the room, as far as the limit goes; memory that is never touched costs nothing. */
  #makeRoom(): void {
    const { kinds, memory } = this.#options;
    const most = Math.floor((memory - this.#heldObjectBytes) / (blockRows * bytesOf(kinds))) - this.#blockCount;
    if (this.#blockCount > 0 && most < leastArenaBlocks) return this.#spill();
    const count = Math.max(leastArenaBlocks, Math.min(this.#blockCount, most));
    const arena = makeArena(kinds, count * blockRows);
    this.#arenas.push(arena);
    this.#blockCount += count;
    for (let i = count - 1; i >= 0; i--) this.#free.push({ arena, start: i * blockRows });
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
    this.#heldObjectBytes = 0;
    for (const arena of this.#arenas) forgetObjects(arena);
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
