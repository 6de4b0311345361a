/** The door to DuckDB: opens databases, runs statements, and translates its errors. */
import {
  BIGINT,
  BLOB,
  BOOLEAN,
  DATE,
  DOUBLE,
  type DuckDBAppender,
  DuckDBBlobValue,
  DuckDBBlobVector,
  type DuckDBConnection,
  DuckDBDataChunk,
  DuckDBDateValue,
  DuckDBInstance,
  DuckDBListValue,
  type DuckDBResult,
  DuckDBStructValue,
  DuckDBTimestampTZValue,
  type DuckDBType,
  type DuckDBValue,
  DuckDBVector,
  FLOAT,
  INTEGER,
  LIST,
  ResultReturnType,
  STRUCT,
  TIMESTAMPTZ,
  VARCHAR,
} from "@duckdb/node-api";
import bindings from "@duckdb/node-bindings";
import { VarveError } from "../errors.ts";
import { isListType, isStructType } from "../schema.ts";
import type { DataType } from "../schema.ts";
import type { DuckClient, DuckDatabase, RawChunk, RawResult, RawStream, RawVector } from "./client.ts";
import { leaveByExit } from "./deno_exit.ts";
import { cancelled, engineError } from "./duckdb_error.ts";
import { DuckDbEngine } from "./duckdb_engine.ts";
import type { DuckDbOptions } from "./duckdb_engine.ts";
import type { ColumnBatch, ColumnVector, Engine } from "./engine.ts";
import { isFixedWidth } from "./vectors.ts";

export type { DuckDbOptions };

/** Makes the DuckDB engine. The database is opened by its first session. */
export function createDuckDbEngine(options: DuckDbOptions = {}): Engine {
  return new DuckDbEngine(options, openDatabase);
}

async function openDatabase(settings: Readonly<Record<string, string>>): Promise<DuckDatabase> {
  leaveByExit();
  const instance = await guarded(() => DuckDBInstance.create(":memory:", { ...settings }));
  return {
    connect: async () => new Client(await guarded(() => instance.connect())),
    close: () => instance.closeSync(),
  };
}

async function guarded<T>(action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw signal?.aborted ? cancelled(signal, error) : engineError(error);
  }
}

function translated(action: () => void): void {
  try {
    action();
  } catch (error) {
    throw engineError(error);
  }
}

/** Closing adds what was appended so far, which may fail once more; the table is given up in any case. */
function closeQuietly(appender: DuckDBAppender): void {
  try {
    appender.closeSync();
  } catch {
    // The first error says what happened.
  }
}

class Client implements DuckClient {
  readonly #connection: DuckDBConnection;

  constructor(connection: DuckDBConnection) {
    this.#connection = connection;
  }

  async #interruptible<T>(signal: AbortSignal | undefined, action: () => Promise<T>): Promise<T> {
    if (!signal) return await guarded(action);
    if (signal.aborted) throw cancelled(signal);
    let again: ReturnType<typeof setInterval> | undefined;
    const interrupt = (): void => {
      this.#connection.interrupt();
      // An interrupt is lost on a statement that has not begun yet: repeat it until the statement ends.
      again = setInterval(() => this.#connection.interrupt(), 5);
    };
    signal.addEventListener("abort", interrupt, { once: true });
    try {
      return await guarded(action, signal);
    } finally {
      signal.removeEventListener("abort", interrupt);
      clearInterval(again);
    }
  }

  async run(sql: string, signal?: AbortSignal): Promise<void> {
    await this.#interruptible(signal, () => this.#connection.run(sql));
  }

  async stream(sql: string, signal?: AbortSignal): Promise<RawStream> {
    const result = await this.#interruptible(signal, () => this.#connection.stream(sql));
    const names = result.columnNames();
    const types = result.columnTypes();
    const columns = types.map((type, i) => ({ name: names[i]!, type: type.toString() }));
    return { columns, chunks: this.#chunksOf(result, types, sql, signal) };
  }

  /** Chunks of a stream; while one is used the next is fetched, which takes a sixth off the work of both (measured). */
  async *#chunksOf(
    result: DuckDBResult,
    types: readonly DuckDBType[],
    sql: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<RawChunk, void, undefined> {
    const fetch = (): Promise<DuckDBDataChunk | null> => this.#interruptible(signal, () => result.fetchChunk());
    let next = fetch();
    try {
      for (let chunk = await next; chunk && chunk.rowCount > 0; chunk = await next) {
        next = fetch();
        // It may fail before anybody waits for it; who waits is told.
        next.catch(() => undefined);
        yield rawChunk(chunk, types);
      }
    } finally {
      // Whoever stops early may use the connection at once.
      await next.catch(() => undefined);
    }
    // The library gives the same for a failure as for the end.
    if (result.returnType === ResultReturnType.INVALID) throw await this.#failure(sql, signal);
  }

  /** Why a stream ended in the middle. The library does not tell, so the query is run once more and its rows are thrown away. */
  async #failure(sql: string, signal: AbortSignal | undefined): Promise<VarveError> {
    if (signal?.aborted) return cancelled(signal);
    try {
      await this.run(`EXPLAIN ANALYZE ${sql}`, signal);
    } catch (error) {
      return engineError(error);
    }
    return new VarveError(
      "UNAVAILABLE",
      "Cannot finish the query: the engine ended it before all rows were read, and the same query runs now; try again",
    );
  }

  async collect(sql: string, signal?: AbortSignal): Promise<RawResult> {
    const result = await this.#interruptible(signal, () => this.#connection.run(sql));
    function* chunks(): Generator<RawChunk, void, undefined> {
      const { chunkCount } = result;
      const types = result.columnTypes();
      for (let i = 0; i < chunkCount; i++) yield rawChunk(result.getChunk(i), types);
    }
    return { rowCount: result.rowCount, chunks: chunks() };
  }

  async append(
    table: string,
    types: readonly DataType[],
    batches: Iterable<ColumnBatch>,
    signal?: AbortSignal,
  ): Promise<void> {
    const appender = await guarded(() => this.#connection.createAppender(table));
    const chunks = chunkMaker(types);
    let isDone = false;
    try {
      // What making a batch throws is its maker's error, not the engine's.
      for (const batch of batches) {
        if (signal?.aborted) throw cancelled(signal);
        translated(() => appendBatch(appender, chunks, types, batch));
      }
      isDone = true;
    } finally {
      if (isDone) translated(() => appender.closeSync());
      else closeQuietly(appender);
    }
  }

  close(): void {
    this.#connection.closeSync();
  }
}

/** The types are given because vectors that are asked for theirs make objects for each chunk: a tenth of what streams cost. */
function rawChunk(chunk: DuckDBDataChunk, types: readonly DuckDBType[]): RawChunk {
  const { rowCount } = chunk;
  // The library's chunks and vectors have these parts, though its declarations call them private.
  const { chunk: handle } = chunk as unknown as { readonly chunk: bindings.DataChunk };
  const columns = types.map((type, i) =>
    DuckDBVector.create(bindings.data_chunk_get_vector(handle, i), rowCount, type) as unknown as RawVector
  );
  return { rowCount, columns, readSpan };
}

const alwaysValid = { itemValid: () => true } as unknown as ConstructorParameters<typeof DuckDBBlobVector>[1];

/** A vector of one blob, whose header may lie anywhere, is the library's way to bytes at an address. */
function readSpan(header: DataView): Uint8Array {
  return new DuckDBBlobVector(header, alwaysValid, undefined as never, 0, 1).getItemBytes(0)!;
}

/** As many rows as a DuckDB vector holds. */
const chunkRows = 2048;

/** Chunks to be filled and appended. What is appended is copied, so that one whose values have no parts elsewhere is used again. */
function chunkMaker(types: readonly DataType[]): (rows: number) => DuckDBDataChunk {
  const duckTypes = types.map(libraryType);
  const isReusable = types.every(isFixedWidth);
  let whole: DuckDBDataChunk | undefined;
  return (rows) => {
    if (!isReusable || rows < chunkRows) return DuckDBDataChunk.create(duckTypes, rows);
    return whole ??= DuckDBDataChunk.create(duckTypes, rows);
  };
}

function appendBatch(
  appender: DuckDBAppender,
  chunks: (rows: number) => DuckDBDataChunk,
  types: readonly DataType[],
  batch: ColumnBatch,
): void {
  for (let start = 0; start < batch.rowCount; start += chunkRows) {
    const rows = Math.min(chunkRows, batch.rowCount - start);
    const chunk = chunks(rows);
    for (const [i, column] of batch.columns.entries()) fillVector(chunk, i, column, types[i]!, start, rows);
    appender.appendDataChunk(chunk);
  }
}

function fillVector(
  chunk: DuckDBDataChunk,
  index: number,
  column: ColumnVector,
  type: DataType,
  start: number,
  rows: number,
): void {
  const { values } = column;
  const isTyped = isFixedWidth(type) && ArrayBuffer.isView(values);
  // Parts of structs and lists have nulls of their own, without which DuckDB would follow addresses that nobody has written.
  const isNested = isListType(type) || isStructType(type);
  if (isTyped || (!isNested && isAllNull(column, start, rows))) {
    const vector = chunk.getColumnVector(index) as unknown as WritableVector;
    if (isTyped) vector.items.set((values as Int32Array).subarray(start, start + rows));
    setNulls(vector, column, start, rows);
    vector.flush();
    return;
  }
  const part = Array.from(
    { length: rows },
    (_, row) => column.isNull(start + row) ? null : libraryValue(values[start + row], type),
  );
  chunk.setColumnValues(index, part);
}

/** Parts of the library's vectors, which its declarations call private. */
interface WritableVector {
  readonly items: { set(values: ArrayLike<unknown>): void };
  readonly validity: {
    setItemValid(row: number, valid: boolean): void;
    readonly data: BigUint64Array | null;
  };
  flush(): void;
}

/** Clears bits of validity by bytes: the library's way costs a BigInt or two for every null. */
function setNulls({ validity }: WritableVector, column: ColumnVector, start: number, rows: number): void {
  // There are bits of a chunk before.
  let bytes = validity.data && bytesOf(validity.data).fill(0xff);
  if (!column.hasNulls) return;
  const { nulls } = column;
  for (let row = 0; row < rows; row++) {
    if (nulls ? nulls[start + row] === 0 : !column.isNull(start + row)) continue;
    if (!bytes) {
      validity.setItemValid(row, false); // makes the bits
      bytes = bytesOf(validity.data!);
    }
    bytes[row >> 3]! &= ~(1 << (row & 7));
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: BigUint64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function isAllNull(column: ColumnVector, start: number, rows: number): boolean {
  if (!column.hasNulls) return false;
  for (let row = start; row < start + rows; row++) if (!column.isNull(row)) return false;
  return true;
}

function libraryType(type: DataType): DuckDBType {
  if (isListType(type)) return LIST(libraryType(type.list));
  if (isStructType(type)) {
    return STRUCT(Object.fromEntries(type.struct.map((field) => [field.name, libraryType(field.type)])));
  }
  return {
    string: VARCHAR,
    boolean: BOOLEAN,
    int32: INTEGER,
    int64: BIGINT,
    float32: FLOAT,
    float64: DOUBLE,
    date: DATE,
    timestamp: TIMESTAMPTZ,
    duration: BIGINT,
    binary: BLOB,
  }[type];
}

function libraryValue(value: unknown, type: DataType): DuckDBValue {
  if (value === null || value === undefined) return null;
  if (isListType(type)) return new DuckDBListValue((value as unknown[]).map((item) => libraryValue(item, type.list)));
  if (isStructType(type)) {
    const record = value as Record<string, unknown>;
    return new DuckDBStructValue(
      Object.fromEntries(type.struct.map((field) => [field.name, libraryValue(record[field.name], field.type)])),
    );
  }
  if (type === "timestamp") return new DuckDBTimestampTZValue(value as bigint);
  if (type === "date") return new DuckDBDateValue(value as number);
  if (type === "binary") return new DuckDBBlobValue(value as Uint8Array);
  return value as DuckDBValue;
}
