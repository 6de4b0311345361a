/** What the audit log keeps of a request that was served, as rows of a Parquet file that tells its own meaning. */
import { createHash } from "node:crypto";
import type { FeatureRead } from "../retrieve/feature_read.ts";
import type { Answer, ServiceReader } from "../retrieve/online.ts";
import type { DataType, Field } from "../schema.ts";
import type { ViewState } from "../storage/online_store.ts";
import type { ParquetRows } from "../storage/parquet_file.ts";
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

/** Under this name a part's file has its shape as JSON. */
export const shapeName = "varve.audit";

/** How many rows are made and encoded in one go: a few milliseconds' work. */
const rowsPerGroup = 250;

/** The columns of a part. `keys` is there where keys are kept as they are. */
export function fieldsOf({ joinKeys, reads, features }: AuditShape, plain: boolean): Field[] {
  const views = reads.map(({ alias }): Field => ({ name: alias, type: { struct: viewFields } }));
  return [
    { name: "request_time", type: "timestamp" },
    { name: "service", type: "string" },
    { name: "key_hash", type: "string" },
    ...plain ? [{ name: "keys", type: { struct: joinKeys } }] : [],
    { name: "views", type: { struct: views } },
    { name: "features", type: { struct: features.map(({ name, type }) => ({ name, type })) } },
  ];
}

/** The values of these columns, a few rows at a time. */
export function* groupsOf(
  { service, joinKeys, reads, features }: AuditShape,
  rows: readonly ServedRow[],
  { hashOf, plain }: { readonly hashOf: (key: Uint8Array) => string; readonly plain: boolean },
): Generator<ParquetRows> {
  const aliases = reads.map(({ alias }) => alias);
  const first = aliases.map((alias) => features.findIndex(({ namespace }) => namespace === alias));
  const viewOf = ({ answer, states }: ServedRow, v: number) => ({
    version: reads[v]!.version,
    table_version: states[v]?.appliedVersion,
    watermark: states[v] && toMicros(states[v].watermark),
    status: answer.statuses[first[v]!],
    effective_time: answer.effectiveTimes[first[v]!],
    event_time: answer.eventTimes[first[v]!],
    cut: answer.cut?.includes(aliases[v]!) ?? false,
  });
  const struct = (names: readonly string[], valueOf: (i: number) => unknown) =>
    Object.fromEntries(names.map((name, i) => [name, valueOf(i)]));
  const keyNames = joinKeys.map(({ name }) => name);
  const featureNames = features.map(({ name }) => name);
  for (let start = 0; start < rows.length; start += rowsPerGroup) {
    const group = rows.slice(start, start + rowsPerGroup);
    yield [
      group.map(({ at }) => at),
      group.map(() => service),
      group.map(({ key }) => hashOf(key)),
      ...plain ? [group.map(({ keys }) => struct(keyNames, (i) => keys[i]))] : [],
      group.map((row) => struct(aliases, (v) => viewOf(row, v))),
      group.map(({ answer }) => struct(featureNames, (i) => answer.values[i])),
    ];
  }
}

/** About how much memory a row holds. */
export function bytesOf({ key, keys, answer }: Omit<ServedRow, "states" | "at">): number {
  const texts = keys.reduce((sum: number, each) => sum + (typeof each === "string" ? 2 * each.length : 8), 0);
  return 512 + key.length + texts + 48 * answer.values.length + 2 * answer.storedBytes;
}
