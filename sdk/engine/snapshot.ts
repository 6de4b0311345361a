/** Data of this process, as it enters: rows become batches, DataFrames and Arrow tables the bytes of a Parquet file; and its content hash. */
import { createHash } from "node:crypto";
import { VarveError } from "../errors.ts";
import { requireField } from "../schema.ts";
import type { Row, Schema } from "../schema.ts";
import { ipcFromArrow, isArrowTable } from "./arrow.ts";
import type { ColumnBatch } from "./engine.ts";
import { parquetColumns } from "./parquet_footer.ts";
import { isPolarsFrame, isPolarsLazy, parquetFromPolars, polarsFromIpc } from "./polars.ts";
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
  const frame = isPolarsFrame(data) ? data : isArrowTable(data) ? polarsFromIpc(ipcFromArrow(data)) : undefined;
  if (!frame) {
    throw new VarveError(
      "INVALID_REQUEST",
      "Cannot make a frame of this: give rows, a polars DataFrame or an Arrow table",
    );
  }
  const { bytes, durations } = parquetFromPolars(frame);
  const found: Schema = parquetColumns(bytes, "the DataFrame").map(({ name, type }) => ({
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
    for (const column of batch.columns) {
      for (const value of column.values) hash.update(JSON.stringify(value, exact) ?? "null").update("\n");
    }
  }
  return hash.digest("hex");
}

/** Values that JSON would refuse or confuse. */
function exact(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))) {
    return `${Object.is(value, -0) ? "-0" : value}f`;
  }
  return value;
}
