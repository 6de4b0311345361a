/** How far back the windows of a view reach, as seen by one load: what it keeps, and for how long. */
import type { AggregateView } from "../define/definitions.ts";
import { alignUp, durationToMicros, toMicros } from "../time.ts";
import type { OnlinePlan } from "../window/online_plan.ts";
import { loadLimit, retireDelay } from "./collections.ts";
import { sliceLength } from "./due_slices.ts";

const day = Number(durationToMicros("1d"));
const mostSlack = Number(durationToMicros("7d"));

/** What a load keeps. All in micros, unless it says otherwise. */
export interface WindowReach {
  /** Rows before this are out of reach for every request that may still come; -Infinity: none are. */
  readonly floor: number;
  /**
   * When a store may drop a value that ends at an instant (undefined: an empty one), in milliseconds; Infinity: never. Much later
   * than the last window leaves it, since clocks differ and loads are late.
   */
  expireAt(end: number | undefined): number;
  /** A key without a value may have had one that the store dropped, and have rows above the floor. */
  readonly mayHaveExpired: boolean;
}

/** Both in micros: the load's clock, and up to when rows are in its snapshot. */
export interface LoadTimes {
  readonly now: number;
  readonly watermark: number;
}

/** The reach of a load; `expires` is whether its clock is that of the store. */
export function windowReach(
  definition: AggregateView,
  plan: OnlinePlan,
  { now, watermark }: LoadTimes,
  expires: boolean,
): WindowReach {
  const { edges, hasLifetime, keepsRows } = plan;
  const schedule = Number(sliceLength(definition));
  const delay = Number(durationToMicros(definition.dataDelay, "dataDelay", { allowZero: true }));
  // Servers hear late of a load and their clocks differ; and what was loaded of the past is asked for as of then.
  const earliest = Math.min(now - schedule - Number(retireDelay), watermark + delay);
  const floor = keepsRows && hasLifetime ? -Infinity : lowest(plan, earliest, watermark);
  const slack = Math.max(day, Math.min(mostSlack, edges.depth)) + 4 * schedule;
  // Windows of a view that lags behind move when it catches up, not with the clock.
  const lag = Math.max(0, now - (watermark + delay + schedule));
  const { end: limit } = definition;
  const hasEnded = limit !== undefined && watermark >= Number(alignUp(toMicros(limit), BigInt(schedule)));
  return {
    floor,
    expireAt(end) {
      if (!expires) return Infinity;
      // A loader that was paused may still bring an older value: an empty one has to be there to win.
      const soonest = now + Number(loadLimit);
      if (end === undefined) return Math.ceil(soonest / 1000);
      if (hasLifetime || hasEnded) return Infinity;
      return Math.ceil(Math.max(soonest, end + edges.reach + slack + lag) / 1000);
    },
    mayHaveExpired: expires && !hasLifetime && floor < now - edges.reach - slack / 2,
  };
}

/** The earliest instant that some window begins at, or a lifetime ends at, for a request at `t`. */
function lowest({ edges }: OnlinePlan, t: number, watermark: number): number {
  const spans = new Float64Array(2 * edges.spanCount);
  edges.spansAt(t, Math.min(edges.visibleAt(t), watermark), spans);
  let floor = Infinity;
  for (let k = 0; k < spans.length; k += 2) {
    const [lo, hi] = [spans[k]!, spans[k + 1]!];
    floor = Math.min(floor, lo === -Infinity ? hi : lo);
  }
  // Without windows nothing is needed; values are there all the same, for keys are known by them.
  return floor === Infinity ? watermark : floor;
}
