/** What a store is made of: contracts with their implementations picked, heavy ones opened on first use. */
import { mkdir } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { useViewFacts } from "./define/view_facts.ts";
import { shownInFull } from "./display.ts";
import type { Engine } from "./engine/engine.ts";
import { useEngine } from "./engine/install.ts";
import { jobHandler, type RunContext } from "./materialize/run.ts";
import { openObjects, openOnline, type Places, scratchFolder, workspaceOf } from "./places.ts";
import { InProcessQueue } from "./queue/in_process.ts";
import type { Queue, Running } from "./queue/queue.ts";
import type { TrainContext } from "./retrieve/training.ts";
import { openRegistry, type Registry } from "./registry/registry.ts";
import { FunctionRunner } from "./sandbox/runner.ts";
import type { FunctionSettings } from "./sandbox/runner_options.ts";
import type { DeltaTable } from "./storage/delta_format.ts";
import { deltaTable } from "./storage/delta_table.ts";
import type { ObjectStore } from "./storage/object_store.ts";
import type { OnlineStore } from "./storage/online_store.ts";
import { storedMemory } from "./store_sources.ts";
import { remoteFiles } from "./store_remote.ts";
import { type Clock, systemClock } from "./time.ts";

/** How a store is opened. With nothing: embedded, under `./.varve`, as the computer's user. */
export interface ConnectOptions extends Places {
  /** The folder of an embedded store; the same as `storage`. @default ".varve" */
  readonly path?: string;
  /** Who makes changes: shown in the history. @default the computer's user */
  readonly author?: string;
  /** Says what time it is. @default the computer's clock */
  readonly clock?: Clock;
  /** The most memory that queries may take, as `"2GB"`. @default 80 % of the computer's */
  readonly memoryLimit?: string;
  /** How many threads a query may use. @default one per core */
  readonly threads?: number;
  /** Where jobs go that other processes run; closed with the store. @default this process runs them */
  readonly queue?: Queue;
  /** How the functions of realtime views are run. @default a Deno process for each, found in the package `deno` or on the PATH */
  readonly functions?: FunctionSettings;
  /** How many jobs this process runs at once, when it runs them. @default 2 */
  readonly concurrency?: number;
}

const opened: StoreParts[] = [];

/** Frames read with the engine of the store that was connected last: it knows its S3 and its stored rows. Views are looked up in it. */
function readWith(parts: StoreParts): void {
  opened.push(parts);
  useParts(parts);
}

/** When that store is closed, frames go back to the one before, or to an engine of their own. */
function readNoMoreWith(parts: StoreParts): void {
  const index = opened.indexOf(parts);
  if (index < 0) return;
  opened.splice(index, 1);
  if (index === opened.length) useParts(opened.at(-1));
}

function useParts(parts: StoreParts | undefined): void {
  useEngine(parts ? () => parts.engine() : plainEngine);
  useViewFacts(
    parts && (async (definition) => {
      const { storeViewFacts } = await import("./store_view_facts.ts");
      return await storeViewFacts(parts, definition);
    }),
  );
}

async function plainEngine(): Promise<Engine> {
  const { createDuckDbEngine } = await import("./engine/duckdb.ts");
  return createDuckDbEngine();
}

/**
 * What a store is made of: see the file's sentence.
 * @internal
 */
export class StoreParts {
  /** What it was opened with. */
  readonly options: ConnectOptions;
  /** The workspace it works on. */
  readonly workspace: string;
  /** Says what time it is. */
  readonly clock: Clock;
  /** The definitions. */
  readonly registry: Registry;
  /** Where registry and tables are stored. */
  readonly objects: ObjectStore;
  /** Where jobs go. */
  readonly queue: Queue;
  /** Whether this process runs the jobs. */
  readonly runsJobs: boolean;
  readonly #scratch: string;
  readonly #tables = new Map<string, DeltaTable>();
  /** Runs the functions of realtime views; starts nothing before there is one. */
  readonly functions: FunctionRunner;
  #engine: Promise<Engine> | undefined;
  #online: Promise<OnlineStore> | undefined;
  #running: Running | undefined;

  /** Opens what is needed at once: the registry and the object store. */
  constructor(options: ConnectOptions) {
    const places = options.path === undefined ? options : { ...options, storage: options.path };
    this.options = places;
    this.workspace = workspaceOf(places);
    this.clock = options.clock ?? systemClock;
    this.#scratch = scratchFolder(places);
    this.objects = openObjects(places);
    const author = options.author ?? userName();
    this.registry = openRegistry({ store: this.objects, workspace: this.workspace, author, clock: this.clock });
    this.functions = new FunctionRunner(options.functions);
    this.queue = options.queue ?? new InProcessQueue({ clock: systemClock });
    this.runsJobs = options.queue === undefined;
    readWith(this);
  }

  /** Where its data lives. */
  get places(): Places {
    const { storage, redis, s3, cacheFolder, cacheBytes } = this.options;
    return {
      workspace: this.workspace,
      ...(storage !== undefined && { storage }),
      ...(redis !== undefined && { redis }),
      ...(s3 !== undefined && { s3 }),
      ...(cacheFolder !== undefined && { cacheFolder }),
      ...(cacheBytes !== undefined && { cacheBytes }),
    };
  }

  /** The engine, opened by the first call: loading DuckDB takes a third of a second. */
  engine(): Promise<Engine> {
    this.#engine ??= this.#startEngine();
    return this.#engine;
  }

  async #startEngine(): Promise<Engine> {
    const { createDuckDbEngine } = await import("./engine/duckdb.ts");
    const { memoryLimit, threads } = this.options;
    // DuckDB makes the folder it spills to, and not those above it.
    const tempDirectory = join(this.#scratch, "spill");
    await mkdir(tempDirectory, { recursive: true });
    return createDuckDbEngine({
      tempDirectory,
      resolve: (path, signal) => remoteFiles(this.options, path, signal),
      memory: (id) => storedMemory(this, id),
      ...(memoryLimit === undefined ? {} : { memoryLimit }),
      ...(threads === undefined ? {} : { threads }),
    });
  }

  /** The online store, opened by the first call. */
  online(): Promise<OnlineStore> {
    this.#online ??= openOnline(this.options, this.clock);
    return this.#online;
  }

  /** The offline table of a view version. */
  table(view: string, version: number): DeltaTable {
    const path = `${this.workspace}/views/${view}/${version}`;
    let table = this.#tables.get(path);
    if (!table) this.#tables.set(path, table = deltaTable(this.objects, path, { clock: this.clock }));
    return table;
  }

  /** What training sets are read with. */
  async trainContext(): Promise<TrainContext> {
    const engine = await this.engine();
    return { engine, functions: this.functions, tables: (view, version) => this.table(view, version) };
  }

  /** What jobs are run with, by this process or by a worker. */
  runContext(): RunContext {
    return {
      registry: this.registry,
      objects: this.objects,
      table: (view, version) => this.table(view, version),
      engine: () => this.engine(),
      online: () => this.online(),
      clock: this.clock,
      expires: this.clock === systemClock,
      tempDir: join(this.#scratch, "parts"),
    };
  }

  /** Lets this process run jobs, unless others do. */
  work(): void {
    if (!this.runsJobs || this.#running) return;
    this.#running = this.queue.work(jobHandler(this.runContext()), { concurrency: this.options.concurrency ?? 2 });
  }

  /** Ends what runs, then closes everything that was opened. */
  async close(): Promise<void> {
    await shownInFull();
    readNoMoreWith(this);
    await this.#running?.close({ deadlineMs: 0 });
    await this.queue.close();
    await this.functions.close();
    const opened = [this.#engine, this.#online].map((part) => part?.then((it) => it.close()).catch(() => undefined));
    await Promise.all(opened);
    await this.objects.close();
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return "unknown"; // a container may run a user that has no name
  }
}
