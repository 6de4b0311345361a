/** Staged rows, sorted for tiles: by slice, key and time, with a number in place of the key and only what aggregators read. */
import { reservedColumns } from "../define/definitions.ts";
import { type EngineSession, quoteName } from "../engine/engine.ts";
import { sliceColumn, storableSql } from "../engine/slice_rows.ts";
import type { DataType, Field, Schema } from "../schema.ts";
import { durationToMicros } from "../time.ts";
import type { Aggregator } from "../window/aggregator.ts";
import type { TilePlan } from "../window/tile_states.ts";
import { viewAggregators } from "../window/view_aggregators.ts";
import type { StagedSlice } from "./staged.ts";
import type { WindowRows } from "./staged_windows.ts";

/** Rows in temporary tables, in order. */
export interface TileRows {
  readonly view: WindowRows["view"];
  readonly aggregators: readonly Aggregator[];
  /** The rows; row i has `rowid` i. */
  readonly table: string;
  /** What is read of them. */
  readonly schema: Schema;
  /** Slice and join keys by number: key i has `rowid` i. */
  readonly keyTable: string;
  /** Where columns of the schema are. */
  readonly plan: TilePlan;
  /** The rows of a slice. */
  rowsOf(slice: StagedSlice): { readonly first: number; readonly end: number };
  /** Frees the tables. */
  drop(): Promise<void>;
}

const rowTable = "varve_rows";
const keyTable = "varve_keys";

/** Sorts the staged rows, which are gone then. */
export async function sortForTiles(
  session: EngineSession,
  staged: WindowRows,
  slices: readonly StagedSlice[],
  signal?: AbortSignal,
): Promise<TileRows> {
  const { view, table, keys, order } = staged;
  const { eventTimestamp, writtenTimestamp } = reservedColumns;
  const names = [sliceColumn, ...view.entity.joinKeys.map(({ name }) => quoteName(name))].join(", ");
  const { columns, plan, aggregators } = readColumns(staged);
  const selected = [
    "k.rowid::INTEGER AS __id",
    `epoch_us(${eventTimestamp})::DOUBLE AS __time`,
    ...view.writtenTimestamp === undefined ? [] : [`epoch_us(${writtenTimestamp}) AS __written`],
    ...columns.map(({ name, sql }) => `${sql} AS ${quoteName(name)}`),
  ];
  // Tables keep the order in which they are filled, so that a number in one is a row of the other.
  await session.run(
    `CREATE OR REPLACE TEMP TABLE ${keyTable} AS SELECT DISTINCT ${names} FROM ${table} WHERE ${
      storableSql(keys)
    } ORDER BY ${names}`,
    signal,
  );
  await session.run(
    `CREATE OR REPLACE TEMP TABLE ${rowTable} AS SELECT ${selected.join(", ")} FROM ${table} s JOIN ${keyTable} k ` +
      `USING (${names}) WHERE ${storableSql(keys)} ORDER BY ${["__id", ...order].join(", ")}`,
    signal,
  );
  await session.run(`DROP TABLE ${table}`);
  const ends = new Map<bigint, number>();
  let end = 0;
  for (const slice of slices) ends.set(slice.range.start, end += slice.rows);
  return {
    view,
    aggregators,
    table: rowTable,
    keyTable,
    plan,
    schema: [
      { name: "__id", type: "int32" },
      { name: "__time", type: "float64" },
      ...view.writtenTimestamp === undefined ? [] : [{ name: "__written", type: "int64" as const }],
      ...columns.map(({ name, type }) => ({ name, type })),
    ],
    rowsOf: ({ range, rows }) => {
      const last = ends.get(range.start)!;
      return { first: last - rows, end: last };
    },
    drop: async () => {
      await session.run(`DROP TABLE IF EXISTS ${rowTable}`);
      await session.run(`DROP TABLE IF EXISTS ${keyTable}`);
    },
  };
}

interface ReadColumn extends Field {
  readonly sql: string;
}

/** A column for every different input and condition together: rows that do not count are null in it. */
function readColumns({ view, inputs }: WindowRows): {
  readonly columns: readonly ReadColumn[];
  readonly plan: TilePlan;
  readonly aggregators: readonly Aggregator[];
} {
  const columns: ReadColumn[] = [];
  const first = view.writtenTimestamp === undefined ? 2 : 3;
  const place = (sql: string, type: DataType): number => {
    const found = columns.findIndex((column) => column.sql === sql);
    if (found >= 0) return first + found;
    return first - 1 + columns.push({ name: `__value_${columns.length}`, type, sql });
  };
  const typeOf = (name: string): DataType => inputs.columns.find((column) => column.name === name)!.type;
  const aggregators = viewAggregators(view, inputs);
  const aggregations = inputs.aggregations.map(({ input, by, where }, i) => {
    const counted = input === undefined ? "1" : quoteName(input);
    const sql = where === undefined ? counted : `CASE WHEN ${quoteName(where)} THEN ${counted} END`;
    const type = input === undefined ? "int32" : typeOf(input);
    return {
      aggregator: aggregators[i]!,
      ...(input !== undefined || where !== undefined ? { value: place(sql, type) } : {}),
      ...(by !== undefined && { by: place(quoteName(by), typeOf(by)) }),
    };
  });
  const key = view.secondaryKey && place(quoteName(view.secondaryKey.name), view.secondaryKey.type);
  const plan: TilePlan = {
    every: Number(durationToMicros(view.every, "every")),
    id: 0,
    time: 1,
    ...(view.writtenTimestamp !== undefined && { written: 2 }),
    ...(key !== undefined && { key }),
    aggregations,
  };
  return { columns, plan, aggregators };
}
