/** Where the Deno executable is: the sandbox is made of it. */
import { accessSync, constants, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { VarveError } from "../errors.ts";

/** How Deno is looked for. */
export interface FindDenoOptions {
  /** The executable itself. */
  readonly deno?: string | undefined;
  /** The environment: `VARVE_DENO` and `PATH` are read. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Folders from whose `node_modules` the package `deno` is taken. */
  readonly from?: readonly string[] | undefined;
}

const executable = process.platform === "win32" ? "deno.exe" : "deno";

/**
 * The path of Deno: as given, `VARVE_DENO`, the runtime itself, the npm package `deno`, `PATH`; in this order.
 * Throws `UNSUPPORTED` where there is none: published functions never run without their sandbox unasked.
 */
export function findDeno(options: FindDenoOptions = {}): string {
  const env = options.env ?? process.env;
  for (const [path, name] of [[options.deno, "The option deno"], [env["VARVE_DENO"], "VARVE_DENO"]] as const) {
    if (path === undefined || path === "") continue;
    if (isExecutable(path)) return path;
    throw new VarveError(
      "UNSUPPORTED",
      `Cannot run published functions: ${name} is ${path}, where there is no executable`,
    );
  }
  const runtime = (globalThis as { Deno?: { execPath(): string } }).Deno?.execPath();
  if (runtime !== undefined && isExecutable(runtime)) return runtime;
  for (const folder of options.from ?? [import.meta.url, join(process.cwd(), "package.json")]) {
    const path = fromPackage(folder);
    if (path !== undefined) return path;
  }
  for (const folder of (env["PATH"] ?? "").split(delimiter)) {
    const path = join(folder, executable);
    if (folder !== "" && isExecutable(path)) return path;
  }
  throw new VarveError(
    "UNSUPPORTED",
    "Cannot run published functions: their sandbox is a Deno process, and there is no Deno; " +
      "`npm install deno`, or put deno on the PATH, or name it in VARVE_DENO",
  );
}

/** The executable in the npm package, which its install script may or may not have put in place. */
function fromPackage(folder: string): string | undefined {
  try {
    const home = createRequire(folder).resolve("deno/package.json");
    const installed = join(dirname(home), executable);
    if (isExecutable(installed)) return installed;
    const kind = process.platform === "linux" ? "-glibc" : "";
    const platform = `@deno/${process.platform}-${process.arch}${kind}/package.json`;
    const carried = join(dirname(createRequire(home).resolve(platform)), executable);
    return existsSync(carried) ? carried : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a file is there that this process may run. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
