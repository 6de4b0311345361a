/** Reads a log from the object store. */
import { VarveError } from "../errors.ts";
import type { ObjectStore } from "../storage/object_store.ts";
import { type CheckAction, logFolder, logKey, parseChange, revisionOfKey } from "./change_entry.ts";
import type { Change } from "./state.ts";

/** A log: where it lies, and how an action of it is checked. */
export interface LogPlace {
  readonly store: ObjectStore;
  /** The workspace, or another owner of a log. */
  readonly owner: string;
  readonly checkAction: CheckAction;
}

/** How many entries are fetched at once: on S3 a thousand entries then take about a second. */
const concurrency = 32;

/** The entry of one revision; undefined when nobody wrote it yet. */
export async function readChange<A>(
  { store, owner, checkAction }: LogPlace,
  revision: number,
  signal?: AbortSignal,
): Promise<Change<A> | undefined> {
  const key = logKey(owner, revision);
  const bytes = await store.find(key, signal);
  return bytes === undefined ? undefined : parseChange(bytes, key, revision, checkAction);
}

/** Every entry after a revision, in order; a hole in the log is CORRUPT. */
export async function readChangesAfter<A>(
  place: LogPlace,
  revision: number,
  signal?: AbortSignal,
): Promise<Change<A>[]> {
  const { store, owner } = place;
  const revisions: number[] = [];
  for await (
    const info of store.list(logFolder(owner), { after: logKey(owner, revision), ...(signal ? { signal } : {}) })
  ) {
    const found = revisionOfKey(info.key);
    if (found !== undefined && found > revision) revisions.push(found);
  }
  const missing = revisions.findIndex((found, i) => found !== revision + 1 + i);
  if (missing >= 0) throw lostEntry(logKey(owner, revision + 1 + missing));
  return await readRevisions(place, revisions, signal);
}

/** The entries of these revisions, which must exist, in the order given. */
export async function readRevisions<A>(
  place: LogPlace,
  revisions: readonly number[],
  signal?: AbortSignal,
): Promise<Change<A>[]> {
  const changes: Change<A>[] = new Array(revisions.length);
  let next = 0;
  const fetchSome = async () => {
    while (next < revisions.length) {
      const i = next++;
      const change = await readChange<A>(place, revisions[i]!, signal);
      if (change === undefined) throw lostEntry(logKey(place.owner, revisions[i]!));
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
