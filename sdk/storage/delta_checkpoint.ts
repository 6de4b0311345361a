/** Checkpoints of a Delta table: its whole state at one version, as a Parquet file. */
import { gunzipSync } from "node:zlib";
import type { Action } from "./delta_actions.ts";
import { parquetBytes, type ParquetColumn } from "./delta_parquet.ts";

const columns: readonly ParquetColumn[] = [
  struct("txn", { appId: "string", version: "int64", lastUpdated: "int64" }),
  struct("add", {
    path: "string",
    partitionValues: "map",
    size: "int64",
    modificationTime: "int64",
    dataChange: "boolean",
    stats: "string",
    tags: "map",
  }),
  struct("remove", {
    path: "string",
    deletionTimestamp: "int64",
    dataChange: "boolean",
    extendedFileMetadata: "boolean",
    partitionValues: "map",
    size: "int64",
  }),
  {
    name: "metaData",
    kind: "struct",
    columns: [
      { name: "id", kind: "string" },
      { name: "name", kind: "string" },
      { name: "description", kind: "string" },
      struct("format", { provider: "string", options: "map" }),
      { name: "schemaString", kind: "string" },
      { name: "partitionColumns", kind: "list" },
      { name: "configuration", kind: "map" },
      { name: "createdTime", kind: "int64" },
    ],
  },
  struct("protocol", { minReaderVersion: "int32", minWriterVersion: "int32" }),
];

/** The Parquet file of a checkpoint with these actions. */
export function encodeCheckpoint(actions: readonly Action[]): Uint8Array {
  return parquetBytes(columns, actions);
}

/** The actions of a checkpoint, whoever wrote it; undefined when it cannot be read: the log itself says the same. */
export async function decodeCheckpoint(body: Uint8Array): Promise<Action[] | undefined> {
  const { parquetReadObjects } = await import("hyparquet");
  try {
    const rows = await parquetReadObjects({
      // A copy: the bytes may be a view of a larger buffer.
      file: new Uint8Array(body).buffer,
      compressors: { GZIP: (input: Uint8Array) => gunzipSync(input) },
    });
    const actions = rows.map((row): Action => plainNumbers(row));
    const complete = actions.some((action) => action.protocol) && actions.some((action) => action.metaData);
    return complete ? actions : undefined;
  } catch {
    return undefined;
  }
}

type ScalarKind = Exclude<ParquetColumn["kind"], "struct">;

function struct(name: string, fields: Readonly<Record<string, ScalarKind>>): ParquetColumn {
  return { name, kind: "struct", columns: Object.entries(fields).map(([name, kind]) => ({ name, kind })) };
}

/** int64 arrives as bigint; the log's JSON has numbers. Changes the record: there may be many. */
function plainNumbers(record: Record<string, unknown>): object {
  for (const [name, value] of Object.entries(record)) {
    if (typeof value === "bigint") record[name] = Number(value);
    else if (typeof value === "object" && value !== null) plainNumbers(value as Record<string, unknown>);
  }
  return record;
}
