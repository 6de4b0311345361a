/** Every check of a realtime view's definition, wherever it comes from: a builder, a file, another process. */
import { type Issue, messageOf } from "../errors.ts";
import { columnsOf } from "../frame/expr_json.ts";
import { type ExprNode, requestTimeColumn } from "../frame/expr_node.ts";
import { typeOfExpr } from "../frame/expr_type.ts";
import { columnNames, type DataType, type Field, formatType, sameType, type Schema } from "../schema.ts";
import { columnIssues, defaultIssues, descriptiveIssues, nameIssues, twinIssues } from "./checks.ts";
import type { AnyView, RealtimeExpressions, RealtimeViewDefinition, ViewDefinition } from "./definitions.ts";
import { inputsOf, keysOf, usesIssues, usesViewIssues } from "./uses.ts";

/** The columns that are computed from: request fields, inputs, and the time of the request. */
export function realtimeSchema({ request, inputs }: Pick<RealtimeViewDefinition, "request" | "inputs">): Schema {
  return [...request, ...inputs, { name: requestTimeColumn, type: "timestamp" }];
}

/** What the row of a function calls the time of the request. */
export const requestTimeField = "requestTimestamp";

/** Problems of a realtime view that can be seen without the views that it reads. */
export function realtimeIssues(view: RealtimeViewDefinition): Issue[] {
  return [
    ...nameIssues(view.name),
    ...descriptiveIssues(view),
    ...requestFieldIssues(view),
    ...usesIssues(view.from, "from"),
    ...inputIssues(view),
    ...featureIssues(view),
    ...(view.compute.kind === "function" ? [] : expressionIssues(view, view.compute.expressions)),
  ];
}

/** Problems of a realtime view with the views that it reads: what they no longer have, and what has another type now. */
export function realtimeViewIssues(view: RealtimeViewDefinition, views: ReadonlyMap<string, AnyView>): Issue[] {
  const nested = view.from.filter((use) => views.get(use.view)?.kind === "realtimeView");
  if (nested.length > 0) {
    return nested.map((use) => ({
      path: `from.${use.alias}`,
      message:
        `"${use.view}" is a realtime view itself; take the views that it reads, and compute here what it computes`,
    }));
  }
  const issues = usesViewIssues(view.from, views, "from");
  if (issues.length > 0) return issues;
  return [
    ...changedIssues("inputs", view.inputs, inputsOf(view.from, views)),
    ...changedIssues("join key", view.joinKeys, keysOf(view.from, views)),
  ];
}

/** Whether these versions of views are what a realtime view was made for. */
export function fitsViews(view: RealtimeViewDefinition, find: (name: string) => ViewDefinition | undefined): boolean {
  const views = new Map(view.from.flatMap((use) => {
    const found = find(use.view);
    return found ? [[use.view, found] as const] : [];
  }));
  return realtimeViewIssues(view, views).length === 0;
}

/** The columns that a feature is computed from, of {@link realtimeSchema}. */
export function columnsOfFeature(view: RealtimeViewDefinition, feature: string): string[] {
  return view.compute.kind === "function"
    ? columnNames(realtimeSchema(view))
    : columnsOf(view.compute.expressions[feature]!);
}

/** The type of an expression over request fields, inputs and the time of the request, or why it has none. */
export function computedType(
  node: ExprNode,
  parts: Pick<RealtimeViewDefinition, "request" | "inputs">,
): { readonly type: DataType } | { readonly problem: string } {
  const schema = realtimeSchema(parts);
  const known = columnNames(schema);
  const unknown = columnsOf(node).filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    const columns = known.filter((name) => name !== requestTimeColumn);
    return {
      problem: `there is no column ${unknown.map((name) => JSON.stringify(name)).join(", ")}; columns are ${
        columns.join(", ") || "none"
      }, and requestTimestamp()`,
    };
  }
  try {
    return { type: typeOfExpr(node, schema) };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

function changedIssues(what: string, made: readonly Field[], now: readonly Field[]): Issue[] {
  const current = new Map(now.map((field) => [field.name, field.type]));
  return made.flatMap(({ name, type }) => {
    const other = current.get(name);
    if (other !== undefined && sameType(other, type)) return [];
    const state = other === undefined ? "is not there" : `is ${formatType(other)}`;
    return [{
      path: `${what}.${name}`,
      message: `it ${state}, and was ${formatType(type)} when this realtime view was made; publish it again too`,
    }];
  });
}

function requestFieldIssues(view: RealtimeViewDefinition): Issue[] {
  const issues = twinIssues(columnNames(view.request), "request");
  const renamed = (method: string) => `rename one: ${method}({ … }) does so for what it reads`;
  const taken = new Map<string, string>([
    ...view.joinKeys.map(({ name }) => [name, `a join key of what it reads; ${renamed(".mapKeys")}`] as const),
    ...view.inputs.map(({ name }) => [name, `a feature that it reads; ${renamed(".rename")}`] as const),
    ...view.features.map(({ name }) =>
      [
        name,
        "a feature that it computes; give the field or the feature another name",
      ] as const
    ),
  ].map(([name, other]) => [name.toLowerCase(), other]));
  for (const { name } of view.request) {
    const path = `request.${name}`;
    issues.push(...columnIssues(name, path));
    const other = taken.get(name.toLowerCase());
    if (other === undefined) continue;
    issues.push({ path, message: `"${name}" is also ${other}` });
  }
  return issues;
}

/** What is kept of what is read: of whatever was written by hand or is torn. */
function inputIssues({ from, inputs }: RealtimeViewDefinition): Issue[] {
  const read = from.flatMap((use) => use.features.map(({ as }) => as)).join(", ");
  const kept = columnNames(inputs).join(", ");
  return read === kept
    ? []
    : [{ path: "inputs", message: `they are ${kept || "none"}, and from gives ${read || "none"}` }];
}

function featureIssues(view: RealtimeViewDefinition): Issue[] {
  if (view.features.length === 0) {
    const [path, example] = view.compute.kind === "function"
      ? ["output", '{ ratio: "float64" }']
      : ["features", '{ ratio: col("a").divide(col("b")) }'];
    return [{ path, message: `there are none; give at least one, as in ${example}` }];
  }
  const issues = twinIssues(columnNames(view.features), "features");
  for (const feature of view.features) {
    const path = `features.${feature.name}`;
    issues.push(...columnIssues(feature.name, path), ...defaultIssues(feature, path));
  }
  if (view.compute.kind !== "function") return issues;
  for (const [path, fields] of [["request", view.request], ["from", view.inputs]] as const) {
    if (!columnNames(fields).includes(requestTimeField)) continue;
    const message = `"${requestTimeField}" is the time of the request in the row of a function; rename it`;
    issues.push({ path: `${path}.${requestTimeField}`, message });
  }
  return issues;
}

function expressionIssues(view: RealtimeViewDefinition, expressions: RealtimeExpressions["expressions"]): Issue[] {
  const issues: Issue[] = [];
  for (const name of Object.keys(expressions)) {
    if (view.features.some((feature) => feature.name === name)) continue;
    issues.push({ path: `compute.expressions.${name}`, message: "there is no such feature" });
  }
  for (const feature of view.features) {
    const path = `features.${feature.name}`;
    const node = Object.hasOwn(expressions, feature.name) ? expressions[feature.name] : undefined;
    if (!node) {
      issues.push({ path, message: "there is no expression for it" });
      continue;
    }
    const found = computedType(node, view);
    if ("problem" in found) issues.push({ path, message: found.problem });
    else if (!sameType(found.type, feature.type)) {
      issues.push({
        path,
        message: `it is ${formatType(feature.type)}, its expression gives ${formatType(found.type)}`,
      });
    }
  }
  return issues;
}
