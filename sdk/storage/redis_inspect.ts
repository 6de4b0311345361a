/** What `varve doctor` wants to know of a Redis. */
import { messageOf } from "../errors.ts";
import { type RedisAddress, type RedisCall, RedisConnection } from "./redis_client.ts";

/** Something that will lose or refuse data, and what to do about it. */
export interface RedisProblem {
  /** What is wrong. */
  readonly problem: string;
  /** What to do about it. */
  readonly fix: string;
}

/** How a Redis is set up. In a Cluster: of its worst server. */
export interface RedisReport {
  /** How errors name it; without credentials. */
  readonly description: string;
  /** The version of the server. */
  readonly version: string;
  /** Whether it is a Redis Cluster. */
  readonly isCluster: boolean;
  /** `maxmemory-policy`; undefined when the server does not tell. */
  readonly policy?: string;
  /** Whether writes are logged to disk. */
  readonly appendonly?: boolean;
  /** Memory in use. */
  readonly usedBytes: number;
  /** 0: no limit. */
  readonly maxBytes: number;
  /** What should be mended. */
  readonly problems: readonly RedisProblem[];
}

/** Looks at a server; throws UNAVAILABLE or INVALID_CONFIG when it cannot be asked. */
export async function inspectRedis(address: RedisAddress): Promise<RedisReport> {
  const connection = new RedisConnection(address);
  try {
    const reports = await connection.onMasters((call) => inspectServer(call, connection));
    return reports.toSorted((a, b) => b.problems.length - a.problems.length)[0]!;
  } finally {
    await connection.close();
  }
}

async function inspectServer(call: RedisCall, connection: RedisConnection): Promise<RedisReport> {
  const info = String(await call("info"));
  const field = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, "m").exec(info)?.[1] ?? "";
  const version = field("redis_version");
  const usedBytes = Number(field("used_memory"));
  const maxBytes = Number(field("maxmemory"));
  // INFO tells both; CONFIG is often forbidden on rented servers.
  const policy = field("maxmemory_policy") || undefined;
  const appendonly = field("aof_enabled") === "" ? undefined : field("aof_enabled") === "1";
  return {
    description: connection.description,
    version,
    isCluster: connection.isCluster,
    ...(policy !== undefined && { policy }),
    ...(appendonly !== undefined && { appendonly }),
    usedBytes,
    maxBytes,
    problems: [
      ...versionProblems(version),
      ...policyProblems(policy),
      ...persistenceProblems(appendonly),
      ...memoryProblems(usedBytes, maxBytes),
      ...await scriptProblems(call),
    ],
  };
}

function versionProblems(version: string): RedisProblem[] {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > 6 || (major === 6 && minor >= 2)) return [];
  return [{
    problem: `it is version ${version}, which cannot expire keys at an instant`,
    fix: "use Redis 6.2 or later",
  }];
}

function policyProblems(policy: string | undefined): RedisProblem[] {
  if (policy === undefined || policy === "noeviction") return [];
  return [{
    problem: `maxmemory-policy is ${policy}: when it is full it forgets values, states and jobs without a word`,
    fix: "redis-cli CONFIG SET maxmemory-policy noeviction, and the same in redis.conf",
  }];
}

function persistenceProblems(appendonly: boolean | undefined): RedisProblem[] {
  if (appendonly !== false) return [];
  return [{
    problem: "appendonly is no: a restart loses every value and job",
    fix: "redis-cli CONFIG SET appendonly yes, and the same with appendfsync everysec in redis.conf",
  }];
}

function memoryProblems(usedBytes: number, maxBytes: number): RedisProblem[] {
  if (maxBytes === 0 || usedBytes < maxBytes * 0.9) return [];
  return [{
    problem: `${Math.round(usedBytes / maxBytes * 100)} % of its memory is used`,
    fix: "raise maxmemory, or drop versions that are not served",
  }];
}

async function scriptProblems(call: RedisCall): Promise<RedisProblem[]> {
  try {
    await call("eval", "return struct.pack('>I4', 1)", 0);
    return [];
  } catch (error) {
    return [{
      problem: `it does not run Lua scripts (${messageOf(error)})`,
      fix: "allow EVAL and EVALSHA to this user",
    }];
  }
}
