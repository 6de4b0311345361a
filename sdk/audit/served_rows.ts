/** What the audit log keeps of a request that was served, as rows of a Parquet file that tells its own meaning. */
import { createHash } from "node:crypto";
import type { FeatureRead } from "../retrieve/feature_read.ts";
import type { Answer, ServiceReader } from "../retrieve/online.ts";
import type { DataType, Field } from "../schema.ts";
import type { ViewState } from "../storage/online_store.ts";
import type { ParquetValues } from "../storage/parquet_file.ts";
import { type Micros, toMicros } from "../time.ts";

/** Which versions of which views a service was answered from: all rows of a part have the same. Plain JSON. */
export interface AuditShape {
  readonly format: 1;
  readonly service: string;
  readonly joinKeys: readonly Field[];
  readonly reads: readonly AuditedRead[];
  /** What was answered, in order. */
  readonly features: readonly { readonly name: string; readonly namespace: string; readonly type: DataType }[];
}

/** One view of a service as it was then. */
export interface AuditedRead {
  readonly alias: string;
  readonly view: string;
  readonly version: number;
  readonly features: FeatureRead["features"];
  readonly joinKeyMap: FeatureRead["joinKeyMap"];
}

/** One request and its answer. */
export interface ServedRow {
  readonly at: Micros;
  /** Its join keys by structure. */
  readonly key: Uint8Array;
  /** Its join keys as they were given, in the order of the shape. */
  readonly keys: readonly unknown[];
  readonly answer: Answer;
  /** What was loaded of each read's view. */
  readonly states: readonly (ViewState | undefined)[];
}

/** The shape of a reader's answers. */
export function shapeOf(reader: ServiceReader, reads: readonly FeatureRead[]): AuditShape {
  return {
    format: 1,
    service: reader.service,
    joinKeys: reader.joinKeys,
    reads: reads.map(({ alias, definition, version, features, joinKeyMap }) => ({
      alias,
      view: definition.name,
      version,
      features,
      joinKeyMap,
    })),
    features: reader.features.map(({ name, namespace, type }) => ({ name, namespace, type })),
  };
}

/** Names a shape in the keys of its parts. */
export function shapeHash(shape: AuditShape): string {
  return createHash("sha256").update(JSON.stringify(shape)).digest("hex").slice(0, 16);
}

/** Parts of what is known of a view in a row. */
const viewFields: readonly Field[] = [
  { name: "version", type: "int32" },
  { name: "table_version", type: "int64" },
  { name: "watermark", type: "timestamp" },
  { name: "status", type: "string" },
  { name: "effective_time", type: "timestamp" },
  { name: "event_time", type: "timestamp" },
  { name: "cut", type: "boolean" },
];

/** The columns of a part. `keys` is there where keys are kept as they are. */
export function columnsOf(
  shape: AuditShape,
  rows: readonly ServedRow[],
  { hashOf, plain }: { readonly hashOf: (key: Uint8Array) => string; readonly plain: boolean },
): ParquetValues[] {
  const shapeText = JSON.stringify(shape);
  const { joinKeys, reads, features } = shape;
  const first = reads.map(({ alias }) => features.findIndex(({ namespace }) => namespace === alias));
  const viewOf = ({ answer, states }: ServedRow, v: number) => ({
    version: reads[v]!.version,
    table_version: states[v]?.appliedVersion,
    watermark: states[v] && toMicros(states[v].watermark),
    status: answer.statuses[first[v]!],
    effective_time: answer.effectiveTimes[first[v]!],
    event_time: answer.eventTimes[first[v]!],
    cut: answer.cut?.includes(reads[v]!.alias) ?? false,
  });
  const struct = (names: readonly string[], valueOf: (i: number) => unknown) =>
    Object.fromEntries(names.map((name, i) => [name, valueOf(i)]));
  const keyNames = joinKeys.map(({ name }) => name);
  const aliases = reads.map(({ alias }) => alias);
  const featureNames = features.map(({ name }) => name);
  return [
    { name: "request_time", type: "timestamp", values: rows.map(({ at }) => at) },
    { name: "service", type: "string", values: rows.map(() => shape.service) },
    { name: "key_hash", type: "string", values: rows.map(({ key }) => hashOf(key)) },
    ...plain
      ? [{
        name: "keys",
        type: { struct: joinKeys },
        values: rows.map(({ keys }) => struct(keyNames, (i) => keys[i])),
      }]
      : [],
    {
      name: "views",
      type: { struct: aliases.map((name) => ({ name, type: { struct: viewFields } })) },
      values: rows.map((row) => struct(aliases, (v) => viewOf(row, v))),
    },
    {
      name: "features",
      type: { struct: features.map(({ name, type }) => ({ name, type })) },
      values: rows.map(({ answer }) => struct(featureNames, (i) => answer.values[i])),
    },
    { name: "shape", type: "string", values: rows.map(() => shapeText) },
  ];
}

/** About how much memory a row holds. */
export function bytesOf({ key, keys, answer }: Omit<ServedRow, "states" | "at">): number {
  const texts = keys.reduce((sum: number, each) => sum + (typeof each === "string" ? 2 * each.length : 8), 0);
  return 512 + key.length + texts + 48 * answer.values.length + 2 * answer.storedBytes;
}
