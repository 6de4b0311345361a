/**
 * Which totals of a key requests will ask for until its next load. Windows end together and move on with time, so that a total
 * is wanted from wherever one of them may begin until then: the more often a key has rows, the sooner it is loaded again, and
 * the fewer of its tiles the beginnings of windows pass.
 */
import type { AggregateView } from "../define/definitions.ts";
import { durationToMicros } from "../time.ts";
import type { OnlinePlan } from "../window/online_plan.ts";
import { sliceLength } from "./due_slices.ts";

/** A key with so few tiles is answered as fast from them, and has one value. */
const fewTiles = 16;
/** So many totals at most, if they are for long enough. */
const mostTotals = 32;

/** Some tiles of a key. */
export interface TotalPlaces {
  /** Positions of the tiles that totals begin with, ascending. */
  readonly rows: readonly number[];
  /** Until when they suffice: see TileTotals. */
  readonly until: number;
}

/** Where windows may begin until some instant: half-open spans of places, ascending, and what comes next after each. */
interface Beginnings {
  readonly until: number;
  readonly spans: readonly { readonly from: number; readonly to: number }[];
}

/** Chooses totals for the values of one load. */
export class TotalChoice {
  readonly watermark: number;
  readonly windowsHash: number;
  /** The longest first. */
  readonly #choices: readonly Beginnings[];

  /** For a load of everything up to the watermark. */
  constructor(definition: AggregateView, plan: OnlinePlan, watermark: number) {
    this.watermark = watermark;
    this.windowsHash = plan.windowsHash;
    const schedule = Number(sliceLength(definition));
    const delay = Number(durationToMicros(definition.dataDelay, "dataDelay", { allowZero: true }));
    const start = definition.edge === "complete" ? watermark : watermark + delay;
    const choices: Beginnings[] = [{ until: Infinity, spans: [{ from: -Infinity, to: Infinity }] }];
    // Complete windows move when a load has ended, others also until then.
    let length = definition.edge === "complete" ? schedule : 2 * schedule;
    do choices.splice(1, 0, beginnings(plan, start, start + length)); while ((length *= 2) < plan.edges.depth);
    this.#choices = choices;
  }

  /** The totals of a key with tiles at these places; undefined where its tiles serve as well. */
  of(places: Float64Array, count: number): TotalPlaces | undefined {
    if (count <= fewTiles) return undefined;
    for (const [i, { spans, until }] of this.#choices.entries()) {
      const rows = rowsIn(spans, places, count);
      if (rows.length <= mostTotals || (i === this.#choices.length - 1 && rows.length < count / 2)) {
        return rows.length === 0 ? undefined : { rows, until };
      }
    }
    return undefined;
  }
}

function beginnings({ edges }: OnlinePlan, start: number, until: number): Beginnings {
  const [first, last] = [start, until].map((end) => {
    const spans = new Float64Array(2 * edges.spanCount);
    edges.spansAt(end, end, spans);
    return spans;
  });
  const spans: { from: number; to: number }[] = [];
  for (let k = 0; k < 2 * edges.spanCount; k += 2) {
    const [from, to] = [first![k]! / edges.grain, last![k]! / edges.grain];
    if (from !== -Infinity) spans.push({ from, to });
  }
  spans.sort((a, b) => a.from - b.from);
  return { until, spans };
}

function rowsIn(spans: Beginnings["spans"], places: Float64Array, count: number): number[] {
  const rows: number[] = [];
  for (const { from, to } of spans) {
    if (rows.length > 0 && places[rows.at(-1)!]! >= to) continue;
    let row = Math.max(find(places, count, from), (rows.at(-1) ?? -1) + 1);
    // One more: a window that begins between the last of them and the next tile is everything from that on.
    for (; row < count; row++) {
      rows.push(row);
      if (places[row]! >= to) break;
    }
  }
  return rows;
}

/** The first of ascending places that is not before one. */
export function find(places: Float64Array, count: number, place: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (places[middle]! < place) low = middle + 1;
    else high = middle;
  }
  return low;
}
