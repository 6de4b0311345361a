/** Typed columns as a Parquet file, without an engine: for processes that load none. The door to hyparquet-writer. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ParquetWriter } from "hyparquet-writer";
import { isListType, isStructType } from "../schema.ts";
import type { DataType, Field } from "../schema.ts";
import type { Timestamp } from "../time.ts";

type SchemaElement = ConstructorParameters<typeof ParquetWriter>[0]["schema"][number];

/** Columns of some rows: a list of values in user form for each field. */
export type ParquetRows = readonly (readonly unknown[])[];

/**
 * The bytes of a file with these columns; every value may be null, and instants have microseconds. Rows are asked for and encoded
 * a group at a time, and whoever else wants this thread gets it in between: groups should be small. Names of `metadata` are the
 * file's own.
 */
export async function parquetFile(
  fields: readonly Field[],
  groups: Iterable<ParquetRows>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<Uint8Array> {
  const { ByteWriter, ParquetWriter } = await import("hyparquet-writer");
  const bytes = new ByteWriter();
  const writer = new ParquetWriter({
    writer: bytes,
    schema: [{ name: "root", num_children: fields.length }, ...fields.flatMap(elementsOf)],
    kvMetadata: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    createdBy: "varve",
    // Of columns that are read whole, or not at all: they would be half of the work.
    statistics: false,
  });
  for (const group of groups) {
    const columnData = fields.map(({ name, type }, i) => ({
      name,
      data: group[i]!.map((value) => stored(value, type)),
      offsetIndex: false,
    }));
    await writer.write({ columnData, rowGroupSize: group[0]!.length });
    await nextTurn();
  }
  await writer.finish();
  return bytes.getBytes();
}

/** A column's place in the schema, and those of its parts after it. */
function elementsOf({ name, type }: Field): SchemaElement[] {
  const repetition_type = "OPTIONAL";
  if (isListType(type)) {
    return [
      { name, repetition_type, num_children: 1, converted_type: "LIST" },
      { name: "list", repetition_type: "REPEATED", num_children: 1 },
      ...elementsOf({ name: "element", type: type.list }),
    ];
  }
  if (isStructType(type)) {
    return [{ name, repetition_type, num_children: type.struct.length }, ...type.struct.flatMap(elementsOf)];
  }
  return [{ name, repetition_type, ...scalarElement(type) }];
}

function scalarElement(type: DataType): Pick<SchemaElement, "type" | "converted_type"> {
  switch (type) {
    case "string":
      return { type: "BYTE_ARRAY", converted_type: "UTF8" };
    case "boolean":
      return { type: "BOOLEAN" };
    case "int32":
      return { type: "INT32" };
    case "date":
      return { type: "INT32", converted_type: "DATE" };
    case "float32":
      return { type: "FLOAT" };
    case "float64":
      return { type: "DOUBLE" };
    case "timestamp":
      return { type: "INT64", converted_type: "TIMESTAMP_MICROS" };
    case "binary":
      return { type: "BYTE_ARRAY" };
    default:
      return { type: "INT64" };
  }
}

/** The value as the file has it. */
function stored(value: unknown, type: DataType): unknown {
  if (value === null || value === undefined) return null;
  if (isListType(type)) return (value as readonly unknown[]).map((item) => stored(item, type.list));
  if (isStructType(type)) {
    const record = value as Readonly<Record<string, unknown>>;
    return Object.fromEntries(type.struct.map((field) => [field.name, stored(record[field.name], field.type)]));
  }
  switch (type) {
    case "timestamp":
      return typeof value === "bigint" ? value : (value as Timestamp).micros;
    case "date":
      return typeof value === "number" ? value : Date.parse(`${value as string}T00:00:00Z`) / 86_400_000;
    case "int64":
    case "duration":
      return BigInt(value as bigint);
    case "int32":
      return Number(value);
    default:
      return value;
  }
}
