/** Tables fit the page, and of what is large only what is shown is looked at. */
import stringWidth from "string-width";
import { describe, expect, it } from "vitest";
import { col } from "../../../sdk/frame/expr.ts";
import { fromRows } from "../../../sdk/frame/sources.ts";
import { sparkline } from "../../../sdk/notebook/sparkline.ts";
import { table } from "../../../sdk/notebook/table.ts";
import { fittedTable, wrappedFacts } from "../../../sdk/notebook/table_text.ts";
import "../../../sdk/mod.ts";

const widest = (text: string) => Math.max(...text.split("\n").map((line) => line.length));

describe("fittedTable()", () => {
  it("cuts long values first, then leaves columns out, and says which", () => {
    const long = fittedTable(["a", "b"], [["x".repeat(70), "y".repeat(70)]], { width: 80 });
    expect(widest(long.text)).toBeLessThanOrEqual(80);
    expect(long.text).toContain("…");
    expect(long.left).toEqual([]);
    const names = Array.from({ length: 40 }, (_, i) => `column_${i}`);
    const wide = fittedTable(names, [names], { width: 80, first: [0] });
    expect(widest(wide.text)).toBeLessThanOrEqual(80);
    expect(wide.left).toContain("column_0");
    expect(wide.left).toContain("column_39");
    expect(wide.text).toContain("column_1 ");
    const fits = fittedTable(["a"], [["b"]], { width: 80 });
    expect(fits).toEqual({ text: "a\n─\nb", left: [] });
  });

  it("measures signs as a terminal draws them", () => {
    const { text } = fittedTable(["name", "n"], [["日本語".repeat(20), "1"], ["👩‍👩‍👧‍👦", "2"], ["ab", "3"]], { width: 40 });
    const ends = text.split("\n").filter((line) => /\d$/.test(line)).map((line) => stringWidth(line));
    expect(ends).toEqual([ends[0], ends[0], ends[0]]);
    expect(ends[0]).toBeLessThanOrEqual(40);
  });

  it("goes on in the next line with words", () => {
    const words = "adds version 1 of view airport_hours";
    const { text } = fittedTable(["revision", "what"], [["1", words]], { width: 30, words: [1] });
    expect(widest(text)).toBeLessThanOrEqual(30);
    expect(text).not.toContain("…");
    expect(text.replace(/[^]*─/, "").replace("1", "").replace(/\s+/g, " ").trim()).toBe(words);
  });
});

describe("wrappedFacts()", () => {
  it("breaks between facts", () => {
    const text = wrappedFacts(Array.from({ length: 20 }, (_, i) => `fact number ${i}`).join(" · "), 80);
    expect(widest(text)).toBeLessThanOrEqual(80);
    expect(text.replaceAll("\n", " · ").split(" · ")).toHaveLength(20);
  });
});

describe("sparkline()", () => {
  it("has a bar for each number, a dot for none, and means of neighbours where it is narrow", () => {
    expect(sparkline([0, 7, null, 3.5])).toBe("▁█·▅");
    expect(sparkline([5, 6], { from: 0 })).toBe("▇█");
    expect(sparkline([1, 1, 3, 3, 8, 8], { width: 3 })).toBe("▁▃█");
    expect(sparkline([null])).toBe("");
    expect(sparkline([NaN, 2, Infinity])).toBe("·▅·");
  });
});

describe("table()", () => {
  it("looks at the first rows only", () => {
    let looked = 0;
    const rows = Array.from(
      { length: 10_000 },
      (_, i) => Object.defineProperty({}, "value", { enumerable: true, get: () => (looked++, i) }),
    );
    const text = String(table(rows));
    expect(text).toContain("first 100 of 10,000 rows");
    expect(looked).toBeLessThan(1_000);
  });

  it("shows a DataFrame, and of many columns the first", async () => {
    const wide = fromRows([Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`c${i}`, i]))]);
    const bundle = await table(await wide.collect()).toMimeBundle();
    expect(String(bundle["text/html"])).toContain("1 row × 200 columns, 170 not shown");
    expect(String(bundle["text/html"])).not.toContain("c30<br>");
    expect(String((await wide.toMimeBundle())["text/html"])).toContain("1 row × 200 columns, 170 not shown");
  });

  it("shows integers of a DataFrame that a number cannot hold as they are", async () => {
    const ids = fromRows([{ id: 9007199254740993n, x: 1 }, { id: null, x: 2 }, { id: -1234567890123456789n, x: 3 }]);
    const text = String(table(await ids.collect()));
    expect(text.replaceAll(/[,_]/g, "")).toContain("9007199254740993");
    expect(text.replaceAll(/[,_]/g, "")).toContain("-1234567890123456789");
  });

  it("shows structs of a DataFrame, also in a single row, and types without their wrapping", async () => {
    const nested = fromRows([{ a: [{ value: "x", count: 2n }], b: { c: 1.5 } }]);
    const text = String(table(await nested.collect()));
    expect(text).toContain("[{value: x, count: 2}]");
    expect(text).toContain("{c: 1.5}");
    expect(text).toContain('Struct(Field("c", Float64))');
    expect(text).not.toContain("DataType");
  });

  it("says that a frame has no more rows than it shows, and that it has none", async () => {
    const few = fromRows([{ a: 1 }, { a: 2 }]);
    expect(String((await few.filter(col("a").gt(1)).toMimeBundle())["text/plain"])).toContain("1 row × 1 column");
    expect(String((await few.filter(col("a").gt(2)).toMimeBundle())["text/plain"])).toContain("0 rows × 1 column");
  });

  it("keeps text left, numbers right and instants whole without any style", () => {
    const html = table([{ text: "a", n: 1, at: new Date("2001-01-01T10:00Z") }]).rendering().first["text/html"];
    expect(html).toContain('<td><div align="left">a</div></td><td align="right">1</td>');
    expect(html).toContain("<nobr>2001-01-01 10:00:00</nobr>");
    expect(html).not.toMatch(/style|<script/);
  });

  it("shows the time of day in all of a column or in none of it", () => {
    const [noon, midnight] = [new Date("2001-01-01T12:00Z"), new Date("2001-01-02")];
    const text = String(table([{ a: noon, b: midnight, c: null }, { a: midnight, b: midnight, c: "x" }]));
    expect(text).toContain("2001-01-01 12:00:00  2001-01-02  –");
    expect(text).toContain("2001-01-02 00:00:00  2001-01-02  x");
  });

  it("shows control signs instead of doing what they say, and never half a sign", () => {
    const text = String(table([{ a: "one\ntwo\x1b[31mred\u202eback", b: `${"x".repeat(58)}👍👍` }]));
    expect(text).toContain("one↵two␛[31mred�back");
    expect(text).toContain(`${"x".repeat(58)}…`);
  });

  it("keeps pages from reading prices as formulas", () => {
    const html = String(table([{ price: "$5 to $10" }]).rendering().first["text/html"]);
    expect(html).toMatch(/^<div class="mathjax_ignore tex2jax_ignore">[^]*\$5 to \$10[^]*<\/div>$/);
  });

  it("says that there are no rows", () => expect(String(table([]))).toContain("no rows"));
});
