/** Pieces of compiled SQL: what a step gives, and how SELECTs are laid out. */
import { columnNames } from "../schema.ts";
import type { Schema } from "../schema.ts";
import { quoteName } from "./engine.ts";

/** The column that says which slice a row belongs to. */
export const sliceColumn = "__slice";

/** The column that grows with the order of the source's rows. */
export const positionColumn = "__position";

/** A compiled step: its columns are `__slice` (when sliced by interval), those of the schema, `__position` (when positioned). */
export interface Part {
  readonly sql: string;
  readonly schema: Schema;
  readonly sliced: boolean;
  readonly positioned: boolean;
}

/** `SELECT columns FROM (input) rest`, laid out for people. */
export function selectFrom(columns: readonly string[], input: string, rest = "", alias = ""): string {
  const from = `(\n  ${input.replaceAll("\n", "\n  ")}\n)${alias ? ` AS ${alias}` : ""}`;
  return `SELECT ${columns.join(", ")}\nFROM ${from}${rest ? `\n${rest}` : ""}`;
}

/** `sql AS "name"`, unless it has that name already. */
export function as(sql: string, name: string): string {
  const quoted = quoteName(name);
  return sql === quoted || sql === `l.${quoted}` || sql === `r.${quoted}` ? sql : `${sql} AS ${quoted}`;
}

/** Quoted names of columns. */
export function names(schema: Schema): string[] {
  return columnNames(schema).map(quoteName);
}

/** A projection of a part that keeps the columns carried along. */
export function carry(input: Part, columns: readonly string[], schema: Schema): Part {
  const all = [...(input.sliced ? [sliceColumn] : []), ...columns, ...(input.positioned ? [positionColumn] : [])];
  return { ...input, schema, sql: selectFrom(all, input.sql) };
}
