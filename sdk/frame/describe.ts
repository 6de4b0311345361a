/** A summary of every column of a query, in one pass. */
import { formatType, isListType, isNumericType, isStructType } from "../schema.ts";
import type { Field } from "../schema.ts";
import type { AggregateFunction, NamedAggregate, Query } from "./query.ts";
import { schemaOf } from "./query_schema.ts";
import { frameRuntime } from "./runtime.ts";
import type { ReadOptions } from "./runtime.ts";
import { checked } from "./steps.ts";

/** What a column holds. Numbers only for numeric columns, extremes only for types with an order. */
export interface DescribedColumn {
  /** The column. */
  readonly name: string;
  /** Its type, as text. */
  readonly type: string;
  /** Values that are not null. */
  readonly count: number;
  /** Nulls. */
  readonly nulls: number;
  /** Different values; null for lists and structs. */
  readonly distinct: number | null;
  /** The least value. */
  readonly min: unknown;
  /** The greatest value. */
  readonly max: unknown;
  /** The mean of a numeric column. */
  readonly mean: number | null;
  /** The standard deviation of a numeric column, as of a sample. */
  readonly stddev: number | null;
  /** A quarter of the values lie below. */
  readonly quantile25: number | null;
  /** Half of the values lie below. */
  readonly median: number | null;
  /** Three quarters of the values lie below. */
  readonly quantile75: number | null;
}

/** Describes every column of a query. */
export async function describeQuery(query: Query, options?: ReadOptions): Promise<DescribedColumn[]> {
  const schema = schemaOf(query);
  const aggregates = [
    { name: "rows", function: "count" } as NamedAggregate,
    ...schema.flatMap((field, i) => aggregatesOf(field, i)),
  ];
  const [row] = await frameRuntime().rows(checked({ kind: "aggregate", input: query, by: [], aggregates }), options);
  const value = (i: number, what: string): unknown => row![`c${i}_${what}`] ?? null;
  const total = Number(row!["rows"]);
  return schema.map((field, i) => {
    const present = Number(value(i, "count"));
    const distinct = value(i, "countDistinct");
    return {
      name: field.name,
      type: formatType(field.type),
      count: present,
      nulls: total - present,
      distinct: distinct === null ? null : Number(distinct),
      min: value(i, "min"),
      max: value(i, "max"),
      mean: value(i, "mean") as number | null,
      stddev: value(i, "stddevSamp") as number | null,
      quantile25: value(i, "q25") as number | null,
      median: value(i, "median") as number | null,
      quantile75: value(i, "q75") as number | null,
    };
  });
}

function aggregatesOf(field: Field, index: number): NamedAggregate[] {
  const input = { kind: "column", name: field.name } as const;
  const make = (
    name: AggregateFunction,
    suffix: string = name,
    more: Partial<NamedAggregate> = {},
  ): NamedAggregate => ({ name: `c${index}_${suffix}`, function: name, input, ...more });
  const ordered = !isListType(field.type) && !isStructType(field.type);
  return [
    make("count"),
    ...(ordered ? [make("countDistinct"), make("min"), make("max")] : []),
    ...(isNumericType(field.type)
      ? [
        make("mean"),
        make("stddevSamp"),
        make("median"),
        make("quantile", "q25", { quantile: 0.25 }),
        make("quantile", "q75", { quantile: 0.75 }),
      ]
      : []),
  ];
}
