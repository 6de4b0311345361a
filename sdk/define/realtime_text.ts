/** A realtime view in a few lines of text, for consoles, plans and commands. */
import { exprText } from "../frame/expr_text.ts";
import { readableSource } from "../sandbox/readable.ts";
import { type Field, formatType } from "../schema.ts";
import type { RealtimeFunction, RealtimeViewDefinition, ServiceView } from "./definitions.ts";

/** Its name and what it reads, then a line for each feature, then the function if one gives them. */
export function realtimeText(view: RealtimeViewDefinition): string {
  const { name, request, from, features, compute } = view;
  const parts = [
    ...(request.length > 0 ? [`request ${fieldsText(request)}`] : []),
    ...(from.length > 0 ? [`reads ${from.map(useText).join("; ")}`] : []),
  ];
  const lines = features.map((feature) =>
    `  ${feature.name} ${formatType(feature.type)}${
      compute.kind === "function" ? "" : ` = ${computedText(view, feature.name)}`
    }${feature.default === undefined ? "" : `, default ${JSON.stringify(feature.default)}`}`
  );
  return [
    [`realtime view ${name}`, ...parts].join(", "),
    ...lines,
    ...(compute.kind === "function" ? [`  ${functionText(compute).replaceAll("\n", "\n  ")}`] : []),
  ].join("\n");
}

/** What a feature is computed by, in a few words. */
export function computedText({ compute }: RealtimeViewDefinition, feature: string): string {
  return compute.kind === "function" ? `function ${shortHash(compute)}` : exprText(compute.expressions[feature]!);
}

/** A function by the beginning of its hash, then its text. */
export function functionText(compute: RealtimeFunction): string {
  return [`function ${shortHash(compute)}:`, ...sourceLines(compute).map((line) => `  ${line}`)].join("\n");
}

/** Enough of a hash to tell functions apart. */
export function shortHash({ hash }: RealtimeFunction): string {
  return hash.slice(0, 12);
}

/** The lines of a function, without the indentation that it had where it was written; compilers indent with tabs. */
export function sourceLines({ source }: RealtimeFunction): string[] {
  const lines = readableSource(source).split("\n").map((line) =>
    line.replace(/^\t+/, (tabs) => "  ".repeat(tabs.length))
  );
  const [first = "", ...rest] = lines;
  const depths = rest.filter((line) => line.trim() !== "").map((line) => /^\s*/.exec(line)![0].length);
  const depth = Math.min(...depths);
  return [first, ...rest.map((line) => line.slice(Math.min(depth, /^\s*/.exec(line)![0].length)))];
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
