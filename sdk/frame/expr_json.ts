/** Expressions from outside (JSON) and what columns they read. */
import { VarveError } from "../errors.ts";
import { parseType } from "../schema.ts";
import { literalProblem } from "./expr_literal.ts";
import { maxExprDepth, maxExprNodes } from "./expr_type.ts";
import { optionProblem } from "./operation_options.ts";
import { isOperation, type Operation, operations } from "./operations.ts";
import type { CallNode, ExprNode, LiteralValue, OperationOptions } from "./expr_node.ts";

/** Checks that JSON is an expression and gives it frozen, with unknown properties refused. */
export function parseExpr(json: unknown): ExprNode {
  const budget = { nodes: 0 };
  return parse(json, "expression", 0, budget);
}

/** The names of the columns that an expression reads, each once, in order of appearance. */
export function columnsOf(node: ExprNode): string[] {
  const names = new Set<string>();
  const seen = new Set<ExprNode>();
  const visit = (each: ExprNode): void => {
    // Shared parts are looked at once: a tree of references may unfold to any size.
    if (seen.has(each)) return;
    seen.add(each);
    if (each.kind === "column") names.add(each.name);
    for (const child of childrenOf(each)) visit(child);
  };
  visit(node);
  return [...names];
}

/** The expressions directly inside an expression. */
export function childrenOf(node: ExprNode): readonly ExprNode[] {
  switch (node.kind) {
    case "column":
    case "literal":
      return [];
    case "call":
      return node.args;
    case "case":
      return [...node.branches.flatMap((branch) => [branch.when, branch.then]), node.otherwise];
    case "cast":
      return [node.input];
  }
}

/** A call with its arguments and constants checked; types are checked later, against columns. */
export function callNode(
  operation: Operation,
  args: readonly ExprNode[],
  options?: Readonly<Record<string, unknown>>,
  path?: string,
): CallNode {
  const spec = operations[operation];
  const where = path === undefined ? "" : ` at ${path}`;
  if (args.length < spec.minArgs || args.length > spec.maxArgs) {
    const wanted = spec.minArgs === spec.maxArgs ? String(spec.minArgs) : `${spec.minArgs} to ${spec.maxArgs}`;
    throw invalid(`Cannot apply "${operation}"${where}: it takes ${wanted} arguments, not ${args.length}`);
  }
  const rules = spec.options ?? {};
  for (const name of Object.keys(options ?? {})) {
    if (!Object.hasOwn(rules, name)) {
      throw invalid(`Cannot apply "${operation}"${where}: it has no option ${JSON.stringify(name)}`);
    }
  }
  const checked: [string, OperationOptions[string]][] = [];
  for (const [name, rule] of Object.entries(rules)) {
    const value = options?.[name];
    const problem = optionProblem(value, rule);
    if (problem !== undefined) {
      throw invalid(`Cannot apply "${operation}"${where}: option "${name}" is ${JSON.stringify(value)}, ${problem}`);
    }
    if (value !== undefined) {
      checked.push([name, Array.isArray(value) ? Object.freeze([...value]) : value as OperationOptions[string]]);
    }
  }
  const node = { kind: "call", operation, args: Object.freeze([...args]) } as const;
  return Object.freeze(checked.length === 0 ? node : { ...node, options: Object.freeze(Object.fromEntries(checked)) });
}

function invalid(message: string): VarveError {
  return new VarveError("INVALID_DEFINITION", message);
}

type Json = Readonly<Record<string, unknown>>;

function parse(json: unknown, path: string, depth: number, budget: { nodes: number }): ExprNode {
  if (++budget.nodes > maxExprNodes || depth > maxExprDepth) {
    throw invalid(
      `Cannot read expression: it has more than ${maxExprNodes} parts or is nested more than ${maxExprDepth} deep`,
    );
  }
  const node = object(json, path);
  const child = (value: unknown, name: string) => parse(value, `${path}.${name}`, depth + 1, budget);
  switch (node["kind"]) {
    case "column":
      onlyKeys(node, path, ["kind", "name"]);
      if (typeof node["name"] !== "string" || node["name"] === "") {
        throw invalid(`Cannot read ${path}: the name of a column must be text`);
      }
      return Object.freeze({ kind: "column", name: node["name"] });
    case "literal":
      return parseLiteral(node, path);
    case "call":
      onlyKeys(node, path, ["kind", "operation", "args", "options"]);
      if (!isOperation(node["operation"])) {
        throw invalid(`Cannot read ${path}: there is no operation ${JSON.stringify(node["operation"])}`);
      }
      return callNode(
        node["operation"],
        array(node["args"], `${path}.args`).map((arg, i) => child(arg, `args[${i}]`)),
        node["options"] === undefined ? undefined : object(node["options"], `${path}.options`),
        path,
      );
    case "case": {
      onlyKeys(node, path, ["kind", "branches", "otherwise"]);
      const branches = array(node["branches"], `${path}.branches`).map((each, i) => {
        const branch = object(each, `${path}.branches[${i}]`);
        onlyKeys(branch, `${path}.branches[${i}]`, ["when", "then"]);
        return Object.freeze({
          when: child(branch["when"], `branches[${i}].when`),
          then: child(branch["then"], `branches[${i}].then`),
        });
      });
      if (branches.length === 0) throw invalid(`Cannot read ${path}: a case needs at least one branch`);
      return Object.freeze({
        kind: "case",
        branches: Object.freeze(branches),
        otherwise: child(node["otherwise"], "otherwise"),
      });
    }
    case "cast":
      onlyKeys(node, path, ["kind", "input", "to", "onError"]);
      if (node["onError"] !== "fail" && node["onError"] !== "null") {
        throw invalid(`Cannot read ${path}: onError must be "fail" or "null"`);
      }
      return Object.freeze({
        kind: "cast",
        input: child(node["input"], "input"),
        to: typeAt(node["to"], path),
        onError: node["onError"],
      });
  }
  throw invalid(
    `Cannot read ${path}: kind is ${JSON.stringify(node["kind"])}, it must be column, literal, call, case or cast`,
  );
}

function parseLiteral(node: Json, path: string): ExprNode {
  onlyKeys(node, path, ["kind", "type", "value"]);
  const type = typeAt(node["type"], path);
  const problem = node["value"] === undefined ? "its value is missing" : literalProblem(node["value"], type);
  if (problem !== undefined) throw invalid(`Cannot read ${path}: ${problem}`);
  return Object.freeze({ kind: "literal", type, value: frozen(node["value"] as LiteralValue) });
}

function frozen(value: LiteralValue): LiteralValue {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return Object.freeze(value.map((each: LiteralValue) => frozen(each)));
  return Object.freeze(
    Object.fromEntries(Object.entries(value).map(([name, each]) => [name, frozen(each as LiteralValue)])),
  );
}

function typeAt(value: unknown, path: string) {
  try {
    return parseType(value);
  } catch (error) {
    throw new VarveError("INVALID_DEFINITION", `Cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
}

function object(value: unknown, path: string): Json {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw invalid(`Cannot read ${path}: it must be an object`);
}

function array(value: unknown, path: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw invalid(`Cannot read ${path}: it must be a list`);
}

function onlyKeys(node: Json, path: string, keys: readonly string[]): void {
  const extra = Object.keys(node).find((key) => !keys.includes(key));
  if (extra !== undefined) throw invalid(`Cannot read ${path}: it has an unknown property ${JSON.stringify(extra)}`);
}
