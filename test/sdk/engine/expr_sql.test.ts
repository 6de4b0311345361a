import { describe, expect, it } from "vitest";
import { exprSql } from "../../../sdk/engine/expr_sql.ts";
import { col, type Expr, lit } from "../../../sdk/frame/expr.ts";
import { coalesce, concat } from "../../../sdk/frame/expr_functions.ts";
import { type Schema, schemaFrom } from "../../../sdk/schema.ts";

const schema: Schema = schemaFrom({ delay: "int32", 'say "x"': "string", at: "timestamp", big: "int64" });
const sql = (expr: Expr) => exprSql(expr.node, schema);

describe("exprSql()", () => {
  it("quotes names and text", () => {
    expect(sql(col('say "x"').eq("O'Hare"))).toBe(`("say ""x""" = 'O''Hare')`);
    expect(sql(concat(col('say "x"'), "a\0b"))).toBe(`("say ""x""" || ('a' || chr(0) || 'b'))`);
  });

  it("gives constants their exact type", () => {
    expect(sql(lit(-5))).toBe("CAST('-5' AS INTEGER)");
    expect(sql(lit(-0))).toBe("CAST('-0' AS DOUBLE)");
    expect(sql(lit("2001-02-28", "date"))).toBe("DATE '2001-02-28'");
    expect(sql(lit(null, { list: "int64" }))).toBe("CAST(NULL AS BIGINT[])");
  });

  it("computes parts without columns once, and keeps the type of nulls", () => {
    expect(sql(col("delay").gt(lit(10).plus(5)))).toBe(`("delay" > CAST('15' AS INTEGER))`);
    expect(sql(concat(col('say "x"'), null))).toBe("CAST(NULL AS VARCHAR)");
    expect(sql(lit(2147483647).plus(1))).toMatch(/^CAST\(error\('Cannot compute int32: .*'\) AS INTEGER\)$/);
  });

  it("asks the clock in UTC without a time zone", () => {
    expect(sql(col("at").dt.hour())).toBe(`CAST(hour(make_timestamp(epoch_us("at"))) AS INTEGER)`);
    expect(sql(col("at").dt.hour("Asia/Tokyo"))).toBe(`CAST(hour(timezone('Asia/Tokyo', "at")) AS INTEGER)`);
  });

  it("keeps DuckDB from computing beforehand what coalesce may not come to", () => {
    expect(sql(coalesce(col("delay"), 0))).toBe(`coalesce("delay", CAST('0' AS INTEGER))`);
    expect(sql(coalesce(col("delay"), col("delay").plus(1)))).toMatch(/^CASE WHEN "delay" IS NOT NULL/);
  });

  it("refuses SQL that grew beyond measure", () => {
    let expr: Expr = col("big");
    for (let i = 0; i < 10; i++) expr = expr.floorDivide(col("big"));
    expect(() => sql(expr)).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED", message: expect.stringContaining("derive a part of it") }),
    );
  });
});
