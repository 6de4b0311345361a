/** Values of request context as JSON has them (S9), in the form that readers take. What does not fit is left for them to refuse. */
import type { DataType, Field } from "varve";
import type { ServiceReader } from "varve/serving";

/** Turns a value of JSON into one of a type. */
type Decode = (value: unknown) => unknown;

const decodersByReader = new WeakMap<ServiceReader, ReadonlyMap<string, Decode>>();

/** The request fields of one row; with `ignoreExtra` without those that nothing reads. */
export function contextOf(
  reader: ServiceReader,
  given: Readonly<Record<string, unknown>>,
  ignoreExtra: boolean,
): Readonly<Record<string, unknown>> {
  const decoders = decodersOf(reader);
  const entries: [string, unknown][] = [];
  for (const [name, value] of Object.entries(given)) {
    const decode = decoders.get(name);
    if (decode) entries.push([name, decode(value)]);
    else if (!ignoreExtra) entries.push([name, value]);
  }
  return Object.fromEntries(entries);
}

function decodersOf(reader: ServiceReader): ReadonlyMap<string, Decode> {
  let decoders = decodersByReader.get(reader);
  if (!decoders) {
    decoders = new Map(reader.requestFields.map(({ name, type }) => [name, decoderOf(type)]));
    decodersByReader.set(reader, decoders);
  }
  return decoders;
}

const numbers: Readonly<Record<string, number>> = { NaN, Infinity, "-Infinity": -Infinity };
const integer = /^-?[0-9]{1,19}$/;
/** Whole bytes; without padding, too. */
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

function decoderOf(type: DataType): Decode {
  if (typeof type === "object") {
    if ("struct" in type) return structDecoder(type.struct);
    const element = decoderOf(type.list);
    return (value) => Array.isArray(value) ? value.map(element) : value;
  }
  switch (type) {
    case "float32":
    case "float64":
      return (value) => {
        if (typeof value !== "string") return value;
        if (Object.hasOwn(numbers, value)) return numbers[value];
        // Integers that a number cannot hold reach us as text.
        return integer.test(value) && !Number.isSafeInteger(Number(value)) ? Number(value) : value;
      };
    case "int32":
      return (value) => typeof value === "string" && integer.test(value) ? Number(value) : value;
    case "int64":
    case "duration":
      return (value) => typeof value === "string" && integer.test(value) ? BigInt(value) : value;
    case "binary":
      return (value) =>
        typeof value === "string" && base64.test(value) ? new Uint8Array(Buffer.from(value, "base64")) : value;
    case "timestamp":
    case "string":
    case "boolean":
    case "date":
      return (value) => value;
  }
}

/** A struct comes as an object, or as the list of its fields that answers have. */
function structDecoder(struct: readonly Field[]): Decode {
  const fields = struct.map(({ name, type }) => ({ name, decode: decoderOf(type) }));
  const decoders = new Map(fields.map(({ name, decode }) => [name, decode]));
  return (value) => {
    if (typeof value !== "object" || value === null) return value;
    if (!Array.isArray(value)) {
      return Object.fromEntries(
        Object.entries(value).map(([name, part]) => [name, decoders.get(name)?.(part) ?? part]),
      );
    }
    if (value.length !== fields.length) return value;
    return Object.fromEntries(fields.map(({ name, decode }, i) => [name, decode(value[i])]));
  };
}
