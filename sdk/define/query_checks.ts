/** What a view's query may not do, because every slice is computed on its own, and what deserves a warning. */
import type { Issue } from "../errors.ts";
import type { Query } from "../frame/query.ts";
import { traceTimestamp } from "./event_time.ts";

/** Aggregates whose result depends on an order. */
const orderedFunctions: readonly string[] = ["first", "last", "list"];

/** Steps that cannot be in a view's query. */
export function queryIssues(query: Query): Issue[] {
  const issues: Issue[] = [];
  visit(query, (step) => {
    if (step.kind === "limit" || step.kind === "sample") {
      issues.push({
        path: "query",
        message: `${step.kind} cannot be in a view: every slice would be cut on its own; remove it, or filter instead`,
      });
    }
    if (step.kind === "aggregate") {
      for (const each of step.aggregates) {
        if (!orderedFunctions.includes(each.function) || each.by) continue;
        issues.push({
          path: "query",
          message:
            `aggregate "${each.name}" takes ${each.function} in no order, which may differ from run to run; say by what: ` +
            `${each.function}(…, { by: "…" })`,
        });
      }
    }
  });
  return issues;
}

/** What works and may still surprise. */
export function queryWarnings(query: Query): string[] {
  const warnings: string[] = [];
  visit(query, (step) => {
    if (step.kind === "join" && (step.how === "left" || step.how === "inner")) {
      const trace = traceTimestamp(step.right, "eventTimestamp");
      if ("problem" in trace) return;
      warnings.push(
        `the right side of the join on ${step.on.map((key) => `"${key.left}"`).join(", ")} has the event timestamp "${
          trace.columns[0]
        }" but is ` +
          `read whole, so that old slices see its newest rows; use asOfJoin to see what was known then`,
      );
    }
    if (step.kind === "sql") {
      warnings.push(
        "it has a SQL step, so that its slices are computed one by one; a chain of verbs computes many at once",
      );
    }
  });
  return [...new Set(warnings)];
}

/** Steps on and beside the driving path, each once. */
export function visit(query: Query, look: (step: Query) => void, seen: Set<Query> = new Set()): void {
  if (seen.has(query)) return;
  seen.add(query);
  look(query);
  if (query.kind === "union") query.inputs.forEach((input) => visit(input, look, seen));
  else if (query.kind === "sql") Object.values(query.inputs).forEach((input) => visit(input, look, seen));
  else if (query.kind !== "scan") visit(query.input, look, seen);
  if (query.kind === "join" || query.kind === "asOfJoin") visit(query.right, look, seen);
}
