/** Any rows as a table. */
import { Displayed, type Rendering } from "../display.ts";
import { givenText, VarveError } from "../errors.ts";
import type { Row } from "../schema.ts";
import { formatCount } from "../text.ts";
import { rowTexts } from "./cell_text.ts";
import { dataFrameBundle, type DataFrameLike, isDataFrame } from "./data_frame.ts";
import { tableBundle } from "./html.ts";
import { maxColumns } from "./rows_table.ts";

const maxRows = 100;

/** Rows that a notebook shows as a table, and a console as text. */
export class RowsShown extends Displayed {
  /** The rows, or the DataFrame. */
  readonly rows: readonly Row[] | DataFrameLike;

  /** Made by {@link table}. */
  constructor(rows: readonly Row[] | DataFrameLike) {
    super();
    this.rows = rows;
    Object.freeze(this);
  }

  /** The table as text. */
  override toString(): string {
    return this.rendering().first["text/plain"];
  }

  /** @internal */
  override rendering(): Rendering {
    const { rows } = this;
    if (isDataFrame(rows)) return { first: dataFrameBundle(rows, maxRows) };
    // Of many rows only these are looked at, also for their names.
    const shown = rows.slice(0, maxRows);
    const all = [...new Set(shown.flatMap((row) => Object.keys(row)))];
    const names = all.slice(0, maxColumns);
    const isNumber = (name: string) => shown.some((row) => ["number", "bigint"].includes(typeof row[name]));
    const notes = [
      ...(rows.length === 0 ? ["no rows"] : []),
      ...(shown.length < rows.length ? [`first ${maxRows} of ${formatCount(rows.length)} rows`] : []),
      ...(names.length < all.length ? [`first ${maxColumns} of ${formatCount(all.length)} columns`] : []),
    ];
    return {
      first: tableBundle({
        head: names,
        rows: rowTexts(shown, names),
        align: names.map((name) => isNumber(name) ? "right" : "left"),
        ...(notes.length > 0 && { note: notes.join(" · ") }),
      }),
    };
  }
}

/** Shows plain rows as a table, as `rows()`, `describe()` or `preview()` gave them, or a nodejs-polars DataFrame. */
export function table(rows: readonly object[] | DataFrameLike): RowsShown {
  if (!Array.isArray(rows) && !isDataFrame(rows)) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot make a table of ${
        givenText(rows)
      }: give a list of rows or a DataFrame; frames and results of varve show themselves`,
    );
  }
  return new RowsShown(rows as readonly Row[] | DataFrameLike);
}
