/** S4 and S5 by plain loops: which rows of a key lie in each window at an instant, and what that says of the look-up. */
import type { AggregateView } from "../../sdk/define/definitions.ts";
import { durationToMicros, toMicros } from "../../sdk/time.ts";

/** A row of the view: keys and times, micros. */
export interface OracleRow {
  readonly time: bigint;
}

/** One look-up. */
export interface OracleLookup<R> {
  readonly status: "PRESENT" | "MISSING";
  readonly effective: bigint | null;
  /** By feature, then by window of the feature: its rows. */
  readonly windows: readonly (readonly (readonly R[])[])[];
}

/** What a key's rows, in order, are at an instant. */
export function windowsOracle<R extends OracleRow>(
  view: Omit<AggregateView, "query">,
  rows: readonly R[],
  t: bigint,
  asOf: "effective" | "event" = "effective",
): OracleLookup<R> {
  const [schedule, delay, every] = [view.schedule, view.dataDelay, view.every].map(micros) as [bigint, bigint, bigint];
  const after = view.boundary === "inclusive" ? 1n : 0n;
  const known = asOf === "effective"
    ? floor(t - delay, schedule)
    : view.edge === "complete"
    ? floor(t, every)
    : t + after;
  const close = view.end === undefined ? undefined : -floor(-toMicros(view.end), schedule);
  const visible = close !== undefined && close < known ? close : known;
  const exists = ({ time }: R) => time >= toMicros(view.start) && time < visible;
  const end = view.edge === "complete" ? visible : t + after;
  const windows = view.features.map(({ window }) =>
    spans(window).map(({ size, offset }) => {
      let hi = end - offset;
      let lo = size === undefined ? undefined : hi - size;
      if (view.edge === "fresh") {
        lo = lo === undefined ? undefined : floor(lo, every);
        hi = offset > 0n ? floor(hi, every) : hi;
      }
      return rows.filter((row) => exists(row) && row.time < hi && (lo === undefined || row.time >= lo));
    })
  );
  const isPresent = windows.flat().some((each) => each.length > 0);
  return {
    status: isPresent ? "PRESENT" : "MISSING",
    effective: isPresent ? -floor(-visible, schedule) + delay : null,
    windows,
  };
}

function spans(window: AggregateView["features"][number]["window"]): { size: bigint | undefined; offset: bigint }[] {
  if (window.kind === "time") return [{ size: micros(window.size), offset: micros(window.offset) }];
  if (window.kind === "lifetime") return [{ size: undefined, offset: micros(window.offset) }];
  const [size, step, from, to] = [window.size, window.step, window.from, window.to].map(micros) as [
    bigint,
    bigint,
    bigint,
    bigint,
  ];
  const all = [];
  for (let start = from; start - size >= to; start -= step) all.push({ size, offset: start - size });
  return all;
}

function micros(duration: string): bigint {
  return durationToMicros(duration, "duration", { allowZero: true });
}

/** Down to a multiple. */
function floor(value: bigint, interval: bigint): bigint {
  return value - ((value % interval) + interval) % interval;
}
