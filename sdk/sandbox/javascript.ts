/** Reads JavaScript: the door to its parser and to the analysis of its scopes. */
import { createRequire } from "node:module";
import type { Node } from "acorn";

interface Libraries {
  readonly acorn: typeof import("acorn");
  readonly scopes: typeof import("eslint-scope");
}
let loaded: Libraries | undefined;

/** Loaded with the first function: a fifth of what a server needs to start, and most have none. */
function libraries(): Libraries {
  if (!loaded) {
    const require = createRequire(import.meta.url);
    loaded = { acorn: require("acorn"), scopes: require("eslint-scope") };
  }
  return loaded;
}

/** A node of a syntax tree. */
export interface SyntaxNode {
  /** Its kind, as the ESTree specification names it. */
  readonly type: string;
  /** Where it begins in the text. */
  readonly start: number;
  /** Where it ends. */
  readonly end: number;
  /** Its parts. */
  readonly [part: string]: unknown;
}

/** A name that the text uses and nothing in the text declares. */
export interface FreeName {
  /** The identifier. */
  readonly node: SyntaxNode;
  /** Whether the text assigns to it. */
  readonly written: boolean;
}

/** Text that was read. */
export interface Script {
  /** The text that was parsed. */
  readonly text: string;
  /** Its one expression. */
  readonly expression: SyntaxNode;
  /** Names that nothing declares. */
  readonly free: readonly FreeName[];
}

/** Reads one expression, in strict mode. Throws a `SyntaxError`. */
export function parseExpression(text: string): Script {
  const whole = `(${text}\n)`;
  const { acorn, scopes: { analyze } } = libraries();
  const program = acorn.parse(whole, { ecmaVersion: "latest", sourceType: "module", ranges: true, locations: true });
  const [statement, more] = program.body;
  if (more !== undefined || statement?.type !== "ExpressionStatement") {
    throw new SyntaxError("The text is more than one expression");
  }
  const found = analyze(program as unknown as Parameters<Libraries["scopes"]["analyze"]>[0], {
    ecmaVersion: 2022,
    sourceType: "module",
  });
  const free = (found.globalScope?.through ?? []).map((reference) => ({
    node: reference.identifier as unknown as SyntaxNode,
    written: reference.isWrite(),
  }));
  return { text: whole, expression: statement.expression as Node as unknown as SyntaxNode, free };
}

/** A word or a sign of a text. */
export interface Token {
  /** What it is: itself for signs and keywords, else `name`, `num`, `string` and the like. */
  readonly label: string;
  /** As it stands in the text. */
  readonly text: string;
  /** Where it begins. */
  readonly start: number;
  /** Where it ends. */
  readonly end: number;
}

/** The words and signs of a text, in order. Throws a `SyntaxError`. */
export function tokensOf(text: string): Token[] {
  return [...libraries().acorn.tokenizer(text, { ecmaVersion: "latest" })].map(({ type, start, end }) => ({
    // Words that are keywords only where they stand come as names.
    label: text.slice(start, end) === "of" ? "of" : type.label,
    text: text.slice(start, end),
    start,
    end,
  }));
}

/** The nodes below a node, nearest first. */
export function childNodes(node: SyntaxNode): SyntaxNode[] {
  const children: SyntaxNode[] = [];
  for (const part of Object.values(node)) {
    for (const item of Array.isArray(part) ? part : [part]) if (isNode(item)) children.push(item);
  }
  return children;
}

/** Whether a part of a node is a node. */
export function isNode(part: unknown): part is SyntaxNode {
  return typeof part === "object" && part !== null && typeof (part as { type?: unknown }).type === "string";
}

/** The line of a node in the text of the function, counted from 1. */
export function lineOf(node: SyntaxNode): number {
  return (node["loc"] as { start: { line: number } }).start.line;
}
