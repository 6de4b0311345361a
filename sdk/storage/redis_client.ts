/** The door to ioredis: connections that fail fast, one server or a Cluster, with errors in varve's words. */
import { Cluster, Command, Redis } from "ioredis";
import { messageOf, VarveError } from "../errors.ts";

/** How to reach Redis. */
export interface RedisAddress {
  /**
   * `redis://`, `rediss://` (TLS) or `unix:` with user, password and database; `redis-cluster://` or `rediss-cluster://` with
   * any node of a Cluster.
   */
  readonly url: string;
  /** How long a command may take. @default 5000 */
  readonly timeoutMs?: number;
  /** How long connecting may take. @default 5000 */
  readonly connectTimeoutMs?: number;
}

/** A socket to the same server as a connection's: what the raw writer needs. */
export interface SocketTarget {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  readonly tls?: Readonly<Record<string, unknown>>;
  readonly username?: string;
  readonly password?: string;
  readonly database: number;
  readonly timeoutMs: number;
  readonly connectTimeoutMs: number;
}

type Argument = string | number | Buffer;

/** Sends a command to one server; replies have buffers for texts. */
export type RedisCall = (name: string, ...values: Argument[]) => Promise<unknown>;

/** A command whose bytes are made by the caller: ioredis pays half a microsecond per argument, many times that of copying. */
class PreparedCommand extends Command {
  readonly #bytes: Buffer;

  constructor(name: string, routing: Argument[], bytes: Buffer) {
    super(name, routing, { replyEncoding: null });
    this.#bytes = bytes;
  }

  override toWritable(): Buffer {
    return this.#bytes;
  }
}

/** One server or a Cluster. Connects at the first command, reconnects by itself. */
export class RedisConnection {
  /** Without credentials. */
  readonly description: string;
  readonly isCluster: boolean;
  readonly #client: Redis | Cluster;
  readonly #connectTimeoutMs: number;
  readonly #timeoutMs: number;
  #lastError: unknown;
  #isClosed = false;
  /** The wait for a connection that all commands share. */
  #connecting: Promise<void> | undefined;

  constructor(address: RedisAddress) {
    const { timeoutMs = 5000, connectTimeoutMs = 5000 } = address;
    const cluster = /^(rediss?)-cluster:/.exec(address.url);
    this.isCluster = cluster !== null;
    this.#timeoutMs = timeoutMs;
    this.#connectTimeoutMs = connectTimeoutMs;
    this.description = describe(address.url);
    // A command that is late says nothing of its connection: one that a network forgot would swallow all that come after it.
    const limits = { commandTimeout: timeoutMs, socketTimeout: timeoutMs, connectTimeout: connectTimeoutMs };
    this.#client = cluster ? clusterClient(address.url, cluster[1]!, limits) : singleClient(address.url, limits);
    // Kept for the message of the command that fails next; unheard, it would end the process.
    this.#client.on("error", (error: unknown) => this.#lastError = reasonOf(error));
  }

  /** Whether there is a connection now. */
  get isReady(): boolean {
    return this.#client.status === "ready";
  }

  /** How a second socket reaches the same server; undefined for a Cluster, whose keys live on many. */
  get direct(): SocketTarget | undefined {
    if (this.#client instanceof Cluster) return undefined;
    const { host, port, path, tls, username, password, db } = this.#client.options;
    return {
      ...(path ? { path } : { host: host ?? "localhost", port: port ?? 6379 }),
      ...(tls && { tls: tls as Readonly<Record<string, unknown>> }),
      ...(username && { username }),
      ...(password && { password }),
      database: db ?? 0,
      timeoutMs: this.#timeoutMs,
      connectTimeoutMs: this.#connectTimeoutMs,
    };
  }

  /** Sends a command; in a Cluster to the server of its first key. */
  readonly call: RedisCall = (name, ...values) => this.#send(new Command(name, values, { replyEncoding: null }));

  /** Sends bytes that are a whole command; `routing` holds arguments up to the first key. */
  callPrepared(name: string, routing: Argument[], bytes: Buffer): Promise<unknown> {
    return this.#send(new PreparedCommand(name, routing, bytes));
  }

  async #send(command: Command): Promise<unknown> {
    if (this.#client.status !== "ready") await this.#ready();
    try {
      // Cluster and Redis declare it for their own streams.
      return await (this.#client as Redis).sendCommand(command);
    } catch (error) {
      throw this.#translate(error);
    }
  }

  /** Runs work on every server that holds keys. */
  async onMasters<T>(work: (call: RedisCall) => Promise<T>): Promise<T[]> {
    if (this.#client.status !== "ready") await this.#ready();
    const nodes = this.#client instanceof Cluster ? this.#client.nodes("master") : [this.#client];
    try {
      return await Promise.all(nodes.map(async (node) => {
        // Nodes that were never spoken to are not connected yet.
        if (node.status === "wait") await node.connect();
        return await work((name, ...values) =>
          node.sendCommand(new Command(name, values, { replyEncoding: null })) as Promise<unknown>
        );
      }));
    } catch (error) {
      throw this.#translate(error);
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // Only a connection that stands says that it has ended; a Cluster that is being looked for never does.
    if (this.#client.status !== "ready") return this.#client.disconnect();
    const ended = new Promise<void>((resolve) => void this.#client.once("end", () => resolve()));
    this.#client.disconnect();
    await ended;
  }

  /** Waits for a connection that is being made; fails at once when there is none to wait for. */
  #ready(): Promise<void> {
    return this.#connecting ??= this.#connect().finally(() => this.#connecting = undefined);
  }

  async #connect(): Promise<void> {
    const client = this.#client;
    if (this.#isClosed) throw new VarveError("UNAVAILABLE", `Cannot use ${this.description}: it was closed`);
    if (client.status === "wait" || client.status === "end") {
      client.connect().catch((error: unknown) => this.#lastError ??= reasonOf(error));
    }
    if (client.status === "reconnecting") throw this.#unavailable(this.#lastError);
    await new Promise<void>((resolve, reject) => {
      const settle = (error?: VarveError) => {
        clearTimeout(timer);
        client.off("ready", onReady).off("close", onClose).off("end", onClose);
        if (error) reject(error);
        else resolve();
      };
      const onReady = () => settle();
      const onClose = () => settle(this.#unavailable(this.#lastError));
      const timer = setTimeout(
        () => settle(this.#unavailable(noAnswer(this.#connectTimeoutMs))),
        this.#connectTimeoutMs,
      );
      client.once("ready", onReady).once("close", onClose).once("end", onClose);
    });
    if (client instanceof Redis && client.options.db) await this.#checkDatabase(client, client.options.db);
  }

  /** Where there is no such database, ioredis goes on in another: somebody else's, maybe. */
  async #checkDatabase(client: Redis, database: number): Promise<void> {
    try {
      await client.select(database);
    } catch (error) {
      client.disconnect();
      throw this.#translate(error);
    }
  }

  #unavailable(cause: unknown): VarveError {
    return redisError(this.description, cause ?? new Error("the connection was closed"));
  }

  #translate(error: unknown): VarveError {
    // ioredis tells of its queue, not of the reason that it has one.
    const isQueue = /enableOfflineQueue|Reached the max retries|Connection is closed/.test(messageOf(error));
    return redisError(this.description, isQueue ? this.#lastError ?? new Error("the connection was lost") : error);
  }
}

interface Limits {
  readonly commandTimeout: number;
  readonly socketTimeout: number;
  readonly connectTimeout: number;
}

/** The pause before the next attempt to connect, after so many that failed. */
export const retryDelayMs = (times: number) => Math.min(50 * times, 1000);

function singleClient(url: string, limits: Limits): Redis {
  const options = {
    ...limits,
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    retryStrategy: retryDelayMs,
    protocol: 2 as const,
  };
  return url.startsWith("unix:") ? new Redis(url.slice("unix:".length), options) : new Redis(url, options);
}

function clusterClient(url: string, scheme: string, limits: Limits): Cluster {
  const { hostname, port, username, password } = new URL(url);
  return new Cluster([{ host: hostname, port: Number(port || 6379) }], {
    lazyConnect: true,
    enableOfflineQueue: false,
    slotsRefreshTimeout: limits.connectTimeout,
    clusterRetryStrategy: retryDelayMs,
    redisOptions: {
      ...limits,
      protocol: 2,
      ...(username && { username: decodeURIComponent(username) }),
      ...(password && { password: decodeURIComponent(password) }),
      ...(scheme === "rediss" && { tls: {} }),
    },
    ...(scheme === "rediss" && {
      // Certificates carry names: nodes must not be looked up to addresses first.
      dnsLookup: (address: string, callback: (error: null, address: string) => void) => callback(null, address),
    }),
  });
}

/** A Cluster only says that all nodes failed, and keeps the reason of the last one. */
function reasonOf(error: unknown): unknown {
  return error instanceof Error && "lastNodeError" in error ? error.lastNodeError ?? error : error;
}

function describe(url: string): string {
  const withoutCredentials = url.replace(/\/\/[^@/]*@/, "//").replace(/\?.*$/, "");
  return `Redis at ${withoutCredentials}`;
}

/** Why a server that says nothing is given up. */
export const noAnswer = (ms: number) => new Error(`no answer within ${ms} ms`);

/** A server's or a socket's error in varve's words. */
export function redisError(description: string, error: unknown): VarveError {
  if (error instanceof VarveError) return error;
  const message = messageOf(error);
  const fail = (code: ConstructorParameters<typeof VarveError>[0], text: string) =>
    new VarveError(code, `Cannot use ${description}: ${text}`, { cause: error });
  if (/^OOM\b|OOM command not allowed/.test(message)) {
    return fail("EXHAUSTED", "it is out of memory; raise maxmemory or drop what is not served");
  }
  if (/^MISCONF\b/.test(message)) return fail("EXHAUSTED", `it cannot write its disk (${message}); make room`);
  // To who gave no password, Redis says of a long command only that it is one.
  if (/^(NOAUTH|WRONGPASS|NOPERM)\b|invalid password|invalid username-password|unauthenticated/i.test(message)) {
    return fail("INVALID_CONFIG", `it refuses the credentials (${message}); correct the user and password in the url`);
  }
  if (/^(MOVED|CROSSSLOT)\b|cluster support disabled|cluster mode/i.test(message)) {
    return fail("INVALID_CONFIG", `${message}; write redis-cluster:// for a Cluster and redis:// for one server`);
  }
  if (/max number of clients/i.test(message)) {
    return fail(
      "UNAVAILABLE",
      `it takes no more clients (${message}); raise its maxclients, or end clients that are not needed`,
    );
  }
  if (/DB index/i.test(message)) {
    return fail("INVALID_CONFIG", `there is no such database (${message}); correct the number at the end of the url`);
  }
  if (/unknown command/i.test(message)) return fail("UNSUPPORTED", `${message}; varve needs Redis 6.2 or later`);
  return fail("UNAVAILABLE", `${message || "no answer"}; start it, or correct the url`);
}
