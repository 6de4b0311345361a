/** Long work shows how far it is, unless the caller wants to be told: in a notebook below the cell, in a terminal as bars. */
import { kernel, showInCell } from "../display.ts";
import { VarveError } from "../errors.ts";
import type { Progress } from "../materialize/progress.ts";
import { type ProgressBars, progressBars } from "./progress_bar.ts";
import { progressDisplay } from "./progress_display.ts";

/** How long work may be followed and stopped. */
interface Followed {
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** Runs work that tells its progress and can be stopped, in a notebook by its stop button too. Where nobody looks, nothing is shown. */
export async function withProgress<T>(wanted: Followed, work: (followed: Followed) => Promise<T>): Promise<T> {
  const bars = wanted.onProgress === undefined ? shownBars() : undefined;
  const onProgress = wanted.onProgress ?? bars?.update;
  try {
    return await stoppable(
      wanted.signal,
      (signal) => work({ ...(onProgress && { onProgress }), ...(signal && { signal }) }),
    );
  } finally {
    bars?.stop();
  }
}

const interruptedText =
  "Interrupted: this work is cancelled. What was committed before is kept; run the cell again, and it goes on from there";

/**
 * In a kernel an interrupt is a signal: it cancels the work. Without a listener it would end Deno's process; tslab would let the work go
 * on behind a cell that has ended.
 */
async function stoppable<T>(given: AbortSignal | undefined, work: (signal?: AbortSignal) => Promise<T>): Promise<T> {
  const where = kernel();
  if (where === undefined) return await work(given);
  const stop = new AbortController();
  const interrupt = () => {
    // tslab says that the cell was interrupted, and nothing of what has become of its work.
    if (where === "tslab") showInCell({ "text/plain": interruptedText });
    stop.abort(new VarveError("CANCELLED", interruptedText));
  };
  process.on("SIGINT", interrupt);
  try {
    return await work(given ? AbortSignal.any([given, stop.signal]) : stop.signal);
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    process.off("SIGINT", interrupt);
  }
}

function shownBars(): ProgressBars | undefined {
  const started = performance.now();
  const elapsed = () => (performance.now() - started) / 1000;
  if (kernel() !== undefined) return progressDisplay(elapsed);
  return process.stderr.isTTY ? progressBars(process.stderr, elapsed) : undefined;
}
