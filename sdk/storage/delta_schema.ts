/** Schemas as Delta writes them: Spark's JSON, plus a note on columns whose type Spark does not have. */
import { messageOf, VarveError } from "../errors.ts";
import {
  type DataType,
  type Field,
  isListType,
  isStructType,
  parseType,
  sameType,
  type ScalarType,
  type Schema,
} from "../schema.ts";

const sparkNames: Readonly<Record<ScalarType, string>> = {
  string: "string",
  boolean: "boolean",
  int32: "integer",
  int64: "long",
  float32: "float",
  float64: "double",
  date: "date",
  timestamp: "timestamp",
  // Spark's intervals are not a Delta type: other engines see the microseconds.
  duration: "long",
  binary: "binary",
};

const varveNames: Readonly<Record<string, ScalarType>> = {
  ...Object.fromEntries(Object.entries(sparkNames).map(([varve, spark]) => [spark, varve as ScalarType])),
  long: "int64",
  byte: "int32",
  short: "int32",
};

const typeNote = "varve.type";

interface SparkField {
  readonly name: string;
  readonly type: unknown;
  readonly nullable?: boolean;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** The `schemaString` of a table with these columns. */
export function sparkSchema(schema: Schema): string {
  return JSON.stringify(sparkStruct(schema));
}

/** The columns that a `schemaString` describes. */
export function schemaFromSpark(text: string, table: string): Schema {
  try {
    return varveFields(JSON.parse(text));
  } catch (error) {
    if (error instanceof VarveError) throw error;
    throw new VarveError("CORRUPT", `Cannot read the schema of Delta table "${table}": ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Whether two schemas have the same columns in the same order. */
export function sameSchema(a: Schema, b: Schema): boolean {
  return a.length === b.length && a.every((field, i) => field.name === b[i]!.name && sameType(field.type, b[i]!.type));
}

function sparkStruct(fields: readonly Field[]): object {
  return {
    type: "struct",
    fields: fields.map(({ name, type }) => ({
      name,
      type: sparkType(type),
      nullable: true,
      metadata: hasDuration(type) ? { [typeNote]: type } : {},
    })),
  };
}

function sparkType(type: DataType): unknown {
  if (isListType(type)) return { type: "array", elementType: sparkType(type.list), containsNull: true };
  if (isStructType(type)) return sparkStruct(type.struct);
  return sparkNames[type];
}

function hasDuration(type: DataType): boolean {
  if (isListType(type)) return hasDuration(type.list);
  if (isStructType(type)) return type.struct.some((field) => hasDuration(field.type));
  return type === "duration";
}

function varveFields(spark: { readonly type?: unknown; readonly fields?: unknown }): Schema {
  if (spark.type !== "struct" || !Array.isArray(spark.fields)) throw new TypeError("it is not a struct");
  return Object.freeze(spark.fields.map((field: SparkField) => {
    const note = field.metadata?.[typeNote];
    return Object.freeze({ name: field.name, type: note === undefined ? varveType(field.type) : parseType(note) });
  }));
}

function varveType(type: unknown): DataType {
  if (typeof type === "string") {
    const name = varveNames[type];
    if (name) return name;
  } else if (typeof type === "object" && type !== null) {
    if ("elementType" in type) return Object.freeze({ list: varveType(type.elementType) });
    if ("fields" in type) return Object.freeze({ struct: varveFields(type) });
  }
  throw new VarveError(
    "UNSUPPORTED",
    `Cannot read a Delta column of type ${JSON.stringify(type)}: varve has no such type`,
  );
}
