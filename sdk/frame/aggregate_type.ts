/** What an aggregate gives, from what it reads. */
import { VarveError } from "../errors.ts";
import { formatType, isListType, isNumericType, isStructType } from "../schema.ts";
import type { DataType, Schema } from "../schema.ts";
import { typeOfExpr } from "./expr_type.ts";
import type { NamedAggregate } from "./query.ts";

/** The type of an aggregate's result; throws INVALID_DEFINITION when its inputs do not fit. */
export function aggregateType(item: NamedAggregate, schema: Schema): DataType {
  const fail = (why: string): VarveError =>
    new VarveError("INVALID_DEFINITION", `Cannot aggregate "${item.name}" by ${item.function}: ${why}`);
  if (item.where) {
    const where = typeOfExpr(item.where, schema);
    if (where !== "boolean") throw fail(`the condition is ${formatType(where)}; it must be boolean`);
  }
  if (item.function === "count" && !item.input) return "int64";
  if (!item.input) throw fail("it needs an input column");
  const type = typeOfExpr(item.input, schema);
  const numeric = (): void => {
    if (!isNumericType(type)) {
      throw fail(
        `the input is ${formatType(type)}; it must be a number${type === "boolean" ? ", cast it to int32" : ""}`,
      );
    }
  };
  const order = (): void => {
    if (!item.by) throw fail("it needs a column that orders the rows; give by");
    requireOrdered(typeOfExpr(item.by, schema), fail);
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
      if (item.by) order();
      return Object.freeze({ list: type });
    case "any":
    case "all":
      if (type !== "boolean") throw fail(`the input is ${formatType(type)}; it must be boolean`);
      return type;
  }
}

function requireOrdered(type: DataType, fail: (why: string) => VarveError): void {
  if (isListType(type) || isStructType(type)) throw fail(`values of type ${formatType(type)} have no order`);
}
