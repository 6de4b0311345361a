/** A Delta table's state: what its log says when it is replayed in order. */
import { VarveError } from "../errors.ts";
import type { Schema } from "../schema.ts";
import {
  type Action,
  type AddAction,
  fileOf,
  type LogEntry,
  type MetaDataAction,
  protocol as ours,
  type ProtocolAction,
  type RemoveAction,
  sliceOfTxn,
  timestampOf,
  type TxnAction,
  varveFormat,
} from "./delta_actions.ts";
import type { DeltaFile, DeltaSnapshot } from "./delta_format.ts";
import { schemaFromSpark } from "./delta_schema.ts";

/** How long removed files stay in checkpoints, for other engines' clean-ups: Delta's default of one week. */
const tombstoneMs = 7 * 24 * 3_600_000;

/** Grows forward, one entry at a time; snapshots of it never change. */
export class TableState {
  readonly table: string;
  #version = -1;
  #timestamp = 0;
  #protocol: ProtocolAction = ours;
  #metaData: MetaDataAction | undefined;
  #schema: Schema = [];
  readonly #adds = new Map<string, AddAction>();
  /** Live files by the start of their slice. */
  readonly #bySlice = new Map<string, Map<string, AddAction>>();
  readonly #removes = new Map<string, RemoveAction>();
  readonly #txns = new Map<string, TxnAction>();
  #snapshot: DeltaSnapshot | undefined;

  constructor(table: string) {
    this.table = table;
  }

  /** -1 until something was applied. */
  get version(): number {
    return this.#version;
  }

  get timestamp(): number {
    return this.#timestamp;
  }

  get schema(): Schema {
    return this.#schema;
  }

  /** Live files, as they were added. */
  get adds(): Iterable<AddAction> {
    return this.#adds.values();
  }

  /** Live files of the slice that starts here. */
  addsOfSlice(start: bigint): Iterable<AddAction> {
    return this.#bySlice.get(String(start))?.values() ?? [];
  }

  /** The state that a checkpoint holds. */
  static fromCheckpoint(table: string, version: number, timestamp: number, actions: readonly Action[]): TableState {
    const state = new TableState(table);
    for (const action of actions) state.#apply(action);
    state.#finish(version, timestamp);
    return state;
  }

  /** The next entry of the log. */
  apply(entry: LogEntry): void {
    if (entry.version !== this.#version + 1) {
      throw new RangeError(`Cannot apply version ${entry.version} to version ${this.#version}`);
    }
    // All or nothing: an entry that cannot be understood must leave this state as it was.
    for (const { protocol, metaData } of entry.actions) {
      if (protocol) this.#checkProtocol(protocol);
      if (metaData) this.#checkMetaData(metaData);
    }
    for (const action of entry.actions) this.#apply(action);
    this.#finish(entry.version, timestampOf(entry));
  }

  /** The commit that last wrote the slice; undefined when none did. */
  sliceVersion(start: bigint): number | undefined {
    return this.#txns.get(`varve.slice.${start}`)?.version;
  }

  /** Refuses to write into a table that a newer program has changed in a way that must be understood. */
  checkWritable(): void {
    if (this.#protocol.minWriterVersion > ours.minWriterVersion) {
      throw newer(this.table, "write", `writer version ${this.#protocol.minWriterVersion}`);
    }
  }

  hasFile(path: string): boolean {
    return this.#adds.has(encodeURI(path));
  }

  snapshot(): DeltaSnapshot {
    this.#snapshot ??= this.#makeSnapshot();
    return this.#snapshot;
  }

  /** The actions that a checkpoint of this state holds. */
  checkpoint(): Action[] {
    const keepAfter = this.#timestamp - tombstoneMs;
    const removes = [...this.#removes.values()].filter((remove) => (remove.deletionTimestamp ?? 0) > keepAfter);
    return [
      { protocol: this.#protocol },
      ...this.#metaData ? [{ metaData: this.#metaData }] : [],
      ...[...this.#txns.values()].map((txn) => ({ txn })),
      ...removes.map((remove) => ({ remove: { ...remove, dataChange: false } })),
      ...[...this.#adds.values()].map((add) => ({ add: { ...add, dataChange: false } })),
    ];
  }

  #apply({ protocol, metaData, add, remove, txn }: Action): void {
    if (protocol) {
      this.#checkProtocol(protocol);
      this.#protocol = protocol;
    }
    if (metaData) {
      this.#checkMetaData(metaData);
      this.#metaData = metaData;
      this.#schema = schemaFromSpark(metaData.schemaString, this.table);
    }
    if (add) this.#add(add);
    if (remove) this.#remove(remove);
    if (txn) this.#txns.set(txn.appId, txn);
  }

  #add(add: AddAction): void {
    this.#adds.set(add.path, add);
    this.#removes.delete(add.path);
    const slice = sliceKey(add);
    const files = this.#bySlice.get(slice);
    if (files) files.set(add.path, add);
    else this.#bySlice.set(slice, new Map([[add.path, add]]));
  }

  #remove(remove: RemoveAction): void {
    const add = this.#adds.get(remove.path);
    if (add) this.#bySlice.get(sliceKey(add))?.delete(remove.path);
    this.#adds.delete(remove.path);
    this.#removes.set(remove.path, remove);
  }

  #finish(version: number, timestamp: number): void {
    if (!this.#metaData) {
      throw new VarveError(
        "CORRUPT",
        `Cannot read Delta table "${this.table}": version ${version} has no metaData action`,
      );
    }
    this.#version = version;
    this.#timestamp = timestamp;
    this.#snapshot = undefined;
  }

  #checkProtocol(protocol: ProtocolAction): void {
    if (protocol.minReaderVersion > ours.minReaderVersion) {
      throw newer(this.table, "read", `reader version ${protocol.minReaderVersion}`);
    }
  }

  #checkMetaData(metaData: MetaDataAction): void {
    const format = Number(metaData.configuration["varve.format"] ?? varveFormat);
    if (format > varveFormat) throw newer(this.table, "read", `varve format ${format}`);
    if (metaData.partitionColumns.length > 0) {
      throw new VarveError(
        "UNSUPPORTED",
        `Cannot read Delta table "${this.table}": it is partitioned; varve's never are`,
      );
    }
  }

  #makeSnapshot(): DeltaSnapshot {
    const slices = new Map<bigint, number>();
    for (const txn of this.#txns.values()) {
      const start = sliceOfTxn(txn);
      if (start !== undefined) slices.set(start, txn.version);
    }
    // A slice is always replaced as a whole: its files came with the commit that last wrote it.
    const files = [...this.#adds.values()].map((add) => {
      const file = fileOf(add, this.table);
      const addedIn = slices.get(file.slice.start);
      return addedIn === undefined ? file : Object.freeze({ ...file, addedIn });
    });
    return Object.freeze({
      version: this.#version,
      schema: this.#schema,
      files: Object.freeze(files.sort(byTime)),
      slices,
      timestamp: this.#timestamp,
    });
  }
}

function sliceKey(add: AddAction): string {
  return add.tags?.["varve.sliceStart"] ?? "";
}

function byTime(a: DeltaFile, b: DeltaFile): number {
  if (a.slice.start !== b.slice.start) return a.slice.start < b.slice.start ? -1 : 1;
  if (a.minEventTimestamp !== b.minEventTimestamp) return a.minEventTimestamp < b.minEventTimestamp ? -1 : 1;
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}

function newer(table: string, action: string, needs: string): VarveError {
  return new VarveError(
    "UNSUPPORTED",
    `Cannot ${action} Delta table "${table}": it needs ${needs}, which is newer than this program; update varve`,
  );
}
