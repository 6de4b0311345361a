/** The scheduler process: looks for what is missing, submits it, and logs what it found. */
import { describeJob, describeProblem, Reconciler } from "varve/cluster";
import type { Held, PassReport, ReconcilerOptions } from "varve/cluster";
import type { Logger } from "../log.ts";

export interface SchedulerOptions extends ReconcilerOptions {
  readonly logger: Logger;
}

export interface RunningScheduler {
  /** Looks soon. */
  hint(): void;
  /** What the last look found; `varve status` shows what is held back and why. */
  readonly last: PassReport | undefined;
  close(): Promise<void>;
}

/** Starts at once. Several schedulers at a time are harmless: they submit the same jobs. */
export function startScheduler({ logger, ...options }: SchedulerOptions): RunningScheduler {
  let last: PassReport | undefined;
  // What stays as it is would fill the log at every look: it is told once, and again when it has gone and come back.
  const told = new ToldOnce();
  const reconciler = new Reconciler({
    ...options,
    onPass(report) {
      last = report;
      logReport(logger, report, told);
      options.onPass?.(report);
    },
  });
  reconciler.start();
  logger.info({ queue: options.queue.description }, "scheduler started");
  return {
    hint: () => reconciler.hint(),
    get last() {
      return last;
    },
    close: () => reconciler.close(),
  };
}

function logReport(logger: Logger, report: PassReport, told: ToldOnce): void {
  for (const { job, id } of report.submitted) logger.info({ jobId: id }, `submitted ${describeJob(job)}`);
  for (const { view, version } of report.served) {
    logger.info({ view, version }, `view "${view}" now serves version ${version}`);
  }
  const held = new Map(report.held.map((item) => [describeHeld(item), item]));
  const problems = new Map(report.problems.map((problem) => [describeProblem(problem), problem]));
  for (const text of told.newOnes([...held.keys(), ...problems.keys()])) {
    logger.warn(problems.has(text) ? { err: problems.get(text)!.error } : { held: held.get(text)!.reason }, text);
  }
}

function describeHeld({ job, reason, until }: Held): string {
  const when = until ? `until ${until.toISOString()}` : "until it is retried";
  return `held back ${when}: ${describeJob(job)}: ${reason}`;
}

class ToldOnce {
  #told = new Set<string>();

  newOnes(texts: readonly string[]): string[] {
    const fresh = texts.filter((text) => !this.#told.has(text));
    this.#told = new Set(texts);
    return fresh;
  }
}
