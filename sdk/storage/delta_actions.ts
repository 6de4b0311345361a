/** The actions of Delta's log, as its protocol writes them, and what varve keeps in them. */
import { messageOf, VarveError } from "../errors.ts";
import { floorDivide, formatTimestamp } from "../time.ts";
import type { DeltaFile } from "./delta_format.ts";

/** Which versions of the protocol a program must know. */
export interface ProtocolAction {
  readonly minReaderVersion: number;
  readonly minWriterVersion: number;
  readonly readerFeatures?: readonly string[] | null;
  readonly writerFeatures?: readonly string[] | null;
}

/** What the table is: its columns, above all. */
export interface MetaDataAction {
  readonly id: string;
  readonly name?: string | null;
  readonly description?: string | null;
  readonly format: { readonly provider: string; readonly options: Readonly<Record<string, string>> };
  readonly schemaString: string;
  readonly partitionColumns: readonly string[];
  readonly configuration: Readonly<Record<string, string>>;
  readonly createdTime?: number | null;
}

/** A data file becomes part of the table. */
export interface AddAction {
  readonly path: string;
  readonly partitionValues: Readonly<Record<string, string>>;
  readonly size: number;
  readonly modificationTime: number;
  readonly dataChange: boolean;
  readonly stats?: string | null;
  readonly tags?: Readonly<Record<string, string>> | null;
}

/** A data file is no longer part of the table; older versions still read it. */
export interface RemoveAction {
  readonly path: string;
  readonly deletionTimestamp?: number | null;
  readonly dataChange: boolean;
  readonly extendedFileMetadata?: boolean | null;
  readonly partitionValues?: Readonly<Record<string, string>> | null;
  readonly size?: number | null;
  readonly stats?: string | null;
  readonly tags?: Readonly<Record<string, string>> | null;
}

/** The newest version that an application wrote. varve has one application per slice: so empty slices are on record too. */
export interface TxnAction {
  readonly appId: string;
  readonly version: number;
  readonly lastUpdated?: number | null;
}

/** Who committed, when and why: free facts. */
export type CommitInfoAction = Readonly<Record<string, unknown>>;

/** One line of a log entry or one row of a checkpoint: exactly one of these is there. */
export interface Action {
  readonly protocol?: ProtocolAction | null;
  readonly metaData?: MetaDataAction | null;
  readonly add?: AddAction | null;
  readonly remove?: RemoveAction | null;
  readonly txn?: TxnAction | null;
  readonly commitInfo?: CommitInfoAction | null;
}

/** One commit: what `_delta_log/<version>.json` holds. */
export interface LogEntry {
  readonly version: number;
  readonly actions: readonly Action[];
  readonly commitInfo: CommitInfoAction;
}

/** What this program reads and writes. */
export const protocol: ProtocolAction = { minReaderVersion: 1, minWriterVersion: 2 };

/** The version of what varve keeps in tags and configuration. */
export const varveFormat = 1;

const appIdPrefix = "varve.slice.";
const eventTimestamp = "event_timestamp";

/** The body of a log entry: one action a line. */
export function encodeEntry(actions: readonly Action[]): string {
  return actions.map((action) => JSON.stringify(action)).join("\n") + "\n";
}

/** Reads a log entry. A torn one is CORRUPT, by its key. */
export function decodeEntry(body: Uint8Array, version: number, key: string): LogEntry {
  const actions: Action[] = [];
  try {
    for (const line of new TextDecoder("utf-8", { fatal: true }).decode(body).split("\n")) {
      if (line.trim() === "") continue;
      const action: unknown = JSON.parse(line);
      if (typeof action !== "object" || action === null) throw new TypeError("a line is not an object");
      actions.push(action);
    }
    if (actions.length === 0) throw new TypeError("it is empty");
  } catch (error) {
    throw new VarveError(
      "CORRUPT",
      `Cannot read log entry "${key}": ${messageOf(error)}; restore this object, or rebuild the table`,
      { cause: error },
    );
  }
  const commitInfo = actions.find((action) => action.commitInfo)?.commitInfo ?? {};
  return { version, actions, commitInfo };
}

/** When a commit was made: milliseconds since the epoch. */
export function timestampOf(entry: LogEntry): number {
  return Number(entry.commitInfo["inCommitTimestamp"] ?? entry.commitInfo["timestamp"] ?? 0);
}

/** The attempt that made a commit, if varve made it. */
export function runIdOf(entry: LogEntry): string | undefined {
  const runId = entry.commitInfo["runId"];
  return typeof runId === "string" ? runId : undefined;
}

/** The action that records a slice as committed. */
export function txnOf(sliceStart: bigint, version: number, at: number): TxnAction {
  return { appId: `${appIdPrefix}${sliceStart}`, version, lastUpdated: at };
}

/** The start of the slice that this action is about; undefined for other applications. */
export function sliceOfTxn(txn: TxnAction): bigint | undefined {
  return txn.appId.startsWith(appIdPrefix) ? BigInt(txn.appId.slice(appIdPrefix.length)) : undefined;
}

/** The action that adds a file. */
export function addOf(file: DeltaFile, at: number, columns: ReadonlySet<string>): AddAction {
  return {
    path: encodeURI(file.path),
    partitionValues: {},
    size: file.size,
    modificationTime: at,
    dataChange: true,
    stats: statsOf(file, columns),
    tags: {
      "varve.rows": String(file.rows),
      "varve.sha256": file.sha256,
      "varve.sliceStart": String(file.slice.start),
      "varve.sliceEnd": String(file.slice.end),
      "varve.minEventTimestamp": String(file.minEventTimestamp),
      "varve.maxEventTimestamp": String(file.maxEventTimestamp),
    },
  };
}

/** The action that removes what `add` added. Carries the tags, so that a commit alone says what it took away. */
export function removeOf(add: AddAction, at: number): RemoveAction {
  return {
    path: add.path,
    deletionTimestamp: at,
    dataChange: true,
    extendedFileMetadata: true,
    partitionValues: {},
    size: add.size,
    tags: add.tags ?? {},
  };
}

/** The file that an action is about. */
export function fileOf(action: AddAction | RemoveAction, table: string, addedIn?: number): DeltaFile {
  const tag = (name: string) => {
    const value = action.tags?.[`varve.${name}`];
    if (value !== undefined) return value;
    throw new VarveError(
      "UNSUPPORTED",
      `Cannot use file "${action.path}" of Delta table "${table}": it has no tag varve.${name}, so another program wrote ` +
        `it; restore the table to the version before`,
    );
  };
  return Object.freeze({
    path: decodeURI(action.path),
    size: Number(action.size ?? 0),
    rows: Number(tag("rows")),
    sha256: tag("sha256"),
    slice: Object.freeze({ start: BigInt(tag("sliceStart")), end: BigInt(tag("sliceEnd")) }),
    minEventTimestamp: BigInt(tag("minEventTimestamp")),
    maxEventTimestamp: BigInt(tag("maxEventTimestamp")),
    ...addedIn !== undefined && { addedIn },
  });
}

/** What other engines use to skip files. Their timestamps have milliseconds, so the bounds are widened to whole ones. */
function statsOf(file: DeltaFile, columns: ReadonlySet<string>): string {
  if (file.rows === 0 || !columns.has(eventTimestamp)) return JSON.stringify({ numRecords: file.rows });
  const min = floorDivide(file.minEventTimestamp, 1000n) * 1000n;
  const max = -floorDivide(-file.maxEventTimestamp, 1000n) * 1000n;
  return JSON.stringify({
    numRecords: file.rows,
    minValues: { [eventTimestamp]: statTimestamp(min) },
    maxValues: { [eventTimestamp]: statTimestamp(max) },
    nullCount: { [eventTimestamp]: 0 },
  });
}

function statTimestamp(micros: bigint): string {
  return formatTimestamp(micros).replace(/(:\d\d)Z$/, "$1.000Z");
}
