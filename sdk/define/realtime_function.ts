/** The function of a realtime view: what it is given, what it gives, and whether its text may be published. */
import { type Issue, throwIssues, VarveError } from "../errors.ts";
import { requestTimeColumn } from "../frame/expr_node.ts";
import { isNeverNull } from "../frame/window_aggregations.ts";
import { type AnyFunction, functionSource, sourceOfText } from "../sandbox/function_source.ts";
import type { PublishedFunction } from "../sandbox/published_function.ts";
import type { Schema } from "../schema.ts";
import type { RealtimeFunction, RealtimeViewDefinition, ViewDefinition } from "./definitions.ts";
import { realtimeSchema, requestTimeField } from "./realtime_checks.ts";

/** The function of a realtime view as it is run; undefined where expressions compute it. */
export function realtimeFunction(view: RealtimeViewDefinition): PublishedFunction | undefined {
  const { compute, name, features } = view;
  if (compute.kind !== "function") return undefined;
  return Object.freeze({
    name: titleOf(name),
    source: compute.source,
    hash: compute.hash,
    input: functionInput(view),
    output: features.map((feature) => ({ name: feature.name, type: feature.type })),
  });
}

/** The fields of the row that a function is given. */
export function functionInput(view: Pick<RealtimeViewDefinition, "request" | "inputs">): Schema {
  return realtimeSchema(view).map((field) =>
    field.name === requestTimeColumn ? { name: requestTimeField, type: field.type } : field
  );
}

/** Fields of the row that are never null: the time of the request, and inputs that have a default or are counts or lists (S7). */
export function neverNullFields(
  { from }: RealtimeViewDefinition,
  find: (view: string) => ViewDefinition | undefined,
): string[] {
  const inputs = from.flatMap(({ view: name, features }) => {
    const view = find(name);
    return view ? features.filter(({ feature }) => isNeverNullFeature(view, feature)).map(({ as }) => as) : [];
  });
  return [requestTimeField, ...inputs];
}

function isNeverNullFeature(view: ViewDefinition, name: string): boolean {
  if (view.features.find((feature) => feature.name === name)?.default !== undefined) return true;
  if (view.mode !== "aggregates") return false;
  const feature = view.features.find((each) => each.name === name)!;
  const aggregation = view.aggregations.find((each) => each.name === feature.aggregation);
  return isNeverNull(aggregation, feature.window, view.secondaryKey !== undefined);
}

/** What is published of a function; what keeps it from being published goes to the issues. */
export function publishedCompute(name: string, fn: unknown, issues: Issue[]): RealtimeFunction {
  try {
    if (fn !== undefined) {
      return Object.freeze({ kind: "function", ...functionSource(fn as AnyFunction, titleOf(name)) });
    }
    const message = "it is missing; give the function that gives the output, or expressions as features without output";
    issues.push({ path: "compute", message });
  } catch (error) {
    issues.push(...sourceIssues(error, "compute"));
  }
  return Object.freeze({ kind: "function", source: "", hash: "" });
}

/** Refuses the text of a function that came from outside: a hash that is not its own is CORRUPT. */
export function checkSource({ name, compute }: RealtimeViewDefinition): void {
  if (compute.kind !== "function") return;
  const subject = `Cannot read ${titleOf(name)}`;
  let found: ReturnType<typeof sourceOfText>;
  try {
    found = sourceOfText(compute.source, titleOf(name));
  } catch (error) {
    return throwIssues(subject, sourceIssues(error, "compute.source"));
  }
  if (found.hash === compute.hash && found.source === compute.source) return;
  throw new VarveError(
    "CORRUPT",
    `${subject}: the text of its function does not have the hash that was published with it; publish it again from its code`,
    { details: { view: name } },
  );
}

function titleOf(name: string): string {
  return `realtime view ${JSON.stringify(name)}`;
}

function sourceIssues(error: unknown, path: string): Issue[] {
  if (!(error instanceof VarveError) || error.code !== "INVALID_DEFINITION") throw error;
  const issues = error.details["issues"] as readonly Issue[] | undefined;
  if (issues) return issues.map((issue) => ({ path: `${path}, ${issue.path}`, message: issue.message }));
  return [{ path, message: error.message.replace(/^Cannot publish .*?": /s, "") }];
}
