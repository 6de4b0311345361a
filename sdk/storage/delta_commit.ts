/** Commits to a Delta table: optimistic, fenced by slice, and safe to repeat when an answer was lost. */
import { setTimeout as sleep } from "node:timers/promises";
import { VarveError } from "../errors.ts";
import { formatRange } from "../time.ts";
import { type Action, addOf, encodeEntry, type LogEntry, removeOf, runIdOf, txnOf } from "./delta_actions.ts";
import type { CommitResult, DeltaCommit } from "./delta_format.ts";
import type { DeltaLog } from "./delta_log.ts";
import type { TableState } from "./delta_state.ts";
import type { ObjectStore } from "./object_store.ts";

const mostRounds = 200;
const mostLostAnswers = 4;

/** One round per version that somebody else commits first; every round looks at what they did before it tries again. */
export async function commitSlices(
  store: ObjectStore,
  log: DeltaLog,
  commit: DeltaCommit,
  now: () => number,
): Promise<CommitResult> {
  checkCommit(log.table, commit);
  let lostAnswers = 0;
  let tried = false;
  let scanned = commit.readVersion;
  for (let round = 0; round < mostRounds; round++) {
    if (round > 0) await sleep(Math.random() * Math.min(400, 10 * 2 ** Math.min(round, 6)));
    const state = await log.latest();
    checkTable(log.table, commit, state);
    while (scanned < state.version) {
      const upTo = state.version;
      const mine = findMine(log.table, commit, await log.entries(scanned, upTo));
      if (mine !== undefined) return { outcome: tried ? "committed" : "already", version: mine };
      scanned = upTo;
    }
    const fenced = commit.slices.map((slice) => slice.start)
      .filter((start) => (state.sliceVersion(start) ?? -1) > commit.readVersion);
    if (fenced.length > 0) return { outcome: "fenced", version: state.version, slices: fenced };

    const entry = makeEntry(state, commit, now());
    try {
      tried = true;
      if (await store.putIfAbsent(log.entryKey(entry.version), encodeEntry(entry.actions)) === "created") {
        log.committed(entry);
        return { outcome: "committed", version: entry.version };
      }
    } catch (error) {
      // Nobody knows whether it is there: the next round reads and decides.
      const unclear = error instanceof VarveError && (error.code === "UNAVAILABLE" || error.code === "TIMEOUT");
      if (!unclear || ++lostAnswers === mostLostAnswers) throw error;
    }
  }
  throw new VarveError(
    "CONFLICT",
    `Cannot commit to Delta table "${log.table}": ${mostRounds} other commits came first; try again, or put more slices into one commit`,
  );
}

function checkCommit(table: string, commit: DeltaCommit): void {
  const fail = (why: string) =>
    new VarveError("INVALID_REQUEST", `Cannot commit run "${commit.runId}" to Delta table "${table}": ${why}`);
  if (commit.runId === "") throw fail("its runId is empty");
  if (commit.slices.length === 0) throw fail("it has no slices");
  const slices = [...commit.slices].sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
  slices.forEach((slice, i) => {
    if (slice.end <= slice.start) throw fail(`slice ${formatRange(slice)} is empty`);
    if (i > 0 && slices[i - 1]!.end > slice.start) {
      throw fail(`slices ${formatRange(slices[i - 1]!)} and ${formatRange(slice)} overlap`);
    }
  });
  const ends = new Map(slices.map((slice) => [slice.start, slice.end]));
  const paths = new Set<string>();
  for (const file of commit.files) {
    if (ends.get(file.slice.start) !== file.slice.end) {
      throw fail(`file "${file.path}" belongs to no slice of this commit`);
    }
    if (paths.has(file.path)) throw fail(`file "${file.path}" is there twice`);
    paths.add(file.path);
  }
}

function checkTable(table: string, commit: DeltaCommit, state: TableState): void {
  if (state.version < 0) {
    throw new VarveError("NOT_FOUND", `Cannot commit to Delta table "${table}": it does not exist; create it first`);
  }
  state.checkWritable();
  if (commit.readVersion > state.version) {
    throw new VarveError(
      "CONFLICT",
      `Cannot commit to Delta table "${table}": it is at version ${state.version}, but run "${commit.runId}" has read ` +
        `version ${commit.readVersion}: the table was replaced; run it again`,
    );
  }
}

/** The version that this very attempt committed; undefined when it did not. Nobody may have changed the table's shape meanwhile. */
function findMine(table: string, commit: DeltaCommit, entries: readonly LogEntry[]): number | undefined {
  const mine = entries.find((entry) => runIdOf(entry) === commit.runId);
  if (mine) return mine.version;
  const changed = entries.find((entry) =>
    entry.version > 0 && entry.actions.some((action) => action.metaData || action.protocol)
  );
  if (!changed) return undefined;
  throw new VarveError(
    "CONFLICT",
    `Cannot commit to Delta table "${table}": version ${changed.version} changed its protocol or columns while run ` +
      `"${commit.runId}" was under way; run it again`,
  );
}

function makeEntry(state: TableState, commit: DeltaCommit, now: number): LogEntry {
  const version = state.version + 1;
  // Never before the commit it builds on, whatever this computer's clock says: clean-ups count from these times.
  const at = Math.max(now, state.timestamp);
  const columns = new Set(state.schema.map((field) => field.name));
  const removed = commit.slices.flatMap((slice) => [...state.addsOfSlice(slice.start)]);
  for (const file of commit.files) {
    if (!state.hasFile(file.path)) continue;
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot commit file "${file.path}" to Delta table "${state.table}": it is in the table already; every attempt writes its own parts`,
    );
  }
  const commitInfo = {
    ...commit.info,
    timestamp: at,
    operation: "WRITE",
    operationParameters: { mode: "Overwrite", slices: String(commit.slices.length) },
    operationMetrics: {
      numFiles: String(commit.files.length),
      numRemovedFiles: String(removed.length),
      numOutputRows: String(commit.files.reduce((rows, file) => rows + file.rows, 0)),
      numOutputBytes: String(commit.files.reduce((bytes, file) => bytes + file.size, 0)),
    },
    isBlindAppend: false,
    engineInfo: "varve",
    readVersion: commit.readVersion,
    runId: commit.runId,
  };
  const actions: Action[] = [
    { commitInfo },
    ...commit.slices.map((slice) => ({ txn: txnOf(slice.start, version, at) })),
    ...removed.map((add) => ({ remove: removeOf(add, at) })),
    ...commit.files.map((file) => ({ add: addOf(file, at, columns) })),
  ];
  return { version, actions, commitInfo };
}
