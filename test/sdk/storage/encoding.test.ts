import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ColumnBatch, ColumnVector } from "../../../sdk/engine/engine.ts";
import { VarveError } from "../../../sdk/errors.ts";
import type { DataType, Field } from "../../../sdk/schema.ts";
import {
  encodeKey,
  encodeKeys,
  isNewer,
  maxKeyBytes,
  packBatch,
  packed,
  readHeader,
  rowLayout,
} from "../../../sdk/storage/encoding.ts";
import { Timestamp } from "../../../sdk/time.ts";

const hex = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString("hex");
const key = (types: readonly DataType[], values: readonly unknown[]) =>
  hex(encodeKey(types.map((type, i) => ({ name: `k${i}`, type })), values));

describe("encodeKey()", () => {
  test("composes by structure, so that joined texts cannot meet (S8)", () => {
    const pair = ["string", "string"] as const;
    expect(key(pair, ["a", "bc"])).not.toBe(key(pair, ["ab", "c"]));
    expect(key(["int64", "int64"], [1, 12])).not.toBe(key(["int64", "int64"], [11, 2]));
    expect(key(pair, ["", "a"])).not.toBe(key(pair, ["a", ""]));
  });

  test("is null when any join key is null or undefined (S7)", () => {
    expect(key(["string", "int64"], ["a", null])).toBeNull();
    expect(key(["string", "int64"], [undefined, 1])).toBeNull();
  });

  test("encodes equal values of accepted forms equal", () => {
    for (
      const value of [0n, 1n, -1n, 255n, -129n, 2n ** 31n, -(2n ** 31n), 2n ** 40n + 7n, -(2n ** 50n), 2n ** 53n - 1n]
    ) {
      expect(key(["int64"], [Number(value)])).toBe(key(["int64"], [value]));
      expect(key(["int64"], [`${value}`])).toBe(key(["int64"], [value]));
    }
    expect(key(["int64"], [-0])).toBe(key(["int64"], [0n]));
    expect(key(["date"], ["2001-03-31"])).toBe(key(["date"], [11412]));
    expect(key(["date"], [new Date("2001-03-31T00:00Z")])).toBe(key(["date"], [11412]));
    expect(key(["int32"], [7n])).toBe(key(["int32"], [7]));
    expect(key(["int32"], ["-2147483648"])).toBe(key(["int32"], [-2147483648]));
    expect(key(["int32"], ["-0"])).toBe(key(["int32"], [0]));
  });

  test("gives different keys for different values of every type", () => {
    const scalar = fc.oneof(
      fc.record({
        type: fc.constant("int64" as DataType),
        value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      }),
      fc.record({ type: fc.constant("int64" as DataType), value: fc.bigInt({ min: -300n, max: 300n }) }),
      fc.record({ type: fc.constant("string" as DataType), value: fc.string({ unit: "binary", maxLength: 300 }) }),
      fc.record({ type: fc.constant("boolean" as DataType), value: fc.boolean() }),
      fc.record({ type: fc.constant("date" as DataType), value: fc.integer({ min: -40_000, max: 40_000 }) }),
    );
    const parts = fc.array(scalar, { minLength: 1, maxLength: 4 });
    const encode = (list: readonly { type: DataType; value: unknown }[]) =>
      key(list.map((p) => p.type), list.map((p) => p.value));
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const text = (list: typeof a) =>
          list.map((p) => `${String(p.type)}:${typeof p.value}:${String(p.value)}`).join("\u{10FFFF}|");
        expect(encode(a) === encode(b)).toBe(text(a) === text(b));
      }),
      { numRuns: 300 },
    );
    const seen = new Map<string, bigint>();
    for (const exponent of [0n, 7n, 8n, 15n, 16n, 23n, 24n, 31n, 32n, 39n, 40n, 47n, 55n, 62n]) {
      for (const near of [-1n, 0n, 1n]) {
        for (const sign of [1n, -1n]) {
          const value = sign * 2n ** exponent + near;
          const encoded = key(["int64"], [value])!;
          expect(seen.get(encoded) ?? value, `2^${exponent}`).toBe(value);
          seen.set(encoded, value);
        }
      }
    }
  });

  test("bounds keys of long texts and many parts, and keeps them apart", () => {
    const long = "x".repeat(100_000);
    expect(encodeKey([{ name: "k", type: "string" }], [long])!.length).toBe(33);
    expect(key(["string"], [long])).not.toBe(key(["string"], [`${long}y`]));
    const eight = Array.from({ length: 8 }, (_, i) => ({ name: `k${i}`, type: "string" as const }));
    const values = eight.map((_, i) => "y".repeat(250) + i);
    expect(encodeKey(eight, values)!.length).toBeLessThanOrEqual(maxKeyBytes);
    expect(hex(encodeKey(eight, values))).not.toBe(hex(encodeKey(eight, values.toReversed())));
    for (const length of [126, 127, 255, 256]) {
      expect(key(["string", "string"], ["a".repeat(length), "b"])).not.toBe(
        key(["string", "string"], ["a".repeat(length - 1), "ab"]),
      );
    }
  });

  test("refuses values of the wrong type and names the key", () => {
    const wrong: [DataType, unknown][] = [
      ["int64", 1.5],
      ["int64", "1.5"],
      ["int64", 2n ** 63n],
      ["int64", "x"],
      ["int64", true],
      ["int32", 2 ** 31],
      ["int32", "2147483648"],
      ["int32", "1e3"],
      ["string", 1],
      ["string", "\ud800"],
      ["boolean", 1],
      ["date", "2001-02-30"],
      ["date", "yesterday"],
      ["float64", 1],
      ["int64", {}],
    ];
    for (const [type, value] of wrong) {
      expect(() => key([type], [value]), `${String(type)} ${String(value)}`).toThrow(expect.objectContaining({
        code: "INVALID_REQUEST",
        message: expect.stringContaining('join key "k0"'),
      }));
    }
    expect(() => key(["string", "string"], ["a"])).toThrow(VarveError);
  });
});

const vector = (values: ColumnVector["values"], nulls: readonly number[] = []): ColumnVector => ({
  values,
  hasNulls: nulls.length > 0,
  isNull: (row) => nulls.includes(row),
});

describe("encodeKeys()", () => {
  test("gives for vectors what encodeKey() gives for values", () => {
    const ids = [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 70_000n, -70_000n, 2n ** 40n];
    const fields: Field[] = [{ name: "id", type: "int64" }, { name: "d", type: "date" }, { name: "n", type: "string" }];
    const days = Int32Array.from([0, 1, -1, 300, -300, 70_000, 2 ** 30, -5]);
    const names = ["", "a", "ü", "😀", "x".repeat(127), "y".repeat(300), "z".repeat(254), "w"];
    const { bytes, offsets } = encodeKeys(
      fields,
      [vector(BigInt64Array.from(ids)), vector(days), vector(names, [7])],
      8,
    );
    for (let i = 0; i < 7; i++) {
      expect(hex(bytes.subarray(offsets[i], offsets[i + 1]))).toBe(hex(encodeKey(fields, [ids[i], days[i], names[i]])));
    }
    expect(offsets[8]).toBe(offsets[7]);
  });
});

const scalarArbitraries: Record<string, fc.Arbitrary<unknown>> = {
  string: fc.oneof(fc.string({ unit: "grapheme" }), fc.constant(""), fc.constant("\0é😀")),
  boolean: fc.boolean(),
  int32: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  int64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  float32: fc.float(),
  float64: fc.oneof(fc.double(), fc.constant(-0), fc.constant(NaN), fc.constant(Infinity)),
  date: fc.integer({ min: -700_000, max: 2_900_000 }),
  timestamp: fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n }),
  duration: fc.bigInt({ min: -(2n ** 60n), max: 2n ** 60n }),
  binary: fc.uint8Array({ maxLength: 40 }),
};

const typeArbitrary: fc.Arbitrary<DataType> = fc.letrec<{ type: DataType }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    fc.constantFrom(...Object.keys(scalarArbitraries)) as fc.Arbitrary<DataType>,
    tie("type").map((list) => ({ list })),
    fc.array(tie("type"), { minLength: 1, maxLength: 3 }).map((types) => ({
      struct: types.map((type, i) => ({ name: `f${i}`, type })),
    })),
  ),
})).type;

function valueArbitrary(type: DataType): fc.Arbitrary<unknown> {
  const some = typeof type === "string"
    ? scalarArbitraries[type]!
    : "list" in type
    ? fc.array(valueArbitrary(type.list), { maxLength: 10 })
    : fc.record(Object.fromEntries(type.struct.map((field) => [field.name, valueArbitrary(field.type)])), {
      noNullPrototype: true,
    });
  return fc.option(some, { nil: null, freq: 4 });
}

const rowArbitrary = fc.array(typeArbitrary, { minLength: 0, maxLength: 12 }).chain((types) =>
  fc.record({
    types: fc.constant(types),
    values: fc.tuple(...types.map(valueArbitrary)),
    eventTimestamp: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
    sequence: fc.bigInt({ min: 0n, max: 2n ** 53n }),
  })
);

const layoutOf = (types: readonly DataType[]) => rowLayout(types.map((type, i) => ({ name: `c${i}`, type })));

describe("rowLayout()", () => {
  test("decodes what it encoded, for every type", () => {
    fc.assert(
      fc.property(rowArbitrary, ({ types, values, eventTimestamp, sequence }) => {
        const layout = layoutOf(types);
        const bytes = layout.encode({ eventTimestamp, sequence }, values);
        expect(layout.decode(bytes)).toStrictEqual(values);
        expect(readHeader(bytes)).toEqual({ eventTimestamp, sequence, layout: layout.id });
      }),
      { numRuns: 400 },
    );
  });

  test("keeps -0, NaN, empty texts and int64 extremes", () => {
    const layout = layoutOf(["float64", "float64", "string", "int64", "int64", { list: "string" }]);
    const values = [-0, NaN, "", 2n ** 63n - 1n, -(2n ** 63n), ["", null, "é"]];
    expect(layout.decode(layout.encode({ eventTimestamp: 0n, sequence: 0n }, values))).toStrictEqual(values);
  });

  test("takes user form and gives it back", () => {
    const layout = layoutOf(["timestamp", "date", { list: "timestamp" }, {
      struct: [{ name: "__proto__", type: "date" }],
    }]);
    const struct = Object.fromEntries([["__proto__", "2000-02-29"]]);
    const values = [new Timestamp(5n), "2000-02-29", [new Timestamp(-7n), null], struct];
    const bytes = layout.encode({ eventTimestamp: 0n, sequence: 0n }, values);
    expect(layout.decodeUser(bytes)).toStrictEqual(values);
    expect(layout.decode(bytes).slice(0, 3)).toStrictEqual([5n, 11016, [-7n, null]]);
  });

  test("keeps every fixed slot at one place, whatever the values", () => {
    const layout = layoutOf(["string", "float64", { list: "int32" }, "int32"]);
    const bytes = layout.encode({ eventTimestamp: 0n, sequence: 0n }, ["a long text", 1.5, [1, 2, 3], 42]);
    expect(Buffer.from(bytes).readDoubleLE(layout.run.slots[1]!)).toBe(1.5);
    expect(Buffer.from(bytes).readInt32LE(layout.run.slots[3]!)).toBe(42);
  });

  test("refuses values of another layout and torn values", () => {
    const layout = layoutOf(["string", { list: "string" }]);
    const bytes = layout.encode({ eventTimestamp: 0n, sequence: 0n }, ["abc", ["d", "ef"]]);
    expect(() => layoutOf(["string"]).decode(bytes)).toThrow(expect.objectContaining({ code: "CORRUPT" }));
    for (let length = 0; length < bytes.length; length++) {
      expect(() => layout.decode(bytes.subarray(0, length)), `${length}`).toThrow(
        expect.objectContaining({ code: "CORRUPT" }),
      );
    }
  });

  test("refuses a value that is not of the type", () => {
    expect(() => layoutOf(["int32"]).encode({ eventTimestamp: 0n, sequence: 0n }, [1.5])).toThrow(
      /Cannot encode 1.5: it is not of type int32/,
    );
    expect(() => layoutOf(["boolean"]).encode({ eventTimestamp: 0n, sequence: 0n }, ["yes"])).toThrow(VarveError);
  });

  test("has another hash for other names, types or order", () => {
    const hashes = [
      [{ name: "a", type: "int32" }, { name: "b", type: "int64" }],
      [{ name: "b", type: "int64" }, { name: "a", type: "int32" }],
      [{ name: "a", type: "int64" }, { name: "b", type: "int64" }],
      [{ name: "a", type: "int32" }, { name: "c", type: "int64" }],
    ].map((fields) => rowLayout(fields as Field[]).hash);
    expect(new Set(hashes).size).toBe(4);
  });
});

describe("isNewer()", () => {
  test("orders by event time, then sequence, before 1970 too", () => {
    const layout = layoutOf([]);
    const header = fc.record({ eventTimestamp: fc.bigInt(-5n, 5n), sequence: fc.bigInt(0n, 3n) });
    fc.assert(fc.property(header, header, (a, b) => {
      const newer = a.eventTimestamp > b.eventTimestamp ||
        (a.eventTimestamp === b.eventTimestamp && a.sequence > b.sequence);
      expect(isNewer(layout.encode(a, []), layout.encode(b, []))).toBe(newer);
    }));
  });
});

function columnOf(type: DataType, values: readonly unknown[]): ColumnVector {
  const isNull = (row: number) => values[row] === null;
  const hasNulls = values.some((value) => value === null);
  // Null places of a real vector hold anything at all.
  const numbers = values.map((value) => value ?? 99);
  const bigints = values.map((value) => value ?? 99n);
  const typed = type === "float64"
    ? Float64Array.from(numbers as number[])
    : type === "float32"
    ? Float32Array.from(numbers as number[])
    : type === "int32" || type === "date"
    ? Int32Array.from(numbers as number[])
    : type === "int64" || type === "timestamp" || type === "duration"
    ? BigInt64Array.from(bigints as bigint[])
    : values;
  return { values: typed, isNull, hasNulls };
}

describe("packBatch()", () => {
  test("gives for vectors what encodeKey() and encode() give for rows, and leaves out rows without key or time", () => {
    const table = fc.array(typeArbitrary, { maxLength: 5 }).chain((types) =>
      fc.record({
        types: fc.constant(types),
        rows: fc.array(
          fc.tuple(
            fc.option(fc.bigInt({ min: -1000n, max: 1000n }), { nil: null, freq: 5 }),
            fc.option(fc.bigInt({ min: -(2n ** 52n), max: 2n ** 52n }), { nil: null, freq: 8 }),
            ...types.map(valueArbitrary),
          ),
          { maxLength: 20 },
        ),
      })
    );
    fc.assert(
      fc.property(table, ({ types, rows }) => {
        const layout = layoutOf(types);
        const joinKeys: Field[] = [{ name: "id", type: "int64" }];
        const allTypes: DataType[] = ["int64", "timestamp", ...types];
        const batch: ColumnBatch = {
          rowCount: rows.length,
          columns: allTypes.map((type, c) => columnOf(type, rows.map((row) => row[c]))),
        };
        const columns = { joinKeys: [0], eventTimestamp: 1, features: types.map((_, i) => i + 2) };
        const out = packBatch({ joinKeys, layout, columns, ttl: 1_000_000n }, batch, 2n ** 40n + 3n);
        const wanted = rows.filter((row) => row[0] !== null && row[1] !== null);
        expect(out.count).toBe(wanted.length);
        wanted.forEach((row, i) => {
          const eventTimestamp = row[1] as bigint;
          expect(hex(out.keys.subarray(out.keyOffsets[i], out.keyOffsets[i + 1]))).toBe(
            hex(encodeKey(joinKeys, [row[0]])),
          );
          expect(hex(out.values.subarray(out.valueOffsets[i], out.valueOffsets[i + 1])))
            .toBe(hex(layout.encode({ eventTimestamp, sequence: 2n ** 40n + 3n }, row.slice(2))));
          expect(Math.abs(out.expireAt![i]! - (Number(eventTimestamp) / 1000 + 1000))).toBeLessThanOrEqual(1.01);
        });
      }),
      { numRuns: 200 },
    );
  });
});

describe("packed()", () => {
  test("joins separate keys and values, and gives a packed batch back", () => {
    const batch = packed({
      keys: [Buffer.from("a"), Buffer.from("bc")],
      values: [Buffer.from("v"), Buffer.from("")],
      expireAt: [undefined, 1500n],
    });
    expect([...batch.keyOffsets]).toEqual([0, 1, 3]);
    expect([...batch.valueOffsets]).toEqual([0, 1, 1]);
    expect([...batch.expireAt!]).toEqual([Infinity, 2]);
    expect(packed(batch)).toBe(batch);
    expect(packed({ keys: [], values: [] }).count).toBe(0);
  });
});
