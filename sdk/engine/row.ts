/**
 * Expressions as JavaScript: what serving runs per request and streams per event. Equal to the SQL of expr_sql.ts on every
 * value, which test/conformance/expr.ts holds. Loads no engine.
 */
import type { Schema } from "../schema.ts";
import type { ExprNode } from "../frame/expr_node.ts";
import { foldedExpr } from "./fold.ts";
import { compileTyped } from "./row_compile.ts";
import type { RowValues } from "./row_value.ts";

export type { Evaluate, RowValues } from "./row_value.ts";
export { RowError } from "./row_value.ts";

/**
 * Compiles an expression over columns of these types, once. The function takes a row in row form (int64, timestamp and
 * duration bigint, date int32 days, floats and int32 number, binary bytes, null or absent for null) and gives a value in row
 * form; it throws a `RowError` where a value has no result, such as an integer overflow.
 */
export function compileExpr(node: ExprNode, schema: Schema): (row: RowValues) => unknown {
  return compileTyped(foldedExpr(node, schema));
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
