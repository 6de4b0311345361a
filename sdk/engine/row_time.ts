/** Dates, timestamps and durations in JavaScript. */
import { floorDivide } from "../time.ts";
import type { TypedCall } from "../frame/expr_type.ts";
import { argType, type Builder, strict1By } from "./row_builder.ts";
import {
  civilOf,
  dayOfWeek,
  dayOfYear,
  daysFromMicros,
  isoWeek,
  isoYear,
  microsPerDay,
  truncateDay,
  zoneOffset,
} from "./row_calendar.ts";
import { checkDate, checkTimestamp } from "./row_value.ts";

const unitMicros: Readonly<Record<string, bigint>> = {
  microsecond: 1n,
  millisecond: 1_000n,
  second: 1_000_000n,
  minute: 60_000_000n,
  hour: 3_600_000_000n,
  day: microsPerDay,
};

const unitOf = (call: TypedCall): bigint => unitMicros[String(call.options["unit"])]!;

/** Whole seconds that the clock shows, as if it were in UTC. */
function clockSeconds(call: TypedCall): (micros: bigint) => number {
  const zone = call.options["zone"];
  if (zone === undefined || zone === "UTC") return (micros) => Number(floorDivide(micros, 1_000_000n));
  const offset = zoneOffset(String(zone));
  return (micros) => {
    const seconds = Number(floorDivide(micros, 1_000_000n));
    return seconds + offset(seconds);
  };
}

/** The day number of a date, or of the day that the clock shows. */
function dayNumber(call: TypedCall): (value: never) => number {
  if (argType(call, 0) === "date") return (value: number) => value;
  const seconds = clockSeconds(call);
  return (value: bigint) => Math.floor(seconds(value) / 86_400);
}

function dayPart(compute: (days: number) => number): Builder {
  return strict1By((call) => {
    const days = dayNumber(call);
    return (value) => compute(days(value as never));
  });
}

/** A part of the time of day, from the seconds since midnight. */
function clockPart(compute: (seconds: number) => number): Builder {
  return strict1By((call) => {
    const seconds = clockSeconds(call);
    return (micros: bigint) => {
      const shown = seconds(micros);
      return compute(shown - Math.floor(shown / 86_400) * 86_400);
    };
  });
}

const truncate: Builder = strict1By((call) => {
  const unit = String(call.options["unit"]);
  if (call.type === "date") return (days: number) => truncateDay(days, unit);
  const size = unitMicros[unit];
  if (size !== undefined) return (micros: bigint) => floorDivide(micros, size) * size;
  return (micros: bigint) => BigInt(truncateDay(daysFromMicros(micros), unit)) * microsPerDay;
});

export const timeBuilders = {
  year: dayPart((days) => civilOf(days).year),
  quarter: dayPart((days) => Math.ceil(civilOf(days).month / 3)),
  month: dayPart((days) => civilOf(days).month),
  week: dayPart(isoWeek),
  isoYear: dayPart(isoYear),
  day: dayPart((days) => civilOf(days).day),
  dayOfWeek: dayPart(dayOfWeek),
  dayOfYear: dayPart(dayOfYear),
  hour: clockPart((seconds) => Math.floor(seconds / 3_600)),
  minute: clockPart((seconds) => Math.floor(seconds / 60) % 60),
  second: clockPart((seconds) => seconds % 60),
  // Offsets are whole seconds, so that a zone changes nothing here.
  microsecond: strict1By(() => (micros: bigint) => Number(micros - floorDivide(micros, 1_000_000n) * 1_000_000n)),
  date: dayPart(checkDate),
  truncate,
  epoch: strict1By((call) => {
    const unit = unitOf(call);
    return (micros: bigint) => floorDivide(micros, unit);
  }),
  fromEpoch: strict1By((call) => {
    const unit = unitOf(call);
    return (count: bigint) => checkTimestamp(count * unit);
  }),
  totalOf: strict1By((call) => {
    const unit = Number(unitOf(call));
    return (micros: bigint) => Number(micros) / unit;
  }),
} as const;
