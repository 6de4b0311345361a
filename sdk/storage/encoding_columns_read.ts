/** Reads rows of columns that were found by their places. One loop per kind and target: each sees one type only, and is fast. */
import type { SlotColumn } from "../window/aggregator.ts";
import { type CellSource, corrupt, type VariableCell } from "./encoding_cells.ts";
import { type ColumnCodec, columnKind, type ColumnPlaces } from "./encoding_columns.ts";

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
