/** Constants as code: texts, records, and values of columns. */
import { VarveError } from "../../errors.ts";
import { literalOf, literalValue, type Plain } from "../../frame/expr_literal.ts";
import type { LiteralNode, LiteralValue } from "../../frame/expr_node.ts";
import { canonicalJson } from "../../frame/hash.ts";
import { type DataType, isListType, isStructType } from "../../schema.ts";
import { Timestamp } from "../../time.ts";
import { callDoc, type Doc, listDoc, recordDoc } from "./layout.ts";
import type { ModuleNames } from "./names.ts";

/** Text in quotes: in those that need fewer escapes. */
export function textCode(text: string): string {
  const double = JSON.stringify(text).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
  if (!text.includes('"') || text.includes("'")) return double;
  return `'${double.slice(1, -1).replaceAll('\\"', '"')}'`;
}

/** Text over several lines as it is read. */
export function longTextCode(text: string): string {
  // Escapes keep what is not plain: a carriage return would become a line feed.
  if (!text.includes("\n") || /[^\n\t\x20-\x7e\u00a0-\u2027\u202a-\ufffd]/.test(text)) return textCode(text);
  return `\`${text.replaceAll("\\", "\\\\").replaceAll("`", "\\`").replaceAll("${", "\\${")}\``;
}

/** The name of a property. */
export function propertyCode(name: string): string {
  // In brackets it is a property like any other.
  if (name === "__proto__") return `["__proto__"]`;
  return /^[A-Za-z_$][A-Za-z0-9_$]*$/.test(name) ? name : textCode(name);
}

/** A record; in the order given, which JavaScript keeps but for names that are whole numbers. */
export function fieldsDoc(entries: readonly (readonly [name: string, value: Doc])[]): Doc {
  const names = entries.map(([name]) => name);
  const kept = Object.keys(Object.fromEntries(names.map((name) => [name, 0])));
  if (names.includes("__proto__") ? new Set(names).size < names.length : kept.some((name, i) => name !== names[i])) {
    throw cannotWrite(`names in the order ${names.join(", ")} cannot be written as a record; give them letters`);
  }
  return recordDoc(entries.map(([name, value]) => [propertyCode(name), ": ", value]));
}

/** Plain data: the options of a definition. */
export function dataDoc(value: unknown, names: ModuleNames): Doc {
  if (Array.isArray(value)) return listDoc(value.map((each) => dataDoc(each, names)));
  if (value instanceof Date || value instanceof Timestamp) return instantDoc(value, names);
  if (value instanceof Uint8Array) return `new Uint8Array([${value.join(", ")}])`;
  if (typeof value === "object" && value !== null) {
    return fieldsDoc(
      Object.entries(value).filter(([, each]) => each !== undefined).map((
        [name, each],
      ) => [name, dataDoc(each, names)]),
    );
  }
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "string") return textCode(value);
  return Object.is(value, -0) ? "-0" : String(value);
}

function instantDoc(value: Date | Timestamp, names: ModuleNames): Doc {
  const text = value instanceof Date ? value.toISOString() : String(value);
  if (value instanceof Timestamp) return [names.use("Timestamp"), `.from("${text}")`];
  return `new Date("${shortInstant(text.replace(".000Z", "Z"))}")`;
}

/** `2001-01-15` for a midnight. */
export function shortInstant(text: string): string {
  return text.replace(/T00:00:00Z$/, "");
}

/** The value of a constant as people write it; undefined where there is none. */
export function plainOf(value: LiteralValue, type: DataType): Plain {
  if (value === null) return null;
  if (isListType(type)) return (value as readonly LiteralValue[]).map((each) => plainOf(each, type.list));
  if (isStructType(type)) {
    const parts = value as Readonly<Record<string, LiteralValue>>;
    return Object.fromEntries(type.struct.map((field) => [field.name, plainOf(parts[field.name] ?? null, field.type)]));
  }
  if (type === "timestamp") {
    const micros = BigInt(value as string);
    return micros % 1000n === 0n ? new Date(Number(micros / 1000n)) : new Timestamp(micros);
  }
  if (type === "date") return value as string;
  return literalValue({ kind: "literal", type, value }) as Plain;
}

/** A constant where an expression or a plain value may stand. */
export function constantDoc(node: LiteralNode, names: ModuleNames): Doc {
  const plain = plainOf(node.value, node.type);
  if (isSame(node, plain)) return dataDoc(plain, names);
  return typedConstantDoc(node, names);
}

/** A constant where an expression must stand. */
export function constantExprDoc(node: LiteralNode, names: ModuleNames): Doc {
  const plain = plainOf(node.value, node.type);
  if (isSame(node, plain)) return callDoc(names.use("lit"), [dataDoc(plain, names)]);
  return typedConstantDoc(node, names);
}

function typedConstantDoc(node: LiteralNode, names: ModuleNames): Doc {
  const plain = plainOf(node.value, node.type);
  if (!isSame(node, plain, node.type)) {
    throw cannotWrite(`the constant ${JSON.stringify(node.value)} cannot be written as a value of its type`);
  }
  return callDoc(names.use("lit"), [dataDoc(plain, names), typeDoc(node.type, names)]);
}

function isSame(node: LiteralNode, plain: Plain, type?: DataType): boolean {
  try {
    return canonicalJson(literalOf(plain, type)) === canonicalJson(node);
  } catch {
    return false;
  }
}

/** A type. */
export function typeDoc(type: DataType, names: ModuleNames): Doc {
  return dataDoc(type, names);
}

/** What cannot be written as code. */
export function cannotWrite(why: string): VarveError {
  return new VarveError("UNSUPPORTED", `Cannot write the definition as a module: ${why}`);
}
