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
  readonly kind: "scan";
  readonly source: SourceSpec;
  readonly schema: Schema;
}

/** Where raw rows come from. */
export type SourceSpec = FileSource | MemorySource;

export interface FileSource {
  readonly kind: "file";
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
  readonly kind: "memory";
  /** Content hash: equal data has equal ids. */
  readonly id: string;
  readonly rowCount: number;
  readonly eventTimestamp?: string;
  readonly writtenTimestamp?: string;
}

/** SQL (DuckDB's SELECT) over named frames. */
export interface SqlStep {
  readonly kind: "sql";
  readonly sql: string;
  readonly inputs: Readonly<Record<string, Query>>;
  readonly schema: Schema;
}

export interface FilterStep {
  readonly kind: "filter";
  readonly input: Query;
  readonly where: ExprNode;
}

/** Keeps and orders columns. */
export interface SelectStep {
  readonly kind: "select";
  readonly input: Query;
  readonly columns: readonly NamedExpr[];
}

/** Adds columns, or replaces those of the same name in place. Every expression sees the input only. */
export interface DeriveStep {
  readonly kind: "derive";
  readonly input: Query;
  readonly columns: readonly NamedExpr[];
}

export interface NamedExpr {
  readonly name: string;
  readonly expr: ExprNode;
}

export interface RenameStep {
  readonly kind: "rename";
  readonly input: Query;
  /** New name by old name. */
  readonly names: Readonly<Record<string, string>>;
}

export interface DropStep {
  readonly kind: "drop";
  readonly input: Query;
  readonly columns: readonly string[];
}

/** Joins on equal keys; null keys match nothing. Right columns whose names exist on the left get `suffix`. Right keys are dropped. */
export interface JoinStep {
  readonly kind: "join";
  readonly how: "inner" | "left" | "semi" | "anti";
  readonly input: Query;
  readonly right: Query;
  readonly on: readonly JoinKey[];
  readonly suffix: string;
}

export interface JoinKey {
  readonly left: string;
  readonly right: string;
}

/** For each left row the newest right row with equal keys and `right time <= left time` (left join). */
export interface AsOfJoinStep {
  readonly kind: "asOfJoin";
  readonly input: Query;
  readonly right: Query;
  readonly on: readonly JoinKey[];
  readonly time: JoinKey;
  /** Canonical duration: the right row must be newer than left time minus this. */
  readonly tolerance?: string;
  readonly suffix: string;
}

/** All rows of all inputs, which have the same columns and types. */
export interface UnionStep {
  readonly kind: "union";
  readonly inputs: readonly Query[];
}

/** Groups by columns and aggregates. */
export interface AggregateStep {
  readonly kind: "aggregate";
  readonly input: Query;
  readonly by: readonly string[];
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

export interface NamedAggregate {
  readonly name: string;
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

export interface DistinctStep {
  readonly kind: "distinct";
  readonly input: Query;
  /** Columns that must differ; all of them when empty. Of equal rows the first in input order is kept. */
  readonly columns: readonly string[];
}

export interface SortStep {
  readonly kind: "sort";
  readonly input: Query;
  readonly by: readonly SortKey[];
}

export interface SortKey {
  readonly expr: ExprNode;
  readonly descending: boolean;
  /** Nulls come last unless told. */
  readonly nulls: "first" | "last";
}

export interface LimitStep {
  readonly kind: "limit";
  readonly input: Query;
  readonly count: number;
  readonly offset: number;
}

/** One row per element of a list column; rows with null or empty lists vanish unless `keepEmpty`. */
export interface UnnestStep {
  readonly kind: "unnest";
  readonly input: Query;
  readonly column: string;
  readonly keepEmpty: boolean;
}

/** A repeatable random sample. */
export interface SampleStep {
  readonly kind: "sample";
  readonly input: Query;
  readonly rows?: number;
  readonly fraction?: number;
  readonly seed: number;
}

/** The type of an expression, given its input; lives here so that steps and nodes share one name. */
export type TypeOf = (node: ExprNode, schema: Schema) => DataType;
