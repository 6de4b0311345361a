/** From what a user says about a realtime view to the plain data that the registry stores. */
import { type Issue, messageOf, throwIssues } from "../errors.ts";
import { Expr } from "../frame/expr.ts";
import type { ExprNode } from "../frame/expr_node.ts";
import { type DataType, type Field, parseType, type SchemaTypes } from "../schema.ts";
import { descriptive } from "./checks.ts";
import type { FeatureDefinition, RealtimeViewDefinition } from "./definitions.ts";
import { computedType, realtimeIssues, realtimeViewIssues } from "./realtime_checks.ts";
import type { RealtimeInput } from "./realtime_types.ts";
import type { ViewSelection } from "./selection.ts";
import { differingViews, inputsOf, keysOf } from "./uses.ts";
import { storedOptions } from "./view_base.ts";

/** Makes and checks the plain data of a realtime view; every problem is told at once. */
export function realtimeDefinition(
  name: string,
  selections: readonly ViewSelection[],
  options: RealtimeInput,
): RealtimeViewDefinition {
  const issues: Issue[] = [];
  const from = selections.map((selection) => selection.use);
  const views = new Map(selections.map(({ view }) => [view.name, view]));
  const request = requestFields(options.request ?? {}, issues);
  const parts = { from, request, inputs: inputsOf(from, views) };
  const expressions = expressionsOf(options.features, issues);
  const definition: RealtimeViewDefinition = Object.freeze({
    kind: "realtimeView",
    name,
    request,
    from: Object.freeze(from),
    inputs: parts.inputs,
    joinKeys: keysOf(from, views),
    compute: Object.freeze({ kind: "expressions", expressions: Object.freeze(expressions) }),
    features: Object.freeze(featuresOf(parts, expressions, options, issues)),
    ...descriptive(options),
  });
  const told = new Set(issues.map((issue) => issue.path));
  throwIssues(`Cannot define realtime view ${JSON.stringify(name)}`, [
    ...issues,
    ...[
      ...realtimeIssues({ ...definition, ...options, request, from, features: definition.features }),
      ...realtimeViewIssues(definition, views),
      ...differingViews(selections.map(({ view }) => view)),
    ].filter((issue) => !told.has(issue.path)),
  ]);
  return definition;
}

function requestFields(types: SchemaTypes, issues: Issue[]): readonly Field[] {
  return Object.freeze(
    Object.entries(types).map(([name, type]) => {
      let parsed: DataType = "string";
      try {
        parsed = parseType(type, "the type of a request field");
      } catch (error) {
        issues.push({ path: `request.${name}`, message: messageOf(error) });
      }
      return Object.freeze({ name, type: parsed });
    }),
  );
}

function expressionsOf(features: RealtimeInput["features"], issues: Issue[]): Record<string, ExprNode> {
  const expressions: Record<string, ExprNode> = {};
  for (const [name, value] of Object.entries(features ?? {})) {
    if (value instanceof Expr) expressions[name] = value.node;
    else if (typeof value === "string") expressions[name] = Object.freeze({ kind: "column", name: value });
    else {
      issues.push({
        path: `features.${name}`,
        message: 'it is no expression; give one, as in col("amount").divide(col("usual")), or the name of a column',
      });
    }
  }
  return expressions;
}

function featuresOf(
  parts: Pick<RealtimeViewDefinition, "request" | "inputs">,
  expressions: Readonly<Record<string, ExprNode>>,
  { defaults = {}, descriptions = {} }: RealtimeInput,
  issues: Issue[],
): FeatureDefinition[] {
  const names = Object.keys(expressions);
  for (const [what, record] of [["defaults", defaults], ["descriptions", descriptions]] as const) {
    for (const name of Object.keys(record)) {
      if (names.includes(name)) continue;
      issues.push({ path: `${what}.${name}`, message: `there is no such feature; features are ${names.join(", ")}` });
    }
  }
  return names.map((name) => {
    const type = typeOf(expressions[name]!, parts, `features.${name}`, issues);
    const description = descriptions[name];
    return Object.freeze({
      name,
      type,
      ...storedOptions(name, type, {
        ...(Object.hasOwn(defaults, name) && { default: defaults[name] }),
        ...(description !== undefined && { description }),
      }, issues),
    });
  });
}

function typeOf(
  node: ExprNode,
  parts: Pick<RealtimeViewDefinition, "request" | "inputs">,
  path: string,
  issues: Issue[],
): DataType {
  const found = computedType(node, parts);
  if ("type" in found) return found.type;
  issues.push({ path, message: found.problem });
  return "string";
}
