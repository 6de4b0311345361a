/** A function with everything that is published of it: text, hash, and the fields that it takes and gives. */
import { messageOf, VarveError } from "../errors.ts";
import { type DataType, type RowOf, type Schema, schemaFrom, type SchemaTypes, type ValueOf } from "../schema.ts";
import { type FunctionSource, functionSource, hashOfSource } from "./function_source.ts";

/** A function, ready to run: what is published of it. */
export interface PublishedFunction extends FunctionSource {
  /** What messages call it: `realtime view "score"`. */
  readonly name: string;
  /** The fields of the row that it is given. */
  readonly input: Schema;
  /** The fields of the row that it gives. */
  readonly output: Schema;
}

/** What a function may give for a type: the value, or what stands for it. */
export type FunctionValue<T extends DataType> =
  | (T extends "timestamp" ? ValueOf<T> | Date | bigint
    : T extends "int64" | "duration" ? bigint | number
    : T extends "date" ? string | Date
    : ValueOf<T>)
  | null
  | undefined;

/** What a function gives for its output fields: every field, null or undefined where there is no value. */
export type FunctionAnswer<S extends SchemaTypes> = { readonly [K in keyof S]: FunctionValue<S[K]> };

/**
 * A function of a row, as it is published. Throws `INVALID_DEFINITION` that lists what keeps it from standing alone.
 */
export function publishedFunction<const I extends SchemaTypes, const O extends SchemaTypes>(
  name: string,
  input: I,
  output: O,
  fn: (row: RowOf<I>) => FunctionAnswer<O>,
): PublishedFunction {
  const published = { name, ...functionSource(fn, name), input: schemaFrom(input), output: schemaFrom(output) };
  checkFunction(published);
  return Object.freeze(published);
}

/** Whether text and hash belong together, and the fields can be made. */
export function checkFunction(fn: PublishedFunction): void {
  let hash: string | undefined;
  try {
    hash = hashOfSource(fn.source);
  } catch (error) {
    throw new VarveError("CORRUPT", `Cannot run ${fn.name}: its text cannot be read (${messageOf(error)})`);
  }
  if (hash !== fn.hash) {
    throw new VarveError(
      "CORRUPT",
      `Cannot run ${fn.name}: its text does not have the hash that was published with it`,
    );
  }
  for (const [side, schema] of [["input", fn.input], ["output", fn.output]] as const) {
    if (schema.some((field) => hasProto(field.name, field.type))) {
      throw new VarveError("INVALID_DEFINITION", `Cannot run ${fn.name}: no ${side} field may be named __proto__`);
    }
  }
}

function hasProto(name: string, type: DataType): boolean {
  if (name === "__proto__") return true;
  if (typeof type !== "object") return false;
  if ("list" in type) return hasProto("", type.list);
  return type.struct.some((part) => hasProto(part.name, part.type));
}
