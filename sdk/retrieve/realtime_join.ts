/**
 * The features of realtime views for the rows of a spine: the function that answers requests runs over what was joined, with the
 * spine's columns as request fields and its event timestamp as the time of the request. So both give the very same values.
 */
import { type ColumnBatch, type ColumnVector, type EngineSession, quoteName, type Relation } from "../engine/engine.ts";
import { requestTimeColumn } from "../frame/expr_node.ts";
import type { FunctionRuns } from "../sandbox/runner_options.ts";
import type { Field, Row } from "../schema.ts";
import { type AnyRead, featureOf, isRealtime } from "./feature_read.ts";
import { typeSql } from "./literal_sql.ts";
import { addedColumns, type PointInTimeOptions } from "./point_in_time.ts";
import { temporaryName } from "./positions.ts";
import { realtimeComputer } from "./realtime_compute.ts";
import type { SpineTable } from "./spine_table.ts";
import type { ComputedRead } from "./stored_reads.ts";

/** Rows that are computed at a time: bounds memory. */
const rowsPerChunk = 250_000;

/** The spine's columns, then what each read adds, in the order of reads. `joined` holds what was looked up. */
export async function realtimeJoin(
  session: EngineSession,
  spine: SpineTable,
  joined: Relation,
  reads: readonly AnyRead[],
  computed: readonly ComputedRead[],
  functions: FunctionRuns,
  options: PointInTimeOptions,
): Promise<Relation> {
  const looked = temporaryName("looked_up");
  await session.run(`CREATE TEMP TABLE ${looked} AS ${joined.sql}`, options.signal);
  const values = temporaryName("computed");
  const computers = computed.map((each, c) => new ChunkComputer(each, c, functions));
  const inputs = computers.flatMap((each) => each.inputs(spine));
  const outputs = computers.flatMap((each) => each.outputs);
  for (let first = 0; first < spine.rows; first += rowsPerChunk) {
    const sql = `SELECT ${
      inputs.map(({ sql, type }, i) => `CAST(${sql} AS ${typeSql(type)}) AS i${i}`).join(", ")
    } FROM ${looked} WHERE rowid >= ${first} AND rowid < ${first + rowsPerChunk} ORDER BY rowid`;
    const schema = inputs.map(({ type }, i) => ({ name: `i${i}`, type }));
    const batches: ColumnBatch[] = [];
    let row = first;
    for (const batch of await session.collectBatches(sql, schema, options.signal)) {
      let column = 0;
      const columns: ColumnVector[] = [];
      for (const computer of computers) {
        columns.push(...await computer.compute(batch, column, row, options.signal));
        column += computer.width;
      }
      batches.push({ rowCount: batch.rowCount, columns });
      row += batch.rowCount;
    }
    if (first === 0) await session.fill(values, outputs, batches, options.signal);
    else await session.append(values, outputs, batches, options.signal);
  }
  const columns = reads.flatMap((read) => {
    const added = addedColumns(read, options).map(({ name }) => `l.${quoteName(name)}`);
    if (!isRealtime(read)) return added;
    const c = computed.findIndex((each) => each.read === read);
    return [
      ...read.features.map(({ feature, as }) => `c.${quoteName(outputName(c, feature))} AS ${quoteName(as)}`),
      ...(options.statuses ? [`'PRESENT' AS ${quoteName(`${read.alias}__status`)}`] : []),
      ...(options.effectiveTimestamps
        ? [`l.${quoteName(spine.eventTimestamp)} AS ${quoteName(`${read.alias}__effective_timestamp`)}`]
        : []),
    ];
  });
  const own = spine.schema.map(({ name }) => `l.${quoteName(name)}`);
  return {
    // Both tables have a row for each of the spine's, in order.
    sql: `SELECT ${[...own, ...columns].join(", ")} FROM ${looked} l POSITIONAL JOIN ${values} c`,
    schema: [...spine.schema, ...reads.flatMap((read) => addedColumns(read, options))],
  };
}

function outputName(computation: number, feature: string): string {
  return `c${computation}_${feature}`;
}

/** Computes the features of one realtime view, batch by batch. */
class ChunkComputer {
  /** The columns that are filled. */
  readonly outputs: readonly Field[];
  readonly #read: ComputedRead;
  readonly #names: readonly string[];
  readonly #computer: ReturnType<typeof realtimeComputer>;

  constructor(read: ComputedRead, index: number, functions: FunctionRuns) {
    const { definition, features } = read.read;
    this.#read = read;
    this.#computer = realtimeComputer(definition, functions);
    this.#names = [
      ...definition.request.map(({ name }) => name),
      ...definition.inputs.map(({ name }) => name),
      requestTimeColumn,
    ];
    const wanted = [...new Set(features.map(({ feature }) => feature))];
    this.outputs = wanted.map((name) => ({ name: outputName(index, name), type: featureOf(read.read, name).type }));
    this.#places = wanted.map((name) => definition.features.findIndex((feature) => feature.name === name));
  }
  readonly #places: readonly number[];

  /** How many columns it reads. */
  get width(): number {
    return this.#names.length;
  }

  /** What it reads, in the order of its names. */
  inputs(spine: SpineTable): (Pick<Field, "type"> & { readonly sql: string })[] {
    const { read, inputs } = this.#read;
    return [
      ...read.definition.request.map(({ name, type }) => ({ sql: quoteName(name), type })),
      ...inputs.map(({ column, type }) => ({ sql: quoteName(column), type })),
      { sql: quoteName(spine.eventTimestamp), type: "timestamp" as const },
    ];
  }

  /** Computes from the columns that start at `first`. `start` numbers the first row in the spine. */
  async compute(
    batch: ColumnBatch,
    first: number,
    start: number,
    signal: AbortSignal | undefined,
  ): Promise<ColumnVector[]> {
    const columns = this.#names.map((name, i) => ({ name, column: batch.columns[first + i]! }));
    const rows: Row[] = [];
    for (let r = 0; r < batch.rowCount; r++) {
      const row: Row = {};
      for (const { name, column } of columns) row[name] = column.isNull(r) ? null : column.values[r];
      rows.push(row);
    }
    const results = await this.#computer.compute(rows, (r) => `row ${start + r} of the spine`, signal);
    return this.#places.map((place) => {
      const values = results.map((row) => row[place]);
      return { values, hasNulls: values.includes(null), isNull: (r) => values[r] === null };
    });
  }
}
