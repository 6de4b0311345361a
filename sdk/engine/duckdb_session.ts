/** One connection of the DuckDB engine. */
import { mkdirSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Query, ScanStep } from "../frame/query.ts";
import type { DataType, Row, Schema } from "../schema.ts";
import { arrowFromIpc } from "./arrow.ts";
import type { Table } from "./arrow.ts";
import type { DuckClient, RawChunk } from "./client.ts";
import { dataTypeOf, isNormalType, normalSql, parseDuckType } from "./duck_type.ts";
import { quoteName, quoteText } from "./engine.ts";
import type {
  ColumnBatch,
  CompileOptions,
  EngineSession,
  ParquetFile,
  ParquetOptions,
  Relation,
  TypedValues,
} from "./engine.ts";
import type { SharedDatabase } from "./duckdb_engine.ts";
import { ipcFromPolars, polarsFromParquet } from "./polars.ts";
import type { DataFrame } from "./polars.ts";
import { querySql } from "./query_sql.ts";
import { findSources } from "./source_finder.ts";
import { withScratchFile } from "./scratch.ts";
import { withLooks } from "./shown_frame.ts";
import { snapshotOf } from "./snapshot.ts";
import { createFilledTable, createTable } from "./tables.ts";
import { userValue } from "./value_form.ts";
import { borrowedVector, columnVector } from "./vectors.ts";

/** See {@link EngineSession}. */
export class DuckDbSession implements EngineSession {
  readonly #client: DuckClient;
  readonly #shared: SharedDatabase;

  constructor(client: DuckClient, shared: SharedDatabase) {
    this.#client = client;
    this.#shared = shared;
  }

  async compile(query: Query, options: CompileOptions = {}, signal?: AbortSignal): Promise<Relation> {
    const found = await findSources(query, this.#client, this.#shared, signal);
    const part = querySql(query, {
      ...found,
      position: options.position ?? false,
      ...(options.slices ? { slices: options.slices } : {}),
    });
    const schema: Schema = Object.freeze([
      ...(part.sliced ? [{ name: "__slice", type: "timestamp" as DataType }] : []),
      ...part.schema,
      ...(part.positioned ? [{ name: "__position", type: "int64" as DataType }] : []),
    ]);
    return { sql: part.sql, schema, position: part.positioned };
  }

  async nullCount(scan: ScanStep, column: string, signal?: AbortSignal): Promise<number> {
    const { eventTimestamp: time, writtenTimestamp: written } = scan.source;
    // A scan has the columns that its source names; only the one is read.
    const read = { ...scan, schema: scan.schema.filter(({ name }) => [column, time, written].includes(name)) };
    const found = await findSources(read, this.#client, this.#shared, signal);
    const source = found.source(read.source);
    const told = await this.#shared.fileFacts.nulls(source, column, this, signal);
    if (told !== undefined) return told;
    const { sql } = querySql(read, { ...found, position: false });
    const [row] = await this.rows(
      `SELECT count(*)::DOUBLE AS n FROM (${sql}) WHERE ${quoteName(column)} IS NULL`,
      signal,
    );
    return Number(row!["n"]);
  }

  async run(sql: string, signal?: AbortSignal): Promise<void> {
    await this.#client.run(sql, signal);
  }

  async rows(sql: string, signal?: AbortSignal): Promise<Row[]> {
    const { columns, chunks } = await this.#client.stream(sql, signal);
    const types = columns.map((column) => parseDuckType(column.type));
    if (!types.every(isNormalType)) {
      // Types that varve does not keep (HUGEINT sums, naive timestamps) are converted by the engine, as in sources.
      await chunks.return();
      const list = columns.map(({ name }, i) => `${normalSql(quoteName(name), types[i]!)} AS ${quoteName(name)}`);
      return await this.rows(`SELECT ${list.join(", ")} FROM (${sql.trim().replace(/;$/, "")})`, signal);
    }
    const names = columns.map((column) => column.name);
    const dataTypes = types.map((type, i) => dataTypeOf(type, `column "${names[i]}"`));
    const rows: Row[] = [];
    for await (const chunk of chunks) {
      const vectors = batchOf(chunk, dataTypes).columns;
      for (let row = 0; row < chunk.rowCount; row++) {
        rows.push(
          Object.fromEntries(
            names.map((
              name,
              i,
            ) => [name, vectors[i]!.isNull(row) ? null : userValue(vectors[i]!.values[row], dataTypes[i]!)]),
          ),
        );
      }
    }
    return rows;
  }

  async *batches(sql: string, schema: Schema, signal?: AbortSignal): AsyncGenerator<ColumnBatch, void, undefined> {
    const types = schema.map((field) => field.type);
    const { chunks } = await this.#client.stream(sql, signal);
    for await (const chunk of chunks) yield batchOf(chunk, types);
  }

  async *borrowedBatches(
    sql: string,
    schema: Schema,
    signal?: AbortSignal,
  ): AsyncGenerator<ColumnBatch, void, undefined> {
    const types = schema.map((field) => field.type);
    const { chunks } = await this.#client.stream(sql, signal);
    for await (const chunk of chunks) {
      yield batchOf(chunk, types, borrowedVector);
      // Used after the batch was, the chunk and its memory cannot be gone before.
      if (chunk.rowCount === 0) return;
    }
  }

  async collectBatches(sql: string, schema: Schema, signal?: AbortSignal): Promise<ColumnBatch[]> {
    const types = schema.map((field) => field.type);
    const batches: ColumnBatch[] = [];
    const { chunks } = await this.#client.collect(sql, signal);
    for (const chunk of chunks) batches.push(batchOf(chunk, types));
    return batches;
  }

  async collectInto(sql: string, columns: readonly TypedValues[], signal?: AbortSignal): Promise<number> {
    const { rowCount, chunks } = await this.#client.collect(sql, signal);
    const room = Math.min(...columns.map(({ length }) => length));
    if (rowCount > room) throw new RangeError(`Cannot hold a result of ${rowCount} rows where ${room} were expected`);
    let row = 0;
    for (const chunk of chunks) {
      for (const [i, column] of columns.entries()) column.set(chunk.columns[i]!.items as never, row);
      row += chunk.rowCount;
    }
    return rowCount;
  }

  async writeParquet(
    sql: string,
    path: string,
    options: ParquetOptions = {},
    signal?: AbortSignal,
  ): Promise<ParquetFile> {
    mkdirSync(dirname(path), { recursive: true });
    const { compression = "zstd" } = options;
    const settings = [`COMPRESSION ${compression}`];
    // Level 3, the default, makes a file 4 % smaller by a third more work for the whole writing (measured).
    if (compression === "zstd") settings.push("COMPRESSION_LEVEL 1");
    if (options.rowGroupSize !== undefined) settings.push(`ROW_GROUP_SIZE ${options.rowGroupSize}`);
    const rows = await this.#copy(sql, path, settings, signal);
    return { path, rows, bytes: statSync(path).size };
  }

  async #copy(sql: string, path: string, settings: readonly string[], signal?: AbortSignal): Promise<number> {
    try {
      const { chunks } = await this.#client.stream(
        `COPY (${sql}) TO ${quoteText(path)} (${["FORMAT parquet", ...settings].join(", ")})`,
        signal,
      );
      let rows = 0;
      for await (const chunk of chunks) rows += Number(chunk.columns[0]!.items![0]);
      return rows;
    } catch (error) {
      rmSync(path, { force: true }); // never half a file
      throw error;
    }
  }

  async fill(name: string, schema: Schema, batches: Iterable<ColumnBatch>, signal?: AbortSignal): Promise<Relation> {
    await createFilledTable(this.#client, name, schema, batches, "TEMP ", signal);
    return tableRelation(name, schema);
  }

  async append(name: string, schema: Schema, batches: Iterable<ColumnBatch>, signal?: AbortSignal): Promise<void> {
    await this.#client.append(name, schema.map((field) => field.type), batches, signal);
  }

  spillPath(): string {
    return this.#shared.spillPath();
  }

  async table(name: string, data: unknown, schema?: Schema, signal?: AbortSignal): Promise<Relation> {
    const snapshot = snapshotOf(data, schema);
    await createTable(this.#client, name, snapshot, "TEMP ", signal);
    return tableRelation(name, snapshot.schema);
  }

  async dataFrame(sql: string, schema: Schema, signal?: AbortSignal): Promise<DataFrame> {
    return await withScratchFile(async (path) => {
      await this.#copy(sql, path, exchangeSettings, signal);
      const durations = schema.filter((field) => field.type === "duration").map((field) => field.name);
      return withLooks(polarsFromParquet(path, durations));
    });
  }

  async arrow(sql: string, schema: Schema, signal?: AbortSignal): Promise<Table> {
    return arrowFromIpc(ipcFromPolars(await this.dataFrame(sql, schema, signal)));
  }

  close(): void {
    this.#client.close();
  }
}

/** How data crosses to Polars: nothing is compressed, and only columns of few values are written as dictionaries (measured fastest). */
const exchangeSettings = ["COMPRESSION uncompressed", "DICTIONARY_SIZE_LIMIT 200"];

function batchOf(chunk: RawChunk, types: readonly DataType[], vector = columnVector): ColumnBatch {
  return {
    rowCount: chunk.rowCount,
    columns: types.map((type, i) => vector(chunk.columns[i]!, type, chunk.readSpan)),
  };
}

function tableRelation(name: string, schema: Schema): Relation {
  return { sql: `SELECT ${schema.map((field) => quoteName(field.name)).join(", ")} FROM ${quoteName(name)}`, schema };
}
