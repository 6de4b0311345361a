import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");
const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

/** What the compiler says of each line, by the line's text. */
async function complaints(setting: string, lines: readonly string[]): Promise<Map<string, string>> {
  const folder = await mkdtemp(join(tmpdir(), "varve-mistakes-"));
  folders.push(folder);
  const head = `import { col, entity, fromRows, service, type Store, view } from "${
    join(root, "sdk/mod.ts")
  }";\n${setting}\n`;
  const file = join(folder, "mistakes.ts");
  await writeFile(file, head + lines.join("\n"));
  const options = "--noEmit --strict --module nodenext --target es2022 --skipLibCheck --allowImportingTsExtensions " +
    "--pretty false --types node";
  const compiler = [join(root, "node_modules/typescript/bin/tsc"), ...options.split(" "), "--ignoreConfig", file];
  const { stdout } = await promisify(execFile)(process.execPath, compiler, { cwd: root })
    .catch((error: { stdout: string }) => error);
  const said = new Map<string, string>();
  const before = head.split("\n").length - 1;
  for (const [, line, text] of stdout.matchAll(/mistakes\.ts\((\d+),\d+\): (.*(?:\n .*)*)/g)) {
    said.set(lines[Number(line) - before - 1] ?? `line ${line}`, text!);
  }
  return said;
}

describe("compile errors of overloaded methods", () => {
  it("say which name is wrong, in the words of the call that was meant", async () => {
    const setting = `declare const store: Store;
const rows = fromRows([{ k: "a", t: new Date(0), x: 1.5 }], { eventTimestamp: "t" });
const v = view("v", rows.by(entity("e", { k: "string" })), { schedule: "1d", start: "2001-01-01" });
const s = service("s", [v]);`;
    const said = await complaints(setting, [
      `rows.select("k", "xx");`,
      `store.online(s, { kk: "a" });`,
      `store.online(v, { kk: "a" });`,
      `store.online(s, { k: 5 });`,
      `store.online(v, { k: "a" }).then(({ xx }) => xx);`,
      `rows.select("k", { y: col("x") });`,
      `store.online(s, { k: "a" }).then(({ x }): number | null => x);`,
      `store.online(v, [{ k: "a" }]).then(([first]): number | null => first!.x);`,
      `store.online("s", { any: "a" }).then(({ any }): unknown => any);`,
    ]);
    expect([...said.keys()]).toHaveLength(5);
    expect(said.get(`rows.select("k", "xx");`)).toMatch(/'"xx"' is not assignable to parameter of type/);
    expect(said.get(`store.online(s, { kk: "a" });`)).toMatch(/'kk' does not exist in type/);
    expect(said.get(`store.online(v, { kk: "a" });`)).toMatch(/'kk' does not exist in type/);
    expect(said.get(`store.online(s, { k: 5 });`)).toMatch(/'number' is not assignable to type 'string'/);
    expect(said.get(`store.online(v, { k: "a" }).then(({ xx }) => xx);`)).toMatch(/'xx' does not exist on type/);
  }, 60_000);
});
