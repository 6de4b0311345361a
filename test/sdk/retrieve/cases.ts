/** Random views and spines for the point-in-time tests, as plain rows, and their way into an engine. */
import { join } from "node:path";
import fc from "fast-check";
import type { AttributeView, FeatureDefinition } from "../../../sdk/define/definitions.ts";
import { type EngineSession, quoteName, timestampSql } from "../../../sdk/engine/engine.ts";
import type { FeatureRead } from "../../../sdk/retrieve/feature_read.ts";
import type { FeatureFile, FeatureRows } from "../../../sdk/retrieve/positions.ts";
import type { Field, Schema } from "../../../sdk/schema.ts";
import { durationToMicros, formatTimestamp } from "../../../sdk/time.ts";
import type { OracleRow, OracleView } from "../../oracle/point_in_time.ts";

export const hour = 3_600_000_000n;
/** Two hours before 1970: intervals, ttl and offsets all meet negative micros. */
export const origin = -2n * hour;

export interface ViewCase {
  readonly definition: AttributeView;
  readonly read: FeatureRead;
  readonly rows: readonly OracleRow[];
  readonly oracle: OracleView;
}

export interface PointInTimeCase {
  readonly views: readonly ViewCase[];
  readonly spine: readonly OracleRow[];
  readonly spineSchema: Schema;
  readonly asOf: "effective" | "event";
}

/** Instants on, just before and just after boundaries, and between them. */
const instant = fc.tuple(fc.integer({ min: 0, max: 5 }), fc.constantFrom(0n, -1n, 1n, 1_800_000_000n, 37n)).map((
  [h, rest],
) => origin + BigInt(h) * hour + rest);

/** Keys that collide when joined as text: (1, 12) and (11, 2), ("a", "bc") and ("ab", "c"); odd characters. */
const text = fc.constantFrom("a", "ab", "bc", "c", "", "a|b", "'", '"', "ü", "\u{1f600}", "a\u0001", "NULL");
const mostly = (often: fc.Arbitrary<unknown>, seldom: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 6, arbitrary: often }, { weight: 1, arbitrary: seldom });
const number = fc.constantFrom(1, 11, 2, 12, -1);
const keySets: readonly { readonly fields: readonly Field[]; readonly values: readonly fc.Arbitrary<unknown>[] }[] = [
  { fields: [{ name: "k", type: "string" }], values: [mostly(fc.constantFrom("a", ""), text)] },
  {
    fields: [{ name: "a", type: "int64" }, { name: "b", type: "int32" }],
    values: [mostly(fc.constantFrom(1n, 11n), number.map(BigInt)), mostly(fc.constantFrom(12, 2), number)],
  },
  {
    fields: [{ name: "p", type: "string" }, { name: "q", type: "string" }],
    values: [mostly(fc.constantFrom("a", "ab"), text), mostly(fc.constantFrom("bc", "c"), text)],
  },
  {
    fields: [{ name: "d", type: "date" }, { name: "f", type: "boolean" }],
    values: [fc.constantFrom("1969-12-31", "2024-02-29"), fc.boolean()],
  },
];

/** Named as columns of queries might be. */
const features: readonly Field[] = [
  { name: "x", type: "float64" },
  { name: "s", type: "string" },
  { name: "position", type: "int64" },
  { name: "until", type: { list: "int32" } },
];
/** By feature: in row form for the oracle, and as a definition writes it. */
const defaults: Readonly<Record<string, { readonly row: unknown; readonly literal: FeatureDefinition["default"] }>> = {
  x: { row: -0.5, literal: -0.5 },
  s: { row: "it's", literal: "it's" },
  position: { row: 2n ** 60n, literal: String(2n ** 60n) },
};

function viewCase(index: number): fc.Arbitrary<ViewCase> {
  return fc.record({
    keys: fc.integer({ min: 0, max: keySets.length - 1 }),
    schedule: fc.constantFrom("1h", "2h"),
    dataDelay: fc.constantFrom("0s", "1h", "90m"),
    ttl: fc.constantFrom("forever", "forever", "1h", "3h", "6h"),
    withDefaults: fc.boolean(),
    withWritten: fc.boolean(),
    isMapped: fc.boolean(),
    startHour: fc.constantFrom(0, 0, 2),
  }).chain((shape) => {
    const { fields, values } = keySets[shape.keys]!;
    const nullable = (value: fc.Arbitrary<unknown>, freq = 6) => fc.option(value, { freq });
    const row = fc.record({
      ...Object.fromEntries(fields.map((field, i) => [field.name, nullable(values[i]!, 15)])),
      event_timestamp: fc.option(instant, { freq: 15 }),
      written: fc.option(instant, { freq: 4 }),
      x: nullable(fc.constantFrom(0.5, -2, 7)),
      s: nullable(text),
      position: nullable(fc.constantFrom(0n, 5n, -(2n ** 62n))),
      until: nullable(fc.array(number, { maxLength: 2 })),
    });
    return fc.array(row, { minLength: 10, maxLength: 60, size: "max" }).map((rows) =>
      makeView(index, shape, fields, rows as OracleRow[])
    );
  });
}

interface Shape {
  readonly schedule: string;
  readonly dataDelay: string;
  readonly ttl: string;
  readonly withDefaults: boolean;
  readonly withWritten: boolean;
  readonly isMapped: boolean;
  readonly startHour: number;
}

function makeView(index: number, shape: Shape, joinKeys: readonly Field[], rows: readonly OracleRow[]): ViewCase {
  const alias = `v${index}`;
  const start = origin + BigInt(shape.startHour) * hour;
  const definition: AttributeView = {
    kind: "view",
    name: alias,
    mode: "attributes",
    entity: { kind: "entity", name: "e", joinKeys },
    query: undefined as never, // set when the rows are in a file
    eventTimestamp: "event_timestamp",
    ...(shape.withWritten ? { writtenTimestamp: "written" } : {}),
    features: features.map((field) => {
      const literal = defaults[field.name]?.literal;
      return { ...field, ...(shape.withDefaults && literal !== undefined ? { default: literal } : {}) };
    }),
    schedule: shape.schedule,
    dataDelay: shape.dataDelay,
    start: formatTimestamp(start),
    ttl: shape.ttl,
    lookback: 0,
    online: false,
    offline: true,
  };
  const joinKeyMap = shape.isMapped ? { [joinKeys[0]!.name]: `${alias}_key` } : {};
  const names = features.map(({ name }) => ({ feature: name, as: `${alias}_${name}` }));
  // Rows that no slice can hold, and ties that only their place in the file decides: the source keeps the last.
  const placed = rows.map((row, place) => ({ ...row, ...(shape.withWritten ? {} : { written: null }), place }));
  return {
    definition,
    read: { alias, definition, version: 1, features: names, joinKeyMap },
    rows: placed,
    oracle: {
      alias,
      rows: placed.filter((row) => row["event_timestamp" as never] !== null),
      joinKeys: joinKeys.map(({ name }) => name),
      joinKeyMap,
      features: names.map((name) => ({
        ...name,
        ...(shape.withDefaults && defaults[name.feature] ? { default: defaults[name.feature]!.row } : {}),
      })),
      tieOrder: ["place"],
      schedule: durationToMicros(shape.schedule),
      dataDelay: durationToMicros(shape.dataDelay, "dataDelay", { allowZero: true }),
      start,
      ...(shape.ttl === "forever" ? {} : { ttl: durationToMicros(shape.ttl) }),
    },
  };
}

/** Up to three views over different entities, and a spine with duplicates, in no order, with more columns than asked for. */
export const pointInTimeCase: fc.Arbitrary<PointInTimeCase> = fc.integer({ min: 1, max: 3 })
  .chain((count) => fc.tuple(...Array.from({ length: count }, (_, i) => viewCase(i))))
  .chain((views) => {
    const keys = new Map<string, { field: Field; value: fc.Arbitrary<unknown> }>();
    for (const { read } of views) {
      const set = keySets.find(({ fields }) => fields === read.definition.entity.joinKeys)!;
      set.fields.forEach((field, i) => {
        const name = read.joinKeyMap[field.name] ?? field.name;
        keys.set(name, { field: { name, type: field.type }, value: fc.option(set.values[i]!, { freq: 15 }) });
      });
    }
    const spineSchema = [...[...keys.values()].map(({ field }) => field), { name: "ts", type: "timestamp" as const }, {
      name: "label",
      type: "int32" as const,
    }];
    const row = fc.record({
      ...Object.fromEntries([...keys].map(([name, { value }]) => [name, value])),
      ts: fc.tuple(instant, fc.constantFrom(0n, 1n, 2n)).map(([at, hours]) => at + hours * hour),
      label: fc.constantFrom(1, 2, 3),
    });
    return fc.record({
      views: fc.constant(views),
      spine: fc.array(row, { minLength: 1, maxLength: 30, size: "max" }).map((rows) =>
        [...rows, rows[0]!] as OracleRow[]
      ),
      spineSchema: fc.constant(spineSchema),
      asOf: fc.constantFrom("effective" as const, "event" as const),
    });
  });

/** The same view over a Parquet file that holds its rows in their order. */
export async function inFile(session: EngineSession, view: ViewCase, folder: string, name: string): Promise<ViewCase> {
  const schema: Schema = [
    ...view.definition.entity.joinKeys,
    { name: "event_timestamp", type: "timestamp" },
    { name: "written", type: "timestamp" },
    ...features,
  ];
  const path = join(folder, `${name}.parquet`);
  await session.writeParquet((await session.table("case_rows", view.rows, schema)).sql, path);
  const source = { kind: "file", format: "parquet", paths: [path], eventTimestamp: "event_timestamp" } as const;
  const definition: AttributeView = { ...view.definition, query: { kind: "scan", source, schema } };
  return { ...view, definition, read: { ...view.read, definition } };
}

/** Files as materialization leaves them, of a table that has the columns of a stored one: per slice, sorted. */
export async function asFiles(
  session: EngineSession,
  view: ViewCase,
  rows: FeatureRows,
  folder: string,
  name: string,
): Promise<FeatureRows> {
  if (rows.kind === "files") return rows;
  const length = view.oracle.schedule;
  const files: FeatureFile[] = [];
  const keys = view.definition.entity.joinKeys.map((key) => quoteName(key.name)).join(", ");
  for (const slice of await session.rows(`SELECT DISTINCT epoch_us(__slice)::VARCHAR AS start FROM ${rows.table}`)) {
    const start = BigInt(slice["start"]);
    const path = join(folder, `${name}_${files.length}.parquet`);
    const sql = `SELECT * EXCLUDE __slice FROM ${rows.table} WHERE __slice = ${
      timestampSql(start)
    } ORDER BY ${keys}, event_timestamp`;
    const written = await session.writeParquet(sql, path);
    const [bounds] = await session.rows(
      `SELECT epoch_us(min(event_timestamp))::VARCHAR AS min, epoch_us(max(event_timestamp))::VARCHAR AS max FROM (${sql})`,
    );
    const times = { minEventTimestamp: BigInt(bounds!["min"]), maxEventTimestamp: BigInt(bounds!["max"]) };
    files.push({ path, rows: written.rows, slice: { start, end: start + length }, ...times });
  }
  return { kind: "files", files };
}
