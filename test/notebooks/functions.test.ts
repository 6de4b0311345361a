/** Functions of cells: what each kernel makes of their text, and of what they capture. */
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { JupyterKernel } from "../support/jupyter.ts";

const root = join(import.meta.dirname, "../..");
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "varve-cells-"));
  for (const name of ["node_modules", "deno.json", "sdk"]) await symlink(join(root, name), join(folder, name));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What each kernel makes of one text. */
const hashes: string[] = [];

describe.each(["node", "deno"] as const)("functions in the %s kernel", (name) => {
  it("stand alone as the cell had them, run, and name what they capture", async () => {
    const kernel = await JupyterKernel.start(name, folder);
    const run = async (cell: string) => JSON.stringify((await kernel.run(cell)).outputs);
    try {
      await run('import { col, connect, realtimeView } from "varve";\nconst rate = 3;\nlet limit: number = 4;');
      const shown = await run(`
const plain = realtimeView("plain", {
  request: { a: "float64" },
  output: { x: "float64", n: "int64" },
  compute: (row) => {
    const twice = (value: number | null): number => (value ?? 0) * 2;
    class Count { n = 1n; }
    return { x: twice(row.a), n: new Count().n };
  },
});
const store = await connect();
const plan = await plain.publish(store);
await plan.apply();
const answer = await store.online(plain, {}, { request: { a: 4 } });
console.log("gives", answer.x, String(answer.n), (await plain.publish(store)).isEmpty);
console.log("hash " + (plain.definition.compute as any).hash);`);
      expect(shown).toContain("gives 8 1 true");
      hashes.push(/hash ([0-9a-f]{64})/.exec(shown)![1]!);
      const caught = await run(`
function problem(compute: any): string {
  try {
    realtimeView("v", { request: { a: "float64" }, output: { x: "float64" }, compute });
  } catch (error) {
    return (error as Error).message;
  }
  return "none";
}
console.log(problem((row: any) => ({ x: row.a * rate })));
console.log(problem((row: any) => ({ x: row.a > limit })));
console.log(problem(() => ({ x: col("a") })));
console.log(problem(async (row: any) => ({ x: row.a })));`);
      for (const captured of ["rate", "limit", "col"]) expect(caught).toContain(`it captures \\"${captured}\\";`);
      expect(caught).toContain("it is async");
      await run("await store.close();");
    } finally {
      await kernel.close();
    }
  });
});

it("have one hash in both kernels", () => {
  expect(hashes).toEqual([hashes[0], hashes[0]]);
});
