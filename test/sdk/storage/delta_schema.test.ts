import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sameSchema, schemaFromSpark, sparkSchema } from "../../../sdk/storage/delta_schema.ts";
import { type DataType, scalarTypes, type Schema } from "../../../sdk/schema.ts";

const { type } = fc.letrec<{ type: DataType }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(...scalarTypes),
    tie("type").map((list) => ({ list })),
    fc.array(fc.record({ name: fc.string({ minLength: 1 }), type: tie("type") }), { minLength: 1, maxLength: 3 })
      .map((struct) => ({ struct })),
  ),
}));
const schemas: fc.Arbitrary<Schema> = fc.array(fc.record({ name: fc.string({ minLength: 1 }), type }), {
  maxLength: 4,
});

describe("sparkSchema()", () => {
  it("and schemaFromSpark() lose nothing, at any depth", () => {
    fc.assert(fc.property(schemas, (schema) => {
      expect(schemaFromSpark(sparkSchema(schema), "t")).toEqual(schema);
    }));
  });

  it("writes Spark's names, and a note where Spark has no such type", () => {
    const schema: Schema = [
      { name: "n", type: "int64" },
      { name: "waits", type: { list: "duration" } },
      { name: "at", type: "timestamp" },
    ];
    expect(JSON.parse(sparkSchema(schema))).toEqual({
      type: "struct",
      fields: [
        { name: "n", type: "long", nullable: true, metadata: {} },
        {
          name: "waits",
          type: { type: "array", elementType: "long", containsNull: true },
          nullable: true,
          metadata: { "varve.type": { list: "duration" } },
        },
        { name: "at", type: "timestamp", nullable: true, metadata: {} },
      ],
    });
  });
});

describe("schemaFromSpark()", () => {
  it("reads small integers as int32", () => {
    const fields = ["byte", "short", "integer"].map((type) => ({ name: type, type, nullable: true, metadata: {} }));
    const schema = schemaFromSpark(JSON.stringify({ type: "struct", fields }), "t");
    expect(schema.map((field) => field.type)).toEqual(["int32", "int32", "int32"]);
  });

  it("says which type it cannot read, and that torn text is CORRUPT", () => {
    const decimal = { type: "struct", fields: [{ name: "x", type: "decimal(10,2)", nullable: true, metadata: {} }] };
    expect(() => schemaFromSpark(JSON.stringify(decimal), "t")).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED", message: expect.stringContaining("decimal(10,2)") }),
    );
    for (const text of ["{", "[]", '{"type":"array"}']) {
      expect(() => schemaFromSpark(text, "views/x/1")).toThrow(
        expect.objectContaining({ code: "CORRUPT", message: expect.stringContaining("views/x/1") }),
      );
    }
  });
});

describe("sameSchema()", () => {
  it("sees names, types and order", () => {
    const [a, b]: Schema = [{ name: "a", type: "int32" }, { name: "b", type: { list: "string" } }];
    expect(sameSchema([a!, b!], [a!, b!])).toBe(true);
    expect(sameSchema([a!, b!], [b!, a!])).toBe(false);
    expect(sameSchema([a!], [a!, b!])).toBe(false);
    expect(sameSchema([b!], [{ name: "b", type: { list: "binary" } }])).toBe(false);
  });
});
