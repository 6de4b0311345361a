/** DataFrames of Polars as tables. They are known by what they can do: another copy of the library makes other classes. */
import type { MimeBundle } from "../display.ts";
import type { Row } from "../schema.ts";
import { formatCount } from "../text.ts";
import { rowTexts } from "./cell_text.ts";
import { tableBundle } from "./html.ts";
import { maxColumns } from "./rows_table.ts";

/** The parts of a DataFrame that are shown. */
export interface DataFrameLike {
  /** How many rows there are. */
  readonly height: number;
  /** The names of the columns. */
  readonly columns: string[];
  /** Their types. */
  readonly dtypes: readonly unknown[];
  /** Keeps columns. */
  select(...columns: string[]): DataFrameLike;
  /** The first rows. */
  head(length: number): DataFrameLike;
  /** One column. */
  getColumn(name: string): { toArray(): unknown[] };
  /** The rows as objects. */
  toRecords(): Row[];
  /** The rows as text. */
  writeCSV(): unknown;
}

/** Whether something is a DataFrame. */
export function isDataFrame(value: unknown): value is DataFrameLike {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const { height, head, select, toRecords } = value as Partial<DataFrameLike>;
  return typeof height === "number" && [head, select, toRecords].every((each) => typeof each === "function");
}

/** Its first rows and columns in both forms. */
export function dataFrameBundle(frame: DataFrameLike, rows = 10): MimeBundle {
  const names = frame.columns.slice(0, maxColumns);
  const types = typesOf(frame, names);
  const first = names.length === 0 ? undefined : frame.select(...names).head(rows);
  const wide = names.filter((_, i) => types[i] === "Int64" || types[i] === "UInt64");
  const records = first === undefined ? [] : withExactIntegers(first, recordsOf(first), wide);
  const all = frame.columns.length;
  const counted = records.length === frame.height
    ? `${formatCount(frame.height)} ${frame.height === 1 ? "row" : "rows"}`
    : `first ${records.length} of ${formatCount(frame.height)} rows`;
  return tableBundle({
    head: names.map((name, i) => types[i] === undefined ? name : `${name}\n${types[i]}`),
    rows: rowTexts(records, names),
    align: names.map((name) => records.some((row) => isNumber(row[name])) ? "right" : "left"),
    note: `${counted} × ${formatCount(all)} ${all === 1 ? "column" : "columns"}${
      all > names.length ? `, ${formatCount(all - names.length)} not shown` : ""
    }`,
  });
}

/** Polars cannot give a single row with structs as objects, only its columns. */
function recordsOf(frame: DataFrameLike): Row[] {
  try {
    return frame.toRecords();
  } catch {
    const columns = frame.columns.map((name) => [name, frame.getColumn(name).toArray()] as const);
    return Array.from(
      { length: frame.height },
      (_, i) => Object.fromEntries(columns.map(([name, of]) => [name, of[i]])),
    );
  }
}

/** Records have integers as numbers, which round those beyond 2^53: a key that is shown would be somebody else's. Text has them whole. */
function withExactIntegers(frame: DataFrameLike, records: readonly Row[], names: readonly string[]): Row[] {
  const rounded = names.filter((name) =>
    records.some((row) => typeof row[name] === "number" && !Number.isSafeInteger(row[name]))
  );
  const exact = rounded.map((name) => [name, String(frame.select(name).writeCSV()).split("\n").slice(1)] as const);
  return records.map((row, i) => ({
    ...row,
    ...Object.fromEntries(exact.map(([name, texts]) => [name, row[name] === null ? null : BigInt(texts[i]!)])),
  }));
}

/** Some types cannot be told by this version of the library. */
function typesOf(frame: DataFrameLike, names: readonly string[]): (string | undefined)[] {
  try {
    return frame.select(...names).dtypes.map((type) => typeText(String(type)));
  } catch {
    return [];
  }
}

/** `DataType(List(DataType(Float64)))` as people write it. */
function typeText(text: string): string {
  const isKept: boolean[] = [];
  return text.split(/(DataType\(|,?[()])/).map((part) => {
    if (part === "(" || part === "DataType(") isKept.push(part === "(");
    else if (part.endsWith(")")) return isKept.pop() ? ")" : "";
    return part === "DataType(" ? "" : part;
  }).join("");
}

function isNumber(value: unknown): boolean {
  return typeof value === "number" || typeof value === "bigint";
}
