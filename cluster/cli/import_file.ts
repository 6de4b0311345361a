/** Imports modules of users, TypeScript or JavaScript; the door to tsx. */
import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { messageOf, VarveError } from "varve";

/** What a module exports. Node 20 does not read TypeScript by itself: tsx does. `what` is for messages. */
export async function importFile(path: string, what: string): Promise<unknown> {
  const url = pathToFileURL(path).href;
  try {
    if (!/\.[cm]?ts$/.test(path) || "Deno" in globalThis) return await import(url);
    const { tsImport } = await import("tsx/esm/api");
    return await tsImport(url, import.meta.url);
  } catch (error) {
    if (error instanceof VarveError) throw error;
    throw new VarveError("INVALID_DEFINITION", `Cannot read ${what}: ${messageOf(error)}`, { cause: error });
  }
}

/** Imports the modules that the configuration names, for what they do: they register aggregations of users. */
export async function importModules(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    if (!existsSync(path)) {
      throw new VarveError("INVALID_CONFIG", `Cannot load module ${path}: there is no such file; see VARVE_MODULES`);
    }
    await importFile(path, `module ${path}`);
  }
}
