/** From what a user says about a realtime view to the plain data that the registry stores. */
import { type Issue, messageOf, optionIssues, type OptionNames, throwIssues } from "../errors.ts";
import { Expr } from "../frame/expr.ts";
import type { ExprNode } from "../frame/expr_node.ts";
import { type DataType, type Field, parseType, type SchemaTypes } from "../schema.ts";
import { descriptive } from "./checks.ts";
import type { Descriptive, FeatureDefinition, RealtimeCompute, RealtimeViewDefinition } from "./definitions.ts";
import { computedType, realtimeIssues, realtimeViewIssues } from "./realtime_checks.ts";
import { publishedCompute } from "./realtime_function.ts";
import type { RealtimeInput } from "./realtime_types.ts";
import type { ViewSelection } from "./selection.ts";
import { differingViews, inputsOf, keysOf } from "./uses.ts";
import { storedOptions } from "./view_base.ts";

const realtimeOptions: OptionNames<RealtimeInput> = {
  request: true,
  from: true,
  features: true,
  output: true,
  compute: true,
  defaults: true,
  descriptions: true,
  description: true,
  owner: true,
  tags: true,
};

/** Makes and checks the plain data of a realtime view; every problem is told at once. */
export function realtimeDefinition(
  name: string,
  selections: readonly ViewSelection[],
  options: RealtimeInput,
): RealtimeViewDefinition {
  const issues: Issue[] = optionIssues(options, realtimeOptions);
  const from = selections.map((selection) => selection.use);
  const views = new Map(selections.map(({ view }) => [view.name, view]));
  const request = fieldsOf(options.request ?? {}, "request", issues);
  const parts = { from, request, inputs: inputsOf(from, views) };
  const { compute, outputs } = "compute" in options || options.output !== undefined
    ? byFunction(name, options, issues)
    : byExpressions(parts, options.features, issues);
  const definition: RealtimeViewDefinition = Object.freeze({
    kind: "realtimeView",
    name,
    request,
    from: Object.freeze(from),
    inputs: parts.inputs,
    joinKeys: keysOf(from, views),
    compute,
    features: Object.freeze(featuresOf(outputs, options, issues)),
    ...descriptive(options),
  });
  const told = new Set(issues.map((issue) => issue.path));
  throwIssues(`Cannot define realtime view ${JSON.stringify(name)}`, [
    ...issues,
    ...[
      ...realtimeIssues({
        ...definition,
        ...options as Descriptive,
        request,
        from,
        compute,
        features: definition.features,
      }),
      ...realtimeViewIssues(definition, views),
      ...differingViews(selections.map(({ view }) => view)),
    ].filter((issue) => !told.has(issue.path)),
  ]);
  return definition;
}

/** What computes the features, and the types that it gives them. */
interface Computed {
  readonly compute: RealtimeCompute;
  readonly outputs: readonly Field[];
}

function byFunction(name: string, options: RealtimeInput, issues: Issue[]): Computed {
  if (options.features !== undefined) {
    issues.push({
      path: "features",
      message: "a function gives the features, whose types are its output; give either features or output and compute",
    });
  }
  return {
    compute: publishedCompute(name, options.compute, issues),
    outputs: fieldsOf(options.output ?? {}, "output", issues),
  };
}

function byExpressions(
  parts: Pick<RealtimeViewDefinition, "request" | "inputs">,
  features: RealtimeInput["features"],
  issues: Issue[],
): Computed {
  const expressions = expressionsOf(features, issues);
  return {
    compute: Object.freeze({ kind: "expressions", expressions: Object.freeze(expressions) }),
    outputs: Object.entries(expressions).map(([name, node]) => ({
      name,
      type: typeOf(node, parts, `features.${name}`, issues),
    })),
  };
}

function fieldsOf(types: SchemaTypes, path: "request" | "output", issues: Issue[]): readonly Field[] {
  return Object.freeze(
    Object.entries(types).map(([name, type]) => {
      let parsed: DataType = "string";
      try {
        parsed = parseType(type, `the type of ${path === "request" ? "a request field" : "an output field"}`);
      } catch (error) {
        issues.push({ path: `${path}.${name}`, message: messageOf(error) });
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
  outputs: readonly Field[],
  { defaults = {}, descriptions = {} }: RealtimeInput,
  issues: Issue[],
): FeatureDefinition[] {
  const names = outputs.map(({ name }) => name);
  for (const [what, record] of [["defaults", defaults], ["descriptions", descriptions]] as const) {
    for (const name of Object.keys(record)) {
      if (names.includes(name)) continue;
      issues.push({ path: `${what}.${name}`, message: `there is no such feature; features are ${names.join(", ")}` });
    }
  }
  return outputs.map(({ name, type }) => {
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
