/** How operations become functions of a row: most give null for null and compute otherwise. */
import type { DataType } from "../schema.ts";
import type { TypedCall } from "../frame/expr_type.ts";
import type { Evaluate } from "./row_value.ts";

/** Makes the function of a call from the functions of its arguments. */
export type Builder = (args: readonly Evaluate[], call: TypedCall) => Evaluate;

// deno-lint-ignore no-explicit-any
type Value = any;

/** One argument, null for null. */
export function strict1(compute: (a: Value) => unknown): Builder {
  return ([a]) => unary(a!, compute);
}

/** As {@link strict1}, for a function that depends on the call. */
export function strict1By(make: (call: TypedCall) => (a: Value) => unknown): Builder {
  return ([a], call) => unary(a!, make(call));
}

/** Two arguments, null when one is null. Both are evaluated, so that an error in one is never hidden. */
export function strict2(compute: (a: Value, b: Value) => unknown): Builder {
  return ([a, b]) => binary(a!, b!, compute);
}

/** As {@link strict2}, for a function that depends on the call. */
export function strict2By(make: (call: TypedCall) => (a: Value, b: Value) => unknown): Builder {
  return ([a, b], call) => binary(a!, b!, make(call));
}

/** Three arguments, null when one is null. */
export function strict3(compute: (a: Value, b: Value, c: Value) => unknown): Builder {
  return ([a, b, c]) => (row) => {
    const x = a!(row);
    const y = b!(row);
    const z = c!(row);
    return x === null || y === null || z === null ? null : compute(x, y, z);
  };
}

function unary(a: Evaluate, compute: (a: Value) => unknown): Evaluate {
  return (row) => {
    const x = a(row);
    return x === null ? null : compute(x);
  };
}

function binary(a: Evaluate, b: Evaluate, compute: (a: Value, b: Value) => unknown): Evaluate {
  return (row) => {
    const x = a(row);
    const y = b(row);
    return x === null || y === null ? null : compute(x, y);
  };
}

/** The type of an argument. */
export function argType(call: TypedCall, index: number): DataType {
  return call.args[index]!.type;
}
