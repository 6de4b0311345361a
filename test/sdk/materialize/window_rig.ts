/** Views of aggregates over random rows, and what their tables must hold by plain loops. */
import { reservedColumns } from "../../../sdk/define/definitions.ts";
import type { AggregateView, AggregationDefinition } from "../../../sdk/define/definitions.ts";
import type { ColumnVector } from "../../../sdk/engine/engine.ts";
import type { Query } from "../../../sdk/frame/query.ts";
import { type WindowFunctionName, windowFunctions } from "../../../sdk/frame/window_functions.ts";
import { storedSchema } from "../../../sdk/materialize/stage_slices.ts";
import type { DataType, Schema } from "../../../sdk/schema.ts";
import type { DeltaTable } from "../../../sdk/storage/delta_format.ts";
import { makeStates } from "../../../sdk/window/aggregator.ts";
import { windowInputs } from "../../../sdk/window/inputs.ts";
import { viewAggregators } from "../../../sdk/window/view_aggregators.ts";
import { Random } from "../../conformance/expr_values.ts";
import { type OracleInput, windowProblem } from "../../oracle/window_functions.ts";
import { unsignedZeros } from "../../oracle/zeros.ts";
import { byType, inputTypes, randomParameters, randomRows } from "../window/window_cases.ts";
import { january, type Rig } from "./rig.ts";

/** A row of the source: keys, times and secondary key by name, inputs as `x0` …, all in row form. */
export type SourceRow = Readonly<Record<string, unknown>>;

const day = 86_400_000_000n;
const minute = 60_000_000n;

/** A view, and the source that it reads. */
export interface WindowCase {
  readonly view: AggregateView;
  readonly schema: Schema;
  /** Types of inputs by the aggregation's place. */
  readonly types: readonly (DataType | undefined)[];
}

/** A view of some functions, each over an input of its own, on the days of January 2001. */
export function windowCase(
  rig: Rig,
  functions: readonly { readonly name: WindowFunctionName; readonly type: DataType | undefined }[],
  more: Partial<AggregateView> = {},
  random = new Random(1),
): WindowCase {
  const { mode: _mode, features: _features, writtenTimestamp: _written, ...base } = rig.definition();
  const schema: Schema = [
    { name: "a", type: "string" },
    { name: "b", type: "int64" },
    { name: "t", type: "timestamp" },
    { name: "w", type: "timestamp" },
    { name: "g", type: "string" },
    { name: "flag", type: "boolean" },
    { name: "o", type: "float64" },
    ...functions.flatMap(({ type }, i) => type === undefined ? [] : [{ name: `x${i}`, type }]),
  ];
  const column = (name: string) => ({ kind: "column", name }) as const;
  const aggregations = functions.map(({ name, type }, i): AggregationDefinition => ({
    name: `f${i}`,
    function: name,
    ...(type !== undefined && { input: column(`x${i}`) }),
    ...(byType(name) !== undefined && { by: column("o") }),
    ...(random.chance(0.3) && { where: column("flag") }),
    ...(windowHasParameters(name) && { parameters: randomParameters(name, random) }),
  }));
  const query: Query = {
    kind: "scan",
    source: { kind: "file", format: "parquet", paths: [rig.source], eventTimestamp: "t", writtenTimestamp: "w" },
    schema,
  };
  const view: AggregateView = {
    ...base,
    mode: "aggregates",
    query,
    every: "1h",
    edge: "complete",
    boundary: "inclusive",
    aggregations,
    features: aggregations.map(({ name }) => ({
      name: `${name}_1d`,
      type: "float64",
      aggregation: name,
      window: { kind: "time", size: "1d", offset: "0s" },
    })),
    ...more,
  };
  return { view, schema, types: functions.map(({ type }) => type) };
}

function windowHasParameters(name: WindowFunctionName): boolean {
  return "parameters" in windowFunctions[name];
}

/** Any functions over any types. */
export function randomFunctions(
  random: Random,
  count: number,
): { readonly name: WindowFunctionName; readonly type: DataType | undefined }[] {
  const names = Object.keys(windowFunctions) as WindowFunctionName[];
  return Array.from({ length: count }, () => {
    const name = random.pick(names);
    return { name, type: random.pick(inputTypes(name)) };
  });
}

/** Rows on the first days of January 2001: few keys, ties, boundaries, and some without a key or a time. */
export function randomSource(random: Random, { types }: WindowCase, count: number, days: number): SourceRow[] {
  const inputs = types.map((type) => randomRows(random, type, count));
  const minutes = days * 24 * 60;
  return Array.from({ length: count }, (_, row) => {
    // Mostly on some minute, so that rows meet each other and the borders of tiles and slices.
    const at = january(1) + BigInt(random.below(minutes)) * minute;
    const t = random.chance(0.7) ? at - at % (60n * minute) : at + BigInt(random.below(60_000_000));
    return {
      a: random.chance(0.03) ? null : random.pick(["", "x", "y", "a longer key than fits"]),
      b: random.chance(0.03) ? null : BigInt(random.below(3)),
      t: random.chance(0.03) ? null : t,
      w: random.chance(0.2) ? null : january(10 + random.below(3)),
      g: random.chance(0.1) ? null : random.pick(["é", "a", "b"]),
      flag: random.chance(0.1) ? null : random.chance(0.6),
      o: inputs[0]?.[row]?.by ?? null,
      ...Object.fromEntries(inputs.map((rows, i) => [`x${i}`, rows[row]!.value])),
    };
  });
}

/** Replaces the source by these rows, in this order. */
export async function writeSource(rig: Rig, { schema }: WindowCase, rows: readonly SourceRow[]): Promise<void> {
  const session = await rig.engine.session();
  const columns = schema.map(({ name }): ColumnVector => ({
    values: rows.map((row) => row[name]),
    hasNulls: true,
    isNull: (row) => rows[row]![name] === null,
  }));
  const { sql } = await session.fill("source", schema, [{ rowCount: rows.length, columns }]);
  await session.writeParquet(sql, rig.source);
  session.close();
}

/** The rows of a view's table, in row form, in the order of the files' slices and rows. */
export async function storedRows(rig: Rig, view: AggregateView, table: DeltaTable = rig.table()): Promise<SourceRow[]> {
  const { files } = await table.snapshot();
  const sorted = [...files].sort((a, b) => a.slice.start < b.slice.start ? -1 : 1);
  const schema = storedSchema(view);
  const rows: SourceRow[] = [];
  const session = await rig.engine.session();
  for (const path of await table.localPaths(sorted)) {
    for (const { rowCount, columns } of await session.collectBatches(`SELECT * FROM read_parquet('${path}')`, schema)) {
      for (let row = 0; row < rowCount; row++) {
        rows.push(
          Object.fromEntries(
            schema.map(({ name }, i) => [name, columns[i]!.isNull(row) ? null : columns[i]!.values[row]]),
          ),
        );
      }
    }
  }
  session.close();
  return rows;
}

/** A tile by plain loops: its key, its start, and its rows in order. */
interface Tile {
  readonly a: string;
  readonly b: bigint;
  readonly start: bigint;
  readonly rows: SourceRow[];
}

/** What makes a row count nowhere. */
export function isDropped(view: AggregateView, row: SourceRow): boolean {
  return row["a"] === null || row["b"] === null || row["t"] === null ||
    (view.secondaryKey !== undefined && row["g"] === null);
}

/** Rows by key, event time, written time (unknown first), and place in the source. */
function inOrder(view: AggregateView, source: readonly SourceRow[]): SourceRow[] {
  const text = (value: unknown) => Buffer.from(value as string);
  const big = (value: unknown) => value as bigint ?? -(2n ** 63n);
  const difference = (x: bigint, y: bigint) => x < y ? -1 : x > y ? 1 : 0;
  return source.filter((row) => !isDropped(view, row)).sort((x, y) =>
    Buffer.compare(text(x["a"]), text(y["a"])) || difference(big(x["b"]), big(y["b"])) ||
    difference(big(x["t"]), big(y["t"])) ||
    (view.writtenTimestamp === undefined ? 0 : difference(big(x["w"]), big(y["w"])))
  );
}

/** The tiles of the slices, by slice, key and start. */
export function tilesOf(
  view: AggregateView,
  every: bigint,
  source: readonly SourceRow[],
  slices: readonly bigint[],
): Tile[] {
  const tiles: Tile[] = [];
  for (const slice of [...slices].sort((x, y) => x < y ? -1 : 1)) {
    for (const row of inOrder(view, source)) {
      const t = row["t"] as bigint;
      if (t < slice || t >= slice + day) continue;
      const [a, b, start] = [row["a"] as string, row["b"] as bigint, t - t % every];
      const last = tiles.at(-1);
      if (last && last.a === a && last.b === b && last.start === start) last.rows.push(row);
      else tiles.push({ a, b, start, rows: [row] });
    }
  }
  return tiles;
}

/** What is wrong with a table of tiles, by plain loops over the source; undefined when nothing is. */
export function tileProblem(
  { view, types }: WindowCase,
  every: bigint,
  stored: readonly SourceRow[],
  source: readonly SourceRow[],
  slices: readonly bigint[],
  now: bigint,
): string | undefined {
  const tiles = tilesOf(view, every, source, slices);
  if (tiles.length !== stored.length) return `${stored.length} tiles are stored, not ${tiles.length}`;
  for (const [i, tile] of tiles.entries()) {
    const row = stored[i]!;
    const written = tile.rows.map(({ w }) => w as bigint).filter((w) => w !== null);
    const times = {
      a: tile.a,
      b: tile.b,
      [reservedColumns.eventTimestamp]: tile.start,
      [reservedColumns.effectiveTimestamp]: tile.start - tile.start % day + day + 120n * minute,
      [reservedColumns.writtenTimestamp]: view.writtenTimestamp === undefined
        ? now
        : written.length === 0
        ? null
        : written.reduce((x, y) => x > y ? x : y),
    };
    for (const [name, value] of Object.entries(times)) {
      if (row[name] !== value) return `tile ${i} has ${name} ${String(row[name])}, not ${String(value)}`;
    }
    const problem = stateProblem(view, types, row, tile.rows);
    if (problem) return `tile ${i} (${tile.a}, ${tile.b}, ${tile.start}): ${problem}`;
  }
  return undefined;
}

function stateProblem(
  view: AggregateView,
  types: WindowCase["types"],
  stored: SourceRow,
  rows: readonly SourceRow[],
): string | undefined {
  const aggregators = viewAggregators(view);
  for (const [i, { name, function: of, where, parameters = {} }] of view.aggregations.entries()) {
    const aggregator = aggregators[i]!;
    const states = makeStates(aggregator, 1);
    aggregator.slots.forEach((slot, k) => states[k]![0] = stored[`${name}__${slot.name}`] as never);
    let actual: unknown;
    try {
      actual = aggregator.finalize(states, 0);
    } catch (error) {
      actual = error;
    }
    const inputs = (of: readonly SourceRow[]): OracleInput[] =>
      of.map((row) => ({
        value: where && row["flag"] !== true ? null : types[i] === undefined ? undefined : row[`x${i}`],
        by: row["o"],
      }));
    const problemOf = (actual: unknown, of_: readonly SourceRow[]): string | undefined => {
      try {
        const given = unsignedZeros(inputs(of_));
        return windowProblem(unsignedZeros(actual), of as WindowFunctionName, types[i], parameters, given);
      } catch (error) {
        // The oracle says that there is no answer.
        return actual instanceof Error ? undefined : `there is an answer, where ${String(error)}`;
      }
    };
    if (view.secondaryKey === undefined) {
      const problem = problemOf(actual, rows);
      if (problem) return `${name}: ${problem}`;
      continue;
    }
    if (actual instanceof Error) continue; // One group has no answer; which one is the aggregators' affair.
    const groups = [...new Set(rows.map(({ g }) => g as string))].sort((x, y) =>
      Buffer.compare(Buffer.from(x), Buffer.from(y))
    );
    const answers = actual as unknown[];
    if (answers.length !== groups.length) return `${name}: ${answers.length} groups, not ${groups.length}`;
    for (const [k, group] of groups.entries()) {
      const problem = problemOf(answers[k], rows.filter(({ g }) => g === group));
      if (problem) return `${name} of ${group}: ${problem}`;
    }
  }
  return undefined;
}

/** The rows that a table of rows must hold, in order. */
export function expectedRows(
  { view }: WindowCase,
  source: readonly SourceRow[],
  slices: readonly bigint[],
  now: bigint,
): SourceRow[] {
  const { aggregations, columns } = windowInputs(view);
  return tilesOf(view, day, source, slices).flatMap(({ rows }) => rows).map((row) => {
    const t = row["t"] as bigint;
    const inputs = new Map<string, unknown>();
    for (const [i, { input, by, where }] of aggregations.entries()) {
      if (input !== undefined) inputs.set(input, row[`x${i}`]);
      if (by !== undefined) inputs.set(by, row["o"]);
      if (where !== undefined) inputs.set(where, row["flag"]);
    }
    return {
      a: row["a"],
      b: row["b"],
      [reservedColumns.eventTimestamp]: t,
      [reservedColumns.effectiveTimestamp]: t - t % day + day + 120n * minute,
      [reservedColumns.writtenTimestamp]: view.writtenTimestamp === undefined ? now : row["w"],
      ...(view.secondaryKey && { g: row["g"] }),
      ...Object.fromEntries(columns.map(({ name }) => [name, inputs.get(name)])),
    };
  });
}
