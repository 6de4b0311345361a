/** Kernel specs of a project: how Jupyter starts tslab and Deno, in a folder of the project, so that nothing global changes. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";

/** One kernel of a project. */
export interface Kernel {
  /** Its name for Jupyter. */
  readonly name: string;
  /** What people see in Jupyter. */
  readonly displayName: string;
  /** The command, with `{connection_file}` where Jupyter puts its file. */
  readonly argv: readonly string[];
  /** How to install it, where it is missing. */
  readonly missing?: string;
}

/** The kernels that run varve: tslab on Node, and Deno. A missing one says how to get it. */
export function projectKernels(project: string): Kernel[] {
  const tslab = packageFile(project, "tslab", "bin/tslab");
  const deno = packageFile(project, "deno", process.platform === "win32" ? "deno.exe" : "deno") ??
    onPath("deno") ?? packageFile(project, "deno", "bin.cjs");
  return [
    {
      name: "varve-node",
      displayName: "TypeScript (Node, tslab)",
      argv: tslab === undefined ? [] : [process.execPath, tslab, "kernel", "--config-path", "{connection_file}"],
      ...(tslab === undefined && { missing: "npm install --save-dev tslab" }),
    },
    {
      name: "varve-deno",
      displayName: "TypeScript (Deno)",
      argv: deno === undefined ? [] : [
        ...deno.endsWith(".cjs") ? [process.execPath, deno] : [deno],
        "jupyter",
        "--kernel",
        "--conn",
        "{connection_file}",
      ],
      ...(deno === undefined && { missing: "npm install --save-dev deno" }),
    },
  ];
}

/** Writes the specs of kernels that are there under `<folder>/kernels/`; gives the folder, for JUPYTER_PATH. */
export async function writeKernelSpecs(folder: string, kernels: readonly Kernel[]): Promise<string> {
  for (const { name, displayName, argv, missing } of kernels) {
    if (missing !== undefined) continue;
    const path = join(folder, "kernels", name);
    await mkdir(path, { recursive: true });
    const spec = { argv, display_name: displayName, language: "typescript", interrupt_mode: "signal" };
    await writeFile(join(path, "kernel.json"), `${JSON.stringify(spec, undefined, 2)}\n`);
  }
  return folder;
}

/** The first program of this name in PATH. */
export function onPath(name: string): string | undefined {
  return (process.env["PATH"] ?? "").split(delimiter).filter(Boolean).map((folder) => join(folder, name)).find(
    existsSync,
  );
}

function packageFile(project: string, name: string, file: string): string | undefined {
  try {
    const path = join(dirname(createRequire(join(project, "noop.js")).resolve(`${name}/package.json`)), file);
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined; // it is not installed
  }
}
