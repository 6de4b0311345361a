/** Which slices of a view are due: the schedule so far, minus what is committed. Backfill is the same question over the past. */
import type { ViewDefinition } from "../define/definitions.ts";
import { VarveError } from "../errors.ts";
import {
  alignDown,
  alignUp,
  durationToMicros,
  formatDuration,
  formatTimestamp,
  type TimeRange,
  toMicros,
} from "../time.ts";

/** More slices than this in one view are refused: a table of a million tiny files helps nobody. */
export const maxSlices = 1_000_000;

/** What is read of a view definition to know its slices. */
export type SliceSchedule = Pick<ViewDefinition, "name" | "schedule" | "dataDelay" | "start"> & {
  readonly end?: string;
};

/** Length of one slice in micros. */
export function sliceLength(definition: Pick<SliceSchedule, "schedule">): bigint {
  return durationToMicros(definition.schedule, "schedule");
}

/**
 * From the first slice to the end of the last one that has closed: `end + dataDelay <= now` (S4), and that starts
 * before the view's end. Undefined while no slice has closed. Slices are epoch-aligned schedule intervals in UTC.
 */
export function closedRange(definition: SliceSchedule, now: bigint): TimeRange | undefined {
  const length = sliceLength(definition);
  const delay = durationToMicros(definition.dataDelay, "dataDelay", { allowZero: true });
  const start = alignUp(toMicros(definition.start), length);
  let end = alignDown(now - delay, length);
  if (definition.end !== undefined) {
    const limit = alignUp(toMicros(definition.end), length);
    if (limit < end) end = limit;
  }
  if (end <= start) return undefined;
  const count = (end - start) / length;
  if (count > BigInt(maxSlices)) {
    throw new VarveError(
      "INVALID_DEFINITION",
      `Cannot materialize view "${definition.name}": a schedule of ${formatDuration(length)} since ${
        formatTimestamp(start)
      } makes ` +
        `${count} slices, at most ${maxSlices} are allowed; use a longer schedule or a later start`,
      { details: { slices: Number(count), limit: maxSlices } },
    );
  }
  return { start, end };
}

/** How many slices have closed. */
export function closedSliceCount(definition: SliceSchedule, now: bigint): number {
  const range = closedRange(definition, now);
  return range === undefined ? 0 : Number((range.end - range.start) / sliceLength(definition));
}

/** Slices that have closed and are not committed, newest first. `committed` is keyed by slice start, as a snapshot gives it. */
export function dueSlices(definition: SliceSchedule, committed: ReadonlyMap<bigint, number>, now: bigint): TimeRange[] {
  const range = closedRange(definition, now);
  if (range === undefined) return [];
  const length = sliceLength(definition);
  const due: TimeRange[] = [];
  for (let start = range.end - length; start >= range.start; start -= length) {
    if (!committed.has(start)) due.push({ start, end: start + length });
  }
  return due;
}

/** The slices of a range in time order; the range is whole slices. */
export function slicesIn(range: TimeRange, length: bigint): TimeRange[] {
  if (
    alignDown(range.start, length) !== range.start || alignDown(range.end, length) !== range.end ||
    range.end <= range.start
  ) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot split [${formatTimestamp(range.start)}, ${formatTimestamp(range.end)}) into slices of ${
        formatDuration(length)
      }: ` +
        `it is not made of whole slices; use [${formatTimestamp(alignDown(range.start, length))}, ${
          formatTimestamp(alignUp(range.end > range.start ? range.end : range.start + 1n, length))
        })`,
    );
  }
  if ((range.end - range.start) / length > BigInt(maxSlices)) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot materialize more than ${maxSlices} slices at once: give a shorter range`,
    );
  }
  const slices: TimeRange[] = [];
  for (let start = range.start; start < range.end; start += length) slices.push({ start, end: start + length });
  return slices;
}
