/** Waits for the end of a job that runs anywhere, through restarts of Redis and a lost queue. */
import { VarveError } from "varve";
import { endedError, pause, systemTimers } from "varve/cluster";
import type { JobRecord, Queue } from "varve/cluster";

export interface WaitForEndOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Aborts when the queue is closed. */
  readonly closed: AbortSignal;
}

/** How long a wait goes on for a job that Redis does not tell of. */
const lostMs = 30_000;
/** How often to look without being told: events are lost when Redis restarts. */
const lookMs = 1_000;

/** The record of the completed job; rejects when it has ended otherwise. */
export async function waitForEnd(
  queue: Pick<Queue, "get" | "watch">,
  id: string,
  options: WaitForEndOptions,
): Promise<JobRecord> {
  const { timeoutMs, signal, closed } = options;
  const started = performance.now();
  let lastSeen: number | undefined;
  let changed = new AbortController();
  const stop = queue.watch(({ record }) => {
    if (record.id === id && isFinished(record)) changed.abort();
  });
  const fail = (code: "NOT_FOUND" | "UNAVAILABLE" | "CANCELLED" | "TIMEOUT", why: string, cause?: unknown) =>
    new VarveError(code, `Cannot wait for job "${id}": ${why}`, { cause });
  try {
    while (true) {
      // Made before the look: what happens during it is not slept over.
      changed = new AbortController();
      const record = await queue.get(id).catch((error: VarveError) => error);
      if (closed.aborted) throw fail("UNAVAILABLE", "the queue was closed");
      if (record && !(record instanceof Error)) {
        if (record.state === "completed") return record;
        if (isFinished(record)) throw endedError(record);
        lastSeen = performance.now();
      } else if (record === undefined && lastSeen === undefined) {
        throw fail("NOT_FOUND", "there is none; it may have finished long ago");
      } else if (performance.now() - (lastSeen ?? started) > lostMs) {
        // Until then the scheduler may have submitted it again.
        throw record ?? fail("UNAVAILABLE", "the queue lost it");
      }
      if (signal?.aborted) throw fail("CANCELLED", "the wait was cancelled; the job goes on", signal.reason);
      const left = timeoutMs === undefined ? lookMs : started + timeoutMs - performance.now();
      if (left <= 0) throw fail("TIMEOUT", `it did not finish within ${timeoutMs} ms; it goes on`);
      const wake = AbortSignal.any([changed.signal, closed, ...(signal ? [signal] : [])]);
      await pause(Math.min(left, lookMs), systemTimers, wake);
    }
  } finally {
    stop();
  }
}

/** Whether a job has ended, one way or another. */
export function isFinished({ state }: JobRecord): boolean {
  return state === "completed" || state === "failed" || state === "cancelled";
}
