/** Types of expressions: checks a whole tree against a schema and makes every conversion explicit. */
import { VarveError } from "../errors.ts";
import {
  type DataType,
  findField,
  formatType,
  isListType,
  isNumericType,
  isStructType,
  requireField,
  sameType,
  type Schema,
} from "../schema.ts";
import { literalOf, literalProblem, literalValue } from "./expr_literal.ts";
import { exprText } from "./expr_text.ts";
import { commonTypeOf, type Mismatch, type Signature } from "./operation_rules.ts";
import { isStrict, type Operation, operations } from "./operations.ts";
import {
  type CallNode,
  type ExprNode,
  type LiteralNode,
  type OperationOptions,
  requestTimeColumn,
} from "./expr_node.ts";

/** An expression whose every node knows its type, and whose conversions are casts: what compilers read. */
export type TypedExpr =
  | { readonly kind: "column"; readonly name: string; readonly type: DataType }
  | { readonly kind: "literal"; readonly type: DataType; readonly value: unknown /* in row form */ }
  /** A part without columns that has no value: evaluating it is an error. */
  | { readonly kind: "failure"; readonly type: DataType; readonly message: string }
  | TypedCall
  | {
    readonly kind: "case";
    readonly type: DataType;
    readonly branches: readonly TypedBranch[];
    readonly otherwise: TypedExpr;
  }
  | { readonly kind: "cast"; readonly type: DataType; readonly input: TypedExpr; readonly onError: "fail" | "null" };

/** A call whose arguments have exactly the types that its operation computes with. */
export interface TypedCall {
  readonly kind: "call";
  readonly type: DataType;
  readonly operation: Operation;
  readonly args: readonly TypedExpr[];
  readonly options: OperationOptions;
}

export interface TypedBranch {
  readonly when: TypedExpr;
  readonly then: TypedExpr;
}

/** The most nodes of one expression: shared parts count each time they are used. */
export const maxExprNodes = 20_000;

/** The deepest nesting of one expression. */
export const maxExprDepth = 250;

/** The type of an expression over these columns; throws when it does not fit. */
export function typeOfExpr(node: ExprNode, schema: Schema): DataType {
  return typedExpr(node, schema).type;
}

/** The expression with its types; throws when it does not fit the columns. */
export function typedExpr(node: ExprNode, schema: Schema): TypedExpr {
  return new Typing(schema).type(node, 0);
}

/** The type of a column that an expression names; `action` as in {@link requireField}. */
export function columnType(schema: Schema, name: string, action?: string): DataType {
  if (name === requestTimeColumn && !findField(schema, name)) {
    throw new VarveError(
      "INVALID_DEFINITION",
      "Cannot use requestTimestamp() here: it is for the features of realtime views; rows have times in columns of their own",
    );
  }
  return requireField(schema, name, action).type;
}

class Typing {
  readonly #schema: Schema;
  #nodes = 0;

  constructor(schema: Schema) {
    this.#schema = schema;
  }

  type(node: ExprNode, depth: number): TypedExpr {
    if (++this.#nodes > maxExprNodes || depth > maxExprDepth) {
      throw new VarveError(
        "INVALID_DEFINITION",
        `Cannot use expression: it has more than ${maxExprNodes} parts or is nested more than ${maxExprDepth} deep; derive a part of it as a column first`,
      );
    }
    switch (node.kind) {
      case "column":
        return { kind: "column", name: node.name, type: columnType(this.#schema, node.name) };
      case "literal":
        return typedLiteral(node);
      case "call":
        return typedCall(node, node.args.map((arg) => this.type(arg, depth + 1)));
      case "case":
        return this.#case(node, depth);
      case "cast":
        return typedCast(this.type(node.input, depth + 1), node.to, node.onError);
    }
  }

  #case(node: Extract<ExprNode, { kind: "case" }>, depth: number): TypedExpr {
    if (node.branches.length === 0) {
      throw new VarveError("INVALID_DEFINITION", "Cannot use case: it has no branch; give when(...).then(...)");
    }
    const whens = node.branches.map((branch) => this.type(branch.when, depth + 1));
    for (const when of whens) {
      if (when.type !== "boolean" && !isNullLiteral(when)) {
        throw new VarveError(
          "INVALID_DEFINITION",
          `Cannot use ${formatType(when.type)} as a condition of case: it takes boolean`,
        );
      }
    }
    const values = adapted(
      [...node.branches.map((branch) => branch.then), node.otherwise].map((each) => this.type(each, depth + 1)),
    );
    const type = commonTypeOf(values.map((value) => value.type));
    if (type === undefined) {
      throw new VarveError(
        "INVALID_DEFINITION",
        `Cannot use case with results of ${listTypes(values)}: they have no type in common; cast one of them`,
      );
    }
    const converted = values.map((value) => convert(value, type));
    const branches = node.branches.map((_, i) => ({ when: convert(whens[i]!, "boolean"), then: converted[i]! }));
    return { kind: "case", type, branches, otherwise: converted.at(-1)! };
  }
}

function typedLiteral(node: LiteralNode): TypedExpr {
  const problem = literalProblem(node.value, node.type);
  if (problem !== undefined) throw new VarveError("INVALID_DEFINITION", `Cannot use constant: ${problem}`);
  return { kind: "literal", type: node.type, value: literalValue(node) };
}

function typedCall(node: CallNode, args: readonly TypedExpr[]): TypedExpr {
  const spec = operations[node.operation];
  const options = node.options ?? {};
  let chosen = args;
  let signature = spec.rule(args.map((arg) => arg.type), options);
  if ("reason" in signature) {
    // Null and text constants say little about their type: let the other arguments say it.
    chosen = adapted(args);
    const second = spec.rule(chosen.map((arg) => arg.type), options);
    if ("reason" in second) throw callError(node, args, signature);
    signature = second;
  }
  const typed = chosen.map((arg, i) => convert(arg, (signature as Signature).args[i]!));
  // Engines would do the same, but forget the type.
  if (isStrict(node.operation) && typed.some(isNullLiteral)) return typedLiteral(literalOf(null, signature.result));
  return { kind: "call", type: signature.result, operation: node.operation, args: typed, options };
}

function callError(node: CallNode, args: readonly TypedExpr[], mismatch: Mismatch): VarveError {
  const message = `Cannot apply ${JSON.stringify(node.operation)} to ${listTypes(args)}: ${mismatch.reason}`;
  return new VarveError("INVALID_DEFINITION", message, {
    details: { operation: node.operation, types: args.map((arg) => formatType(arg.type)), expression: exprText(node) },
  });
}

function listTypes(args: readonly TypedExpr[]): string {
  return args.map((arg) => isNullLiteral(arg) ? "null" : formatType(arg.type)).join(" and ");
}

function isNullLiteral(expr: TypedExpr): boolean {
  return expr.kind === "literal" && expr.value === null;
}

/** Null constants take the type of what is beside them; text constants beside times are read as times. */
function adapted(args: readonly TypedExpr[]): readonly TypedExpr[] {
  const isText = (arg: TypedExpr) => arg.kind === "literal" && arg.type === "string";
  const sure = args.filter((arg) => !isNullLiteral(arg));
  const model = commonTypeOf(sure.filter((arg) => !isText(arg)).map((arg) => arg.type)) ??
    commonTypeOf(sure.map((arg) => arg.type));
  if (model === undefined) return args;
  return args.map((arg) => {
    if (isNullLiteral(arg)) return typedLiteral(literalOf(null, model));
    return isText(arg) && (model === "date" || model === "timestamp") ? readTime(arg, model) : arg;
  });
}

function readTime(arg: TypedExpr, type: "date" | "timestamp"): TypedExpr {
  const text = (arg as { value: string }).value;
  for (const each of [type, "timestamp"] as const) {
    try {
      return typedLiteral(literalOf(text, each));
    } catch {
      continue;
    }
  }
  return arg;
}

/** The expression as this type; only conversions that rules allow get here. */
function convert(expr: TypedExpr, type: DataType): TypedExpr {
  if (sameType(expr.type, type)) return expr;
  if (isNullLiteral(expr)) return typedLiteral(literalOf(null, type));
  return { kind: "cast", type, input: expr, onError: "fail" };
}

function typedCast(input: TypedExpr, to: DataType, onError: "fail" | "null"): TypedExpr {
  if (isNullLiteral(input)) return typedLiteral(literalOf(null, to));
  if (!canCast(input.type, to)) {
    throw new VarveError(
      "INVALID_DEFINITION",
      `Cannot cast ${formatType(input.type)} to ${formatType(to)}: there is no such conversion`,
    );
  }
  return sameType(input.type, to) ? input : { kind: "cast", type: to, input, onError };
}

/** Whether there is a conversion from one type to the other. */
export function canCast(from: DataType, to: DataType): boolean {
  if (sameType(from, to)) return true;
  if (isListType(from) && isListType(to)) return canCast(from.list, to.list);
  if (isListType(from) || isListType(to) || isStructType(from) || isStructType(to)) return false;
  if (isNumericType(from)) {
    return isNumericType(to) || to === "string" ||
      (isWhole(from) && (to === "boolean" || (from === "int64" && to === "duration")));
  }
  switch (from) {
    case "string":
      return to !== "binary" && to !== "duration";
    case "boolean":
      return isWhole(to) || to === "string";
    case "date":
      return to === "timestamp" || to === "string";
    case "timestamp":
      return to === "date" || to === "string";
    case "duration":
      return to === "int64";
  }
  return false;
}

const isWhole = (type: DataType): boolean => type === "int32" || type === "int64";
