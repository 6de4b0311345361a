import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LatestSweep, noPosition } from "../../../sdk/retrieve/latest_sweep.ts";

const keyCount = 4;
const probe = fc.record({ id: fc.nat(keyCount - 1), cutoff: fc.nat(20) });
const rows = fc.uniqueArray(fc.record({ id: fc.nat(keyCount - 1), time: fc.nat(20) }), {
  selector: ({ id, time }) => id * 100 + time,
  maxLength: 60,
  size: "max",
});

describe("LatestSweep", () => {
  it("finds the newest row at or before each cutoff, in whatever order and batches rows come", () => {
    fc.assert(
      fc.property(
        fc.array(probe, { maxLength: 40, size: "max" }),
        rows,
        fc.integer({ min: 1, max: 10 }),
        fc.boolean(),
        (unsorted, given, batch, exact) => {
          const probes = [...unsorted].sort((a, b) => a.id - b.id || a.cutoff - b.cutoff);
          const times = (values: number[]) =>
            exact ? Float64Array.from(values) : BigInt64Array.from(values.map(BigInt));
          const sweep = new LatestSweep({
            ids: Int32Array.from(probes.map(({ id }) => id)),
            cutoffs: times(probes.map(({ cutoff }) => cutoff)),
            keyCount,
          });
          for (let at = 0; at < given.length; at += batch) {
            const part = given.slice(at, at + batch);
            sweep.add(
              Int32Array.from(part.map(({ id }) => id)),
              times(part.map(({ time }) => time)),
              Float64Array.from(part, (_, i) => at + i),
            );
          }
          const expected = probes.map(({ id, cutoff }) => {
            const seen = given.filter((row) => row.id === id && row.time <= cutoff).sort((a, b) => a.time - b.time);
            return seen.length === 0 ? noPosition : given.indexOf(seen.at(-1)!);
          });
          expect([...sweep.finish()]).toEqual(expected);
        },
      ),
      { numRuns: process.env["VARVE_DEEP"] ? 100_000 : 1_000 },
    );
  });
});
