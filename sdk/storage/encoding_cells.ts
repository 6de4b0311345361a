/**
 * How single values of every type become bytes. Fixed-width types have a slot; strings, binaries, lists and structs have a
 * slot with the end of their bytes in the variable part that follows the slots. Lists and structs repeat the same shape
 * inside: null bits (1 is null), slots, variable part. All numbers are little-endian.
 */
import { VarveError } from "../errors.ts";
import { type DataType, formatType, isListType, isStructType } from "../schema.ts";
import { Timestamp, toMicros } from "../time.ts";
import type { ByteWriter } from "./byte_writer.ts";
import { daysOf, dayText } from "./encoding_key.ts";

/** Where values are read from: the same bytes three times, since each has its fast calls. */
export interface CellSource {
  readonly bytes: Buffer;
  readonly view: DataView;
  /** Where the row starts in `view`; 0 in `bytes`. */
  readonly base: number;
}

/** A type whose values all take the same room. */
export interface FixedCell {
  readonly size: number;
  put(view: DataView, at: number, value: unknown): void;
  get(view: DataView, at: number): unknown;
}

/** A type whose values take what they need. */
export interface VariableCell {
  readonly size: undefined;
  append(writer: ByteWriter, value: unknown): void;
  get(source: CellSource, start: number, end: number): unknown;
}

export type Cell = FixedCell | VariableCell;

/**
 * Row form is what executors use (int64, timestamp, duration: bigint; date: days); user form has `Timestamp` and
 * `"YYYY-MM-DD"`. Encoding takes both.
 */
export type ValueForm = "row" | "user";

/** The bytes that a type's slot takes. */
export function slotSize(cell: Cell): number {
  return cell.size ?? 4;
}

/** How values of a type are written and read. */
export function cellOf(type: DataType, form: ValueForm): Cell {
  if (isListType(type)) return listCell(type.list, form);
  if (isStructType(type)) {
    return structCell(
      type.struct.map((field) => field.name),
      type.struct.map((field) => field.type),
      form,
    );
  }
  switch (type) {
    case "boolean":
      return {
        size: 1,
        put: (view, at, value) => view.setUint8(at, check(typeof value === "boolean", type, value) && value ? 1 : 0),
        get: (view, at) => view.getUint8(at) !== 0,
      };
    case "int32":
      return {
        size: 4,
        put: (view, at, value) => view.setInt32(at, int32Of(value, type), true),
        get: (view, at) => view.getInt32(at, true),
      };
    case "date":
      return {
        size: 4,
        put: (view, at, value) => view.setInt32(at, daysOf(value) ?? fail(type, value), true),
        get: form === "row" ? (view, at) => view.getInt32(at, true) : (view, at) => dayText(view.getInt32(at, true)),
      };
    case "float32":
      return {
        size: 4,
        put: (view, at, value) => view.setFloat32(at, floatOf(value, type), true),
        get: (view, at) => view.getFloat32(at, true),
      };
    case "float64":
      return float64Cell;
    case "int64":
      return int64Cell;
    case "duration":
      return {
        size: 8,
        put: (view, at, value) => view.setBigInt64(at, int64Of(value, type), true),
        get: (view, at) => view.getBigInt64(at, true),
      };
    case "timestamp":
      return {
        size: 8,
        put: (view, at, value) => view.setBigInt64(at, microsOf(value), true),
        get: form === "row"
          ? (view, at) => view.getBigInt64(at, true)
          : (view, at) => new Timestamp(view.getBigInt64(at, true)),
      };
    case "string":
      return {
        size: undefined,
        append: (writer, value) => void writer.text(typeof value === "string" ? value : fail(type, value)),
        get: ({ bytes }, start, end) => bytes.toString("utf8", start, end),
      };
    case "binary":
      return {
        size: undefined,
        append(writer, value) {
          const bytes = value instanceof Uint8Array ? value : fail(type, value);
          writer.reserve(bytes.length);
          writer.bytes.set(bytes, writer.at);
          writer.at += bytes.length;
        },
        get: ({ bytes }, start, end) => new Uint8Array(bytes.subarray(start, end)),
      };
  }
}

/** The usual types of features, each known by its one object: a call for every value would cost more than reading it. */
const float64Cell: FixedCell = {
  size: 8,
  put: (view, at, value) => view.setFloat64(at, floatOf(value, "float64"), true),
  get: (view, at) => view.getFloat64(at, true),
};

const int64Cell: FixedCell = {
  size: 8,
  put: (view, at, value) => view.setBigInt64(at, int64Of(value, "int64"), true),
  get: (view, at) => view.getBigInt64(at, true),
};

/** Where the parts of a run of cells are. */
export interface CellRun {
  readonly cells: readonly Cell[];
  /** Places of the slots, from the start of the run. */
  readonly slots: readonly number[];
  /** Where the variable part starts, from the start of the run. */
  readonly fixedBytes: number;
}

/** Lays out a run of cells whose first `offset` bytes are taken, by a header for example. */
export function layOut(cells: readonly Cell[], offset: number): CellRun {
  let at = offset + Math.ceil(cells.length / 8);
  const slots = cells.map((cell) => {
    const slot = at;
    at += slotSize(cell);
    return slot;
  });
  return { cells, slots, fixedBytes: at };
}

/** Writes the null bits, slots and variable part of a run that starts at `start`; what comes before `offset` is not touched. */
export function writeRun(
  writer: ByteWriter,
  run: CellRun,
  start: number,
  offset: number,
  values: ArrayLike<unknown>,
): void {
  writer.at = start + offset;
  writer.reserve(run.fixedBytes - offset);
  writer.bytes.fill(0, start + offset, start + run.fixedBytes);
  writer.at = start + run.fixedBytes;
  for (let i = 0; i < run.cells.length; i++) {
    const cell = run.cells[i]!;
    const value = values[i];
    const isNull = value === null || value === undefined;
    if (isNull) writer.bytes[start + offset + (i >> 3)]! |= 1 << (i & 7);
    if (cell.size !== undefined) {
      if (!isNull) cell.put(writer.view, start + run.slots[i]!, value);
    } else {
      if (!isNull) cell.append(writer, value);
      writer.view.setUint32(start + run.slots[i]!, writer.at - start - run.fixedBytes, true);
    }
  }
}

/** Reads a run that starts at `start` and ends before `end`. */
export function readRun(source: CellSource, run: CellRun, start: number, offset: number, end: number): unknown[] {
  const { cells, slots } = run;
  const { view, bytes } = source;
  const values = new Array<unknown>(cells.length);
  const variableStart = start + run.fixedBytes;
  if (variableStart > end) throw corrupt();
  let from = variableStart;
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i]!;
    const isNull = (bytes[start + offset + (i >> 3)]! >> (i & 7)) & 1;
    if (cell.size !== undefined) {
      values[i] = isNull ? null : cell.get(view, source.base + start + slots[i]!);
    } else {
      const to = variableStart + view.getUint32(source.base + start + slots[i]!, true);
      if (to < from || to > end) throw corrupt();
      values[i] = isNull ? null : cell.get(source, from, to);
      from = to;
    }
  }
  return values;
}

/** Some cells of a run, and where each is. */
export interface PickedCells {
  readonly cells: readonly Cell[];
  /** For each cell: its slot, the byte and the bit that say whether it is null, the slot before it that says where it starts. */
  readonly slots: Int32Array;
  readonly nullBytes: Int32Array;
  readonly nullBits: Int32Array;
  readonly startSlots: Int32Array;
  readonly fixedBytes: number;
}

/** Picks cells of a run whose first `offset` bytes are taken. */
export function pickCells(
  { cells, slots, fixedBytes }: CellRun,
  offset: number,
  places: readonly number[],
): PickedCells {
  return {
    cells: places.map((place) => cells[place]!),
    slots: Int32Array.from(places, (place) => slots[place]!),
    nullBytes: Int32Array.from(places, (place) => offset + (place >> 3)),
    nullBits: Int32Array.from(places, (place) => place & 7),
    startSlots: Int32Array.from(
      places,
      (place) => slots[cells.findLastIndex((cell, i) => i < place && cell.size === undefined)] ?? -1,
    ),
    fixedBytes,
  };
}

/** Reads them from a row into `values` from `first` on; null is replaced by the default at its place. */
export function readPicked(
  source: CellSource,
  { cells, slots, nullBytes, nullBits, startSlots, fixedBytes }: PickedCells,
  values: unknown[],
  first: number,
  defaults: readonly unknown[],
): void {
  const { view, bytes, base } = source;
  const end = bytes.length;
  if (fixedBytes > end) throw corrupt();
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i]!;
    if ((bytes[nullBytes[i]!]! >> nullBits[i]!) & 1) values[first + i] = defaults[i];
    else if (cell === float64Cell) values[first + i] = view.getFloat64(base + slots[i]!, true);
    else if (cell === int64Cell) values[first + i] = view.getBigInt64(base + slots[i]!, true);
    else if (cell.size !== undefined) values[first + i] = cell.get(view, base + slots[i]!);
    else {
      const startSlot = startSlots[i]!;
      const from = fixedBytes + (startSlot < 0 ? 0 : view.getUint32(base + startSlot, true));
      const to = fixedBytes + view.getUint32(base + slots[i]!, true);
      if (to < from || to > end) throw corrupt();
      values[first + i] = cell.get(source, from, to);
    }
  }
}

/** The error of bytes that are not a value. */
export function corrupt(): VarveError {
  return new VarveError("CORRUPT", "Cannot read an online value: its bytes are torn; load the view again");
}

function listCell(element: DataType, form: ValueForm): VariableCell {
  const cell = cellOf(element, form);
  const size = slotSize(cell);
  const run = (count: number): CellRun => {
    const first = 4 + Math.ceil(count / 8);
    const slots = Array.from({ length: count }, (_, i) => first + i * size);
    return { cells: new Array<Cell>(count).fill(cell), slots, fixedBytes: first + count * size };
  };
  return {
    size: undefined,
    append(writer, value) {
      const values = Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))
        ? value as ArrayLike<unknown>
        : fail({ list: element }, value);
      const start = writer.at;
      writer.reserve(4);
      writer.view.setUint32(start, values.length, true);
      writeRun(writer, run(values.length), start, 4, values);
    },
    get(source, start, end) {
      const count = start + 4 <= end ? source.view.getUint32(source.base + start, true) : -1;
      // Checked before anything of that size is made.
      if (count < 0 || count * size > end - start) throw corrupt();
      return readRun(source, run(count), start, 4, end);
    },
  };
}

function structCell(names: readonly string[], types: readonly DataType[], form: ValueForm): VariableCell {
  const run = layOut(types.map((type) => cellOf(type, form)), 0);
  return {
    size: undefined,
    append(writer, value) {
      if (typeof value !== "object" || value === null) return fail({ struct: [] }, value);
      const record = value as Record<string, unknown>;
      writeRun(writer, run, writer.at, 0, names.map((name) => Object.hasOwn(record, name) ? record[name] : null));
    },
    get(source, start, end) {
      const values = readRun(source, run, start, 0, end);
      // Entries rather than assignment: a part may be named __proto__.
      return Object.fromEntries(names.map((name, i) => [name, values[i]]));
    },
  };
}

function int32Of(value: unknown, type: DataType): number {
  const integer = typeof value === "bigint" ? Number(value) : value;
  return typeof integer === "number" && (integer | 0) === integer ? integer : fail(type, value);
}

function int64Of(value: unknown, type: DataType): bigint {
  const integer = typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : value;
  return typeof integer === "bigint" && BigInt.asIntN(64, integer) === integer ? integer : fail(type, value);
}

function floatOf(value: unknown, type: DataType): number {
  return typeof value === "number" ? value : typeof value === "bigint" ? Number(value) : fail(type, value);
}

function microsOf(value: unknown): bigint {
  if (typeof value === "bigint") return int64Of(value, "timestamp");
  return value instanceof Timestamp || value instanceof Date ? toMicros(value) : fail("timestamp", value);
}

function check(fits: boolean, type: DataType, value: unknown): boolean {
  return fits || fail(type, value);
}

function fail(type: DataType, value: unknown): never {
  const shown = typeof value === "bigint" ? `${value}n` : JSON.stringify(value) ?? typeof value;
  throw new VarveError("SCHEMA_MISMATCH", `Cannot encode ${shown.slice(0, 80)}: it is not of type ${formatType(type)}`);
}
