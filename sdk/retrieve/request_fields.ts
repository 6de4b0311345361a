/** What requests give beside join keys: checked, and brought into row form. */
import { rowValue } from "../engine/value_form.ts";
import { messageOf, VarveError } from "../errors.ts";
import { type Field, formatType, type Row } from "../schema.ts";
import { type AnyRead, isRealtime } from "./feature_read.ts";

/** The request fields that reads need, each once. */
export function requestFieldsOfReads(reads: readonly AnyRead[]): readonly Field[] {
  const fields = reads.filter(isRealtime).flatMap(({ definition }) => definition.request);
  return Object.freeze([...new Map(fields.map((field) => [field.name, field])).values()]);
}

/** The fields of some requests in row form; every field must be there, null included, and no other. */
export function requestRows(
  title: string,
  fields: readonly Field[],
  given: readonly Row[],
  count: number,
): Record<string, unknown>[] {
  const rows: Record<string, unknown>[] = [];
  for (let r = 0; r < count; r++) {
    const problems = problemsOf(fields, given[r] ?? {}, rows[r] = {});
    if (problems.length === 0) continue;
    const known = fields.map(({ name, type }) => `${name} ${formatType(type)}`).join(", ") || "none";
    const where = count === 1 ? "" : ` (row ${r} of ${count}, from 0)`;
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot read ${title}: ${problems.join("; ")}; request fields are ${known}${where}`,
      { details: { fields: fields.map(({ name, type }) => ({ name, type: formatType(type) })), row: r } },
    );
  }
  return rows;
}

/** Refuses fields where nothing asks for any. */
export function checkNoFields(title: string, given: readonly Row[]): void {
  requestRows(title, [], given, given.length);
}

function problemsOf(fields: readonly Field[], given: Row, row: Record<string, unknown>): string[] {
  const problems: string[] = [];
  for (const name of Object.keys(given)) {
    if (fields.some((field) => field.name === name)) continue;
    problems.push(`there is no request field ${JSON.stringify(name)}`);
  }
  for (const { name, type } of fields) {
    const value: unknown = Object.hasOwn(given, name) ? given[name] : undefined;
    if (value === undefined) {
      problems.push(`request field "${name}" is missing (null where there is none)`);
      continue;
    }
    try {
      row[name] = rowValue(value, type);
    } catch (error) {
      problems.push(`request field "${name}" does not fit: ${messageOf(error)}`);
    }
  }
  return problems;
}
