/** The expression tree: frozen plain data that compiles to SQL (in bulk) and to JavaScript (per row). */
import type { DataType } from "../schema.ts";
import type { Operation } from "./operations.ts";

/** An expression over the columns of one row. */
export type ExprNode =
  | { readonly kind: "column"; readonly name: string }
  | LiteralNode
  | {
    readonly kind: "call";
    readonly operation: Operation;
    readonly args: readonly ExprNode[];
    /** Constants of the operation that are not expressions: a regex, a time zone, a unit. */
    readonly options?: OperationOptions;
  }
  | {
    readonly kind: "case";
    readonly branches: readonly { readonly when: ExprNode; readonly then: ExprNode }[];
    readonly otherwise: ExprNode;
  }
  | { readonly kind: "cast"; readonly input: ExprNode; readonly to: DataType; readonly onError: "fail" | "null" };

/** Constants of an operation by name. */
export type OperationOptions = Readonly<Record<string, OptionValue>>;

/** A constant of an operation; the names of a struct's parts are a list. */
export type OptionValue = string | number | boolean | readonly string[];

/** The call of an operation, one kind of {@link ExprNode}. */
export type CallNode = Extract<ExprNode, { readonly kind: "call" }>;

/**
 * A constant. `value` is JSON-safe: int64, duration and timestamp as decimal text of the integer, date as `YYYY-MM-DD`,
 * non-finite floats as `"NaN"`, `"Infinity"`, `"-Infinity"`, `-0` as `"-0"`, binary as base64, lists and structs by element; null is null.
 */
export interface LiteralNode {
  /** What tells it from other nodes. */
  readonly kind: "literal";
  /** The type of the constant. */
  readonly type: DataType;
  /** The constant as JSON. */
  readonly value: LiteralValue;
}

/** A constant as JSON. */
export type LiteralValue =
  | null
  | string
  | number
  | boolean
  | readonly LiteralValue[]
  | { readonly [name: string]: LiteralValue };

/** The column that holds the time of a request in the rows of realtime views; no column of a user's has such a name. */
export const requestTimeColumn = "__request_timestamp";
