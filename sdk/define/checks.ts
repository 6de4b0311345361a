/** Checks that every kind of definition shares. Each gives issues; whoever builds or parses throws them all at once. */
import type { Issue } from "../errors.ts";
import { literalProblem } from "../frame/expr_literal.ts";
import { keyTypes } from "../frame/window_checks.ts";
import { type Field, formatType, nameProblem } from "../schema.ts";
import { type Descriptive, type EntityDefinition, type FeatureDefinition, reservedColumns } from "./definitions.ts";

/** The most join keys that an entity may have. */
export const maxJoinKeys = 8;

/** What the engine calls the places of rows in files: a stored column of that name would be taken for them. */
const positionColumns: readonly string[] = ["file_index", "file_row_number"];

const maxDescriptionLength = 10_000;
const maxTags = 64;

/** The problem with the name of a definition, as issues. */
export function nameIssues(name: unknown, path = "name"): Issue[] {
  const problem = nameProblem(name);
  return problem === undefined ? [] : [{ path, message: `${JSON.stringify(name)} cannot be a name: ${problem}` }];
}

/** The problem with the name of a column of a stored table: it must not meet one of the table's own. */
export function columnIssues(name: unknown, path: string): Issue[] {
  const issues = nameIssues(name, path);
  if (issues.length > 0 || typeof name !== "string") return issues;
  if (name.startsWith("__")) {
    return [{ path, message: `"${name}" cannot be a name: names that start with __ are reserved` }];
  }
  if (positionColumns.includes(name.toLowerCase())) {
    return [{
      path,
      message: `"${name}" cannot be a name: it is reserved for the places of stored rows; rename the column`,
    }];
  }
  if ((Object.values(reservedColumns) as string[]).includes(name.toLowerCase())) {
    return [{
      path,
      message: `"${name}" cannot be a name: it is reserved for the times of stored rows; rename the column`,
    }];
  }
  return [];
}

/** Problems of description, owner and tags. */
export function descriptiveIssues(value: Descriptive): Issue[] {
  const issues: Issue[] = [];
  for (const name of ["description", "owner"] as const) {
    const text: unknown = value[name];
    if (text === undefined) continue;
    if (typeof text !== "string") issues.push({ path: name, message: `it is ${JSON.stringify(text)}, not text` });
    else if (text.length > maxDescriptionLength) {
      issues.push({ path: name, message: `it is longer than ${maxDescriptionLength} characters` });
    }
  }
  const tags: unknown = value.tags;
  if (tags === undefined) return issues;
  if (typeof tags !== "object" || tags === null || Array.isArray(tags)) {
    return [...issues, { path: "tags", message: 'they are not a record of texts, as in { team: "growth" }' }];
  }
  const entries = Object.entries(tags);
  if (entries.length > maxTags) {
    issues.push({ path: "tags", message: `there are ${entries.length}, at most ${maxTags} are allowed` });
  }
  for (const [name, text] of entries) {
    if (typeof text !== "string") {
      issues.push({ path: `tags.${name}`, message: `it is ${JSON.stringify(text)}, not text` });
    }
  }
  return issues;
}

/** Problems of an entity. */
export function entityIssues(entity: EntityDefinition): Issue[] {
  return [...nameIssues(entity.name), ...joinKeyIssues(entity.joinKeys), ...descriptiveIssues(entity)];
}

function joinKeyIssues(keys: readonly Field[]): Issue[] {
  if (keys.length === 0) {
    return [{ path: "joinKeys", message: 'there are none; name at least one, as in { user_id: "string" }' }];
  }
  const issues: Issue[] = [];
  if (keys.length > maxJoinKeys) {
    issues.push({ path: "joinKeys", message: `there are ${keys.length}, at most ${maxJoinKeys} are allowed` });
  }
  for (const key of keys) {
    const path = `joinKeys.${key.name}`;
    issues.push(...columnIssues(key.name, path));
    if (!keyTypes.includes(key.type)) {
      issues.push({ path, message: `${formatType(key.type)} cannot be a join key; types are ${keyTypes.join(", ")}` });
    }
  }
  return [...issues, ...twinIssues(keys.map((key) => key.name), "joinKeys")];
}

/** Names that are there twice; names of columns that differ only in case are the same for an engine. */
export function twinIssues(names: readonly string[], path: string): Issue[] {
  const seen = new Map<string, string>();
  const issues: Issue[] = [];
  for (const name of names) {
    const twin = seen.get(name.toLowerCase());
    if (twin !== undefined) {
      const how = twin === name ? "is there twice" : `differs from "${twin}" in case only`;
      issues.push({ path: `${path}.${name}`, message: `"${name}" ${how}` });
    }
    seen.set(name.toLowerCase(), name);
  }
  return issues;
}

/** Description, owner and tags in canonical form: absent when empty, tags in order of their names. */
export function descriptive(value: Descriptive): Descriptive {
  const tags = Object.entries(value.tags ?? {}).sort(([a], [b]) => a < b ? -1 : 1);
  return {
    ...(value.description ? { description: value.description } : {}),
    ...(value.owner ? { owner: value.owner } : {}),
    ...(tags.length > 0 ? { tags: Object.freeze(Object.fromEntries(tags)) } : {}),
  };
}

/** Problems of the value that replaces null in a feature. */
export function defaultIssues(feature: FeatureDefinition, path: string): Issue[] {
  if (feature.default === undefined) return [];
  if (feature.default === null) {
    return [{ path: `${path}.default`, message: "null is what a default replaces; leave it out" }];
  }
  const problem = literalProblem(feature.default, feature.type);
  return problem === undefined ? [] : [{ path: `${path}.default`, message: problem }];
}
