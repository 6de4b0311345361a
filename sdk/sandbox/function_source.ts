/** The text of a function that can be published: it stands alone and its answer depends on its row alone. */
import { createHash } from "node:crypto";
import { type Issue, messageOf, throwIssues, VarveError } from "../errors.ts";
import { allowedGlobals, refusedGlobals, refusedMembers } from "./allowed_globals.ts";
import { childNodes, isNode, lineOf, parseExpression, type Script, type SyntaxNode } from "./javascript.ts";

/** A function as it is published. */
export interface FunctionSource {
  /** Its text: one JavaScript expression. */
  readonly source: string;
  /** Of what it means: white space, comments, quotes and what compilers add do not change it. */
  readonly hash: string;
}

/** The largest text of a function, in characters. */
export const maxSourceLength = 100_000;

/** Part of every hash: changed when the same text would come to mean something else. */
const contract = "varve function 1";

/** A function of a row. */
// deno-lint-ignore no-explicit-any
export type AnyFunction = (...parameters: any[]) => unknown;

/**
 * The text of a function and the hash of its meaning.
 * Throws `INVALID_DEFINITION` that lists all that keeps it from being published: every variable or import that it
 * captures by name, and everything whose answer would depend on more than its row.
 */
export function functionSource(fn: AnyFunction, what = "the function"): FunctionSource {
  if (typeof fn !== "function") {
    throw new VarveError(
      "INVALID_DEFINITION",
      `Cannot publish ${what}: it is ${fn === null ? "null" : typeof fn}, not a function`,
    );
  }
  return sourceOfText(Function.prototype.toString.call(fn), what);
}

/** The same for the text of a function, as `Function.prototype.toString` gives it. */
export function sourceOfText(text: string, what = "the function"): FunctionSource {
  const fail = (why: string): never => {
    throw new VarveError("INVALID_DEFINITION", `Cannot publish ${what}: ${why}`);
  };
  if (/\{\s*\[native code\]\s*\}\s*$/.test(text)) {
    fail("it is built in, or made with bind(), and has no text of its own; write it as (row) => …");
  }
  if (text.length > maxSourceLength) {
    fail(`its text has ${text.length} characters; the limit is ${maxSourceLength}`);
  }
  const { source, script } = readFunction(text, fail);
  const issues = findIssues(script);
  throwIssues(`Cannot publish ${what}: it must stand alone, and its answer may depend on its row alone`, issues);
  return Object.freeze({ source, hash: hashOf(script) });
}

/** The hash that a published text must have. Throws when it is not one expression. */
export function hashOfSource(source: string): string {
  return hashOf(parseExpression(source));
}

function hashOf(script: Script): string {
  return createHash("sha256").update(`${contract}\n${JSON.stringify(meaning(script.expression))}`).digest("hex");
}

function readFunction(text: string, fail: (why: string) => never): { source: string; script: Script } {
  const first = attempt(text);
  if ("script" in first) return plainSource(text, first.script);
  // A method has no `function` before its name: `score(row) { … }` in an object.
  const method = attempt(`{${text}\n}`);
  if ("script" in method) {
    const [property] = (method.script.expression["properties"] ?? []) as SyntaxNode[];
    if (property?.["kind"] !== "init") fail("it is a getter or a setter; write it as (row) => …");
    const value = property!["value"] as SyntaxNode;
    const star = value["generator"] === true ? "*" : "";
    const source = `${value["async"] === true ? "async " : ""}function${star} ${
      method.script.text.slice(value.start, value.end)
    }`;
    const again = attempt(source);
    if ("script" in again) return plainSource(source, again.script);
  }
  return fail(
    `its text cannot be read as JavaScript (${first.problem}); where it still holds types, compile it or take them out`,
  );
}

/** The text as it was written: without what compilers add to keep names. */
function plainSource(text: string, script: Script): { source: string; script: Script } {
  const cuts: { readonly from: number; readonly to: number }[] = [];
  const visit = (node: SyntaxNode): void => {
    const wrapped = nameHelper(node);
    const named = node.type === "ExpressionStatement" ? nameHelper(node["expression"] as SyntaxNode) : undefined;
    if (named?.type === "Identifier") return void cuts.push({ from: node.start, to: node.end });
    if (wrapped) cuts.push({ from: node.start, to: wrapped.start }, { from: wrapped.end, to: node.end });
    for (const child of childNodes(node)) visit(child);
  };
  visit(script.expression);
  if (cuts.length === 0) return { source: text, script };
  let source = "";
  let at = 1; // the text stands in a parenthesis
  for (const { from, to } of cuts.sort((a, b) => a.from - b.from)) {
    source += script.text.slice(at, from);
    at = to;
  }
  source += script.text.slice(at, text.length + 1);
  return { source, script: parseExpression(source) };
}

function attempt(text: string): { script: Script } | { problem: string } {
  try {
    return { script: parseExpression(text) };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

function findIssues({ text, expression, free }: Script): Issue[] {
  const found = new Map<string, Issue>();
  const add = (node: SyntaxNode, message: string) => {
    if (!found.has(message)) found.set(message, { path: `line ${lineOf(node)}`, message });
  };
  if (expression.type === "ClassExpression") add(expression, "it is a class; write it as (row) => …");
  else if (expression.type !== "ArrowFunctionExpression" && expression.type !== "FunctionExpression") {
    add(expression, "it is not a function; write it as (row) => …");
  }
  const parents = new Map<SyntaxNode, SyntaxNode>();
  const visit = (node: SyntaxNode, inClass: boolean): void => {
    checkNode(node, inClass, add);
    for (const child of childNodes(node)) {
      parents.set(child, node);
      visit(child, inClass || node.type === "ClassBody");
    }
  };
  visit(expression, false);
  for (const { node, written } of free) {
    const name = String(node["name"]);
    // Compilers wrap functions in a call that keeps their names.
    if (name === "__name" && !written) continue;
    if (!allowedGlobals.includes(name)) {
      const reason = Object.hasOwn(refusedGlobals, name) && !isExported(node, parents)
        ? refusedGlobals[name]
        : undefined;
      add(
        node,
        reason === undefined
          ? `it captures "${
            capturedName(node, parents, text)
          }"; move it into the function, or give it as a field of the row`
          : `it uses ${name}: ${reason}`,
      );
    } else if (written) add(node, `it assigns to ${name}, which is shared by all functions`);
    else if (name === "Date") checkDate(node, parents, add);
    else if (name === "Math") checkMath(node, parents, add);
  }
  return [...found.values()];
}

type Add = (node: SyntaxNode, message: string) => void;

function checkNode(node: SyntaxNode, inClass: boolean, add: Add): void {
  if (node["async"] === true || node.type === "AwaitExpression" || node["await"] === true) {
    add(node, "it is async or awaits: a function answers at once");
  }
  if (node["generator"] === true) add(node, "it has a generator: a function answers at once");
  switch (node.type) {
    case "ImportExpression":
      return add(node, "it imports a module: a function is published alone");
    case "MetaProperty":
      return add(node, "it uses new.target or import.meta: a function is published alone");
    case "ThisExpression":
    case "Super":
      if (!inClass) add(node, "it uses this or super: a function is published alone, without the object that holds it");
      return;
    case "MemberExpression":
    case "Property": {
      const key = (node.type === "MemberExpression" ? node["property"] : node["key"]) as SyntaxNode;
      const name = node["computed"] === true ? key["value"] : key["name"] ?? key["value"];
      if (typeof name === "string" && Object.hasOwn(refusedMembers, name)) {
        add(node, `it uses ${name}: ${refusedMembers[name]}`);
      }
    }
  }
}

/** The member that an identifier is asked for: `Date.now` gives `now`. */
function memberOf(node: SyntaxNode, parents: ReadonlyMap<SyntaxNode, SyntaxNode>): string | undefined {
  const parent = parents.get(node);
  if (parent?.type !== "MemberExpression" || parent["object"] !== node) return undefined;
  const property = parent["property"] as SyntaxNode;
  const name = parent["computed"] === true ? property["value"] : property["name"];
  return typeof name === "string" ? name : undefined;
}

function checkDate(node: SyntaxNode, parents: ReadonlyMap<SyntaxNode, SyntaxNode>, add: Add): void {
  const parent = parents.get(node);
  if (parent?.type === "NewExpression" && parent["callee"] === node) {
    const given = parent["arguments"] as SyntaxNode[];
    if (given.length > 0 && given[0]!.type !== "SpreadElement") return;
    return add(node, "it uses new Date(), which is the time of the computer; take the time as a field of the row");
  }
  if (parent?.type === "BinaryExpression" && parent["operator"] === "instanceof" && parent["right"] === node) return;
  const member = memberOf(node, parents);
  if (member === "UTC" || member === "parse") return;
  add(
    node,
    member === undefined
      ? "it uses Date other than as new Date(value), Date.UTC or Date.parse"
      : `it uses Date.${member}, which is the time of the computer; take the time as a field of the row`,
  );
}

function checkMath(node: SyntaxNode, parents: ReadonlyMap<SyntaxNode, SyntaxNode>, add: Add): void {
  const member = memberOf(node, parents);
  if (member === undefined) add(node, "it uses Math other than as Math.name");
  else if (member === "random") add(node, "it uses Math.random: the same row must always give the same answer");
}

/** What compilers make of imports and of variables of notebook cells. */
const moduleName = /^(exports|module|__vite_ssr_import_\d+__|import_.+|.+_\d+)$/;

function isExported(node: SyntaxNode, parents: ReadonlyMap<SyntaxNode, SyntaxNode>): boolean {
  return node["name"] === "exports" && memberOf(node, parents) !== undefined;
}

/** The name as it was written: `__vite_ssr_import_0__.rate` was `rate`. */
function capturedName(node: SyntaxNode, parents: ReadonlyMap<SyntaxNode, SyntaxNode>, text: string): string {
  const member = memberOf(node, parents);
  const name = text.slice(node.start, node.end);
  return member !== undefined && moduleName.test(name) ? member : name;
}

const unimportant = new Set(["start", "end", "loc", "range", "raw", "shorthand", "sourceType", "optionalChain"]);

/** A tree without what does not change the meaning. */
function meaning(part: unknown): unknown {
  if (Array.isArray(part)) {
    return part.filter((item) => !isNode(item) || !isNoise(item)).map(meaning);
  }
  if (typeof part === "bigint") return { bigint: String(part) };
  if (part instanceof RegExp) return String(part);
  if (!isNode(part)) {
    if (typeof part !== "object" || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, meaning(value)]));
  }
  const named = nameHelper(part);
  if (named) return meaning(named);
  if (part.type === "TemplateElement") return { type: part.type, value: meaning(part["value"]) };
  if (part.type === "Literal" && typeof part["value"] === "number") {
    return { type: "Literal", number: String(part["value"]) };
  }
  return Object.fromEntries(
    Object.entries(part).filter(([name]) => !unimportant.has(name)).map(([name, value]) => [name, meaning(value)]),
  );
}

/** What a compiler's name helper wraps: `__name(f, "f")` is `f`. */
function nameHelper(node: SyntaxNode): SyntaxNode | undefined {
  if (node.type !== "CallExpression") return undefined;
  const callee = node["callee"] as SyntaxNode;
  const [wrapped] = node["arguments"] as SyntaxNode[];
  return callee.type === "Identifier" && callee["name"] === "__name" ? wrapped : undefined;
}

/** Statements that say nothing: `;`, `"use strict"`, and `__name(f, "f")` after a declaration. */
function isNoise(node: SyntaxNode): boolean {
  if (node.type === "EmptyStatement") return true;
  if (node.type !== "ExpressionStatement") return false;
  if (typeof node["directive"] === "string") return true;
  return nameHelper(node["expression"] as SyntaxNode)?.type === "Identifier";
}
