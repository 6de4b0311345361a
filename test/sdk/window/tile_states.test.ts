import { describe, expect, it } from "vitest";
import type { ColumnBatch, ColumnVector } from "../../../sdk/engine/engine.ts";
import type { Aggregator } from "../../../sdk/window/aggregator.ts";
import { aggregatorOf } from "../../../sdk/window/aggregator_of.ts";
import { type TileBlock, TileError, type TilePlan, TileStates } from "../../../sdk/window/tile_states.ts";

const input = { kind: "column", name: "v" } as const;
const count = aggregatorOf({ name: "n", function: "count" }, {});
const last = aggregatorOf({ name: "l", function: "last", input }, { input: "int32" });
const plan: TilePlan = {
  every: 10,
  id: 0,
  time: 1,
  written: 2,
  aggregations: [{ aggregator: count }, { aggregator: last, value: 3 }],
};

type Row = readonly [id: number, time: number, written: bigint | null, value: number | null];

function batchOf(rows: readonly Row[]): ColumnBatch {
  const column = (values: ColumnVector["values"], k: number): ColumnVector => ({
    values,
    hasNulls: rows.some((row) => row[k] === null),
    isNull: (i) => rows[i]![k] === null,
  });
  return {
    rowCount: rows.length,
    columns: [
      column(Int32Array.from(rows, (row) => row[0]), 0),
      column(Float64Array.from(rows, (row) => row[1]), 1),
      column(BigInt64Array.from(rows, (row) => row[2] ?? 0n), 2),
      column(Int32Array.from(rows, (row) => row[3] ?? 0), 3),
    ],
  };
}

type Seen = readonly [id: number, start: number, count: bigint, last: number | null, written: bigint | null];

/** The tiles of a block, read before the next one is made; a cut is "|". */
function seen({ count: tiles, ids, starts, written, states, endsPart }: TileBlock): (Seen | "|")[] {
  const rows = Array.from({ length: tiles }, (_, i): Seen => [
    ids[i]!,
    starts[i]!,
    count.finalize(states[0]!, i) as bigint,
    last.finalize(states[1]!, i) as number | null,
    written!.isNull(i) ? null : written!.values[i] as bigint,
  ]);
  return endsPart ? [...rows, "|"] : rows;
}

function all(blocks: Iterable<TileBlock>): (Seen | "|")[] {
  const found: (Seen | "|")[] = [];
  for (const block of blocks) found.push(...seen(block));
  return found;
}

const rows: Row[] = [
  [0, -1, 5n, 1],
  [0, 0, null, 2],
  [0, 9, -(2n ** 40n), null],
  [0, 9, -(2n ** 40n) - 1n, 3],
  [0, 10, 253_402_300_799_999_999n, 4],
  [0, 10, 253_402_300_799_999_998n, 5],
  [3, 10, -1n, 6],
  [3, 10, -4_294_967_297n, null],
  [4, 35, null, null],
];
const tiles: Seen[] = [
  [0, -10, 1n, 1, 5n],
  [0, 0, 3n, 3, -(2n ** 40n)],
  [0, 10, 2n, 5, 253_402_300_799_999_999n],
  [3, 10, 2n, 6, -1n],
  [4, 30, 1n, null, null],
];

describe("TileStates", () => {
  it("gives one tile per key and interval that has rows, however rows are cut into batches and tiles into blocks", () => {
    for (const size of [1, 2, 3, 4096]) {
      for (const step of [1, 2, 4, rows.length]) {
        const states = new TileStates(plan, size);
        const found: (Seen | "|")[] = [];
        const blocks: number[] = [];
        const take = (block: TileBlock) => {
          blocks.push(block.count);
          found.push(...seen(block));
        };
        for (let from = 0; from < rows.length; from += step) {
          for (const block of states.add(batchOf(rows.slice(from, from + step)))) take(block);
        }
        for (const block of states.finish()) take(block);
        expect(found).toEqual(tiles);
        expect(Math.max(...blocks)).toBeLessThanOrEqual(size);
      }
    }
  });

  it("cuts where keys end, and once", () => {
    const states = new TileStates(plan);
    states.cut();
    expect(all(states.add(batchOf(rows)))).toEqual([tiles[0], tiles[1], tiles[2], "|"]);
    expect(all(states.finish())).toEqual([tiles[3], tiles[4]]);
    states.cut();
    expect([...states.finish()]).toEqual([]);
  });

  it("says at which row an aggregator failed, also when it packs", () => {
    const failing = (more: Partial<Aggregator>): TilePlan => ({
      every: 10,
      id: 0,
      time: 1,
      aggregations: [{ aggregator: count }, { aggregator: { ...last, ...more }, value: 3 }],
    });
    const fail = (condition: boolean): void => {
      if (condition) throw new RangeError("too much");
    };
    const update = new TileStates(failing({ update: (_states, _i, value) => fail(value === 6) }));
    const place = { aggregation: 1, id: 3, time: 10, cause: new RangeError("too much") };
    expect(() => [...update.add(batchOf(rows))]).toThrow(expect.objectContaining(place) as TileError);
    const pack = new TileStates(failing({ pack: (_states, i) => fail(i === 3) }));
    expect([...pack.add(batchOf(rows))]).toEqual([]);
    expect(() => [...pack.finish()]).toThrow(expect.objectContaining(place) as TileError);
  });

  it("tells grouped aggregators of every row", () => {
    const told: unknown[] = [];
    const grouped: Aggregator = {
      ...last,
      grouped: { keys: () => [] },
      update: (_states, _i, value, _time, by, key) => void told.push([value, by, key]),
    };
    const states = new TileStates({
      every: 10,
      id: 0,
      time: 1,
      key: 3,
      aggregations: [{ aggregator: grouped, value: 2 }],
    });
    const keyed: Row[] = [[0, 0, null, 7], [0, 1, 8n, 9]];
    expect([...states.add(batchOf(keyed))]).toEqual([]);
    expect(told).toEqual([[null, null, 7], [8n, null, 9]]);
  });
});
