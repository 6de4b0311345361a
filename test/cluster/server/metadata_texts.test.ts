import fc from "fast-check";
import { expect, it } from "vitest";
import { MetadataRun } from "../../../cluster/server/metadata_texts.ts";

const inside = ['"name":"a"', '"name":"b"'];
const expected = (changed: string) => inside.map((each) => `{${each}${changed}}`).join(",");

it("writes what changes behind what does not, however many texts there were before and are asked for again", () => {
  const run = new MetadataRun(0, inside);
  const other = new MetadataRun(1, ['"name":"c"']);
  for (let i = 0; i < 5_000; i++) {
    const changed = `,"effectiveTime":"${i % 3 === 0 ? i : i % 90}"`;
    expect(run.text(changed)).toBe(expected(changed));
    if (i % 100 === 0) expect(other.text(changed)).toBe(`{"name":"c"${changed}}`);
  }
});

it("writes texts of any length, more than are kept of all", () => {
  const runs = [200_000, 1_000_000].map((length) => new MetadataRun(0, ["x".repeat(length)]));
  fc.assert(fc.property(fc.string({ maxLength: 200 }), fc.nat(1), (changed, which) => {
    const text = runs[which]!.text(changed);
    expect(text.endsWith(`x${changed}}`)).toBe(true);
    expect(text.length).toBe([200_000, 1_000_000][which]! + changed.length + 2);
  }));
});
