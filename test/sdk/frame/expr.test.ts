import { describe, expect, expectTypeOf, it } from "vitest";
import { col, type Expr, lit } from "../../../sdk/frame/expr.ts";
import { allOf, anyOf, coalesce, concat, duration, hash, struct, when } from "../../../sdk/frame/expr_functions.ts";
import { callNode, columnsOf, parseExpr } from "../../../sdk/frame/expr_json.ts";
import { literalOf } from "../../../sdk/frame/expr_literal.ts";
import { typeOfExpr } from "../../../sdk/frame/expr_type.ts";
import type { ResolveExpr } from "../../../sdk/frame/expr_value.ts";
import { isStrict, operations } from "../../../sdk/frame/operations.ts";
import { requestTimestamp } from "../../../sdk/frame/request_time.ts";
import { type Schema, schemaFrom } from "../../../sdk/schema.ts";
import { Timestamp } from "../../../sdk/time.ts";
import { fileFrame } from "../../support/flight_views.ts";

const schema: Schema = schemaFrom({
  driver_id: "int64",
  trips: "int32",
  fare: "float64",
  weight: "float32",
  city: "string",
  at: "timestamp",
  day: "date",
  tags: { list: "string" },
  place: { struct: [{ name: "lat", type: "float64" }] },
});

interface Trip {
  driver_id: bigint | null;
  trips: number | null;
  fare: number | null;
  city: string | null;
  at: Timestamp | null;
}

const typeOf = (expr: Expr) => typeOfExpr(expr.node, schema);

describe("typeOfExpr()", () => {
  it("names the columns there are when one is unknown", () => {
    expect(() => typeOf(col("trps"))).toThrow('Cannot use column "trps": columns are driver_id, trips, fare');
  });

  it("says that the time of a request is for realtime views", () => {
    const said = "Cannot use requestTimestamp() here: it is for the features of realtime views";
    expect(() => typeOf(requestTimestamp().dt.hour())).toThrow(said);
    const rows = fileFrame({ a: "int64" });
    expect(() => rows.derive({ at: requestTimestamp() } as never)).toThrow(said);
    expect(() => rows.select({ at: requestTimestamp() } as never)).toThrow(said);
    expect(() => rows.filter(requestTimestamp().dt.hour().gt(5) as never)).toThrow(said);
  });

  it("says which types do not fit an operation, and why", () => {
    expect(() => typeOf(col("city").plus(1))).toThrow('Cannot apply "plus" to string and int32: it adds numbers');
    expect(() => typeOf(col("city").eq(1))).toThrow(
      'Cannot apply "eq" to string and int32: they have no type in common',
    );
    expect(() => typeOf(col("tags").eq(col("tags")))).toThrow("lists and structs cannot be compared");
    expect(() => typeOf(col("day").dt.hour())).toThrow('Cannot apply "hour" to date');
    expect(() => typeOf(col("day").dt.year("Europe/Berlin"))).toThrow("a date has no time zone");
    expect(() => typeOf(col("place").field("lon"))).toThrow('its parts are lat, not "lon"');
    expect(() => typeOf(col("city").str.extract("a(b)", 2))).toThrow("its pattern has 1 groups, not 2");
  });

  it("widens numbers: int32, int64, float64", () => {
    expect(typeOf(col("trips").plus(1))).toBe("int32");
    expect(typeOf(col("trips").plus(1n))).toBe("int64");
    expect(typeOf(col("driver_id").times(0.5))).toBe("float64");
    expect(typeOf(col("weight").plus(col("weight")))).toBe("float64");
    expect(typeOf(col("weight").fillNull(col("weight")))).toBe("float32");
    expect(typeOf(col("trips").divide(2))).toBe("float64");
  });

  it("knows times", () => {
    expect(typeOf(col("at").minus(col("at")))).toBe("duration");
    expect(typeOf(col("at").dt.add("1h"))).toBe("timestamp");
    expect(typeOf(col("at").minus(duration("5m")))).toBe("timestamp");
    expect(typeOf(col("day").minus(col("day")))).toBe("int32");
    expect(typeOf(col("day").plus(7))).toBe("date");
    expect(typeOf(col("at").dt.date("Asia/Tokyo").dt.truncate("month"))).toBe("date");
  });

  it("reads text beside a time as a time, and null as whatever is beside it", () => {
    expect(typeOf(col("day").ge("2001-01-01"))).toBe("boolean");
    expect(typeOf(col("at").between("2001-01-01", "2001-02-01T12:00Z"))).toBe("boolean");
    expect(() => typeOf(col("at").ge("soon"))).toThrow('Cannot apply "ge" to timestamp and string');
    expect(typeOf(when(col("fare").gt(1)).then(1).otherwise(null))).toBe("int32");
    expect(typeOf(coalesce(null, col("at")))).toBe("timestamp");
  });

  it("refuses casts that mean nothing, and branches of different types", () => {
    expect(() => typeOf(col("tags").cast("int32"))).toThrow("Cannot cast list<string> to int32");
    expect(() => typeOf(when(col("fare").gt(1)).then("a").otherwise(1))).toThrow(
      "Cannot use case with results of string and int32",
    );
    expect(() => typeOf(when(col("fare")).then("a").otherwise("b"))).toThrow(
      "Cannot use float64 as a condition of case",
    );
  });

  it("stops at expressions that unfold without end", () => {
    let expr: Expr = col("trips");
    for (let i = 0; i < 40; i++) expr = expr.plus(expr);
    expect(() => typeOf(expr)).toThrow("it has more than 20000 parts");
  });
});

describe("Expr", () => {
  it("is frozen and never changes its receiver", () => {
    const delay = col("delay");
    const late = delay.gt(15);
    expect(Object.isFrozen(late) && Object.isFrozen(late.node)).toBe(true);
    expect(delay.node).toEqual({ kind: "column", name: "delay" });
  });

  it("reads well", () => {
    expect(String(col("delay").gt(15).and(col("origin").isNotNull()))).toBe("(delay > 15) and origin is not null");
    expect(String(col("a b").plus(1).times(-2.5).negate())).toBe('-(("a b" + 1) * -2.5)');
    expect(String(col("city").str.substring(0, 3).isIn(["New", "O'H"]))).toBe(
      "substring(city, start: 0, length: 3) in ('New', 'O''H')",
    );
    expect(String(col("at").ge(new Date("2001-01-01Z")))).toBe("at >= timestamp '2001-01-01T00:00:00Z'");
    expect(String(col("at").dt.add("90m").dt.hour("Europe/Berlin"))).toBe(
      "hour(at + duration '1h30m', zone: 'Europe/Berlin')",
    );
    expect(String(when(col("a").isNull()).then("x").otherwise(null))).toBe(
      "case when a is null then 'x' else null end",
    );
    expect(String(col("s").field("lat").cast("int32", { onError: "null" }))).toBe("tryCast(s.lat as int32)");
    expect(String(col("and").between(lit(NaN), 3n))).toBe('"and" between NaN and 3');
  });

  it("knows its columns, each once", () => {
    const expr = when(col("a").gt(col("b"))).then(col("a")).otherwise(concat(col("c"), "x"));
    expect(expr.columns()).toEqual(["a", "b", "c"]);
    expect(columnsOf(lit(1).node)).toEqual([]);
    expectTypeOf(expr.columns()).toEqualTypeOf<("a" | "b" | "c")[]>();
  });

  it("takes only expressions over columns that there are", () => {
    const filter = (expr: Expr<keyof Trip & string>) => expr;
    filter(col("fare").gt(1).and(col("trips").gt(lit(2))));
    // @ts-expect-error a misspelt column
    filter(col("fair").gt(1));
    // @ts-expect-error a misspelt column on the other side
    filter(col("fare").gt(col("fair")));
    expect(() => callNode("plus", [])).toThrow('Cannot apply "plus": it takes 2 arguments, not 0');
  });

  it("has the type of its value once the row is known", () => {
    type Value<E> = E extends Expr<string, infer T> ? ResolveExpr<Trip, T> : never;
    const values = {
      city: col("city"),
      more: col("trips").plus(1).times(col("fare")),
      big: col("driver_id").plus(1n),
      late: col("trips").gt(3),
      filled: col("fare").fillNull(0),
      label: when(col("trips").gt(3)).then("many").otherwise(col("city")),
      id: hash(col("city")),
      number: col("city").cast("int64"),
    };
    expectTypeOf<Value<typeof values.city>>().toEqualTypeOf<string | null>();
    expectTypeOf<Value<typeof values.more>>().toEqualTypeOf<number | null>();
    expectTypeOf<Value<typeof values.big>>().toEqualTypeOf<bigint | null>();
    expectTypeOf<Value<typeof values.late>>().toEqualTypeOf<boolean | null>();
    expectTypeOf<Value<typeof values.filled>>().toEqualTypeOf<number>();
    expectTypeOf<Value<typeof values.label>>().toEqualTypeOf<string | null>();
    expectTypeOf<Value<typeof values.id>>().toEqualTypeOf<bigint>();
    expectTypeOf<Value<typeof values.number>>().toEqualTypeOf<bigint | null>();
    expect(Object.values(values)).toHaveLength(8);
  });

  it("refuses wrong constants of operations at the call", () => {
    expect(() => col("city").str.matches("(")).toThrow(
      'Cannot apply "matches": option "pattern" is "(", it is not an RE2 pattern',
    );
    expect(() => col("at").dt.hour("Mars/Base")).toThrow("it is not an IANA time zone");
    expect(() => col("fare").round(1.5)).toThrow('option "digits" is 1.5, it must be a whole number from -15 to 15');
    expect(() => col("city").str.padStart(3, "ab")).toThrow("it must be one character");
    expect(() => struct({})).toThrow("Cannot make a struct: it has no parts");
    expect(() => col("")).toThrow('Cannot use "" as a column');
  });

  it("joins any number of conditions", () => {
    expect(String(allOf(col("a"), col("b"), col("c")))).toBe("a and b and c");
    expect(typeOf(allOf())).toBe("boolean");
    expect(String(anyOf(col("a")))).toBe("a or false");
  });
});

describe("lit()", () => {
  it("takes the type that the value says", () => {
    const types = [1, 3e9, 1.5, -0, 1n, "a", true, new Date(0), Timestamp.from("2001-01-01"), new Uint8Array([1]), [
      1,
      2.5,
    ], { a: 1 }].map((value) => typeOf(lit(value as number)));
    expect(types).toEqual([
      "int32",
      "float64",
      "float64",
      "float64",
      "int64",
      "string",
      "boolean",
      "timestamp",
      "timestamp",
      "binary",
      { list: "float64" },
      { struct: [{ name: "a", type: "int32" }] },
    ]);
  });

  it("takes the type that is given, and refuses values outside it", () => {
    expect(lit("2001-02-28", "date").node).toEqual({ kind: "literal", type: "date", value: "2001-02-28" });
    expect(lit(5, "int64").node).toEqual({ kind: "literal", type: "int64", value: "5" });
    expect(() => lit("2001-02-29", "date")).toThrow('Cannot use "2001-02-29" as a constant of type date');
    expect(() => lit(2 ** 31, "int32")).toThrow("Cannot use 2147483648 as a constant of type int32");
    expect(() => lit(2n ** 63n)).toThrow("as a constant of type int64");
    expect(() => lit("\ud800")).toThrow("as a constant of type string");
    expect(() => lit((() => 1) as never)).toThrow("Cannot use a function as a constant");
  });

  it("is safe in JSON, whatever the value", () => {
    for (const value of [NaN, Infinity, -0, 2n ** 63n - 1n, Timestamp.from("9999-12-31"), new Uint8Array([0, 255])]) {
      const { node } = lit(value);
      expect(parseExpr(JSON.parse(JSON.stringify(node)))).toEqual(node);
    }
  });
});

describe("parseExpr()", () => {
  const node = when(col("a").plus(1).gt(2)).then(col("b").str.split(",")).otherwise(["x", null]).node;

  it("gives back what was written, frozen to the leaves", () => {
    const parsed = parseExpr(JSON.parse(JSON.stringify(node)));
    expect(parsed).toEqual(node);
    const isDeepFrozen = (value: unknown): boolean =>
      typeof value !== "object" || value === null ||
      (Object.isFrozen(value) && Object.values(value).every(isDeepFrozen));
    expect(isDeepFrozen(parsed)).toBe(true);
  });

  it.each([
    [5, "Cannot read expression: it must be an object"],
    [{ kind: "colum" }, 'kind is "colum"'],
    [{ kind: "column", name: "a", extra: 1 }, 'unknown property "extra"'],
    [{ kind: "call", operation: "constructor", args: [] }, 'there is no operation "constructor"'],
    [{ kind: "call", operation: "plus", args: [{ kind: "column", name: "a" }] }, "it takes 2 arguments, not 1"],
    [
      { kind: "call", operation: "not", args: [{ kind: "column" }] },
      "Cannot read expression.args[0]: the name of a column must be text",
    ],
    [
      { kind: "call", operation: "matches", args: [{ kind: "column", name: "a" }], options: { pattern: "(" } },
      "it is not an RE2 pattern",
    ],
    [
      { kind: "call", operation: "lower", args: [{ kind: "column", name: "a" }], options: { zone: "UTC" } },
      'it has no option "zone"',
    ],
    [{ kind: "literal", type: "int64", value: 5 }, "5 is not a value of type int64"],
    [{ kind: "literal", type: "int32", value: 1.5 }, "1.5 is not a value of type int32"],
    [{ kind: "literal", type: "text", value: "a" }, 'Cannot use "text" as type'],
    [{ kind: "case", branches: [], otherwise: { kind: "column", name: "a" } }, "a case needs at least one branch"],
    [
      { kind: "cast", input: { kind: "column", name: "a" }, to: "int32", onError: "maybe" },
      'onError must be "fail" or "null"',
    ],
  ])("refuses %j", (json, message) => {
    expect(() => parseExpr(json)).toThrow(
      expect.objectContaining({ code: "INVALID_DEFINITION", message: expect.stringContaining(message) }),
    );
  });

  it("refuses what is nested too deep or too large", () => {
    let deep: unknown = { kind: "column", name: "a" };
    for (let i = 0; i < 300; i++) deep = { kind: "call", operation: "not", args: [deep] };
    expect(() => parseExpr(deep)).toThrow("nested more than 250 deep");
    const args = Array.from(
      { length: 1000 },
      () => ({ kind: "call", operation: "or", args: Array(30).fill({ kind: "column", name: "a" }) }),
    );
    expect(() => parseExpr({ kind: "call", operation: "and", args })).toThrow("more than 20000 parts");
  });
});

describe("operations", () => {
  it("say what they do, and give null for null unless they say otherwise", () => {
    for (const [name, spec] of Object.entries(operations)) {
      expect(spec.description, name).toMatch(/^[A-Z-]|^e /);
      expect(spec.minArgs, name).toBeLessThanOrEqual(spec.maxArgs);
    }
    expect(isStrict("plus")).toBe(true);
    expect(isStrict("coalesce")).toBe(false);
  });

  it("write constants of lists element by element", () => {
    expect(literalOf([1, null], { list: "int64" })).toEqual({
      kind: "literal",
      type: { list: "int64" },
      value: ["1", null],
    });
  });
});
