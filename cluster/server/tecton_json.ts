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

/**
 * How decoded values of a type become what JSON can hold: they are that already, they are numbers that JSON may not know, their text
 * is, or what a function makes of them.
 */
export type JsonForm = "same" | "number" | "text" | ((value: unknown) => unknown);

/** The form of values of this type. */
export function jsonForm(type: DataType): JsonForm {
  if (typeof type === "object") {
    if ("list" in type) {
      const element = jsonForm(type.list);
      return (value) => (value as readonly unknown[]).map((each) => jsonValue(each, element));
    }
    const parts = type.struct.map((field: Field) => ({ name: field.name, form: jsonForm(field.type) }));
    return (value) => parts.map(({ name, form }) => jsonValue((value as Record<string, unknown>)[name], form));
  }
  switch (type) {
    case "float32":
    case "float64":
      return "number";
    case "int32":
    case "int64":
    case "duration":
    case "timestamp":
      return "text";
    case "binary":
      return (value) => Buffer.from(value as Uint8Array).toString("base64");
    case "string":
    case "boolean":
    case "date":
      return "same";
  }
}

/** A value in its form. Most are of the few forms that need no call: a vector has many, and a call costs as much as the value. */
export function jsonValue(value: unknown, form: JsonForm): unknown {
  if (value === null || value === undefined) return null;
  if (form === "same") return value;
  if (form === "number") return Number.isFinite(value) ? value : String(value);
  return form === "text" ? String(value) : form(value);
}
