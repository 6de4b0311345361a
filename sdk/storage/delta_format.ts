/** What a Delta table is made of, in the words of the Delta protocol, and the contract of a table. */
import type { Schema } from "../schema.ts";
import type { TimeRange } from "../time.ts";

/** A data file of the table. `path` is relative to the table's folder. */
export interface DeltaFile {
  readonly path: string;
  readonly size: number;
  readonly rows: number;
  readonly sha256: string;
  /** The slice that this file belongs to (kept in `tags`): micros. Every file belongs to one slice. */
  readonly slice: TimeRange;
  /** Smallest and largest event timestamp in the file: micros (kept in `stats` too, for other engines). */
  readonly minEventTimestamp: bigint;
  readonly maxEventTimestamp: bigint;
  /** The commit version that added the file; set when read from a snapshot. */
  readonly addedIn?: number;
}

/** The table at one version. Immutable; readers take one and keep it. */
export interface DeltaSnapshot {
  /** -1 when the table does not exist yet. */
  readonly version: number;
  readonly schema: Schema;
  /** Live files by time. */
  readonly files: readonly DeltaFile[];
  /** Slices that were committed, also the empty ones: slice start (micros) -> the commit version that last wrote it. */
  readonly slices: ReadonlyMap<bigint, number>;
  /** Milliseconds since the epoch of the commit. */
  readonly timestamp: number;
}

/** Replaces whole slices: their files of before vanish, `files` take their place; a slice without files is committed empty. */
export interface DeltaCommit {
  /** Unique per attempt: tells our own commit from another's when an answer was lost. */
  readonly runId: string;
  /**
   * The table version that the attempt saw when it began to read its inputs: the fence. When a slice of this commit was
   * committed by anyone since then, the commit is refused (`"fenced"`): a paused attempt can never undo a newer one.
   */
  readonly readVersion: number;
  readonly slices: readonly TimeRange[];
  readonly files: readonly DeltaFile[];
  /** Free facts, kept in commitInfo: author, reason, engine, job. */
  readonly info: Readonly<Record<string, string | number>>;
}

export type CommitResult =
  | { readonly outcome: "committed"; readonly version: number }
  /** The very same attempt was committed before. */
  | { readonly outcome: "already"; readonly version: number }
  /** Another attempt committed one of the slices after `readVersion`. */
  | { readonly outcome: "fenced"; readonly version: number; readonly slices: readonly bigint[] };

export interface DeltaTable {
  /** Folder of the table in the object store, without a trailing slash. */
  readonly path: string;
  /** Makes the table (version 0: protocol and metaData) unless it exists; a table of another schema is SCHEMA_MISMATCH. */
  create(schema: Schema, options: { readonly description?: string; readonly at: number }): Promise<DeltaSnapshot>;
  /** The newest version, or the given one (time travel). */
  snapshot(version?: number): Promise<DeltaSnapshot>;
  /** Versions newer than `version`, what each one added and removed: how online loads find what is new. */
  changes(
    after: number,
    upTo: number,
  ): Promise<readonly { version: number; added: readonly DeltaFile[]; removed: readonly DeltaFile[] }[]>;
  commit(commit: DeltaCommit): Promise<CommitResult>;
  /** A new key for a part: unique per attempt, under the table's folder. */
  newPartPath(slice: TimeRange, runId: string): string;
  /** Puts a local Parquet file into the table's folder; gives the file to commit. The local file may be moved. */
  addPart(
    localPath: string,
    part: Omit<DeltaFile, "path" | "size" | "sha256" | "addedIn">,
    runId: string,
  ): Promise<DeltaFile>;
  /** Local paths of files of a snapshot, to scan. */
  localPaths(files: readonly DeltaFile[], signal?: AbortSignal): Promise<string[]>;
  history(
    limit?: number,
  ): Promise<readonly { version: number; timestamp: number; info: Readonly<Record<string, unknown>> }[]>;
  /** Removes files that no commit newer than `retentionMs` refers to and that are older than it. Default is a dry run. */
  vacuum(
    options: { readonly retentionMs: number; readonly now: number; readonly apply?: boolean },
  ): Promise<{ keys: readonly string[]; bytes: number }>;
}
