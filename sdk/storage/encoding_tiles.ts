/**
 * What requests find of a view of aggregates: the tiles of one key, or with `edge: "exact"` its rows, in columns. A value is:
 * header (as of rows: event time 0, sequence, layout id; 18 bytes) · flags (1) · levels (1) · unit in micros (8) · floor in
 * micros (8) · the columns of the tail, if any · levels. A level is: rows (4) · place of the first (8) · the number of empty
 * places before each, as a column · the columns of the states.
 *
 * Places count tiles since 1970: a tile of the first level is one unit long, a tile of each other level eight of the one
 * before. All levels hold the same rows; coarser ones are there where they save merging, so that a long window needs few tiles.
 *
 * A key with many tiles has two values: what requests look up are totals, which need no merging and are few. There row i is
 * the state of everything from its place on, and the tail that of everything; the floor is followed by: hash of the windows
 * that they are for (4) · the instant up to which rows are in it (8) · the last instant that they are for (8). The tiles are
 * under another key, {@link tilesKey}, for whoever asks later than that, and for loaders.
 */
import { createHash } from "node:crypto";
import { VarveError } from "../errors.ts";
import { type DataType, formatType } from "../schema.ts";
import type { SlotColumn } from "../window/aggregator.ts";
import { bufferOf, type ByteWriter } from "./byte_writer.ts";
import { corrupt } from "./encoding_cells.ts";
import {
  type ColumnCodec,
  columnCodec,
  columnKind,
  type ColumnPlaces,
  columnPlaces,
  findColumns,
} from "./encoding_columns.ts";
import { appendColumns } from "./encoding_columns_append.ts";
import { readColumn } from "./encoding_columns_read.ts";
import { headerBytes, isNewer } from "./encoding_row.ts";

/** A part of the format's own version: another one asks for a fresh load. */
const formatVersion = 1;

const maxLevels = 8;
/** More rows than a value can have. */
const maxRows = 1 << 24;
const tailFlag = 1;
const cutFlag = 2;
const totalsFlag = 4;
const fixedBytes = headerBytes + 2 + 8 + 8;
const totalsBytes = 4 + 8 + 8;

/** What is stored of one view version: the columns of its states, or of its rows. */
export interface TileLayout {
  readonly columns: readonly ColumnCodec[];
  /** Two bytes of the hash, kept in every value: a value of another layout is refused. */
  readonly id: number;
  /** Changes when columns, types or the format change: part of `ViewState.layout`. */
  readonly hash: string;
}

/** The layout of columns in their order. The names only tell layouts apart. */
export function tileLayout(columns: readonly { readonly name: string; readonly type: DataType }[]): TileLayout {
  const text = JSON.stringify(["tiles", formatVersion, columns.map(({ name, type }) => [name, formatType(type)])]);
  const digest = createHash("sha256").update(text).digest();
  return {
    columns: columns.map(({ type }) => columnCodec(type)),
    id: digest.readUInt16BE(0),
    hash: digest.toString("hex", 0, 16),
  };
}

/** Rows of one level, in order of their places. */
export interface TileLevel {
  readonly count: number;
  readonly places: Float64Array;
  /** In the order of the layout; the first `count` values count. */
  readonly columns: readonly SlotColumn[];
}

/** What totals are for. */
export interface TileTotals {
  /** Tells windows apart: 32 bits of a hash. */
  readonly windows: number;
  /** Up to when rows are in them, micros. */
  readonly watermark: number;
  /** Windows that end here at the latest (complete), or are asked for here at the latest (fresh), find their beginning; micros. */
  readonly until: number;
}

/** The key of a key's tiles where its value is of totals: no part of a key starts with a zero byte. */
export function tilesKey(key: Uint8Array): Uint8Array {
  const longer = Buffer.allocUnsafe(key.length + 1);
  longer.set(key);
  longer[key.length] = 0;
  return longer;
}

/**
 * The tiles behind a value of totals, if they can be trusted: those of an earlier time may be left over from before the key had
 * no totals for a while, and lack what happened then; and there may be none any more.
 */
export function tilesBehind(totals: Uint8Array, tiles: Uint8Array | undefined): Uint8Array | undefined {
  return tiles && !isNewer(totals, tiles) && (tiles[18]! & totalsFlag) === 0 ? tiles : undefined;
}

/** What replaces the tiles of a key that has totals no more: totals of nothing, which nobody takes for tiles. */
export function noTiles({ sequence, unit, floor }: TileValue): TileValue {
  const totals = { windows: 0, watermark: 0, until: -Infinity };
  return { sequence, unit, floor, isCut: false, totals, levels: [] };
}

/** One value. */
export interface TileValue {
  /** The version of the table that it is true at. */
  readonly sequence: bigint;
  /** Length of the first level's tiles, or what all times of rows are multiples of, in micros. */
  readonly unit: number;
  /** What is at or after this is here; what is before is in the tail or was left out. Micros. */
  readonly floor: number;
  /** Rows since the floor were left out, since there were too many. */
  readonly isCut: boolean;
  /** Says that this is a value of totals, and of which. */
  readonly totals?: TileTotals;
  /** One state of all rows before the floor; of totals, of all rows. */
  readonly tail?: readonly SlotColumn[];
  /** The finest first; none when there are no rows. */
  readonly levels: readonly TileLevel[];
}

/** Appends a value. */
export function appendTiles(writer: ByteWriter, layout: TileLayout, value: TileValue): void {
  writer.reserve(fixedBytes);
  const { view, at } = writer;
  view.setUint32(at, 0x80000000); // event time 0, with its sign bit turned over
  view.setUint32(at + 4, 0);
  view.setBigUint64(at + 8, value.sequence);
  view.setUint16(at + 16, layout.id);
  const { totals } = value;
  view.setUint8(at + 18, (value.tail ? tailFlag : 0) | (value.isCut ? cutFlag : 0) | (totals ? totalsFlag : 0));
  view.setUint8(at + 19, value.levels.length);
  view.setFloat64(at + 20, value.unit, true);
  view.setFloat64(at + 28, value.floor, true);
  writer.at = at + fixedBytes;
  if (totals) {
    writer.reserve(totalsBytes);
    writer.view.setUint32(writer.at, totals.windows, true);
    writer.view.setFloat64(writer.at + 4, totals.watermark, true);
    writer.view.setFloat64(writer.at + 12, totals.until, true);
    writer.at += totalsBytes;
  }
  if (value.tail) appendColumns(writer, layout.columns, value.tail, 1);
  for (const { count, places, columns } of value.levels) {
    writer.reserve(12);
    writer.view.setUint32(writer.at, count, true);
    writer.view.setFloat64(writer.at + 4, places[0]!, true);
    writer.at += 12;
    appendGaps(writer, places, count);
    appendColumns(writer, layout.columns, columns, count);
  }
}

const gapCodec = [columnCodec("float64")];
let gaps = new Float64Array(256);

/** How many places are empty before each row, which is nothing at all where no place is. Two rows of one place count as -1. */
function appendGaps(writer: ByteWriter, places: Float64Array, count: number): void {
  if (gaps.length < count) gaps = new Float64Array(count * 2);
  const first = places[0]!;
  for (let i = 0; i < count; i++) gaps[i] = places[i]! - first - i;
  appendColumns(writer, gapCodec, [gaps], count);
}

/** Reads values of one layout, one at a time; made once, it allocates nothing per value. */
export class TileReader {
  readonly layout: TileLayout;
  /** {@link TileValue.unit} of the value that is open, and so on. */
  unit = 1;
  floor = 0;
  isCut = false;
  hasTail = false;
  levelCount = 0;
  /** Whether the value is of totals, and then: {@link TileTotals}. */
  isTotals = false;
  windows = 0;
  watermark = 0;
  until = 0;
  readonly #counts = new Int32Array(maxLevels);
  readonly #firsts = new Float64Array(maxLevels);
  /** Empty places of each level. */
  readonly #gaps: ColumnPlaces = columnPlaces(maxLevels);
  /** Columns of each level, then of the tail. */
  readonly #places: ColumnPlaces;
  readonly #columnCount: number;
  #source: { bytes: Buffer; view: DataView; base: number };

  constructor(layout: TileLayout) {
    this.layout = layout;
    this.#columnCount = layout.columns.length;
    this.#places = columnPlaces((maxLevels + 1) * this.#columnCount);
    const bytes = Buffer.alloc(0);
    this.#source = { bytes, view: new DataView(bytes.buffer), base: 0 };
  }

  /** Opens a value. CORRUPT when its bytes are torn, or of another layout. */
  open(value: Uint8Array): void {
    if (value.length < fixedBytes) throw corrupt();
    const id = (value[16]! << 8) | value[17]!;
    if (id !== this.layout.id) {
      throw new VarveError(
        "CORRUPT",
        `Cannot read an online value of layout ${id}: the layout wanted is ${this.layout.id}; load the view again`,
      );
    }
    const source = this.#source;
    // Values of one answer of a store often lie in one buffer: its view is made once.
    if (source.view.buffer !== value.buffer) source.view = new DataView(value.buffer);
    source.bytes = bufferOf(value);
    source.base = value.byteOffset;
    this.#find(source.view, source.base, source.base + value.length);
  }

  #find(view: DataView, base: number, end: number): void {
    const flags = view.getUint8(base + 18);
    const levels = view.getUint8(base + 19);
    this.unit = view.getFloat64(base + 20, true);
    this.floor = view.getFloat64(base + 28, true);
    this.hasTail = (flags & tailFlag) !== 0;
    this.isCut = (flags & cutFlag) !== 0;
    this.levelCount = levels;
    if (levels > maxLevels || !(this.unit > 0)) throw corrupt();
    const columns = this.#columnCount;
    let at = base + fixedBytes;
    this.isTotals = (flags & totalsFlag) !== 0;
    if (this.isTotals) {
      if (at + totalsBytes > end) throw corrupt();
      this.windows = view.getUint32(at, true);
      this.watermark = view.getFloat64(at + 4, true);
      this.until = view.getFloat64(at + 12, true);
      at += totalsBytes;
    }
    if (this.hasTail) at = findColumns(view, at, end, 1, columns, this.#places, maxLevels * columns);
    for (let level = 0; level < levels; level++) {
      if (at + 12 > end) throw corrupt();
      const count = view.getUint32(at, true);
      if (count === 0 || count > maxRows) throw corrupt();
      this.#counts[level] = count;
      this.#firsts[level] = view.getFloat64(at + 4, true);
      at = findColumns(view, at + 12, end, count, 1, this.#gaps, level);
      at = findColumns(view, at, end, count, columns, this.#places, level * columns);
    }
    if (at !== end) throw corrupt();
  }

  /** How many rows a level has. */
  count(level: number): number {
    return level < this.levelCount ? this.#counts[level]! : 0;
  }

  /** Where a row of a level is. */
  place(level: number, row: number): number {
    return this.#firsts[level]! + row + this.#gap(level, row);
  }

  /** The first row of a level that is at or after a place; the number of rows when there is none. */
  find(level: number, place: number): number {
    const count = this.#counts[level]!;
    const wanted = place - this.#firsts[level]!;
    if (wanted <= 0) return 0;
    if (this.#gaps.kinds[level] === columnKind.zero) return wanted < count ? Math.ceil(wanted) : count;
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (middle + this.#gap(level, middle) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #gap(level: number, row: number): number {
    const { view } = this.#source;
    const at = this.#gaps.data[level]!;
    switch (this.#gaps.kinds[level]) {
      case columnKind.zero:
        return 0;
      case columnKind.uint8:
        return view.getUint8(at + row);
      case columnKind.uint16:
        return view.getUint16(at + 2 * row, true);
      case columnKind.int32:
        return view.getInt32(at + 4 * row, true);
      case columnKind.float32:
        return view.getFloat32(at + 4 * row, true);
      case columnKind.wide:
        return view.getFloat64(at + 8 * row, true);
      default:
        throw corrupt();
    }
  }

  /** Reads rows `from … to` of a column of a level into `into`, from index `start` on. */
  read(level: number, column: number, from: number, to: number, into: SlotColumn, start: number): void {
    const place = level * this.#columnCount + column;
    const codec = this.layout.columns[column]!;
    readColumn(this.#source, codec, this.#counts[level]!, this.#places, place, from, to, into, start);
  }

  /** Reads a column of the tail. */
  readTail(column: number, into: SlotColumn, start: number): void {
    const place = maxLevels * this.#columnCount + column;
    readColumn(this.#source, this.layout.columns[column]!, 1, this.#places, place, 0, 1, into, start);
  }
}
