/** A tslab that is installed for all projects runs the cells of one that has a tslab of its own. */
import { cp, mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { JupyterKernel } from "../support/jupyter.ts";

const modules = join(import.meta.dirname, "../../node_modules");

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "varve-own-tslab-"));
  const own = join(folder, "node_modules");
  await mkdir(own);
  for (const name of await readdir(modules)) {
    if (name !== "tslab" && !name.startsWith(".")) await symlink(join(modules, name), join(own, name));
  }
  await cp(join(modules, "tslab"), join(own, "tslab"), { recursive: true });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("two tslabs", () => {
  it("still show things in all their forms, and replace them in place", async () => {
    const kernel = await JupyterKernel.start("node", folder);
    try {
      await kernel.run('import { fromRows } from "varve";');
      const paths =
        "Object.keys((globalThis as any).__tslab__.require.cache).filter((path) => /jupyter\\.js$/.test(path))";
      expect((await kernel.run(`console.log(${paths}.length);`)).shown[0]!.data["stdout"]).toBe("2\n");
      const { outputs, shown } = await kernel.run("fromRows([{ x: 1 }, { x: 2 }]);", {
        until: (found) => JSON.stringify(found).includes("2 rows"),
      });
      expect(outputs.map(({ kind }) => kind)).toEqual(["display_data", "update_display_data"]);
      expect(shown).toHaveLength(1);
      expect(Object.keys(shown[0]!.data)).toEqual(["text/html", "text/plain"]);
    } finally {
      await kernel.close();
    }
  });
});
