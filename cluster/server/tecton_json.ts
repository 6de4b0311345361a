/**
 * How values and types are written in Tecton's dialect (S9): int64 as text, NaN and infinities as text, instants as ISO text,
 * structs as arrays. It knows fewer types than varve; its clients refuse an answer whose types they do not know. So int32
 * and durations (microseconds) are int64 there, float32 is float64, days and bytes are text.
 */
import type { DataType, Field } from "varve";

/** A type as `dataType` in the answer's metadata. */
export interface TectonType {
  readonly type: string;
  readonly elementType?: TectonType;
  readonly fields?: readonly { readonly name: string; readonly dataType: TectonType }[];
}

const scalarTypes: Readonly<Record<Extract<DataType, string>, string>> = {
  boolean: "boolean",
  int32: "int64",
  int64: "int64",
  float32: "float64",
  float64: "float64",
  string: "string",
  binary: "string",
  date: "string",
  timestamp: "timestamp",
  duration: "int64",
};

/** The answer's name of a type. */
export function tectonType(type: DataType): TectonType {
  if (typeof type === "string") return { type: scalarTypes[type] };
  if ("list" in type) return { type: "array", elementType: tectonType(type.list) };
  return {
    type: "struct",
    fields: type.struct.map((field) => ({ name: field.name, dataType: tectonType(field.type) })),
  };
}

/** A function that turns a decoded value of this type into what JSON can hold. */
export function jsonEncoder(type: DataType): (value: unknown) => unknown {
  const encode = nonNullEncoder(type);
  return (value) => value === null || value === undefined ? null : encode(value);
}

function nonNullEncoder(type: DataType): (value: unknown) => unknown {
  if (typeof type === "object") {
    if ("list" in type) {
      const element = jsonEncoder(type.list);
      return (value) => (value as readonly unknown[]).map(element);
    }
    const parts = type.struct.map((field: Field) => ({ name: field.name, encode: jsonEncoder(field.type) }));
    return (value) => parts.map((part) => part.encode((value as Record<string, unknown>)[part.name]));
  }
  switch (type) {
    case "float32":
    case "float64":
      return (value) => Number.isFinite(value) ? value : String(value);
    case "int32":
    case "int64":
    case "duration":
    case "timestamp":
      return String;
    case "binary":
      return (value) => Buffer.from(value as Uint8Array).toString("base64");
    case "string":
    case "boolean":
    case "date":
      return (value) => value;
  }
}
