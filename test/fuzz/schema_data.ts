/** Data that a JSON Schema allows: the part of it that our requests are written in. */
import fc from "fast-check";

/** A JSON Schema, or a part of one. */
export type Schema = Readonly<Record<string, unknown>>;

/** Data that means something, by the name of the field it goes into: random names would only ever be unknown. */
export type Meanings = Readonly<Record<string, readonly unknown[]>>;

/** An arbitrary of what the schema allows; where a field has meanings, mostly one of them. */
export function dataFor(schema: Schema, meanings: Meanings): fc.Arbitrary<unknown> {
  const known = (name: string, arbitrary: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> => {
    const some = meanings[name];
    if (!some) return arbitrary;
    return fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...some) }, { weight: 1, arbitrary });
  };
  const objects = (object: Schema): fc.Arbitrary<unknown> => {
    const properties = (object["properties"] ?? {}) as Readonly<Record<string, Schema>>;
    const required = (object["required"] ?? []) as readonly string[];
    const fields = fc.record(
      Object.fromEntries(
        Object.entries(properties).map(([name, each]) => [name, known(name, dataFor(each, meanings))]),
      ),
      { requiredKeys: required.filter((name) => name in properties) },
    );
    const more = object["additionalProperties"];
    if (typeof more !== "object" || more === null) return fields;
    const count = { minKeys: Number(object["minProperties"] ?? 0), maxKeys: 4 };
    return fc.dictionary(fc.string({ minLength: 1, maxLength: 12 }), dataFor(more as Schema, meanings), count);
  };
  const ofType = (type: unknown): fc.Arbitrary<unknown> => {
    switch (type) {
      case "object":
        return objects(schema);
      case "array": {
        const items = dataFor((schema["items"] ?? {}) as Schema, meanings);
        return fc.array(items, { minLength: Number(schema["minItems"] ?? 0), maxLength: 5 });
      }
      case "string": {
        const pattern = schema["pattern"];
        if (typeof pattern === "string") return fc.stringMatching(new RegExp(pattern));
        const minLength = Number(schema["minLength"] ?? 0);
        return fc.string({ minLength, maxLength: Math.max(minLength, 24), unit: "binary" });
      }
      case "integer": {
        const [min, max] = [Number(schema["minimum"] ?? -(2 ** 31)), Number(schema["maximum"] ?? 2 ** 31)];
        return fc.integer({ min, max });
      }
      case "number":
        return fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }));
      case "boolean":
        return fc.boolean();
      case "null":
        return fc.constant(null);
      default:
        throw new Error(`Cannot make data of type ${String(type)}`);
    }
  };
  if (Array.isArray(schema["enum"])) return fc.constantFrom(...schema["enum"] as unknown[]);
  const { type } = schema;
  if (type === undefined) return fc.jsonValue({ maxDepth: 2 });
  return Array.isArray(type) ? fc.oneof(...type.map(ofType)) : ofType(type);
}
