/** Columns that results are written to. */
import { type Column, type ColumnKind, makeValues } from "./columns.ts";

/** A column of results: every row is written before it is read. */
export interface ResultColumn {
  readonly column: Column;
  /** Writes a value in row form. */
  set(row: number, value: unknown): void;
}

/** Room for so many results. */
export function resultColumn(kind: ColumnKind, rows: number): ResultColumn {
  const values = makeValues(kind, rows);
  if (Array.isArray(values)) {
    return { column: { values }, set: (row, value) => values[row] = value };
  }
  const nulls = new Uint8Array(rows);
  const typed = values as { [row: number]: unknown };
  return {
    column: { values, nulls },
    set: (row, value) => {
      if (value === null) nulls[row] = 1;
      else {
        nulls[row] = 0;
        typed[row] = value;
      }
    },
  };
}
