/** Finds what computes an aggregation. */
import type { AggregationDefinition } from "../frame/window_spec.ts";
import { VarveError } from "../errors.ts";
import { type WindowFunctionName, windowFunctionType } from "../frame/window_functions.ts";
import type { DataType } from "../schema.ts";
import type { Aggregator } from "./aggregator.ts";
import { booleanAggregator, countAggregator } from "./aggregators/count.ts";
import { extremeAggregator, extremeByAggregator } from "./aggregators/extreme.ts";
import { floatMeanAggregator, floatSumAggregator } from "./aggregators/float_sum.ts";
import { integerMeanAggregator, integerSumAggregator } from "./aggregators/integer_sum.ts";
import { varianceAggregator } from "./aggregators/variance.ts";

/** The types that an aggregation reads. */
export interface AggregationTypes {
  /** Of its input; absent when it has none. */
  readonly input?: DataType;
  /** Of what orders the rows; absent when nothing does. */
  readonly by?: DataType;
}

/** What computes an aggregation over rows of known types; throws INVALID_DEFINITION when they do not fit. */
export function aggregatorOf(aggregation: AggregationDefinition, { input, by }: AggregationTypes): Aggregator {
  windowFunctionType(aggregation, input, by);
  const { name } = aggregation;
  const type = input!;
  const isWhole = type === "int32" || type === "int64" || type === "duration";
  switch (aggregation.function as WindowFunctionName) {
    case "count":
      return countAggregator();
    case "sum":
      return isWhole ? integerSumAggregator(name, type) : floatSumAggregator();
    case "mean":
      return isWhole ? integerMeanAggregator() : floatMeanAggregator();
    case "min":
    case "max":
      return extremeAggregator(aggregation.function as "min" | "max", type);
    case "varPop":
    case "varSamp":
    case "stddevPop":
    case "stddevSamp":
      return varianceAggregator(aggregation.function as "varPop");
    case "minBy":
    case "maxBy":
      return extremeByAggregator(aggregation.function as "minBy" | "maxBy", type, by!);
    case "any":
    case "all":
      return booleanAggregator(aggregation.function as "any" | "all");
    default:
      throw new VarveError(
        "UNSUPPORTED",
        `Cannot compute "${name}": there is no aggregator of ${aggregation.function}`,
      );
  }
}
