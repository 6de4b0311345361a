/** A Delta table's log in the object store: reads entries, replays them, and remembers what it replayed. */
import { VarveError } from "../errors.ts";
import { decodeEntry, type LogEntry, timestampOf } from "./delta_actions.ts";
import { decodeCheckpoint, encodeCheckpoint } from "./delta_checkpoint.ts";
import { TableState } from "./delta_state.ts";
import type { ObjectStore } from "./object_store.ts";

/** How a log is kept. */
export interface DeltaLogOptions {
  /** A checkpoint is written at every version that this divides. */
  readonly checkpointEvery: number;
}

const rememberedEntries = 256;
const mostReadAhead = 16;

/** Reads need nothing but put-if-absent of entries: no listing, no lock. */
export class DeltaLog {
  readonly table: string;
  readonly #store: ObjectStore;
  readonly #options: DeltaLogOptions;
  readonly #entries = new Map<number, LogEntry>();
  #state: TableState | undefined;
  #reading: Promise<unknown> = Promise.resolve();
  #next: Promise<TableState> | undefined;

  constructor(store: ObjectStore, table: string, options: DeltaLogOptions) {
    this.table = table;
    this.#store = store;
    this.#options = options;
  }

  entryKey(version: number): string {
    return `${this.table}/_delta_log/${padded(version)}.json`;
  }

  /** The commit of that version, or undefined when there is none (yet). */
  async entry(version: number): Promise<LogEntry | undefined> {
    const known = this.#entries.get(version);
    if (known) return known;
    const key = this.entryKey(version);
    const body = await this.#store.find(key);
    if (body === undefined) return undefined;
    const entry = decodeEntry(body, version, key);
    this.#remember(entry);
    return entry;
  }

  /** The commits of versions in `(after, upTo]`; a missing one is CORRUPT. */
  async entries(after: number, upTo: number): Promise<LogEntry[]> {
    const found: LogEntry[] = [];
    for (let from = after + 1; from <= upTo; from += mostReadAhead) {
      const count = Math.min(mostReadAhead, upTo - from + 1);
      const batch = await Promise.all(Array.from({ length: count }, (_, i) => this.entry(from + i)));
      batch.forEach((entry, i) => found.push(entry ?? this.#missing(from + i)));
    }
    return found;
  }

  /**
   * The newest state: it has every commit that was there when this was called. The object goes on growing:
   * take what you need of it before the next await.
   */
  latest(): Promise<TableState> {
    // Whoever asks while a read is under way needs another one after it: the first may have looked too early.
    this.#next ??= this.#reading.then(() => {
      this.#next = undefined;
      const reading = this.#advance();
      this.#reading = reading.catch(() => undefined);
      return reading;
    });
    return this.#next;
  }

  /** The state at a version of the past, built anew. */
  async at(version: number): Promise<TableState> {
    const every = this.#options.checkpointEvery;
    for (let base = Math.floor(version / every) * every; base > 0; base -= every) {
      const state = await this.#fromCheckpoint(base);
      if (state) return this.#replay(state, version);
    }
    return this.#replay(new TableState(this.table), version);
  }

  /** Takes note of an entry that this process has just committed. */
  committed(entry: LogEntry): void {
    this.#remember(entry);
    if (this.#state?.version === entry.version - 1) this.#state.apply(entry);
  }

  /** Writes a checkpoint, if this version is one that has it. Only readers' speed depends on it. */
  async checkpointAt(version: number): Promise<void> {
    const state = this.#state;
    if (!state || version % this.#options.checkpointEvery !== 0) return;
    const at = state.version;
    const actions = state.checkpoint();
    const body = encodeCheckpoint(actions);
    await this.#store.put(this.#checkpointKey(at), body);
    const hint = {
      version: at,
      size: actions.length,
      sizeInBytes: body.byteLength,
      numOfAddFiles: actions.filter((action) => action.add).length,
    };
    await this.#store.put(`${this.table}/_delta_log/_last_checkpoint`, JSON.stringify(hint));
  }

  async #advance(): Promise<TableState> {
    const state = this.#state ?? await this.#load();
    for (let ahead = 1;; ahead = Math.min(ahead * 2, mostReadAhead)) {
      const from = state.version + 1;
      const batch = await Promise.all(Array.from({ length: ahead }, (_, i) => this.entry(from + i)));
      for (const entry of batch) {
        if (!entry) return this.#state = state;
        if (entry.version > state.version) state.apply(entry);
      }
      this.#state = state;
    }
  }

  async #load(): Promise<TableState> {
    const body = await this.#store.find(`${this.table}/_delta_log/_last_checkpoint`);
    if (body === undefined) return new TableState(this.table);
    const state = await this.#fromCheckpoint(hintedVersion(body));
    if (state) return state;
    // The hint is advisory: without a checkpoint to go by, the whole log says the same.
    if (!await this.entry(0)) this.#missing(0);
    return new TableState(this.table);
  }

  /** The state of a checkpoint; undefined when it is not there or cannot be read. */
  async #fromCheckpoint(version: number | undefined): Promise<TableState | undefined> {
    if (version === undefined) return undefined;
    const [body, entry] = await Promise.all([this.#store.find(this.#checkpointKey(version)), this.entry(version)]);
    if (!body || !entry) return undefined;
    const actions = await decodeCheckpoint(body);
    return actions && TableState.fromCheckpoint(this.table, version, timestampOf(entry), actions);
  }

  async #replay(state: TableState, version: number): Promise<TableState> {
    while (state.version < version) {
      const upTo = Math.min(version, state.version + mostReadAhead);
      for (const entry of await this.entries(state.version, upTo)) state.apply(entry);
    }
    return state;
  }

  #remember(entry: LogEntry): void {
    this.#entries.set(entry.version, entry);
    if (this.#entries.size > rememberedEntries) this.#entries.delete(this.#entries.keys().next().value!);
  }

  #checkpointKey(version: number): string {
    return `${this.table}/_delta_log/${padded(version)}.checkpoint.parquet`;
  }

  #missing(version: number): never {
    throw new VarveError(
      "CORRUPT",
      `Cannot read Delta table "${this.table}": log entry "${this.entryKey(version)}" is missing; restore this object`,
    );
  }
}

function hintedVersion(body: Uint8Array): number | undefined {
  try {
    const { version } = JSON.parse(new TextDecoder().decode(body));
    return Number.isSafeInteger(version) && version >= 0 ? version : undefined;
  } catch {
    return undefined;
  }
}

function padded(version: number): string {
  return String(version).padStart(20, "0");
}
