/** Rows that a read found, in the form that is asked for. */
import { Displayed, type MimeBundle, type Rendering } from "./display.ts";
import type { ParquetFile, ParquetOptions } from "./engine/engine.ts";
import type { ArrowTable, DataFrame } from "./frame/runtime.ts";
import { readStopped, stoppable } from "./interrupt.ts";
import { rowsTable } from "./notebook/rows_table.ts";
import type { OpenRelation } from "./retrieve/range.ts";
import type { Row } from "./schema.ts";

/** Rows that a notebook shows. */
const shownRows = 10;

/** Opens what is read; the caller closes it. */
type Open = (signal: AbortSignal | undefined) => Promise<OpenRelation>;

/** What is read, open. */
interface Opened extends OpenRelation {
  readonly signal: AbortSignal | undefined;
}

/** The result of a read; computed when it is asked for, by each method anew. */
export class ReadResult extends Displayed {
  readonly #open: Open;
  readonly #signal: AbortSignal | undefined;

  /**
   * Made by the reads of a store.
   * @internal
   */
  constructor(open: Open, signal?: AbortSignal) {
    super();
    this.#open = open;
    this.#signal = signal;
    Object.freeze(this);
  }

  /** The rows as a nodejs-polars DataFrame. */
  async collect(): Promise<DataFrame> {
    return await this.#read(({ session, relation, signal }) =>
      session.dataFrame(relation.sql, relation.schema, signal)
    ) as DataFrame;
  }

  /** The rows as an Apache Arrow table. */
  async arrow(): Promise<ArrowTable> {
    return await this.#read(({ session, relation, signal }) =>
      session.arrow(relation.sql, relation.schema, signal)
    ) as ArrowTable;
  }

  /** The rows as plain objects: for small results. */
  async rows(): Promise<Row[]> {
    return await this.#read(({ session, relation, signal }) => session.rows(relation.sql, signal));
  }

  /** Writes the rows to a Parquet file. */
  async parquet(path: string, options: ParquetOptions = {}): Promise<ParquetFile> {
    return await this.#read(({ session, relation, signal }) =>
      session.writeParquet(relation.sql, path, options, signal)
    );
  }

  /** What it is, in a line. */
  override toString(): string {
    return "rows that are read when they are asked for: rows(), collect(), arrow(), parquet(path)";
  }

  /** @internal */
  override rendering(): Rendering {
    return { first: { "text/plain": "reading …" }, later: () => this.#table() };
  }

  async #table(): Promise<MimeBundle> {
    return await this.#read(async ({ session, relation: { sql, schema }, signal }) => {
      const [counted] = await session.rows(`SELECT count(*)::DOUBLE AS n FROM (${sql})`, signal);
      const rows = await session.rows(`SELECT * FROM (${sql}) LIMIT ${shownRows}`, signal);
      return rowsTable(schema, rows, { total: Number(counted!["n"]) });
    });
  }

  async #read<T>(action: (opened: Opened) => Promise<T>): Promise<T> {
    return await stoppable({ signal: this.#signal }, readStopped, async ({ signal }) => {
      const opened = await this.#open(signal);
      try {
        return await action({ ...opened, signal });
      } finally {
        opened.session.close();
      }
    });
  }
}
