/** Conversions as SQL; row_cast.ts has the same in JavaScript. */
import { type DataType, formatType, isFloatType, isListType, isNumericType } from "../schema.ts";
import { timestampLimits } from "../time.ts";
import { dateText, falseTexts, floatText, integerText, timestampText, trueTexts } from "./cast_text.ts";
import { duckTypeOf } from "./duck_type.ts";
import { quoteText } from "./engine.ts";

/** Value `x` converted; conversions that cannot fail ignore `onError`. */
export function castSql(x: string, from: DataType, to: DataType, onError: "fail" | "null"): string {
  if (isListType(from) && isListType(to)) {
    // Every nesting has its own variable: all of them are in scope inside.
    const variable = `"varve element ${depthOf(from)}"`;
    return `list_transform(${x}, lambda ${variable}: ${castSql(variable, from.list, to.list, onError)})`;
  }
  const cast = onError === "null" ? "TRY_CAST" : "CAST";
  const target = duckTypeOf(to);
  if (from === "string") return parseSql(x, to, onError);
  if (to === "int32" && from === "int64") return narrowSql(x, to, onError);
  if (isFloatType(from) && (to === "int32" || to === "int64")) {
    return narrowSql(`round(${doubleSql(x, from)})`, to, onError);
  }
  if (isNumericType(from) && to === "boolean") return `(${x} <> 0)`;
  if (isFloatType(from) && to === "string") return floatTextSql(doubleSql(x, from));
  if (from === "date" && to === "timestamp") return `make_timestamptz(epoch_us(${x}))`;
  if (from === "timestamp") return to === "date" ? `CAST(${naiveSql(x)} AS DATE)` : timestampTextSql(x);
  return `${cast}(${x} AS ${target})`;
}

/** A float as DOUBLE: the text of a FLOAT is not always the shortest, and constants beside a FLOAT would be rounded. */
function doubleSql(x: string, type: DataType): string {
  return type === "float32" ? `CAST(${x} AS DOUBLE)` : x;
}

/** The text of a DOUBLE, without the sign that C gives some NaN. */
export function floatTextSql(x: string): string {
  return `replace(CAST(${x} AS VARCHAR), '-nan', 'nan')`;
}

/** A number as a smaller type. Not by TRY_CAST: comparisons with constants take it away, and with it the null. */
function narrowSql(x: string, to: "int32" | "int64", onError: "fail" | "null"): string {
  const cast = `CAST(${x} AS ${duckTypeOf(to)})`;
  if (onError === "fail") return cast;
  const isInRange = to === "int32"
    ? `${x} BETWEEN -2147483648 AND 2147483647`
    : `${x} >= CAST('-9223372036854775808' AS DOUBLE) AND ${x} < CAST('9223372036854775808' AS DOUBLE)`;
  return `CASE WHEN ${isInRange} THEN ${cast} END`;
}

function depthOf(type: DataType): number {
  return isListType(type) ? 1 + depthOf(type.list) : 0;
}

/** A TIMESTAMPTZ as the TIMESTAMP that a clock in UTC shows: functions on it need no time zone. */
export function naiveSql(x: string): string {
  return `make_timestamp(epoch_us(${x}))`;
}

/** Micros as a timestamp, or an error outside the years 0001 to 9999. */
export function checkedTimestampSql(micros: string): string {
  const inRange = `${micros} BETWEEN ${timestampLimits.min} AND ${timestampLimits.max}`;
  return `CASE WHEN NOT (${inRange}) THEN error('timestamp out of range') ELSE make_timestamptz(${micros}) END`;
}

/** A date, or an error outside the years 0001 to 9999. */
export function checkedDateSql(date: string): string {
  return `CASE WHEN NOT (${date} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31') THEN error('date out of range') ELSE ${date} END`;
}

/** ISO 8601 with no, three or six decimals, as `formatTimestamp` writes it. */
function timestampTextSql(x: string): string {
  const text = `strftime(${naiveSql(x)}, '%Y-%m-%dT%H:%M:%S.%f')`;
  return `(regexp_replace(regexp_replace(${text}, '000$', ''), '\\.000$', '') || 'Z')`;
}

function parseSql(x: string, to: DataType, onError: "fail" | "null"): string {
  switch (to) {
    case "boolean": {
      // Not IN, which DuckDB would compute beforehand, also in a branch that is not taken.
      const isOneOf = (words: readonly string[]) => `list_contains([${words.map(quoteText).join(", ")}], ${x})`;
      return `CASE WHEN ${isOneOf(trueTexts)} THEN true WHEN ${isOneOf(falseTexts)} THEN false${
        otherwise(x, to, onError)
      } END`;
    }
    case "int32":
    case "int64":
      return guarded(x, integerText, `TRY_CAST(${x} AS ${duckTypeOf(to)})`, "", to, onError);
    case "float64":
      return guarded(x, floatText, `TRY_CAST(${x} AS DOUBLE)`, "", to, onError);
    case "float32":
      // By way of 64 bits, as JavaScript has to.
      return guarded(x, floatText, `TRY_CAST(TRY_CAST(${x} AS DOUBLE) AS FLOAT)`, "", to, onError);
    case "date": {
      const value = `TRY_CAST(${x} AS DATE)`;
      return guarded(x, dateText, value, ` AND ${value} >= DATE '0001-01-01'`, to, onError);
    }
    case "timestamp": {
      // DuckDB wants seconds.
      const complete = `regexp_replace(${x}, '^(.{10}[T ][0-9]{2}:[0-9]{2})($|Z|[+-].*$)', '\\1:00\\2')`;
      const value = `TRY_CAST(${complete} AS TIMESTAMPTZ)`;
      return guarded(
        x,
        timestampText,
        value,
        ` AND epoch_us(${value}) BETWEEN ${timestampLimits.min} AND ${timestampLimits.max}`,
        to,
        onError,
      );
    }
  }
  return x;
}

/** The value where the text has the form and the value exists and meets the condition. */
function guarded(
  x: string,
  form: string,
  value: string,
  condition: string,
  to: DataType,
  onError: "fail" | "null",
): string {
  const isGood = `regexp_full_match(${x}, ${quoteText(form)})`;
  if (onError === "null") return `CASE WHEN ${isGood}${condition} THEN ${value} END`;
  return `CASE WHEN ${isGood}${condition || ` AND ${value} IS NOT NULL`} THEN ${value}${otherwise(x, to, onError)} END`;
}

function otherwise(x: string, to: DataType, onError: "fail" | "null"): string {
  return onError === "null"
    ? ""
    : ` WHEN ${x} IS NOT NULL THEN error('Cannot cast string "' || regexp_replace(left(${x}, 100), '\\s+', ' ', 'g') || ` +
      `${quoteText(`" to ${formatType(to)}: it has no such value`)})`;
}
