import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { checkDeterministic, sampleRows } from "../../../sdk/sandbox/check_deterministic.ts";
import { parentCodec } from "../../../sdk/sandbox/parent_codec.ts";
import { FunctionRunner } from "../../../sdk/sandbox/runner.ts";
import { InProcessRunner } from "../../../sdk/sandbox/in_process.ts";
import { type DataType, type Row, scalarTypes, type Schema, schemaFrom } from "../../../sdk/schema.ts";
import { Timestamp, timestampLimits } from "../../../sdk/time.ts";
import { failure, published, unchecked } from "./rig.ts";

const runner = new FunctionRunner({ maxProcesses: 4 });
const inProcess = new InProcessRunner();
afterAll(() => runner.close());

const same = { ...unchecked("(row) => row", "same") };

const types = fc.letrec<{ type: DataType }>((tie) => ({
  type: fc.oneof(
    { depthSize: "small", maxDepth: 3 },
    fc.constantFrom<DataType>(...scalarTypes),
    tie("type").map((list) => ({ list })),
    fc.uniqueArray(tie("type"), { maxLength: 3 }).map((parts) => ({
      struct: parts.map((type, at) => ({ name: ["a", "b c", "\u00fc"][at]!, type })),
    })),
  ),
})).type;

function values(type: DataType): fc.Arbitrary<unknown> {
  return fc.option(present(type), { freq: 5 });
}

function present(type: DataType): fc.Arbitrary<unknown> {
  if (typeof type === "object") {
    if ("list" in type) return fc.array(values(type.list), { maxLength: 4 });
    return fc.record(Object.fromEntries(type.struct.map((part) => [part.name, values(part.type)])), {
      noNullPrototype: true,
    });
  }
  const int64 = fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n);
  switch (type) {
    case "string":
      return fc.oneof(
        fc.string({ unit: "binary" }),
        fc.constantFrom("\ud800", "\udc00x", "\u0000", "\ufeff", "\u2028", '"\\'),
      );
    case "boolean":
      return fc.boolean();
    case "int32":
      return fc.integer();
    case "int64":
    case "duration":
      return int64;
    case "float32":
      return fc.float();
    case "float64":
      return fc.oneof(fc.double(), fc.constantFrom(-0, NaN, Infinity, -Infinity, 5e-324));
    case "date":
      return fc.integer({ min: -719_162, max: 2_932_896 }).map((day) =>
        new Date(day * 86_400_000).toISOString().slice(0, 10)
      );
    case "timestamp":
      return fc.bigInt(timestampLimits.min, timestampLimits.max).map((micros) => new Timestamp(micros));
    case "binary":
      return fc.uint8Array({ maxLength: 20 });
  }
}

const tables = fc.uniqueArray(types, { minLength: 1, maxLength: 4 }).chain((list) => {
  const schema: Schema = list.map((type, at) => ({ name: `f${at}`, type }));
  const row = fc.record(Object.fromEntries(schema.map(({ name, type }) => [name, values(type)])), {
    noNullPrototype: true,
  });
  return fc.tuple(fc.constant(schema), fc.array(row, { minLength: 1, maxLength: 12 }));
});

describe("values", () => {
  it("cross the process as they were, whatever their type", () =>
    fc.assert(
      fc.asyncProperty(tables, async ([schema, rows]) => {
        const fn = { ...same, input: schema, output: schema };
        expect(await runner.run(fn, rows as Row[])).toStrictEqual(rows);
        expect(await inProcess.run(fn, rows as Row[])).toStrictEqual(rows);
      }),
      { numRuns: 25 },
    ));

  it("cross the bytes as they were, also when there are many", () => {
    const codec = parentCodec();
    fc.assert(
      fc.property(tables, fc.constantFrom(1, 700), ([schema, some], times) => {
        const rows = Array.from({ length: times }, () => some as Row[]).flat();
        const bytes = codec.encode(schema, rows, 16);
        expect(codec.decode(schema, rows.length, bytes.slice(16))).toStrictEqual(rows);
      }),
      { numRuns: 200 },
    );
  });

  it("are never read from bytes that hold others: any cut or changed byte is an error or a value of the type", () => {
    const codec = parentCodec();
    fc.assert(
      fc.property(tables, fc.nat(), fc.nat(255), ([schema, rows], where, byte) => {
        const bytes = codec.encode(schema, rows as Row[], 0);
        const changed = bytes.slice();
        changed[where % bytes.length] = byte;
        for (const wrong of [changed, bytes.slice(0, where % bytes.length), new Uint8Array([...bytes, byte])]) {
          let read: Row[];
          try {
            read = codec.decode(schema, rows.length, wrong);
          } catch {
            continue;
          }
          expect(read).toHaveLength(rows.length);
          codec.encode(schema, read, 0);
        }
        // It still reads what is right.
        expect(codec.decode(schema, rows.length, bytes)).toStrictEqual(rows);
      }),
      { numRuns: 300 },
    );
  });

  it.each([["sandboxed", runner], ["in process", inProcess]] as const)(
    "have the face that the SDK gives them, %s",
    async (_, runs) => {
      const fn = published(
        (row: { at: Timestamp; day: string; big: bigint; bytes: Uint8Array }) => ({
          text: String(row.at),
          json: JSON.stringify({ at: row.at }),
          later: row.at.micros > 0n,
          hour: row.at.toDate().getHours(),
          same: row.at,
          fromDate: row.at.toDate(),
          fromMicros: row.at.micros + 1n,
          day: new Date(`${row.day}T00:00:00Z`),
          big: row.big + 1n,
          small: 7,
          first: row.bytes.subarray(0, 1),
          list: new Float64Array([1, 2]),
          nothing: undefined,
        }),
        { at: "timestamp", day: "date", big: "int64", bytes: "binary" },
        {
          text: "string",
          json: "string",
          later: "boolean",
          hour: "int32",
          same: "timestamp",
          fromDate: "timestamp",
          fromMicros: "timestamp",
          day: "date",
          big: "int64",
          small: "int64",
          first: "binary",
          list: { list: "float64" },
          nothing: "string",
        },
      );
      const at = new Timestamp(-1_000_001n);
      const [answer] = await runs.run(fn, [{ at, day: "2001-03-01", big: 2n ** 60n, bytes: new Uint8Array([9, 8]) }]);
      expect(answer).toStrictEqual({
        text: at.toString(),
        json: JSON.stringify({ at }),
        later: false,
        hour: at.toDate().getUTCHours(),
        same: at,
        fromDate: new Timestamp(-1_001_000n),
        fromMicros: new Timestamp(-1_000_000n),
        day: "2001-03-01",
        big: 2n ** 60n + 1n,
        small: 7n,
        first: new Uint8Array([9]),
        list: [1, 2],
        nothing: null,
      });
    },
  );

  it.each<[DataType, unknown, string]>([
    ["float64", "1", "is a string of 1 characters, not a number"],
    ["float64", 1n, "is the bigint 1, not a number"],
    ["int32", 1.5, "is the number 1.5, not a whole number of 32 bits"],
    ["int32", 2 ** 31, "is the number 2147483648, not a whole number of 32 bits"],
    ["int64", 2n ** 63n, "is the bigint 9223372036854775808, not a bigint of 64 bits"],
    ["int64", 2 ** 53, "is the number 9007199254740992, not a bigint of 64 bits"],
    ["boolean", 1, "is the number 1, not true or false"],
    ["string", 1, "is the number 1, not a string"],
    ["date", "2001-02-30", 'is a string of 10 characters, not a day as "2001-03-01"'],
    ["timestamp", "2001-02-03", "is a string of 10 characters, not an instant"],
    ["timestamp", new Date(NaN), "is an object, not an instant"],
    ["binary", [1], "is an array, not a Uint8Array"],
    [{ list: "string" }, "abc", "is a string of 3 characters, not a list"],
    [{ list: "string" }, ["a", 2], 'field "x[]", is the number 2, not a string'],
    [{ struct: [{ name: "a", type: "int32" }] }, { a: 1, b: 2 }, 'field "x.b", is not declared; the schema has a'],
    [{ struct: [{ name: "a", type: "int32" }] }, {}, 'field "x.a", is missing'],
    [{ struct: [{ name: "a", type: "int32" }] }, [1], "is an array, not an object of fields"],
  ])("of %j are told when they are %o", async (type, value, words) => {
    const fn = { ...same, name: "wrong", input: schemaFrom({ x: type }), output: schemaFrom({ x: type }) };
    // In process the text can give any value; the same code checks in the sandbox.
    const shown = typeof value === "object" && value instanceof Date
      ? "new Date(NaN)"
      : typeof value === "bigint"
      ? `${value}n`
      : JSON.stringify(value);
    const giving = {
      ...fn,
      ...unchecked(`(row) => ({ x: row.x === null ? ${shown} : null })`, "wrong"),
      input: fn.input,
      output: fn.output,
    };
    const filled = (sampleRows(fn.input)).find((row) => row["x"] !== null)!;
    const error = await failure(inProcess.run(giving, [filled, { x: null }]));
    expect(error.code).toBe("FUNCTION_FAILED");
    expect(error.message).toContain("answer to row 1");
    expect(error.message).toContain(words);
    expect((await failure(runner.run(giving, [filled, { x: null }]))).message).toBe(error.message);
    expect((await failure(runner.run(fn, [{ x: value }]))).code).toBe("INVALID_REQUEST");
  });
});

describe("checkDeterministic", () => {
  it("passes what depends on its row alone, on rows with extremes of every type", async () => {
    const all = {
      s: "string",
      b: "boolean",
      i: "int32",
      l: "int64",
      f: "float32",
      d: "float64",
      day: "date",
      t: "timestamp",
      u: "duration",
      y: "binary",
      list: { list: "string" },
    } as const;
    const fn = published((row: Row) => ({ n: Object.values(row).filter((value) => value !== null).length }), all, {
      n: "int32",
    });
    await checkDeterministic(fn);
    await checkDeterministic(fn, { rows: sampleRows(fn.input).slice(0, 3) });
  });

  it("passes a function that refuses some rows, always the same", async () => {
    const fn = published(
      (row: { a: number | null }) => {
        if (row.a === null) throw new TypeError("a is null");
        return { a: row.a };
      },
      { a: "float64" },
      { a: "float64" },
    );
    await checkDeterministic(fn);
  });

  it("names a field that the function asks for and that there is not", async () => {
    const place = { struct: [{ name: "lat", type: "float64" }] } as const;
    const input = { amount: "float64", place, places: { list: place } } as const;
    // deno-lint-ignore no-explicit-any
    const refused = (fn: (row: any) => { x: any }) =>
      checkDeterministic(published(fn, input, { x: "float64" })).then(() => "passed", (error) => error.message);
    const inputs = "inputs are amount, place, places";
    expect(await refused((row) => ({ x: row.amuont }))).toBe(
      `Cannot publish view: its function reads "amuont", which is no input; ${inputs}`,
    );
    expect(await refused(({ amuont = 1 }) => ({ x: amuont }))).toContain('"amuont", which is no input');
    expect(
      await refused((row) => {
        try {
          return { x: row.amuont.length };
        } catch {
          return { x: 0 };
        }
      }),
    ).toContain('"amuont", which is no input');
    expect(await refused((row) => ({ x: row.place?.lon }))).toContain(
      '"place.lon", which "place" does not have; it has lat',
    );
    expect(await refused((row) => ({ x: row.places?.[0]?.lon }))).toContain(
      '"places.lon", which "places" does not have',
    );
    // deno-lint-ignore no-explicit-any
    const asking = (row: any) => {
      const { amount: given = 2, ...rest } = { ...row };
      console.log(row, `${row}`, row.then, "amuont" in row, row?.[Symbol.toStringTag], row.valueOf());
      const known = Object.keys(row).length + JSON.stringify(row).length + Object.entries(rest).length;
      for (const name in row) if (!Object.hasOwn(row, name)) return { x: -1 };
      return { x: known + (given ?? 0) };
    };
    expect(await refused(asking)).toBe("passed");
    const whole = published(({ places, ...row }: Row) => ({ ...row, places }), input, input);
    expect(await checkDeterministic(whole)).toBeUndefined();
    // Elsewhere nothing is watched.
    expect(
      await runner.run(published((row: Row) => ({ x: row["amuont"] as null }), input, { x: "float64" }), [
        { amount: 1, place: null, places: [] },
      ]),
    ).toEqual([{ x: null }]);
  });

  it("names the row whose answers differ", async () => {
    // The stack shows how deep the engine's own stack is: one thing that is not taken away.
    const fn = { ...unchecked("(row) => ({ got: String(console.count?.() ?? row.n) })") };
    await checkDeterministic(fn);
    const wild = unchecked(
      `(row) => { let depth = 0; const dive = () => { depth += 1; dive(); }; try { dive(); } catch {} return { got: String(depth % 7) + new Error().stack }; }`,
    );
    const end = await checkDeterministic(wild, { rows: Array.from({ length: 60 }, (_, n) => ({ n })) }).then(
      () => undefined,
      (error) => error,
    );
    expect(end?.message).toMatch(/Cannot publish attack: run twice, it gave two answers to row \d+ of the sample/);
    expect(end?.code).toBe("INVALID_DEFINITION");
  });
});
