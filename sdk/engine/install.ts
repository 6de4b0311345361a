/**
 * Gives frames an engine. Importing this file loads neither DuckDB nor Polars: the first reader does. Import it from a
 * composition root for its effect.
 */
import type { ArrowTable, DataFrame, FrameRuntime } from "../frame/runtime.ts";
import { setFrameRuntime } from "../frame/runtime.ts";
import type { Query } from "../frame/query.ts";
import type { Engine, EngineSession, Relation } from "./engine.ts";
import { readStopped, stoppable } from "../interrupt.ts";
import { keepMemory } from "./memory.ts";
import { hashSnapshot, snapshotOf } from "./snapshot.ts";
import { fileSchema, sqlSchema } from "./source_schema.ts";

// These files say what readers return: without them a user's editor knows neither DataFrames nor tables.
export type { PolarsDataFrame } from "./polars.ts";
export type { Table as ArrowResult } from "./arrow.ts";

/** Opens the engine that readers of frames use; called once, by the first reader. */
export type OpenEngine = () => Promise<Engine>;

async function openDuckDb(): Promise<Engine> {
  const { createDuckDbEngine } = await import("./duckdb.ts");
  return createDuckDbEngine();
}

let open: OpenEngine = openDuckDb;
let engine: Promise<Engine> | undefined;

/** Makes readers use another engine, for instance one that knows an object store. Sessions that run keep theirs. */
export function useEngine(next: OpenEngine): void {
  open = next;
  engine = undefined;
}

/** The engine of readers, opened on first use. */
export function frameEngine(): Promise<Engine> {
  engine ??= open();
  return engine;
}

async function withQuery<T>(
  query: Query,
  given: AbortSignal | undefined,
  action: (session: EngineSession, relation: Relation, signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  return await stoppable({ signal: given }, readStopped, async ({ signal }) => {
    const session = await (await frameEngine()).session();
    try {
      return await action(session, await session.compile(query, {}, signal), signal);
    } finally {
      session.close();
    }
  });
}

const runtime: FrameRuntime = {
  fileSchema,
  sqlSchema,
  keep(data, schema, owner) {
    const snapshot = snapshotOf(data, schema);
    const id = hashSnapshot(snapshot);
    keepMemory(id, snapshot, owner);
    return { id, rowCount: snapshot.rowCount, schema: snapshot.schema };
  },
  rows: (query, { signal: given } = {}) =>
    withQuery(query, given, (session, { sql }, signal) => session.rows(sql, signal)),
  dataFrame: (query, { signal: given } = {}) =>
    withQuery(
      query,
      given,
      async (session, { sql, schema }, signal) => await session.dataFrame(sql, schema, signal) as DataFrame,
    ),
  arrow: (query, { signal: given } = {}) =>
    withQuery(
      query,
      given,
      async (session, { sql, schema }, signal) => await session.arrow(sql, schema, signal) as ArrowTable,
    ),
  async *batches(query, { signal } = {}) {
    const session = await (await frameEngine()).session();
    try {
      const { sql, schema } = await session.compile(query, {}, signal);
      for await (const batch of session.batches(sql, schema, signal)) yield { ...batch, schema };
    } finally {
      session.close();
    }
  },
  parquet: (query, path, { signal: given, ...options } = {}) =>
    withQuery(query, given, (session, { sql }, signal) => session.writeParquet(sql, path, options, signal)),
  explain: (query) => withQuery(query, undefined, async (_, { sql }) => sql),
};

setFrameRuntime(runtime);
