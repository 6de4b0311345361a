/**
 * S5, and the only place that knows it: which rows a window holds at an instant. Training, previews and servers all ask here.
 * Times are micros as doubles, exact from 1684 to 2255.
 */
import type { AggregateView, WindowDefinition, WindowFeature } from "../define/definitions.ts";
import { durationToMicros } from "../time.ts";

/** One half-open span of event time that a window covers; a series has several, a lifetime has no beginning. */
interface Span {
  /** How long; Infinity: since ever. */
  readonly size: number;
  /** How long before the end of the view's windows it ends. */
  readonly offset: number;
}

/** Where the windows of a view lie. */
export interface WindowEdges {
  /** The different spans of all windows of the view. */
  readonly spanCount: number;
  /** Per feature of the view, the spans that it is made of: one, or for a series several, oldest first. */
  readonly featureSpans: readonly (readonly number[])[];
  /** How long before the instant that is asked for rows may still matter; Infinity when a window has no beginning. */
  readonly reach: number;
  /**
   * How long before the end of the view's windows rows may still matter that are not simply all older ones: to the beginning
   * of every window that has one, and to the end of every lifetime.
   */
  readonly depth: number;
  /**
   * Where whole schedule intervals are known (S4), windows begin and end at multiples of this: tiles of this length can be
   * merged before they are stored where requests find them. 1 with `edge: "exact"`.
   */
  readonly grain: number;
  /** Event times below this are known at t by S4: whole schedule intervals that have ended `dataDelay` before. */
  visibleAt(t: number): number;
  /** The same by plain event time (`asOf: "event"`): what has happened by then. */
  happenedAt(t: number): number;
  /**
   * Puts [lo, hi) of every span into `out[2k]` and `out[2k + 1]`, as seen at t when event times below `visible` are known.
   * `lo` is -Infinity for a lifetime; `hi` may be below `lo`, and the span is then empty.
   */
  spansAt(t: number, visible: number, out: Float64Array): void;
}

/** Prepares the windows of a view. */
export function windowEdges(
  view: Pick<AggregateView, "every" | "edge" | "boundary" | "schedule" | "dataDelay"> & {
    readonly features: readonly Pick<WindowFeature, "window">[];
  },
): WindowEdges {
  const spans: Span[] = [];
  const featureSpans = view.features.map(({ window }) => spansOf(window).map((span) => placeOf(spans, span)));
  const every = micros(view.every);
  const schedule = micros(view.schedule);
  const delay = micros(view.dataDelay);
  const { edge } = view;
  // The first instant that is too new to be counted at t.
  const after = view.boundary === "inclusive" ? 1 : 0;
  const reach = Math.max(0, ...spans.map(({ size, offset }) => size + offset)) +
    (edge === "exact" ? 0 : edge === "fresh" ? every : schedule + delay) + after;
  return {
    spanCount: spans.length,
    featureSpans,
    reach,
    depth: Math.max(0, ...spans.map(({ size, offset }) => (size === Infinity ? 0 : size) + offset)),
    grain: edge === "exact" ? 1 : edge === "fresh" ? every : grainOf(schedule, spans),
    visibleAt: (t) => alignDown(t - delay, schedule),
    happenedAt: (t) => edge === "complete" ? alignDown(t, every) : t + after,
    spansAt(t, visible, out) {
      const end = edge === "complete" ? visible : t + after;
      for (let k = 0; k < spans.length; k++) {
        const { size, offset } = spans[k]!;
        let hi = end - offset;
        let lo = hi - size;
        if (edge === "fresh") {
          lo = size === Infinity ? lo : alignDown(lo, every);
          // A window that ended in the past has no fresh end: both of its ends are boundaries of tiles.
          if (offset > 0) hi = alignDown(hi, every);
        }
        out[2 * k] = lo;
        out[2 * k + 1] = hi < visible ? hi : visible;
      }
    },
  };
}

function spansOf(window: WindowDefinition): Span[] {
  switch (window.kind) {
    case "time":
      return [{ size: micros(window.size), offset: micros(window.offset) }];
    case "lifetime":
      return [{ size: Infinity, offset: micros(window.offset) }];
    case "series": {
      const [size, step, from, to] = [window.size, window.step, window.from, window.to].map(micros) as [
        number,
        number,
        number,
        number,
      ];
      const spans: Span[] = [];
      for (let start = from; start - size >= to; start -= step) spans.push({ size, offset: start - size });
      return spans;
    }
  }
}

function grainOf(schedule: number, spans: readonly Span[]): number {
  return spans.flatMap(({ size, offset }) => size === Infinity ? [offset] : [offset, size]).reduce(
    commonDivisor,
    schedule,
  );
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}

function placeOf(spans: Span[], { size, offset }: Span): number {
  const place = spans.findIndex((span) => span.size === size && span.offset === offset);
  return place >= 0 ? place : spans.push({ size, offset }) - 1;
}

function micros(duration: string): number {
  return Number(durationToMicros(duration, "duration", { allowZero: true }));
}

/** The start of the epoch-aligned interval that holds the instant. */
export function alignDown(time: number, interval: number): number {
  const rest = time % interval;
  return rest < 0 ? time - rest - interval : time - rest;
}
