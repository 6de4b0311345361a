/** Type rules: what types an operation takes, what it converts them to first, and what it gives. */
import {
  type DataType,
  formatType,
  isFloatType,
  isListType,
  isNumericType,
  isStructType,
  sameType,
} from "../schema.ts";
import { parsePattern, parseReplacement } from "./regex.ts";
import type { OperationOptions } from "./expr_node.ts";

/** What a rule says: the types that arguments are converted to, and the type of the result. */
export interface Signature {
  /** What the arguments are converted to. */
  readonly args: readonly DataType[];
  /** What comes out. */
  readonly result: DataType;
}

/** Why the arguments do not fit. */
export interface Mismatch {
  /** The reason, in words. */
  readonly reason: string;
}

/** Decides what an operation does with arguments of these types. */
export type TypeRule = (types: readonly DataType[], options: OperationOptions) => Signature | Mismatch;

const mismatch = (reason: string): Mismatch => ({ reason });

/** The type that both can be converted to without being asked, or undefined. */
export function commonType(a: DataType, b: DataType): DataType | undefined {
  if (sameType(a, b)) return a;
  if (isNumericType(a) && isNumericType(b)) {
    if (isFloatType(a) || isFloatType(b)) return "float64";
    return "int64";
  }
  if ((a === "date" && b === "timestamp") || (a === "timestamp" && b === "date")) return "timestamp";
  return undefined;
}

/** The common type of all, or undefined. */
export function commonTypeOf(types: readonly DataType[]): DataType | undefined {
  let common: DataType | undefined = types[0];
  for (const type of types) common = common === undefined ? undefined : commonType(common, type);
  return common;
}

const isInteger = (type: DataType): boolean => type === "int32" || type === "int64";
const isScalar = (type: DataType): boolean => !isListType(type) && !isStructType(type);
/** Arithmetic of 32 bit floats is done in 64 bits. */
const arithmeticType = (type: DataType): DataType => type === "float32" ? "float64" : type;
const fill = (type: DataType, types: readonly DataType[]): DataType[] => types.map(() => type);

/** Takes exactly these types, converting where it is safe. */
export function exactly(args: readonly DataType[], result: DataType): TypeRule {
  return (types) =>
    types.every((type, i) => accepts(args[i]!, type))
      ? { args: args.slice(0, types.length), result }
      : mismatch(`it takes ${args.map(formatType).join(" and ")}`);
}

/** Any number of arguments of one type. */
export function allOf(type: DataType, result: DataType): TypeRule {
  return (types) =>
    types.every((each) => accepts(type, each))
      ? { args: fill(type, types), result }
      : mismatch(`it takes ${formatType(type)}`);
}

/** Whether a value of type `from` may stand where `to` is wanted. */
function accepts(to: DataType, from: DataType): boolean {
  const common = commonType(to, from);
  return common !== undefined && sameType(common, to) && !(to === "float32" && from !== "float32");
}

/** Whatever the argument is. */
export function anyType(result: DataType): TypeRule {
  return (types) => ({ args: types, result });
}

/** Plain values of any types: no lists, no structs. */
export function anyScalars(result: DataType): TypeRule {
  return (types) =>
    types.every(isScalar) ? { args: types, result } : mismatch("it takes plain values, not lists or structs");
}

/** Values of one common type, compared. */
export const comparison: TypeRule = (types) => {
  const common = commonTypeOf(types);
  if (common === undefined) return mismatch("they have no type in common; cast one of them");
  if (!isScalar(common)) return mismatch("lists and structs cannot be compared");
  return { args: fill(common, types), result: "boolean" };
};

/** Values of one common type, of which one is the result. */
export const choice: TypeRule = (types) => {
  const common = commonTypeOf(types);
  return common === undefined
    ? mismatch("they have no type in common; cast one of them")
    : { args: fill(common, types), result: common };
};

/** As {@link choice}, for values that have an order. */
export const orderedChoice: TypeRule = (types) => {
  const chosen = choice(types, {});
  return "result" in chosen && !isScalar(chosen.result) ? mismatch("lists and structs have no order here") : chosen;
};

/** Numbers in, one number out: int32, else int64, else float64. */
export const arithmetic: TypeRule = (types) => {
  if (!types.every(isNumericType)) return mismatch("it takes numbers");
  const common = arithmeticType(commonTypeOf(types)!);
  return { args: fill(common, types), result: common };
};

/** Numbers and durations, one at a time. */
export const signed: TypeRule = (types) =>
  types[0] === "duration" ? { args: types, result: "duration" } : arithmetic(types, {});

/** Numbers as float64. */
export const float: TypeRule = (types) =>
  types.every(isNumericType) ? { args: fill("float64", types), result: "float64" } : mismatch("it takes numbers");

/** A number's sign as int32. */
export const signOf: TypeRule = (types) => {
  const number = arithmetic(types, {});
  return "reason" in number ? number : { args: number.args, result: "int32" };
};

/** Asks a float: converts integers. */
export const floatTest: TypeRule = (types) =>
  isNumericType(types[0]!) ? { args: ["float64"], result: "boolean" } : mismatch("it takes a number");

export const divide: TypeRule = (types) => {
  if (types.every((type) => type === "duration")) return { args: types, result: "float64" };
  return float(types, {});
};

export const round: TypeRule = (types, options) => {
  const number = arithmetic(types, options);
  if ("reason" in number) return number;
  if (isInteger(number.result) && Number(options["digits"] ?? 0) < 0) {
    return mismatch("rounding integers to tens needs a cast to float64");
  }
  return number;
};

export const times: TypeRule = (types) => {
  const [a, b] = [types[0]!, types[1]!];
  if (a === "duration" && isInteger(b)) return { args: ["duration", "int64"], result: "duration" };
  if (b === "duration" && isInteger(a)) return { args: ["int64", "duration"], result: "duration" };
  return arithmetic(types, {});
};

const isTime = (type: DataType): boolean => type === "timestamp" || type === "date";

export const plus: TypeRule = (types) => {
  const [a, b] = [types[0]!, types[1]!];
  if (a === "duration" && b === "duration") return { args: types, result: "duration" };
  if (isTime(a) && b === "duration") return { args: ["timestamp", "duration"], result: "timestamp" };
  if (isTime(b) && a === "duration") return { args: ["duration", "timestamp"], result: "timestamp" };
  if (a === "date" && b === "int32") return { args: types, result: "date" };
  if (isNumericType(a) && isNumericType(b)) return arithmetic(types, {});
  return mismatch(
    "it adds numbers, durations, a duration to a timestamp, or int32 days to a date; use concat for strings",
  );
};

export const minus: TypeRule = (types) => {
  const [a, b] = [types[0]!, types[1]!];
  if (a === "duration" && b === "duration") return { args: types, result: "duration" };
  if (a === "date" && b === "date") return { args: types, result: "int32" };
  if (isTime(a) && isTime(b)) return { args: ["timestamp", "timestamp"], result: "duration" };
  if (isTime(a) && b === "duration") return { args: ["timestamp", "duration"], result: "timestamp" };
  if (a === "date" && b === "int32") return { args: types, result: "date" };
  if (isNumericType(a) && isNumericType(b)) return arithmetic(types, {});
  return mismatch("it subtracts numbers, times, durations, or int32 days from a date");
};

/** A part of a date or timestamp; a zone makes sense for timestamps only. */
export function calendarPart(result: DataType): TypeRule {
  return (types, options) => {
    if (!isTime(types[0]!)) return mismatch("it takes a date or a timestamp");
    if (types[0] === "date" && options["zone"] !== undefined) return mismatch("a date has no time zone");
    return { args: types, result };
  };
}

/** A part of the time of day: of a date it would always be 0. */
export const clockPart: TypeRule = (types) =>
  types[0] === "timestamp" ? { args: types, result: "int32" } : mismatch("it takes a timestamp");

/** Cuts a date or timestamp down to a unit. */
export const truncate: TypeRule = (types, options) => {
  const type = types[0]!;
  const unit = String(options["unit"]);
  const isClockUnit = unit === "hour" || unit === "minute" || unit === "second";
  if (type === "timestamp" || (type === "date" && !isClockUnit)) return { args: types, result: type };
  return mismatch(type === "date" ? `a date has no ${unit}` : "it takes a date or a timestamp");
};

/** The element type of the list given first; `result` says what comes of it. */
function listRule(
  result: (list: { readonly list: DataType }, rest: readonly DataType[]) => Signature | Mismatch,
): TypeRule {
  return (types) => isListType(types[0]!) ? result(types[0], types.slice(1)) : mismatch("it takes a list first");
}

export const listLength = listRule((list) => ({ args: [list], result: "int32" }));
export const listElement = listRule((list) => ({ args: [list], result: list.list }));
export const listSame = listRule((list) => ({ args: [list], result: list }));
export const listSorted = listRule((list) =>
  isScalar(list.list) ? { args: [list], result: list } : mismatch("lists and structs have no order here")
);
export const listExtreme = listRule((list) =>
  isScalar(list.list) ? { args: [list], result: list.list } : mismatch("lists and structs have no order here")
);
export const listMean = listRule((list) =>
  isNumericType(list.list) ? { args: [list], result: "float64" } : mismatch("it takes a list of numbers")
);
export const listJoin = listRule((list) =>
  list.list === "string" ? { args: [list], result: "string" } : mismatch("it takes a list of strings")
);

export const listSum = listRule((list) => {
  if (!isNumericType(list.list) && list.list !== "duration") return mismatch("it takes a list of numbers");
  return { args: [list], result: isFloatType(list.list) ? "float64" : list.list === "duration" ? "duration" : "int64" };
});

export const listContains = listRule((list, [value]) => {
  if (!isScalar(list.list)) return mismatch("lists and structs cannot be compared");
  return accepts(list.list, value!)
    ? { args: [list, list.list], result: "boolean" }
    : mismatch(`its elements are ${formatType(list.list)}`);
});

export const listConcat = listRule((list, rest) =>
  rest.every((type) => sameType(type, list))
    ? { args: [list, ...rest], result: list }
    : mismatch("all lists must have one type")
);

const text: TypeRule = exactly(["string"], "string");

/** A group of a pattern, which must have it. */
export const patternGroup: TypeRule = (types, options) => {
  const count = parsePattern(String(options["pattern"])).groupCount;
  return Number(options["group"]) <= count
    ? text(types, options)
    : mismatch(`its pattern has ${count} groups, not ${options["group"]}`);
};

/** Text with groups of a pattern put in, which must have them. */
export const patternReplacement: TypeRule = (types, options) => {
  const count = parsePattern(String(options["pattern"])).groupCount;
  const group = parseReplacement(String(options["replacement"])).find((part) =>
    typeof part === "number" && part > count
  );
  return group === undefined ? text(types, options) : mismatch(`its pattern has ${count} groups, not ${group}`);
};

/** A list of the arguments. */
export const listOf: TypeRule = (types) => {
  const chosen = choice(types, {});
  return "reason" in chosen ? chosen : { args: chosen.args, result: { list: chosen.result } };
};

/** A struct of the arguments, named by `options.names`. */
export const structOf: TypeRule = (types, options) => {
  const names = options["names"] as readonly string[];
  if (names.length !== types.length) return mismatch(`it has ${names.length} names`);
  return { args: types, result: { struct: types.map((type, i) => ({ name: names[i]!, type })) } };
};

/** The part of a struct that `options.name` says. */
export const structField: TypeRule = (types, options) => {
  const type = types[0]!;
  if (!isStructType(type)) return mismatch("it takes a struct");
  const field = type.struct.find((each) => each.name === options["name"]);
  if (field) return { args: [type], result: field.type };
  return mismatch(
    `its parts are ${type.struct.map((each) => each.name).join(", ")}, not ${JSON.stringify(options["name"])}`,
  );
};
