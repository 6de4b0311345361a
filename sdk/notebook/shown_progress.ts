/** Long work shows how far it is, unless the caller wants to be told: in a notebook below the cell, in a terminal as bars. */
import { kernel } from "../display.ts";
import type { Progress } from "../materialize/progress.ts";
import { type ProgressBars, progressBars } from "./progress_bar.ts";
import { progressDisplay } from "./progress_display.ts";

/** Runs work that tells its progress. Where nobody looks, nothing is shown. */
export async function withProgress<T>(
  wanted: ((progress: Progress) => void) | undefined,
  work: (onProgress: ((progress: Progress) => void) | undefined) => Promise<T>,
): Promise<T> {
  const bars = wanted === undefined ? shownBars() : undefined;
  try {
    return await work(wanted ?? bars?.update);
  } finally {
    bars?.stop();
  }
}

function shownBars(): ProgressBars | undefined {
  const started = performance.now();
  const elapsed = () => (performance.now() - started) / 1000;
  if (kernel() !== undefined) return progressDisplay(elapsed);
  return process.stderr.isTTY ? progressBars(process.stderr, elapsed) : undefined;
}
