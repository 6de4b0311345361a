/** The configuration of varve's processes: one JSON file and the environment, read here and nowhere else. */
import { existsSync, readFileSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { ManualClock, messageOf, nameProblem, systemClock, throwIssues, toMicros } from "varve";
import type { Clock, Issue } from "varve";
import { z } from "zod";
import { type Flags, readTexts, textsOf } from "./config_texts.ts";

/** Everything the processes need to know. Frozen. */
export interface Config {
  /** Name of the workspace. */
  readonly workspace: string;
  /** A folder, or `s3://bucket/prefix`. */
  readonly storage: string;
  /** Redis of the online store, and of the queue unless `queueRedis` is given; without it the store is embedded. */
  readonly redis?: string;
  readonly queueRedis?: string;
  /** Who changes are signed by. */
  readonly author: string;
  readonly s3: S3Config;
  /** Where copies of stored objects are kept (S3 only). */
  readonly cacheFolder: string;
  readonly cacheBytes: number;
  /** What one process's engine may take before it spills to disk, such as `2GB`. */
  readonly memoryLimit?: string;
  readonly threads?: number;
  /** Modules that every process loads first, because they register aggregations of users; absolute paths. */
  readonly modules: readonly string[];
  readonly server: ServerConfig;
  readonly worker: WorkerConfig;
  readonly functions: FunctionsConfig;
  readonly logLevel: "trace" | "debug" | "info" | "warn" | "error" | "silent";
  /** The computer's clock, or one that stands at a given instant (to replay history). */
  readonly clock: Clock;
  /** The instant the clock stands at, as text; absent for the computer's clock. */
  readonly clockAt?: string;
}

export interface S3Config {
  readonly endpoint?: string;
  readonly region?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
}

export interface ServerConfig {
  readonly host: string;
  readonly port: number;
  /** Whether requests need an API key; absent: they do. */
  readonly auth?: "on" | "off";
  /** How many processes answer. */
  readonly processes: number;
  /** The largest request body. */
  readonly bodyLimitBytes: number;
  /** The longest a request may take. */
  readonly requestTimeoutMs: number;
  /** How long a client may take to send a request, or to take its answer. */
  readonly clientTimeoutMs: number;
  /** The longest text in a request, in characters. */
  readonly maxTextLength: number;
  /** The most elements of a list in a request, and fields of an object. */
  readonly maxListLength: number;
  /** How deep lists and objects may lie in each other. */
  readonly maxJsonDepth: number;
  /** Requests that one process answers at a time; more are told to come again. */
  readonly maxInFlight: number;
  /** Connections of one process. */
  readonly maxConnections: number;
  /** How late the event loop may be before requests are told to come again. */
  readonly maxLoopLagMs: number;
  /** Requests a second that one process answers each API key that has no rate of its own; absent: as many as come. */
  readonly ratePerSecond?: number;
  /** Requests that may come at once after a pause; absent: those of one second. */
  readonly rateBurst?: number;
  /** Origins whose pages may ask from a browser, such as `https://app.example.com`, or `*` for all; none unless told. */
  readonly corsOrigins: readonly string[];
  /** Which requests are logged, a line each: none, those that failed, all, or those that failed and this share of the others. */
  readonly accessLog: "off" | "errors" | "all" | number;
  /** Of how many entities what services answer is logged to the object store: a share from 0 (nothing) to 1. */
  readonly auditShare: number;
  /** Whether the audit log has join keys as they are, or a hash of them. */
  readonly auditKeys: "hashed" | "plain";
  /** For how many days it is kept. */
  readonly auditDays: number;
}

export interface WorkerConfig {
  /** Jobs at a time in one process. */
  readonly concurrency: number;
  /** How long a stopping worker may finish what it does. */
  readonly shutdownMs: number;
}

/** How the functions of realtime views are run: in Deno processes without permissions. */
export interface FunctionsConfig {
  /** The Deno executable; absent: the package `deno`, or what is on the PATH. */
  readonly deno?: string;
  /** How long one row may take, of a request or a training set; on a server at most half of what a request may take. */
  readonly timeoutMs: number;
  /** The most memory that a function may take, beyond what Deno itself takes. */
  readonly memoryMb: number;
  /** Processes for each function, in each process that serves. */
  readonly processes: number;
}

const byteSize = /^\d+(\.\d+)?\s?(KB|MB|GB|TB|KiB|MiB|GiB|TiB)$/i;

/** One server, by an address that the queue understands too. */
const oneRedis = /^rediss?:\/\//;

const fileSchema = z.strictObject({
  workspace: z.string().refine(
    (name) => nameProblem(name) === undefined,
    "names start with an ASCII letter or _ and hold ASCII letters, digits, _ and -",
  ),
  storage: z.string().min(1),
  redis: z.string().regex(
    /^(rediss?(-cluster)?:\/\/|unix:)/,
    "must start with redis://, rediss://, redis-cluster://, rediss-cluster:// or unix:",
  ),
  queueRedis: z.string().regex(oneRedis, "must start with redis:// or rediss://"),
  author: z.string().min(1).max(128),
  s3: z.strictObject({
    endpoint: z.url({ protocol: /^https?$/ }),
    region: z.string().min(1),
    accessKeyId: z.string().min(1),
    secretAccessKey: z.string().min(1),
  }).partial(),
  cacheFolder: z.string().min(1),
  cacheBytes: z.number().int().min(1_000_000),
  memoryLimit: z.string().regex(byteSize, "must be a size such as 512MB or 2GB"),
  threads: z.number().int().min(1).max(256),
  modules: z.array(z.string().min(1)).max(100),
  server: z.strictObject({
    host: z.string().min(1),
    port: z.number().int().min(0).max(65535),
    auth: z.enum(["on", "off"]),
    processes: z.number().int().min(1).max(256),
    bodyLimitBytes: z.number().int().min(1024).max(64 * 1024 * 1024),
    requestTimeoutMs: z.number().int().min(10).max(600_000),
    clientTimeoutMs: z.number().int().min(100).max(600_000),
    maxTextLength: z.number().int().min(1).max(64 * 1024 * 1024),
    maxListLength: z.number().int().min(1).max(10_000_000),
    maxJsonDepth: z.number().int().min(4).max(1_000),
    maxInFlight: z.number().int().min(1).max(1_000_000),
    maxConnections: z.number().int().min(1).max(1_000_000),
    maxLoopLagMs: z.number().int().min(20).max(600_000),
    ratePerSecond: z.number().positive().max(1_000_000),
    rateBurst: z.number().int().min(1).max(1_000_000),
    corsOrigins: z.array(z.string().refine(isOrigin, "must be origins such as https://app.example.com, or *")).max(
      1_000,
    ),
    accessLog: z.union([z.enum(["off", "errors", "all"]), z.number().min(0).max(1)], {
      error: "must be off, errors, all, or a share such as 0.01",
    }),
    auditShare: z.number().min(0).max(1),
    auditKeys: z.enum(["hashed", "plain"]),
    auditDays: z.number().int().min(1).max(36_500),
  }).partial(),
  worker: z.strictObject({
    concurrency: z.number().int().min(1).max(64),
    shutdownMs: z.number().int().min(0).max(600_000),
  }).partial(),
  functions: z.strictObject({
    deno: z.string().min(1),
    timeoutMs: z.number().int().min(10).max(600_000),
    memoryMb: z.number().int().min(16).max(1_000_000),
    processes: z.number().int().min(1).max(64),
  }).partial(),
  logLevel: z.enum(["trace", "debug", "info", "warn", "error", "silent"]),
  clock: z.string().refine(isInstant, "must be an instant such as 2001-07-01T00:00Z"),
}).partial();

type FileConfig = z.infer<typeof fileSchema>;

/** The file that is read when none is named. */
export const defaultConfigFile = "varve.json";

export interface ReadConfigOptions {
  /** A file that must exist; else `VARVE_CONFIG`, else `varve.json` where there is one. */
  readonly file?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What the command line says. */
  readonly flags?: Flags;
  readonly folder?: string;
}

/**
 * Reads the file, then the environment over it, then the command line. Throws one INVALID_CONFIG that lists every problem, each by the
 * name under which the value was given.
 */
export function readConfig(options: ReadConfigOptions = {}): Config {
  const env = options.env ?? process.env;
  const folder = options.folder ?? process.cwd();
  const issues: Issue[] = [];
  const named = options.file ?? env["VARVE_CONFIG"];
  const merged = structuredClone(readFile(resolve(folder, named ?? defaultConfigFile), named !== undefined, issues));
  const names = readTexts(textsOf(env, options.flags ?? {}, issues), merged, issues);
  const parsed = fileSchema.safeParse(merged);
  for (const { path, message } of parsed.error?.issues ?? []) {
    // An element of a list was typed with all of it.
    const setting = path.filter((part) => typeof part !== "number").join(".");
    issues.push({ path: names.get(setting) ?? path.join("."), message });
  }
  const values: FileConfig = parsed.success ? parsed.data : {};
  if (values.storage?.startsWith("s3://") && !values.redis) {
    issues.push({ path: "redis", message: "storage on S3 needs a Redis for the online store and the queue" });
  }
  if (values.redis && !oneRedis.test(values.redis) && !values.queueRedis) {
    issues.push({
      path: "queueRedis",
      message: "the queue needs one Redis by redis:// or rediss://, as that of the online store is another kind",
    });
  }
  if ((values.s3?.accessKeyId === undefined) !== (values.s3?.secretAccessKey === undefined)) {
    issues.push({ path: "s3", message: "accessKeyId and secretAccessKey go together" });
  }
  throwIssues("Cannot read the configuration", issues, "INVALID_CONFIG");
  return complete(values, folder);
}

function readFile(path: string, mustExist: boolean, issues: Issue[]): Record<string, unknown> {
  if (!existsSync(path)) {
    if (mustExist) issues.push({ path: "", message: `the file ${path} does not exist` });
    return {};
  }
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    issues.push({ path: "", message: `the file ${path} must hold a JSON object` });
  } catch (error) {
    issues.push({ path: "", message: `the file ${path} is not JSON: ${messageOf(error)}` });
  }
  return {};
}

/** As a browser sends it: a scheme, a host and a port that is not the scheme's own. */
function isOrigin(text: string): boolean {
  return text === "*" || (/^https?:[^*]*$/.test(text) && URL.canParse(text) && new URL(text).origin === text);
}

function isInstant(text: string): boolean {
  try {
    toMicros(text);
    return true;
  } catch {
    return false;
  }
}

function complete(values: FileConfig, folder: string): Config {
  const storage = values.storage ?? ".varve";
  const place = storage.includes("://") || isAbsolute(storage) ? storage : resolve(folder, storage);
  return Object.freeze({
    workspace: values.workspace ?? "default",
    storage: place,
    ...(values.redis === undefined ? {} : { redis: values.redis }),
    ...(values.queueRedis === undefined ? {} : { queueRedis: values.queueRedis }),
    author: values.author ?? userInfo().username,
    s3: Object.freeze({ ...defined(values.s3 ?? {}) }),
    cacheFolder: values.cacheFolder ?? join(homedir(), ".cache", "varve"),
    cacheBytes: values.cacheBytes ?? 20_000_000_000,
    ...(values.memoryLimit === undefined ? {} : { memoryLimit: values.memoryLimit }),
    ...(values.threads === undefined ? {} : { threads: values.threads }),
    modules: Object.freeze((values.modules ?? []).map((path) => resolve(folder, path))),
    server: Object.freeze({
      host: "127.0.0.1",
      port: 6566,
      processes: 1,
      bodyLimitBytes: 4 * 1024 * 1024,
      requestTimeoutMs: 2_000,
      clientTimeoutMs: 10_000,
      maxTextLength: 65_536,
      maxListLength: 10_000,
      maxJsonDepth: 32,
      maxInFlight: 1_000,
      maxConnections: 10_000,
      maxLoopLagMs: 500,
      corsOrigins: [],
      accessLog: "errors",
      auditShare: 0,
      auditKeys: "hashed",
      auditDays: 30,
      ...defined(values.server ?? {}),
    }),
    worker: Object.freeze({ concurrency: 1, shutdownMs: 30_000, ...defined(values.worker ?? {}) }),
    functions: Object.freeze({ timeoutMs: 5_000, memoryMb: 256, processes: 1, ...defined(values.functions ?? {}) }),
    logLevel: values.logLevel ?? "info",
    clock: values.clock === undefined ? systemClock : new ManualClock(values.clock),
    ...(values.clock === undefined ? {} : { clockAt: values.clock }),
  });
}

/** Without the keys whose value is undefined. */
function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
