/** Long work in a terminal: a bar per view that redraws, or a line now and then where output is not a terminal; the door to cli-progress. */
import cliProgress from "cli-progress";
import type { Progress } from "../materialize/progress.ts";
import { formatBytes, formatCount, formatSeconds } from "../text.ts";

/** Where bars are drawn. */
export interface ProgressStream {
  /** Whether lines can be drawn over. */
  readonly isTTY?: boolean;
  /** How wide it is. */
  readonly columns?: number;
  /** Takes text. */
  write(text: string): unknown;
}

/** Bars that are fed with progress, one per view. */
export interface ProgressBars {
  /** Give it as `onProgress`. */
  readonly update: (progress: Progress) => void;
  /** Draws the last state and leaves the lines; safe to call twice. */
  readonly stop: () => void;
}

/** Bars on a stream; `elapsedSeconds` is measured by the caller's clock. */
export function progressBars(stream: ProgressStream, elapsedSeconds: () => number): ProgressBars {
  return stream.isTTY ? drawnBars(stream, elapsedSeconds) : printedLines(stream, elapsedSeconds);
}

function drawnBars(stream: ProgressStream, elapsedSeconds: () => number): ProgressBars {
  const all = new cliProgress.MultiBar({
    format: "{view}  {bar} {percentage}%  {facts}",
    stream: stream as NodeJS.WritableStream,
    // What is done, and how long it takes, is worth more than a long bar.
    barsize: Math.max(6, Math.min(24, (stream.columns ?? 100) - 76)),
    hideCursor: true,
    autopadding: true,
    clearOnComplete: false,
    gracefulExit: false,
  }, cliProgress.Presets.shades_classic);
  const bars = new Map<string, cliProgress.SingleBar>();
  return {
    update(progress) {
      if (isIdle(progress)) return;
      const view = nameOf(progress).padEnd(16);
      const total = Math.max(1, progress.slicesTotal);
      let bar = bars.get(view);
      if (!bar) bars.set(view, bar = all.create(total, 0, { view, facts: "" }));
      bar.setTotal(total);
      bar.update(progress.phase === "done" ? total : progress.slicesDone, {
        view,
        facts: factsOf(progress, elapsedSeconds()),
      });
    },
    stop: () => all.stop(),
  };
}

/** Every quarter of the way is told once. */
function printedLines(stream: ProgressStream, elapsedSeconds: () => number): ProgressBars {
  const shown = new Map<string, number>();
  return {
    update(progress) {
      if (isIdle(progress)) return;
      const view = nameOf(progress).padEnd(16);
      if (progress.phase === "waiting") {
        return void stream.write(`${view}        ${factsOf(progress, elapsedSeconds())}\n`);
      }
      const percent = progress.phase === "done"
        ? 100
        : Math.floor((100 * progress.slicesDone) / Math.max(1, progress.slicesTotal));
      const quarter = progress.phase === "done" ? 5 : Math.floor(percent / 25);
      if (quarter <= (shown.get(view) ?? -1)) return;
      shown.set(view, quarter);
      stream.write(`${view}  ${String(percent).padStart(3)}%  ${factsOf(progress, elapsedSeconds())}\n`);
    },
    stop() {},
  };
}

/** Nothing was due and nothing was loaded: there is nothing to show. */
export function isIdle(progress: Progress): boolean {
  return progress.phase === "done" && progress.slicesTotal === 0 && progress.onlineRows === 0;
}

/** How a view is named beside its bar. */
export function nameOf(progress: Progress): string {
  return progress.version > 1 ? `${progress.view} v${progress.version}` : progress.view;
}

/** What stands beside the bar. */
export function factsOf(progress: Progress, elapsedSeconds: number): string {
  const slices = `${formatCount(progress.slicesDone)}/${formatCount(progress.slicesTotal)} slices`;
  const rows = `${formatCount(progress.rows)} rows, ${formatBytes(progress.bytes)}`;
  const online = progress.onlineRows > 0 ? `, ${formatCount(progress.onlineRows)} keys online` : "";
  if (progress.phase === "done") return `${slices}, ${rows}${online} in ${formatSeconds(elapsedSeconds)}`;
  if (progress.phase === "waiting") return `${slices}: no worker is alive; start \`varve worker\`, and this goes on`;
  if (progress.phase === "online") return `${slices}, ${rows}; loading the online store`;
  if (progress.slicesDone === 0) return `${slices}, waiting for the first`;
  const left = (elapsedSeconds / progress.slicesDone) * (progress.slicesTotal - progress.slicesDone);
  const speed = formatCount(Math.round(progress.rows / Math.max(elapsedSeconds, 0.001)));
  return `${slices}, ${rows}, ${speed} rows/s, ${formatSeconds(left)} left`;
}
