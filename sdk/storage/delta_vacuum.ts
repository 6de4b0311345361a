/** Finds the files of a Delta table that nobody needs any more. */
import { VarveError } from "../errors.ts";
import { fileOf, timestampOf } from "./delta_actions.ts";
import type { DeltaLog } from "./delta_log.ts";
import type { ObjectInfo, ObjectStore } from "./object_store.ts";

/**
 * Objects of the table that are older than the cutoff and that no version newer than the cutoff had. Objects are listed
 * before the log is read: a part that is committed in between is found in the log.
 */
export async function findUnused(store: ObjectStore, log: DeltaLog, cutoff: number): Promise<ObjectInfo[]> {
  const old: ObjectInfo[] = [];
  for await (const info of store.list(`${log.table}/`)) {
    if (!info.key.startsWith(`${log.table}/_delta_log/`) && info.modified.getTime() < cutoff) old.push(info);
  }
  const used = await usedSince(log, cutoff);
  return old.filter((info) => !used.has(info.key.slice(log.table.length + 1)));
}

/** Paths that the newest version, or any version since the cutoff, refers to. */
async function usedSince(log: DeltaLog, cutoff: number): Promise<Set<string>> {
  const state = await log.latest();
  if (state.version < 0) {
    throw new VarveError("NOT_FOUND", `Cannot vacuum Delta table "${log.table}": it does not exist`);
  }
  const used = new Set<string>();
  for (const add of state.adds) used.add(fileOf(add, log.table).path);
  for (let version = state.version; version >= 0; version--) {
    const [entry] = await log.entries(version - 1, version);
    if (timestampOf(entry!) < cutoff) break;
    for (const { add, remove } of entry!.actions) {
      if (add ?? remove) used.add(decodeURI((add ?? remove)!.path));
    }
  }
  return used;
}
