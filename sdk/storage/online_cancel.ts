/** What online stores do when whoever asked gives up. */
import { VarveError } from "../errors.ts";

/** The error of a signal that was raised: TIMEOUT for a deadline, CANCELLED otherwise. `store` is what did not answer until then. */
export function abortError(signal: AbortSignal, verb: "read" | "write", store?: string): VarveError {
  const isTimeout = signal.reason instanceof Error && signal.reason.name === "TimeoutError";
  return new VarveError(
    isTimeout ? "TIMEOUT" : "CANCELLED",
    `Cannot ${verb} online values: ${isTimeout ? lateText(store) : "it was cancelled"}`,
    { cause: signal.reason },
  );
}

function lateText(store: string | undefined): string {
  if (store === undefined) return "the deadline passed";
  return `the deadline passed before ${store} had answered; see whether it hangs, or allow more time`;
}

/** Throws when whoever asked for a write gave up. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal, "write");
}
