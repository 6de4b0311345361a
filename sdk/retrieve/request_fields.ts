/** What requests give beside join keys: checked, and brought into row form. */
import { rowValue } from "../engine/value_form.ts";
import { messageOf, VarveError } from "../errors.ts";
import { type DataType, type Field, formatType, isListType, isStructType, type Row } from "../schema.ts";
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
      checkParts(value, type);
      row[name] = rowValue(value, type);
    } catch (error) {
      problems.push(`request field "${name}" does not fit: ${messageOf(error)}`);
    }
  }
  return problems;
}

/** Structs have all of their fields, null included, and no other, as the request itself. */
function checkParts(value: unknown, type: DataType): void {
  if (typeof value !== "object" || value === null) return;
  if (isListType(type)) {
    // Numbers of typed arrays have no parts.
    if (Array.isArray(value)) { for (const each of value) checkParts(each, type.list); }
  } else if (isStructType(type)) {
    const names = type.struct.map(({ name }) => name);
    const extra = Object.keys(value).filter((name) => !names.includes(name));
    const missing = names.filter((name) => !Object.hasOwn(value, name));
    const problems = [
      ...extra.map((name) => `there is no field ${JSON.stringify(name)}`),
      ...missing.map((name) => `field "${name}" is missing (null where there is none)`),
    ];
    if (problems.length > 0) throw new TypeError(`${problems.join(", ")}; it is ${formatType(type)}`);
    for (const part of type.struct) checkParts((value as Row)[part.name], part.type);
  }
}
