import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { WindowFeature } from "../../../sdk/define/definitions.ts";
import { type Aggregator, makeStates } from "../../../sdk/window/aggregator.ts";
import { aggregatorOf } from "../../../sdk/window/aggregator_of.ts";
import { type ColumnKind, kindOf } from "../../../sdk/window/columns.ts";
import { windowEdges } from "../../../sdk/window/edges.ts";
import { KeySorter } from "../../../sdk/window/keyed_rows.ts";
import { RowBlocks } from "../../../sdk/window/row_blocks.ts";
import type { SweepPlan } from "../../../sdk/window/sweep.ts";
import { PartSweep, type SweepLimits } from "../../../sdk/window/sweep_parts.ts";
import { Random } from "../../conformance/expr_values.ts";

let folder: string;
let files = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "varve-sweep-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const spillPath = () => join(folder, `spill-${files++}`);

/** A row: its key, time, a number that may be null, a text that may be null, a whole number, its place in the source. */
interface TestRow {
  readonly id: number;
  readonly time: number;
  readonly value: number | null;
  readonly text: string | null;
  readonly whole: bigint;
  readonly position: number;
}

const kinds: readonly ColumnKind[] = ["float64", "values", "int64", "float64"];

function randomRows(random: Random, count: number, idCount: number, span: number, inOrder: boolean): TestRow[] {
  const hot = random.chance(0.3);
  const times = Array.from({ length: count }, () => random.below(span));
  if (inOrder) times.sort((a, b) => a - b);
  return times.map((time, position) => ({
    id: hot && random.chance(0.9) ? 0 : random.below(idCount),
    time,
    value: random.chance(0.1) ? null : random.pick([random.below(1000) / 8, 1e16, -1e16, 0.1]),
    text: random.chance(0.2) ? null : random.pick(["a", "bb", "ccc", "ü"]),
    whole: BigInt(random.below(1000)) - (1n << 62n),
    position,
  }));
}

function blocksOf(rows: readonly TestRow[], idCount: number, memory: number, random: Random): RowBlocks {
  const blocks = new RowBlocks({ firstId: 0, idCount, kinds, memory, spillPath });
  for (let start = 0; start < rows.length;) {
    const some = rows.slice(start, start += 1 + random.below(400));
    const nulls = some.some(({ value }) => value === null)
      ? Uint8Array.from(some, ({ value }) => Number(value === null))
      : undefined;
    blocks.add({
      ids: Int32Array.from(some, ({ id }) => id),
      times: Float64Array.from(some, ({ time }) => time),
      columns: [
        { values: Float64Array.from(some, ({ value }) => value ?? NaN), nulls },
        { values: some.map(({ text }) => text) },
        { values: BigInt64Array.from(some, ({ whole }) => whole) },
        { values: Float64Array.from(some, ({ position }) => position) },
      ],
    });
  }
  return blocks;
}

const inOrder = (rows: readonly TestRow[]) => [...rows].sort((a, b) => a.time - b.time || a.position - b.position);

describe("RowBlocks and KeySorter", () => {
  it("give the rows of each key in order, from memory and from files", () => {
    for (let seed = 1; seed <= 25; seed++) {
      const random = new Random(seed);
      const idCount = random.pick([1, 2, 63, 64, 65, 1000, 5000]);
      const rows = randomRows(random, random.below(5000), idCount, random.pick([10, 100_000]), random.chance(0.5));
      const blocks = blocksOf(rows, idCount, random.pick([0, 100_000, 10_000_000, 1_000_000_000]), random);
      const sorter = new KeySorter(kinds, [3]);
      const found: TestRow[] = [];
      for (let part = 0; part < blocks.partCount; part++) {
        const { firstId, idCount: count, starts, times, columns } = sorter.sort(blocks, part);
        for (let k = 0; k < count; k++) {
          for (let row = starts[k]!; row < starts[k + 1]!; row++) {
            const [value, text, whole, position] = columns.map(({ values, nulls }) =>
              nulls?.[row] ? null : values[row]
            );
            found.push({ id: firstId + k, time: times[row]!, value, text, whole, position } as TestRow);
          }
        }
        blocks.drop(part);
      }
      blocks.close();
      const expected = Array.from({ length: idCount }, (_, id) => inOrder(rows.filter((row) => row.id === id))).flat();
      expect(found, `seed ${seed}`).toEqual(expected);
    }
    expect(readdirSync(folder)).toEqual([]);
  });

  it("take more rows at a time than they deal together, in any order of batches", () => {
    const idCount = 700;
    const count = 100_000;
    const blocks = new RowBlocks({ firstId: 0, idCount, kinds: ["int32"], memory: 100_000_000, spillPath });
    for (const first of [count, 0]) {
      const of = (i: number) => first + i;
      blocks.add({
        ids: Int32Array.from({ length: count }, (_, i) => of(i) % idCount),
        times: Float64Array.from({ length: count }, (_, i) => of(i)),
        columns: [{ values: Int32Array.from({ length: count }, (_, i) => -of(i)) }],
      });
    }
    const sorter = new KeySorter(["int32"]);
    const found: number[] = [];
    for (let part = 0; part < blocks.partCount; part++) {
      const { idCount: ids, starts, times, columns } = sorter.sort(blocks, part);
      for (let row = 0; row < starts[ids]!; row++) {
        if (columns[0]!.values[row] !== -times[row]!) throw new Error(`row ${row} of part ${part} was torn`);
        found.push(times[row]!);
      }
    }
    const expected = Array.from(
      { length: idCount },
      (_, id) => Array.from({ length: Math.ceil((2 * count - id) / idCount) }, (_, i) => id + i * idCount),
    ).flat();
    expect(found).toEqual(expected);
  });

  it("say where rows cannot be kept", () => {
    const blocks = new RowBlocks({
      firstId: 0,
      idCount: 1,
      kinds: [],
      memory: 0,
      spillPath: () => join(folder, "nowhere", "x"),
    });
    const add = () => blocks.add({ ids: new Int32Array(40_000), times: new Float64Array(40_000), columns: [] });
    expect(add).toThrow(/nowhere.*no room.*free space/);
    blocks.close();
  });
});

const features: readonly Pick<WindowFeature, "window">[] = [
  { window: { kind: "time", size: "100us", offset: "0s" } },
  { window: { kind: "time", size: "10ms", offset: "30us" } },
  { window: { kind: "lifetime", offset: "0s" } },
  { window: { kind: "series", size: "20us", step: "20us", from: "80us", to: "0s" } },
];
const edges = windowEdges({
  every: "1us",
  edge: "exact",
  boundary: "inclusive",
  schedule: "1h",
  dataDelay: "0s",
  features,
});

interface TestAggregation {
  readonly aggregator: Aggregator;
  readonly value: number | undefined;
  readonly of: (row: TestRow) => unknown;
}

function aggregations(): TestAggregation[] {
  const make = (name: string, type?: "float64" | "string" | "int64", parameters = {}) =>
    aggregatorOf({ name, function: name, parameters }, type === undefined ? {} : { input: type });
  const value = (row: TestRow) => row.value;
  const text = (row: TestRow) => row.text;
  return [
    { aggregator: make("count"), value: undefined, of: () => undefined },
    { aggregator: make("sum", "float64"), value: 0, of: value },
    { aggregator: make("max", "float64"), value: 0, of: value },
    { aggregator: make("lastN", "string", { n: 3 }), value: 1, of: text },
    { aggregator: make("mean", "int64"), value: 2, of: ({ whole }) => whole },
    { aggregator: make("valueCounts", "string", { k: 3 }), value: 1, of: text },
  ];
}

const kindsOf = (all: readonly TestAggregation[]) =>
  all.flatMap(({ aggregator }) =>
    features.map(({ window }) => window.kind === "series" ? "values" : kindOf(aggregator.result))
  );

function planOf(all: readonly TestAggregation[]): SweepPlan {
  return {
    edges,
    visibleAt: (t) => edges.happenedAt(t),
    aggregations: all.map(({ aggregator, value }, a) => ({
      aggregator,
      leaves: { kind: "rows", ...(value !== undefined && { value }) },
      features: features.map(({ window }, f) => ({
        place: a * features.length + f,
        spans: edges.featureSpans[f]!,
        isSeries: window.kind === "series",
        isKeys: false,
      })),
    })),
  };
}

/** A plain loop over all rows. */
function expectedValue({ aggregator, of }: TestAggregation, rows: readonly TestRow[], lo: number, hi: number): unknown {
  const states = makeStates(aggregator, 1);
  aggregator.clear(states, 0);
  for (const row of rows) {
    if (row.time < lo || row.time >= hi || of(row) === null) continue;
    aggregator.update(states, 0, of(row), row.time, null);
  }
  return aggregator.finalize(states, 0);
}

/** What the sweep answers, by probe: what is seen, then values by aggregation and feature. */
function answers(
  rows: RowBlocks,
  probes: readonly TestRow[],
  idCount: number,
  limits: SweepLimits,
): Map<number, unknown[]> {
  const all = aggregations();
  const found = new Map<number, unknown[]>();
  const probeBlocks = new RowBlocks({ firstId: 0, idCount, kinds: ["int32"], memory: limits.memory, spillPath });
  probeBlocks.add({
    ids: Int32Array.from(probes, ({ id }) => id),
    times: Float64Array.from(probes, ({ time }) => time),
    columns: [{ values: Int32Array.from(probes, (_, i) => i) }],
  });
  const sweep = new PartSweep(planOf(all), kindsOf(all), limits);
  const parts = sweep.run({ blocks: rows, kinds, ties: [3] }, { blocks: probeBlocks, kinds: ["int32"], ties: [] });
  for (const { probes: sorted, count, features: columns, seen } of parts) {
    for (let i = 0; i < count; i++) {
      const values = columns.map((column) => column.nulls?.[i] ? null : column.values[i]);
      found.set(sorted.columns[0]!.values[i] as number, [seen[i], ...values]);
    }
  }
  probeBlocks.close();
  return found;
}

describe("PartSweep", () => {
  it("answers what plain loops do, however little memory it has", { timeout: 240_000 }, () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = new Random(seed);
      const idCount = random.pick([1, 3, 200]);
      const span = random.pick([50, 1000, 50_000]);
      const rows = randomRows(random, random.below(3000), idCount, span, random.chance(0.5));
      const probes = randomRows(random, 1 + random.below(100), idCount, span + 200, false);
      // From one part at a time down to single keys that are swept in pieces.
      const partBytes = random.pick([1_000_000, 100_000, 20_000]);
      const limits: SweepLimits = { memory: random.pick([0, 50_000, 1_000_000]), partBytes, spillPath };
      const blocks = blocksOf(rows, idCount, limits.memory, random);
      const found = answers(blocks, probes, idCount, limits);
      blocks.close();
      const all = aggregations();
      for (const [i, { id, time }] of probes.entries()) {
        const ofKey = inOrder(rows.filter((row) => row.id === id));
        const spans = new Float64Array(2 * edges.spanCount);
        edges.spansAt(time, time + 1, spans);
        const value = (of: TestAggregation, k: number) => expectedValue(of, ofKey, spans[2 * k]!, spans[2 * k + 1]!);
        const isPresent = ofKey.some((row) => row.time <= time);
        const expected = all.flatMap((of) =>
          features.map(({ window }, f) => {
            const values = edges.featureSpans[f]!.map((k) => value(of, k));
            return window.kind === "series" ? values : values[0];
          })
        );
        expect(found.get(i), `seed ${seed}, probe ${i}`).toEqual([isPresent ? time + 1 : NaN, ...expected]);
      }
    }
    expect(readdirSync(folder)).toEqual([]);
  });

  it("refuses to order more rows of one instant than it may hold, where order matters", () => {
    const rows = Array.from({ length: 40_000 }, (_, position): TestRow => ({
      id: 0,
      time: 7,
      value: 1,
      text: "a",
      whole: 1n,
      position,
    }));
    const limits: SweepLimits = { memory: 1_000_000, partBytes: 20_000, spillPath };
    const blocks = blocksOf(rows, 1, 1_000_000, new Random(1));
    expect(() => answers(blocks, [rows[0]!], 1, limits)).toThrow(/40000 rows of one key with one and the same event/);
    blocks.close();
    expect(readdirSync(folder)).toEqual([]);
  });
});
