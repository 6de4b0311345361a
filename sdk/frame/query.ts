/** Query: everything a frame can do, as frozen plain data. It can be printed, hashed, stored, and compiled by an engine. */
import type { DataType, Schema } from "../schema.ts";
import type { ExprNode } from "./expr_node.ts";

/** One step of a query, with the steps before it. */
export type Query =
  | ScanStep
  | SqlStep
  | FilterStep
  | SelectStep
  | DeriveStep
  | RenameStep
  | DropStep
  | JoinStep
  | AsOfJoinStep
  | UnionStep
  | AggregateStep
  | DistinctStep
  | SortStep
  | LimitStep
  | UnnestStep
  | SampleStep;

/**
 * Reads a source. `schema` is what the query may use, already normalised to varve's types; the engine casts
 * the physical columns to it and fails with SCHEMA_MISMATCH when the source no longer fits.
 */
export interface ScanStep {
  /** Which step it is. */
  readonly kind: "scan";
  /** Where the rows are. */
  readonly source: SourceSpec;
  /** The columns that are read. */
  readonly schema: Schema;
}

/** Where raw rows come from. */
export type SourceSpec = FileSource | MemorySource;

/** Files of one format. */
export interface FileSource {
  /** Which source it is. */
  readonly kind: "file";
  /** How the files are written. */
  readonly format: "parquet" | "csv" | "json" | "ndjson";
  /** Local paths (absolute, globs allowed) or `s3://bucket/key` (globs allowed), in order. */
  readonly paths: readonly string[];
  /** The column that says when a row became true. */
  readonly eventTimestamp?: string;
  /** The column that says when a row was written; of equal event timestamps the last written wins (S3). */
  readonly writtenTimestamp?: string;
  /** CSV and JSON reader settings, plain data. */
  readonly options?: Readonly<Record<string, string | number | boolean>>;
}

/** Rows that live in this process (rows, a polars DataFrame, an Arrow table), found by id in the engine. Publishing stores them first. */
export interface MemorySource {
  /** Which source it is. */
  readonly kind: "memory";
  /** Content hash: equal data has equal ids. */
  readonly id: string;
  /** How many rows there are. */
  readonly rowCount: number;
  /** The column that says when a row became true. */
  readonly eventTimestamp?: string;
  /** The column that says when a row was written. */
  readonly writtenTimestamp?: string;
}

/** SQL (DuckDB's SELECT) over named frames. */
export interface SqlStep {
  /** Which step it is. */
  readonly kind: "sql";
  /** A SELECT of DuckDB. */
  readonly sql: string;
  /** The frames it reads, by the names it has for them. */
  readonly inputs: Readonly<Record<string, Query>>;
  /** The columns of the result. */
  readonly schema: Schema;
}

/** Keeps the rows for which a condition is true. */
export interface FilterStep {
  /** Which step it is. */
  readonly kind: "filter";
  /** What the step is applied to. */
  readonly input: Query;
  /** The condition. */
  readonly where: ExprNode;
}

/** Keeps and orders columns. */
export interface SelectStep {
  /** Which step it is. */
  readonly kind: "select";
  /** What the step is applied to. */
  readonly input: Query;
  /** The columns of the result, in order. */
  readonly columns: readonly NamedExpr[];
}

/** Adds columns, or replaces those of the same name in place. Every expression sees the input only. */
export interface DeriveStep {
  /** Which step it is. */
  readonly kind: "derive";
  /** What the step is applied to. */
  readonly input: Query;
  /** The columns to add or replace. */
  readonly columns: readonly NamedExpr[];
}

/** An expression with the name of its column. */
export interface NamedExpr {
  /** The name of the column. */
  readonly name: string;
  /** How it is computed. */
  readonly expr: ExprNode;
}

/** Gives columns other names. */
export interface RenameStep {
  /** Which step it is. */
  readonly kind: "rename";
  /** What the step is applied to. */
  readonly input: Query;
  /** New name by old name. */
  readonly names: Readonly<Record<string, string>>;
}

/** Leaves columns out. */
export interface DropStep {
  /** Which step it is. */
  readonly kind: "drop";
  /** What the step is applied to. */
  readonly input: Query;
  /** The columns that go. */
  readonly columns: readonly string[];
}

/** Joins on equal keys; null keys match nothing. Right columns whose names exist on the left get `suffix`. Right keys are dropped. */
export interface JoinStep {
  /** Which step it is. */
  readonly kind: "join";
  /** Which rows stay. */
  readonly how: "inner" | "left" | "semi" | "anti";
  /** What the step is applied to. */
  readonly input: Query;
  /** The rows to join. */
  readonly right: Query;
  /** The keys that are equal. */
  readonly on: readonly JoinKey[];
  /** Added to right columns whose names the left has. */
  readonly suffix: string;
}

/** A column of the left with its counterpart on the right. */
export interface JoinKey {
  /** The name on the left. */
  readonly left: string;
  /** The name on the right. */
  readonly right: string;
}

/** For each left row the newest right row with equal keys and `right time <= left time` (left join). */
export interface AsOfJoinStep {
  /** Which step it is. */
  readonly kind: "asOfJoin";
  /** What the step is applied to. */
  readonly input: Query;
  /** The rows to look the newest up in. */
  readonly right: Query;
  /** The keys that are equal. */
  readonly on: readonly JoinKey[];
  /** The times that are compared. */
  readonly time: JoinKey;
  /** Canonical duration: the right row must be newer than left time minus this. */
  readonly tolerance?: string;
  /** Added to right columns whose names the left has. */
  readonly suffix: string;
}

/** All rows of all inputs, which have the same columns and types. */
export interface UnionStep {
  /** Which step it is. */
  readonly kind: "union";
  /** The frames, in order. */
  readonly inputs: readonly Query[];
}

/** Groups by columns and aggregates. */
export interface AggregateStep {
  /** Which step it is. */
  readonly kind: "aggregate";
  /** What the step is applied to. */
  readonly input: Query;
  /** The columns that make a group; none: all rows are one. */
  readonly by: readonly string[];
  /** What is computed of each group. */
  readonly aggregates: readonly NamedAggregate[];
}

/** Functions of a plain group-by. Nulls are skipped; empty groups give 0 for counts, else null (S7). */
export type AggregateFunction =
  | "count"
  | "sum"
  | "min"
  | "max"
  | "mean"
  | "median"
  | "quantile"
  | "varPop"
  | "varSamp"
  | "stddevPop"
  | "stddevSamp"
  | "first"
  | "last"
  | "countDistinct"
  | "minBy"
  | "maxBy"
  | "list"
  | "any"
  | "all";

/** An aggregate with the name of its column. */
export interface NamedAggregate {
  /** The name of the column. */
  readonly name: string;
  /** What is computed. */
  readonly function: AggregateFunction;
  /** None for `count()`. */
  readonly input?: ExprNode;
  /** What orders first, last, minBy, maxBy, list. */
  readonly by?: ExprNode;
  /** Only rows for which this is true count. */
  readonly where?: ExprNode;
  /** For `quantile`: between 0 and 1. */
  readonly quantile?: number;
}

/** Keeps one row for each combination of columns. */
export interface DistinctStep {
  /** Which step it is. */
  readonly kind: "distinct";
  /** What the step is applied to. */
  readonly input: Query;
  /** Columns that must differ; all of them when empty. Of equal rows the first in input order is kept. */
  readonly columns: readonly string[];
}

/** Orders the rows. */
export interface SortStep {
  /** Which step it is. */
  readonly kind: "sort";
  /** What the step is applied to. */
  readonly input: Query;
  /** The keys, the most important first. */
  readonly by: readonly SortKey[];
}

/** What rows are ordered by. */
export interface SortKey {
  /** The value. */
  readonly expr: ExprNode;
  /** Whether the greatest comes first. */
  readonly descending: boolean;
  /** Nulls come last unless told. */
  readonly nulls: "first" | "last";
}

/** Keeps some rows from the start. */
export interface LimitStep {
  /** Which step it is. */
  readonly kind: "limit";
  /** What the step is applied to. */
  readonly input: Query;
  /** How many rows stay. */
  readonly count: number;
  /** How many rows before them go. */
  readonly offset: number;
}

/** One row per element of a list column; rows with null or empty lists vanish unless `keepEmpty`. */
export interface UnnestStep {
  /** Which step it is. */
  readonly kind: "unnest";
  /** What the step is applied to. */
  readonly input: Query;
  /** The list. */
  readonly column: string;
  /** Whether a row without elements stays, with null. */
  readonly keepEmpty: boolean;
}

/** A repeatable random sample. */
export interface SampleStep {
  /** Which step it is. */
  readonly kind: "sample";
  /** What the step is applied to. */
  readonly input: Query;
  /** How many rows to keep … */
  readonly rows?: number;
  /** … or about which part of them. */
  readonly fraction?: number;
  /** The same seed gives the same rows. */
  readonly seed: number;
}

/** The type of an expression, given its input; lives here so that steps and nodes share one name. */
export type TypeOf = (node: ExprNode, schema: Schema) => DataType;
