/** Expressions as text that people read: `(delay > 15) and origin is not null`. */
import { formatType } from "../schema.ts";
import { formatTimestamp, timestampLimits } from "../time.ts";
import { operations } from "./operations.ts";
import { type CallNode, type ExprNode, type LiteralNode, type LiteralValue, requestTimeColumn } from "./expr_node.ts";

/** The readable text of an expression. */
export function exprText(node: ExprNode): string {
  switch (node.kind) {
    case "column":
      return nameText(node.name);
    case "literal":
      return literalText(node);
    case "call":
      return callText(node);
    case "case": {
      const branches = node.branches.map((branch) => `when ${exprText(branch.when)} then ${exprText(branch.then)}`);
      return `case ${branches.join(" ")} else ${exprText(node.otherwise)} end`;
    }
    case "cast":
      return `${node.onError === "null" ? "tryCast" : "cast"}(${exprText(node.input)} as ${formatType(node.to)})`;
  }
}

// Words that would read as something else when they are bare column names.
const words = new Set([
  "and",
  "or",
  "not",
  "is",
  "in",
  "null",
  "true",
  "false",
  "case",
  "when",
  "then",
  "else",
  "end",
  "between",
  "as",
  "nan",
  "infinity",
]);

function nameText(name: string): string {
  if (name === requestTimeColumn) return "requestTimestamp()";
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !words.has(name.toLowerCase()) ? name : JSON.stringify(name);
}

const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`;

function literalText(node: LiteralNode): string {
  const { value, type } = node;
  if (value === null) return "null";
  switch (type) {
    case "timestamp": {
      const micros = BigInt(value as string);
      return micros >= timestampLimits.min && micros <= timestampLimits.max
        ? `timestamp ${quote(formatTimestamp(micros))}`
        : `timestamp ${quote(String(value))}`;
    }
    case "date":
      return `date ${quote(String(value))}`;
    case "duration":
      return `duration ${quote(lengthText(BigInt(value as string)))}`;
    case "binary":
      return `binary ${quote(String(value))}`;
    case "string":
      return quote(String(value));
  }
  return plainText(value);
}

const lengthUnits: readonly (readonly [string, bigint])[] = [
  ["d", 86_400_000_000n],
  ["h", 3_600_000_000n],
  ["m", 60_000_000n],
  ["s", 1_000_000n],
  ["ms", 1_000n],
  ["us", 1n],
];

/** A duration, which may be zero or negative here. */
function lengthText(micros: bigint): string {
  if (micros === 0n) return "0s";
  let rest = micros < 0n ? -micros : micros;
  let text = micros < 0n ? "-" : "";
  for (const [unit, size] of lengthUnits) {
    if (rest >= size) text += `${rest / size}${unit}`;
    rest %= size;
  }
  return text;
}

function plainText(value: LiteralValue): string {
  if (value === null || typeof value === "boolean" || typeof value === "number") return String(value);
  if (typeof value === "string") return /^-?[0-9]+$|^NaN$|^-?Infinity$/.test(value) ? value : quote(value);
  if (Array.isArray(value)) return `[${value.map((each: LiteralValue) => plainText(each)).join(", ")}]`;
  return `{${
    Object.entries(value as { [name: string]: LiteralValue }).map(([name, each]) =>
      `${nameText(name)}: ${plainText(each)}`
    ).join(", ")
  }}`;
}

/** Text of an argument that stands beside a word: bracketed when it has words of its own. */
function operand(node: ExprNode): string {
  const isBare = node.kind === "column" || node.kind === "literal" || node.kind === "cast" ||
    (node.kind === "call" && ["call", "postfix", "field"].includes(operations[node.operation].text.kind));
  return isBare ? exprText(node) : `(${exprText(node)})`;
}

function callText(node: CallNode): string {
  const { text } = operations[node.operation];
  const args = node.args;
  switch (text.kind) {
    case "infix":
      return args.map(operand).join(` ${text.word} `);
    case "prefix":
      return `${text.word}${operand(args[0]!)}`;
    case "postfix":
      // `a is null is null` would read badly.
      return `${
        args[0]!.kind === "call" && operations[args[0]!.operation].text.kind === "postfix"
          ? `(${exprText(args[0]!)})`
          : operand(args[0]!)
      } ${text.word}`;
    case "between":
      return `${operand(args[0]!)} between ${operand(args[1]!)} and ${operand(args[2]!)}`;
    case "in":
      return `${operand(args[0]!)} in (${args.slice(1).map(exprText).join(", ")})`;
    case "field":
      return `${operand(args[0]!)}.${nameText(String(node.options?.["name"]))}`;
    case "call":
      return `${text.word}(${[...args.map(exprText), ...optionTexts(node)].join(", ")})`;
  }
}

function optionTexts(node: CallNode): string[] {
  return Object.entries(node.options ?? {}).map(([name, value]) =>
    `${name}: ${
      typeof value === "object"
        ? `[${value.map(nameText).join(", ")}]`
        : typeof value === "string"
        ? quote(value)
        : value
    }`
  );
}
