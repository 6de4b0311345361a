/** The aggregators of a view, as its table, its training sets and its servers use them. */
import type { AggregateView } from "../define/definitions.ts";
import type { DataType, Schema } from "../schema.ts";
import type { Aggregator } from "./aggregator.ts";
import { aggregatorOf } from "./aggregator_of.ts";
import { type WindowInputs, windowInputs, windowTableSchema } from "./inputs.ts";

/** What computes the view's aggregations, in their order; throws INVALID_DEFINITION when this process cannot. */
export function viewAggregators(view: AggregateView, inputs: WindowInputs = windowInputs(view)): Aggregator[] {
  const typeOf = (name: string): DataType => inputs.columns.find((column) => column.name === name)!.type;
  return view.aggregations.map((aggregation, i) => {
    const { input, by } = inputs.aggregations[i]!;
    return aggregatorOf(aggregation, {
      ...(input !== undefined && { input: typeOf(input) }),
      ...(by !== undefined && { by: typeOf(by) }),
      ...(view.secondaryKey && { secondaryKey: view.secondaryKey.type }),
    });
  });
}

/** The columns of the view's offline table. */
export function viewTableSchema(view: AggregateView): Schema {
  const aggregators = viewAggregators(view);
  const slots = new Map(view.aggregations.map(({ name }, i) => [name, aggregators[i]!.slots]));
  return windowTableSchema(view, ({ name }) => slots.get(name)!);
}
