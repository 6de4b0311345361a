/**
 * Every operation of expressions: its arguments, its types, how it reads as text, and what it means.
 *
 * What holds for all of them, in bulk (SQL) and per row (JavaScript) alike:
 * - Null in gives null out, unless the description says otherwise; a null constant does so before anything is computed.
 *   `and`, `or` and `not` have three values.
 * - Integers that leave their type (int32 or int64) are an error, never a wrap-around. Mixed integers compute in int64;
 *   an integer with a float, and float32 with anything but comparison, in float64.
 * - Floats follow IEEE 754: `x / 0` is an infinity or NaN, the root of a negative number is NaN. NaN equals NaN and is
 *   greater than every other number; -0 equals 0. (In bulk a constant -0 may become 0 beside an expression that has 0 there.)
 * - Rounding is half away from zero, also in casts from floats to integers.
 * - Casts: floats become the shortest text that reads as the same float64 (`1.0`, `1e-05`, `1e+16`, `nan`, `inf`); timestamps become
 *   ISO 8601 text. Text is read whole, without white space around it: see `cast_text.ts`. What a type cannot hold is an error,
 *   or null with `onError: "null"`.
 * - Strings are compared by Unicode code point, and counted in code points.
 * - Timestamps and dates reach from year 0001 to 9999; a result outside is an error. Weeks are ISO weeks.
 * - A branch of `case` and a later argument of `coalesce` is evaluated only where it is wanted. Everything else is evaluated
 *   always: an error is an error also beside a null or behind a false. Only in bulk the engine may leave out a part that cannot
 *   change the result, and with it the error.
 */
import type { OptionRule } from "./operation_options.ts";
import * as rule from "./operation_rules.ts";
import type { TypeRule } from "./operation_rules.ts";

/** How a call reads: between its arguments, before or after one, or as `name(a, b)`. */
export type TextForm =
  | { readonly kind: "infix" | "prefix" | "postfix"; readonly word: string }
  | { readonly kind: "between" | "in" | "field" }
  | { readonly kind: "call"; readonly word: string };

/** What there is to know about an operation. */
export interface OperationSpec {
  /** The fewest arguments. */
  readonly minArgs: number;
  /** The most arguments. */
  readonly maxArgs: number;
  /** What types it takes and gives. */
  readonly rule: TypeRule;
  /** How a call reads. */
  readonly text: TextForm;
  /** What it means. */
  readonly description: string;
  /** Its constants by name. */
  readonly options?: Readonly<Record<string, OptionRule>>;
}

/** More arguments than anybody writes: the limit of operations that take any number. */
export const maxArguments = 1_000;

type Options = Readonly<Record<string, OptionRule>>;

function op(
  text: TextForm,
  args: number | readonly [number, number],
  typeRule: TypeRule,
  description: string,
  options?: Options,
): OperationSpec {
  const [minArgs, maxArgs] = typeof args === "number" ? [args, args] : args;
  return Object.freeze({ minArgs, maxArgs, rule: typeRule, text, description, ...(options ? { options } : {}) });
}

const infix = (word: string): TextForm => ({ kind: "infix", word });
const prefix = (word: string): TextForm => ({ kind: "prefix", word });
const postfix = (word: string): TextForm => ({ kind: "postfix", word });
const call = (word: string): TextForm => ({ kind: "call", word });
const many = (min: number): readonly [number, number] => [min, maxArguments];

const zone: Options = { zone: { kind: "zone", optional: true } };
const integer = (min: number, max: number): OptionRule => ({ kind: "integer", min, max });
const anyInteger: OptionRule = { kind: "integer" };
const count: OptionRule = { kind: "integer", min: 0, optional: true };
const pattern: OptionRule = { kind: "pattern" };
const epochUnits = ["second", "millisecond", "microsecond"];
const lengthUnits = ["microsecond", "millisecond", "second", "minute", "hour", "day"];
const calendarUnits = ["second", "minute", "hour", "day", "week", "month", "quarter", "year"];

const numberOperations = {
  plus: op(infix("+"), 2, rule.plus, "Sum; also timestamp + duration, date + int32 days, duration + duration"),
  minus: op(infix("-"), 2, rule.minus, "Difference; timestamps give a duration, dates give int32 days"),
  times: op(infix("*"), 2, rule.times, "Product; also a duration by an integer"),
  divide: op(infix("/"), 2, rule.divide, "Quotient, always float64; by zero an infinity or NaN"),
  floorDivide: op(infix("//"), 2, rule.arithmetic, "Quotient rounded down; by zero null"),
  modulo: op(infix("%"), 2, rule.arithmetic, "Remainder with the sign of the first; by zero null"),
  negate: op(prefix("-"), 1, rule.signed, "The number or duration with the other sign"),
  abs: op(call("abs"), 1, rule.signed, "Without its sign"),
  sign: op(call("sign"), 1, rule.signOf, "-1, 0 or 1 as int32; NaN gives 0"),
  round: op(
    call("round"),
    1,
    rule.round,
    "To a number of decimals, half away from zero: the float nearest to round(x * 10^digits) / 10^digits",
    {
      digits: integer(-15, 15),
    },
  ),
  floor: op(call("floor"), 1, rule.arithmetic, "The next whole number at or below, in the same type"),
  ceil: op(call("ceil"), 1, rule.arithmetic, "The next whole number at or above, in the same type"),
  sqrt: op(call("sqrt"), 1, rule.float, "Square root; of a negative number NaN"),
  exp: op(call("exp"), 1, rule.float, "e to the power of x"),
  ln: op(call("ln"), 1, rule.float, "Natural logarithm; of 0 -Infinity, of a negative number NaN"),
  log10: op(call("log10"), 1, rule.float, "Logarithm to base 10; of 0 -Infinity, of a negative number NaN"),
  pow: op(call("pow"), 2, rule.float, "The first to the power of the second, in float64"),
  sin: op(call("sin"), 1, rule.float, "Sine of radians; of an infinity NaN"),
  cos: op(call("cos"), 1, rule.float, "Cosine of radians; of an infinity NaN"),
  tan: op(call("tan"), 1, rule.float, "Tangent of radians; of an infinity NaN"),
  asin: op(call("asin"), 1, rule.float, "Arc sine in radians; outside -1 to 1 NaN"),
  acos: op(call("acos"), 1, rule.float, "Arc cosine in radians; outside -1 to 1 NaN"),
  atan: op(call("atan"), 1, rule.float, "Arc tangent in radians"),
  atan2: op(call("atan2"), 2, rule.float, "Angle of the point (second, first) in radians"),
} satisfies Record<string, OperationSpec>;

const logicOperations = {
  eq: op(infix("="), 2, rule.comparison, "Equal"),
  ne: op(infix("!="), 2, rule.comparison, "Not equal"),
  lt: op(infix("<"), 2, rule.comparison, "Less"),
  le: op(infix("<="), 2, rule.comparison, "Less or equal"),
  gt: op(infix(">"), 2, rule.comparison, "Greater"),
  ge: op(infix(">="), 2, rule.comparison, "Greater or equal"),
  same: op(infix("is"), 2, rule.comparison, "Equal, where null equals null; never null"),
  between: op({ kind: "between" }, 3, rule.comparison, "At or above the second, and at or below the third"),
  isIn: op(
    { kind: "in" },
    many(2),
    rule.comparison,
    "Equal to one of the rest; if to none, null when one of them is null",
  ),
  and: op(
    infix("and"),
    many(2),
    rule.allOf("boolean", "boolean"),
    "False when one is false, else null when one is null, else true",
  ),
  or: op(
    infix("or"),
    many(2),
    rule.allOf("boolean", "boolean"),
    "True when one is true, else null when one is null, else false",
  ),
  not: op(prefix("not "), 1, rule.exactly(["boolean"], "boolean"), "The other truth value"),
  isNull: op(postfix("is null"), 1, rule.anyType("boolean"), "Whether it is null; never null"),
  isNotNull: op(postfix("is not null"), 1, rule.anyType("boolean"), "Whether it is not null; never null"),
  isNaN: op(call("isNaN"), 1, rule.floatTest, "Whether it is NaN"),
  isFinite: op(call("isFinite"), 1, rule.floatTest, "Whether it is neither NaN nor an infinity"),
  coalesce: op(call("coalesce"), many(1), rule.choice, "The first that is not null"),
  nullIf: op(call("nullIf"), 2, rule.orderedChoice, "Null where both are equal, else the first"),
  greatest: op(call("greatest"), many(1), rule.orderedChoice, "The greatest that is not null; of equal ones the first"),
  least: op(call("least"), many(1), rule.orderedChoice, "The least that is not null; of equal ones the first"),
  hash: op(
    call("hash"),
    many(1),
    rule.anyScalars("int64"),
    "An int64 that spreads evenly and never changes between versions; null counts as a value, so it is never null",
  ),
} satisfies Record<string, OperationSpec>;

const string1 = rule.exactly(["string"], "string");
const string2 = rule.exactly(["string", "string"], "boolean");

const stringOperations = {
  lower: op(call("lower"), 1, string1, "In lower case, character by character"),
  upper: op(call("upper"), 1, string1, "In upper case, character by character (the German sharp s has one)"),
  trim: op(call("trim"), 1, string1, "Without ASCII white space at both ends"),
  trimStart: op(call("trimStart"), 1, string1, "Without ASCII white space at the start"),
  trimEnd: op(call("trimEnd"), 1, string1, "Without ASCII white space at the end"),
  length: op(call("length"), 1, rule.exactly(["string"], "int32"), "How many code points"),
  concat: op(call("concat"), many(1), rule.allOf("string", "string"), "All joined; null when one is null"),
  substring: op(
    call("substring"),
    1,
    string1,
    "From code point `start` (from 0; negative counts from the end) to the end, or `length` of them",
    {
      start: anyInteger,
      length: count,
    },
  ),
  startsWith: op(call("startsWith"), 2, string2, "Whether it starts with the second"),
  endsWith: op(call("endsWith"), 2, string2, "Whether it ends with the second"),
  contains: op(call("contains"), 2, string2, "Whether it contains the second"),
  replace: op(
    call("replace"),
    3,
    rule.exactly(["string", "string", "string"], "string"),
    "Every occurrence of the second replaced by the third; an empty second changes nothing",
  ),
  split: op(
    call("split"),
    1,
    rule.exactly(["string"], { list: "string" }),
    "Cut at every separator; an empty separator cuts into code points",
    {
      separator: { kind: "text" },
    },
  ),
  matches: op(call("matches"), 1, rule.exactly(["string"], "boolean"), "Whether the RE2 pattern occurs anywhere", {
    pattern,
  }),
  extract: op(
    call("extract"),
    1,
    rule.patternGroup,
    "A group (0 is all) of the first match of the RE2 pattern; null when there is no match or the group took no part",
    {
      pattern,
      group: integer(0, 9),
    },
  ),
  replacePattern: op(
    call("replacePattern"),
    1,
    rule.patternReplacement,
    "Matches of the RE2 pattern replaced; $0 to $9 are groups, $$ is a dollar",
    {
      pattern,
      replacement: { kind: "replacement" },
      all: { kind: "boolean" },
    },
  ),
  padStart: op(call("padStart"), 1, string1, "Filled at the start to a number of code points", {
    length: integer(0, 10_000),
    fill: { kind: "character" },
  }),
  padEnd: op(call("padEnd"), 1, string1, "Filled at the end to a number of code points", {
    length: integer(0, 10_000),
    fill: { kind: "character" },
  }),
  reverse: op(call("reverse"), 1, string1, "Code points in reverse order"),
} satisfies Record<string, OperationSpec>;

const part = rule.calendarPart("int32");
const clockPart = rule.clockPart;

const timeOperations = {
  year: op(call("year"), 1, part, "The year, UTC or in a zone", zone),
  quarter: op(call("quarter"), 1, part, "The quarter, 1 to 4", zone),
  month: op(call("month"), 1, part, "The month, 1 to 12", zone),
  week: op(call("week"), 1, part, "The ISO week, 1 to 53", zone),
  isoYear: op(call("isoYear"), 1, part, "The year that the ISO week belongs to", zone),
  day: op(call("day"), 1, part, "The day of the month", zone),
  dayOfWeek: op(call("dayOfWeek"), 1, part, "The ISO day of the week: Monday is 1, Sunday 7", zone),
  dayOfYear: op(call("dayOfYear"), 1, part, "The day of the year, from 1", zone),
  hour: op(call("hour"), 1, clockPart, "The hour, 0 to 23", zone),
  minute: op(call("minute"), 1, clockPart, "The minute", zone),
  second: op(call("second"), 1, clockPart, "The second, whole", zone),
  microsecond: op(call("microsecond"), 1, clockPart, "The microseconds within the second"),
  date: op(call("date"), 1, rule.exactly(["timestamp"], "date"), "The calendar day, UTC or in a zone", zone),
  truncate: op(call("truncate"), 1, rule.truncate, "The start of the unit, in UTC; weeks start on Monday", {
    unit: { kind: "unit", values: calendarUnits },
  }),
  epoch: op(call("epoch"), 1, rule.exactly(["timestamp"], "int64"), "Whole units since 1970, rounded down", {
    unit: { kind: "unit", values: epochUnits },
  }),
  fromEpoch: op(call("fromEpoch"), 1, rule.exactly(["int64"], "timestamp"), "The timestamp so many units after 1970", {
    unit: { kind: "unit", values: epochUnits },
  }),
  totalOf: op(call("totalOf"), 1, rule.exactly(["duration"], "float64"), "A duration as a float64 number of units", {
    unit: { kind: "unit", values: lengthUnits },
  }),
} satisfies Record<string, OperationSpec>;

const nestedOperations = {
  list: op(call("list"), many(1), rule.listOf, "A list of the arguments, nulls included; never null"),
  listLength: op(call("listLength"), 1, rule.listLength, "How many elements, nulls included"),
  listGet: op(
    call("listGet"),
    1,
    rule.listElement,
    "The element at an index from 0, negative from the end; null when there is none",
    { index: anyInteger },
  ),
  listContains: op(call("listContains"), 2, rule.listContains, "Whether an element equals the second"),
  listSum: op(
    call("listSum"),
    1,
    rule.listSum,
    "Sum of the elements that are not null (int64 or float64, added in order); null when there is none",
  ),
  listMin: op(call("listMin"), 1, rule.listExtreme, "The least element that is not null; null when there is none"),
  listMax: op(call("listMax"), 1, rule.listExtreme, "The greatest element that is not null; null when there is none"),
  listMean: op(
    call("listMean"),
    1,
    rule.listMean,
    "Mean of the elements that are not null, summed in order as float64; null when there is none",
  ),
  listSlice: op(
    call("listSlice"),
    1,
    rule.listSame,
    "Elements from `start` (from 0; negative counts from the end) to the end, or `length` of them",
    {
      start: anyInteger,
      length: count,
    },
  ),
  listSort: op(call("listSort"), 1, rule.listSorted, "Elements in order, nulls last; -0 becomes 0", {
    descending: { kind: "boolean" },
  }),
  listDistinct: op(
    call("listDistinct"),
    1,
    rule.listSorted,
    "Different elements in order, without nulls; -0 becomes 0",
  ),
  listReverse: op(call("listReverse"), 1, rule.listSame, "Elements in reverse order"),
  listConcat: op(call("listConcat"), many(2), rule.listConcat, "All elements of all lists; null when one list is null"),
  listJoin: op(
    call("listJoin"),
    1,
    rule.listJoin,
    "Strings that are not null, joined with a separator; an empty text when there is none",
    {
      separator: { kind: "text" },
    },
  ),
  struct: op(call("struct"), [1, 200], rule.structOf, "A struct of the arguments; never null", {
    names: { kind: "names" },
  }),
  field: op({ kind: "field" }, 1, rule.structField, "A part of a struct", { name: { kind: "text" } }),
} satisfies Record<string, OperationSpec>;

/**
 * The operations by name.
 * @internal
 */
export type Operations = Readonly<
  Record<
    | keyof typeof numberOperations
    | keyof typeof logicOperations
    | keyof typeof stringOperations
    | keyof typeof timeOperations
    | keyof typeof nestedOperations,
    OperationSpec
  >
>;

/** The name of an operation. */
export type Operation = keyof Operations;

/** The one table of operations. */
export const operations: Operations = Object.freeze({
  ...numberOperations,
  ...logicOperations,
  ...stringOperations,
  ...timeOperations,
  ...nestedOperations,
});

const ownNulls: ReadonlySet<string> = new Set<Operation>([
  "same",
  "between",
  "isIn",
  "and",
  "or",
  "isNull",
  "isNotNull",
  "coalesce",
  "nullIf",
  "greatest",
  "least",
  "hash",
  "list",
  "struct",
]);

/** Whether null in gives null out, whatever the other arguments are. */
export function isStrict(operation: Operation): boolean {
  return !ownNulls.has(operation);
}

/** Whether a name from outside is an operation. */
export function isOperation(name: unknown): name is Operation {
  return typeof name === "string" && Object.hasOwn(operations, name);
}
