/** Data of this process, as it enters: rows become batches, DataFrames and Arrow tables the bytes of a Parquet file; and its content hash. */
import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { VarveError } from "../errors.ts";
import { formatType, requireField, sameType } from "../schema.ts";
import type { Row, Schema } from "../schema.ts";
import { arrowBatches, arrowSchema, isArrowTable } from "./arrow_in.ts";
import type { ColumnBatch, ColumnVector } from "./engine.ts";
import { parquetColumns } from "./parquet_footer.ts";
import {
  durationColumns,
  isPolarsFrame,
  isPolarsLazy,
  nestedDurations,
  parquetFromPolars,
  withPlainDurations,
} from "./polars.ts";
import type { DataFrame } from "./polars.ts";
import { dataTypeOf } from "./duck_type.ts";
import { inferSchema, rowsToBatch } from "./rows_data.ts";

/** Data in a form that tables are made of. */
export type Snapshot =
  | {
    readonly kind: "batches";
    readonly schema: Schema;
    readonly rowCount: number;
    readonly batches: readonly ColumnBatch[];
  }
  | { readonly kind: "parquet"; readonly schema: Schema; readonly rowCount: number; readonly bytes: Uint8Array };

/** Takes rows, a polars DataFrame or an Arrow table as they are now. */
export function snapshotOf(data: unknown, declared?: Schema): Snapshot {
  if (Array.isArray(data)) {
    const schema = declared ?? inferSchema(data as Row[]);
    return { kind: "batches", schema, rowCount: data.length, batches: [rowsToBatch(data as Row[], schema)] };
  }
  if (isPolarsLazy(data)) {
    throw new VarveError("INVALID_REQUEST", "Cannot make a frame of a LazyFrame: collect it first");
  }
  if (isArrowTable(data)) {
    const schema = declared ?? arrowSchema(data);
    checkDeclared(declared, arrowSchema(data));
    return { kind: "batches", schema, rowCount: data.numRows, batches: arrowBatches(data, schema) };
  }
  if (!isPolarsFrame(data)) {
    throw new VarveError(
      "INVALID_REQUEST",
      "Cannot make a frame of this: give rows, a polars DataFrame or an Arrow table",
    );
  }
  return polarsSnapshot(data, declared);
}

/** Batches hold what the table has, so a declaration may leave columns out and not change types. */
function checkDeclared(declared: Schema | undefined, found: Schema): void {
  for (const field of declared ?? []) {
    const { type } = requireField(found, field.name, "declare column");
    if (sameType(type, field.type)) continue;
    throw new VarveError(
      "SCHEMA_MISMATCH",
      `Cannot declare column "${field.name}" as ${formatType(field.type)}: it is ${formatType(type)}`,
    );
  }
}

function polarsSnapshot(frame: DataFrame, declared: Schema | undefined): Snapshot {
  let bytes = parquetFromPolars(frame);
  const columns = parquetColumns(bytes, "the DataFrame");
  const integers = columns.filter(({ type }) => type.kind === "scalar" && type.name === "BIGINT").map((column) =>
    column.name
  );
  const nested = nestedDurations(frame, columns.filter(({ type }) => type.kind !== "scalar").map(({ name }) => name));
  if (nested !== undefined) {
    throw new VarveError(
      "UNSUPPORTED",
      `Cannot read column "${nested}" of the DataFrame: it has durations within lists or structs; cast them to integers`,
    );
  }
  const durations = durationColumns(frame, integers);
  if (durations.length > 0) bytes = parquetFromPolars(withPlainDurations(frame, durations));
  const found: Schema = columns.map(({ name, type }) => ({
    name,
    type: durations.includes(name) ? "duration" : dataTypeOf(type, `column "${name}"`),
  }));
  for (const field of declared ?? []) requireField(found, field.name, "declare column");
  return { kind: "parquet", schema: declared ?? found, rowCount: frame.height, bytes };
}

/** The content hash of a snapshot: equal data has equal hashes. */
export function hashSnapshot(snapshot: Snapshot): string {
  const hash = createHash("sha256").update(JSON.stringify(snapshot.schema));
  if (snapshot.kind === "parquet") return hash.update(snapshot.bytes).digest("hex");
  for (const batch of snapshot.batches) {
    for (const column of batch.columns) hashColumn(hash, column, batch.rowCount);
  }
  return hash.digest("hex");
}

function hashColumn(hash: Hash, { values, hasNulls, isNull }: ColumnVector, rowCount: number): void {
  hash.update(`|${rowCount}|`);
  const nulls = hasNulls ? Uint8Array.from({ length: rowCount }, (_, row) => isNull(row) ? 1 : 0) : new Uint8Array();
  hash.update(nulls);
  if (!ArrayBuffer.isView(values)) {
    for (let row = 0; row < rowCount; row++) hash.update(`${JSON.stringify(values[row], exact) ?? "null"}\n`);
    return;
  }
  // What stands at the place of a null means nothing.
  const known = (values as Float64Array).slice(0, rowCount);
  nulls.forEach((isNull, row) => isNull && (known[row] = (typeof known[0] === "bigint" ? 0n : 0) as number));
  hash.update(new Uint8Array(known.buffer, known.byteOffset, known.byteLength));
}

/** Values that JSON would refuse or confuse. */
function exact(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))) {
    return `${Object.is(value, -0) ? "-0" : value}f`;
  }
  return value;
}
