/** Finds what computes an aggregation. */
import {
  isUserFunction,
  type WindowFunctionName,
  windowFunctionType,
  windowParameters,
} from "../frame/window_functions.ts";
import type { AggregationDefinition } from "../frame/window_spec.ts";
import type { DataType } from "../schema.ts";
import type { Aggregator } from "./aggregator.ts";
import { booleanAggregator, countAggregator } from "./aggregators/count.ts";
import { distinctAggregator, endAggregator, endsAggregator } from "./aggregators/ends.ts";
import { extremeAggregator, extremeByAggregator } from "./aggregators/extreme.ts";
import { floatMeanAggregator, floatSumAggregator } from "./aggregators/float_sum.ts";
import { groupedAggregator } from "./aggregators/grouped.ts";
import { histogramAggregator } from "./aggregators/histogram.ts";
import { approxCountDistinctAggregator } from "./aggregators/hyperloglog.ts";
import { integerMeanAggregator, integerSumAggregator } from "./aggregators/integer_sum.ts";
import { momentsAggregator } from "./aggregators/moments.ts";
import { approxPercentileAggregator } from "./aggregators/percentile.ts";
import { bestAggregator } from "./aggregators/sorted_list.ts";
import { userAggregator } from "./aggregators/user_defined.ts";
import { valueCountsAggregator } from "./aggregators/value_counts.ts";
import { varianceAggregator } from "./aggregators/variance.ts";

/** The types that an aggregation reads. */
export interface AggregationTypes {
  /** Of its input; absent when it has none. */
  readonly input?: DataType;
  /** Of what orders the rows; absent when nothing does. */
  readonly by?: DataType;
  /** Of the view's secondary key; absent when it has none. The result is then a list. */
  readonly secondaryKey?: DataType;
}

/** What computes an aggregation over rows of known types; throws INVALID_DEFINITION when they do not fit. */
export function aggregatorOf(aggregation: AggregationDefinition, types: AggregationTypes): Aggregator {
  const result = windowFunctionType(aggregation, types.input, types.by);
  const { name, function: stored } = aggregation;
  const parameters = windowParameters(aggregation);
  const { secondaryKey, ...inputs } = types;
  const aggregator = isUserFunction(stored)
    ? userAggregator(name, stored, result, { ...inputs, parameters })
    : builtin(name, stored as WindowFunctionName, types, result, parameters);
  return secondaryKey === undefined ? aggregator : groupedAggregator(name, aggregator, secondaryKey);
}

/** Types and parameters have been checked. */
function builtin(
  name: string,
  kind: WindowFunctionName,
  { input, by }: AggregationTypes,
  result: DataType,
  parameters: Readonly<Record<string, unknown>>,
): Aggregator {
  const type = input!;
  const isWhole = type === "int32" || type === "int64" || type === "duration";
  const constant = (parameter: string): number => parameters[parameter] as number;
  switch (kind) {
    case "count":
      return countAggregator();
    case "sum":
      return isWhole ? integerSumAggregator(name, type) : floatSumAggregator();
    case "mean":
      return isWhole ? integerMeanAggregator(name) : floatMeanAggregator();
    case "min":
    case "max":
      return extremeAggregator(kind, type);
    case "varPop":
    case "varSamp":
    case "stddevPop":
    case "stddevSamp":
      return varianceAggregator(kind);
    case "skew":
    case "kurtosis":
      return momentsAggregator(kind);
    case "first":
    case "last":
      return endAggregator(kind, type);
    case "firstN":
    case "lastN":
      return endsAggregator(kind, type, constant("n"));
    case "firstDistinct":
    case "lastDistinct":
      return distinctAggregator(kind, type, constant("n"));
    case "minN":
    case "maxN":
      return bestAggregator(kind, type, constant("n"));
    case "countDistinct":
      return valueCountsAggregator(name, kind, type, result, 0);
    case "topK":
    case "valueCounts":
      return valueCountsAggregator(name, kind, type, result, constant("k"));
    case "approxCountDistinct":
      return approxCountDistinctAggregator(type, constant("precision"));
    case "approxPercentile":
      return approxPercentileAggregator(constant("quantile"), constant("accuracy"));
    case "histogram":
      return histogramAggregator(parameters["bounds"] as readonly number[]);
    case "minBy":
    case "maxBy":
      return extremeByAggregator(kind, type, by!);
    case "any":
    case "all":
      return booleanAggregator(kind);
  }
}
