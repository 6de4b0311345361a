/**
 * Columns of values as bytes, each in the narrowest form that holds all of its values: online values hold many rows of many
 * columns, most of which are small counts, or equal, or zero. A column is: kind (1 byte; +16 when null bits follow, 1 is null)
 * · null bits · data. All numbers are little-endian. Any row of any column can be read without the others.
 */
import { type DataType, isListType, isStructType } from "../schema.ts";
import type { SlotColumn } from "../window/aggregator.ts";
import type { ByteWriter } from "./byte_writer.ts";
import { cellOf, type CellSource, corrupt, type VariableCell } from "./encoding_cells.ts";

/** What a column's data is. The numbers are part of the format. */
export const columnKind = {
  /** Nothing: all are zero, or empty. */
  zero: 0,
  /** One byte: the same bytes as that earlier column of its type. */
  same: 1,
  /** One value of eight bytes: all are equal. */
  constant: 2,
  uint8: 3,
  uint16: 4,
  int32: 5,
  float32: 6,
  /** float64, or int64 for types whose values are bigints. */
  wide: 7,
  /** Length of all bytes (4), the end of each row's (4 each), bytes. */
  variable: 8,
} as const;

const nullsFlag = 16;
/** Bytes per row by kind. */
const rowBytes = [0, 0, 0, 1, 2, 4, 4, 8, 0];

/** How the values of a column lie in memory and in bytes. */
export interface ColumnCodec {
  readonly type: DataType;
  /** Values are bigints in row form. */
  readonly isBig: boolean;
  /** For types without a fixed width. */
  readonly cell: VariableCell | undefined;
}

/** How columns of a type are written and read. */
export function columnCodec(type: DataType): ColumnCodec {
  const isBig = type === "int64" || type === "timestamp" || type === "duration";
  const isVariable = isListType(type) || isStructType(type) || type === "string" || type === "binary";
  const cell = isVariable ? cellOf(type, "row") as VariableCell : undefined;
  return { type, isBig, cell };
}

/** Appends `count` values of every column, in order. */
export function appendColumns(
  writer: ByteWriter,
  codecs: readonly ColumnCodec[],
  columns: readonly SlotColumn[],
  count: number,
): void {
  for (let c = 0; c < codecs.length; c++) {
    const column = columns[c]!;
    const earlier = sameAs(codecs, columns, c, count);
    if (earlier >= 0) {
      writer.reserve(2);
      writer.bytes[writer.at++] = columnKind.same;
      writer.bytes[writer.at++] = earlier;
    } else if (codecs[c]!.cell) appendVariable(writer, codecs[c]!.cell!, column as unknown[], count);
    else appendNumbers(writer, codecs[c]!, column, count);
  }
}

/** An earlier column with the same values: a sum and the sum in a mean are often one. */
function sameAs(
  codecs: readonly ColumnCodec[],
  columns: readonly SlotColumn[],
  c: number,
  count: number,
): number {
  const { type, cell } = codecs[c]!;
  if (cell || count === 0) return -1;
  const column = columns[c]!;
  for (let e = 0; e < c && e < 256; e++) {
    if (codecs[e]!.type !== type) continue;
    const other = columns[e]!;
    let i = 0;
    while (i < count && Object.is(column[i], other[i])) i++;
    if (i === count) return e;
  }
  return -1;
}

let numbers = new Float64Array(256);

function appendNumbers(writer: ByteWriter, { isBig }: ColumnCodec, column: SlotColumn, count: number): void {
  if (numbers.length < count) numbers = new Float64Array(count * 2);
  const isNullable = Array.isArray(column);
  let nulls = 0;
  let isExact = true;
  for (let i = 0; i < count; i++) {
    const value = column[i] as number | bigint | boolean | null;
    if (isNullable && value === null) nulls++;
    numbers[i] = Number(value);
    if (isBig && Math.abs(numbers[i]!) > Number.MAX_SAFE_INTEGER) isExact = false;
  }
  const kind = isBig && !isExact ? columnKind.wide : narrowest(numbers, count);
  writer.reserve(1 + (count >> 3) + 1 + 8 + count * 8);
  appendKind(writer, kind, nulls > 0 ? column as unknown[] : undefined, count);
  const { view } = writer;
  let { at } = writer;
  switch (kind) {
    case columnKind.constant:
      if (isBig) view.setBigInt64(at, BigInt(numbers[0]!), true);
      else view.setFloat64(at, numbers[0]!, true);
      at += 8;
      break;
    case columnKind.uint8:
      for (let i = 0; i < count; i++) view.setUint8(at++, numbers[i]!);
      break;
    case columnKind.uint16:
      for (let i = 0; i < count; i++, at += 2) view.setUint16(at, numbers[i]!, true);
      break;
    case columnKind.int32:
      for (let i = 0; i < count; i++, at += 4) view.setInt32(at, numbers[i]!, true);
      break;
    case columnKind.float32:
      for (let i = 0; i < count; i++, at += 4) view.setFloat32(at, numbers[i]!, true);
      break;
    case columnKind.wide:
      for (let i = 0; i < count; i++, at += 8) {
        if (isBig) view.setBigInt64(at, BigInt((column[i] ?? 0) as bigint), true);
        else view.setFloat64(at, numbers[i]!, true);
      }
      break;
  }
  writer.at = at;
}

/** The kind that takes the fewest bytes. Nulls are zeros here. */
function narrowest(values: Float64Array, count: number): number {
  const first = values[0]!;
  let isConstant = true;
  let isInteger = true;
  let isSingle = true;
  let min = 0;
  let max = 0;
  for (let i = 0; i < count; i++) {
    const value = values[i]!;
    if (!Object.is(value, first)) isConstant = false;
    // Minus zero is not an integer here, nor is NaN.
    if (isInteger && ((value | 0) !== value || Object.is(value, -0))) isInteger = false;
    if (isSingle && !Object.is(Math.fround(value), value)) isSingle = false;
    if (value < min) min = value;
    else if (value > max) max = value;
  }
  if (isInteger && min === 0 && max === 0) return columnKind.zero;
  const kind = !isInteger
    ? isSingle ? columnKind.float32 : columnKind.wide
    : min < 0 || max > 65_535
    ? columnKind.int32
    : max > 255
    ? columnKind.uint16
    : columnKind.uint8;
  return isConstant && count * rowBytes[kind]! > 8 ? columnKind.constant : kind;
}

function appendVariable(writer: ByteWriter, cell: VariableCell, column: readonly unknown[], count: number): void {
  let nulls = 0;
  for (let i = 0; i < count; i++) if (column[i] === null) nulls++;
  if (nulls === count) return appendKind(writer, columnKind.zero, count > 0 ? column : undefined, count);
  appendKind(writer, columnKind.variable, nulls > 0 ? column : undefined, count);
  const lengthAt = writer.at;
  const start = lengthAt + 4 + 4 * count;
  writer.reserve(4 + 4 * count);
  writer.at = start;
  for (let i = 0; i < count; i++) {
    if (column[i] !== null) cell.append(writer, column[i]);
    writer.view.setUint32(lengthAt + 4 + 4 * i, writer.at - start, true);
  }
  writer.view.setUint32(lengthAt, writer.at - start, true);
}

function appendKind(writer: ByteWriter, kind: number, nullsOf: readonly unknown[] | undefined, count: number): void {
  const bytes = (count + 7) >> 3;
  writer.reserve(1 + bytes);
  if (!nullsOf) {
    writer.bytes[writer.at++] = kind;
    return;
  }
  writer.bytes[writer.at++] = kind | nullsFlag;
  const { at } = writer;
  writer.bytes.fill(0, at, at + bytes);
  for (let i = 0; i < count; i++) if (nullsOf[i] === null) writer.bytes[at + (i >> 3)]! |= 1 << (i & 7);
  writer.at = at + bytes;
}

/** Where columns lie, by column: what {@link findColumns} fills in and reads go by. */
export interface ColumnPlaces {
  /** {@link columnKind}. */
  readonly kinds: Uint8Array;
  /** Where the data starts, from the start of the buffer of `CellSource.view`. */
  readonly data: Int32Array;
  /** Where the null bits start, likewise; 0: there are none. */
  readonly nulls: Int32Array;
}

/** Room for the places of so many columns. */
export function columnPlaces(count: number): ColumnPlaces {
  return { kinds: new Uint8Array(count), data: new Int32Array(count), nulls: new Int32Array(count) };
}

/**
 * Finds the columns of `count` rows that start at `at`; puts their places at `first` and following. Gives where they end;
 * nothing of them lies at or after `end`. All positions are in `view`.
 */
export function findColumns(
  view: DataView,
  at: number,
  end: number,
  count: number,
  columnCount: number,
  places: ColumnPlaces,
  first: number,
): number {
  const { kinds, data, nulls } = places;
  for (let c = first; c < first + columnCount; c++) {
    if (at >= end) throw corrupt();
    const tag = view.getUint8(at++);
    const kind = tag & (nullsFlag - 1);
    nulls[c] = 0;
    if (tag >= nullsFlag) {
      nulls[c] = at;
      at += (count + 7) >> 3;
    }
    kinds[c] = kind;
    data[c] = at;
    if (kind >= columnKind.uint8 && kind <= columnKind.wide) at += count * rowBytes[kind]!;
    else if (kind === columnKind.constant) at += 8;
    else if (kind === columnKind.variable) {
      if (at + 4 > end) throw corrupt();
      at += 4 + 4 * count + view.getUint32(at, true);
    } else if (kind === columnKind.same) {
      const earlier = at < end ? first + view.getUint8(at++) : c;
      if (earlier >= c) throw corrupt();
      kinds[c] = kinds[earlier]!;
      data[c] = data[earlier]!;
      nulls[c] = nulls[earlier]!;
    } else if (kind !== columnKind.zero) throw corrupt();
    if (at > end) throw corrupt();
  }
  return at;
}

/** Reads rows `from … to` of the column at `place` into `into`, from index `start` on. Typed arrays are for columns without nulls. */
export function readColumn(
  source: CellSource,
  codec: ColumnCodec,
  count: number,
  places: ColumnPlaces,
  place: number,
  from: number,
  to: number,
  into: SlotColumn,
  start: number,
): void {
  const kind = places.kinds[place]!;
  const at = places.data[place]!;
  if (into instanceof Float64Array) readDoubles(source.view, kind, at, from, to, into, start);
  else if (into instanceof Int32Array) readInts(source.view, kind, at, from, to, into, start);
  else if (into instanceof BigInt64Array) readBigs(source.view, kind, at, from, to, into, start);
  else {
    const nulls = places.nulls[place]!;
    if (codec.cell) return readCells(source, codec.cell, kind, at, nulls, count, from, to, into, start);
    readPlain(source.view, codec, kind, at, from, to, into, start);
    if (nulls === 0) return;
    for (let i = from; i < to; i++) if (isNull(source.view, nulls, i)) into[start + i - from] = null;
  }
}

function isNull(view: DataView, nulls: number, i: number): boolean {
  return ((view.getUint8(nulls + (i >> 3)) >> (i & 7)) & 1) === 1;
}

function readDoubles(
  view: DataView,
  kind: number,
  at: number,
  from: number,
  to: number,
  into: Float64Array,
  start: number,
): void {
  switch (kind) {
    case columnKind.zero:
      for (let i = from; i < to; i++) into[start++] = 0;
      return;
    case columnKind.constant: {
      const value = view.getFloat64(at, true);
      for (let i = from; i < to; i++) into[start++] = value;
      return;
    }
    case columnKind.uint8:
      for (let i = from; i < to; i++) into[start++] = view.getUint8(at + i);
      return;
    case columnKind.uint16:
      for (let i = from; i < to; i++) into[start++] = view.getUint16(at + 2 * i, true);
      return;
    case columnKind.int32:
      for (let i = from; i < to; i++) into[start++] = view.getInt32(at + 4 * i, true);
      return;
    case columnKind.float32:
      for (let i = from; i < to; i++) into[start++] = view.getFloat32(at + 4 * i, true);
      return;
    case columnKind.wide:
      for (let i = from; i < to; i++) into[start++] = view.getFloat64(at + 8 * i, true);
      return;
    default:
      throw corrupt();
  }
}

function readInts(
  view: DataView,
  kind: number,
  at: number,
  from: number,
  to: number,
  into: Int32Array,
  start: number,
): void {
  switch (kind) {
    case columnKind.zero:
      for (let i = from; i < to; i++) into[start++] = 0;
      return;
    case columnKind.constant: {
      const value = view.getFloat64(at, true);
      for (let i = from; i < to; i++) into[start++] = value;
      return;
    }
    case columnKind.uint8:
      for (let i = from; i < to; i++) into[start++] = view.getUint8(at + i);
      return;
    case columnKind.uint16:
      for (let i = from; i < to; i++) into[start++] = view.getUint16(at + 2 * i, true);
      return;
    case columnKind.int32:
      for (let i = from; i < to; i++) into[start++] = view.getInt32(at + 4 * i, true);
      return;
    default:
      throw corrupt();
  }
}

function readBigs(
  view: DataView,
  kind: number,
  at: number,
  from: number,
  to: number,
  into: BigInt64Array,
  start: number,
): void {
  switch (kind) {
    case columnKind.zero:
      for (let i = from; i < to; i++) into[start++] = 0n;
      return;
    case columnKind.constant: {
      const value = view.getBigInt64(at, true);
      for (let i = from; i < to; i++) into[start++] = value;
      return;
    }
    case columnKind.uint8:
      for (let i = from; i < to; i++) into[start++] = BigInt(view.getUint8(at + i));
      return;
    case columnKind.uint16:
      for (let i = from; i < to; i++) into[start++] = BigInt(view.getUint16(at + 2 * i, true));
      return;
    case columnKind.int32:
      for (let i = from; i < to; i++) into[start++] = BigInt(view.getInt32(at + 4 * i, true));
      return;
    case columnKind.float32:
      // Integers above 32 bits that a float32 holds.
      for (let i = from; i < to; i++) into[start++] = BigInt(view.getFloat32(at + 4 * i, true));
      return;
    case columnKind.wide:
      for (let i = from; i < to; i++) into[start++] = view.getBigInt64(at + 8 * i, true);
      return;
    default:
      throw corrupt();
  }
}

/** Values of fixed width in row form. */
function readPlain(
  view: DataView,
  { type, isBig }: ColumnCodec,
  kind: number,
  at: number,
  from: number,
  to: number,
  into: unknown[],
  start: number,
): void {
  const isBoolean = type === "boolean";
  for (let i = from; i < to; i++) {
    let value: number | bigint;
    switch (kind) {
      case columnKind.zero:
        value = 0;
        break;
      case columnKind.constant:
        value = isBig ? view.getBigInt64(at, true) : view.getFloat64(at, true);
        break;
      case columnKind.uint8:
        value = view.getUint8(at + i);
        break;
      case columnKind.uint16:
        value = view.getUint16(at + 2 * i, true);
        break;
      case columnKind.int32:
        value = view.getInt32(at + 4 * i, true);
        break;
      case columnKind.float32:
        value = view.getFloat32(at + 4 * i, true);
        break;
      case columnKind.wide:
        value = isBig ? view.getBigInt64(at + 8 * i, true) : view.getFloat64(at + 8 * i, true);
        break;
      default:
        throw corrupt();
    }
    into[start++] = isBoolean ? value !== 0 : isBig ? BigInt(value) : value;
  }
}

function readCells(
  source: CellSource,
  cell: VariableCell,
  kind: number,
  at: number,
  nulls: number,
  count: number,
  from: number,
  to: number,
  into: unknown[],
  start: number,
): void {
  if (kind === columnKind.zero) {
    for (let i = from; i < to; i++) into[start++] = null;
    return;
  }
  if (kind !== columnKind.variable) throw corrupt();
  const { view, base } = source;
  const length = view.getUint32(at, true);
  // Cells count from the start of the value, places from that of its buffer.
  const bytes = at + 4 + 4 * count - base;
  let begin = from === 0 ? 0 : view.getUint32(at + 4 * from, true);
  for (let i = from; i < to; i++) {
    const end = view.getUint32(at + 4 + 4 * i, true);
    if (end < begin || end > length) throw corrupt();
    into[start++] = nulls > 0 && isNull(view, nulls, i) ? null : cell.get(source, bytes + begin, bytes + end);
    begin = end;
  }
}
