import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { projectKernels, writeKernelSpecs } from "../../../cluster/notebook/kernels.ts";
import { JupyterKernel } from "../../support/jupyter.ts";

const root = join(import.meta.dirname, "../../..");

async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "varve-kernels-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe("projectKernels()", () => {
  it("finds tslab and Deno in the project", () => {
    expect(projectKernels(root).map(({ name, missing }) => [name, missing])).toEqual([
      ["varve-node", undefined],
      ["varve-deno", undefined],
    ]);
  });

  it("says how to get what is missing", async () => {
    const [node] = projectKernels(await scratch());
    expect(node!.missing).toBe("npm install --save-dev tslab");
  });
});

describe("writeKernelSpecs()", () => {
  it("writes specs that Jupyter reads, and leaves missing kernels out", async () => {
    const folder = await scratch();
    await writeKernelSpecs(folder, projectKernels(root));
    const spec = JSON.parse(await readFile(join(folder, "kernels/varve-deno/kernel.json"), "utf8")) as {
      argv: string[];
    };
    expect(spec.argv).toContain("{connection_file}");
    await writeKernelSpecs(folder, [{ name: "none", displayName: "None", argv: [], missing: "x" }]);
    await expect(readFile(join(folder, "kernels/none/kernel.json"))).rejects.toThrow(/ENOENT/);
  });
});

describe.each(["node", "deno"] as const)("the %s kernel", (name) => {
  it("imports varve, keeps declarations, and tells errors", async () => {
    const kernel = await JupyterKernel.start(name, join(root, "notebooks"));
    onTestFinished(() => kernel.close());
    const first = await kernel.run('import { col } from "varve";\nconst late = col("delay").gt(15);');
    expect(first).toMatchObject({ status: "ok", outputs: [] });
    const { outputs } = await kernel.run("late");
    expect(JSON.stringify(outputs)).toContain("delay > 15");
    expect((await kernel.run('throw new Error("no such thing")')).status).toBe("error");
  });
});
