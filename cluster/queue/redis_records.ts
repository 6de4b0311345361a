/** How jobs are read back from BullMQ: its states and fields, as records of the queue contract. */
import { isErrorCode } from "varve/cluster";
import type { Failure, Job, JobRecord, JobState, QueueEventKind } from "varve/cluster";

/** What is read of a BullMQ job. */
export interface StoredJob {
  readonly id?: string | undefined;
  readonly data: unknown;
  readonly timestamp: number;
  readonly attemptsStarted: number;
  readonly progress: unknown;
  readonly failedReason?: string | null;
  readonly processedOn?: number | null | undefined;
  readonly finishedOn?: number | null | undefined;
  readonly returnvalue: unknown;
}

/** The types that hold each state in BullMQ; a cancelled job that ran ends among the failed. */
export const storedTypes = {
  waiting: ["waiting", "prioritized"],
  delayed: ["delayed"],
  active: ["active"],
  completed: ["completed"],
  failed: ["failed"],
  cancelled: ["failed"],
} as const satisfies Record<JobState, readonly string[]>;

/** BullMQ keeps one text of a failure: the code stands before the message. */
export function failureText(failure: Pick<Failure, "reason" | "code">): string {
  return failure.code === undefined ? failure.reason : `${failure.code}: ${failure.reason}`;
}

function readFailure(text: string): Pick<Failure, "reason" | "code"> {
  const match = /^([A-Z_]+): ([\s\S]*)$/.exec(text);
  return match && isErrorCode(match[1]) ? { code: match[1], reason: match[2]! } : { reason: text };
}

/** The state of a job by BullMQ's name of it; undefined for a job that is not there. */
export function readState(type: string, failedReason?: string | null): JobState | undefined {
  if (type === "prioritized" || type === "waiting") return "waiting";
  if (type === "failed") return failedReason && readFailure(failedReason).code === "CANCELLED" ? "cancelled" : "failed";
  return type === "delayed" || type === "active" || type === "completed" ? type : undefined;
}

/** A record in this state; what belongs to other states is left out, so that an event shows what it tells of. */
export function readRecord(stored: StoredJob, state: JobState): JobRecord {
  const isFinished = state === "completed" || state === "failed" || state === "cancelled";
  const tellsReason = state === "failed" || state === "cancelled" || state === "delayed";
  return Object.freeze({
    id: stored.id!,
    job: stored.data as Job,
    state,
    attempts: stored.attemptsStarted,
    // A job that reported nothing has progress 0 in BullMQ; varve's handlers report objects or numbers above 0.
    ...(stored.progress === undefined || stored.progress === 0 ? {} : { progress: stored.progress }),
    ...(tellsReason && stored.failedReason ? readFailure(stored.failedReason) : {}),
    enqueuedAt: new Date(stored.timestamp),
    ...(stored.processedOn ? { startedAt: new Date(stored.processedOn) } : {}),
    ...(isFinished && stored.finishedOn ? { finishedAt: new Date(stored.finishedOn) } : {}),
    ...(state === "completed" && stored.returnvalue !== null && stored.returnvalue !== undefined
      ? { result: stored.returnvalue }
      : {}),
  });
}

/** The state that an event tells of, whatever became of the job since. */
export const stateOfEvent = {
  added: "waiting",
  waiting: "waiting",
  delayed: "delayed",
  active: "active",
  progress: "active",
  completed: "completed",
  failed: "failed",
  cancelled: "cancelled",
  stalled: "waiting",
} as const satisfies Record<QueueEventKind, JobState>;

/** A record as text and back, for what BullMQ has no place for. */
export function recordToText(record: JobRecord): string {
  return JSON.stringify(record);
}

export function recordFromText(text: string): JobRecord {
  const record = JSON.parse(text) as JobRecord;
  return Object.freeze({
    ...record,
    enqueuedAt: new Date(record.enqueuedAt),
    ...(record.startedAt ? { startedAt: new Date(record.startedAt) } : {}),
    ...(record.finishedAt ? { finishedAt: new Date(record.finishedAt) } : {}),
  });
}
