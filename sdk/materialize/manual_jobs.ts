/** The jobs of work that is asked for by hand, for whoever has a queue and no engine. */
import type { MaterializeJob } from "../queue/jobs.ts";
import type { ViewVersion } from "../registry/state.ts";
import { alignDown, alignUp, formatTimestamp, type Micros, type TimeRange } from "../time.ts";
import { closedRange, sliceLength } from "./due_slices.ts";

/** What is asked for. */
export interface ManualWork {
  /** The workspace of the view. */
  readonly workspace: string;
  /** The version that is computed. */
  readonly version: ViewVersion;
  /** Which slices: all that lie in it or are cut by it, and have closed. @default all that have closed */
  readonly range?: Partial<TimeRange>;
  /** What time it is. */
  readonly now: Micros;
  /** Compute again what is already committed. */
  readonly overwrite: boolean;
}

const slicesPerJob = 31n;
/** More jobs than this are made larger instead. */
const maxJobs = 256n;

/** The jobs, newest slices first; none where no slice of the range has closed. */
export function manualJobs({ workspace, version, range = {}, now, overwrite }: ManualWork): MaterializeJob[] {
  const { definition } = version;
  const closed = closedRange(definition, now);
  if (!closed) return [];
  const length = sliceLength(definition);
  const start = range.start === undefined ? closed.start : largest(closed.start, alignDown(range.start, length));
  const end = range.end === undefined ? closed.end : smallest(closed.end, alignUp(range.end, length));
  let step = slicesPerJob * length;
  while ((end - start) / step >= maxJobs) step *= 2n;
  const jobs: MaterializeJob[] = [];
  for (let last = end; last > start; last = alignUp(last, step) - step) {
    const first = largest(start, alignUp(last, step) - step);
    jobs.push({
      name: "materialize",
      workspace,
      view: definition.name,
      version: version.version,
      start: formatTimestamp(first),
      end: formatTimestamp(last),
      overwrite,
      reason: "manual",
    });
  }
  return jobs;
}

function largest(a: Micros, b: Micros): Micros {
  return a > b ? a : b;
}

function smallest(a: Micros, b: Micros): Micros {
  return a < b ? a : b;
}
