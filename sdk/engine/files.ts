/** Paths of local files: globs, in a stable order, and what is wrong with them. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join, parse, sep } from "node:path";
import { messageOf, VarveError } from "../errors.ts";

/** Whether a path lives in an object store. */
export function isRemote(path: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(path) && !path.startsWith("file://");
}

/** Whether a path has wildcards. */
export function isGlob(path: string): boolean {
  return /[*?[{]/.test(path);
}

/** The local files of paths and globs: each glob sorted by name. Throws NOT_FOUND for a path or glob that gives nothing. */
export function expandPaths(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    if (existsSync(path)) {
      if (!statSync(path).isDirectory()) return [path];
      throw new VarveError(
        "NOT_FOUND",
        `Cannot read "${path}": it is a folder; name the files, as in "${join(path, "*.parquet")}"`,
      );
    }
    const found = isGlob(path) ? expandGlob(path) : [];
    if (found.length > 0) return found;
    throw new VarveError(
      "NOT_FOUND",
      `Cannot read "${path}": ${isGlob(path) ? "no file matches" : "there is no such file"}`,
      { details: { path } },
    );
  });
}

function expandGlob(path: string): string[] {
  const { root } = parse(path);
  const found = alternatives(path.slice(root.length)).flatMap((pattern) => walk(root, pattern.split(/[\\/]/)));
  return [...new Set(found)].sort((a, b) => a < b ? -1 : a > b ? 1 : 0);
}

/** Spells out `{a,b}`. */
function alternatives(pattern: string): string[] {
  const match = /\{([^{}]*)\}/.exec(pattern);
  if (!match) return [pattern];
  const [whole, inside] = match;
  return inside!.split(",").flatMap((choice) =>
    alternatives(pattern.slice(0, match.index) + choice + pattern.slice(match.index + whole.length))
  );
}

function walk(folder: string, parts: readonly string[]): string[] {
  const [part, ...rest] = parts;
  if (part === undefined) return [];
  if (part === "**") {
    const here = rest.length > 0 ? walk(folder, rest) : filesIn(folder);
    return [...here, ...foldersIn(folder).flatMap((name) => walk(join(folder, name), parts))];
  }
  if (!isGlob(part)) {
    const next = join(folder, part);
    if (rest.length > 0) return walk(next, rest);
    return existsSync(next) && statSync(next).isFile() ? [next] : [];
  }
  const matches = matcher(part);
  if (rest.length > 0) return foldersIn(folder).filter(matches).flatMap((name) => walk(join(folder, name), rest));
  return filesIn(folder).filter((file) => matches(file.slice(file.lastIndexOf(sep) + 1)));
}

function matcher(pattern: string): (name: string) => boolean {
  const source = pattern.replaceAll(/\*+|\?|\[[^\]]+\]|[.+^$()|\\{}[\]]/g, (token) => {
    if (token.startsWith("*")) return "[^/]*";
    if (token === "?") return "[^/]";
    if (token.startsWith("[") && token.length > 2) return token.replace("[!", "[^").replaceAll("\\", "\\\\");
    return `\\${token}`;
  });
  const regex = new RegExp(`^${source}$`, "u");
  // As in a shell, a wildcard does not match a leading dot.
  return (name) => regex.test(name) && (pattern.startsWith(".") || !name.startsWith("."));
}

function entries(folder: string): { name: string; isFolder: boolean }[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .map((entry) => ({
        name: entry.name,
        isFolder: entry.isSymbolicLink() ? leadsToFolder(join(folder, entry.name)) : entry.isDirectory(),
      }))
      .sort((a, b) => a.name < b.name ? -1 : 1);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    // Its files would be missing without a word.
    throw new VarveError(
      "UNAVAILABLE",
      `Cannot look for files in "${folder}": ${messageOf(error)}; make the folder readable, or name the files`,
      { cause: error, details: { path: folder } },
    );
  }
}

/** A link that leads nowhere, or in a circle, is no folder: whoever reads it as a file is told. */
function leadsToFolder(link: string): boolean {
  try {
    return statSync(link, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch (error) {
    if (codeOf(error) === "ELOOP") return false;
    throw error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

function foldersIn(folder: string): string[] {
  return entries(folder).filter((entry) => entry.isFolder && !entry.name.startsWith(".")).map((entry) => entry.name);
}

function filesIn(folder: string): string[] {
  return entries(folder).filter((entry) => !entry.isFolder).map((entry) => join(folder, entry.name));
}
