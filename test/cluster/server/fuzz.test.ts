import { expect, it } from "vitest";
import { fuzz } from "../../fuzz/fuzz.ts";

// `npm run fuzz` asks more, with other seeds.
it("answers whatever is asked as described, over LMDB", async () => {
  const report = await fuzz({ store: "lmdb", runs: 1_500, seed: 1 });
  // Requests reach what they are for: a fuzz that only ever sees 400 finds nothing.
  const operations = Object.entries(report).filter(([operation]) => operation !== "post /push");
  expect(operations.length).toBeGreaterThan(8);
  for (const [operation, counts] of operations) {
    const good = (counts["200"] ?? 0) + (counts["202"] ?? 0);
    expect([operation, good > 0]).toEqual([operation, true]);
  }
});

it("answers whatever is asked as described, over Redis", async () => {
  expect(Object.keys(await fuzz({ store: "redis", runs: 400, seed: 2 })).length).toBeGreaterThan(8);
});
