import { expect, it } from "vitest";
import { fuzz } from "../../fuzz/fuzz.ts";

// `npm run fuzz` asks more, with other seeds.
it.each(["lmdb", "redis"] as const)("answers whatever is asked as described, over %s", async (store) => {
  const report = await fuzz({ store, runs: 1_500, seed: 1 });
  // Requests reach what they are for: a fuzz that only ever sees 400 finds nothing.
  const operations = Object.entries(report).filter(([operation]) => operation !== "post /push");
  expect(operations.length).toBeGreaterThan(8);
  for (const [operation, counts] of operations) {
    const good = (counts["200"] ?? 0) + (counts["202"] ?? 0);
    expect([operation, good > 0]).toEqual([operation, true]);
  }
}, 120_000);
