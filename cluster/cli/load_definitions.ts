/** Reads definitions from a file: whatever a TypeScript or JavaScript module exports, or a JSON list. */
import { existsSync, readFileSync } from "node:fs";
import { extname, resolve } from "node:path";
import { messageOf, parseDefinition, VarveError } from "varve";
import type { Definition } from "varve";
import { importFile } from "./import_file.ts";

/** The definitions of a file, each once: entities, then views, then services: what is read comes before what reads it. */
export async function loadDefinitions(file: string): Promise<Definition[]> {
  const path = resolve(file);
  if (!existsSync(path)) {
    throw new VarveError("NOT_FOUND", `Cannot read definitions from ${path}: there is no such file`);
  }
  const found = extname(path) === ".json"
    ? readJson(path)
    : collect(await importFile(path, `definitions from ${path}`), new Set());
  if (found.length === 0) {
    throw new VarveError(
      "INVALID_DEFINITION",
      `Cannot read definitions from ${path}: it exports none; export what view() and service() give`,
    );
  }
  // Services bring their views along: the same one is taken once. Two of one name that differ are for the plan to refuse.
  const unique = new Map(found.map((definition) => [JSON.stringify(definition), definition]));
  const order = ["entity", "view", "realtimeView", "service"];
  return [...unique.values()].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
}

function readJson(path: string): Definition[] {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new VarveError("INVALID_DEFINITION", `Cannot read definitions from ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return (Array.isArray(value) ? value : [value]).map((item) => parseDefinition(item));
}

/** Nouns are known by their shape: the file may have loaded another copy of the package. */
function collect(value: unknown, seen: Set<unknown>): Definition[] {
  if (typeof value !== "object" || value === null || seen.has(value)) return [];
  seen.add(value);
  const noun = value as { definition?: { kind?: unknown }; definitions?: unknown };
  if (Array.isArray(noun.definitions)) {
    return noun.definitions.map((item) => parseDefinition(JSON.parse(JSON.stringify(item))));
  }
  if (typeof noun.definition?.kind === "string") return [parseDefinition(JSON.parse(JSON.stringify(noun.definition)))];
  const isModule = Object.prototype.toString.call(value) === "[object Module]";
  const inside = Array.isArray(value) || isModule || Object.getPrototypeOf(value) === Object.prototype;
  return inside ? Object.values(value).flatMap((item) => collect(item, seen)) : [];
}
