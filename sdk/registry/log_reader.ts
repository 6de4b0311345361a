/** Reads the log of one workspace from the object store. */
import { VarveError } from "../errors.ts";
import type { ObjectStore } from "../storage/object_store.ts";
import { logFolder, logKey, parseChange, revisionOfKey } from "./change_entry.ts";
import type { Change } from "./state.ts";

/** How many entries are fetched at once: on S3 a thousand entries then take about a second. */
const concurrency = 32;

/** The entry of one revision; undefined when nobody wrote it yet. */
export async function readChange(
  store: ObjectStore,
  workspace: string,
  revision: number,
  signal?: AbortSignal,
): Promise<Change | undefined> {
  const key = logKey(workspace, revision);
  const bytes = await store.find(key, signal);
  return bytes === undefined ? undefined : parseChange(bytes, key, revision);
}

/** Every entry after a revision, in order; a hole in the log is CORRUPT. */
export async function readChangesAfter(
  store: ObjectStore,
  workspace: string,
  revision: number,
  signal?: AbortSignal,
): Promise<Change[]> {
  const revisions: number[] = [];
  for await (
    const info of store.list(logFolder(workspace), {
      after: logKey(workspace, revision),
      ...(signal ? { signal } : {}),
    })
  ) {
    const found = revisionOfKey(info.key);
    if (found !== undefined && found > revision) revisions.push(found);
  }
  const missing = revisions.findIndex((found, i) => found !== revision + 1 + i);
  if (missing >= 0) throw lostEntry(logKey(workspace, revision + 1 + missing));
  return await readRevisions(store, workspace, revisions, signal);
}

/** The entries of these revisions, which must exist, in the order given. */
export async function readRevisions(
  store: ObjectStore,
  workspace: string,
  revisions: readonly number[],
  signal?: AbortSignal,
): Promise<Change[]> {
  const changes: Change[] = new Array(revisions.length);
  let next = 0;
  const fetchSome = async () => {
    while (next < revisions.length) {
      const i = next++;
      const change = await readChange(store, workspace, revisions[i]!, signal);
      if (change === undefined) throw lostEntry(logKey(workspace, revisions[i]!));
      changes[i] = change;
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, revisions.length) }, fetchSome));
  return changes;
}

function lostEntry(key: string): VarveError {
  return new VarveError(
    "CORRUPT",
    `Cannot read registry entry "${key}": it is missing though later ones exist; restore it from a backup`,
    {
      details: { key },
    },
  );
}
