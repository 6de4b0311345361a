/** Data of this process behind frames: kept as long as a query that reads it is reachable, found by content hash. */
import type { MemorySource } from "../frame/query.ts";
import type { Schema } from "../schema.ts";
import type { SharedDatabase } from "./duckdb_engine.ts";
import { createTable } from "./duckdb_session.ts";
import { tableBatches } from "./table_data.ts";

interface Kept {
  readonly data: unknown;
  readonly schema: Schema;
}

/** Alive while its owner, the source in a query, is. */
const keptByOwner = new WeakMap<object, Kept>();
const keptById = new Map<string, WeakRef<Kept>>();

/** Keeps data for as long as `owner` lives; equal data is kept once. */
export function keepMemory(id: string, data: unknown, schema: Schema, owner: object): void {
  const kept = keptById.get(id)?.deref() ?? { data, schema };
  keptByOwner.set(owner, kept);
  keptById.set(id, new WeakRef(kept));
}

/** Data that is kept in this process. */
export function memoryData(id: string): Kept | undefined {
  return keptById.get(id)?.deref();
}

/** The table that holds a memory source, made on first use; undefined when the data is not in this process. */
export async function memoryTable(source: MemorySource, shared: SharedDatabase): Promise<string | undefined> {
  const kept = memoryData(source.id);
  return await shared.exclusive(async (client) => {
    for (const [id, table] of shared.memoryTables) {
      if (memoryData(id)) continue;
      shared.memoryTables.delete(id);
      await client.run(`DROP TABLE IF EXISTS "${table}"`);
    }
    if (!kept) return undefined;
    const table = `memory_${source.id}`;
    if (!shared.memoryTables.has(source.id)) {
      const filled = await tableBatches(kept.data, kept.schema);
      if (filled.kind === "batches") await createTable(client, table, filled.schema, filled.batches);
      shared.memoryTables.set(source.id, table);
    }
    return table;
  });
}
