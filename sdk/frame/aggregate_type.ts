/** What an aggregate gives, from what it reads. */
import { VarveError } from "../errors.ts";
import { formatType, isListType, isNumericType, isStructType } from "../schema.ts";
import type { DataType, Schema } from "../schema.ts";
import { writtenFunction } from "./aggregate_text.ts";
import { typeOfExpr } from "./expr_type.ts";
import type { AggregateFunction, NamedAggregate } from "./query.ts";

/** The functions of a group-by. */
export const aggregateFunctions: readonly AggregateFunction[] = [
  "count",
  "sum",
  "min",
  "max",
  "mean",
  "median",
  "quantile",
  "varPop",
  "varSamp",
  "stddevPop",
  "stddevSamp",
  "first",
  "last",
  "countDistinct",
  "minBy",
  "maxBy",
  "list",
  "any",
  "all",
];

/** The type of an aggregate's result; throws INVALID_DEFINITION when its inputs do not fit. */
export function aggregateType(item: NamedAggregate, schema: Schema): DataType {
  const fail = failureOf(item);
  if (item.where) {
    const where = typeOfExpr(item.where, schema);
    if (where !== "boolean") throw fail(`the condition is ${formatType(where)}; it must be boolean`);
  }
  return functionType(
    item,
    item.input && typeOfExpr(item.input, schema),
    item.by && typeOfExpr(item.by, schema),
  );
}

/** The type of a function's result, by the types of its input and of what orders the rows. */
export function functionType(
  item: Pick<NamedAggregate, "name" | "function" | "quantile">,
  type: DataType | undefined,
  by: DataType | undefined,
): DataType {
  const fail = failureOf(item);
  if (type === undefined) {
    if (item.function === "count") return "int64";
    throw fail("it needs an input column");
  }
  const numeric = (): void => requireNumeric(type, fail);
  const order = (): void => {
    if (by === undefined) throw fail("it needs a column that orders the rows; give by");
    requireOrdered(by, fail);
  };
  switch (item.function) {
    case "count":
    case "countDistinct":
      return "int64";
    case "sum":
      if (type === "duration") return type;
      numeric();
      return type === "int32" || type === "int64" ? "int64" : "float64";
    case "quantile":
      if (item.quantile === undefined || !(item.quantile >= 0 && item.quantile <= 1)) {
        throw fail("the quantile must be from 0 to 1");
      }
      numeric();
      return "float64";
    case "mean":
    case "median":
    case "varPop":
    case "varSamp":
    case "stddevPop":
    case "stddevSamp":
      numeric();
      return "float64";
    case "min":
    case "max":
      requireOrdered(type, fail);
      return type;
    case "first":
    case "last":
    case "minBy":
    case "maxBy":
      order();
      return type;
    case "list":
      if (by !== undefined) order();
      return Object.freeze({ list: type });
    case "any":
    case "all":
      if (type !== "boolean") throw fail(`the input is ${formatType(type)}; it must be boolean`);
      return type;
  }
}

/** Makes the errors of an aggregate: they name it and its function. */
export function failureOf(item: { readonly name: string; readonly function: string }): (why: string) => VarveError {
  const written = writtenFunction(item.function);
  // There are both last(x) and last(x, n).
  const called = written === item.function ? written : `${written}(x, n)`;
  return (why) => new VarveError("INVALID_DEFINITION", `Cannot aggregate "${item.name}" by ${called}: ${why}`);
}

export function requireNumeric(type: DataType, fail: (why: string) => VarveError): void {
  if (isNumericType(type)) return;
  throw fail(`the input is ${formatType(type)}; it must be a number${type === "boolean" ? ", cast it to int32" : ""}`);
}

export function requireOrdered(type: DataType, fail: (why: string) => VarveError): void {
  if (isListType(type) || isStructType(type)) throw fail(`values of type ${formatType(type)} have no order`);
}
