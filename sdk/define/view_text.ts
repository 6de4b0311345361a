/** A view in a few lines of text, for consoles, plans and commands. */
import { aggregateText } from "../frame/aggregate_text.ts";
import { windowText } from "../frame/windows.ts";
import { formatType } from "../schema.ts";
import type { AggregateView, FeatureDefinition, ViewDefinition, WindowFeature } from "./definitions.ts";

/** Its name, keys and schedule, then what it computes, then a line for each feature. */
export function viewText(view: ViewDefinition): string {
  const { entity, schedule, ttl, dataDelay, online } = view;
  const keys = entity.joinKeys.map(({ name, type }) => `${name} ${formatType(type)}`).join(", ");
  const settings = [
    `every ${schedule}`,
    ...(dataDelay === "0s" ? [] : [`data ${dataDelay} later`]),
    ...(view.mode === "aggregates" ? [tilesText(view)] : [`ttl ${ttl}`]),
    online ? "online" : "not online",
  ];
  const aggregations = view.mode === "aggregates"
    ? view.aggregations.map((each) => `  ${each.name} = ${aggregateText(each)}`)
    : [];
  const features = view.mode === "aggregates" ? view.features.map(windowFeatureText) : view.features.map(featureText);
  return [`view ${view.name} of ${entity.name} (${keys}), ${settings.join(", ")}`, ...aggregations, ...features].join(
    "\n",
  );
}

/** `tiles of 5m, edge fresh`; with exact edges `edge exact of at most 1000 rows`. */
export function tilesText({ edge, every, boundary, maxRows, secondaryKey }: AggregateView): string {
  return [
    edge === "exact" ? `edge exact of at most ${maxRows} rows` : `tiles of ${every}, edge ${edge}`,
    ...(boundary === "exclusive" ? ["boundary exclusive"] : []),
    ...(secondaryKey === undefined ? [] : [`by ${secondaryKey.name}`]),
  ].join(", ");
}

function featureText({ name, type, default: value }: FeatureDefinition): string {
  return `  ${name} ${formatType(type)}${value === undefined ? "" : `, default ${JSON.stringify(value)}`}`;
}

function windowFeatureText(feature: WindowFeature): string {
  const of = feature.aggregation ?? "keys";
  return `${featureText(feature)}: ${of} over ${windowText(feature)}`;
}
