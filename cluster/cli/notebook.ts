/** `varve notebook`: opens Jupyter with both kernels of this project, and changes nothing outside of it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { delimiter, join, resolve } from "node:path";
import { onPath, projectKernels, writeKernelSpecs } from "../notebook/kernels.ts";
import type { CommandContext } from "./main.ts";

/** Writes the kernel specs, then opens Jupyter in a folder, or says how to get it. */
export async function notebook(
  context: CommandContext,
  folder: string | undefined,
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  const project = process.cwd();
  const kernels = projectKernels(project);
  const specs = await writeKernelSpecs(join(project, ".varve", "jupyter"), kernels);
  for (const { displayName, missing } of kernels) {
    context.print(`${displayName}: ${missing === undefined ? "ready" : `missing; to get it: ${missing}`}`);
  }
  const path = [specs, process.env["JUPYTER_PATH"]].filter(Boolean).join(delimiter);
  if (options["open"] === false) return context.print(`JUPYTER_PATH=${path}`);
  const jupyter = onPath("jupyter-lab") ?? onPath("jupyter-notebook");
  if (jupyter === undefined) {
    context.print(
      [
        "Jupyter is not installed. Either of these gets it:",
        "  pip install jupyterlab",
        "  apt-get install jupyter-notebook",
        "An editor with notebooks of its own needs only the kernels. They are found with:",
        `  export JUPYTER_PATH=${path}`,
      ].join("\n"),
    );
    process.exitCode = 1;
    return;
  }
  const args = [...(options["browser"] === false ? ["--no-browser"] : []), resolve(folder ?? ".")];
  const child = spawn(jupyter, args, { env: { ...process.env, JUPYTER_PATH: path }, stdio: "inherit" });
  // Jupyter asks whether to stop at the first interrupt, and stops at the second.
  const ignore = () => {};
  process.on("SIGINT", ignore);
  const [code] = await once(child, "exit") as [number | null];
  process.off("SIGINT", ignore);
  process.exitCode = code ?? 1;
}
