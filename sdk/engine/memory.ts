/** Data of this process behind frames: kept as long as a query that reads it is reachable, found by content hash. */
import type { MemorySource } from "../frame/query.ts";
import { sharedRegister } from "../frame/shared_register.ts";
import type { SharedDatabase } from "./duckdb_engine.ts";
import type { Snapshot } from "./snapshot.ts";
import { createTable } from "./tables.ts";

/** Alive while its owner, the source in a query, is. */
const keptByOwner = new WeakMap<object, Snapshot>();
/** Shared with other copies of this package: definitions in TypeScript make their frames in one, and commands read them in another. */
const keptById = sharedRegister<WeakRef<Snapshot>>("memory");

/** Keeps data for as long as `owner` lives; equal data is kept once. */
export function keepMemory(id: string, snapshot: Snapshot, owner: object): void {
  const kept = keptById.get(id)?.deref() ?? snapshot;
  keptByOwner.set(owner, kept);
  keptById.set(id, new WeakRef(kept));
}

/** Data that is kept in this process. */
export function memoryData(id: string): Snapshot | undefined {
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
      await createTable(client, table, kept);
      shared.memoryTables.set(source.id, table);
    }
    return table;
  });
}
