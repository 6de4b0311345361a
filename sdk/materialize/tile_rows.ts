/** Staged rows, sorted for tiles: by slice, key and time, with a number in place of the key and only what aggregators read. */
import { reservedColumns } from "../define/definitions.ts";
import { type EngineSession, quoteName, timestampSql } from "../engine/engine.ts";
import { sliceColumn, storableSql } from "../engine/slice_rows.ts";
import type { DataType, Field, Schema } from "../schema.ts";
import { durationToMicros } from "../time.ts";
import type { Aggregator } from "../window/aggregator.ts";
import type { TilePlan } from "../window/tile_states.ts";
import { viewAggregators } from "../window/view_aggregators.ts";
import type { StagedSlice } from "./staged.ts";
import type { WindowRows } from "./staged_windows.ts";

/** Some keys of a slice, and their rows, in temporary tables. */
export interface TileRows {
  /** The rows; row i has `rowid` i. */
  readonly table: string;
  readonly first: number;
  readonly end: number;
  /** Slice and {@link keyColumn}s by number: key i has `rowid` i. */
  readonly keyTable: string;
}

const rowTable = "varve_rows";
const keyTable = "varve_keys";

/**
 * Sorts staged rows: as many slices at once as have few keys, and slices of many keys part by part. Of rows there may be any
 * number, but their keys are in memory while they are numbered; no more than a part has tiles, as each has one at least.
 */
export class TileSorter {
  readonly view: WindowRows["view"];
  readonly aggregators: readonly Aggregator[];
  /** What is read of the rows. */
  readonly schema: Schema;
  /** Where columns of the schema are. */
  readonly plan: TilePlan;
  readonly #session: EngineSession;
  readonly #staged: WindowRows;
  readonly #columns: readonly ReadColumn[];
  readonly #groups: readonly SliceGroup[];
  #sorted: SliceGroup | undefined;

  /** Nothing is sorted before it is asked for. */
  constructor(session: EngineSession, staged: WindowRows, slices: readonly StagedSlice[], maxKeys: number) {
    const { columns, plan, aggregators } = readColumns(staged);
    this.view = staged.view;
    this.aggregators = aggregators;
    this.plan = plan;
    this.schema = [
      { name: "__id", type: "int32" },
      { name: "__time", type: "float64" },
      ...plan.written === undefined ? [] : [{ name: "__written", type: "int64" as const }],
      ...columns.map(({ name, type }) => ({ name, type })),
    ];
    this.#session = session;
    this.#staged = staged;
    this.#columns = columns;
    this.#groups = groupsOf(slices, maxKeys);
  }

  /** The rows of a slice, one part of its keys after the other; what was given before is gone then. */
  async *rowsOf(slice: StagedSlice, signal?: AbortSignal): AsyncIterable<TileRows> {
    const group = this.#groups.find(({ slices }) => slices.includes(slice))!;
    for (let part = 0; part < group.parts; part++) {
      if (group.parts > 1 || this.#sorted !== group) await this.#sort(group, part, signal);
      this.#sorted = group;
      if (group.parts === 1) {
        const first = group.slices.slice(0, group.slices.indexOf(slice)).reduce((sum, { rows }) => sum + rows, 0);
        yield { table: rowTable, first, end: first + slice.rows, keyTable };
        continue;
      }
      const [count] = await this.#session.rows(`SELECT count(*)::DOUBLE AS n FROM ${rowTable}`, signal);
      yield { table: rowTable, first: 0, end: Number(count!["n"]), keyTable };
    }
  }

  /** Frees the tables. */
  async drop(): Promise<void> {
    for (const table of [this.#staged.table, rowTable, keyTable]) {
      await this.#session.run(`DROP TABLE IF EXISTS ${table}`);
    }
  }

  async #sort({ slices, parts }: SliceGroup, part: number, signal?: AbortSignal): Promise<void> {
    const { table, keys, order, view } = this.#staged;
    const { eventTimestamp, writtenTimestamp } = reservedColumns;
    // Keys have names of our own beside their numbers: a user's may be called "rowid".
    const joinKeys = view.entity.joinKeys.map(({ name }, i) => ({ own: keyColumn(i), name: quoteName(name) }));
    const named = joinKeys.map(({ own, name }) => `${name} AS ${own}`).join(", ");
    const same = joinKeys.map(({ own, name }) => `__rows.${name} = __keys.${own}`).join(" AND ");
    const [first, last] = [slices[0]!, slices.at(-1)!].map(({ range }) => timestampSql(range.start));
    const where = [storableSql(keys), `${sliceColumn} BETWEEN ${first} AND ${last}`];
    if (parts > 1) where.push(`hash(${joinKeys.map(({ name }) => name).join(", ")}) % ${parts} = ${part}`);
    const columns = [
      "__keys.rowid::INTEGER AS __id",
      `epoch_us(${eventTimestamp})::DOUBLE AS __time`,
      ...this.plan.written === undefined ? [] : [`epoch_us(${writtenTimestamp}) AS __written`],
      ...this.#columns.map(({ name, sql }) => `${sql} AS ${quoteName(name)}`),
    ];
    // Tables keep the order in which they are filled, so that a number in one is a row of the other.
    await this.#session.run(
      `CREATE OR REPLACE TEMP TABLE ${keyTable} AS SELECT DISTINCT ${sliceColumn}, ${named} FROM ${table} WHERE ${
        where.join(" AND ")
      } ORDER BY ALL`,
      signal,
    );
    await this.#session.run(
      `CREATE OR REPLACE TEMP TABLE ${rowTable} AS SELECT ${columns.join(", ")} FROM ` +
        `(SELECT * FROM ${table} WHERE ${where.join(" AND ")}) __rows ` +
        `JOIN ${keyTable} __keys ON __rows.${sliceColumn} = __keys.${sliceColumn} AND ${same} ` +
        `ORDER BY ${["__id", ...order].join(", ")}`,
      signal,
    );
    // What nobody reads again need not be kept while states are made.
    if (this.#groups.length === 1 && parts === 1) await this.#session.run(`DROP TABLE ${table}`);
  }
}

/** Neighbouring slices that are sorted together, or one that is sorted in parts. */
interface SliceGroup {
  readonly slices: StagedSlice[];
  readonly parts: number;
}

function groupsOf(slices: readonly StagedSlice[], maxKeys: number): SliceGroup[] {
  const groups: SliceGroup[] = [];
  let keys = 0;
  for (const slice of slices) {
    const last = groups.at(-1);
    if (last?.parts === 1 && keys + slice.keys <= maxKeys) {
      last.slices.push(slice);
      keys += slice.keys;
    } else {
      groups.push({ slices: [slice], parts: Math.max(1, Math.ceil(slice.keys / maxKeys)) });
      keys = slice.keys;
    }
  }
  return groups;
}

/** The column of a key table that holds a join key. */
export function keyColumn(index: number): string {
  return `__key_${index}`;
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
