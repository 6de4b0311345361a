/** Source files in S3: local copies of the objects that a path or glob names. */
import { VarveError } from "./errors.ts";
import { openObjects, type Places, scratchFolder } from "./places.ts";
import type { ObjectStore } from "./storage/object_store.ts";

/** How many objects are fetched at once. */
const fetchesAtOnce = 8;
/** A glob that names more objects is refused. */
const maxObjects = 100_000;

/** Local copies of what `s3://bucket/key` names, in key order; the key may have `*`, `**`, `?` and `[…]`. */
export async function remoteFiles(places: Places, path: string, signal?: AbortSignal): Promise<string[]> {
  const [, bucket, key = ""] = /^s3:\/\/([^/]+)\/(.+)$/.exec(path) ?? [];
  if (bucket === undefined || key === "") {
    throw new VarveError("UNSUPPORTED", `Cannot read "${path}": sources are local files and s3://bucket/key`);
  }
  const objects = openObjects({ ...places, storage: `s3://${bucket}`, cacheFolder: scratchFolder(places) });
  try {
    const keys = await matchingKeys(objects, key, signal);
    if (keys.length === 0) throw new VarveError("NOT_FOUND", `Cannot read "${path}": no object matches`);
    const paths: string[] = new Array(keys.length);
    let next = 0;
    const fetchSome = async () => {
      for (let i = next++; i < keys.length; i = next++) paths[i] = await objects.localPath(keys[i]!, undefined, signal);
    };
    await Promise.all(Array.from({ length: Math.min(fetchesAtOnce, keys.length) }, fetchSome));
    return paths;
  } finally {
    await objects.close();
  }
}

async function matchingKeys(objects: ObjectStore, pattern: string, signal?: AbortSignal): Promise<string[]> {
  const wild = pattern.search(/[*?[]/);
  if (wild < 0) return [pattern];
  const matches = globPattern(pattern);
  const keys: string[] = [];
  for await (const { key } of objects.list(pattern.slice(0, wild), signal ? { signal } : {})) {
    if (matches.test(key)) keys.push(key);
    if (keys.length > maxObjects) {
      throw new VarveError(
        "INVALID_REQUEST",
        `Cannot read "${pattern}": it names more than ${maxObjects} objects; narrow it`,
      );
    }
  }
  return keys;
}

/** The keys that a glob names: `*` and `?` stay within a part, `**` does not. */
export function globPattern(glob: string): RegExp {
  const source = glob.replaceAll(/\*\*\/|\*+|\?|\[[^\]]+\]|[.+^$()|\\{}[\]]/g, (token) => {
    if (token === "**/") return "(?:.*/)?";
    if (token === "**") return ".*";
    if (token.startsWith("*")) return "[^/]*";
    if (token === "?") return "[^/]";
    if (token.startsWith("[") && token.length > 2) return token.replace("[!", "[^").replaceAll("\\", "\\\\");
    return `\\${token}`;
  });
  return new RegExp(`^${source}$`, "u");
}
