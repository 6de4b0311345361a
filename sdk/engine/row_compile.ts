/** Typed expressions as JavaScript functions of a row. */
import type { TypedExpr } from "../frame/expr_type.ts";
import { compileCast } from "./row_cast.ts";
import { compileCall } from "./row_operations.ts";
import { type Evaluate, RowError } from "./row_value.ts";

/** Compiles a typed expression. */
export function compileTyped(expr: TypedExpr): Evaluate {
  switch (expr.kind) {
    case "column":
      return compileColumn(expr.name);
    case "literal": {
      const { value } = expr;
      return () => value;
    }
    case "failure":
      return () => {
        throw new RowError(expr.message);
      };
    case "call":
      return compileCall(expr, expr.args.map(compileTyped));
    case "case":
      return compileCase(
        expr.branches.map((branch) => [compileTyped(branch.when), compileTyped(branch.then)]),
        compileTyped(expr.otherwise),
      );
    case "cast":
      return compileCast(compileTyped(expr.input), expr.input.type, expr.type, expr.onError);
  }
}

function compileColumn(name: string): Evaluate {
  // A row that lacks the column must not find a property that every object has.
  if (name in Object.prototype) return (row) => Object.hasOwn(row, name) ? row[name] ?? null : null;
  return (row) => row[name] ?? null;
}

function compileCase(branches: readonly (readonly [when: Evaluate, then: Evaluate])[], otherwise: Evaluate): Evaluate {
  return (row) => {
    for (const [when, then] of branches) {
      if (when(row) === true) return then(row);
    }
    return otherwise(row);
  };
}
