/**
 * Arrow tables on their way in, read by their layout alone: a table may come from another copy of the library (its ES and
 * CommonJS builds are two), for which the library's own functions do not work.
 */
import { VarveError } from "../errors.ts";
import type { DataType, Schema } from "../schema.ts";
import { floorDivide } from "../time.ts";
import type { ColumnBatch, ColumnVector } from "./engine.ts";
import { plainVector } from "./rows_data.ts";

/** A table, as far as it is read here. */
export interface ArrowLike {
  readonly numRows: number;
  readonly schema: { readonly fields: readonly ArrowField[] };
  readonly batches: readonly { readonly numRows: number; readonly data: { readonly children: readonly ArrowData[] } }[];
}

interface ArrowField {
  readonly name: string;
  readonly type: ArrowType;
}

interface ArrowType {
  readonly typeId: number;
  readonly bitWidth?: number;
  readonly isSigned?: boolean;
  readonly precision?: number;
  readonly scale?: number;
  readonly unit?: number;
  readonly children?: readonly ArrowField[] | null;
  readonly dictionary?: ArrowType;
}

interface ArrowData {
  readonly type: ArrowType;
  readonly length: number;
  readonly offset: number;
  readonly stride: number;
  readonly nullCount: number;
  // deno-lint-ignore no-explicit-any -- one of a dozen typed arrays
  readonly values: any;
  readonly valueOffsets: Int32Array | BigInt64Array;
  readonly children: readonly ArrowData[];
  readonly dictionary?: { readonly data: readonly ArrowData[] };
  getValid(index: number): boolean;
}

/** Whether something is a Table, of any copy of the library. */
export function isArrowTable(data: unknown): data is ArrowLike {
  return typeof data === "object" && data !== null && "batches" in data && Array.isArray(data.batches) &&
    "schema" in data && "numRows" in data;
}

/** The columns of a table. */
export function arrowSchema(table: ArrowLike): Schema {
  return table.schema.fields.map(({ name, type }) => ({ name, type: dataType(type, name) }));
}

/** The rows of the named columns of a table, as batches. */
export function arrowBatches(table: ArrowLike, schema: Schema): ColumnBatch[] {
  const indexes = schema.map((field) => table.schema.fields.findIndex(({ name }) => name === field.name));
  return table.batches.map((batch) => ({
    rowCount: batch.numRows,
    columns: indexes.map((index) => vectorOf(batch.data.children[index]!)),
  }));
}

// The library's numbers of types; Type in its enum.
const kinds: Readonly<Record<number, string>> = {
  [-1]: "dictionary",
  1: "null",
  2: "int",
  3: "float",
  4: "binary",
  5: "text",
  6: "bool",
  7: "decimal",
  8: "date",
  10: "timestamp",
  12: "list",
  13: "struct",
  15: "fixedBinary",
  16: "fixedList",
  17: "list",
  18: "duration",
  19: "binary",
  20: "text",
  21: "list",
};

function dataType(type: ArrowType, name: string): DataType {
  const child = (): DataType => dataType(type.children![0]!.type, name);
  switch (kinds[type.typeId]) {
    case "dictionary":
      return dataType(type.dictionary!, name);
    case "null":
    case "text":
      return "string";
    case "int":
      return type.bitWidth === 64 || (type.bitWidth === 32 && !type.isSigned) ? "int64" : "int32";
    case "float":
      if (type.precision === 0) break;
      return type.precision === 1 ? "float32" : "float64";
    case "bool":
      return "boolean";
    case "binary":
    case "fixedBinary":
      return "binary";
    case "date":
      return "date";
    case "timestamp":
      return "timestamp";
    case "duration":
      return "duration";
    case "list":
    case "fixedList":
      return { list: child() };
    case "struct":
      return { struct: type.children!.map((field) => ({ name: field.name, type: dataType(field.type, name) })) };
  }
  throw new VarveError(
    "UNSUPPORTED",
    `Cannot read column "${name}" of the Arrow table: its type ${String(type)} has no counterpart; drop or cast it`,
  );
}

function vectorOf(data: ArrowData): ColumnVector {
  const kind = kinds[data.type.typeId];
  const ready = (kind === "int" && (data.type.bitWidth === 64 || data.type.bitWidth === 32) && data.type.isSigned) ||
    (kind === "float" && data.type.precision !== 0) || (kind === "date" && data.type.unit === 0) ||
    ((kind === "timestamp" || kind === "duration") && data.type.unit === 2);
  if (!ready) return plainVector(valuesOf(data));
  const hasNulls = data.nullCount > 0;
  return {
    values: data.values.subarray(0, data.length),
    hasNulls,
    isNull: hasNulls ? (row) => !data.getValid(row) : () => false,
  };
}

function valuesOf(data: ArrowData): unknown[] {
  const read = reader(data);
  return Array.from({ length: data.length }, (_, i) => data.nullCount > 0 && !data.getValid(i) ? null : read(i));
}

/** Micros, from seconds, milliseconds, microseconds and nanoseconds. */
const toMicros: readonly ((value: bigint) => bigint)[] = [
  (value) => value * 1_000_000n,
  (value) => value * 1_000n,
  (value) => value,
  (value) => floorDivide(value, 1_000n),
];

function reader(data: ArrowData): (row: number) => unknown {
  const { type, values, valueOffsets: offsets } = data;
  const range = (row: number): [number, number] => [Number(offsets[row]), Number(offsets[row + 1])];
  switch (kinds[type.typeId]) {
    case "dictionary": {
      const words = data.dictionary!.data.flatMap(valuesOf);
      return (row) => words[Number(values[row])];
    }
    case "text": {
      const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
      return (row) => bytes.toString("utf8", ...range(row));
    }
    case "binary":
      return (row) => values.slice(...range(row));
    case "fixedBinary":
      return (row) => values.slice(data.stride * row, data.stride * (row + 1));
    case "bool":
      return (row) => (values[(data.offset + row) >> 3] & (1 << ((data.offset + row) & 7))) !== 0;
    case "int":
      return type.bitWidth === 64 || (type.bitWidth === 32 && !type.isSigned)
        ? (row) => signed(BigInt(values[row]))
        : (row) => values[row];
    case "date":
      return type.unit === 0 ? (row) => values[row] : (row) => Number(floorDivide(BigInt(values[row]), 86_400_000n));
    case "timestamp":
    case "duration":
      return (row) => toMicros[type.unit!]!(BigInt(values[row]));
    case "list": {
      const items = valuesOf(data.children[0]!);
      return (row) => items.slice(...range(row));
    }
    case "fixedList": {
      const items = valuesOf(data.children[0]!);
      return (row) => items.slice(data.stride * row, data.stride * (row + 1));
    }
    case "struct": {
      const parts = type.children!.map((field, i) => [field.name, valuesOf(data.children[i]!)] as const);
      return (row) => Object.fromEntries(parts.map(([name, items]) => [name, items[row]]));
    }
    case "null":
      return () => null;
  }
  return (row) => values[row];
}

function signed(value: bigint): bigint {
  if (BigInt.asIntN(64, value) === value) return value;
  throw new VarveError("SCHEMA_MISMATCH", `Cannot read ${value} of the Arrow table: it does not fit int64`);
}
