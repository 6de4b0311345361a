/** The DuckDB engine: one in-memory database, opened by its first session, that spills to a folder of its own. */
import { mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { randomUUID } from "node:crypto";
import { VarveError } from "../errors.ts";
import type { DuckClient, DuckDatabase } from "./client.ts";
import { DuckDbSession } from "./duckdb_session.ts";
import type { Engine, EngineSession } from "./engine.ts";
import { quoteName } from "./engine.ts";
import { FileFacts } from "./file_facts.ts";
import { FileTypes } from "./file_types.ts";

/** How much the engine may use, and where it finds what is not on this computer. */
export interface DuckDbOptions {
  /** As DuckDB writes sizes. @default 80 % of the memory, or "2GB" if that cannot be told */
  readonly memoryLimit?: string;
  /** @default the number of cores */
  readonly threads?: number;
  /** Where queries that outgrow the memory limit spill. @default a new folder under the system's */
  readonly tempDirectory?: string;
  /** The most that may be spilled, as DuckDB writes sizes. @default 90 % of the free space */
  readonly tempLimit?: string;
  /** Local copies of the files that a remote path or glob names, in a stable order. */
  readonly resolve?: (path: string, signal?: AbortSignal) => Promise<readonly string[]>;
  /** The local Parquet file that holds a memory source which publishing stored. */
  readonly memory?: (id: string) => Promise<string>;
}

/** Opens a database with these settings. */
export type OpenDatabase = (settings: Readonly<Record<string, string>>) => Promise<DuckDatabase>;

/** What sessions share. */
export interface SharedDatabase {
  readonly options: DuckDbOptions;
  /** A new path in the folder where statements spill. */
  spillPath(): string;
  /** Runs on a connection that outlives sessions; one at a time. */
  exclusive<T>(action: (client: DuckClient) => Promise<T>): Promise<T>;
  /** Tables of memory sources by content id. */
  readonly memoryTables: Map<string, string>;
  /** What files have told of their times. */
  readonly fileFacts: FileFacts;
  /** What files have told of their columns. */
  readonly fileTypes: FileTypes;
}

/** See {@link Engine}. */
export class DuckDbEngine implements Engine, SharedDatabase {
  readonly options: DuckDbOptions;
  readonly memoryTables: Map<string, string> = new Map();
  readonly fileFacts: FileFacts = new FileFacts();
  readonly fileTypes: FileTypes = new FileTypes();
  readonly #open: OpenDatabase;
  readonly #tempDirectory: string;
  #database: Promise<DuckDatabase> | undefined;
  #client: Promise<DuckClient> | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: DuckDbOptions, open: OpenDatabase) {
    this.options = options;
    this.#open = open;
    this.#tempDirectory = join(options.tempDirectory ?? tmpdir(), `varve-${process.pid}-${randomUUID().slice(0, 8)}`);
  }

  async session(): Promise<EngineSession> {
    const database = await this.#opened();
    return new DuckDbSession(await database.connect(), this);
  }

  async exclusive<T>(action: (client: DuckClient) => Promise<T>): Promise<T> {
    this.#client ??= this.#opened().then((database) => database.connect());
    const client = await this.#client;
    const result = this.#queue.then(() => action(client));
    this.#queue = result.catch(() => undefined);
    return await result;
  }

  #opened(): Promise<DuckDatabase> {
    if (this.#closed) throw new VarveError("UNAVAILABLE", "Cannot open a session: the engine is closed");
    this.#database ??= this.#start();
    return this.#database;
  }

  async #start(): Promise<DuckDatabase> {
    const { memoryLimit, threads, tempLimit } = this.options;
    // The database makes its own folder when it has to spill, and fails then if those above it are not there.
    mkdirSync(dirname(this.#tempDirectory), { recursive: true });
    const database = await this.#open({
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
      // It knows a file by its path and gives what it held before it was rewritten.
      enable_external_file_cache: "false",
      temp_directory: this.#tempDirectory,
      ...(memoryLimit === undefined ? {} : { memory_limit: memoryLimit }),
      ...(threads === undefined ? {} : { threads: String(threads) }),
      ...(tempLimit === undefined ? {} : { max_temp_directory_size: tempLimit }),
    });
    const client = await database.connect();
    // Of the database: every later connection starts with it.
    await client.run("SET GLOBAL TimeZone = 'UTC'");
    client.close();
    return database;
  }

  spillPath(): string {
    mkdirSync(this.#tempDirectory, { recursive: true });
    return join(this.#tempDirectory, randomUUID());
  }

  /** Drops the table of a memory source that nobody holds any more. */
  async forget(id: string): Promise<void> {
    const table = this.memoryTables.get(id);
    this.memoryTables.delete(id);
    if (table) await this.exclusive((client) => client.run(`DROP TABLE IF EXISTS ${quoteName(table)}`));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const [database, client] = await Promise.all([
      this.#database?.catch(() => undefined),
      this.#client?.catch(() => undefined),
    ]);
    client?.close();
    database?.close();
    rmSync(this.#tempDirectory, { recursive: true, force: true });
  }
}
