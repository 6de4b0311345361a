// deno-lint-ignore-file no-explicit-any -- implementations behind overloads
/** The dataframe: an immutable chain of steps over sources, typed by the columns it has. */
import { Displayed } from "../display.ts";
import { checkOptions, type OptionNames } from "../errors.ts";
import { formatType, type Row, type Schema } from "../schema.ts";
import type { Aggregate, ColumnInput } from "./aggregates.ts";
import { describeQuery } from "./describe.ts";
import type { DescribedColumn } from "./describe.ts";
import type {
  AggregatesOver,
  ColumnName,
  Derived,
  Dropped,
  Grouped,
  InputOver,
  InputsOver,
  Joined,
  JoinOnInput,
  Renamed,
  Selected,
  Unnested,
} from "./frame_types.ts";
import { KeyedFrame } from "./keyed_frame.ts";
import type { KeyedEntity } from "./keyed_frame.ts";
import type { JoinStep, Query } from "./query.ts";
import { FramePlots } from "./plots.ts";
import { schemaOf } from "./query_schema.ts";
import { queryText } from "./query_text.ts";
import { eventTimestampOf } from "./query_time.ts";
import { frameRuntime } from "./runtime.ts";
import type { ArrowTable, Batch, DataFrame, ReadOptions, ToParquetOptions, WrittenFile } from "./runtime.ts";
import {
  canonicalTolerance,
  checked,
  conditionNode,
  joinKeys,
  namedAggregates,
  namedExprs,
  selectColumns,
  sortKeys,
} from "./steps.ts";
import type { JoinOn, NamedInputs, SortInput } from "./steps.ts";

/** How a join treats names that both sides have. */
export interface JoinOptions<S extends string = string> {
  /** Added to right columns whose names the left has. @default "_right" */
  readonly suffix?: S;
}

/** What an as-of join compares. */
export interface AsOfJoinOptions<L, R, S extends string = string> extends JoinOptions<S> {
  /** The time columns: one name for both, or left and right. @default the event timestamps of both sides */
  readonly time?: (ColumnName<L> & ColumnName<R>) | { readonly left: ColumnName<L>; readonly right: ColumnName<R> };
  /** The right row must be newer than the left time minus this. */
  readonly tolerance?: string;
}

const joinOptions: OptionNames<JoinOptions & { how?: string }> = { how: true, suffix: true };
const asOfOptions: OptionNames<AsOfJoinOptions<Row, Row>> = { time: true, tolerance: true, suffix: true };
const unnestOptions = { keepEmpty: true } as const;

/** How much of a frame a sample keeps: a number of rows, or about a fraction of them. */
export type SampleSize = { readonly rows: number; readonly seed?: number } | {
  readonly fraction: number;
  readonly seed?: number;
};

/**
 * A dataframe of rows R. No method changes its receiver; every step is checked against the columns there are, at the call.
 * Nothing is read until a reader is called: `collect`, `rows`, `batches`, `count`, `toArrow`, `toParquet`, `describe`.
 *
 * @example
 * ```ts
 * import { col, fromRows, mean } from "varve";
 * const flights = fromRows([{ origin: "ATL", delay: 5 }, { origin: "ATL", delay: 25 }]);
 * const late = flights.filter(col("delay").gt(15)).derive({ hours: col("delay").divide(60) });
 * const byOrigin = flights.groupBy("origin").aggregate({ delayMean: mean("delay") });
 * console.log(await byOrigin.rows(), String(late));
 * ```
 */
export class Frame<R extends Row = Row> extends Displayed {
  /** The steps, as frozen plain data. */
  readonly query: Query;
  /** Type only: the row. */
  declare readonly row: R;

  /** Wraps a query, which is checked and frozen. */
  constructor(query: Query) {
    super();
    this.query = checked(query);
    Object.freeze(this);
  }

  /** The columns of the result. */
  get schema(): Schema {
    return schemaOf(this.query);
  }

  /** The names of the columns. */
  get columns(): ColumnName<R>[] {
    return this.schema.map((field) => field.name as ColumnName<R>);
  }

  /** The column that says when a row became true, if the source named one and the chain kept it. */
  get eventTimestamp(): string | undefined {
    return eventTimestampOf(this.query);
  }

  /** Keeps the rows for which a condition is true. */
  filter(condition: InputOver<R>): Frame<R> {
    return new Frame({ kind: "filter", input: this.query, where: conditionNode(condition as ColumnInput) });
  }

  /** Keeps and orders columns: names, then expressions by name. */
  select<const K extends ColumnName<R>, const E extends InputsOver<R>>(
    ...columns: [...names: K[], exprs: E]
  ): Frame<Selected<R, K, E>>;
  // The last: its error is the one that a misspelt name shows.
  /** Keeps and orders columns: names, then expressions by name. */
  select<const K extends ColumnName<R>>(...columns: readonly K[]): Frame<Selected<R, K, Record<never, never>>>;
  select(...columns: readonly any[]): Frame<any> {
    return new Frame({
      kind: "select",
      input: this.query,
      columns: selectColumns(columns as (string | NamedInputs)[]),
    });
  }

  /** Adds columns, or replaces those of the same name in place. Every expression sees the columns as they were. */
  derive<const E extends InputsOver<R>>(columns: E): Frame<Derived<R, E>> {
    return new Frame({ kind: "derive", input: this.query, columns: namedExprs(columns as NamedInputs) });
  }

  /** Renames columns: `{ old: "new" }`. */
  rename<const N extends { readonly [K in ColumnName<R>]?: string }>(names: N): Frame<Renamed<R, N>> {
    return new Frame({ kind: "rename", input: this.query, names: { ...names } as Readonly<Record<string, string>> });
  }

  /** Leaves columns out. */
  drop<const K extends ColumnName<R>>(...columns: readonly K[]): Frame<Dropped<R, K>> {
    return new Frame({ kind: "drop", input: this.query, columns: [...columns] });
  }

  /**
   * Joins on equal keys (null equals nothing): a name, names, or `{ left: "right" }`. `"left"` keeps rows without a match; `"semi"` and `"anti"` keep
   * left rows with and without a match, and add no columns.
   */
  join<O extends Row, const On extends JoinOnInput<R, O>, const S extends string = "_right">(
    right: Frame<O>,
    on: On,
    options?: JoinOptions<S> & { readonly how?: "inner" | "left" },
  ): Frame<Joined<R, O, On, S>>;
  /** Keeps the rows that have a match (`"semi"`) or none (`"anti"`). */
  join<O extends Row>(right: Frame<O>, on: JoinOnInput<R, O>, options: { readonly how: "semi" | "anti" }): Frame<R>;
  join(
    right: Frame<any>,
    on: unknown,
    options: { readonly how?: JoinStep["how"]; readonly suffix?: string } = {},
  ): Frame<any> {
    checkOptions("Cannot join", options, joinOptions);
    const { how = "inner", suffix = "_right" } = options;
    return new Frame({ kind: "join", how, input: this.query, right: right.query, on: joinKeys(on as JoinOn), suffix });
  }

  /** For each row the newest row of another frame with equal keys that is not newer than this row; null where there is none. */
  asOfJoin<O extends Row, const On extends JoinOnInput<R, O>, const S extends string = "_right">(
    right: Frame<O>,
    on: On,
    options: AsOfJoinOptions<R, O, S> = {},
  ): Frame<Joined<R, O, On, S>> {
    checkOptions("Cannot join", options, asOfOptions);
    const { time, tolerance, suffix = "_right" } = options;
    const name = (which: "left" | "right", fallback: string | undefined): string =>
      (typeof time === "object" ? time[which] : time) ?? fallback ?? "";
    return new Frame({
      kind: "asOfJoin",
      input: this.query,
      right: right.query,
      on: joinKeys(on as JoinOn),
      time: { left: name("left", this.eventTimestamp), right: name("right", right.eventTimestamp) },
      suffix,
      ...(tolerance === undefined ? {} : { tolerance: canonicalTolerance(tolerance) }),
    });
  }

  /** All rows of this frame and of others with the same columns, matched by name. */
  union(...others: readonly AnyFrame[]): Frame<R> {
    return new Frame({ kind: "union", inputs: [this.query, ...others.map((other) => other.query)] });
  }

  /** Groups by columns; by none, all rows are one group. */
  groupBy<const K extends ColumnName<R> = never>(...keys: readonly K[]): GroupedFrame<R, K> {
    return new GroupedFrame(this, keys);
  }

  /** One row for each combination of columns (all columns when none are named): the first in order. */
  distinct(...columns: readonly ColumnName<R>[]): Frame<R> {
    return new Frame({ kind: "distinct", input: this.query, columns: [...columns] });
  }

  /** Orders the rows; nulls last. `descending("x")` turns a key round. */
  sort(
    ...keys: readonly (InputOver<R> | {
      readonly by: InputOver<R>;
      readonly descending?: boolean;
      readonly nulls?: "first" | "last";
    })[]
  ): Frame<R> {
    return new Frame({ kind: "sort", input: this.query, by: sortKeys(keys as readonly SortInput[]) });
  }

  /** The first rows, after leaving out `offset`. */
  limit(count: number, offset = 0): Frame<R> {
    return new Frame({ kind: "limit", input: this.query, count, offset });
  }

  /** The first rows. */
  head(count = 10): Frame<R> {
    return this.limit(count);
  }

  /** One row for each element of a list column; rows without elements vanish unless `keepEmpty`. */
  unnest<const K extends ColumnName<R>>(
    column: K,
    options: { readonly keepEmpty?: boolean } = {},
  ): Frame<Unnested<R, K>> {
    checkOptions(`Cannot unnest column "${column}"`, options, unnestOptions);
    return new Frame({ kind: "unnest", input: this.query, column, keepEmpty: options.keepEmpty ?? false });
  }

  /** A random sample that is the same in every run with one seed. */
  sample(size: SampleSize): Frame<R> {
    const { seed = 0, ...rest } = size;
    return new Frame({ kind: "sample", input: this.query, seed, ...rest });
  }

  /** Pictures of the rows, for notebooks: `frame.plot.histogram("delay")`. */
  get plot(): FramePlots<ColumnName<R>> {
    return new FramePlots(this);
  }

  /** From here on: features of an entity. Its join keys must be columns of fitting types. */
  by<const E extends KeyedEntity>(entity: E): KeyedFrame<R, E> {
    return new KeyedFrame(this, entity);
  }

  /** The rows as a nodejs-polars DataFrame. */
  async collect(options?: ReadOptions): Promise<DataFrame> {
    return await frameRuntime().dataFrame(this.query, options);
  }

  /** The rows as an apache-arrow Table. */
  async toArrow(options?: ReadOptions): Promise<ArrowTable> {
    return await frameRuntime().arrow(this.query, options);
  }

  /** Writes the rows to a Parquet file; a file that could not be finished is removed. */
  async toParquet(path: string, options?: ToParquetOptions & ReadOptions): Promise<WrittenFile> {
    return await frameRuntime().parquet(this.query, path, options);
  }

  /** The rows as objects: int64 as bigint, timestamps as Timestamp. For small results. */
  async rows(options?: ReadOptions): Promise<R[]> {
    return await frameRuntime().rows(this.query, options) as R[];
  }

  /** The first rows, as objects. */
  async preview(count = 10, options?: ReadOptions): Promise<R[]> {
    return await this.limit(count).rows(options);
  }

  /** The rows in batches of columns, in bounded memory. */
  batches(options?: ReadOptions): AsyncIterable<Batch> {
    return frameRuntime().batches(this.query, options);
  }

  /** The rows in batches of columns: `for await (const batch of frame)`. */
  [Symbol.asyncIterator](): AsyncIterator<Batch> {
    return this.batches()[Symbol.asyncIterator]();
  }

  /** The number of rows. */
  async count(options?: ReadOptions): Promise<number> {
    const query: Query = checked({
      kind: "aggregate",
      input: this.query,
      by: [],
      aggregates: [{ name: "rows", function: "count" }],
    });
    const [row] = await frameRuntime().rows(query, options);
    return Number(row!["rows"]);
  }

  /** What each column holds: counts, nulls, extremes, mean, quantiles, distinct values. */
  async describe(options?: ReadOptions): Promise<DescribedColumn[]> {
    return await describeQuery(this.query, options);
  }

  /** The SQL that a reader would run. */
  async explain(): Promise<string> {
    return await frameRuntime().explain(this.query);
  }

  /** The steps as readable text. */
  override toString(): string {
    return queryText(this.query);
  }

  /** The steps as plain data. */
  toJSON(): Query {
    return this.query;
  }

  /** What a console shows: the steps, then the columns they give. */
  override inspectText(): string {
    const columns = this.schema.map(({ name, type }) => `${name} ${formatType(type)}`);
    // A source says its columns itself.
    if (this.query.kind === "scan") return this.toString();
    return `${this}\n  gives ${columns.join(", ")}`;
  }
}

/** A frame whose rows are grouped; aggregate it. */
export class GroupedFrame<R extends Row, K extends string> {
  readonly #frame: Frame<R>;
  readonly #keys: readonly K[];

  /** Groups a frame by its columns. */
  constructor(frame: Frame<R>, keys: readonly K[]) {
    this.#frame = frame;
    this.#keys = Object.freeze([...keys]);
    // Checks the keys at this call rather than at aggregate.
    if (keys.length > 0) checked({ kind: "aggregate", input: frame.query, by: [...keys], aggregates: [] });
    Object.freeze(this);
  }

  /** One row per group: its keys and the aggregates by name. */
  aggregate<const A extends AggregatesOver<R>>(aggregates: A): Frame<Grouped<R, K, A>> {
    const input = this.#frame.query;
    return new Frame({
      kind: "aggregate",
      input,
      by: [...this.#keys],
      aggregates: namedAggregates(input, aggregates as Readonly<Record<string, Aggregate>>),
    });
  }
}

/** A frame of any rows. */
export type AnyFrame = Frame<any>;
