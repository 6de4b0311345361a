/** The door to apache-arrow: Tables in and out as IPC streams. */
import { createRequire } from "node:module";
import type { Table } from "apache-arrow";
import { messageOf, VarveError } from "../errors.ts";

declare module "../frame/runtime.ts" {
  interface ResultTypes {
    readonly arrow: Table;
  }
}

export type { Table };

type Library = typeof import("apache-arrow");

let library: Library | undefined;

function arrow(): Library {
  library ??= createRequire(import.meta.url)("apache-arrow") as Library;
  return library;
}

/** Whether something is a Table, of this or another copy of the library. */
export function isArrowTable(data: unknown): data is Table {
  return typeof data === "object" && data !== null && "batches" in data && Array.isArray(data.batches) &&
    "schema" in data && "numRows" in data;
}

/** A Table as an IPC stream. */
export function ipcFromArrow(table: Table): Uint8Array {
  try {
    return arrow().tableToIPC(table, "stream");
  } catch (error) {
    throw new VarveError("UNSUPPORTED", `Cannot read the Arrow table: ${messageOf(error)}`, { cause: error });
  }
}

/** The Table of an IPC stream. */
export function arrowFromIpc(bytes: Uint8Array): Table {
  return arrow().tableFromIPC(bytes);
}
