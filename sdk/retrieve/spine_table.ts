/** A spine that was loaded into the engine. */
import type { Field } from "../schema.ts";

/** The rows that are asked for, as a temporary table with `rowColumn` numbering its rows from 0 and the spine's columns. */
export interface SpineTable {
  readonly table: string;
  readonly schema: readonly Field[];
  readonly rows: number;
  readonly eventTimestamp: string;
}

/** The column of a spine table that numbers its rows. */
export const rowColumn = "__varve_row";
