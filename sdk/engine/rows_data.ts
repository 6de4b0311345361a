/** Plain rows as batches of columns, and the types that their values show. */
import { VarveError } from "../errors.ts";
import type { DataType, Field, Row, Schema } from "../schema.ts";
import { Timestamp } from "../time.ts";
import type { ColumnBatch, ColumnVector } from "./engine.ts";
import { rowValue } from "./value_form.ts";

/** The columns of plain rows: the first value that is not null decides, numbers that are all whole and small are int32. */
export function inferSchema(rows: readonly Row[]): Schema {
  checkObjects(rows);
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  if (names.length === 0) throw new VarveError("INVALID_REQUEST", "Cannot tell the columns of no rows: declare schema");
  return Object.freeze(names.map((name) => {
    const values = rows.map((row) => row[name] as unknown).filter((value) => value !== null && value !== undefined);
    if (values.length === 0) {
      throw new VarveError(
        "INVALID_REQUEST",
        `Cannot tell the type of column "${name}": every value is null; declare schema`,
      );
    }
    return Object.freeze({ name, type: inferType(values, name) });
  }));
}

function inferType(values: readonly unknown[], name: string): DataType {
  const first = values[0];
  if (typeof first === "string") return "string";
  if (typeof first === "boolean") return "boolean";
  if (typeof first === "bigint") return "int64";
  if (typeof first === "number") return numberType(values);
  if (first instanceof Timestamp || first instanceof Date) return "timestamp";
  if (first instanceof Uint8Array) return "binary";
  if (Array.isArray(first)) {
    const items = values.flatMap((value) => value as unknown[]).filter((value) =>
      value !== null && value !== undefined
    );
    if (items.length > 0) return Object.freeze({ list: inferType(items, name) });
  } else if (typeof first === "object") {
    return Object.freeze({ struct: inferSchema(values as Row[]) });
  }
  throw new VarveError("INVALID_REQUEST", `Cannot tell the type of column "${name}": declare schema`);
}

function numberType(values: readonly unknown[]): DataType {
  if (values.some((value) => typeof value === "bigint")) return "int64";
  const whole = values.every((value) =>
    typeof value !== "number" || Number.isInteger(value) && Math.abs(value as number) < 2 ** 31 && !Object.is(value, -0)
  );
  return whole ? "int32" : "float64";
}

/** Rows as one batch; throws INVALID_REQUEST that names row and column of the first value that does not fit. */
export function rowsToBatch(rows: readonly Row[], schema: Schema): ColumnBatch {
  checkObjects(rows);
  return { rowCount: rows.length, columns: schema.map((field) => rowsToVector(rows, field)) };
}

function checkObjects(rows: readonly unknown[]): void {
  const place = rows.findIndex((row) => typeof row !== "object" || row === null);
  if (place < 0) return;
  throw new VarveError("INVALID_REQUEST", `Cannot read row ${place}: ${String(rows[place])} is not an object`);
}

function rowsToVector(rows: readonly Row[], field: Field): ColumnVector {
  const values = rows.map((row, i) => {
    try {
      return rowValue(row[field.name], field.type);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new VarveError("INVALID_REQUEST", `Cannot read row ${i} column "${field.name}": ${why}`, {
        cause: error,
        details: { row: i, column: field.name },
      });
    }
  });
  return plainVector(values);
}

/** A column over a plain array in which null is null. */
export function plainVector(values: readonly unknown[]): ColumnVector {
  return { values, hasNulls: values.includes(null), isNull: (row) => values[row] === null };
}
