/** The time of a request, which expressions of realtime views may read beside their columns. */
import type { Timestamp } from "../time.ts";
import { Expr } from "./expr.ts";
import { requestTimeColumn } from "./expr_node.ts";

/**
 * When the request was made: online the time of the request, in training the event timestamp of the spine's row (S4). Only
 * expressions of realtime views may read it.
 */
export function requestTimestamp(): Expr<"__request_timestamp", Timestamp> {
  return new Expr(Object.freeze({ kind: "column", name: requestTimeColumn }));
}
