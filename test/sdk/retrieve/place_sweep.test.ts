import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { noPosition } from "../../../sdk/retrieve/latest_sweep.ts";
import { fileFactor } from "../../../sdk/engine/file_rows.ts";
import { byFile, placeOrder, PlaceSweep } from "../../../sdk/retrieve/place_sweep.ts";

const keyCount = 3;
const fileCount = 4;
interface Item {
  readonly id: number;
  readonly file: number;
  readonly row: number;
}

const row = fc.record({
  id: fc.nat(keyCount - 1),
  file: fc.nat(fileCount - 1),
  row: fc.oneof(fc.nat(20), fc.integer({ min: 2 ** 23 - 20, max: 2 ** 23 - 1 })),
});
const rows = fc.uniqueArray(row, { selector: positionOf, maxLength: 50, size: "max" });
const probe = fc.record({ id: fc.nat(keyCount - 1), end: fc.nat(fileCount) });

function positionOf({ file, row }: Item): number {
  return file * fileFactor + row;
}

/** As SQL packs it. */
function packedRow({ id, file, row }: Item, firstFile: number): bigint {
  return (BigInt(id) << 32n) + (BigInt(file - firstFile) << 23n) + BigInt(row);
}

describe("PlaceSweep", () => {
  it("finds the last row of a key in the files that a probe sees, however threads mix the rows of a batch of files", () => {
    fc.assert(
      fc.property(
        rows,
        fc.array(probe, { maxLength: 30, size: "max" }),
        fc.integer({ min: 1, max: fileCount }),
        (given, asked, size) => {
          const probes = {
            ids: Int32Array.from(asked, ({ id }) => id),
            ends: Int32Array.from(asked, ({ end }) => end),
            rows: Int32Array.from(asked, (_, i) => asked.length - 1 - i),
          };
          const answers = new Float64Array(asked.length).fill(noPosition);
          const sweep = new PlaceSweep(probes, keyCount, fileCount, answers);
          // Files are read a few at a time.
          for (let first = 0; first < fileCount; first += size) {
            const part = given.filter(({ file }) => file >= first && file < first + size);
            const packed = BigInt64Array.from(part, (item) => packedRow(item, first));
            for (const run of byFile(packed, first)) sweep.add(run);
          }
          sweep.finish();
          for (const [i, { id, end }] of asked.entries()) {
            const seen = given.filter((item) => item.id === id && item.file < end).map(positionOf);
            expect(answers[asked.length - 1 - i]).toBe(Math.max(noPosition, ...seen));
          }
        },
      ),
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
    expect([...order.ended]).toEqual([1, 1, 1, 1, 3]);
  });

  it("is none where slices are not whole intervals, or are not known", () => {
    expect(placeOrder([slice(0n, 20n)], 10n)).toBeUndefined();
    expect(placeOrder([slice(5n, 15n)], 10n)).toBeUndefined();
    expect(placeOrder([{ rows: 1 }], 10n)).toBeUndefined();
    expect(placeOrder([slice(0n, 10n)], undefined)).toBeUndefined();
    expect(placeOrder([slice(0n, 1n), slice(10_000_001n, 10_000_002n)], 1n)).toBeUndefined();
  });
});
