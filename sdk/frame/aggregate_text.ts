/** Aggregates as readable text. */
import type { ExprNode, LiteralValue } from "./expr_node.ts";
import { exprText } from "./expr_text.ts";

/** A function and its inputs, of a group or over windows. */
export interface AggregateParts {
  /** What is computed. */
  readonly function: string;
  /** Over what; absent for the number of rows. */
  readonly input?: ExprNode;
  /** What orders the rows. */
  readonly by?: ExprNode;
  /** Only rows for which this is true count. */
  readonly where?: ExprNode;
  /** Of a group: between 0 and 1. */
  readonly quantile?: number;
  /** Constants of a function over windows. */
  readonly parameters?: Readonly<Record<string, LiteralValue>>;
}

/** `mean(delay) where status = "ok"`, `last(delay, 10)`. */
export function aggregateText(
  { function: called, input, by, where, quantile, parameters = {} }: AggregateParts,
): string {
  const args = [
    ...(input ? [exprText(input)] : []),
    ...(quantile === undefined ? [] : [String(quantile)]),
    ...(by ? [`by ${exprText(by)}`] : []),
    ...Object.entries(parameters).map(([name, value]) => {
      const text = JSON.stringify(value);
      return name === "n" || name === "k" ? text : `${name} ${text}`;
    }),
  ];
  return `${writtenFunction(called)}(${args.join(", ")})${where ? ` where ${exprText(where)}` : ""}`;
}

/** A function as people write it: `last(x, n)` is stored as lastN. */
export function writtenFunction(stored: string): string {
  return stored.replace(/^(first|last|min|max)N$/, "$1");
}
