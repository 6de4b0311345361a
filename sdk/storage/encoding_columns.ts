/**
 * Columns of values as bytes, each in the narrowest form that holds all of its values: online values hold many rows of many
 * columns, most of which are small counts, or equal, or zero. A column is: kind (1 byte; +16 when null bits follow, 1 is null)
 * · null bits · data. All numbers are little-endian. Any row of any column can be read without the others.
 */
import { type DataType, isListType, isStructType } from "../schema.ts";
import { cellOf, corrupt, type VariableCell } from "./encoding_cells.ts";

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

/** Added to a kind where null bits follow. */
export const nullsFlag = 16;
/** Bytes per row by kind. */
export const rowBytes = [0, 0, 0, 1, 2, 4, 4, 8, 0];

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
