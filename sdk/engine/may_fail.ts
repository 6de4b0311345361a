/** Which expressions may throw: what cannot need not be evaluated when the result is known without it. */
import { type DataType, isFloatType } from "../schema.ts";
import type { TypedExpr } from "../frame/expr_type.ts";

// Operations whose result may be out of range when their type is not a float.
const checked = new Set([
  "plus",
  "minus",
  "times",
  "negate",
  "abs",
  "floorDivide",
  "modulo",
  "listSum",
  "fromEpoch",
  "date",
]);

/** Whether evaluating may throw. */
export function mayFail(expr: TypedExpr): boolean {
  switch (expr.kind) {
    case "column":
    case "literal":
      return false;
    case "failure":
      return true;
    case "call":
      return (checked.has(expr.operation) && !isFloatType(expr.type)) || expr.args.some(mayFail);
    case "case":
      return mayFail(expr.otherwise) || expr.branches.some((branch) => mayFail(branch.when) || mayFail(branch.then));
    case "cast":
      return (expr.onError === "fail" && !isWidening(expr.input.type, expr.type)) || mayFail(expr.input);
  }
}

function isWidening(from: DataType, to: DataType): boolean {
  return to === "string" || (to === "float64" && from !== "string") || (from === "int32" && to === "int64") ||
    (from === "date" && to === "timestamp");
}
