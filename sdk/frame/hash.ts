/** Canonical text and hashes of plain data: equal data has equal text, whatever the order of its keys. */
import { createHash } from "node:crypto";

/** JSON with sorted keys and without undefined properties; bigint, NaN, functions and cycles are refused. */
export function canonicalJson(value: unknown): string {
  return write(value, 0);
}

/** The SHA-256 of the canonical JSON, as hexadecimal text. */
export function hashOf(value: unknown): string {
  return createHash("sha256").update(canonicalJson(value)).digest("hex");
}

const maxDepth = 1_000;

function write(value: unknown, depth: number): string {
  if (depth > maxDepth) {
    throw new TypeError(`Cannot write canonical JSON: it is nested more than ${maxDepth} deep, or refers to itself`);
  }
  switch (typeof value) {
    case "string":
    case "boolean":
      return JSON.stringify(value);
    case "number":
      if (!Number.isFinite(value)) throw new TypeError(`Cannot write ${value} as canonical JSON: write it as text`);
      return JSON.stringify(value);
    case "object":
      return value === null ? "null" : writeObject(value, depth);
  }
  throw new TypeError(`Cannot write a ${typeof value} as canonical JSON: use plain data`);
}

function writeObject(value: object, depth: number): string {
  if ("toJSON" in value && typeof value.toJSON === "function") return write(value.toJSON(), depth + 1);
  // As JSON.stringify does: an absent element is null, an absent property is not there.
  if (Array.isArray(value)) {
    return `[${value.map((each) => each === undefined ? "null" : write(each, depth + 1)).join(",")}]`;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw new TypeError(`Cannot write a ${value.constructor.name} as canonical JSON: use plain data`);
  }
  const parts: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const each = (value as Record<string, unknown>)[key];
    if (each !== undefined) parts.push(`${JSON.stringify(key)}:${write(each, depth + 1)}`);
  }
  return `{${parts.join(",")}}`;
}
