import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { WindowAnswers } from "../../../sdk/retrieve/window_answers.ts";
import type { Column, ColumnKind } from "../../../sdk/window/columns.ts";
import { Random } from "../../conformance/expr_values.ts";

const folder = mkdtempSync(join(tmpdir(), "varve-answers-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Case {
  readonly name: string;
  readonly kinds: readonly ColumnKind[];
  readonly memory: number;
  readonly spills: boolean;
}

const numbers: readonly ColumnKind[] = ["float64", "int64", "int32", "float32"];
const cases: readonly Case[] = [
  { name: "numbers, with room for all", kinds: numbers, memory: 2 ** 26, spills: false },
  { name: "numbers, some of them in a file", kinds: numbers, memory: 2 ** 20, spills: true },
  { name: "lists among them", kinds: [...numbers, "values"], memory: 2 ** 26, spills: false },
  { name: "lists among them, some in a file", kinds: [...numbers, "values"], memory: 2 ** 20, spills: true },
];
const rows = 150_000;

describe("answers of windows come in the order of the spine", () => {
  for (const { name, kinds, memory, spills } of cases) {
    const seed = Number(process.env["VARVE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    it(`${name} (VARVE_SEED=${seed})`, () => {
      const random = new Random(seed);
      const empty = kinds.map((kind) => kind === "int64" ? 0n : kind === "values" ? [] : null);
      const path = join(folder, `${seed}-${memory}-${kinds.length}`);
      const answers = new WindowAnswers({
        rows,
        kinds,
        empty,
        showsTimes: true,
        memory,
        spillPath: () => path,
      });
      // Every tenth row has no key.
      const order = Array.from({ length: rows }, (_, row) => row).filter(() => !random.chance(0.1));
      for (let i = order.length - 1; i > 0; i--) {
        const j = random.below(i + 1);
        [order[i], order[j]] = [order[j]!, order[i]!];
      }
      const expected = new Map<number, readonly unknown[]>();
      for (let start = 0; start < order.length; start += 40_000) {
        const ids = Int32Array.from(order.slice(start, start + 40_000));
        const times = Float64Array.from(ids, () => random.chance(0.25) ? NaN : random.below(1e6));
        const columns = kinds.map((kind) => columnOf(kind, ids.length, random));
        ids.forEach((row, i) => {
          const time = Number.isNaN(times[i]) ? null : BigInt(times[i]!);
          expected.set(row, [time, ...columns.map(({ values, nulls }) => nulls?.[i] === 1 ? null : values[i])]);
        });
        answers.add({ ids, times, columns });
      }
      expect(existsSync(path)).toBe(spills);
      let row = 0;
      for (const { rowCount, columns } of answers.batches()) {
        for (let i = 0; i < rowCount; i++, row++) {
          const found = columns.map(({ values, isNull }) => isNull(i) ? null : values[i]);
          const wanted = expected.get(row) ?? [null, ...empty];
          if (!found.every((value, c) => Object.is(value, wanted[c]) || isSameList(value, wanted[c]))) {
            expect({ row, found }).toEqual({ row, found: wanted });
          }
        }
      }
      expect(row).toBe(rows);
      answers.close();
      expect(readdirSync(folder)).toEqual([]);
    });
  }
});

function columnOf(kind: ColumnKind, count: number, random: Random): Column {
  const integers = Array.from({ length: count }, () => random.below(2000) - 1000);
  const hasNulls = random.chance(0.5);
  const nulls = hasNulls ? { nulls: Uint8Array.from({ length: count }, () => random.below(2)) } : {};
  switch (kind) {
    case "float64":
      return { values: Float64Array.from(integers), ...nulls };
    case "float32":
      return { values: Float32Array.from(integers), ...nulls };
    case "int32":
      return { values: Int32Array.from(integers), ...nulls };
    case "int64":
      return { values: BigInt64Array.from(integers, BigInt), ...nulls };
    case "values":
      return { values: integers.map((value) => value % 7 === 0 ? null : [value]) };
  }
}

function isSameList(found: unknown, wanted: unknown): boolean {
  return Array.isArray(found) && Array.isArray(wanted) && found.length === wanted.length &&
    found.every((value, i) => Object.is(value, wanted[i]));
}
