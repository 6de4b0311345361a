/** Packs vectors of a query's result into keys and values for the online store, without an object per row. */
import type { ColumnBatch, ColumnVector } from "../engine/engine.ts";
import type { Field } from "../schema.ts";
import type { Micros } from "../time.ts";
import { ByteWriter, viewOf } from "./byte_writer.ts";
import type { Cell, FixedCell, VariableCell } from "./encoding_cells.ts";
import { encodeKeys } from "./encoding_key.ts";
import { headerBytes, type RowLayout } from "./encoding_row.ts";
import type { PackedBatch, WriteBatch } from "./online_store.ts";

/** Which columns of a batch hold what, by position. */
export interface PackColumns {
  /** In the order of the join keys. */
  readonly joinKeys: readonly number[];
  /** A timestamp column without nulls. */
  readonly eventTimestamp: number;
  /** In the order of the layout's features. */
  readonly features: readonly number[];
}

/** How the rows of a view become online values. */
export interface PackPlan {
  readonly joinKeys: readonly Field[];
  readonly layout: RowLayout;
  readonly columns: PackColumns;
  /** Values expire at their event time plus this; absent: never. */
  readonly ttl?: Micros;
}

/** Packs a batch; rows with a null join key or event timestamp are left out: they have no entity or no place in time. */
export function packBatch(plan: PackPlan, batch: ColumnBatch, sequence: bigint): PackedBatch {
  const { layout, columns } = plan;
  const column = (index: number): ColumnVector => batch.columns[index]!;
  const times = column(columns.eventTimestamp);
  const keys = encodeKeys(plan.joinKeys, columns.joinKeys.map(column), batch.rowCount, [times]);
  const rows = rowsWithKey(keys.offsets, batch.rowCount);
  const features = columns.features.map(column);
  const variable = layout.run.cells.map((cell, i) =>
    cell.size === undefined ? packVariable(cell, features[i]!, rows) : undefined
  );
  const valueOffsets = offsetsOf(rows.length, layout.run.fixedBytes, variable);
  const values = Buffer.alloc(valueOffsets[rows.length]!);
  const view = viewOf(values);
  const timestamps = times.values;
  if (!(timestamps instanceof BigInt64Array)) {
    throw new TypeError("Cannot pack rows: the event timestamp is not a vector of micros");
  }
  putHeaders(view, valueOffsets, rows, timestamps, sequence, layout.id);
  for (let i = 0; i < features.length; i++) {
    const slot = layout.run.slots[i]!;
    if (features[i]!.hasNulls) putNulls(values, valueOffsets, rows, features[i]!, i);
    const cell: Cell = layout.run.cells[i]!;
    if (cell.size !== undefined) putFixed(view, valueOffsets, rows, features[i]!, cell, slot);
  }
  putVariable(values, view, valueOffsets, layout, variable);
  const expireAt = plan.ttl === undefined ? undefined : expiries(rows, timestamps, plan.ttl);
  return {
    count: rows.length,
    keys: keys.bytes,
    keyOffsets: keyOffsetsOf(keys.offsets, rows),
    values,
    valueOffsets,
    ...(expireAt && { expireAt }),
  };
}

/** A batch of separate keys and values in packed form; a packed batch is given back as it is. */
export function packed(batch: WriteBatch | PackedBatch): PackedBatch {
  if (!Array.isArray(batch.keys)) return batch as PackedBatch;
  const { keys, values, expireAt } = batch as WriteBatch;
  if (values.length !== keys.length || (expireAt && expireAt.length !== keys.length)) {
    throw new TypeError(`Cannot write ${keys.length} keys with ${values.length} values`);
  }
  const join = (parts: readonly Uint8Array[]) => {
    const offsets = new Uint32Array(parts.length + 1);
    for (let i = 0; i < parts.length; i++) offsets[i + 1] = offsets[i]! + parts[i]!.length;
    return { bytes: Buffer.concat(parts), offsets };
  };
  const joinedKeys = join(keys);
  const joinedValues = join(values);
  const expiry = expireAt?.some((at) => at !== undefined)
    ? Float64Array.from(expireAt, (at) => at === undefined ? Infinity : Math.ceil(Number(at) / 1000))
    : undefined;
  return {
    count: keys.length,
    keys: joinedKeys.bytes,
    keyOffsets: joinedKeys.offsets,
    values: joinedValues.bytes,
    valueOffsets: joinedValues.offsets,
    ...(expiry && { expireAt: expiry }),
  };
}

/** The positions of rows that can be written. */
function rowsWithKey(keyOffsets: Uint32Array, rowCount: number): Uint32Array {
  const rows = new Uint32Array(rowCount);
  let count = 0;
  for (let row = 0; row < rowCount; row++) {
    if (keyOffsets[row + 1] !== keyOffsets[row]) rows[count++] = row;
  }
  return rows.subarray(0, count);
}

/** Rows left out have no bytes, so the offsets of the others meet. */
function keyOffsetsOf(offsets: Uint32Array, rows: Uint32Array): Uint32Array {
  if (rows.length === offsets.length - 1) return offsets;
  const kept = new Uint32Array(rows.length + 1);
  for (let i = 0; i < rows.length; i++) kept[i + 1] = offsets[rows[i]! + 1]!;
  return kept;
}

interface PackedColumn {
  readonly bytes: Buffer;
  readonly offsets: Uint32Array;
}

function packVariable(cell: VariableCell, column: ColumnVector, rows: Uint32Array): PackedColumn {
  const writer = new ByteWriter(rows.length * 16 + 64);
  const offsets = new Uint32Array(rows.length + 1);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    if (!column.hasNulls || !column.isNull(row)) cell.append(writer, column.values[row]);
    offsets[i + 1] = writer.at;
  }
  return { bytes: writer.bytes, offsets };
}

function offsetsOf(count: number, fixedBytes: number, variable: readonly (PackedColumn | undefined)[]): Uint32Array {
  const offsets = new Uint32Array(count + 1);
  for (let i = 1; i <= count; i++) offsets[i] = i * fixedBytes;
  for (const column of variable) {
    if (column) { for (let i = 1; i <= count; i++) offsets[i]! += column.offsets[i]!; }
  }
  return offsets;
}

function putHeaders(
  view: DataView,
  offsets: Uint32Array,
  rows: Uint32Array,
  timestamps: BigInt64Array,
  sequence: bigint,
  layoutId: number,
): void {
  // Words instead of bigints, which would be an object per row.
  const words = new Int32Array(timestamps.buffer, timestamps.byteOffset, timestamps.length * 2);
  const high = Number(sequence >> 32n);
  const low = Number(sequence & 0xffffffffn);
  for (let i = 0; i < rows.length; i++) {
    const at = offsets[i]!;
    const row = rows[i]!;
    view.setInt32(at, words[2 * row + 1]! ^ 0x80000000);
    view.setInt32(at + 4, words[2 * row]!);
    view.setUint32(at + 8, high);
    view.setUint32(at + 12, low);
    view.setUint16(at + 16, layoutId);
  }
}

function putNulls(values: Buffer, offsets: Uint32Array, rows: Uint32Array, column: ColumnVector, index: number): void {
  const place = headerBytes + (index >> 3);
  const bit = 1 << (index & 7);
  for (let i = 0; i < rows.length; i++) if (column.isNull(rows[i]!)) values[offsets[i]! + place]! |= bit;
}

function putFixed(
  view: DataView,
  offsets: Uint32Array,
  rows: Uint32Array,
  column: ColumnVector,
  cell: FixedCell,
  slot: number,
): void {
  const { values, hasNulls } = column;
  // A null's slot is zero, whatever the vector has there: equal rows have equal bytes.
  const skips = (row: number) => hasNulls && column.isNull(row);
  if (values instanceof Float64Array && cell.size === 8) {
    for (let i = 0; i < rows.length; i++) {
      if (!skips(rows[i]!)) view.setFloat64(offsets[i]! + slot, values[rows[i]!]!, true);
    }
  } else if (values instanceof Float32Array && cell.size === 4) {
    for (let i = 0; i < rows.length; i++) {
      if (!skips(rows[i]!)) view.setFloat32(offsets[i]! + slot, values[rows[i]!]!, true);
    }
  } else if (values instanceof Int32Array && cell.size === 4) {
    for (let i = 0; i < rows.length; i++) {
      if (!skips(rows[i]!)) view.setInt32(offsets[i]! + slot, values[rows[i]!]!, true);
    }
  } else if (values instanceof BigInt64Array) {
    const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      if (skips(row)) continue;
      view.setInt32(offsets[i]! + slot, words[2 * row]!, true);
      view.setInt32(offsets[i]! + slot + 4, words[2 * row + 1]!, true);
    }
  } else {
    for (let i = 0; i < rows.length; i++) if (!skips(rows[i]!)) cell.put(view, offsets[i]! + slot, values[rows[i]!]);
  }
}

function putVariable(
  values: Buffer,
  view: DataView,
  offsets: Uint32Array,
  layout: RowLayout,
  variable: readonly (PackedColumn | undefined)[],
): void {
  if (variable.every((column) => column === undefined)) return;
  const { fixedBytes, slots } = layout.run;
  for (let i = 0; i + 1 < offsets.length; i++) {
    let end = 0;
    for (let c = 0; c < variable.length; c++) {
      const column = variable[c];
      if (!column) continue;
      const from = column.offsets[i]!;
      const to = column.offsets[i + 1]!;
      if (to > from) column.bytes.copy(values, offsets[i]! + fixedBytes + end, from, to);
      end += to - from;
      view.setUint32(offsets[i]! + slots[c]!, end, true);
    }
  }
}

function expiries(rows: Uint32Array, timestamps: BigInt64Array, ttl: Micros): Float64Array {
  const ttlMs = Number(ttl) / 1000;
  const words = new Uint32Array(timestamps.buffer, timestamps.byteOffset, timestamps.length * 2);
  const expireAt = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    expireAt[i] = Math.ceil(((words[2 * row + 1]! | 0) * 4294967296 + words[2 * row]!) / 1000 + ttlMs);
  }
  return expireAt;
}
