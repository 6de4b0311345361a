import { describe, expect, it } from "vitest";
import type { DataType } from "../../../sdk/schema.ts";
import { ByteWriter } from "../../../sdk/storage/byte_writer.ts";
import {
  isNewer,
  readHeader,
  TileBatch,
  tileLayout,
  TileReader,
  type TileValue,
} from "../../../sdk/storage/encoding.ts";
import { appendTiles } from "../../../sdk/storage/encoding_tiles.ts";
import type { SlotColumn } from "../../../sdk/window/aggregator.ts";

const seed = Number(process.env["VARVE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const random = randomNumbers(seed);
const int = (limit: number) => Math.floor(random() * limit);
const pick = <T>(...values: readonly T[]): T => values[int(values.length)]!;

const types: readonly DataType[] = [
  "float64",
  "int32",
  "int64",
  "float32",
  "boolean",
  "date",
  "timestamp",
  "duration",
  "string",
  "binary",
  { list: "int64" },
  { struct: [{ name: "value", type: "string" }, { name: "count", type: "int64" }] },
];

/** How large the values of a column are: each kind of column has its values. */
const numbers: readonly (() => number)[] = [
  () => 0,
  () => 7,
  () => int(256),
  () => int(65_536),
  () => int(2 ** 32) - 2 ** 31,
  () => Math.fround(random()),
  () => random(),
  () => pick(-0, 0, NaN, Infinity, -Infinity, 0.1),
  () => -0,
  () => Number.MAX_SAFE_INTEGER,
];

function valuesOf(type: DataType, count: number): SlotColumn {
  const of = pick(...numbers);
  const whole = () => {
    const value = of();
    return Number.isFinite(value) ? Math.trunc(value) + 0 : 5;
  };
  const big = () => pick(BigInt(whole()), BigInt(whole()), 2n ** 63n - 1n, -(2n ** 63n));
  const bigs = pick(big, () => BigInt(whole()));
  if (type === "float64") return Float64Array.from({ length: count }, of);
  if (type === "int32") return Int32Array.from({ length: count }, () => whole() | 0);
  if (type === "int64") return BigInt64Array.from({ length: count }, bigs);
  const nulls = pick(0, 0.3, 1);
  const value = (): unknown => {
    switch (type) {
      case "float32":
        return Math.fround(of());
      case "boolean":
        return random() < 0.5;
      case "date":
        return int(40_000) - 20_000;
      case "timestamp":
      case "duration":
        return bigs();
      case "string":
        return pick("", "a", "grüße", "x".repeat(300));
      case "binary":
        return Uint8Array.from({ length: int(5) }, () => int(256));
      default:
        return "list" in (type as object)
          ? Array.from({ length: int(4) }, () => pick(null, 1n, -5n))
          : { value: pick("a", null), count: BigInt(int(9)) };
    }
  };
  return Array.from({ length: count }, () => random() < nulls ? null : value());
}

function encoded(layout: ReturnType<typeof tileLayout>, value: TileValue): Uint8Array {
  const writer = new ByteWriter(16);
  // Values do not lie at the start of their buffer.
  writer.at = int(13);
  const start = writer.at;
  appendTiles(writer, layout, value);
  const { bytes, at } = writer;
  return bytes.subarray(start, at);
}

const floats = tileLayout([{ name: "x", type: "float64" }]);
const oneLevel = (places: readonly number[], columns: readonly SlotColumn[]): TileValue => ({
  sequence: 3n,
  unit: 60,
  floor: 0,
  isCut: false,
  levels: [{ count: places.length, places: Float64Array.from(places), columns }],
});

describe("tile values", () => {
  it(`give back every value of every type (seed ${seed})`, () => {
    for (let round = 0; round < 300; round++) {
      const columns = Array.from({ length: 1 + int(5) }, (_, i) => ({ name: `c${i}`, type: pick(...types) }));
      const layout = tileLayout(columns);
      const level = (count: number) => {
        let place = int(1e6) - 5e5;
        const step = pick(1, 3, 400, 1e6, 1e10);
        const places = Float64Array.from({ length: count }, () => place += int(step + 1));
        return { count, places, columns: columns.map(({ type }) => valuesOf(type, count)) };
      };
      const value: TileValue = {
        sequence: BigInt(int(1e9)),
        unit: pick(1, 60_000_000),
        floor: pick(-Infinity, 0, 1e15),
        isCut: random() < 0.5,
        ...(random() < 0.5 && { tail: columns.map(({ type }) => valuesOf(type, 1)) }),
        levels: Array.from({ length: int(4) }, () => level(1 + int(40))),
      };
      const bytes = encoded(layout, value);
      const reader = new TileReader(layout);
      reader.open(bytes);
      expect(readHeader(bytes)).toEqual({ eventTimestamp: 0n, sequence: value.sequence, layout: layout.id });
      expect([reader.unit, reader.floor, reader.isCut, reader.hasTail, reader.levelCount]).toEqual([
        value.unit,
        value.floor,
        value.isCut,
        value.tail !== undefined,
        value.levels.length,
      ]);
      for (const [l, { count, places, columns: wanted }] of value.levels.entries()) {
        expect(Array.from(places, (_, row) => reader.place(l, row))).toEqual([...places]);
        for (let i = 0; i < 5; i++) {
          const place = pick(...places) + pick(-1, 0, 1);
          const first = places.findIndex((each) => each >= place);
          expect(reader.find(l, place)).toBe(first < 0 ? count : first);
        }
        const from = int(count);
        const to = from + 1 + int(count - from);
        for (const [c, column] of wanted.entries()) {
          const into = empty(column, to - from + 2);
          reader.read(l, c, from, to, into, 2);
          expect([...into.slice(2)]).toEqual([...column.slice(from, to)]);
        }
      }
      for (const [c, column] of value.tail?.entries() ?? []) {
        const into = empty(column, 1);
        reader.readTail(c, into, 0);
        expect([...into]).toEqual([...column]);
      }
    }
  });

  it("are small where values are: counts take a byte, equal columns nothing", () => {
    const counts = Float64Array.from({ length: 100 }, (_, i) => 1 + i % 9);
    const sums = Float64Array.from({ length: 100 }, (_, i) => i / 7);
    const layout = tileLayout(["count", "sum", "mean", "rest"].map((name) => ({ name, type: "float64" as const })));
    const places = Array.from({ length: 100 }, (_, i) => 1000 + i);
    const bytes = encoded(layout, oneLevel(places, [counts, sums, sums.slice(), new Float64Array(100)]));
    expect(bytes.length).toBe(36 + 12 + 1 + (1 + 100) + (1 + 800) + 2 + 1);
  });

  it("are ordered by sequence alone", () => {
    const value = (sequence: bigint) => encoded(floats, { ...oneLevel([1], [Float64Array.of(1)]), sequence });
    expect(isNewer(value(4n), value(3n))).toBe(true);
    expect(isNewer(value(3n), value(3n))).toBe(false);
  });

  it("of another layout, or torn, are refused", () => {
    const bytes = encoded(floats, oneLevel([1, 5, 9], [Float64Array.of(0.1, 0.2, 0.3)]));
    const reader = new TileReader(floats);
    expect(() => new TileReader(tileLayout([{ name: "y", type: "float64" }])).open(bytes)).toThrow(/layout wanted/);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => reader.open(bytes.subarray(0, length))).toThrow(/torn/);
    }
    const longer = Buffer.concat([bytes, Buffer.alloc(1)]);
    expect(() => reader.open(longer)).toThrow(/torn/);
  });

  it(`never read outside of their bytes, whatever is in them (seed ${seed})`, () => {
    const columns = [{ name: "a", type: "string" as const }, { name: "b", type: "float64" as const }];
    const layout = tileLayout(columns);
    const good = encoded(layout, oneLevel([1, 2, 5], [["x", null, "yy"], Float64Array.of(1, 300, 1e9)]));
    for (let round = 0; round < 3000; round++) {
      const bytes = Uint8Array.from(good);
      for (let i = 0; i <= int(3); i++) bytes[18 + int(bytes.length - 18)] = int(256);
      const reader = new TileReader(layout);
      try {
        reader.open(bytes);
        const strings: unknown[] = [];
        const count = Math.min(reader.count(0), 1000);
        reader.read(0, 0, 0, count, strings, 0);
        reader.read(0, 1, 0, count, new Float64Array(count), 0);
        expect(reader.find(0, 4)).toBeLessThanOrEqual(reader.count(0));
      } catch (error) {
        expect(error).toMatchObject({ code: "CORRUPT" });
      }
    }
  });

  it("are gathered into batches", () => {
    const batch = new TileBatch(floats);
    expect(batch.take()).toBeUndefined();
    const values = [1, 2].map((x) => oneLevel([x], [Float64Array.of(x)]));
    batch.add(Buffer.from("a"), values[0]!, Infinity);
    expect(batch.take()).not.toHaveProperty("expireAt");
    for (const [i, value] of values.entries()) batch.add(Buffer.from("key").subarray(0, 2 + i), value, 5 + i);
    const taken = batch.take()!;
    expect(Buffer.from(taken.keys).toString()).toBe("kekey");
    expect([...taken.keyOffsets]).toEqual([0, 2, 5]);
    expect([...taken.expireAt!]).toEqual([5, 6]);
    const reader = new TileReader(floats);
    reader.open(taken.values.subarray(taken.valueOffsets[1], taken.valueOffsets[2]));
    expect(reader.place(0, 0)).toBe(2);
    expect(batch.take()).toBeUndefined();
  });
});

function empty(like: SlotColumn, count: number): SlotColumn {
  return Array.isArray(like) ? [] : new (like.constructor as Float64ArrayConstructor)(count);
}

/** Numbers from 0 to 1 that a seed determines. */
function randomNumbers(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
