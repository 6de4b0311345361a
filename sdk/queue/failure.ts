/** What a failure means to a queue: its reason as text, whether trying again can help, and how long to wait before. */
import { type ErrorCode, errorCodes, messageOf, VarveError } from "../errors.ts";
import { describeJob } from "./jobs.ts";
import type { JobRecord, SubmitOptions } from "./queue.ts";

/** What is kept of an error. */
export interface Failure {
  /** Its message. */
  readonly reason: string;
  /** Its code when it was a VarveError. */
  readonly code?: ErrorCode;
  /** Whether trying again can help. */
  readonly retry: boolean;
}

/** How anything thrown by a handler is kept. What is not a VarveError may be a passing fault: it is tried again. */
export function failureOf(error: unknown): Failure {
  const reason = messageOf(error);
  // By shape, not by class: a handler may come from another copy of the package.
  const code = error instanceof Error && "code" in error && isErrorCode(error.code) ? error.code : undefined;
  return code === undefined ? { reason, retry: true } : { reason, code, retry: errorCodes[code].retry };
}

/** Whether a value is one of the codes of {@link errorCodes}. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(errorCodes, value);
}

/** How long to wait between attempts. */
export interface BackoffOptions {
  /** The wait after the first failure; it doubles with each further one. Default 1 s. */
  readonly baseMs?: number;
  /** The longest wait. Default 5 minutes. */
  readonly limitMs?: number;
}

/** Exponential back-off; half of each wait is random, so that jobs that failed together do not come back together. */
export function backoffMs(failures: number, random: () => number, options: BackoffOptions = {}): number {
  const { baseMs = 1_000, limitMs = 300_000 } = options;
  const full = Math.min(limitMs, baseMs * 2 ** Math.min(failures - 1, 40));
  return Math.round(full / 2 + random() * full / 2);
}

/** What submit options mean, checked. */
export function completeOptions(options: SubmitOptions = {}): Required<SubmitOptions> {
  const { priority = 100, delayMs = 0, attempts = 5 } = options;
  check("priority", priority, 0, 2_000_000);
  check("delayMs", delayMs, 0, 2 ** 31 - 1);
  check("attempts", attempts, 1, 20);
  return { priority, delayMs, attempts };
}

function check(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new VarveError(
    "INVALID_REQUEST",
    `Cannot submit a job: ${name} is ${value}; give a whole number from ${least} to ${most}`,
  );
}

/** A value as JSON data, the way it comes back from any queue: bigint as text (S9), undefined stays undefined. */
export function toJsonData(value: unknown): unknown {
  const text = JSON.stringify(value, (_key, item: unknown) => typeof item === "bigint" ? String(item) : item);
  return text === undefined ? undefined : JSON.parse(text);
}

/** What `finished` rejects with for a job that ended without completing. */
export function endedError(record: JobRecord): VarveError {
  const what = record.state === "cancelled"
    ? "it was cancelled"
    : `it failed ${record.attempts} ${record.attempts === 1 ? "time" : "times"}`;
  const code = record.state === "cancelled" ? "CANCELLED" : record.code ?? "UNAVAILABLE";
  const reason = record.reason ? `: ${record.reason}` : "";
  return new VarveError(code, `Cannot finish job ${describeJob(record.job)}: ${what}${reason}`, {
    details: { jobId: record.id, state: record.state },
  });
}
