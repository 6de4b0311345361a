/** Settings that are given as texts: by environment variables and on the command line. */
import type { Issue } from "varve";

/** How the text of a variable is read; a list has commas between its parts. */
type TextForm = "text" | "number" | "textOrNumber" | "list";

/** Where a text goes, and how it is read. */
interface Setting {
  readonly path: readonly string[];
  readonly type: TextForm;
}

/** The environment variables. */
const environment: Readonly<Record<string, Setting>> = {
  VARVE_WORKSPACE: { path: ["workspace"], type: "text" },
  VARVE_STORAGE: { path: ["storage"], type: "text" },
  VARVE_REDIS: { path: ["redis"], type: "text" },
  VARVE_QUEUE_REDIS: { path: ["queueRedis"], type: "text" },
  VARVE_AUTHOR: { path: ["author"], type: "text" },
  VARVE_S3_ENDPOINT: { path: ["s3", "endpoint"], type: "text" },
  VARVE_S3_REGION: { path: ["s3", "region"], type: "text" },
  VARVE_S3_ACCESS_KEY_ID: { path: ["s3", "accessKeyId"], type: "text" },
  VARVE_S3_SECRET_ACCESS_KEY: { path: ["s3", "secretAccessKey"], type: "text" },
  VARVE_CACHE_FOLDER: { path: ["cacheFolder"], type: "text" },
  VARVE_CACHE_BYTES: { path: ["cacheBytes"], type: "number" },
  VARVE_MEMORY_LIMIT: { path: ["memoryLimit"], type: "text" },
  VARVE_THREADS: { path: ["threads"], type: "number" },
  VARVE_MODULES: { path: ["modules"], type: "list" },
  VARVE_HOST: { path: ["server", "host"], type: "text" },
  VARVE_PORT: { path: ["server", "port"], type: "number" },
  VARVE_AUTH: { path: ["server", "auth"], type: "text" },
  VARVE_PROCESSES: { path: ["server", "processes"], type: "number" },
  VARVE_BODY_LIMIT_BYTES: { path: ["server", "bodyLimitBytes"], type: "number" },
  VARVE_REQUEST_TIMEOUT_MS: { path: ["server", "requestTimeoutMs"], type: "number" },
  VARVE_CLIENT_TIMEOUT_MS: { path: ["server", "clientTimeoutMs"], type: "number" },
  VARVE_MAX_TEXT_LENGTH: { path: ["server", "maxTextLength"], type: "number" },
  VARVE_MAX_LIST_LENGTH: { path: ["server", "maxListLength"], type: "number" },
  VARVE_MAX_JSON_DEPTH: { path: ["server", "maxJsonDepth"], type: "number" },
  VARVE_MAX_IN_FLIGHT: { path: ["server", "maxInFlight"], type: "number" },
  VARVE_MAX_CONNECTIONS: { path: ["server", "maxConnections"], type: "number" },
  VARVE_MAX_LOOP_LAG_MS: { path: ["server", "maxLoopLagMs"], type: "number" },
  VARVE_RATE_PER_SECOND: { path: ["server", "ratePerSecond"], type: "number" },
  VARVE_RATE_BURST: { path: ["server", "rateBurst"], type: "number" },
  VARVE_CORS_ORIGINS: { path: ["server", "corsOrigins"], type: "list" },
  VARVE_ACCESS_LOG: { path: ["server", "accessLog"], type: "textOrNumber" },
  VARVE_AUDIT_SHARE: { path: ["server", "auditShare"], type: "number" },
  VARVE_AUDIT_KEYS: { path: ["server", "auditKeys"], type: "text" },
  VARVE_AUDIT_DAYS: { path: ["server", "auditDays"], type: "number" },
  VARVE_CONCURRENCY: { path: ["worker", "concurrency"], type: "number" },
  VARVE_SHUTDOWN_MS: { path: ["worker", "shutdownMs"], type: "number" },
  VARVE_DENO: { path: ["functions", "deno"], type: "text" },
  VARVE_FUNCTION_TIMEOUT_MS: { path: ["functions", "timeoutMs"], type: "number" },
  VARVE_FUNCTION_MEMORY_MB: { path: ["functions", "memoryMb"], type: "number" },
  VARVE_FUNCTION_PROCESSES: { path: ["functions", "processes"], type: "number" },
  VARVE_LOG_LEVEL: { path: ["logLevel"], type: "text" },
  VARVE_CLOCK: { path: ["clock"], type: "text" },
};

/** What the command line may say instead. */
const flags = {
  "--host": environment["VARVE_HOST"]!,
  "--port": environment["VARVE_PORT"]!,
  "--processes": environment["VARVE_PROCESSES"]!,
} satisfies Readonly<Record<string, Setting>>;

/** What the command line says. */
export type Flags = { readonly [F in keyof typeof flags]?: string | undefined };

/** A setting that was given as text, under a name that is known to who gave it. */
interface GivenText {
  readonly name: string;
  readonly text: string;
  readonly setting: Setting;
}

/** What was given, by the path of the setting: what the command line says goes instead of a variable. */
export function textsOf(
  env: Readonly<Record<string, string | undefined>>,
  typed: Flags,
  issues: Issue[],
): ReadonlyMap<string, GivenText> {
  const given = new Map<string, GivenText>();
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith("VARVE_") || name === "VARVE_CONFIG" || name === "VARVE_DEEP" || text === undefined) continue;
    const setting = environment[name];
    if (setting) given.set(setting.path.join("."), { name, text, setting });
    else issues.push({ path: name, message: `no such variable; there are ${Object.keys(environment).join(", ")}` });
  }
  for (const [name, setting] of Object.entries(flags)) {
    const text = typed[name as keyof typeof flags];
    if (text !== undefined) given.set(setting.path.join("."), { name, text, setting });
  }
  return given;
}

/** Puts values where they belong; gives the names they came by, by path. */
export function readTexts(
  given: ReadonlyMap<string, GivenText>,
  target: Record<string, unknown>,
  issues: Issue[],
): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const [path, { name, text, setting }] of given) {
    const value = readText(text, setting.type);
    if (value === undefined) issues.push({ path: name, message: "must be a number" });
    else {
      put(target, setting.path, value);
      names.set(path, name);
    }
  }
  return names;
}

function readText(text: string, type: TextForm): string | number | readonly string[] | undefined {
  if (type === "text") return text;
  if (type === "list") return text.split(",").map((part) => part.trim()).filter((part) => part !== "");
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  return type === "number" ? undefined : text;
}

function put(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [first, ...rest] = path;
  if (rest.length === 0) {
    target[first!] = value;
    return;
  }
  const inner = target[first!];
  const next = typeof inner === "object" && inner !== null ? inner as Record<string, unknown> : {};
  target[first!] = next;
  put(next, rest, value);
}
