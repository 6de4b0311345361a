/** Which slices a change of a view has to compute, and about what they cost. */
import { formatCount } from "../text.ts";
import type { ViewDefinition } from "../define/definitions.ts";
import { alignDown, durationToMicros, formatTimestamp, type Micros, type TimeRange, toMicros } from "../time.ts";
import type { Backfill } from "./plan.ts";

/** What is known of a view's sources without running its query: from file footers and sizes. Every part may be missing. */
export interface SourceEstimate {
  /** How many rows the sources hold. */
  readonly rows?: number;
  /** How many bytes the sources take. */
  readonly bytes?: number;
  /** The first and last event timestamp, as ISO text. */
  readonly first?: string;
  /** The last event timestamp, as ISO text. */
  readonly last?: string;
  /** Rows without an event timestamp: they are in no slice. */
  readonly nullTimestamps?: number;
  /** Rows of equal join keys and event timestamp, of which one counts. */
  readonly ties?: number;
  /** Anything else worth saying. */
  readonly warnings?: readonly string[];
}

/** From the start to the end of the last slice that has closed (S4) and lies before the view's end; undefined when none has. */
export function closedSlices(view: ViewDefinition, now: Micros): TimeRange | undefined {
  const schedule = durationToMicros(view.schedule);
  const start = toMicros(view.start);
  const closed = alignDown(now - durationToMicros(view.dataDelay, "dataDelay", { allowZero: true }), schedule);
  const end = view.end === undefined || closed < toMicros(view.end) ? closed : toMicros(view.end);
  return end <= start ? undefined : { start, end };
}

/** The slices of `to` that `from` did not have; all of them when there is no `from`. */
export function backfillOf(to: ViewDefinition, from: ViewDefinition | undefined, now: Micros): Backfill | undefined {
  const wanted = closedSlices(to, now);
  if (!wanted || (!to.online && !to.offline)) return undefined;
  const had = from && (from.online || from.offline) ? closedSlices(from, now) : undefined;
  const ranges = had === undefined ? [wanted] : [
    { start: wanted.start, end: had.start < wanted.end ? had.start : wanted.end },
    { start: had.end > wanted.start ? had.end : wanted.start, end: wanted.end },
  ].filter((range) => range.start < range.end);
  if (ranges.length === 0) return undefined;
  const schedule = durationToMicros(to.schedule);
  return {
    ranges: ranges.map((range) => ({ start: formatTimestamp(range.start), end: formatTimestamp(range.end) })),
    slices: ranges.reduce((sum, range) => sum + Number((range.end - range.start) / schedule), 0),
  };
}

/** Measured on two cores, with files on a local disk: what a first guess is made of, until progress says better. */
const secondsPerSlice = { attributes: 0.01, aggregates: 0.025 } as const;
const secondsPerRow = { attributes: 0.7e-6, aggregates: 2e-6 } as const;

/** The same backfill with its cost: the source's rows and bytes, in proportion to the time it covers. */
export function withCost(backfill: Backfill, estimate: SourceEstimate, mode: ViewDefinition["mode"]): Backfill {
  let share = 1;
  if (estimate.first !== undefined && estimate.last !== undefined) {
    const first = toMicros(estimate.first);
    const last = toMicros(estimate.last) + 1n;
    const covered = backfill.ranges.reduce((sum, range) => {
      const start = toMicros(range.start) > first ? toMicros(range.start) : first;
      const end = toMicros(range.end) < last ? toMicros(range.end) : last;
      return end > start ? sum + (end - start) : sum;
    }, 0n);
    share = Number(covered) / Number(last - first);
  }
  const perSlice = secondsPerSlice[mode];
  const perRow = secondsPerRow[mode];
  return {
    ...backfill,
    ...(estimate.rows === undefined ? {} : {
      rows: Math.round(estimate.rows * share),
      seconds: backfill.slices * perSlice + estimate.rows * share * perRow,
    }),
    ...(estimate.bytes === undefined ? {} : { bytes: Math.round(estimate.bytes * share) }),
  };
}

/** What the sources say that their owner may not know. */
export function estimateWarnings(view: ViewDefinition, estimate: SourceEstimate, now: Micros): string[] {
  const warnings = [...estimate.warnings ?? []];
  if (estimate.nullTimestamps) {
    const rows = estimate.nullTimestamps === 1
      ? "1 row of the source has no event timestamp: it is in no slice"
      : `${formatCount(estimate.nullTimestamps)} rows of the source have no event timestamp: they are in no slice`;
    warnings.push(rows);
  }
  if (estimate.ties && view.mode === "attributes") {
    const way = view.writtenTimestamp === undefined
      ? "; a writtenTimestamp says which one is the last"
      : " by its written timestamp";
    warnings.push(
      `${estimate.ties} rows share their join keys and event timestamp with another: the last counts${way} (S3)`,
    );
  }
  if (estimate.last !== undefined && toMicros(estimate.last) > now) {
    warnings.push(
      `the source has event timestamps in the future, up to ${estimate.last}: they are used when their slices have closed`,
    );
  }
  if (estimate.first === undefined || estimate.last === undefined) return warnings;
  const schedule = durationToMicros(view.schedule);
  const empty = (alignDown(toMicros(estimate.first), schedule) - toMicros(view.start)) / schedule;
  if (empty > 0n) {
    warnings.push(
      `the source begins at ${estimate.first}: ${
        empty === 1n ? "the first slice" : `the first ${formatCount(empty)} slices`
      } from the start, ${view.start}, will be empty`,
    );
  }
  if (toMicros(estimate.last) < toMicros(view.start)) {
    warnings.push(`the source ends at ${estimate.last}, before the start, ${view.start}: nothing is in it`);
  }
  return warnings;
}
