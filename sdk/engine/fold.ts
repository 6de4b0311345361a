/**
 * Parts without columns are computed once, before either executor sees them. Beyond speed, this keeps types: DuckDB forgets
 * the type of a call one of whose arguments is a constant null.
 */
import type { Schema } from "../schema.ts";
import type { ExprNode } from "../frame/expr_node.ts";
import { type TypedBranch, type TypedExpr, typedExpr } from "../frame/expr_type.ts";
import { isStrict } from "../frame/operations.ts";
import { compileTyped } from "./row_compile.ts";
import { RowError } from "./row_value.ts";

/** The expression with its types, and with constants in place of what is constant. */
export function foldedExpr(node: ExprNode, schema: Schema): TypedExpr {
  return fold(typedExpr(node, schema));
}

function fold(expr: TypedExpr): TypedExpr {
  switch (expr.kind) {
    case "column":
    case "literal":
    case "failure":
      return expr;
    case "call": {
      const args = expr.args.map(fold);
      if (isStrict(expr.operation) && args.some((arg) => arg.kind === "literal" && arg.value === null)) {
        return { kind: "literal", type: expr.type, value: null };
      }
      return constant({ ...expr, args }, args);
    }
    case "case":
      return foldCase(expr);
    case "cast": {
      const input = fold(expr.input);
      return constant({ ...expr, input }, [input]);
    }
  }
}

/** Without branches that are never taken, and what comes after one that always is. */
function foldCase(expr: Extract<TypedExpr, { kind: "case" }>): TypedExpr {
  const branches: TypedBranch[] = [];
  let otherwise = fold(expr.otherwise);
  for (const branch of expr.branches) {
    const when = fold(branch.when);
    if (when.kind === "literal" && when.value !== true) continue;
    const then = fold(branch.then);
    if (when.kind === "literal") {
      otherwise = then;
      break;
    }
    branches.push({ when, then });
  }
  return branches.length === 0 ? otherwise : { ...expr, branches, otherwise };
}

/** The value of the expression when all its parts are constants; an error waits until the part is evaluated. */
function constant(expr: TypedExpr, parts: readonly TypedExpr[]): TypedExpr {
  if (!parts.every((part) => part.kind === "literal")) return expr;
  try {
    return { kind: "literal", type: expr.type, value: compileTyped(expr)({}) };
  } catch (error) {
    if (error instanceof RowError) return { kind: "failure", type: expr.type, message: error.message };
    throw error;
  }
}
