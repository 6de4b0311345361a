/** Online values of attributes: the newest row of every key. */
import type { AttributeView } from "../define/definitions.ts";
import { VarveError } from "../errors.ts";
import type { DeltaFile } from "../storage/delta_format.ts";
import type { Collection } from "../storage/online_store.ts";
import { oldestValid, vanishedSql } from "./latest_rows.ts";
import { type Load, type OnlineContent, onlineProgress, type Written } from "./load_context.ts";
import { filesWithin, writeLatest } from "./write_latest.ts";

/** How a view of attributes is loaded. */
export function attributeContent(load: Load, definition: AttributeView): OnlineContent {
  return {
    all: (collection) => write(load, definition, load.snapshot.files, collection, false),
    async changesSince(appliedVersion) {
      const added = await filesSince(load, definition, appliedVersion);
      return added && ((collection) => write(load, definition, added, collection, true));
    },
  };
}

/**
 * The live files since the applied version. Undefined when merging them would not do: a commit took newest rows of some key
 * away (a newer-wins store cannot go back, so a fresh collection is filled), or the log or the files of that time are gone.
 */
async function filesSince(
  load: Load,
  definition: AttributeView,
  appliedVersion: number,
): Promise<DeltaFile[] | undefined> {
  const { snapshot, session, context: { table, clock, signal } } = load;
  const now = clock.now();
  try {
    const changes = await table.changes(appliedVersion, snapshot.version);
    const live = new Set(snapshot.files.map((file) => file.path));
    const added = changes.flatMap((change) => change.added).filter((file) => live.has(file.path));
    const removed = filesWithin(definition, changes.flatMap((change) => change.removed), now);
    if (removed.length === 0) return added;
    const from = removed.map((file) => file.minEventTimestamp).reduce((a, b) => a < b ? a : b);
    const covering = snapshot.files.filter((file) => file.rows > 0 && file.maxEventTimestamp >= from);
    const gonePaths = await table.localPaths(removed, signal);
    const livePaths = await table.localPaths(covering, signal);
    const vanished = await session.rows(
      vanishedSql(definition, gonePaths, livePaths, oldestValid(definition, now)),
      signal,
    );
    return vanished.length > 0 ? undefined : added;
  } catch (error) {
    if (error instanceof VarveError && error.code === "NOT_FOUND") return undefined;
    throw error;
  }
}

/**
 * The sequence of all values is the snapshot's version, not that of each row's commit: of equal event times the row that is true at
 * the later snapshot wins (a corrected slice), and a repetition changes nothing.
 */
async function write(
  load: Load,
  definition: AttributeView,
  files: readonly DeltaFile[],
  collection: Collection,
  merge: boolean,
): Promise<Written> {
  const { context, session, snapshot } = load;
  const { table, online, clock, expires = false, signal, failpoint } = context;
  const rows = await writeLatest({
    session,
    definition,
    table,
    files,
    sequence: BigInt(snapshot.version),
    now: clock.now(),
    expires,
    online,
    collection,
    merge,
    onRows: onlineProgress(load),
    ...(failpoint && { failpoint }),
    ...(signal && { signal }),
  });
  return { rows };
}
