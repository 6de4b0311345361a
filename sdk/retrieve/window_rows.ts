/**
 * Rows or tiles of a view of aggregates for the keys of a spine, as sweeps take them: out of the view's source, or out of its
 * offline table. The engine only scans, filters and derives; sorting is for the sweep.
 */
import { reservedColumns } from "../define/definitions.ts";
import { type EngineSession, quoteName, timestampSql } from "../engine/engine.ts";
import { checkSliceColumns, sliceColumn, sliceRelations, storableSql, strayRow } from "../engine/slice_rows.ts";
import { holdsEventTimestamp } from "../frame/query_time.ts";
import type { Field } from "../schema.ts";
import { alignDown, alignUp, durationToMicros, type TimeRange } from "../time.ts";
import { type ColumnKind, columnOf, kindOf, slotKindOf } from "../window/columns.ts";
import { slotColumn } from "../window/inputs.ts";
import type { Leaves } from "../window/leaves.ts";
import type { RowBatch } from "../window/row_blocks.ts";
import { type RowColumn, rowColumns, showsOrder, valueOrder } from "../window/row_columns.ts";
import { type FeatureFile, type KeyIds, scanSql } from "./positions.ts";
import type { WindowPlan } from "./window_plan.ts";

/** Rows of the keys that ids number. */
export interface WindowRows {
  readonly kinds: readonly ColumnKind[];
  /** What the plan's aggregations are made of. */
  readonly leaves: readonly Leaves[];
  /** Columns that order rows of equal key and time. */
  readonly ties: readonly number[];
  /** The arrays of a batch are gone when the next one is asked for. */
  batches(ids: KeyIds, signal?: AbortSignal): AsyncIterable<RowBatch>;
}

interface ReadColumn extends RowColumn {
  readonly kind: ColumnKind;
}

const micros = `epoch_us(${reservedColumns.eventTimestamp})::DOUBLE`;
const idAndTime: readonly Field[] = [{ name: "id", type: "int32" }, { name: "time", type: "float64" }];

/** Rows computed from the source, slice by slice; of event times in the range. */
export function sourceWindowRows(session: EngineSession, plan: WindowPlan, range: TimeRange | undefined): WindowRows {
  const { view, inputs, aggregations } = plan;
  const { columns, leaves } = rowColumns(view, inputs, aggregations);
  const values = columns.map((column): ReadColumn => ({ ...column, kind: kindOf(column.type) }));
  const isOrdered = aggregations.some((each) => showsOrder(view.aggregations[each]!.function));
  const { eventTimestamp, writtenTimestamp } = reservedColumns;
  // What the source's own time says lies in the slice that it was read for.
  const isSourceTime = holdsEventTimestamp(view.query, view.eventTimestamp);
  const ties = isOrdered
    ? [
      ...(view.writtenTimestamp === undefined ? [] : [
        // What was written at an unknown time comes first.
        doubleColumn(writtenTimestamp, `coalesce(epoch_us(${writtenTimestamp})::DOUBLE, '-infinity'::DOUBLE)`),
      ]),
      doubleColumn("position", "__position::DOUBLE"),
    ]
    : [];
  const read = [...values, ...ties];
  return {
    kinds: read.map(({ kind }) => kind),
    leaves,
    ties: ties.map((_, i) => values.length + i),
    async *batches(ids, signal) {
      if (!range) return;
      const schedule = durationToMicros(view.schedule, "schedule");
      const slices = { start: alignDown(range.start, schedule), end: alignUp(range.end, schedule) };
      const secondary = view.secondaryKey ? [view.secondaryKey] : [];
      const sliced = { ...view, query: inputs.query, features: [...secondary, ...inputs.columns] };
      for await (const relation of sliceRelations(session, sliced, slices, signal)) {
        checkSliceColumns(sliced, relation.schema, "read the source of");
        const named = namedSql(plan, relation.sql, relation.schema);
        const rows = `SELECT * FROM (${named}) WHERE ${inRange(range)} AND ${storableSql(secondary)}`;
        // Where the source's order is lost, the engine orders by values; rows then stay as they come.
        const order = isOrdered && !relation.position
          ? [eventTimestamp, `${writtenTimestamp} NULLS FIRST`, ...valueOrder(view, inputs)]
          : [];
        const columns = relation.position
          ? read
          : read.map((column) => column.name === "position" ? unordered : column);
        const intoSlice = `epoch_us(${eventTimestamp}) - epoch_us(${sliceColumn})`;
        const time = isSourceTime
          ? micros
          : `CASE WHEN ${intoSlice} BETWEEN 0 AND ${schedule - 1n} THEN ${micros} ELSE 'nan'::DOUBLE END`;
        let hasStray = false;
        for await (const batch of keyedBatches(session, plan, `(${rows})`, time, columns, ids, order, signal)) {
          hasStray = !isSourceTime && hasNaN(batch.times);
          // The session is free for another query only when this one is left.
          if (hasStray) break;
          yield batch;
        }
        if (hasStray) await throwStray(session, plan, rows, signal);
      }
    },
  };
}

/** Tiles, or with `edge: "exact"` rows, out of files of the offline table; of event times in the range. */
export function storedWindowRows(
  session: EngineSession,
  plan: WindowPlan,
  files: readonly FeatureFile[],
  range: TimeRange | undefined,
): WindowRows {
  const { columns, leaves, ties } = plan.view.edge === "exact" ? storedRows(plan) : storedTiles(plan);
  return {
    kinds: columns.map(({ kind }) => kind),
    leaves,
    ties,
    async *batches(ids, signal) {
      if (!range || files.length === 0) return;
      const rows = `(SELECT * FROM ${scanSql(files)} WHERE ${inRange(range)})`;
      yield* keyedBatches(session, plan, rows, micros, columns, ids, [], signal);
    },
  };
}

type StoredColumns = Pick<WindowRows, "leaves" | "ties"> & { readonly columns: readonly ReadColumn[] };

function storedRows({ view, inputs, aggregations }: WindowPlan): StoredColumns {
  const { columns, leaves } = rowColumns(view, inputs, aggregations);
  const values = columns.map((column): ReadColumn => ({ ...column, kind: kindOf(column.type) }));
  // A key's rows of one instant lie in one file, in order.
  const isOrdered = aggregations.some((each) => showsOrder(view.aggregations[each]!.function));
  return isOrdered
    ? { columns: [...values, doubleColumn("position", "file_row_number::DOUBLE")], leaves, ties: [values.length] }
    : { columns: values, leaves, ties: [] };
}

function storedTiles({ view, aggregations, aggregators }: WindowPlan): StoredColumns {
  const columns: ReadColumn[] = [];
  const leaves = aggregations.map((aggregation, i): Leaves => ({
    kind: "states",
    slots: aggregators[i]!.slots.map(({ name, type }) => {
      const column = slotColumn(view.aggregations[aggregation]!.name, name);
      return columns.push({ name: column, type, sql: quoteName(column), kind: slotKindOf(type) }) - 1;
    }),
  }));
  return { columns, leaves, ties: [] };
}

function doubleColumn(name: string, sql: string): ReadColumn {
  return { name, type: "float64", sql, kind: "float64" };
}

/** In place of positions that there are not. */
const unordered = doubleColumn("position", "0::DOUBLE");

function inRange({ start, end }: TimeRange): string {
  const { eventTimestamp } = reservedColumns;
  return `${eventTimestamp} >= ${timestampSql(start)} AND ${eventTimestamp} < ${timestampSql(end)}`;
}

/** The relation's rows with the names of stored columns for their times. */
function namedSql({ view, inputs }: WindowPlan, sql: string, schema: readonly Field[]): string {
  const { eventTimestamp, writtenTimestamp } = reservedColumns;
  const written = view.writtenTimestamp === undefined ? "NULL" : quoteName(view.writtenTimestamp);
  const kept = [
    ...view.entity.joinKeys,
    ...(view.secondaryKey ? [view.secondaryKey] : []),
    ...inputs.columns,
  ].map(({ name }) => quoteName(name));
  const position = schema.some(({ name }) => name === "__position") ? ["__position"] : [];
  return `SELECT ${
    [
      sliceColumn,
      ...kept,
      `${quoteName(view.eventTimestamp)}::TIMESTAMPTZ AS ${eventTimestamp}`,
      `${written}::TIMESTAMPTZ AS ${writtenTimestamp}`,
      ...position,
    ].join(", ")
  } FROM (${sql})`;
}

async function* keyedBatches(
  session: EngineSession,
  { view }: WindowPlan,
  rows: string,
  time: string,
  columns: readonly ReadColumn[],
  ids: KeyIds,
  order: readonly string[],
  signal?: AbortSignal,
): AsyncIterable<RowBatch> {
  const keys = view.entity.joinKeys.map(({ name }) => name);
  const made = [time, ...columns.map(({ sql }) => sql)];
  const sql = `SELECT ${["k.id", ...made.map((_, i) => `r.__made_${i}`)].join(", ")} ` +
    `FROM (SELECT *, ${made.map((each, i) => `${each} AS __made_${i}`).join(", ")} FROM ${rows}) r ` +
    `JOIN ${ids.table} k ON ${ids.on("r", keys)}` +
    (order.length > 0 ? ` ORDER BY ${order.map((each) => `r.${each}`).join(", ")}` : "");
  const schema = [...idAndTime, ...columns.map(({ name, type }): Field => ({ name, type }))];
  for await (const batch of session.borrowedBatches(sql, schema, signal)) {
    yield {
      ids: batch.columns[0]!.values as Int32Array,
      times: batch.columns[1]!.values as Float64Array,
      columns: columns.map(({ kind }, c) => columnOf(batch.columns[2 + c]!, kind, batch.rowCount)),
    };
  }
}

function hasNaN(values: Float64Array): boolean {
  for (let i = 0; i < values.length; i++) if (Number.isNaN(values[i])) return true;
  return false;
}

/** A row outside its slice would be seen too early or too late (S4), and materialization refuses it. */
async function throwStray(
  session: EngineSession,
  { view }: WindowPlan,
  rows: string,
  signal?: AbortSignal,
): Promise<void> {
  const event = `epoch_us(${reservedColumns.eventTimestamp})`;
  const into = `${event} - epoch_us(${sliceColumn})`;
  const last = durationToMicros(view.schedule, "schedule") - 1n;
  const [row] = await session.rows(
    `SELECT min(${event})::VARCHAR AS stray FROM (${rows}) WHERE NOT (${into} BETWEEN 0 AND ${last})`,
    signal,
  );
  throw strayRow(view, BigInt(row!["stray"]), "read the source of");
}
