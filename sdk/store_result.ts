/** Rows that a read found, in the form that is asked for. */
import { Displayed, type MimeBundle, type Rendering } from "./display.ts";
import type { EngineSession, ParquetFile, ParquetOptions } from "./engine/engine.ts";
import type { ArrowTable, DataFrame } from "./frame/runtime.ts";
import { rowsTable } from "./notebook/rows_table.ts";
import type { OpenRelation } from "./retrieve/range.ts";
import type { Row, Schema } from "./schema.ts";

/** Rows that a notebook shows. */
const shownRows = 10;

/** The result of a read; computed when it is asked for, by each method anew. */
export class ReadResult extends Displayed {
  readonly #open: () => Promise<OpenRelation>;
  readonly #signal: AbortSignal | undefined;

  /**
   * Made by the reads of a store.
   * @internal
   */
  constructor(open: () => Promise<OpenRelation>, signal?: AbortSignal) {
    super();
    this.#open = open;
    this.#signal = signal;
    Object.freeze(this);
  }

  /** The rows as a nodejs-polars DataFrame. */
  async collect(): Promise<DataFrame> {
    return await this.#read((session, sql, schema) => session.dataFrame(sql, schema, this.#signal)) as DataFrame;
  }

  /** The rows as an Apache Arrow table. */
  async arrow(): Promise<ArrowTable> {
    return await this.#read((session, sql, schema) => session.arrow(sql, schema, this.#signal)) as ArrowTable;
  }

  /** The rows as plain objects: for small results. */
  async rows(): Promise<Row[]> {
    return await this.#read((session, sql) => session.rows(sql, this.#signal));
  }

  /** Writes the rows to a Parquet file. */
  async parquet(path: string, options: ParquetOptions = {}): Promise<ParquetFile> {
    return await this.#read((session, sql) => session.writeParquet(sql, path, options, this.#signal));
  }

  /** What it is, in a line. */
  override toString(): string {
    return "rows that are read when they are asked for: rows(), collect(), arrow(), parquet(path)";
  }

  /** @internal */
  override rendering(): Rendering {
    return { first: { "text/plain": "reading …" }, later: this.#table() };
  }

  async #table(): Promise<MimeBundle> {
    return await this.#read(async (session, sql, schema) => {
      const [counted] = await session.rows(`SELECT count(*)::DOUBLE AS n FROM (${sql})`, this.#signal);
      const rows = await session.rows(`SELECT * FROM (${sql}) LIMIT ${shownRows}`, this.#signal);
      return rowsTable(schema, rows, { total: Number(counted!["n"]) });
    });
  }

  async #read<T>(action: (session: EngineSession, sql: string, schema: Schema) => Promise<T>): Promise<T> {
    const { session, relation } = await this.#open();
    try {
      return await action(session, relation.sql, relation.schema);
    } finally {
      session.close();
    }
  }
}
