import { exprSql } from "../../../sdk/engine/expr_sql.ts";
import { compileExpr } from "../../../sdk/engine/row.ts";
import { testExprConformance } from "../../conformance/expr.ts";

testExprConformance("an expression", { exprSql, compileExpr });
