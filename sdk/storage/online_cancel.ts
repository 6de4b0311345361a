/** What online stores do when whoever asked gives up. */
import { VarveError } from "../errors.ts";

/** The error of a signal that was raised: TIMEOUT for a deadline, CANCELLED otherwise. */
export function abortError(signal: AbortSignal, verb: "read" | "write"): VarveError {
  const isTimeout = signal.reason instanceof Error && signal.reason.name === "TimeoutError";
  return new VarveError(
    isTimeout ? "TIMEOUT" : "CANCELLED",
    `Cannot ${verb} online values: ${isTimeout ? "the deadline passed" : "it was cancelled"}`,
    { cause: signal.reason },
  );
}

/** Throws when whoever asked for a write gave up. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal, "write");
}
