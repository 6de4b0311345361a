/** Expressions as DuckDB's SQL. Sessions have TimeZone UTC and `ieee_floating_point_ops`, DuckDB's default. */
import { VarveError } from "../errors.ts";
import type { Schema } from "../schema.ts";
import type { ExprNode } from "../frame/expr_node.ts";
import type { TypedExpr } from "../frame/expr_type.ts";
import { duckTypeOf } from "./duck_type.ts";
import { quoteName } from "./engine.ts";
import { castSql } from "./expr_sql_cast.ts";
import { callSql } from "./expr_sql_call.ts";
import { foldedExpr } from "./fold.ts";
import { textSql, valueSql } from "./sql_value.ts";

/** The longest SQL of one expression: some operations write an argument twice, so deep nests of them grow fast. */
export const maxExprSqlLength = 1_000_000;

/** An expression over columns of exactly the schema's types as SQL; its result has exactly the type of the expression. */
export function exprSql(node: ExprNode, schema: Schema): string {
  return typedSql(foldedExpr(node, schema));
}

/** A typed expression as SQL. */
export function typedSql(expr: TypedExpr): string {
  const sql = write(expr);
  if (sql.length <= maxExprSqlLength) return sql;
  throw new VarveError(
    "UNSUPPORTED",
    `Cannot compile expression: its SQL is longer than ${maxExprSqlLength} characters; derive a part of it as a column first`,
  );
}

function write(expr: TypedExpr): string {
  switch (expr.kind) {
    case "column":
      return quoteName(expr.name);
    case "literal":
      return valueSql(expr.value, expr.type);
    case "failure":
      return `CAST(error(${textSql(expr.message)}) AS ${duckTypeOf(expr.type)})`;
    case "call":
      return callSql(expr, expr.args.map(typedSql));
    case "case": {
      const branches = expr.branches.map((branch) => `WHEN ${typedSql(branch.when)} THEN ${typedSql(branch.then)}`);
      return `CASE ${branches.join(" ")} ELSE ${typedSql(expr.otherwise)} END`;
    }
    case "cast":
      return castSql(typedSql(expr.input), expr.input.type, expr.type, expr.onError);
  }
}
