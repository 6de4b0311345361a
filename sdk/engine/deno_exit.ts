/** How a Deno process ends that has used DuckDB. */
import process from "node:process";

let isSet = false;

/**
 * A Deno process that comes to its end calls finalizers of native objects that its garbage collector has called already; in those
 * of DuckDB's chunks it crashes, after all is done. Leaving by `exit` calls none; listeners of `unload` that are added later do
 * not run then, those of the process's `exit` do. In Node it does nothing.
 */
export function leaveByExit(): void {
  const deno = (globalThis as { Deno?: { readonly exitCode: number } }).Deno;
  if (!deno || isSet) return;
  isSet = true;
  (globalThis as unknown as EventTarget).addEventListener("unload", () => process.exit(deno.exitCode));
}
