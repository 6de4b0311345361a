/** Writes columns of values, each in the narrowest form: see {@link columnKind}. */
import type { SlotColumn } from "../window/aggregator.ts";
import type { ByteWriter } from "./byte_writer.ts";
import type { VariableCell } from "./encoding_cells.ts";
import { type ColumnCodec, columnKind, nullsFlag, rowBytes } from "./encoding_columns.ts";

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
