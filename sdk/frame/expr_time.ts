/** Operations on timestamps, dates and durations: `col("time").dt.hour("America/New_York")`. */
import { type Duration, durationToMicros, type Timestamp } from "../time.ts";
import type { ColumnsOf, Expr, lit, make, Operand } from "./expr.ts";

/** Units that the calendar can be cut into. */
export type CalendarUnit = "second" | "minute" | "hour" | "day" | "week" | "month" | "quarter" | "year";

/** Units of counting time since 1970. */
export type EpochUnit = "second" | "millisecond" | "microsecond";

/** Units of durations. */
export type LengthUnit = "microsecond" | "millisecond" | "second" | "minute" | "hour" | "day";

/** Operations on times, reached by `.dt`. Parts are those of UTC, or of an IANA time zone when one is given. */
export class TimeMethods<C extends string> {
  readonly #self: Expr<C>;
  readonly #make: typeof make;
  readonly #lit: typeof lit;

  /** Made by an expression, which hands in what makes others: this file must not import it. */
  constructor(self: Expr<C>, makeExpr: typeof make, makeLiteral: typeof lit) {
    this.#self = self;
    this.#make = makeExpr;
    this.#lit = makeLiteral;
    Object.freeze(this);
  }

  /** The year. */
  year(zone?: string): Expr<C, number | null> {
    return this.#make("year", [this.#self], inZone(zone));
  }

  /** The quarter, 1 to 4. */
  quarter(zone?: string): Expr<C, number | null> {
    return this.#make("quarter", [this.#self], inZone(zone));
  }

  /** The month, 1 to 12. */
  month(zone?: string): Expr<C, number | null> {
    return this.#make("month", [this.#self], inZone(zone));
  }

  /** The ISO week, 1 to 53. */
  week(zone?: string): Expr<C, number | null> {
    return this.#make("week", [this.#self], inZone(zone));
  }

  /** The year that the ISO week belongs to. */
  isoYear(zone?: string): Expr<C, number | null> {
    return this.#make("isoYear", [this.#self], inZone(zone));
  }

  /** The day of the month. */
  day(zone?: string): Expr<C, number | null> {
    return this.#make("day", [this.#self], inZone(zone));
  }

  /** The ISO day of the week: Monday is 1, Sunday 7. */
  dayOfWeek(zone?: string): Expr<C, number | null> {
    return this.#make("dayOfWeek", [this.#self], inZone(zone));
  }

  /** The day of the year, from 1. */
  dayOfYear(zone?: string): Expr<C, number | null> {
    return this.#make("dayOfYear", [this.#self], inZone(zone));
  }

  /** The hour, 0 to 23. */
  hour(zone?: string): Expr<C, number | null> {
    return this.#make("hour", [this.#self], inZone(zone));
  }

  /** The minute. */
  minute(zone?: string): Expr<C, number | null> {
    return this.#make("minute", [this.#self], inZone(zone));
  }

  /** The second. */
  second(zone?: string): Expr<C, number | null> {
    return this.#make("second", [this.#self], inZone(zone));
  }

  /** The microseconds within the second. */
  microsecond(zone?: string): Expr<C, number | null> {
    return this.#make("microsecond", [this.#self], inZone(zone));
  }

  /** The calendar day. */
  date(zone?: string): Expr<C, string | null> {
    return this.#make("date", [this.#self], inZone(zone));
  }

  /** The start of the unit, in UTC. For a zone, truncate `dt.date(zone)`. */
  truncate(unit: CalendarUnit): Expr<C, unknown> {
    return this.#make("truncate", [this.#self], { unit });
  }

  /** Later by a duration such as `"1h30m"`. */
  add<const X extends Duration | Expr>(length: X): Expr<C | ColumnsOf<X>, Timestamp | null> {
    return this.#make("plus", [this.#self, this.#lengthOf(length)]);
  }

  /** Earlier by a duration such as `"7d"`. */
  subtract<const X extends Duration | Expr>(length: X): Expr<C | ColumnsOf<X>, Timestamp | null> {
    return this.#make("minus", [this.#self, this.#lengthOf(length)]);
  }

  /** The duration since another time. */
  since<const X extends Operand>(other: X): Expr<C | ColumnsOf<X>, bigint | null> {
    return this.#make("minus", [this.#self, other]);
  }

  /** Whole units since 1970. */
  epoch(unit: EpochUnit = "second"): Expr<C, bigint | null> {
    return this.#make("epoch", [this.#self], { unit });
  }

  /** The timestamp that an int64 counts units after 1970. */
  fromEpoch(unit: EpochUnit = "second"): Expr<C, Timestamp | null> {
    return this.#make("fromEpoch", [this.#self], { unit });
  }

  /** A duration as a number of units. */
  totalOf(unit: LengthUnit): Expr<C, number | null> {
    return this.#make("totalOf", [this.#self], { unit });
  }

  #lengthOf(length: Duration | Expr): Expr {
    if (typeof length !== "string") return length;
    return this.#lit(durationToMicros(length, "duration", { allowZero: true }), "duration");
  }
}

function inZone(zone: string | undefined): { zone: string } | undefined {
  return zone === undefined ? undefined : { zone };
}
