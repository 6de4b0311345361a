/** How long the intervals of a profile are. */
import { VarveError } from "../errors.ts";
import { durationToMicros, formatDuration, type Micros, type TimeRange } from "../time.ts";

const most = 60;
const lengths = ["1m", "5m", "15m", "30m", "1h", "3h", "6h", "12h", "1d", "7d", "28d", "91d", "364d"].map((each) =>
  durationToMicros(each)
);

/** What is wanted, or the shortest well-known length of whole slices that gives few intervals. */
export function intervalOf(wanted: Micros | undefined, schedule: Micros, range: TimeRange | undefined): Micros {
  if (wanted !== undefined) {
    if (wanted % schedule === 0n) return wanted;
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot profile by intervals of ${formatDuration(wanted)}: they are whole slices, and the schedule is ${
        formatDuration(schedule)
      }; give a multiple of it`,
    );
  }
  if (!range) return schedule;
  const length = range.end - range.start;
  const fits = (every: Micros) => every % schedule === 0n && length <= BigInt(most) * every;
  return [schedule, ...lengths].find(fits) ?? (length / BigInt(most) / schedule + 1n) * schedule;
}
