/** The text of a function as people read it: some compilers leave no white space in it. */
import { hashOfSource } from "./function_source.ts";
import { childNodes, parseExpression, type SyntaxNode, type Token, tokensOf } from "./javascript.ts";

/** A line that is longer was not laid out by a person. */
const longLine = 120;

/** The text on lines of their own, when it has only a long one and lines do not change what it means; else as it is. */
export function readableSource(source: string): string {
  if (source.includes("\n") || source.length <= longLine) return source;
  try {
    const laid = laidOut(source);
    return hashOfSource(laid) === hashOfSource(source) ? laid : source;
  } catch {
    return source;
  }
}

const spaced = new Set([
  "=",
  "_=",
  "=>",
  "&&",
  "||",
  "??",
  "?",
  "==/!=/===/!==",
  "</>/<=/>=",
  "in",
  "of",
  "instanceof",
]);
/** Signs between two values, or before one. */
const signs = new Set(["+/-", "*", "/", "%", "**", "*/%"]);
const valueEnds = new Set(["name", "num", "bigint", "string", ")", "]", "}", "`", "regexp"]);
const spacedAfter = new Set([",", "if", "for", "while", "switch", "catch", "return", "else", "throw", "case", "do"]);
/** What goes on with the statement that a block ended. */
const continues = new Set(["else", "catch", "finally", "while", ",", ")", ";", ".", "?.", "(", "]", "}"]);

type Open = "block" | "object" | "template" | "other";

function laidOut(source: string): string {
  const tokens = tokensOf(source);
  const blocks = blockStarts(source);
  const open: Open[] = [];
  /** Conditions that wait for their colon, by how much is open around them. */
  const conditions: number[] = [];
  let out = "";
  let depth = 0;
  const newLine = (): void => {
    out = `${out.trimEnd()}\n${"  ".repeat(depth)}`;
  };
  const space = (): void => {
    if (!/\s$/.test(out)) out += " ";
  };
  for (const [i, token] of tokens.entries()) {
    const before = tokens[i - 1];
    const next = tokens[i + 1];
    if (before && source.slice(before.end, token.start) !== "") space();
    const isTernary = token.label === ":" && conditions.at(-1) === open.length;
    if (isTernary) conditions.pop();
    if (token.label === "?") conditions.push(open.length);
    const closed = closes(token) ? open.pop() : undefined;
    if (closed === "block") {
      depth -= 1;
      if (before?.label !== "{") newLine();
    }
    if (closed === "object" && before?.label !== "{") space();
    const isBetween = spaced.has(token.label) ||
      (signs.has(token.label) && before !== undefined && valueEnds.has(before.label));
    if (isBetween || isTernary || (token.label === "{" && before && !"([!".includes(before.label))) space();
    out += token.text;
    const kind = opens(token, blocks);
    if (kind !== undefined) open.push(kind);
    if (kind === "block") {
      depth += 1;
      if (next?.label !== "}") newLine();
    } else if (kind === "object" && next?.label !== "}") space();
    else if (closed === "block" && next && !continues.has(next.label)) newLine();
    else if (token.label === ";" && open.at(-1) === "block" && next?.label !== "}") newLine();
    else if (isBetween || spacedAfter.has(token.label) || token.label === ":") space();
    else if (token.label === ";" || (closed === "block" && next && /^[a-z]/.test(next.label))) space();
  }
  return out.trimEnd();
}

function opens({ label, start }: Token, blocks: ReadonlySet<number>): Open | undefined {
  if (label === "{") return blocks.has(start) ? "block" : "object";
  if (label === "${") return "template";
  return label === "(" || label === "[" ? "other" : undefined;
}

function closes({ label }: Token): boolean {
  return label === "}" || label === ")" || label === "]";
}

/** Where blocks of statements begin. */
function blockStarts(source: string): Set<number> {
  const starts = new Set<number>();
  const visit = (node: SyntaxNode): void => {
    // The text stands in a parenthesis.
    if (node.type === "BlockStatement" || node.type === "ClassBody") starts.add(node.start - 1);
    for (const child of childNodes(node)) visit(child);
  };
  visit(parseExpression(source).expression);
  return starts;
}
