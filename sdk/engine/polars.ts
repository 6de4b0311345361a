/** The door to nodejs-polars: DataFrames in and out, through uncompressed Parquet in memory-backed files. */
import { createRequire } from "node:module";
import type { DataFrame as PolarsFrame } from "nodejs-polars";
import { messageOf, VarveError } from "../errors.ts";

declare module "../frame/runtime.ts" {
  interface ResultTypes {
    readonly dataFrame: PolarsDataFrame;
  }
}

/** A nodejs-polars DataFrame, under a name of varve: a notebook must be able to name the types of its constants. */
export interface PolarsDataFrame extends PolarsFrame {}

/** What everything here takes and gives. */
export type DataFrame = PolarsDataFrame;

type Library = typeof import("nodejs-polars").default;

let library: Library | undefined;

/** Polars, loaded on first use; a source must not wait for it, so it is loaded at once. */
function polars(): Library {
  if (library) return library;
  try {
    const loaded = createRequire(import.meta.url)("nodejs-polars") as Library & { default?: Library };
    library = loaded.default ?? loaded;
    return library;
  } catch (error) {
    throw new VarveError(
      "UNSUPPORTED",
      `Cannot load nodejs-polars: ${
        messageOf(error)
      }; run "npm install" again, so that its binary for this system is there`,
      { cause: error },
    );
  }
}

/** Whether something is a DataFrame, of this or another copy of the library. */
export function isPolarsFrame(data: unknown): data is DataFrame {
  return isObject(data) && typeof data["writeParquet"] === "function" && typeof data["getColumns"] === "function" &&
    typeof data["height"] === "number";
}

/** Whether something is a query that still has to be collected. */
export function isPolarsLazy(data: unknown): boolean {
  return isObject(data) && typeof data["collectSync"] === "function";
}

function isObject(data: unknown): data is Record<string, unknown> {
  return (typeof data === "object" || typeof data === "function") && data !== null;
}

/** A DataFrame as the bytes of an uncompressed Parquet file. */
export function parquetFromPolars(frame: DataFrame): Uint8Array {
  try {
    return frame.writeParquet({ compression: "uncompressed" });
  } catch (error) {
    throw new VarveError(
      "UNSUPPORTED",
      `Cannot read the DataFrame: ${messageOf(error)}; cast or drop columns of type Object`,
      { cause: error },
    );
  }
}

/**
 * Those of the named columns that hold durations, which Parquet writes as plain integers. Only names of integer columns may be
 * given: for some types, such as binary, this version of the library cannot say the type at all.
 */
export function durationColumns(frame: DataFrame, names: readonly string[]): string[] {
  return names.filter((name) => frame.getColumn(name).dtype.variant === "Duration");
}

/** The first of the named columns that holds durations within lists or structs: they would be integers of a unit that nobody knows. */
export function nestedDurations(frame: DataFrame, names: readonly string[]): string | undefined {
  return names.find((name) => {
    try {
      return String(frame.getColumn(name).dtype).includes("Duration(");
    } catch {
      return false; // this version of the library cannot say what it is
    }
  });
}

/** The same DataFrame with durations as whole microseconds. */
export function withPlainDurations(frame: DataFrame, durations: readonly string[]): DataFrame {
  const pl = polars();
  return frame.withColumns(...durations.map((name) => pl.col(name).cast(pl.Duration("us")).cast(pl.Int64)));
}

/** The DataFrame of a Parquet file that the engine wrote. */
export function polarsFromParquet(path: string, durations: readonly string[]): DataFrame {
  const pl = polars();
  const frame = pl.readParquet(path, { rechunk: false } as object);
  return durations.length > 0
    ? frame.withColumns(...durations.map((name) => pl.col(name).cast(pl.Duration("us"))))
    : frame;
}

/** A DataFrame as an Arrow IPC stream. */
export function ipcFromPolars(frame: DataFrame): Uint8Array {
  return frame.writeIPCStream({ compression: "uncompressed" });
}
