import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import type { AttributeView } from "../../../sdk/define/definitions.ts";
import { createDuckDbEngine } from "../../../sdk/engine/duckdb.ts";
import type { EngineSession } from "../../../sdk/engine/engine.ts";
import { latestRows, type LocalPart } from "../../../sdk/materialize/latest_rows.ts";
import { storedSchema } from "../../../sdk/materialize/stage_slices.ts";
import type { Field } from "../../../sdk/schema.ts";

const day = 86_400_000_000n;
const slices = 6;

/** One key by number, as SQL and as a vector has it: numbers near each other, texts of all lengths, days before 1970. */
const keyForms: Readonly<Record<string, { sql: (n: number) => string; value: (n: number) => unknown }>> = {
  int64: { sql: (n) => `${n - 5}::BIGINT`, value: (n) => BigInt(n - 5) },
  int32: { sql: (n) => `${3 - n}::INTEGER`, value: (n) => 3 - n },
  string: { sql: (n) => `'${"é".repeat(n)}''${n}'`, value: (n) => `${"é".repeat(n)}'${n}` },
  boolean: { sql: (n) => `${n % 2 === 1}`, value: (n) => n % 2 === 1 },
  date: { sql: (n) => `DATE '1970-01-01' + ${n - 3}`, value: (n) => n - 3 },
};

const entities: readonly (readonly Field["type"][])[] = [
  ["int64"],
  ["string"],
  ["boolean", "int32"],
  ["string", "int64"],
  ["date", "string", "boolean"],
];

/** One row: numbers of its key, the hour in its slice, features. */
interface TestRow {
  readonly key: number;
  readonly slice: number;
  readonly hour: number;
  readonly v: number | null;
  readonly s: string | null;
}

const rowOf = (key: fc.Arbitrary<number>): fc.Arbitrary<TestRow> =>
  fc.record({
    key,
    slice: fc.nat(slices - 1),
    hour: fc.nat(23),
    v: fc.option(fc.constantFrom(0, -0, 1.5, NaN, Infinity)),
    s: fc.option(fc.constantFrom("", "a", "a text that is longer than twelve bytes")),
  });

/** Few keys with many rows, many keys with one, and both in one table. */
const rows = fc.oneof(
  fc.array(rowOf(fc.nat(1)), { maxLength: 60, size: "max" }),
  fc.array(rowOf(fc.nat(200)), { maxLength: 60, size: "max" }),
  fc.array(fc.oneof(rowOf(fc.constant(7)), rowOf(fc.nat(40))), { maxLength: 60, size: "max" }),
);

const given = fc.record({
  entity: fc.constantFrom(...entities),
  rows,
  parts: fc.integer({ min: 1, max: 3 }),
  after: fc.option(fc.integer({ min: -1, max: slices * 24 }), { nil: undefined }),
  rowsPerQuery: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 30 })),
  rowsPerBlock: fc.integer({ min: 1, max: 5 }),
  isReversed: fc.boolean(),
});

type Given = typeof given extends fc.Arbitrary<infer T> ? T : never;

function definitionOf(entity: Given["entity"]): AttributeView {
  return {
    kind: "view",
    name: "values",
    mode: "attributes",
    entity: {
      kind: "entity",
      name: "thing",
      joinKeys: entity.map((type, i) => ({ name: `position ${i}`, type: type as "string" })),
    },
    query: { kind: "scan", source: { kind: "file", format: "parquet", paths: [] }, schema: [] },
    eventTimestamp: "t",
    features: [{ name: "v", type: "float64" }, { name: "s", type: "string" }],
    schedule: "1d",
    dataDelay: "0s",
    start: "1970-01-01T00:00:00Z",
    ttl: "forever",
    lookback: 0,
    online: true,
    offline: true,
  };
}

const micros = ({ slice, hour }: TestRow): bigint => BigInt(slice) * day + BigInt(hour) * 3_600_000_000n;
const keyOf = ({ entity }: Given, row: TestRow): unknown[] =>
  entity.map((type, i) => keyForms[type as string]!.value(row.key >> i));
/** Zeros have no sign: dictionaries of Parquet files do not keep it. */
const text = (values: readonly unknown[]): string =>
  JSON.stringify(values.map((value) => typeof value === "string" ? [value] : String(value)));

/** What a table holds: one row per key and event timestamp. */
function withoutTies(table: Given): TestRow[] {
  return [...new Map(table.rows.map((row) => [text([...keyOf(table, row), micros(row)]), row])).values()];
}

/** The obvious way. */
function expected(table: Given): string[] {
  const newest = new Map<string, TestRow>();
  for (const row of withoutTies(table)) {
    if (table.after !== undefined && micros(row) <= BigInt(table.after) * 3_600_000_000n) continue;
    const key = text(keyOf(table, row));
    const before = newest.get(key);
    if (!before || micros(row) > micros(before)) newest.set(key, row);
  }
  return [...newest.values()].map((row) => text([...keyOf(table, row), micros(row), row.v, row.s])).sort();
}

/** Files as materialization writes them; slices without rows have none. */
async function writeFiles(session: EngineSession, folder: string, table: Given): Promise<LocalPart[]> {
  const { joinKeys } = definitionOf(table.entity).entity;
  const keys = joinKeys.map(({ name }) => `"${name}"`);
  const names = storedSchema(definitionOf(table.entity)).map(({ name }) => `"${name}"`);
  const float = (v: number | null) => v === null ? "NULL" : `'${Object.is(v, -0) ? "-0" : v}'`;
  const lines = withoutTies(table).map((row) => {
    const time = `make_timestamptz(${micros(row)}::BIGINT)`;
    const parts = table.entity.map((type, i) => keyForms[type as string]!.sql(row.key >> i));
    return `(${
      [...parts, time, time, time, `${float(row.v)}::DOUBLE`, row.s === null ? "NULL::VARCHAR" : `'${row.s}'`].join(
        ", ",
      )
    })`;
  });
  if (lines.length === 0) return [];
  await session.run(
    `CREATE OR REPLACE TEMP TABLE source AS SELECT * FROM (VALUES ${lines.join(", ")}) s(${names.join(", ")})`,
  );
  const files: LocalPart[] = [];
  for (let slice = 0n; slice < BigInt(slices); slice++) {
    const range = { start: slice * day, end: (slice + 1n) * day };
    for (let part = 0; part < table.parts; part++) {
      const path = join(folder, `${slice}-${part}.parquet`);
      const { rows } = await session.writeParquet(
        `SELECT * FROM source WHERE epoch_us(event_timestamp) // ${day} = ${slice} AND hash(${
          keys.join(", ")
        }) % ${table.parts} = ${part} ` +
          `ORDER BY ${keys.join(", ")}, event_timestamp`,
        path,
        { rowGroupSize: 2048 },
      );
      if (rows > 0) files.push({ path, slice: range });
    }
  }
  return table.isReversed ? files.reverse() : files;
}

it("latestRows() gives the newest row of every key, as plain loops do", async () => {
  const folder = await mkdtemp(join(tmpdir(), "varve-latest-"));
  const engine = createDuckDbEngine({ memoryLimit: "256MB", threads: 2, tempDirectory: folder });
  const session = await engine.session();
  try {
    await fc.assert(
      fc.asyncProperty(given, async (table) => {
        const files = await writeFiles(session, folder, table);
        if (files.length === 0) return;
        const found: string[] = [];
        const batches = latestRows({
          session,
          definition: definitionOf(table.entity),
          files,
          after: table.after === undefined ? undefined : BigInt(table.after) * 3_600_000_000n,
          rowsPerQuery: table.rowsPerQuery,
          rowsPerBlock: table.rowsPerBlock,
        });
        for await (const { rowCount, columns } of batches) {
          for (let row = 0; row < rowCount; row++) {
            found.push(text(columns.map((column) => column.isNull(row) ? null : column.values[row])));
          }
        }
        expect(found.sort()).toEqual(expected(table));
      }),
      { numRuns: Number(process.env["VARVE_RUNS"] ?? 40) },
    );
  } finally {
    session.close();
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  }
});
