/** Name and payload of every job: the contract between scheduler, queue and worker. All payloads are JSON. */
import { createHash } from "node:crypto";

/** Anything a worker does. */
export type Job = MaterializeJob | LoadOnlineJob | FindLateJob | CleanJob;

/** Computes and commits slices of one view version. */
export interface MaterializeJob {
  /** Which job it is. */
  readonly name: "materialize";
  /** The workspace of the view. */
  readonly workspace: string;
  /** The view. */
  readonly view: string;
  /** Which version of it. */
  readonly version: number;
  /** `[start, end)` as ISO text, whole slices. */
  readonly start: string;
  /** The end of the last slice. */
  readonly end: string;
  /** Compute again what is already committed. */
  readonly overwrite: boolean;
  /** Why it is done. */
  readonly reason: "backfill" | "schedule" | "lookback" | "manual" | "repair";
}

/** Brings the online store up to the last commit of one view version. */
export interface LoadOnlineJob {
  /** Which job it is. */
  readonly name: "load-online";
  /** The workspace of the view. */
  readonly workspace: string;
  /** The view. */
  readonly view: string;
  /** Which version of it. */
  readonly version: number;
  /** Build a fresh collection even if one is there. */
  readonly rebuild: boolean;
}

/** Asks the source of one view version which slices got rows after they were computed. */
export interface FindLateJob {
  /** Which job it is. */
  readonly name: "find-late";
  /** The workspace of the view. */
  readonly workspace: string;
  /** The view. */
  readonly view: string;
  /** Which version of it. */
  readonly version: number;
}

/** Removes data that nothing refers to any more: deleted versions, orphan parts, old collections. */
export interface CleanJob {
  /** Which job it is. */
  readonly name: "clean";
  /** The workspace of the view. */
  readonly workspace: string;
  /** The view. */
  readonly view: string;
  /** Which version of it. */
  readonly version: number;
}

/**
 * The id of a job, made of what it does and not of why: two submissions of the same work have the same id, and a queue
 * keeps one record per id. Computing again (`overwrite`, `rebuild`) is other work than computing what is missing.
 */
export function jobId(job: Job): string {
  const identity = JSON.stringify([job.name, job.workspace, job.view, job.version, ...detailOf(job)]);
  const hash = createHash("sha256").update(identity).digest("hex").slice(0, 16);
  // Readable in logs; the hash alone tells jobs apart (BullMQ takes no colons and no plain numbers).
  return `${job.name}-${job.view.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 64)}-v${job.version}-${hash}`;
}

/** What a person reads in a log or an error: `materialize "trips" version 2 [2001-01-01, 2001-01-03)`. */
export function describeJob(job: Job): string {
  const range = job.name === "materialize" ? ` [${job.start}, ${job.end})` : "";
  return `${job.name} "${job.view}" version ${job.version}${range}`;
}

function detailOf(job: Job): readonly (string | boolean)[] {
  switch (job.name) {
    case "materialize":
      return [job.start, job.end, job.overwrite];
    case "load-online":
      return [job.rebuild];
    case "find-late":
    case "clean":
      return [];
  }
}
