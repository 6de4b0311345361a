/** Conversions in JavaScript; expr_sql_cast.ts has the same as SQL. */
import { type DataType, formatType, isListType } from "../schema.ts";
import { formatTimestamp, timestampLimits, toMicros } from "../time.ts";
import { daysOf } from "../frame/expr_literal.ts";
import { falseTexts, floatText, integerText, timestampText, trueTexts } from "./cast_text.ts";
import { daysFromMicros, microsPerDay } from "./row_calendar.ts";
import { type Evaluate, RowError } from "./row_value.ts";

/** Converts a value that is not null; undefined when it cannot be. */
type Convert = (value: unknown) => unknown;

/** Compiles a conversion. */
export function compileCast(input: Evaluate, from: DataType, to: DataType, onError: "fail" | "null"): Evaluate {
  const convert = converter(from, to, onError);
  const failed = onFailure(from, to, onError);
  return (row) => {
    const value = input(row);
    if (value === null) return null;
    const result = convert(value);
    return result === undefined ? failed(value) : result;
  };
}

function onFailure(from: DataType, to: DataType, onError: "fail" | "null"): (value: unknown) => null {
  if (onError === "null") return () => null;
  return (value) => {
    throw new RowError(
      `Cannot cast ${formatType(from)} ${typeof value === "string" ? JSON.stringify(value.slice(0, 100)) : value} to ${
        formatType(to)
      }: it has no such value; the cast's option { onError: "null" } gives null instead`,
    );
  };
}

function converter(from: DataType, to: DataType, onError: "fail" | "null"): Convert {
  if (isListType(from) && isListType(to)) {
    const element = converter(from.list, to.list, onError);
    const failed = onFailure(from.list, to.list, onError);
    return (list) =>
      (list as unknown[]).map((value) => {
        if (value === null) return null;
        const result = element(value);
        return result === undefined ? failed(value) : result;
      });
  }
  switch (from) {
    case "string":
      return fromText(to);
    case "boolean":
      return to === "string" ? String : to === "int64" ? (value) => value ? 1n : 0n : (value) => value ? 1 : 0;
    case "int32":
    case "int64":
      return fromInteger(from, to);
    case "float32":
    case "float64":
      return fromFloat(to);
    case "date":
      return to === "timestamp"
        ? (value) => BigInt(value as number) * microsPerDay
        : (value) => formatTimestamp(BigInt(value as number) * microsPerDay).slice(0, 10);
    case "timestamp":
      return to === "date" ? (value) => daysFromMicros(value as bigint) : (value) => formatTimestamp(value as bigint);
  }
  return (value) => value;
}

function fromInteger(from: "int32" | "int64", to: DataType): Convert {
  switch (to) {
    case "string":
      return String;
    case "boolean":
      return from === "int32" ? (value) => value !== 0 : (value) => value !== 0n;
    case "float64":
      return Number;
    case "float32":
      return from === "int32" ? (value) => Math.fround(value as number) : (value) => floatOf(value as bigint);
    case "int64":
      return (value) => BigInt(value as number);
    case "int32":
      return (value) => BigInt.asIntN(32, value as bigint) === value ? Number(value) : undefined;
  }
  return (value) => value;
}

/** The nearest float32 of a bigint; by way of float64 it would be rounded twice. */
function floatOf(value: bigint): number {
  const magnitude = value < 0n ? -value : value;
  const shift = BigInt(Math.max(0, magnitude.toString(2).length - 32));
  // A bit below that says whether anything was cut keeps the second rounding right.
  const sticky = shift > 0n && (magnitude & ((1n << shift) - 1n)) !== 0n ? 1n : 0n;
  const result = Math.fround(Number((magnitude >> shift) | sticky)) * 2 ** Number(shift);
  return value < 0n ? -result : result;
}

function fromFloat(to: DataType): Convert {
  switch (to) {
    case "string":
      return (value) => floatToText(value as number);
    case "int32":
      return (value) => {
        const whole = roundHalfAway(value as number);
        return whole >= -2147483648 && whole <= 2147483647 ? whole + 0 : undefined;
      };
    case "int64":
      return (value) => {
        const whole = roundHalfAway(value as number);
        return whole >= -(2 ** 63) && whole < 2 ** 63 ? BigInt(whole) : undefined;
      };
    case "float32":
      return (value) => {
        const result = Math.fround(value as number);
        return Math.abs(result) === Infinity && Math.abs(value as number) !== Infinity ? undefined : result;
      };
  }
  return (value) => value;
}

/** The nearest whole number, half away from zero. */
export function roundHalfAway(value: number): number {
  const whole = Math.trunc(value);
  return Math.abs(value - whole) >= 0.5 ? whole + Math.sign(value) : whole;
}

/** The shortest text that reads as the same float, in the form that DuckDB writes: `1.0`, `1e-05`, `1e+16`, `nan`. */
export function floatToText(value: number): string {
  if (!Number.isFinite(value)) return value !== value ? "nan" : value > 0 ? "inf" : "-inf";
  const [mantissa, exponentText] = Math.abs(value).toExponential().split("e") as [string, string];
  const digits = mantissa.replace(".", "").replace(/0+$/, "") || "0";
  const exponent = Number(exponentText);
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  if (exponent >= -4 && exponent < 16) {
    if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
    const padded = digits.padEnd(exponent + 1, "0");
    return `${sign}${padded.slice(0, exponent + 1)}.${padded.slice(exponent + 1) || "0"}`;
  }
  const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
  return `${sign}${digits[0]}${fraction}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

const whole = (form: string): RegExp => new RegExp(`^(?:${form})$`);
const integerForm = whole(integerText);
const floatForm = whole(floatText);
const timestampForm = whole(timestampText);

function fromText(to: DataType): Convert {
  switch (to) {
    case "boolean":
      return (value) =>
        trueTexts.includes(value as string) ? true : falseTexts.includes(value as string) ? false : undefined;
    case "int32":
      return (value) => {
        const number = integerForm.test(value as string) ? Number(value) : NaN;
        return number >= -2147483648 && number <= 2147483647 ? number + 0 : undefined;
      };
    case "int64":
      return (value) => {
        if (!integerForm.test(value as string)) return undefined;
        const integer = BigInt((value as string).replace("+", ""));
        return BigInt.asIntN(64, integer) === integer ? integer : undefined;
      };
    case "float64":
      return (value) => floatForm.test(value as string) ? readFloat(value as string) : undefined;
    case "float32": {
      const narrow = fromFloat("float32");
      return (value) => floatForm.test(value as string) ? narrow(readFloat(value as string)) : undefined;
    }
    case "date":
      return (value) => daysOf(value as string);
    case "timestamp":
      return (value) => readTimestamp(value as string);
  }
  return (value) => value;
}

function readFloat(text: string): number {
  if (/n$/i.test(text)) return NaN;
  if (/i/i.test(text)) return text[0] === "-" ? -Infinity : Infinity;
  return Number(text);
}

function readTimestamp(text: string): bigint | undefined {
  if (!timestampForm.test(text) || daysOf(text.slice(0, 10)) === undefined) return undefined;
  const micros = toMicros(text);
  return micros >= timestampLimits.min && micros <= timestampLimits.max ? micros : undefined;
}
