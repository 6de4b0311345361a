/** Name and payload of every job: the contract between scheduler, queue and worker. All payloads are JSON. */

export type Job = MaterializeJob | LoadOnlineJob | CleanJob;

/** Computes and commits slices of one view version. */
export interface MaterializeJob {
  readonly name: "materialize";
  readonly workspace: string;
  readonly view: string;
  readonly version: number;
  /** `[start, end)` as ISO text, whole slices. */
  readonly start: string;
  readonly end: string;
  /** Compute again what is already committed. */
  readonly overwrite: boolean;
  readonly reason: "backfill" | "schedule" | "lookback" | "manual" | "repair";
}

/** Brings the online store up to the last commit of one view version. */
export interface LoadOnlineJob {
  readonly name: "load-online";
  readonly workspace: string;
  readonly view: string;
  readonly version: number;
  /** Build a fresh collection even if one is there. */
  readonly rebuild: boolean;
}

/** Removes data that nothing refers to any more: deleted versions, orphan parts, old collections. */
export interface CleanJob {
  readonly name: "clean";
  readonly workspace: string;
  readonly view: string;
  readonly version: number;
}
