/** Group-by steps as SQL. */
import { aggregateType } from "../frame/aggregate_type.ts";
import { typeOfExpr } from "../frame/expr_type.ts";
import type { AggregateStep, NamedAggregate } from "../frame/query.ts";
import type { Schema } from "../schema.ts";
import { alignDown } from "../time.ts";
import type { TimeRange } from "../time.ts";
import { duckTypeOf } from "./duck_type.ts";
import { quoteName } from "./engine.ts";
import { exprSql } from "./expr_sql.ts";

interface Input {
  readonly sql: string;
  readonly schema: Schema;
}

/** One group-by; with `slices`, slice by slice. */
export function aggregateSql(
  step: AggregateStep,
  input: Input,
  slices?: { readonly range: TimeRange; readonly interval: bigint },
): string {
  const by = step.by.map(quoteName);
  const values = step.aggregates.map((item) => {
    const present = slices && by.length === 0 ? "i.__slice IS NOT NULL" : undefined;
    return `${oneAggregate(item, input.schema, present)} AS ${quoteName(item.name)}`;
  });
  const from = `(\n  ${input.sql.replaceAll("\n", "\n  ")}\n)`;
  if (!slices) {
    return `SELECT ${[...by, ...values].join(", ")}\nFROM ${from}${by.length > 0 ? `\nGROUP BY ${by.join(", ")}` : ""}`;
  }
  if (by.length > 0) {
    return `SELECT ${["__slice", ...by, ...values].join(", ")}\nFROM ${from}\nGROUP BY ${
      ["__slice", ...by].join(", ")
    }`;
  }
  // Without groups there is one row per slice, also for slices without rows.
  const { range, interval } = slices;
  const series = `(SELECT make_timestamptz(s) AS __slice FROM range(${
    alignDown(range.start, interval)
  }, ${range.end}, ${interval}) AS t(s)) AS s`;
  return `SELECT ${
    ["s.__slice", ...values].join(", ")
  }\nFROM ${series}\nLEFT JOIN ${from} AS i ON s.__slice = i.__slice\nGROUP BY s.__slice`;
}

function oneAggregate(item: NamedAggregate, schema: Schema, present: string | undefined): string {
  const type = duckTypeOf(aggregateType(item, schema));
  const input = item.input ? exprSql(item.input, schema) : undefined;
  const by = item.by ? exprSql(item.by, schema) : undefined;
  const filter = (...more: (string | undefined)[]): string => {
    const all = [item.where && `(${exprSql(item.where, schema)})`, present, ...more].filter((text) =>
      text !== undefined
    );
    return all.length > 0 ? ` FILTER (WHERE ${all.join(" AND ")})` : "";
  };
  const plain = (name: string): string => `${name}(${input})${filter()}`;
  // Of values that are not all finite they are NaN, as over windows; DuckDB's own functions fail.
  const spread = (name: string, least: number): string =>
    isFloat(item, schema)
      ? `CASE WHEN count(${input})${filter()} >= ${least} AND bool_or(NOT isfinite(${input}))${filter()} ` +
        `THEN 'NaN'::DOUBLE ELSE ${name}(${input})${filter(`isfinite(${input})`)} END`
      : plain(name);
  const cast = (sql: string): string => `CAST(${sql} AS ${type})`;
  switch (item.function) {
    case "count":
      return `count(${input ?? "*"})${filter()}`;
    case "countDistinct":
      return `count(DISTINCT ${input})${filter()}`;
    case "sum":
      // A sum of integers that leaves 64 bits is an error, never a wrong number.
      return cast(plain("sum"));
    case "mean":
      return cast(plain("avg"));
    case "min":
    case "max":
      return plain(item.function);
    case "median":
      return cast(`quantile_cont(${input}, 0.5)${filter()}`);
    case "quantile":
      return cast(`quantile_cont(${input}, ${item.quantile})${filter()}`);
    case "varPop":
      return spread("var_pop", 1);
    case "varSamp":
      return spread("var_samp", 2);
    case "stddevPop":
      return spread("stddev_pop", 1);
    case "stddevSamp":
      return spread("stddev_samp", 2);
    case "first":
    case "minBy":
      // Ordered by the value too, so that ties give the same answer in every run.
      return `first(${input} ORDER BY ${by}, ${input})${filter(`${input} IS NOT NULL`, `${by} IS NOT NULL`)}`;
    case "last":
    case "maxBy":
      return `last(${input} ORDER BY ${by}, ${input})${filter(`${input} IS NOT NULL`, `${by} IS NOT NULL`)}`;
    case "list":
      return `coalesce(list(${input} ORDER BY ${by ? `${by} NULLS LAST, ` : ""}${input})${
        filter(`${input} IS NOT NULL`)
      }, [])`;
    case "any":
      return plain("bool_or");
    case "all":
      return plain("bool_and");
  }
}

function isFloat({ input }: NamedAggregate, schema: Schema): boolean {
  const type = input && typeOfExpr(input, schema);
  return type === "float32" || type === "float64";
}
