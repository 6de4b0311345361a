/** Long work shows how far it is, unless the caller wants to be told: in a notebook below the cell, in a terminal as bars. */
import { kernel } from "../display.ts";
import { stoppable } from "../interrupt.ts";
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
    const { signal } = wanted;
    return await stoppable({ ...(onProgress && { onProgress }), ...(signal && { signal }) }, interruptedText, work);
  } finally {
    bars?.stop();
  }
}

const interruptedText =
  "Interrupted: this work is cancelled. What was committed before is kept; run the cell again, and it goes on from there";

function shownBars(): ProgressBars | undefined {
  const started = performance.now();
  const elapsed = () => (performance.now() - started) / 1000;
  if (kernel() !== undefined) return progressDisplay(elapsed);
  return process.stderr.isTTY ? progressBars(process.stderr, elapsed) : undefined;
}
