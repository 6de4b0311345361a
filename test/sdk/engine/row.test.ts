import { describe, expect, it } from "vitest";
import { compileExpr, compileRow, RowError } from "../../../sdk/engine/row.ts";
import { col, type Expr, lit } from "../../../sdk/frame/expr.ts";
import { coalesce, concat, greatest, hash, when } from "../../../sdk/frame/expr_functions.ts";
import { type Schema, schemaFrom } from "../../../sdk/schema.ts";

const schema: Schema = schemaFrom({
  i: "int32",
  n: "int64",
  x: "float64",
  s: "string",
  t: "timestamp",
  d: "date",
  b: "boolean",
  l: { list: "float64" },
});

const evaluate = (expr: Expr, row: Record<string, unknown> = {}) => compileExpr(expr.node, schema)(row);
const micros = (text: string) => BigInt(Date.parse(text)) * 1000n;

// These pin the meaning of operations by hand: the conformance suite only holds two executors to each other.
describe("compileExpr()", () => {
  it("reads absent columns as null, also those named like properties of every object", () => {
    expect(evaluate(col("x").isNull())).toBe(true);
    const odd = [{ name: "constructor", type: "string" }] as const;
    expect(compileExpr(col("constructor").isNull().node, odd)({})).toBe(true);
    expect(compileExpr(col("constructor").node, odd)({ constructor: "mine" })).toBe("mine");
  });

  it("keeps integers in their range", () => {
    expect(evaluate(col("i").plus(1), { i: 2147483646 })).toBe(2147483647);
    expect(() => evaluate(col("i").plus(1), { i: 2147483647 })).toThrow(RowError);
    expect(() => evaluate(col("n").times(2n), { n: 2n ** 62n })).toThrow("is out of range");
    expect(() => evaluate(col("n").negate(), { n: -(2n ** 63n) })).toThrow(RowError);
  });

  it("divides: floats by IEEE, integers by zero give null", () => {
    expect(evaluate(col("i").divide(0), { i: -1 })).toBe(-Infinity);
    expect(evaluate(col("i").divide(0), { i: 0 })).toBeNaN();
    expect(evaluate(col("i").floorDivide(2), { i: -7 })).toBe(-4);
    expect(evaluate(col("i").floorDivide(0), { i: -7 })).toBeNull();
    expect(evaluate(col("n").modulo(3n), { n: -7n })).toBe(-1n);
    expect(evaluate(col("x").modulo(0), { x: 5.5 })).toBeNull();
  });

  it("rounds half away from zero, also in casts", () => {
    expect([0.5, 1.5, 2.5, -2.5, 0.49999999999999994].map((x) => evaluate(col("x").round(), { x }))).toEqual([
      1,
      2,
      3,
      -3,
      0,
    ]);
    expect(evaluate(col("x").round(2), { x: 2.675 })).toBe(2.68);
    expect(evaluate(col("x").cast("int32"), { x: -2.5 })).toBe(-3);
    expect(() => evaluate(col("x").cast("int32"), { x: NaN })).toThrow("it has no such value");
    expect(evaluate(col("x").cast("int32", { onError: "null" }), { x: 1e10 })).toBeNull();
  });

  it("orders NaN above all, equal to itself, and -0 beside 0", () => {
    expect(evaluate(col("x").eq(NaN), { x: NaN })).toBe(true);
    expect(evaluate(col("x").lt(NaN), { x: Infinity })).toBe(true);
    expect(evaluate(col("x").eq(0), { x: -0 })).toBe(true);
    expect(evaluate(greatest(col("x"), 1, null), { x: NaN })).toBeNaN();
  });

  it("has three truth values", () => {
    const row = { b: null };
    expect(evaluate(col("b").and(false), row)).toBe(false);
    expect(evaluate(col("b").and(true), row)).toBeNull();
    expect(evaluate(col("b").or(true), row)).toBe(true);
    expect(evaluate(col("b").not(), row)).toBeNull();
    expect(evaluate(col("i").isIn([1, null]), { i: 2 })).toBeNull();
    expect(evaluate(col("i").isIn([1, null]), { i: 1 })).toBe(true);
    expect(evaluate(col("i").isIn([]), { i: 1 })).toBe(false);
    expect(evaluate(when(col("b")).then(1).otherwise(2), row)).toBe(2);
  });

  it("hides no error behind a decided and, but behind branches not taken", () => {
    const overflow = col("i").plus(2147483647).gt(0);
    expect(() => evaluate(col("b").and(overflow), { b: false, i: 1 })).toThrow(RowError);
    expect(evaluate(when(col("b")).then(overflow).otherwise(false), { b: false, i: 1 })).toBe(false);
    expect(evaluate(coalesce(col("b"), overflow), { b: true, i: 1 })).toBe(true);
  });

  it("compares and cuts text by code point", () => {
    expect("\u{10000}" < "\uffff").toBe(true);
    expect(evaluate(col("s").lt("\uffff"), { s: "\u{10000}" })).toBe(false);
    expect(evaluate(col("s").str.length(), { s: "a😀e\u0301" })).toBe(4);
    expect(evaluate(col("s").str.substring(-2), { s: "ab😀c" })).toBe("😀c");
    expect(evaluate(col("s").str.reverse(), { s: "a😀" })).toBe("😀a");
    expect(evaluate(col("s").str.upper(), { s: "straße" })).toBe("STRAẞE");
    expect(evaluate(concat("a", col("s")), { s: null })).toBeNull();
  });

  it("replaces text as it stands, and patterns with groups", () => {
    expect(evaluate(col("s").str.replace("a", "$&"), { s: "banana" })).toBe("b$&n$&n$&");
    expect(evaluate(col("s").str.replacePattern("(\\w)(\\d)", "$2$1$$"), { s: "a1 b2" })).toBe("1a$ 2b$");
    expect(evaluate(col("s").str.replacePattern("b*", "-"), { s: "abc" })).toBe("-a-c-");
    expect(evaluate(col("s").str.extract("x(\\d)?y", 1), { s: "xy" })).toBeNull();
  });

  it("knows calendars and zones", () => {
    const t = micros("2024-03-10T07:30:00Z");
    expect(evaluate(col("t").dt.hour(), { t })).toBe(7);
    expect(evaluate(col("t").dt.hour("America/New_York"), { t })).toBe(3);
    expect(evaluate(col("t").dt.hour("America/New_York"), { t: t - 1_800_000_001n })).toBe(1);
    expect(evaluate(col("t").dt.date("Pacific/Auckland").cast("string"), { t: micros("2000-02-28T23:00:00Z") })).toBe(
      "2000-02-29",
    );
    expect(evaluate(col("d").dt.week(), { d: 18630 })).toBe(53);
    expect(evaluate(col("d").dt.isoYear(), { d: 18630 })).toBe(2020);
    expect(evaluate(col("t").dt.truncate("week"), { t: -1n })).toBe(micros("1969-12-29"));
    expect(evaluate(col("t").dt.epoch("second"), { t: -1n })).toBe(-1n);
    expect(() => evaluate(col("t").dt.add("1us"), { t: 253_402_300_799_999_999n })).toThrow(
      "years run from 0001 to 9999",
    );
  });

  it("reads and writes text strictly", () => {
    const cast = (s: string, to: "int64" | "float64" | "timestamp" | "boolean") =>
      evaluate(col("s").cast(to, { onError: "null" }), { s });
    expect([cast(" 5", "int64"), cast("1e3", "int64"), cast("+7", "int64")]).toEqual([null, null, 7n]);
    expect([cast("1e400", "float64"), cast("NaN", "float64"), cast("0x10", "float64")]).toEqual([Infinity, NaN, null]);
    expect([cast("2001-03-01T12:00", "timestamp"), cast("2001-02-29", "timestamp")]).toEqual([
      micros("2001-03-01T12:00:00Z"),
      null,
    ]);
    expect([cast("T", "boolean"), cast("yes", "boolean")]).toEqual([true, null]);
    expect([1, -0, 1e16, 1e-5, 0.1, NaN].map((x) => evaluate(col("x").cast("string"), { x }))).toEqual([
      "1.0",
      "-0.0",
      "1e+16",
      "1e-05",
      "0.1",
      "nan",
    ]);
    expect(evaluate(col("t").cast("string"), { t: 1_500_000n })).toBe("1970-01-01T00:00:01.500Z");
  });

  it("works on lists", () => {
    const row = { l: [3, null, -0, NaN, 0, 3] };
    expect(evaluate(col("l").list.sort(), row)).toEqual([0, 0, 3, 3, NaN, null]);
    expect(evaluate(col("l").list.distinct(), row)).toEqual([0, 3, NaN]);
    expect(evaluate(col("l").list.sum(), { l: [0.1, 0.2, null] })).toBe(0.1 + 0.2);
    expect(evaluate(col("l").list.mean(), { l: [null] })).toBeNull();
    expect(evaluate(col("l").list.last(), { l: [] })).toBeNull();
    expect(evaluate(col("l").list.slice(-2, 1), row)).toEqual([0]);
  });

  it("hashes to numbers that never change", () => {
    expect(evaluate(hash(col("s"), col("i"), col("x")), { s: "a,b\\", i: null, x: -0 })).toBe(
      evaluate(hash(col("s"), col("i"), lit(0, "float64")), { s: "a,b\\", i: null }),
    );
    expect(evaluate(hash("a"))).toBe(-5_709_388_981_647_984_051n);
    expect(evaluate(hash(lit("a,b"), lit("c")))).not.toBe(evaluate(hash(lit("a"), lit("b,c"))));
    expect(evaluate(hash(null))).not.toBe(evaluate(hash("\\n")));
  });
});

describe("compileRow()", () => {
  it("gives all named values of a row", () => {
    const row = compileRow([{ name: "late", expr: col("i").gt(15).node }, { name: "s", expr: col("s").node }], schema);
    expect(row({ i: 20, s: "x" })).toEqual({ late: true, s: "x" });
  });
});
