/** Operations on timestamps, dates and durations: `col("time").dt.hour("America/New_York")`. */
import { type Duration, durationToMicros, type Timestamp } from "../time.ts";
import { type ColumnsOf, type Expr, Expr as ExprClass, lit, make, type Operand } from "./expr.ts";
import type { ExprNode } from "./expr_node.ts";

/** Units that the calendar can be cut into. */
export type CalendarUnit = "second" | "minute" | "hour" | "day" | "week" | "month" | "quarter" | "year";

/** Units of counting time since 1970. */
export type EpochUnit = "second" | "millisecond" | "microsecond";

/** Units of durations. */
export type LengthUnit = "microsecond" | "millisecond" | "second" | "minute" | "hour" | "day";

/** Operations on times, reached by `.dt`. Parts are those of UTC, or of an IANA time zone when one is given. */
export class TimeMethods<C extends string> {
  readonly #node: ExprNode;

  constructor(node: ExprNode) {
    this.#node = node;
    Object.freeze(this);
  }

  get #self(): Expr<C> {
    return new ExprClass<C>(this.#node);
  }

  /** The year. */
  year(zone?: string): Expr<C, number | null> {
    return make("year", [this.#self], inZone(zone));
  }

  /** The quarter, 1 to 4. */
  quarter(zone?: string): Expr<C, number | null> {
    return make("quarter", [this.#self], inZone(zone));
  }

  /** The month, 1 to 12. */
  month(zone?: string): Expr<C, number | null> {
    return make("month", [this.#self], inZone(zone));
  }

  /** The ISO week, 1 to 53. */
  week(zone?: string): Expr<C, number | null> {
    return make("week", [this.#self], inZone(zone));
  }

  /** The year that the ISO week belongs to. */
  isoYear(zone?: string): Expr<C, number | null> {
    return make("isoYear", [this.#self], inZone(zone));
  }

  /** The day of the month. */
  day(zone?: string): Expr<C, number | null> {
    return make("day", [this.#self], inZone(zone));
  }

  /** The ISO day of the week: Monday is 1, Sunday 7. */
  dayOfWeek(zone?: string): Expr<C, number | null> {
    return make("dayOfWeek", [this.#self], inZone(zone));
  }

  /** The day of the year, from 1. */
  dayOfYear(zone?: string): Expr<C, number | null> {
    return make("dayOfYear", [this.#self], inZone(zone));
  }

  /** The hour, 0 to 23. */
  hour(zone?: string): Expr<C, number | null> {
    return make("hour", [this.#self], inZone(zone));
  }

  /** The minute. */
  minute(zone?: string): Expr<C, number | null> {
    return make("minute", [this.#self], inZone(zone));
  }

  /** The second. */
  second(zone?: string): Expr<C, number | null> {
    return make("second", [this.#self], inZone(zone));
  }

  /** The microseconds within the second. */
  microsecond(zone?: string): Expr<C, number | null> {
    return make("microsecond", [this.#self], inZone(zone));
  }

  /** The calendar day. */
  date(zone?: string): Expr<C, string | null> {
    return make("date", [this.#self], inZone(zone));
  }

  /** The start of the unit, in UTC. For a zone, truncate `dt.date(zone)`. */
  truncate(unit: CalendarUnit): Expr<C, unknown> {
    return make("truncate", [this.#self], { unit });
  }

  /** Later by a duration such as `"1h30m"`. */
  add<const X extends Duration | Expr>(length: X): Expr<C | ColumnsOf<X>, Timestamp | null> {
    return make("plus", [this.#self, lengthOf(length)]);
  }

  /** Earlier by a duration such as `"7d"`. */
  subtract<const X extends Duration | Expr>(length: X): Expr<C | ColumnsOf<X>, Timestamp | null> {
    return make("minus", [this.#self, lengthOf(length)]);
  }

  /** The duration since another time. */
  since<const X extends Operand>(other: X): Expr<C | ColumnsOf<X>, bigint | null> {
    return make("minus", [this.#self, other]);
  }

  /** Whole units since 1970. */
  epoch(unit: EpochUnit = "second"): Expr<C, bigint | null> {
    return make("epoch", [this.#self], { unit });
  }

  /** The timestamp that an int64 counts units after 1970. */
  fromEpoch(unit: EpochUnit = "second"): Expr<C, Timestamp | null> {
    return make("fromEpoch", [this.#self], { unit });
  }

  /** A duration as a number of units. */
  totalOf(unit: LengthUnit): Expr<C, number | null> {
    return make("totalOf", [this.#self], { unit });
  }
}

function inZone(zone: string | undefined): { zone: string } | undefined {
  return zone === undefined ? undefined : { zone };
}

function lengthOf(length: Duration | Expr): Expr {
  return typeof length === "string"
    ? lit(durationToMicros(length, "duration", { allowZero: true }), "duration")
    : length;
}

/** A constant duration: `duration("1h30m")`. */
export function duration(length: Duration): Expr<never, bigint> {
  return lit(durationToMicros(length, "duration", { allowZero: true }), "duration");
}
