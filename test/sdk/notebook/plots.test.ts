import { describe, expect, it } from "vitest";
import { fromRows, lit, VarveError } from "varve";

const weights = fromRows([
  { feature: "hour", model: "a", weight: 1 },
  { feature: "hour", model: "b", weight: -2 },
  { feature: "distance", model: "a", weight: 0.5 },
]);

describe("plots by colour", () => {
  it.each(["line", "points", "bars"] as const)("draw %s of every value of a column, and a legend", async (kind) => {
    const plot = kind === "bars"
      ? weights.plot.bars("feature", "weight", { color: "model", title: "weights" })
      : weights.derive({ at: lit(1) }).plot[kind]("at", "weight", { color: "model", title: "weights" });
    expect(await plot.data()).toHaveLength(3);
    const bundle = await plot.toMimeBundle();
    const marks = String(bundle["image/svg+xml"]);
    const colors = new Set(
      [...marks.matchAll(/(?:fill|stroke)="(#(?!000|fff|ddd|888)\w+)"/g)].map((found) => found[1]),
    );
    expect(colors.size).toBe(2);
    expect(marks).toContain(">model<");
    expect(bundle["text/plain"]).toMatch(/weights\n\n.*model/);
  });

  it("puts bars of one place beside each other", async () => {
    const svg = String(
      (await weights.plot.bars("feature", "weight", { color: "model" }).toMimeBundle())["image/svg+xml"],
    );
    const lefts = [...svg.matchAll(/aria-roledescription="bar" d="M([\d.]+),/g)].map((found) => Number(found[1]));
    expect(new Set(lefts).size).toBe(3);
  });

  it("says what columns there are, and that counted bars have no colour", () => {
    expect(() => weights.plot.line("weight", "weight", { color: "modle" as never })).toThrow(
      'Cannot colour a line by column "modle": columns are feature, model, weight',
    );
    expect(() => weights.plot.bars("feature", undefined, { color: "model" })).toThrow(VarveError);
  });

  it("leaves colours to pages that draw themselves, is white for others, and tells times in UTC", async () => {
    const times = fromRows([{ at: new Date("2001-01-01"), x: 1 }, { at: new Date("2001-01-02"), x: 2 }]);
    const bundle = await times.plot.line("at", "x").toMimeBundle();
    // A page with a dark theme writes in white: on a background of ours that could not be read.
    const spec = bundle["application/vnd.vegalite.v5+json"];
    expect(spec).not.toHaveProperty("background");
    expect(spec).toMatchObject({ encoding: { x: { type: "temporal", scale: { type: "utc" } } } });
    expect(bundle["image/svg+xml"]).toMatch(/<rect [^>]*fill="white"/);
  });

  it("says that there is nothing to draw", async () => {
    const none = weights.filter(lit(false)).plot.line("weight", "weight", { title: "weights" });
    expect((await none.toMimeBundle())["text/plain"]).toBe("weights: there are no rows to draw");
    expect(await none.toMimeBundle()).not.toHaveProperty("image/svg+xml");
  });

  it("draws times without a warning", async () => {
    const warned: unknown[] = [];
    const { warn } = console;
    console.warn = (...args: unknown[]) => void warned.push(args);
    try {
      await fromRows([{ at: new Date("2001-01-01"), x: 1 }, { at: new Date("2001-01-02"), x: 2 }]).plot.line("at", "x")
        .toMimeBundle();
    } finally {
      console.warn = warn;
    }
    expect(warned).toEqual([]);
  });
});
