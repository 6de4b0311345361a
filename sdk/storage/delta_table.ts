/** Delta tables in an object store: any engine that knows Delta can read them; varve's slices are their unit of change. */
import { randomUUID } from "node:crypto";
import { stat } from "node:fs/promises";
import { messageOf, VarveError } from "../errors.ts";
import type { Schema } from "../schema.ts";
import { type Clock, formatTimestamp, systemClock, type TimeRange } from "../time.ts";
import { type Action, encodeEntry, fileOf, protocol, timestampOf, varveFormat } from "./delta_actions.ts";
import { commitSlices } from "./delta_commit.ts";
import type { CommitResult, DeltaCommit, DeltaFile, DeltaSnapshot, DeltaTable } from "./delta_format.ts";
import { DeltaLog } from "./delta_log.ts";
import { sameSchema, sparkSchema } from "./delta_schema.ts";
import { findUnused } from "./delta_vacuum.ts";
import { sha256Of } from "./object_hashes.ts";
import { checkKey, type ObjectStore } from "./object_store.ts";

/** What a table may be told. */
export interface DeltaTableOptions {
  /** Gives commits their time. @default systemClock */
  readonly clock?: Clock;
  /** A checkpoint every so many versions. @default 50 */
  readonly checkpointEvery?: number;
  /** Is told what went wrong without doing harm: a checkpoint that could not be written. @default nothing */
  readonly warn?: (message: string) => void;
}

/** The Delta table in this folder of the store. Nothing is read or written before the first call. */
export function deltaTable(store: ObjectStore, path: string, options: DeltaTableOptions = {}): DeltaTable {
  checkKey(path);
  return new StoredDeltaTable(store, path, options);
}

const mostFetches = 8;
const rememberedSnapshots = 8;

class StoredDeltaTable implements DeltaTable {
  readonly path: string;
  readonly #store: ObjectStore;
  readonly #log: DeltaLog;
  readonly #now: () => number;
  readonly #warn: (message: string) => void;
  readonly #pastSnapshots = new Map<number, DeltaSnapshot>();
  #committing: Promise<unknown> = Promise.resolve();

  constructor(store: ObjectStore, path: string, options: DeltaTableOptions) {
    const { clock = systemClock, checkpointEvery = 50, warn = () => undefined } = options;
    this.path = path;
    this.#store = store;
    this.#log = new DeltaLog(store, path, { checkpointEvery });
    this.#now = () => Number(clock.now() / 1000n);
    this.#warn = warn;
  }

  async create(
    schema: Schema,
    options: { readonly description?: string; readonly at: number },
  ): Promise<DeltaSnapshot> {
    if ((await this.#log.latest()).version < 0) {
      const actions = firstActions(this.path, schema, options);
      await this.#store.putIfAbsent(this.#log.entryKey(0), encodeEntry(actions));
    }
    const snapshot = await this.snapshot();
    if (sameSchema(snapshot.schema, schema)) return snapshot;
    const names = (columns: Schema) => columns.map((field) => field.name).join(", ");
    throw new VarveError(
      "SCHEMA_MISMATCH",
      `Cannot create Delta table "${this.path}": it exists with other columns or types (${
        names(snapshot.schema)
      }, not ` +
        `${names(schema)}); other columns need another version of the view`,
    );
  }

  async snapshot(version?: number): Promise<DeltaSnapshot> {
    if (version !== undefined) {
      const past = this.#pastSnapshots.get(version);
      if (past) return past;
    }
    const state = await this.#log.latest();
    if (version === undefined || version === state.version) return state.snapshot();
    if (!Number.isSafeInteger(version) || version < 0 || version > state.version) {
      const versions = state.version < 0 ? "it does not exist" : `it has versions 0 to ${state.version}`;
      throw new VarveError("NOT_FOUND", `Cannot read version ${version} of Delta table "${this.path}": ${versions}`);
    }
    const snapshot = (await this.#log.at(version)).snapshot();
    this.#pastSnapshots.set(version, snapshot);
    if (this.#pastSnapshots.size > rememberedSnapshots) {
      this.#pastSnapshots.delete(this.#pastSnapshots.keys().next().value!);
    }
    return snapshot;
  }

  async changes(
    after: number,
    upTo: number,
  ): Promise<readonly { version: number; added: readonly DeltaFile[]; removed: readonly DeltaFile[] }[]> {
    return (await this.#log.entries(after, upTo)).map(({ version, actions }) => ({
      version,
      added: actions.flatMap(({ add }) => add ? [fileOf(add, this.path, version)] : []),
      removed: actions.flatMap(({ remove }) => remove ? [fileOf(remove, this.path)] : []),
    }));
  }

  async commit(commit: DeltaCommit): Promise<CommitResult> {
    // One at a time in this process: racing against ourselves would only cost rounds.
    const result = this.#committing.then(() => commitSlices(this.#store, this.#log, commit, this.#now));
    this.#committing = result.catch(() => undefined);
    const done = await result;
    if (done.outcome === "committed") {
      await this.#log.checkpointAt(done.version).catch((error) => {
        this.#warn(
          `Cannot write a checkpoint of Delta table "${this.path}" at version ${done.version}: ${messageOf(error)}`,
        );
      });
    }
    return done;
  }

  newPartPath(slice: TimeRange, runId: string): string {
    const start = formatTimestamp(slice.start).replaceAll(/[-:]/g, "");
    const run = runId.replaceAll(/[^A-Za-z0-9._=+@-]/g, "_").slice(0, 64);
    return `part-${start}-${run}-${randomUUID().slice(0, 8)}.parquet`;
  }

  async addPart(
    localPath: string,
    part: Omit<DeltaFile, "path" | "size" | "sha256" | "addedIn">,
    runId: string,
  ): Promise<DeltaFile> {
    const path = this.newPartPath(part.slice, runId);
    const { size, sha256 } = await digest(localPath);
    const info = await this.#store.putFile(`${this.path}/${path}`, localPath, { move: true });
    if (info.size !== size) {
      throw new VarveError(
        "CORRUPT",
        `Cannot add part "${path}" to Delta table "${this.path}": ${info.size} bytes arrived of ${size}; run it again`,
      );
    }
    const { rows, slice, minEventTimestamp, maxEventTimestamp } = part;
    return Object.freeze({ path, size, rows, sha256, slice, minEventTimestamp, maxEventTimestamp });
  }

  async localPaths(files: readonly DeltaFile[], signal?: AbortSignal): Promise<string[]> {
    const paths: string[] = new Array(files.length);
    let next = 0;
    const fetchSome = async () => {
      for (let i = next++; i < files.length; i = next++) {
        const { path, size, sha256 } = files[i]!;
        paths[i] = await this.#store.localPath(`${this.path}/${path}`, { size, sha256 }, signal);
      }
    };
    await Promise.all(Array.from({ length: Math.min(mostFetches, files.length) }, fetchSome));
    return paths;
  }

  async history(
    limit = 100,
  ): Promise<readonly { version: number; timestamp: number; info: Readonly<Record<string, unknown>> }[]> {
    const { version } = await this.#log.latest();
    const entries = await this.#log.entries(Math.max(-1, version - limit), version);
    return entries.reverse().map((entry) => ({
      version: entry.version,
      timestamp: timestampOf(entry),
      info: entry.commitInfo,
    }));
  }

  async vacuum(
    options: { readonly retentionMs: number; readonly now: number; readonly apply?: boolean },
  ): Promise<{ keys: readonly string[]; bytes: number }> {
    const { retentionMs, now, apply = false } = options;
    if (!(retentionMs >= 0)) {
      throw new VarveError(
        "INVALID_REQUEST",
        `Cannot vacuum Delta table "${this.path}": retention ${retentionMs} is negative`,
      );
    }
    const unused = await findUnused(this.#store, this.#log, now - retentionMs);
    const keys = unused.map((info) => info.key);
    if (apply) await this.#store.delete(keys);
    return { keys, bytes: unused.reduce((bytes, info) => bytes + info.size, 0) };
  }
}

function firstActions(
  table: string,
  schema: Schema,
  options: { readonly description?: string; readonly at: number },
): Action[] {
  const { description, at } = options;
  return [
    { commitInfo: { timestamp: at, operation: "CREATE TABLE", operationParameters: {}, engineInfo: "varve" } },
    { protocol },
    {
      metaData: {
        id: randomUUID(),
        name: table,
        ...description !== undefined && { description },
        format: { provider: "parquet", options: {} },
        schemaString: sparkSchema(schema),
        partitionColumns: [],
        configuration: { "varve.format": String(varveFormat) },
        createdTime: at,
      },
    },
  ];
}

async function digest(path: string): Promise<{ size: number; sha256: string }> {
  try {
    const info = await stat(path);
    return { size: info.size, sha256: await sha256Of(path, info) };
  } catch (error) {
    throw new VarveError("NOT_FOUND", `Cannot read part ${path}: ${messageOf(error)}`, { cause: error });
  }
}
