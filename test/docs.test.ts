/**
 * What documentation shows is run. The rules:
 * - The `ts` blocks of README.md are one program, in order: a block may use what the blocks before it declare, and imports
 *   nothing again. It is compiled as a user's would be, against the build, and run in an empty folder with a node_modules.
 * - The `curl` commands ask a server that runs on what this program has stored.
 * - Every line of a `sh` block is a command that exists: an npm script, a command of `varve`, or `curl`.
 * - Every `@example` of a doc comment in sdk/ and cluster/ is a program of its own: it is compiled and run.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { errorCodes } from "../sdk/errors.ts";
import { windowFunctions } from "../sdk/frame/window_functions.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const varve = join(root, "cluster/bin/varve.js");
const tsx = createRequire(import.meta.url).resolve("tsx/cli");
const readme = readFileSync(join(root, "README.md"), "utf8");

/** The contents of the README's fenced blocks of a language. */
function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"))].map((match) => match[1]!);
}

interface DocExample {
  /** File and line. */
  readonly place: string;
  readonly code: string;
}

function docExamples(): DocExample[] {
  const files = ["sdk", "cluster"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((file) => join(folder, file))
  ).filter((file) => file.endsWith(".ts") && !/(^|\/)(dist|node_modules)\//.test(file));
  return files.sort().flatMap((file) => {
    const source = readFileSync(join(root, file), "utf8");
    return [...source.matchAll(/^ *\* ```ts\n(.*?)^ *\* ```$/gms)].map((match) => ({
      place: `${file}:${source.slice(0, match.index).split("\n").length}`,
      code: match[1]!.replace(/^ *\* ?/gm, ""),
    }));
  });
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "varve-docs-"));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  const programs = [{ name: "readme", code: blocks("ts").join("\n") }, ...docExamples().map(named)];
  for (const { name, code } of programs) await writeFile(join(folder, `${name}.ts`), `${code}\nexport {};\n`);
  const compilerOptions = {
    target: "ES2022",
    lib: ["ES2023"],
    module: "nodenext",
    types: ["node"],
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    noEmit: true,
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function named(example: DocExample, i: number): DocExample & { readonly name: string } {
  return { ...example, name: `example_${i}` };
}

function start(args: readonly string[], settings: Readonly<Record<string, string>> = {}, cwd = folder) {
  const kept = Object.entries(process.env).filter(([name]) => !/^(VARVE_|VITEST|NODE_OPTIONS|FORCE_COLOR)/.test(name));
  const env = { ...Object.fromEntries(kept), ...settings };
  return spawn(process.execPath, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
}

async function run(args: readonly string[], cwd?: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = start(args, {}, cwd);
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code: code as number, stdout, stderr };
}

describe("ts blocks of the README and examples of doc comments", () => {
  it("are there and compile as a user's program", async () => {
    expect(blocks("ts").length).toBeGreaterThan(0);
    expect(docExamples().length).toBeGreaterThan(0);
    const { stdout } = await run([join(root, "node_modules/typescript/bin/tsc"), "-p", folder, "--pretty", "false"]);
    const place = (name: string) => docExamples().map(named).find((example) => example.name === name)?.place ?? name;
    expect(stdout.replace(/^(\w+)\.ts/gm, (_, name: string) => `${place(name)} (${name}.ts)`)).toBe("");
  });

  it.each(docExamples().map(named))("$place runs", async ({ name }) => {
    // A folder of its own: what one example stores is not seen by the next.
    const cwd = join(folder, `${name}_cwd`);
    await mkdir(cwd);
    expect(await run([tsx, join(folder, `${name}.ts`)], cwd)).toMatchObject({ code: 0, stderr: "" });
  });

  it("README's program runs, and a server answers its curl commands with what was stored", async () => {
    expect(await run([tsx, join(folder, "readme.ts")])).toMatchObject({ code: 0, stderr: "" });
    const commands = blocks("sh").flatMap((block) => block.startsWith("curl") ? block.split(/^(?=curl)/m) : []);
    expect(commands.length).toBeGreaterThan(3);
    const key = (await run([varve, "keys", "create", "docs", "--scope", "read", "--scope", "publish"])).stdout.trim();
    const settings = {
      VARVE_PORT: "0",
      VARVE_LOG_LEVEL: "warn",
      VARVE_CLOCK: "2001-02-01",
      // A computer that runs tests is busy.
      VARVE_MAX_LOOP_LAG_MS: "600000",
      VARVE_REQUEST_TIMEOUT_MS: "20000",
    };
    const server = start([varve, "serve"], settings);
    const closed = once(server, "close");
    const stderr = text(server.stderr);
    try {
      const [line] = await Promise.race([once(server.stdout, "data") as Promise<[Buffer]>, closed.then(() => [""])]);
      const origin = /http:\S+/.exec(String(line))?.[0] ?? await stderr;
      for (const command of commands) {
        const [, path, body] = /http:\/\/127\.0\.0\.1:6566([^\s']+).*-d '(.*)'/s.exec(command)!;
        const [, scheme] = /"authorization: (Bearer|Tecton-key) \$KEY"/.exec(command)!;
        const headers = { "content-type": "application/json", authorization: `${scheme} ${key}` };
        const response = await fetch(`${origin}${path}`, { method: "POST", headers, body: body! });
        const answer = await response.text();
        // An embedded store's server has no queue.
        const isWork = path!.startsWith("/materialize");
        expect([path, response.status, answer]).toEqual([path, isWork ? 501 : 200, expect.any(String)]);
        if (!isWork) expect(answer).toMatch(/"PRESENT"/);
      }
    } finally {
      server.kill("SIGTERM");
      await closed;
    }
  });
});

describe("README", () => {
  it("names npm scripts that there are", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: object };
    const names = [...readme.matchAll(/\bnpm run (?:-s )?([\w:]+)/g)].map((match) => match[1]!);
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  });

  it("names commands of varve that there are", async () => {
    const { stdout } = await run([varve, "--help"]);
    const known = [...stdout.slice(stdout.indexOf("Commands:")).matchAll(/^ {2}(\w+)/gm)].map((match) => match[1]!);
    const named = [...readme.matchAll(/(?:npx varve|`varve) (\w+)/g)].map((match) => match[1]!);
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => !known.includes(name))).toEqual([]);
  });

  it("has shell blocks of such commands only", () => {
    const commands = blocks("sh").map((block) => block.replace(/'[^']*'/g, "''").replace(/\\\n/g, "").trim());
    const lines = commands.flatMap((block) => block.split("\n")).flatMap((line) => line.split(/\s+#|&&/)[0]!.trim());
    expect(lines.filter((line) => !/^(npm (ci|test|run \S+)|npx varve \w+|curl )/.test(line))).toEqual([]);
  });

  it("names variables and folders that there are", () => {
    const texts = readFileSync(join(root, "cluster/config_texts.ts"), "utf8");
    const variables = [...new Set(readme.match(/\bVARVE_[A-Z0-9_]+/g))];
    expect(variables.filter((name) => !texts.includes(name))).toEqual([]);
    let top = "";
    for (const [, indent, name] of readme.matchAll(/^( {2})?(\w+)\/ {2,}\S/gm)) {
      if (indent === undefined) top = name!;
      const path = indent === undefined ? name! : join(top, name!);
      expect(existsSync(join(root, path)), path).toBe(true);
    }
    expect(top).not.toBe("");
  });

  it("links to files that there are", () => {
    const links = [...readme.matchAll(/\]\(([^)#]+)[^)]*\)/g)].map((match) => match[1]!);
    expect(links.filter((link) => !/^https?:/.test(link) && !existsSync(join(root, link)))).toEqual([]);
  });

  it("names every function over windows", () => {
    const [, section] = /^## Windows\n(.*?)^## /ms.exec(readme)!;
    const named = [...section!.matchAll(/`(\w+)(?=[(`])/g)].map((match) => match[1]!);
    const functions = Object.keys(windowFunctions).map((name) => name.replace(/N$/, ""));
    expect(functions.filter((name) => !named.includes(name))).toEqual([]);
  });

  it("has the table of error codes", () => {
    const rows = [...readme.matchAll(/^\| `([A-Z_]+)` +\| (\d{3}) +\| (yes|no) +\|/gm)];
    const table = rows.map(([, code, status, retry]) => [code, { status: Number(status), retry: retry === "yes" }]);
    expect(table).toEqual(Object.entries(errorCodes));
  });
});
