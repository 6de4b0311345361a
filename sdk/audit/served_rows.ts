/** What the audit log keeps of a request that was served, as rows of a Parquet file that tells its own meaning. */
import { createHash } from "node:crypto";
import { type AnyRead, featureOf, type FeatureRead } from "../retrieve/feature_read.ts";
import type { Answer, ServiceReader } from "../retrieve/service_reader.ts";
import { splitReads } from "../retrieve/stored_reads.ts";
import type { DataType, Field, Row } from "../schema.ts";
import type { ViewState } from "../storage/online_store.ts";
import type { ParquetRows } from "../storage/parquet_file.ts";
import { type Micros, toMicros } from "../time.ts";

/** Which versions of which views a service was answered from: all rows of a part have the same. Plain JSON. */
export interface AuditShape {
  readonly format: 1;
  readonly service: string;
  readonly joinKeys: readonly Field[];
  readonly reads: readonly AuditedRead[];
  /** What was looked up, in order: all that was answered, unless something was computed. */
  readonly features: readonly { readonly name: string; readonly namespace: string; readonly type: DataType }[];
  /** What was computed of it; absent: nothing. */
  readonly computed?: AuditedComputations;
}

/** The realtime views of a service as they were then. */
export interface AuditedComputations {
  /** What a request gives beside join keys. */
  readonly fields: readonly Field[];
  readonly views: readonly AuditedComputation[];
}

/** One realtime view of a service as it was then. */
export interface AuditedComputation {
  readonly view: string;
  readonly version: number;
  /** What was answered of it. */
  readonly features: readonly { readonly feature: string; readonly as: string; readonly type: DataType }[];
  /** What its expressions call what was looked up. */
  readonly inputs: readonly { readonly name: string; readonly column: string }[];
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
  /** What its features of realtime views are, in the order of the shape. */
  readonly computed: readonly unknown[];
  readonly at: Micros;
  /** Its join keys by structure. */
  readonly key: Uint8Array;
  /** Its join keys as they were given, in the order of the shape. */
  readonly keys: readonly unknown[];
  /** What it gave beside join keys, in row form. */
  readonly fields: Row;
  /** What was looked up, in the order of the shape. */
  readonly answer: Answer;
  /** What was loaded of each read's view. */
  readonly states: readonly (ViewState | undefined)[];
}

/** The shape of a reader's answers. */
export function shapeOf(reader: ServiceReader, all: readonly AnyRead[]): AuditShape {
  const { stored: reads, computed } = splitReads(all);
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
    features: (reader.lookedUp ?? reader).features.map(({ name, namespace, type }) => ({ name, namespace, type })),
    ...(computed.length > 0 && {
      computed: {
        fields: reader.requestFields,
        views: computed.map(({ read, inputs }) => ({
          view: read.definition.name,
          version: read.version,
          features: read.features.map(({ feature, as }) => ({ feature, as, type: featureOf(read, feature).type })),
          inputs: inputs.map(({ name, column }) => ({ name, column })),
        })),
      },
    }),
  };
}

/** Where the computed features of a shape are among those of a reader. */
export function computedPlaces(reader: ServiceReader, { computed }: AuditShape): readonly number[] {
  const places = new Map(reader.features.map(({ name }, i) => [name, i]));
  return computed?.views.flatMap(({ features }) => features.map(({ as }) => places.get(as)!)) ?? [];
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
export function fieldsOf({ joinKeys, reads, features, computed }: AuditShape, plain: boolean): Field[] {
  const views = reads.map(({ alias }): Field => ({ name: alias, type: { struct: viewFields } }));
  const answered = computed?.views.flatMap((view) => view.features.map(({ as, type }) => ({ name: as, type }))) ?? [];
  // A struct needs a part: there is none where nothing is asked for, looked up or computed.
  const structs = [
    ["keys", plain ? joinKeys : []],
    ["views", views],
    ["features", features.map(({ name, type }) => ({ name, type }))],
    ["request", plain ? computed?.fields ?? [] : []],
    ["computed", answered],
  ] as const;
  return [
    { name: "request_time", type: "timestamp" },
    { name: "service", type: "string" },
    { name: "key_hash", type: "string" },
    ...structs.flatMap(([name, struct]) => struct.length > 0 ? [{ name, type: { struct } }] : []),
  ];
}

/** The values of these columns, a few rows at a time. */
export function* groupsOf(
  shape: AuditShape,
  rows: readonly ServedRow[],
  { hashOf, plain }: { readonly hashOf: (key: Uint8Array) => string; readonly plain: boolean },
): Generator<ParquetRows> {
  const { service, joinKeys, reads, features } = shape;
  const answered = shape.computed?.views.flatMap((view) => view.features.map(({ as }) => as)) ?? [];
  const columns = fieldsOf(shape, plain).map(({ name }) => name);
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
    const valueOf: Readonly<Record<string, (row: ServedRow) => unknown>> = {
      request_time: ({ at }) => at,
      service: () => service,
      key_hash: ({ key }) => hashOf(key),
      keys: ({ keys }) => struct(keyNames, (i) => keys[i]),
      views: (row) => struct(aliases, (v) => viewOf(row, v)),
      features: ({ answer }) => struct(featureNames, (i) => answer.values[i]),
      request: ({ fields }) => fields,
      computed: ({ computed }) => struct(answered, (i) => computed[i]),
    };
    yield columns.map((name) => group.map(valueOf[name]!));
  }
}

/** About how much memory a row holds. */
export function bytesOf({ key, keys, answer, computed, fields }: Omit<ServedRow, "states" | "at">): number {
  const given = Object.values(fields).reduce((sum: number, each) => sum + sizeOf(each), 0);
  const texts = keys.reduce((sum: number, each) => sum + (typeof each === "string" ? 2 * each.length : 8), 0);
  const values = 48 * (answer.values.length + computed.length);
  return 512 + key.length + texts + given + values + 2 * answer.storedBytes;
}

/** What a request gave may be long: texts and lists. */
function sizeOf(value: unknown): number {
  if (typeof value === "string") return 16 + 2 * value.length;
  if (value instanceof Uint8Array) return 16 + value.length;
  return Array.isArray(value) ? value.reduce((sum: number, each) => sum + sizeOf(each), 16) : 16;
}
