import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { noPosition } from "../../../sdk/retrieve/latest_sweep.ts";
import { fileFactor } from "../../../sdk/engine/file_rows.ts";
import { byFile, dealByEnd, placeOrder, PlaceSweep } from "../../../sdk/retrieve/place_sweep.ts";

const keyCount = 3;
const fileCount = 4;
const row = fc.record({ id: fc.nat(keyCount - 1), file: fc.nat(fileCount - 1), row: fc.nat(20) }).map((
  { id, file, row },
) => ({ id, position: file * fileFactor + row }));
const rows = fc.uniqueArray(row, { selector: ({ position }) => position, maxLength: 50 });
const probe = fc.record({ id: fc.nat(keyCount - 1), end: fc.nat(fileCount) });

describe("PlaceSweep", () => {
  it("finds the last row of a key in the files that a probe sees, however threads mix the rows of a batch of files", () => {
    fc.assert(
      fc.property(rows, fc.array(probe, { maxLength: 30 }), fc.integer({ min: 1, max: 9 }), (given, asked, size) => {
        const probes = dealByEnd({
          ids: Int32Array.from(asked, ({ id }) => id),
          ends: Int32Array.from(asked, ({ end }) => end),
          rows: Int32Array.from(asked.keys()),
        }, fileCount);
        const batches = [];
        for (let at = 0; at < given.length; at += size) {
          const part = given.slice(at, at + size);
          batches.push({
            ids: Int32Array.from(part, ({ id }) => id),
            positions: Float64Array.from(part, ({ position }) => position),
          });
        }
        const sweep = new PlaceSweep(probes, keyCount);
        for (const { ids, positions } of byFile(batches)) sweep.add(ids, positions);
        const found = sweep.finish();
        expect([...probes.rows].sort((a, b) => a - b)).toEqual([...asked.keys()]);
        for (const [i, question] of probes.rows.entries()) {
          const { id, end } = asked[question]!;
          const seen = given.filter((item) => item.id === id && item.position < end * fileFactor).map(({ position }) =>
            position
          );
          expect(found[i]).toBe(Math.max(noPosition, ...seen));
        }
      }),
      { numRuns: process.env["VARVE_DEEP"] ? 100_000 : 1_000 },
    );
  });
});

describe("placeOrder()", () => {
  const slice = (start: bigint, end: bigint) => ({ rows: 1, slice: { start, end } });

  it("orders files by slice and says how many a cutoff sees, also over gaps and before 1970", () => {
    const order = placeOrder([slice(20n, 30n), slice(-20n, -10n), slice(20n, 30n)], 10n)!;
    expect(order.files.map((file) => file.slice!.start)).toEqual([-20n, 20n, 20n]);
    expect(order.bounds).toEqual({ min: -20n, max: 29n });
    expect([-11, 19, 29].map((cutoff) => order.filesBy(cutoff + 20))).toEqual([1, 1, 3]);
  });

  it("is none where slices are not whole intervals, or are not known", () => {
    expect(placeOrder([slice(0n, 20n)], 10n)).toBeUndefined();
    expect(placeOrder([slice(5n, 15n)], 10n)).toBeUndefined();
    expect(placeOrder([{ rows: 1 }], 10n)).toBeUndefined();
    expect(placeOrder([slice(0n, 10n)], undefined)).toBeUndefined();
    expect(placeOrder([slice(0n, 1n), slice(10_000_001n, 10_000_002n)], 1n)).toBeUndefined();
  });
});
