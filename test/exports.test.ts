import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");

interface Manifest {
  readonly name: string;
  readonly main: string;
  readonly types: string;
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
  readonly typesVersions?: { readonly "*": Readonly<Record<string, readonly string[]>> };
}

const json = <T>(path: string) => JSON.parse(readFileSync(join(root, path), "utf8")) as T;
const packages = ["sdk", "cluster"].map((folder) => ({ folder, ...json<Manifest>(`${folder}/package.json`) }));
const entries = packages.flatMap(({ folder, name, exports }) =>
  Object.entries(exports).map(([path, targets]) => ({
    specifier: name + path.slice(1),
    path,
    source: `./${folder}/${targets.default.replace("./dist/", "").replace(/\.js$/, ".ts")}`,
    file: join(root, folder, targets.default),
    types: join(root, folder, targets.types),
    targets,
  }))
);

/** Runs a module in a process of its own; gives what it prints last. */
async function run(code: string): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", code], { cwd: root });
  return JSON.parse(stdout.trim().split("\n").at(-1)!);
}

/** Prints the native libraries of engines that the process has mapped. */
const engines = `
const { readFileSync } = await import("node:fs");
const report = process.report.getReport().sharedObjects.join("\\n");
console.log(JSON.stringify([...new Set(report.match(/[^\\/]*(duckdb|polars)[^\\/\\n]*$/gm) ?? [])]));
`;

describe("entry points", () => {
  it("are the same for Node, for older TypeScript and for Deno", () => {
    const imports = json<{ imports: Readonly<Record<string, string>> }>("deno.json").imports;
    expect(imports).toEqual(Object.fromEntries(entries.map(({ specifier, source }) => [specifier, source])));
    for (const { name, main, types, exports, typesVersions } of packages) {
      expect([name, main, types]).toEqual([name, exports["."]!.default, exports["."]!.types]);
      const others = Object.entries(exports).filter(([path]) => path !== ".");
      expect(typesVersions?.["*"] ?? {}).toEqual(
        Object.fromEntries(others.map(([path, targets]) => [path.slice(2), [targets.types]])),
      );
    }
  });

  it.each(entries)(
    "$specifier loads from the build, and has types and a source",
    async ({ specifier, file, types, source }) => {
      const url = JSON.stringify(pathToFileURL(file).href);
      const code = `
      const [byName, byFile] = [await import(${JSON.stringify(specifier)}), await import(${url})];
      console.log(JSON.stringify([byName === byFile, Object.keys(byName).length]));
    `;
      const [isSame, count] = await run(code) as [boolean, number];
      expect(isSame).toBe(true);
      expect(count).toBeGreaterThan(0);
      expect(readFileSync(types, "utf8")).toMatch(/export/);
      expect(readFileSync(join(root, source), "utf8")).toMatch(/@module/);
    },
  );
});

describe("engines", () => {
  it.each(entries)("are not loaded with $specifier", async ({ file }) => {
    expect(await run(`await import(${JSON.stringify(pathToFileURL(file).href)}); ${engines}`)).toEqual([]);
  });

  it("are not loaded by a store that is read online, nor by the modules of varve serve", async () => {
    const serve = JSON.stringify(pathToFileURL(join(root, "cluster/dist/cli/serve.js")).href);
    const code = `
      const { mkdtempSync, rmSync } = await import("node:fs");
      await import(${serve});
      const { openServing } = await import("varve/serving");
      const folder = mkdtempSync((await import("node:os")).tmpdir() + "/varve-exports-");
      const serving = await openServing({ storage: folder });
      await serving.problems();
      await serving.close();
      rmSync(folder, { recursive: true });
      ${engines}
    `;
    expect(await run(code)).toEqual([]);
  });

  it("would be seen", async () => {
    const code = `
      const { checkNative } = await import("varve/cluster");
      await checkNative("duckdb");
      await checkNative("polars");
      ${engines}
    `;
    expect((await run(code) as string[]).join()).toMatch(/duckdb.*polars|polars.*duckdb/);
  });
});
