/** The door to nodejs-polars: DataFrames in and out, through uncompressed Parquet in memory-backed files. */
import { createRequire } from "node:module";
import type { DataFrame as PolarsFrame } from "nodejs-polars";
import { messageOf, VarveError } from "../errors.ts";

declare module "../frame/runtime.ts" {
  interface ResultTypes {
    readonly dataFrame: PolarsFrame;
  }
}

/** A nodejs-polars DataFrame. */
export type DataFrame = PolarsFrame;

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

/** A DataFrame as the bytes of a Parquet file, and the columns whose integers are durations. */
export function parquetFromPolars(
  frame: DataFrame,
): { readonly bytes: Uint8Array; readonly durations: readonly string[] } {
  const durations = frame.columns.filter((_, i) => frame.dtypes[i]!.variant === "Duration");
  const pl = polars();
  // Parquet has no durations: they travel as whole microseconds.
  const plain = durations.length > 0
    ? frame.withColumns(...durations.map((name) => pl.col(name).cast(pl.Duration("us")).cast(pl.Int64)))
    : frame;
  try {
    return { bytes: plain.writeParquet({ compression: "uncompressed" }), durations };
  } catch (error) {
    throw new VarveError(
      "UNSUPPORTED",
      `Cannot read the DataFrame: ${messageOf(error)}; cast or drop columns of type Object`,
      { cause: error },
    );
  }
}

/** The DataFrame of a Parquet file that the engine wrote. */
export function polarsFromParquet(path: string, durations: readonly string[]): DataFrame {
  const pl = polars();
  const frame = pl.readParquet(path, { rechunk: false } as object);
  return durations.length > 0
    ? frame.withColumns(...durations.map((name) => pl.col(name).cast(pl.Duration("us"))))
    : frame;
}

/** The DataFrame of an Arrow IPC stream. */
export function polarsFromIpc(bytes: Uint8Array): DataFrame {
  return polars().readIPCStream(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

/** A DataFrame as an Arrow IPC stream. */
export function ipcFromPolars(frame: DataFrame): Uint8Array {
  return frame.writeIPCStream({ compression: "uncompressed" });
}
