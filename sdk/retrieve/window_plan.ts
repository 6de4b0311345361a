/** What a read of a view of aggregates computes: which aggregations over which windows, and from when on rows matter. */
import type { AggregateView } from "../define/definitions.ts";
import { VarveError } from "../errors.ts";
import type { Field } from "../schema.ts";
import { alignUp, durationToMicros, type Micros, type TimeRange, toMicros } from "../time.ts";
import type { Aggregator } from "../window/aggregator.ts";
import { alignDown, type WindowEdges, windowEdges } from "../window/edges.ts";
import { type WindowInputs, windowInputs } from "../window/inputs.ts";
import type { Leaves } from "../window/leaves.ts";
import type { SweepPlan } from "../window/sweep.ts";
import { viewAggregators } from "../window/view_aggregators.ts";
import { endings, type SweptFeature } from "../window/swept_answers.ts";
import type { AsOf } from "./point_in_time.ts";

/** What is computed of a view. */
export interface WindowPlan {
  readonly view: AggregateView;
  readonly inputs: WindowInputs;
  readonly edges: WindowEdges;
  /** Event times below this are known at t. */
  readonly visibleAt: (t: number) => number;
  /** By when all rows below an instant of {@link visibleAt} can be served (S4). */
  readonly effectiveOf: (visible: number) => number;
  /** The features that are read, and the value that each has over no rows. */
  readonly features: readonly (Field & { readonly empty: unknown })[];
  /** The aggregations that they need: places in the view. */
  readonly aggregations: readonly number[];
  /** By aggregation of the above. */
  readonly aggregators: readonly Aggregator[];
  /** What the sweep does, given what each of the aggregations is made of. */
  sweep(leaves: readonly Leaves[]): SweepPlan;
}

/** Plans the read of some features. */
export function windowPlan(view: AggregateView, names: readonly string[], asOf: AsOf): WindowPlan {
  const inputs = windowInputs(view);
  const edges = windowEdges(view);
  const all = viewAggregators(view, inputs);
  const features = [...new Set(names)].map((name) => {
    const index = view.features.findIndex((feature) => feature.name === name);
    const feature = view.features[index]!;
    // Secondary keys are the same in all aggregations.
    const aggregation = feature.aggregation === undefined
      ? 0
      : view.aggregations.findIndex((each) => each.name === feature.aggregation);
    return { feature, aggregation, spans: edges.featureSpans[index]!, isKeys: feature.aggregation === undefined };
  });
  const aggregations = [...new Set(features.map(({ aggregation }) => aggregation))];
  const schedule = durationToMicros(view.schedule, "schedule");
  const dataDelay = durationToMicros(view.dataDelay, "dataDelay", { allowZero: true });
  const end = view.end === undefined ? Infinity : Number(alignUp(toMicros(view.end), schedule));
  const known = asOf === "event" ? edges.happenedAt : edges.visibleAt;
  const visibleAt = end === Infinity ? known : (t: number) => Math.min(known(t), end);
  return {
    view,
    inputs,
    edges,
    visibleAt,
    effectiveOf: (visible) => Number(dataDelay) - alignDown(-visible, Number(schedule)),
    features: features.map(({ feature: { name, type, window }, aggregation, spans, isKeys }) => {
      const { empty } = endings(all[aggregation]!, isKeys);
      return { name, type, empty: window.kind === "series" ? spans.map(() => empty) : empty };
    }),
    aggregations,
    aggregators: aggregations.map((aggregation) => all[aggregation]!),
    sweep: (leaves) => ({
      edges,
      visibleAt,
      aggregations: aggregations.map((aggregation, i) => ({
        aggregator: all[aggregation]!,
        leaves: leaves[i]!,
        features: features.flatMap((feature, place): SweptFeature[] =>
          feature.aggregation === aggregation
            ? [{
              place,
              spans: feature.spans,
              isSeries: feature.feature.window.kind === "series",
              isKeys: feature.isKeys,
            }]
            : []
        ),
      })),
    }),
  };
}

/** Doubles hold micros exactly up to here, in the years 1684 and 2255. */
const mostMicros = 2 ** 53;

/** The event times of rows that can lie in a window, seen from instants between `first` and `last`; undefined when none can. */
export function windowReach(
  { view, edges, visibleAt }: WindowPlan,
  first: Micros,
  last: Micros,
): TimeRange | undefined {
  if (first < -mostMicros || last > mostMicros) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot read windows of view "${view.name}" at every instant that is asked for: they must lie between the years 1685 and 2255`,
    );
  }
  const spans = new Float64Array(2 * edges.spanCount);
  // Both ends of every span only move forward with time.
  edges.spansAt(Number(first), visibleAt(Number(first)), spans);
  const lo = Math.max(Number(toMicros(view.start)), Math.min(...spans.filter((_, i) => i % 2 === 0)));
  edges.spansAt(Number(last), visibleAt(Number(last)), spans);
  const hi = Math.max(...spans.filter((_, i) => i % 2 === 1));
  return lo < hi ? { start: BigInt(lo), end: BigInt(hi) } : undefined;
}
