/** The calendar (proleptic Gregorian, ISO weeks) and the offsets of time zones, in whole numbers. */
import { floorDivide } from "../time.ts";

export const microsPerDay = 86_400_000_000n;

/** The day, counted from 1970-01-01, that holds the instant in UTC. */
export function daysFromMicros(micros: bigint): number {
  return Number(floorDivide(micros, microsPerDay));
}

/** A calendar day. */
export interface CivilDay {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/** The calendar day of a day number. Years are counted from March, so that the leap day is the last. */
export function civilOf(days: number): CivilDay {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1,
  };
}

/** The day number of a calendar day. */
export function daysOfCivil(year: number, month: number, day: number): number {
  const marchYear = month <= 2 ? year - 1 : year;
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** Monday is 1, Sunday 7. */
export function dayOfWeek(days: number): number {
  return ((days + 3) % 7 + 7) % 7 + 1;
}

/** The day of the year, from 1. */
export function dayOfYear(days: number): number {
  return days - daysOfCivil(civilOf(days).year, 1, 1) + 1;
}

/** The year that the ISO week belongs to: that of its Thursday. */
export function isoYear(days: number): number {
  return civilOf(days + 4 - dayOfWeek(days)).year;
}

/** The ISO week, 1 to 53. */
export function isoWeek(days: number): number {
  const thursday = days + 4 - dayOfWeek(days);
  return Math.floor((dayOfYear(thursday) - 1) / 7) + 1;
}

/** The first day of the unit that holds the day. */
export function truncateDay(days: number, unit: string): number {
  if (unit === "week") return days + 1 - dayOfWeek(days);
  const { year, month } = civilOf(days);
  switch (unit) {
    case "month":
      return daysOfCivil(year, month, 1);
    case "quarter":
      return daysOfCivil(year, month - (month - 1) % 3, 1);
    case "year":
      return daysOfCivil(year, 1, 1);
  }
  return days;
}

/** Gives the offset from UTC at an instant, in seconds: local time minus UTC. */
export type ZoneOffset = (epochSeconds: number) => number;

const zones = new Map<string, ZoneOffset>();

/** The offsets of an IANA time zone. Answers are kept, because asking `Intl` takes microseconds. */
export function zoneOffset(zone: string): ZoneOffset {
  let offset = zones.get(zone);
  if (offset === undefined) zones.set(zone, offset = makeZoneOffset(zone));
  return offset;
}

const bucketSeconds = 6 * 3_600;
const maxBuckets = 20_000;

function makeZoneOffset(zone: string): ZoneOffset {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    calendar: "gregory",
    numberingSystem: "latn",
    hourCycle: "h23",
    era: "short",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  const ask = (seconds: number): number => {
    const parts: Record<string, string> = {};
    for (const part of format.formatToParts(seconds * 1000)) parts[part.type] = part.value;
    const year = parts["era"]!.startsWith("B") ? 1 - Number(parts["year"]) : Number(parts["year"]);
    const days = daysOfCivil(year, Number(parts["month"]), Number(parts["day"]));
    return days * 86_400 + Number(parts["hour"]) * 3_600 + Number(parts["minute"]) * 60 + Number(parts["second"]) -
      seconds;
  };
  // Six hours with one offset at both ends have no transition inside: zones do not change twice so soon.
  const buckets = new Map<number, number | null>();
  return (seconds) => {
    const bucket = Math.floor(seconds / bucketSeconds);
    let offset = buckets.get(bucket);
    if (offset === undefined) {
      const first = ask(bucket * bucketSeconds);
      offset = first === ask((bucket + 1) * bucketSeconds) ? first : null;
      if (buckets.size >= maxBuckets) buckets.clear();
      buckets.set(bucket, offset);
    }
    return offset ?? ask(seconds);
  };
}
