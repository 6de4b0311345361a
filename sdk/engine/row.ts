/**
 * Expressions as JavaScript: what serving runs per request and streams per event. Equal to the SQL of expr_sql.ts on every
 * value, which test/conformance/expr.ts holds. Loads no engine.
 */
import type { Schema } from "../schema.ts";
import type { ExprNode } from "../frame/expr_node.ts";
import { type TypedExpr, typedExpr } from "../frame/expr_type.ts";
import { compileCast } from "./row_cast.ts";
import { compileCall } from "./row_operations.ts";
import type { Evaluate, RowValues } from "./row_value.ts";

export type { Evaluate, RowValues } from "./row_value.ts";
export { RowError } from "./row_value.ts";

/**
 * Compiles an expression over columns of these types, once. The function takes a row in row form (int64, timestamp and
 * duration bigint, date int32 days, floats and int32 number, binary bytes, null or absent for null) and gives a value in row
 * form; it throws a `RowError` where a value has no result, such as an integer overflow.
 */
export function compileExpr(node: ExprNode, schema: Schema): (row: RowValues) => unknown {
  return compileTyped(typedExpr(node, schema));
}

/** Compiles several named expressions into a function from row to row. */
export function compileRow(
  columns: readonly { readonly name: string; readonly expr: ExprNode }[],
  schema: Schema,
): (row: RowValues) => Record<string, unknown> {
  const parts = columns.map((column) => [column.name, compileExpr(column.expr, schema)] as const);
  return (row) => {
    const result: Record<string, unknown> = {};
    for (const [name, evaluate] of parts) result[name] = evaluate(row);
    return result;
  };
}

function compileTyped(expr: TypedExpr): Evaluate {
  switch (expr.kind) {
    case "column":
      return compileColumn(expr.name);
    case "literal": {
      const { value } = expr;
      return () => value;
    }
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
