/** Operations as SQL; row_operations.ts has the same in JavaScript. */
import { type DataType, isFloatType, isListType, type ListType } from "../schema.ts";
import type { TypedCall, TypedExpr } from "../frame/expr_type.ts";
import type { Operation } from "../frame/operations.ts";
import { parseReplacement } from "../frame/regex.ts";
import { duckTypeOf } from "./duck_type.ts";
import { quoteName, quoteText } from "./engine.ts";
import { checkedDateSql, checkedTimestampSql, floatTextSql, naiveSql } from "./expr_sql_cast.ts";
import { mayFail } from "./may_fail.ts";
import { textSql } from "./sql_value.ts";

/** Writes a call, given the SQL of its arguments. */
type Writer = (args: readonly string[], call: TypedCall) => string;

/** The SQL of a call. */
export function callSql(call: TypedCall, args: readonly string[]): string {
  return writers[call.operation](args, call);
}

const infix = (word: string): Writer => (args) => `(${args.join(` ${word} `)})`;
const fn = (name: string): Writer => (args) => `${name}(${args.join(", ")})`;
const int = (name: string): Writer => (args) => `CAST(${name}(${args.join(", ")}) AS INTEGER)`;
const nan = "CAST('NaN' AS DOUBLE)";
const minusInfinity = "CAST('-Infinity' AS DOUBLE)";

/** DuckDB refuses the infinities. */
const trigonometric = (name: string): Writer => ([x]) => `CASE WHEN isinf(${x}) THEN ${nan} ELSE ${name}(${x}) END`;
const arc = (name: string): Writer => ([x]) => `CASE WHEN abs(${x}) > 1 THEN ${nan} ELSE ${name}(${x}) END`;
const logarithm = (name: string): Writer => ([x]) =>
  `CASE WHEN ${x} <= 0 THEN CASE WHEN ${x} = 0 THEN ${minusInfinity} ELSE ${nan} END ELSE ${name}(${x}) END`;

/** Whole numbers have nothing to round. */
const rounding = (write: Writer): Writer => (args, call) => isFloatType(call.type) ? write(args, call) : args[0]!;

/**
 * DuckDB draws constants of nested operators together, and fails when that overflows, whatever the rows hold. It does not look
 * into functions of another name.
 */
function arithmetic(operator: string, name: string, a: string, b: string, call: TypedCall): string {
  const isNested = call.args.some((arg) => arg.kind === "literal") &&
    call.args.some((arg) => arg.kind === "call" || arg.kind === "cast");
  return isNested && !isFloatType(call.type) ? `${name}(${a}, ${b})` : `(${a} ${operator} ${b})`;
}

const plus: Writer = ([a, b], call) => {
  const [left, right] = call.args.map((arg) => arg.type);
  if (left === "timestamp") return checkedTimestampSql(`add(epoch_us(${a}), ${b})`);
  if (right === "timestamp") return checkedTimestampSql(`add(${a}, epoch_us(${b}))`);
  return left === "date" ? checkedDateSql(`(${a} + ${b})`) : arithmetic("+", "add", a!, b!, call);
};

const minus: Writer = ([a, b], call) => {
  const [left, right] = call.args.map((arg) => arg.type);
  if (left === "timestamp") {
    return right === "timestamp"
      ? `subtract(epoch_us(${a}), epoch_us(${b}))`
      : checkedTimestampSql(`subtract(epoch_us(${a}), ${b})`);
  }
  if (left === "date") return right === "date" ? `CAST(${a} - ${b} AS INTEGER)` : checkedDateSql(`(${a} - ${b})`);
  return arithmetic("-", "subtract", a!, b!, call);
};

/** Integers divided by zero give null, floats do not. */
const nonZero = (x: string): string => `CASE WHEN ${x} <> 0 THEN ${x} END`;

const floorDivide: Writer = ([a, b], call) => {
  if (isFloatType(call.type)) return `floor(${a} / ${nonZero(b!)})`;
  return `CASE WHEN (${a} % ${b}) <> 0 AND (${a} < 0) <> (${b} < 0) THEN (${a} // ${b}) - 1 ELSE ${a} // ${b} END`;
};

const modulo: Writer = ([a, b], call) => `(${a} % ${isFloatType(call.type) ? nonZero(b!) : b})`;

/** A part of a date, of the clock in UTC, or of the clock in a zone. */
const part = (name: string): Writer => ([x], call) => `CAST(${name}(${clockSql(x!, call)}) AS INTEGER)`;

function clockSql(x: string, call: TypedCall): string {
  if (call.args[0]!.type === "date") return x;
  return isInZone(call) ? `timezone(${quoteText(String(call.options["zone"]))}, ${x})` : naiveSql(x);
}

function isInZone(call: TypedCall): boolean {
  const zone = call.options["zone"];
  return zone !== undefined && zone !== "UTC";
}

const truncate: Writer = ([x], call) => {
  const unit = quoteText(String(call.options["unit"]));
  return call.type === "date"
    ? `CAST(date_trunc(${unit}, ${x}) AS DATE)`
    : `make_timestamptz(epoch_us(date_trunc(${unit}, ${naiveSql(x!)})))`;
};

const unitMicros: Readonly<Record<string, string>> = {
  microsecond: "1",
  millisecond: "1000",
  second: "1000000",
  minute: "60000000",
  hour: "3600000000",
  day: "86400000000",
};

const unitOf = (call: TypedCall): string => unitMicros[String(call.options["unit"])]!;

const epoch: Writer = ([x], call) => {
  if (call.options["unit"] === "microsecond") return `epoch_us(${x})`;
  // Cut first: DuckDB's // rounds towards zero.
  return `(epoch_us(date_trunc(${quoteText(String(call.options["unit"]))}, ${naiveSql(x!)})) // ${unitOf(call)})`;
};

/** From `start` on, at most `length`; a start before the beginning is the beginning. */
function slice(name: "substring" | "list_slice", x: string, call: TypedCall): string {
  const start = Number(call.options["start"]);
  const length = call.options["length"];
  const first = start >= 0 ? start + 1 : start;
  const rest = name === "substring" ? `substring(${x}, ${first})` : `(${x})[${first}:]`;
  if (length === undefined) return rest;
  return name === "substring" ? `substring(${rest}, 1, ${length})` : `(${rest})[:${length}]`;
}

/** A value that makes -0 into 0 in a list of floats. */
function withoutNegativeZero(list: string, type: DataType): string {
  return isListType(type) && isFloatType(type.list)
    ? `list_transform(${list}, lambda "varve element": "varve element" + 0)`
    : list;
}

const listSort: Writer = ([x], call) => {
  const order = call.options["descending"] ? "DESC" : "ASC";
  return `list_sort(${withoutNegativeZero(x!, call.type)}, '${order}', 'NULLS LAST')`;
};

/** Floats by way of text: DuckDB takes each NaN for another. */
const listDistinct: Writer = ([x], call) => {
  const type = (call.type as ListType).list;
  if (!isFloatType(type)) return `list_sort(list_distinct(${x}), 'ASC', 'NULLS LAST')`;
  const texts = `list_distinct(list_transform(${x}, lambda "varve element": ${
    floatTextSql('CAST("varve element" AS DOUBLE) + 0')
  }))`;
  const floats = `list_transform(${texts}, lambda "varve element": CAST(CAST("varve element" AS DOUBLE) AS ${
    duckTypeOf(type)
  }))`;
  return `list_sort(${floats}, 'ASC', 'NULLS LAST')`;
};

const listSum: Writer = ([x], call) => {
  if (call.type !== "float64") return `CAST(list_sum(${x}) AS BIGINT)`;
  return `list_sum(CAST(${x} AS DOUBLE[]))`;
};

/** By way of DOUBLE for FLOAT, where DuckDB turns -0 into 0. */
const extreme = (name: string): Writer => (args, call) => {
  if (call.type !== "float32") return `${name}(${args.join(", ")})`;
  return `CAST(${name}(${args.map((x) => `CAST(${x} AS DOUBLE)`).join(", ")}) AS FLOAT)`;
};

/**
 * DuckDB computes expressions that occur twice beforehand, also those that coalesce would not come to; not those in a branch of
 * CASE. So what may fail goes there.
 */
const coalesce: Writer = (args, call) => {
  if (!call.args.slice(1).some(mayFail)) return `coalesce(${args.join(", ")})`;
  return `CASE ${args.slice(0, -1).map((x) => `WHEN ${x} IS NOT NULL THEN ${x}`).join(" ")} ELSE ${args.at(-1)} END`;
};

/**
 * DuckDB makes a join of a long IN, and so computes its left side beforehand, also in a branch that is not taken. What may fail
 * is looked up in a list instead.
 */
const isIn: Writer = ([x, ...values], call) => {
  const [wanted, ...constants] = call.args as [TypedExpr, ...TypedExpr[]];
  if (!mayFail(wanted) || !constants.every((each) => each.kind === "literal")) {
    return `(${x} IN (${values.join(", ")}))`;
  }
  const present = values.filter((_, i) => (constants[i] as { value: unknown }).value !== null);
  const found = `list_contains(CAST([${present.join(", ")}] AS ${duckTypeOf(wanted.type)}[]), ${x})`;
  return present.length === values.length ? found : `nullif(${found}, false)`;
};

const pad = (side: "start" | "end"): Writer => ([x], call) => {
  const fill = `repeat(${textSql(String(call.options["fill"]))}, ${call.options["length"]} - length(${x}))`;
  return side === "start" ? `(${fill} || ${x})` : `(${x} || ${fill})`;
};

const replacePattern: Writer = ([x], call) => {
  const parts = parseReplacement(String(call.options["replacement"]));
  const rewrite = parts.map((each) => typeof each === "number" ? `\\${each}` : each.replaceAll("\\", "\\\\")).join("");
  return `regexp_replace(${x}, ${textSql(String(call.options["pattern"]))}, ${textSql(rewrite)}${
    call.options["all"] ? ", 'g'" : ""
  })`;
};

/** Each value as text that says where it ends, null as text that no value has; then 64 bits of the MD5 of all. */
const hash: Writer = (args, call) => {
  const parts = args.map((x, i) => `coalesce(${hashTextSql(x, call.args[i]!.type)}, '\\n')`);
  return `CAST(CAST(md5_number_lower(${parts.join(" || ',' || ")} || ',') AS HUGEINT) - 9223372036854775808 AS BIGINT)`;
};

function hashTextSql(x: string, type: DataType): string {
  switch (type) {
    case "string":
      return `replace(replace(${x}, '\\', '\\\\'), ',', '\\,')`;
    case "timestamp":
      return `CAST(epoch_us(${x}) AS VARCHAR)`;
    case "float32":
    case "float64":
      return floatTextSql(`CAST(${x} AS DOUBLE) + 0`);
    case "binary":
      return `hex(${x})`;
  }
  return `CAST(${x} AS VARCHAR)`;
}

const white = quoteText(" \t\n\v\f\r");

const writers: Readonly<Record<Operation, Writer>> = {
  plus,
  minus,
  times: ([a, b], call) => arithmetic("*", "multiply", a!, b!, call),
  divide: ([a, b]) => `(CAST(${a} AS DOUBLE) / CAST(${b} AS DOUBLE))`,
  floorDivide,
  modulo,
  negate: ([x]) => `(-${x})`,
  abs: fn("abs"),
  sign: int("sign"),
  round: rounding(([x], call) =>
    call.options["digits"] === 0 ? `round(${x})` : `round(${x}, ${call.options["digits"]})`
  ),
  floor: rounding(fn("floor")),
  ceil: rounding(fn("ceil")),
  sqrt: ([x]) => `sqrt(CASE WHEN ${x} < 0 THEN ${nan} ELSE ${x} END)`,
  exp: fn("exp"),
  ln: logarithm("ln"),
  log10: logarithm("log10"),
  pow: fn("pow"),
  sin: trigonometric("sin"),
  cos: trigonometric("cos"),
  tan: trigonometric("tan"),
  asin: arc("asin"),
  acos: arc("acos"),
  atan: fn("atan"),
  atan2: fn("atan2"),
  eq: infix("="),
  ne: infix("<>"),
  lt: infix("<"),
  le: infix("<="),
  gt: infix(">"),
  ge: infix(">="),
  same: infix("IS NOT DISTINCT FROM"),
  between: ([x, low, high]) => `(${x} BETWEEN ${low} AND ${high})`,
  isIn,
  and: infix("AND"),
  or: infix("OR"),
  not: ([x]) => `(NOT ${x})`,
  isNull: ([x]) => `(${x} IS NULL)`,
  isNotNull: ([x]) => `(${x} IS NOT NULL)`,
  isNaN: fn("isnan"),
  isFinite: fn("isfinite"),
  coalesce,
  nullIf: fn("nullif"),
  greatest: extreme("greatest"),
  least: extreme("least"),
  hash,
  lower: fn("lower"),
  upper: fn("upper"),
  trim: ([x]) => `trim(${x}, ${white})`,
  trimStart: ([x]) => `ltrim(${x}, ${white})`,
  trimEnd: ([x]) => `rtrim(${x}, ${white})`,
  length: int("length"),
  concat: infix("||"),
  substring: ([x], call) => slice("substring", x!, call),
  startsWith: fn("starts_with"),
  endsWith: fn("ends_with"),
  contains: fn("contains"),
  replace: fn("replace"),
  split: ([x], call) => `string_split(${x}, ${textSql(String(call.options["separator"]))})`,
  matches: ([x], call) => `regexp_matches(${x}, ${textSql(String(call.options["pattern"]))})`,
  // All matches, because the one of regexp_extract cannot be told from an empty one.
  extract: ([x], call) =>
    `regexp_extract_all(${x}, ${textSql(String(call.options["pattern"]))}, ${call.options["group"]})[1]`,
  replacePattern,
  padStart: pad("start"),
  padEnd: pad("end"),
  // By code points; DuckDB's reverse goes by graphemes.
  reverse: ([x]) => `array_to_string(list_reverse(string_split(${x}, '')), '')`,
  year: part("year"),
  quarter: part("quarter"),
  month: part("month"),
  week: part("week"),
  isoYear: part("isoyear"),
  day: part("day"),
  dayOfWeek: part("isodow"),
  dayOfYear: part("dayofyear"),
  hour: part("hour"),
  minute: part("minute"),
  second: part("second"),
  microsecond: ([x], call) => `CAST(microsecond(${clockSql(x!, call)}) % 1000000 AS INTEGER)`,
  date: ([x], call) => {
    const date = `CAST(${clockSql(x!, call)} AS DATE)`;
    return isInZone(call) ? checkedDateSql(date) : date;
  },
  truncate,
  epoch,
  fromEpoch: ([x], call) => checkedTimestampSql(`(${x} * ${unitOf(call)})`),
  totalOf: ([x], call) => `(CAST(${x} AS DOUBLE) / ${unitOf(call)})`,
  list: fn("list_value"),
  listLength: int("len"),
  listGet: ([x], call) => {
    const index = Number(call.options["index"]);
    return `list_extract(${x}, ${index >= 0 ? index + 1 : index})`;
  },
  listContains: fn("list_contains"),
  listSum,
  listMin: fn("list_min"),
  listMax: fn("list_max"),
  // In float64 at once: DuckDB divides sums of integers with the precision of the machine.
  listMean: ([x]) => `list_avg(CAST(${x} AS DOUBLE[]))`,
  listSlice: ([x], call) => slice("list_slice", x!, call),
  listSort,
  listDistinct,
  listReverse: fn("list_reverse"),
  listConcat: infix("||"),
  listJoin: ([x], call) =>
    `CASE WHEN ${x} IS NOT NULL THEN coalesce(array_to_string(${x}, ${
      textSql(String(call.options["separator"]))
    }), '') END`,
  struct: (args, call) =>
    `struct_pack(${
      args.map((x, i) => `${quoteName((call.options["names"] as readonly string[])[i]!)} := ${x}`).join(", ")
    })`,
  field: ([x], call) => `struct_extract(${x}, ${textSql(String(call.options["name"]))})`,
};
