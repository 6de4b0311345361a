/** Any rows as a table. */
import { Displayed, type Rendering } from "../display.ts";
import type { Row } from "../schema.ts";
import { formatCount } from "../text.ts";
import { cellText } from "./cell_text.ts";
import { tableBundle } from "./html.ts";

const maxRows = 100;

/** Rows that a notebook shows as a table, and a console as text. */
export class RowsShown extends Displayed {
  /** The rows. */
  readonly rows: readonly Row[];

  /** Made by {@link table}. */
  constructor(rows: readonly Row[]) {
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
    const names = [...new Set(this.rows.flatMap((row) => Object.keys(row)))];
    const isNumber = (name: string) => this.rows.some((row) => ["number", "bigint"].includes(typeof row[name]));
    const shown = this.rows.slice(0, maxRows);
    return {
      first: tableBundle({
        head: names,
        rows: shown.map((row) => names.map((name) => cellText(row[name]))),
        align: names.map((name) => isNumber(name) ? "right" : "left"),
        ...(shown.length < this.rows.length &&
          { note: `first ${maxRows} of ${formatCount(this.rows.length)} rows` }),
      }),
    };
  }
}

/** Shows plain rows as a table: what `rows()`, `describe()` or `preview()` gave. */
export function table(rows: readonly object[]): RowsShown {
  return new RowsShown(rows as readonly Row[]);
}
