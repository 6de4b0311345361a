/**
 * Instants, durations, ranges and clocks. All instants are UTC with microseconds (S1) and are
 * counted as `bigint` microseconds since 1970-01-01T00:00:00Z, called micros.
 */
import { givenText, VarveError } from "./errors.ts";

/** Microseconds since the epoch, or a length in microseconds. */
export type Micros = bigint;

/** What is accepted where an instant is wanted. A string without a zone is read as UTC (S1); a bigint is micros. */
export type TimestampLike = Timestamp | Date | string | bigint;

/** A length of time as people write it: `"500ms"`, `"30s"`, `"5m"`, `"1h"`, `"7d"`, `"2w"`, or several joined: `"1h30m"`. */
export type Duration = string;

const unitMicros: Readonly<Record<string, bigint>> = {
  us: 1n,
  ms: 1_000n,
  s: 1_000_000n,
  m: 60_000_000n,
  h: 3_600_000_000n,
  d: 86_400_000_000n,
  w: 604_800_000_000n,
};

/** The first and last instants that varve accepts: years 0001 to 9999. */
export const timestampLimits: { readonly min: Micros; readonly max: Micros } = {
  min: -62_135_596_800_000_000n,
  max: 253_402_300_799_999_999n,
};

/** An instant, UTC, to the microsecond. Compares with `<` and `>`; prints as ISO 8601. */
export class Timestamp {
  /** Microseconds since 1970-01-01T00:00:00Z. */
  readonly micros: Micros;

  /** Makes one of micros; `Timestamp.from` takes anything that is an instant. */
  constructor(micros: Micros) {
    if (micros < timestampLimits.min || micros > timestampLimits.max) {
      throw new VarveError(
        "INVALID_REQUEST",
        `Cannot make a timestamp of ${micros} microseconds: years run from 0001 to 9999; leave such rows out, or give null instead`,
      );
    }
    this.micros = micros;
    Object.freeze(this);
  }

  /** Reads a timestamp, a `Date`, ISO text or micros. */
  static from(value: TimestampLike): Timestamp {
    return value instanceof Timestamp ? value : new Timestamp(toMicros(value));
  }

  /** The same instant as a `Date`, which keeps milliseconds only. */
  toDate(): Date {
    return new Date(Number(floorDivide(this.micros, 1000n)));
  }

  /** ISO 8601 text. */
  toString(): string {
    return formatTimestamp(this.micros);
  }

  /** ISO 8601 text. */
  toJSON(): string {
    return formatTimestamp(this.micros);
  }

  /** Micros, so that `a < b` compares instants. */
  valueOf(): bigint {
    return this.micros;
  }

  /** What `console.log` shows. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return formatTimestamp(this.micros);
  }
}

// Groups: date, hours, minutes, seconds, fraction, zone.
const timestampPattern =
  /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?$/i;

/** Reads an instant as micros. Text without a zone is UTC; digits after the microsecond are cut. */
export function toMicros(value: TimestampLike): Micros {
  if (typeof value === "bigint") return value;
  if (value instanceof Timestamp) return value.micros;
  if (value instanceof Date) {
    const ms = value.getTime();
    if (Number.isNaN(ms)) throw new VarveError("INVALID_REQUEST", "Cannot use an invalid Date as an instant");
    return BigInt(ms) * 1000n;
  }
  if (typeof value !== "string") {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot read an instant from ${givenText(value)}: give ISO text, a Date, a Timestamp or bigint micros`,
    );
  }
  const match = timestampPattern.exec(value.trim());
  const fail = () =>
    new VarveError(
      "INVALID_REQUEST",
      `Cannot read "${value}" as an instant: write it as 2001-03-01, 2001-03-01T12:00Z or 2001-03-01T12:00:00.123456Z`,
    );
  if (!match) throw fail();
  const [, day, hour = "00", minute = "00", second = "00", fraction = "", zone = "Z"] = match;
  const ms = Date.parse(`${day}T${hour}:${minute}:${second}Z`);
  // Date.parse turns 30 February into 2 March on some engines: the day must survive.
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== day) throw fail();
  let micros = BigInt(ms) * 1000n + BigInt(fraction.padEnd(6, "0").slice(0, 6));
  if (zone.toUpperCase() !== "Z") {
    const sign = zone[0] === "-" ? -1n : 1n;
    const digits = zone.slice(1).replace(":", "").padEnd(4, "0");
    micros -= sign * (BigInt(digits.slice(0, 2)) * unitMicros["h"]! + BigInt(digits.slice(2)) * unitMicros["m"]!);
  }
  return micros;
}

/** ISO 8601 text with as many decimals as needed: none, three or six. */
export function formatTimestamp(micros: Micros): string {
  const number = Number(micros);
  if (!Number.isSafeInteger(number)) return farText(micros);
  const day = Math.floor(number / microsPerDay);
  const ofDay = number - day * microsPerDay;
  const seconds = Math.floor(ofDay / 1e6);
  const rest = ofDay - seconds * 1e6;
  const minutes = Math.floor(seconds / 60);
  const time = `${
    dateText(day)
  }T${twoDigits[Math.floor(minutes / 60)]!}:${twoDigits[minutes % 60]!}:${twoDigits[seconds % 60]!}`;
  if (rest === 0) return `${time}Z`;
  return rest % 1_000 === 0 ? `${time}.${digits(rest / 1_000, 3)}Z` : `${time}.${digits(rest, 6)}Z`;
}

const microsPerDay = 86_400e6;
const twoDigits = Array.from({ length: 60 }, (_, value) => digits(value, 2));

function digits(value: number, count: number): string {
  return String(value).padStart(count, "0");
}

let lastDay = NaN;
let lastDate = "";

/** Of most timestamps it is that of the one before, and making it is most of the work. */
function dateText(day: number): string {
  if (day !== lastDay) {
    lastDate = new Date(day * 86_400_000).toISOString().slice(0, -14);
    lastDay = day;
  }
  return lastDate;
}

/** Beyond 1684 and 2255, where a number is not exact. */
function farText(micros: Micros): string {
  const ms = floorDivide(micros, 1000n);
  const rest = micros - ms * 1000n;
  const iso = new Date(Number(ms)).toISOString();
  if (rest !== 0n) return `${iso.slice(0, -1)}${rest.toString().padStart(3, "0")}Z`;
  return iso.endsWith(".000Z") ? `${iso.slice(0, -5)}Z` : iso;
}

/** What a duration looks like. */
export const durationPattern = /^(\d+(us|ms|s|m|h|d|w))+$/;

/** Reads a duration as micros. Must be positive unless `allowZero`. */
export function durationToMicros(duration: Duration, what = "duration", options: { allowZero?: boolean } = {}): Micros {
  const fail = (why: string) =>
    new VarveError(
      "INVALID_DEFINITION",
      `Cannot read ${what} ${JSON.stringify(duration)}: ${why}; write it as "30s", "5m", "1h", "7d" or "1h30m"`,
    );
  if (typeof duration !== "string" || !durationPattern.test(duration)) throw fail("it is not a duration");
  let total = 0n;
  for (const [, count, unit] of duration.matchAll(/(\d+)(us|ms|[smhdw])/g)) {
    total += BigInt(count!) * unitMicros[unit!]!;
  }
  if (total === 0n && !options.allowZero) throw fail("it is zero");
  if (total > 3_652_500n * unitMicros["d"]!) throw fail("it is longer than 10,000 years");
  return total;
}

/** The canonical text of a duration: `90m` becomes `1h30m`, `7d` stays `7d` (weeks are written as days). */
export function formatDuration(micros: Micros): Duration {
  if (micros === 0n) return "0s";
  let rest = micros;
  let text = "";
  for (const unit of ["d", "h", "m", "s", "ms", "us"]) {
    const count = rest / unitMicros[unit]!;
    if (count > 0n) text += `${count}${unit}`;
    rest -= count * unitMicros[unit]!;
  }
  return text;
}

/** Division that rounds down, also below zero. */
export function floorDivide(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  return dividend < 0n && quotient * divisor !== dividend ? quotient - 1n : quotient;
}

/** The start of the epoch-aligned interval of this length that holds the instant. */
export function alignDown(micros: Micros, interval: Micros): Micros {
  return floorDivide(micros, interval) * interval;
}

/** The first interval boundary at or after the instant. */
export function alignUp(micros: Micros, interval: Micros): Micros {
  const down = alignDown(micros, interval);
  return down === micros ? down : down + interval;
}

/** When a row of a batch view could first have been served (S4): the end of its schedule interval, plus the data delay. */
export function effectiveMicros(eventMicros: Micros, schedule: Micros, dataDelay: Micros): Micros {
  return alignDown(eventMicros, schedule) + schedule + dataDelay;
}

/** A half-open range of time, `[start, end)`, in micros. */
export interface TimeRange {
  /** The first instant. */
  readonly start: Micros;
  /** The instant after the last. */
  readonly end: Micros;
}

/** Makes a range; the end must be after the start. */
export function timeRange(start: TimestampLike, end: TimestampLike): TimeRange {
  const range = { start: toMicros(start), end: toMicros(end) };
  if (range.end <= range.start) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot use the range from ${formatTimestamp(range.start)} to ${
        formatTimestamp(range.end)
      }: the end must be after the start`,
    );
  }
  return Object.freeze(range);
}

/** Prints a range as `[start, end)`. */
export function formatRange(range: TimeRange): string {
  return `[${formatTimestamp(range.start)}, ${formatTimestamp(range.end)})`;
}

/** Says what time it is, in micros. Only the composition root makes one from the computer's clock. */
export interface Clock {
  /** The time, in micros. */
  now(): Micros;
}

/** The computer's clock. */
export const systemClock: Clock = { now: () => BigInt(Date.now()) * 1000n };

/** A clock that stands still until it is set: for tests and for stepping through history. */
export class ManualClock implements Clock {
  #now: Micros;

  /** Makes one that stands at an instant. */
  constructor(start: TimestampLike) {
    this.#now = toMicros(start);
  }

  /** The time it stands at, in micros. */
  now(): Micros {
    return this.#now;
  }

  /** Sets the time, forwards or backwards. */
  set(time: TimestampLike): void {
    this.#now = toMicros(time);
  }

  /** Moves the time forward by a duration. */
  advance(duration: Duration): void {
    this.#now += durationToMicros(duration);
  }
}
