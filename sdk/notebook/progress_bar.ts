/** Long work in a terminal: one bar that redraws, or a line now and then where output is not a terminal; the door to cli-progress. */
import cliProgress from "cli-progress";
import type { Progress } from "../materialize/progress.ts";
import { formatBytes, formatCount, formatSeconds } from "./numbers_text.ts";

/** Where the bar is drawn. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** A bar that is fed with progress and ends in a summary. */
export interface ProgressBar {
  update(progress: Progress): void;
  /** Draws the last state and leaves the line. */
  stop(): void;
}

/** A bar for one view's materialization. `elapsedSeconds` is measured by the caller's clock. */
export function progressBar(name: string, stream: ProgressStream, elapsedSeconds: () => number): ProgressBar {
  return stream.isTTY ? drawnBar(name, stream, elapsedSeconds) : printedBar(name, stream, elapsedSeconds);
}

function drawnBar(name: string, stream: ProgressStream, elapsedSeconds: () => number): ProgressBar {
  const bar = new cliProgress.SingleBar({
    format: `${name}  {bar} {percentage}%  {facts}`,
    stream: stream as NodeJS.WritableStream,
    barsize: 24,
    hideCursor: true,
    stopOnComplete: false,
    clearOnComplete: false,
  }, cliProgress.Presets.shades_classic);
  let started = false;
  return {
    update(progress) {
      const facts = factsOf(progress, elapsedSeconds());
      if (!started) bar.start(Math.max(1, progress.slicesTotal), 0, { facts });
      started = true;
      bar.setTotal(Math.max(1, progress.slicesTotal));
      bar.update(progress.phase === "done" ? Math.max(1, progress.slicesTotal) : progress.slicesDone, { facts });
    },
    stop() {
      if (started) bar.stop();
    },
  };
}

function printedBar(name: string, stream: ProgressStream, elapsedSeconds: () => number): ProgressBar {
  let shown = -1;
  return {
    update(progress) {
      const quarter = progress.phase === "done"
        ? 5
        : Math.floor((4 * progress.slicesDone) / Math.max(1, progress.slicesTotal));
      if (quarter === shown) return;
      shown = quarter;
      const percent = progress.phase === "done"
        ? 100
        : Math.floor((100 * progress.slicesDone) / Math.max(1, progress.slicesTotal));
      stream.write(`${name}  ${String(percent).padStart(3)}%  ${factsOf(progress, elapsedSeconds())}\n`);
    },
    stop() {},
  };
}

/** What stands beside the bar. */
export function factsOf(progress: Progress, elapsedSeconds: number): string {
  const slices = `${formatCount(progress.slicesDone)}/${formatCount(progress.slicesTotal)} slices`;
  const rows = `${formatCount(progress.rows)} rows, ${formatBytes(progress.bytes)}`;
  const online = progress.onlineRows > 0 ? `, ${formatCount(progress.onlineRows)} keys online` : "";
  if (progress.phase === "done") return `${slices}, ${rows}${online} in ${formatSeconds(elapsedSeconds)}`;
  if (progress.phase === "online") return `${slices}, ${rows}; loading the online store`;
  if (progress.slicesDone === 0) return `${slices}, waiting for the first`;
  const left = (elapsedSeconds / progress.slicesDone) * (progress.slicesTotal - progress.slicesDone);
  return `${slices}, ${rows}, ${formatCount(Math.round(progress.rows / Math.max(elapsedSeconds, 0.001)))} rows/s, ${
    formatSeconds(left)
  } left`;
}
