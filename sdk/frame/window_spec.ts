/** What aggregations over windows are, as frozen plain data; views of aggregates are made of it. All lengths are canonical durations. */
import type { ExprNode, LiteralValue } from "./expr_node.ts";

/** Which windows a view serves (S5). */
export type WindowEdge = "complete" | "exact" | "fresh";

/** Whether windows hold the instant that is asked for (S5). */
export type WindowBoundary = "inclusive" | "exclusive";

/** One function over the rows of a window. Rows whose input is null, or for which `where` is not true, do not count (S7). */
export interface AggregationDefinition {
  /** Unique in the view. */
  readonly name: string;
  /** What is computed: a function of varve, or one that every process has registered. */
  readonly function: string;
  /** Over what; absent for the number of rows. */
  readonly input?: ExprNode;
  /** What orders, for minBy and maxBy. */
  readonly by?: ExprNode;
  /** Only rows for which this is true count. */
  readonly where?: ExprNode;
  /** Constants of the function: n, quantile, precision, bounds. */
  readonly parameters?: Readonly<Record<string, LiteralValue>>;
}

/** Which rows count, seen back from the instant at which a view's windows end. All lengths are canonical durations. */
export type WindowDefinition =
  /** `size` long, and ending `offset` before the others. */
  | { readonly kind: "time"; readonly size: string; readonly offset: string }
  /** Everything since the view's start. */
  | { readonly kind: "lifetime"; readonly offset: string }
  /** Windows of `size`, the first starting `from` before, each `step` after the one before it, none ending later than `to` before. */
  | {
    readonly kind: "series";
    readonly size: string;
    readonly step: string;
    readonly from: string;
    readonly to: string;
  };
