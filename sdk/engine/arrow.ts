/** The door to apache-arrow: Tables out, from IPC streams (they come in through `arrow_in.ts`). */
import { createRequire } from "node:module";
import type { Table } from "apache-arrow";

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

/** The Table of an IPC stream. */
export function arrowFromIpc(bytes: Uint8Array): Table {
  return arrow().tableFromIPC(bytes);
}
