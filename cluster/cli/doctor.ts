/** `varve doctor`: checks what varve stands on, and says the way out of every problem. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { formatBytes, messageOf, VarveError } from "varve";
import { inspectRedis, inspectSandbox, openObjects, StoreParts } from "varve/cluster";
import { placesOf, queueUrl, storeOptions } from "../settings.ts";
import { checkKeys } from "./doctor_keys.ts";
import type { CommandContext } from "./main.ts";

/** The result of one check. `warning` does not make doctor fail. */
export interface Finding {
  readonly name: string;
  readonly state: "ok" | "warning" | "problem";
  readonly detail: string;
  readonly fix?: string;
}

/** The oldest Node that varve runs on: it lets CommonJS (tslab's cells) load ES modules. */
const oldestNode = [20, 19] as const;

/** Runs all checks, prints them, and exits 1 when there is a problem. */
export async function doctor(context: CommandContext): Promise<void> {
  const findings = (await Promise.all([
    checkNode(process.versions.node),
    ...(["duckdb", "polars", "lmdb"] as const).map(checkModule),
    checkObjects(context),
    checkRedis(context),
    checkFunctions(context),
    checkKeys(context.config),
  ])).flat();
  if (context.json) context.print(JSON.stringify(findings, undefined, 2));
  else for (const finding of findings) context.print(findingText(finding));
  if (findings.some(({ state }) => state === "problem")) process.exitCode = 1;
}

function findingText({ name, state, detail, fix }: Finding): string {
  const sign = { ok: "✓", warning: "!", problem: "✗" }[state];
  return `${sign} ${name.padEnd(14)} ${detail}${fix === undefined ? "" : `\n${" ".repeat(17)}→ ${fix}`}`;
}

/** Node's version. */
export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isOld = major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1]);
  if (!isOld) return { name: "node", state: "ok", detail: version };
  return { name: "node", state: "problem", detail: version, fix: `install Node ${oldestNode.join(".")} or newer` };
}

/** A crash while a native module loads would end doctor too: each is loaded in a process of its own. */
async function checkModule(name: "duckdb" | "polars" | "lmdb"): Promise<Finding> {
  const code = `import { checkNative } from "varve/cluster"; console.log(await checkNative(${JSON.stringify(name)}));`;
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", code], {
      cwd: fileURLToPath(new URL(".", import.meta.url)),
      timeout: 30_000,
    });
    return { name, state: "ok", detail: stdout.trim() };
  } catch (error) {
    const text = (error as { stderr?: string }).stderr ?? messageOf(error);
    const detail = /Error: (.*)/.exec(text)?.[1] ?? messageOf(error).split("\n")[0]!;
    return {
      name,
      state: "problem",
      detail,
      fix: "run `npm ci` again on this computer, without --omit=optional, so that its binary is there",
    };
  }
}

/** Only realtime views with a function need it. */
async function checkFunctions({ config }: CommandContext): Promise<Finding> {
  try {
    const { deno, guards } = await inspectSandbox(config.functions);
    const found = `sandboxed by ${deno}`;
    if (guards.includes("prlimit")) return { name: "functions", state: "ok", detail: `${found}, ${guards.join(", ")}` };
    const detail = `${found}; without prlimit only the heap of a process is limited`;
    return { name: "functions", state: "warning", detail, fix: "on Linux install util-linux" };
  } catch (error) {
    const views = await functionViews(config);
    const needed = views.length === 0
      ? "only realtime views with a function need it"
      : `realtime view${views.length === 1 ? "" : "s"} ${views.join(", ")} need${views.length === 1 ? "s" : ""} it`;
    const fix = `npm install deno, or name it in VARVE_DENO; ${needed}`;
    return { name: "functions", state: "warning", detail: messageOf(error), fix };
  }
}

/** Realtime views that are published with a function; none where that cannot be read. */
async function functionViews(config: CommandContext["config"]): Promise<string[]> {
  const parts = new StoreParts(storeOptions(config));
  try {
    const { realtimeViews } = await parts.registry.state(AbortSignal.timeout(30_000));
    return Object.values(realtimeViews).filter(({ versions }) =>
      versions.at(-1)!.definition.compute.kind === "function"
    )
      .map(({ name }) => name);
  } catch {
    return []; // the object store is a finding of its own
  } finally {
    await parts.close();
  }
}

async function checkObjects({ config }: CommandContext): Promise<Finding> {
  const objects = openObjects(placesOf(config));
  try {
    await objects.probe(AbortSignal.timeout(30_000));
    return { name: "object store", state: "ok", detail: `${objects.description}: honours put-if-absent` };
  } catch (error) {
    return { name: "object store", state: "problem", detail: messageOf(error), fix: objectsFix(error) };
  } finally {
    await objects.close();
  }
}

function objectsFix(error: unknown): string {
  switch (error instanceof VarveError ? error.code : undefined) {
    case "UNSUPPORTED":
      return "use a store with conditional writes: Amazon S3, Cloudflare R2, MinIO, or a local folder";
    case "EXHAUSTED":
      return "make room; `varve vacuum --apply` removes what nothing refers to any more";
    default:
      return "check storage, endpoint, bucket and keys of the configuration";
  }
}

async function checkRedis({ config }: CommandContext): Promise<Finding[]> {
  const urls = [
    ...(config.redis === undefined ? [] : [["redis", config.redis] as const]),
    ...(queueUrl(config) === config.redis ? [] : [["queue redis", queueUrl(config)!] as const]),
  ];
  if (urls.length === 0) return [{ name: "redis", state: "ok", detail: "not configured: the store is embedded" }];
  return (await Promise.all(urls.map(([name, url]) => checkOneRedis(name, url)))).flat();
}

async function checkOneRedis(name: string, url: string): Promise<Finding[]> {
  try {
    const report = await inspectRedis(url);
    const memory = report.maxBytes === 0
      ? "no memory limit"
      : `${formatBytes(report.usedBytes)} of ${formatBytes(report.maxBytes)} used`;
    const facts = `${report.description}: ${report.version}, ${report.policy ?? "policy unknown"}, ${memory}`;
    if (report.problems.length === 0) return [{ name, state: "ok", detail: facts }];
    return report.problems.map(({ problem, fix }) => ({ name, state: "problem", detail: problem, fix }));
  } catch (error) {
    return [{ name, state: "problem", detail: messageOf(error), fix: "start Redis, or correct its URL (VARVE_REDIS)" }];
  }
}
