/** The types of columns, independent of any engine. */
import { VarveError } from "./errors.ts";
import type { Timestamp } from "./time.ts";

/**
 * The type of a column. Integers of 32 bits or less are `int32`; `timestamp` is UTC with microseconds;
 * `date` is a calendar day; `duration` is microseconds.
 */
export type DataType = ScalarType | ListType | StructType;

/** A type that has no parts. */
export type ScalarType =
  | "string"
  | "boolean"
  | "int32"
  | "int64"
  | "float32"
  | "float64"
  | "date"
  | "timestamp"
  | "duration"
  | "binary";

/** A list whose elements have one type. */
export interface ListType {
  /** The type of the elements. */
  readonly list: DataType;
}

/** A record of named parts. */
export interface StructType {
  /** The parts, in order. */
  readonly struct: readonly Field[];
}

/** A named column, or a named part of a struct. */
export interface Field {
  /** Unique among the columns, whatever the case. */
  readonly name: string;
  /** The type of its values. */
  readonly type: DataType;
}

/** Columns in order; names are unique. */
export type Schema = readonly Field[];

/** Columns as a user writes them: `{ origin: "string", delay: "int32" }`. */
export type SchemaTypes = Readonly<Record<string, DataType>>;

/** The JavaScript type of a value, never null. int64 is bigint (S9), a date is `"YYYY-MM-DD"`, a duration is bigint micros. */
export type ValueOf<T extends DataType> = T extends "string" ? string
  : T extends "boolean" ? boolean
  : T extends "int32" | "float32" | "float64" ? number
  : T extends "int64" | "duration" ? bigint
  : T extends "timestamp" ? Timestamp
  : T extends "date" ? string
  : T extends "binary" ? Uint8Array
  : T extends { readonly list: infer E extends DataType } ? readonly (ValueOf<E> | null)[]
  : T extends StructType ? Readonly<Record<string, unknown>>
  : never;

/** A row: what columns hold, by name, as JavaScript types. */
// deno-lint-ignore no-explicit-any
export type Row = Record<string, any>;

/** The row type of declared columns; every column may be null. */
export type RowOf<S extends SchemaTypes> = { -readonly [K in keyof S]: ValueOf<S[K]> | null };

/** All scalar types, in the order of the documentation. */
export const scalarTypes: readonly ScalarType[] = [
  "string",
  "boolean",
  "int32",
  "int64",
  "float32",
  "float64",
  "date",
  "timestamp",
  "duration",
  "binary",
];

export function isListType(type: DataType): type is ListType {
  return typeof type === "object" && "list" in type;
}

export function isStructType(type: DataType): type is StructType {
  return typeof type === "object" && "struct" in type;
}

export function isNumericType(type: DataType): boolean {
  return type === "int32" || type === "int64" || type === "float32" || type === "float64";
}

export function isFloatType(type: DataType): boolean {
  return type === "float32" || type === "float64";
}

/** The readable text of a type: `int64`, `list<string>`, `struct<a int32, b string>`. */
export function formatType(type: DataType): string {
  if (isListType(type)) return `list<${formatType(type.list)}>`;
  if (isStructType(type)) {
    return `struct<${type.struct.map((field) => `${field.name} ${formatType(field.type)}`).join(", ")}>`;
  }
  return type;
}

/** Whether two types are the same, part by part. */
export function sameType(a: DataType, b: DataType): boolean {
  if (isListType(a)) return isListType(b) && sameType(a.list, b.list);
  if (isStructType(a)) {
    return isStructType(b) && a.struct.length === b.struct.length &&
      a.struct.every((field, i) => field.name === b.struct[i]!.name && sameType(field.type, b.struct[i]!.type));
  }
  return a === b;
}

/** Checks that a value from outside is a type; throws a `TypeError` that says what is allowed. */
export function parseType(value: unknown, what = "type"): DataType {
  if (typeof value === "string" && (scalarTypes as readonly string[]).includes(value)) return value as ScalarType;
  if (typeof value === "object" && value !== null) {
    if ("list" in value) return Object.freeze({ list: parseType(value.list, what) });
    if ("struct" in value && Array.isArray(value.struct)) {
      const struct = value.struct.map((field: { name?: unknown; type?: unknown } | null) =>
        Object.freeze({ name: String(field?.name), type: parseType(field?.type, what) })
      );
      return Object.freeze({ struct: Object.freeze(struct) });
    }
  }
  throw new VarveError(
    "INVALID_DEFINITION",
    `Cannot use ${JSON.stringify(value)} as ${what}: types are ${scalarTypes.join(", ")}, { list } and { struct }`,
  );
}

/** Columns from what a user wrote. */
export function schemaFrom(types: SchemaTypes): Schema {
  return Object.freeze(
    Object.entries(types).map(([name, type]) =>
      Object.freeze({ name, type: parseType(type, `type of column "${name}"`) })
    ),
  );
}

export function columnNames(schema: Schema): string[] {
  return schema.map((field) => field.name);
}

export function findField(schema: Schema, name: string): Field | undefined {
  return schema.find((field) => field.name === name);
}

/**
 * The column of that name, or an error that lists those there are.
 * `action` reads like `select column`: `Cannot select column "trps": columns are driver_id, trips`.
 */
export function requireField(schema: Schema, name: string, action = "use column"): Field {
  const field = findField(schema, name);
  if (field) return field;
  throw new VarveError(
    "INVALID_DEFINITION",
    `Cannot ${action} ${JSON.stringify(name)}: columns are ${columnNames(schema).join(", ") || "none"}`,
    {
      details: { column: name, columns: columnNames(schema) },
    },
  );
}

/** The longest name of a column, feature, view, service, entity or workspace. */
export const maxNameLength = 128;

/** Why a name cannot be used for a view, service, entity, feature or workspace; undefined when it can. */
export function nameProblem(name: unknown): string | undefined {
  if (typeof name !== "string" || name === "") return "it is empty";
  if (name.length > maxNameLength) return `it is longer than ${maxNameLength} characters`;
  if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(name)) {
    return "names start with an ASCII letter or _ and hold ASCII letters, digits, _ and -";
  }
  return undefined;
}
