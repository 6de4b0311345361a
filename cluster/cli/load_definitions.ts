/** Reads definitions from a file: whatever a TypeScript or JavaScript module exports, or a JSON list. */
import { existsSync, readFileSync } from "node:fs";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { messageOf, parseDefinition, VarveError } from "varve";
import type { Definition } from "varve";

/** The definitions of a file, each once: entities, then views, then services. */
export async function loadDefinitions(file: string): Promise<Definition[]> {
  const path = resolve(file);
  if (!existsSync(path)) {
    throw new VarveError("NOT_FOUND", `Cannot read definitions from ${path}: there is no such file`);
  }
  const found = extname(path) === ".json" ? readJson(path) : collect(await load(path), new Set());
  if (found.length === 0) {
    throw new VarveError(
      "INVALID_DEFINITION",
      `Cannot read definitions from ${path}: it exports none; export what view() and service() give`,
    );
  }
  // Services bring their views along: the same one is taken once. Two of one name that differ are for the plan to refuse.
  const unique = new Map(found.map((definition) => [JSON.stringify(definition), definition]));
  const order = ["entity", "view", "service"];
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

/** Node 20 does not read TypeScript by itself: tsx does. */
async function load(path: string): Promise<unknown> {
  const url = pathToFileURL(path).href;
  try {
    if (!/\.[cm]?ts$/.test(path) || "Deno" in globalThis) return await import(url);
    const { tsImport } = await import("tsx/esm/api");
    return await tsImport(url, import.meta.url);
  } catch (error) {
    if (error instanceof VarveError) throw error;
    throw new VarveError("INVALID_DEFINITION", `Cannot read definitions from ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
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
