/** Comparison, three-valued logic, null handling and hashing in JavaScript. */
import { createHash } from "node:crypto";
import { type DataType, isFloatType } from "../schema.ts";
import type { TypedCall } from "../frame/expr_type.ts";
import { mayFail } from "./may_fail.ts";
import { argType, type Builder, strict1, strict2By } from "./row_builder.ts";
import { floatToText } from "./row_cast.ts";
import { formatTimestamp } from "../time.ts";
import { microsPerDay } from "./row_calendar.ts";
import { comparatorOf, type Compare, type Evaluate, keyOf } from "./row_value.ts";

// deno-lint-ignore no-explicit-any
type Test = (a: any, b: any) => boolean;

/** Types that JavaScript's own operators compare as we do. */
function isPlain(type: DataType): boolean {
  return type === "int32" || type === "int64" || type === "date" || type === "timestamp" || type === "duration" ||
    type === "boolean";
}

function equality(type: DataType): Test {
  if (isFloatType(type)) return (a: number, b: number) => a === b || (a !== a && b !== b);
  if (type === "binary") return by(type, (order) => order === 0);
  return (a, b) => a === b;
}

function by(type: DataType, accept: (order: number) => boolean): Test {
  const compare = comparatorOf(type);
  return (a, b) => accept(compare(a, b));
}

/** Less, for each kind of value. NaN is greatest: nothing but NaN itself is not less than it. */
function less(type: DataType): Test {
  if (isPlain(type)) return (a, b) => a < b;
  if (isFloatType(type)) return (a: number, b: number) => a < b || (b !== b && a === a);
  return by(type, (order) => order < 0);
}

const comparing = (make: (type: DataType) => Test): Builder => strict2By((call) => make(argType(call, 0)));
const swapped = (test: Test): Test => (a, b) => test(b, a);
const inverse = (test: Test): Test => (a, b) => !test(a, b);

const same: Builder = ([a, b], call) => {
  const equal = equality(argType(call, 0));
  return (row) => {
    const x = a!(row);
    const y = b!(row);
    return x === null || y === null ? x === y : equal(x, y);
  };
};

/** `x >= low and x <= high`, with the logic of `and`. */
const between: Builder = ([x, low, high], call) => {
  const isLess = less(argType(call, 0));
  return (row) => {
    const value = x!(row);
    const from = low!(row);
    const to = high!(row);
    if (value === null) return null;
    if ((from !== null && isLess(value, from)) || (to !== null && isLess(to, value))) return false;
    return from === null || to === null ? null : true;
  };
};

const isIn: Builder = (args, call) => {
  const [x, ...values] = args as [Evaluate, ...Evaluate[]];
  const constants = call.args.slice(1).flatMap((arg) => arg.kind === "literal" ? [arg.value] : []);
  const key = keyOf(argType(call, 0));
  if (constants.length === values.length) {
    const wanted = new Set(constants.filter((value) => value !== null).map(key));
    const otherwise = constants.includes(null) ? null : false;
    return (row) => {
      const value = x(row);
      return value === null ? null : wanted.has(key(value)) || otherwise;
    };
  }
  const equal = equality(argType(call, 0));
  return (row) => {
    const value = x(row);
    const others = values.map((each) => each(row));
    if (value === null) return null;
    return others.some((other) => other !== null && equal(value, other)) || (others.includes(null) ? null : false);
  };
};

/** `and` is decided by a false, `or` by a true. What may throw is evaluated even when the result is known. */
function junction(decisive: boolean): Builder {
  return (args, call) => {
    const certain = call.args.map((arg) => !mayFail(arg));
    // From this argument on, none can throw.
    const free = certain.lastIndexOf(false) + 1;
    return (row) => {
      let result: boolean | null = !decisive;
      for (let i = 0; i < args.length; i++) {
        if (result === decisive && i >= free) return result;
        const value = args[i]!(row);
        if (value === decisive) result = decisive;
        else if (value === null && result !== decisive) result = null;
      }
      return result;
    };
  };
}

const coalesce: Builder = (args) => (row) => {
  for (const arg of args) {
    const value = arg(row);
    if (value !== null) return value;
  }
  return null;
};

const nullIf: Builder = ([a, b], call) => {
  const equal = equality(argType(call, 0));
  return (row) => {
    const x = a!(row);
    const y = b!(row);
    return x !== null && y !== null && equal(x, y) ? null : x;
  };
};

function extreme(isBetter: (order: number) => boolean): Builder {
  return (args, call) => {
    const compare: Compare = comparatorOf(call.type);
    return (row) => {
      let best: unknown = null;
      for (const arg of args) {
        const value = arg(row);
        if (value !== null && (best === null || isBetter(compare(value, best)))) best = value;
      }
      return best;
    };
  };
}

function hashText(type: DataType): (value: unknown) => string {
  switch (type) {
    case "string":
      return (value) => (value as string).replaceAll("\\", "\\\\").replaceAll(",", "\\,");
    case "float32":
    case "float64":
      return (value) => floatToText((value as number) + 0);
    case "date":
      return (value) => formatTimestamp(BigInt(value as number) * microsPerDay).slice(0, 10);
    case "binary":
      return (value) => Buffer.from(value as Uint8Array).toString("hex").toUpperCase();
  }
  return String;
}

const hash: Builder = (args, call: TypedCall) => {
  const texts = call.args.map((arg) => hashText(arg.type));
  return (row) => {
    let text = "";
    for (let i = 0; i < args.length; i++) {
      const value = args[i]!(row);
      text += `${value === null ? "\\n" : texts[i]!(value)},`;
    }
    return createHash("md5").update(text).digest().readBigUInt64LE(8) - 9223372036854775808n;
  };
};

export const logicBuilders = {
  eq: comparing(equality),
  ne: comparing((type) => inverse(equality(type))),
  lt: comparing(less),
  le: comparing((type) => inverse(swapped(less(type)))),
  gt: comparing((type) => swapped(less(type))),
  ge: comparing((type) => inverse(less(type))),
  same,
  between,
  isIn,
  and: junction(false),
  or: junction(true),
  not: strict1((a: boolean) => !a),
  isNull: ([a]: readonly Evaluate[]) => (row: Parameters<Evaluate>[0]) => a!(row) === null,
  isNotNull: ([a]: readonly Evaluate[]) => (row: Parameters<Evaluate>[0]) => a!(row) !== null,
  coalesce,
  nullIf,
  greatest: extreme((order) => order > 0),
  least: extreme((order) => order < 0),
  hash,
} as const;
