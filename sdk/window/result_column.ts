/** Columns that results are written to. */
import { type Column, type ColumnKind, makeValues } from "./columns.ts";

/** A column of results: every row is written before it is read. */
export interface ResultColumn {
  /** Begins anew. */
  clear(): void;
  /** Writes a value in row form. */
  set(row: number, value: unknown): void;
  /** What was written. */
  column(): Column;
}

/** Room for so many results. */
export function resultColumn(kind: ColumnKind, rows: number): ResultColumn {
  const values = makeValues(kind, rows);
  if (Array.isArray(values)) {
    return { clear: () => undefined, set: (row, value) => values[row] = value, column: () => ({ values }) };
  }
  const nulls = new Uint8Array(rows);
  let hasNulls = false;
  const typed = values as { [row: number]: unknown };
  return {
    clear: () => hasNulls = false,
    column: () => hasNulls ? { values, nulls } : { values },
    set: (row, value) => {
      if (value === null) {
        nulls[row] = 1;
        hasNulls = true;
      } else {
        nulls[row] = 0;
        typed[row] = value;
      }
    },
  };
}
