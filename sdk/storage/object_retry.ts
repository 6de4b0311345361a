/** Tries again what may succeed later: a bounded number of times, each within a limit, after a random wait. */
import { setTimeout as sleep } from "node:timers/promises";
import { VarveError } from "../errors.ts";

/** How often and how long. */
export interface RetryOptions {
  /** Tries in all. */
  readonly attempts: number;
  /** The longest wait before the second try; it doubles with each one. */
  readonly delayMs: number;
  /** How long one try may take without progress. */
  readonly timeoutMs: number;
}

/** One try: what it is told. */
export interface Attempt {
  readonly signal: AbortSignal;
  /** Says that something arrived: the time limit starts again. */
  progress(): void;
}

const longestWaitMs = 5_000;

/** Runs `attempt` until it succeeds, its error is not worth another try, or there were enough tries. */
export async function retrying<T>(
  action: string,
  options: RetryOptions,
  signal: AbortSignal | undefined,
  attempt: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  for (let tries = 1;; tries++) {
    try {
      return await limited(action, options.timeoutMs, signal, attempt);
    } catch (error) {
      const again = error instanceof VarveError && ["UNAVAILABLE", "TIMEOUT"].includes(error.code) &&
        error.details["final"] !== true;
      if (!again || tries >= options.attempts) throw error;
    }
    const wait = Math.random() * Math.min(longestWaitMs, options.delayMs * 2 ** (tries - 1));
    await sleep(wait, undefined, signal && { signal }).catch(() => throwCancelled(action, signal));
  }
}

async function limited<T>(
  action: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  attempt: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  if (signal?.aborted) throwCancelled(action, signal);
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), timeoutMs);
  const both = signal ? AbortSignal.any([signal, controller.signal]) : controller.signal;
  try {
    return await attempt({ signal: both, progress: () => timer.refresh() });
  } catch (error) {
    if (signal?.aborted) throwCancelled(action, signal);
    if (!controller.signal.aborted) throw error;
    throw new VarveError("TIMEOUT", `Cannot ${action}: nothing arrived for ${timeoutMs} ms`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

function throwCancelled(action: string, signal: AbortSignal | undefined): never {
  throw new VarveError("CANCELLED", `Cannot ${action}: it was cancelled`, { cause: signal?.reason });
}
