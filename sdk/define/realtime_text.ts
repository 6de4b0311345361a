/** A realtime view in a few lines of text, for consoles, plans and commands. */
import { exprText } from "../frame/expr_text.ts";
import { type Field, formatType } from "../schema.ts";
import type { RealtimeViewDefinition, ServiceView } from "./definitions.ts";

/** Its name and what it reads, then a line for each feature. */
export function realtimeText(view: RealtimeViewDefinition): string {
  const { name, request, from, features } = view;
  const parts = [
    ...(request.length > 0 ? [`request ${fieldsText(request)}`] : []),
    ...(from.length > 0 ? [`reads ${from.map(useText).join("; ")}`] : []),
  ];
  const lines = features.map((feature) =>
    `  ${feature.name} ${formatType(feature.type)} = ${computedText(view, feature.name)}${
      feature.default === undefined ? "" : `, default ${JSON.stringify(feature.default)}`
    }`
  );
  return [[`realtime view ${name}`, ...parts].join(", "), ...lines].join("\n");
}

/** What a feature is computed by. */
export function computedText({ compute }: RealtimeViewDefinition, feature: string): string {
  return exprText(compute.expressions[feature]!);
}

/** Fields as text: `amount float64, channel string`. */
export function fieldsText(fields: readonly Field[]): string {
  return fields.map(({ name, type }) => `${name} ${formatType(type)}`).join(", ");
}

/** A use as text: `spend.amount_mean as usual, user from buyer`. */
export function useText({ view, features, joinKeyMap }: ServiceView): string {
  return [
    ...features.map(({ feature, as }) => `${view}.${feature}${as === feature ? "" : ` as ${as}`}`),
    ...Object.entries(joinKeyMap).map(([key, column]) => `${key} from ${column}`),
  ].join(", ");
}
