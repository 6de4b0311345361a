/** Rows of data as a table: names with their types above, a line that says how much is not shown below. */
import type { MimeBundle } from "../display.ts";
import { formatType, isNumericType, type Row, type Schema } from "../schema.ts";
import { formatCount } from "../text.ts";
import { rowTexts } from "./cell_text.ts";
import { tableBundle } from "./html.ts";

/** A table with more columns than this is cut. */
export const maxColumns = 30;

/** What is known of rows beside those that are shown. */
export interface RowsTableOptions {
  readonly title?: string;
  /** How many there are, where that is known. */
  readonly total?: number;
}

/** Some rows in both forms. */
export function rowsTable(schema: Schema, rows: readonly Row[], { title, total }: RowsTableOptions = {}): MimeBundle {
  const shown = schema.slice(0, maxColumns);
  const cut = schema.length - shown.length;
  const notes = [
    rowsNote(rows.length, total),
    `${formatCount(schema.length)} ${schema.length === 1 ? "column" : "columns"}${cut > 0 ? `, ${cut} not shown` : ""}`,
  ];
  return tableBundle({
    head: shown.map(({ name, type }) => `${name}\n${formatType(type)}`),
    rows: rowTexts(rows, shown.map(({ name }) => name)),
    align: shown.map(({ type }) => isNumericType(type) ? "right" : "left"),
    ...(title !== undefined && { title }),
    note: notes.join(" × "),
  });
}

function rowsNote(shown: number, total: number | undefined): string {
  if (total === undefined) return `first ${formatCount(shown)} rows`;
  return total === shown
    ? `${formatCount(total)} ${total === 1 ? "row" : "rows"}`
    : `first ${formatCount(shown)} of ${formatCount(total)} rows`;
}
