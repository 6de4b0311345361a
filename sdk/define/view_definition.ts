/** From what a user says about a view of attributes to the plain data that the registry stores. */
import { type Issue, throwIssues } from "../errors.ts";
import type { Query } from "../frame/query.ts";
import { schemaOf } from "../frame/query_schema.ts";
import { columnNames, findField, type Row, type SchemaTypes } from "../schema.ts";
import type { AttributeView, FeatureDefinition, ViewDefinition } from "./definitions.ts";
import { chosenFeatures, storedOptions, viewHead, viewRows, viewTail } from "./view_base.ts";
import { viewIssues } from "./view_checks.ts";
import type { KeyedSource, ViewOptions } from "./view_types.ts";

/** Makes and checks the plain data of a view; every problem is told at once. */
export function viewDefinition(
  name: string,
  source: KeyedSource<Row, SchemaTypes>,
  options: ViewOptions,
): AttributeView {
  const issues: Issue[] = [];
  const rows = viewRows(source, options, issues);
  const taken = new Set([
    ...source.entity.joinKeys.map((key) => key.name),
    rows.times.eventTimestamp,
    rows.times.writtenTimestamp,
  ]);
  const columns = columnNames(schemaOf(rows.query)).filter((column) => !taken.has(column));
  const definition: AttributeView = Object.freeze({
    ...viewHead(name, "attributes", source, rows),
    features: Object.freeze(featuresOf(options, columns, rows.query, issues)),
    ...viewTail(options, issues),
  });
  throwViewIssues(name, definition, issues);
  return definition;
}

/** Throws all problems of a view that is being made; `issues` are those found so far, of what could not even be stored. */
export function throwViewIssues(name: string, definition: ViewDefinition, issues: readonly Issue[]): void {
  const told = new Set(issues.map((issue) => issue.path));
  throwIssues(`Cannot define view ${JSON.stringify(name)}`, [
    ...issues,
    ...viewIssues(definition).filter((issue) => !told.has(issue.path)),
  ]);
}

/** Features in the order of the query's columns, so that the order in which they were named does not matter. */
function featuresOf(
  options: ViewOptions,
  columns: readonly string[],
  query: Query,
  issues: Issue[],
): FeatureDefinition[] {
  const schema = schemaOf(query);
  const order = columnNames(schema);
  const rank = (name: string) => order.includes(name) ? order.indexOf(name) : order.length;
  return [...chosenFeatures(options, columns, issues)].sort(([a], [b]) => rank(a) - rank(b)).map(([name, more]) => {
    const type = findField(schema, name)?.type ?? "string";
    return Object.freeze({ name, type, ...storedOptions(name, type, more, issues) });
  });
}
