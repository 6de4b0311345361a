/** Arithmetic and mathematics in JavaScript. */
import type { DataType } from "../schema.ts";
import { argType, type Builder, strict1, strict1By, strict2, strict2By } from "./row_builder.ts";
import { roundHalfAway } from "./row_cast.ts";
import { checkDate, checkInt32, checkInt64, checkTimestamp } from "./row_value.ts";

/** What depends on the type of the numbers: int32, int64 (and durations), float64. */
interface ByType<F> {
  readonly int32: F;
  readonly int64: F;
  readonly float64: F;
}

function pick<F>(type: DataType, functions: ByType<F>): F {
  if (type === "int32") return functions.int32;
  return type === "float64" ? functions.float64 : functions.int64;
}

// deno-lint-ignore no-explicit-any
type Binary = (a: any, b: any) => unknown;
// deno-lint-ignore no-explicit-any
type Unary = (a: any) => unknown;

const plusNumbers: ByType<Binary> = {
  int32: (a: number, b: number) => checkInt32(a + b),
  int64: (a: bigint, b: bigint) => checkInt64(a + b),
  float64: (a: number, b: number) => a + b,
};

const minusNumbers: ByType<Binary> = {
  int32: (a: number, b: number) => checkInt32(a - b),
  int64: (a: bigint, b: bigint) => checkInt64(a - b),
  float64: (a: number, b: number) => a - b,
};

const timesNumbers: ByType<Binary> = {
  int32: (a: number, b: number) => checkInt32(a * b),
  int64: (a: bigint, b: bigint) => checkInt64(a * b),
  float64: (a: number, b: number) => a * b,
};

const floorDivideNumbers: ByType<Binary> = {
  int32: (a: number, b: number) => b === 0 ? null : checkInt32(Math.floor(a / b)),
  int64: (a: bigint, b: bigint) => {
    if (b === 0n) return null;
    const quotient = a / b;
    return checkInt64((a < 0n) !== (b < 0n) && quotient * b !== a ? quotient - 1n : quotient);
  },
  float64: (a: number, b: number) => b === 0 ? null : Math.floor(a / b),
};

const moduloNumbers: ByType<Binary> = {
  int32: (a: number, b: number) => {
    if (b === 0) return null;
    // The quotient overflows, and engines refuse the remainder too.
    if (b === -1) checkInt32(-a);
    return a % b + 0;
  },
  int64: (a: bigint, b: bigint) => {
    if (b === 0n) return null;
    if (b === -1n) checkInt64(-a);
    return a % b;
  },
  float64: (a: number, b: number) => b === 0 ? null : a % b,
};

const negateNumbers: ByType<Unary> = {
  int32: (a: number) => checkInt32(-a),
  int64: (a: bigint) => checkInt64(-a),
  float64: (a: number) => -a,
};

const absNumbers: ByType<Unary> = {
  int32: (a: number) => checkInt32(Math.abs(a)),
  int64: (a: bigint) => checkInt64(a < 0n ? -a : a),
  float64: (a: number) => Math.abs(a),
};

const plus: Builder = strict2By((call) => {
  if (call.type === "timestamp") return (a: bigint, b: bigint) => checkTimestamp(a + b);
  if (call.type === "date") return (a: number, b: number) => checkDate(a + b);
  return pick(call.type, plusNumbers);
});

const minus: Builder = strict2By((call) => {
  if (call.type === "timestamp") return (a: bigint, b: bigint) => checkTimestamp(a - b);
  if (call.type === "date") return (a: number, b: number) => checkDate(a - b);
  return pick(call.type, minusNumbers);
});

const signOf: ByType<Unary> = {
  int32: (a: number) => Math.sign(a) + 0,
  int64: (a: bigint) => a > 0n ? 1 : a < 0n ? -1 : 0,
  float64: (a: number) => a > 0 ? 1 : a < 0 ? -1 : 0,
};

/** As the engine computes it: scale, round, scale back; where scaling leaves the floats, the value itself or 0. */
function roundTo(digits: number): Unary {
  if (digits === 0) return roundHalfAway;
  const scale = 10 ** Math.abs(digits);
  if (digits < 0) {
    return (a: number) => {
      const rounded = roundHalfAway(a / scale) * scale;
      return Number.isFinite(rounded) ? rounded : 0;
    };
  }
  return (a: number) => {
    const rounded = roundHalfAway(a * scale) / scale;
    return Number.isFinite(rounded) ? rounded : a;
  };
}

/** For a rounding that leaves integers alone. */
const rounding = (compute: Unary): Builder =>
  strict1By((call) => call.type === "float64" ? compute : (a: unknown) => a);

/** C and JavaScript disagree on powers of 1 and -1: C knows the answer. */
function power(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && Math.abs(exponent) === Infinity)) return 1;
  return base ** exponent;
}

export const numberBuilders = {
  plus,
  minus,
  times: strict2By((call) => pick(call.type, timesNumbers)),
  divide: strict2By((call) =>
    argType(call, 0) === "duration" ? (a: bigint, b: bigint) => Number(a) / Number(b) : (a: number, b: number) => a / b
  ),
  floorDivide: strict2By((call) => pick(call.type, floorDivideNumbers)),
  modulo: strict2By((call) => pick(call.type, moduloNumbers)),
  negate: strict1By((call) => pick(call.type, negateNumbers)),
  abs: strict1By((call) => pick(call.type, absNumbers)),
  sign: strict1By((call) => pick(argType(call, 0), signOf)),
  round: strict1By((call) => call.type === "float64" ? roundTo(Number(call.options["digits"])) : (a: unknown) => a),
  floor: rounding(Math.floor),
  ceil: rounding(Math.ceil),
  sqrt: strict1(Math.sqrt),
  exp: strict1(Math.exp),
  ln: strict1(Math.log),
  log10: strict1(Math.log10),
  pow: strict2(power),
  sin: strict1(Math.sin),
  cos: strict1(Math.cos),
  tan: strict1(Math.tan),
  asin: strict1(Math.asin),
  acos: strict1(Math.acos),
  atan: strict1(Math.atan),
  atan2: strict2(Math.atan2),
  isNaN: strict1((a: number) => a !== a),
  isFinite: strict1(Number.isFinite),
} as const;
