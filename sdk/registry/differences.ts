/** What differs between two definitions, in words. */
import type {
  AggregateView,
  AggregationDefinition,
  Descriptive,
  EntityDefinition,
  FeatureDefinition,
  RealtimeViewDefinition,
  ServiceDefinition,
  ServiceView,
  ViewDefinition,
  WindowFeature,
} from "../define/definitions.ts";
import { fieldsText, functionText, shortHash, sourceLines, useText } from "../define/realtime_text.ts";
import { tilesText } from "../define/view_text.ts";
import { exprText } from "../frame/expr_text.ts";
import { canonicalJson } from "../frame/hash.ts";
import { queryText } from "../frame/query_text.ts";
import { aggregateText } from "../frame/aggregate_text.ts";
import { differentWindows, windowText } from "../frame/windows.ts";
import { type Field, formatType, sameType } from "../schema.ts";
import { formatKeys, sameKeys } from "./check_actions.ts";
import type { Difference } from "./plan.ts";

/** Whether two definitions are the same. */
export function sameDefinition(a: unknown, b: unknown): boolean {
  return canonicalJson(a) === canonicalJson(b);
}

/** How an entity changes. */
export function entityDifferences(from: EntityDefinition, to: EntityDefinition): Difference[] {
  const differences = descriptiveDifferences(from, to);
  if (!sameKeys(from.joinKeys, to.joinKeys)) {
    differences.push(changed("joinKeys", formatKeys(from.joinKeys), formatKeys(to.joinKeys)));
  }
  return differences;
}

const viewFields = [
  "mode",
  "eventTimestamp",
  "writtenTimestamp",
  "schedule",
  "dataDelay",
  "start",
  "end",
  "ttl",
  "lookback",
  "online",
  "offline",
  "preventDestroy",
] as const satisfies readonly (keyof ViewDefinition)[];

/** How a view changes. */
export function viewDifferences(from: ViewDefinition, to: ViewDefinition): Difference[] {
  const differences: Difference[] = [];
  if (!sameKeys(from.entity.joinKeys, to.entity.joinKeys) || from.entity.name !== to.entity.name) {
    const text = (entity: EntityDefinition) => `${entity.name} (${formatKeys(entity.joinKeys)})`;
    differences.push(changed("entity", text(from.entity), text(to.entity)));
  } else {
    differences.push(
      ...descriptiveDifferences(from.entity, to.entity).map(({ field, text }) => ({
        field: `entity.${field}`,
        text: `entity ${text}`,
      })),
    );
  }
  if (!sameDefinition(from.query, to.query)) differences.push({ field: "query", text: queryDifference(from, to) });
  for (const field of viewFields) {
    if (from[field] !== to[field]) differences.push(changed(field, from[field], to[field]));
  }
  if (from.mode === "aggregates" && to.mode === "aggregates") differences.push(...aggregateDifferences(from, to));
  else if (to.mode === "aggregates") differences.push(...createdDifferences(to));
  differences.push(...featureDifferences(from.features, to.features), ...descriptiveDifferences(from, to));
  return differences;
}

/** What a new view computes, where that is not simply its columns. */
export function createdDifferences(view: ViewDefinition): Difference[] {
  if (view.mode !== "aggregates") return [];
  const windows = differentWindows(view.features).map(windowText);
  return [
    { field: "every", text: tilesText(view) },
    ...view.aggregations.map((each) => ({ field: `aggregations.${each.name}`, text: aggregationLine(each) })),
    { field: "features", text: `over ${windows.join(", ")}: ${view.features.length} features` },
  ];
}

function aggregationLine(aggregation: AggregationDefinition): string {
  return `${aggregation.name} = ${aggregateText(aggregation)}`;
}

function aggregateDifferences(from: AggregateView, to: AggregateView): Difference[] {
  const differences: Difference[] = [];
  for (const field of ["edge", "boundary", "maxRows"] as const) {
    if (from[field] !== to[field]) differences.push(changed(field, from[field], to[field]));
  }
  // With exact edges there are no tiles.
  if (from.every !== to.every && from.edge !== "exact" && to.edge !== "exact") {
    differences.push(changed("every", from.every, to.every));
  }
  if (!sameDefinition(from.secondaryKey ?? null, to.secondaryKey ?? null)) {
    const text = (key: Field | undefined) => key && formatKeys([key]);
    differences.push(changed("secondaryKey", text(from.secondaryKey), text(to.secondaryKey)));
  }
  const before = new Map(from.aggregations.map((each) => [each.name, each]));
  const after = new Set(to.aggregations.map(({ name }) => name));
  for (const aggregation of to.aggregations) {
    const field = `aggregations.${aggregation.name}`;
    const old = before.get(aggregation.name);
    if (!old) differences.push({ field, text: `adds ${aggregationLine(aggregation)}` });
    else if (!sameDefinition(old, aggregation)) {
      differences.push({ field, text: `${aggregationLine(old)} -> ${aggregateText(aggregation)}` });
    }
  }
  for (const { name } of from.aggregations) {
    if (!after.has(name)) differences.push({ field: `aggregations.${name}`, text: `removes aggregation ${name}` });
  }
  return differences;
}

/** How a service changes. */
export function serviceDifferences(from: ServiceDefinition, to: ServiceDefinition): Difference[] {
  return [...usesDifferences("views", from.views, to.views), ...descriptiveDifferences(from, to)];
}

/** What a new realtime view computes, and from what. */
export function createdRealtimeDifferences(view: RealtimeViewDefinition): Difference[] {
  return [
    ...(view.request.length === 0 ? [] : [{ field: "request", text: `request ${fieldsText(view.request)}` }]),
    ...view.from.map((use) => ({ field: "from", text: `reads ${useText(use)}` })),
    ...computedDifferences(view),
  ];
}

function computedDifferences({ compute, features }: RealtimeViewDefinition): Difference[] {
  if (compute.kind === "function") {
    return [
      { field: "features", text: `gives ${fieldsText(features)}` },
      { field: "compute", text: functionText(compute) },
    ];
  }
  const { expressions } = compute;
  return features.map(({ name }) => ({ field: `features.${name}`, text: `${name} = ${exprText(expressions[name]!)}` }));
}

/** Whether two realtime views are the same: functions are by what they mean, however their text is laid out. */
export function sameRealtimeView(a: RealtimeViewDefinition, b: RealtimeViewDefinition): boolean {
  return sameDefinition(meaningOf(a), meaningOf(b));
}

function meaningOf(view: RealtimeViewDefinition): unknown {
  return view.compute.kind === "function" ? { ...view, compute: { ...view.compute, source: "" } } : view;
}

/** How a realtime view changes. */
export function realtimeDifferences(from: RealtimeViewDefinition, to: RealtimeViewDefinition): Difference[] {
  const differences: Difference[] = [];
  if (!sameDefinition(from.request, to.request)) {
    const text = (view: RealtimeViewDefinition) => fieldsText(view.request) || undefined;
    differences.push(changed("request", text(from), text(to)));
  }
  differences.push(...usesDifferences("from", from.from, to.from));
  const read = new Map(from.inputs.map((field) => [field.name, field.type]));
  for (const { name, type } of to.inputs) {
    const before = read.get(name);
    if (before === undefined || sameType(before, type)) continue;
    differences.push({ field: `inputs.${name}`, text: `reads ${name}: ${formatType(before)} -> ${formatType(type)}` });
  }
  differences.push(
    ...computeDifferences(from, to),
    ...featureDifferences(from.features, to.features),
    ...descriptiveDifferences(from, to),
  );
  return differences.length > 0 ? differences : [{ field: "compute", text: "a detail of what it computes" }];
}

function computeDifferences(from: RealtimeViewDefinition, to: RealtimeViewDefinition): Difference[] {
  if (from.compute.kind === "function" && to.compute.kind === "function") {
    if (from.compute.hash === to.compute.hash) return [];
    const title = `function ${shortHash(from.compute)} -> ${shortHash(to.compute)}`;
    return [{ field: "compute", text: linesDifference(title, sourceLines(from.compute), sourceLines(to.compute)) }];
  }
  if (to.compute.kind === "function") {
    return [{ field: "compute", text: `expressions -> ${functionText(to.compute)}` }];
  }
  if (from.compute.kind === "function") {
    return [
      { field: "compute", text: `function ${shortHash(from.compute)} -> expressions` },
      ...computedDifferences(to),
    ];
  }
  const [before, after] = [from.compute.expressions, to.compute.expressions];
  return to.features.flatMap(({ name }) => {
    if (!Object.hasOwn(before, name)) return [];
    const [old, now] = [exprText(before[name]!), exprText(after[name]!)];
    return old === now ? [] : [{ field: `features.${name}`, text: `feature ${name}: ${old} -> ${now}` }];
  });
}

/** How what is read of other views changes. */
function usesDifferences(field: string, from: readonly ServiceView[], to: readonly ServiceView[]): Difference[] {
  const differences: Difference[] = [];
  const lines = (uses: readonly ServiceView[]) =>
    uses.flatMap((use) =>
      use.features.map((each) => {
        const keys = Object.entries(use.joinKeyMap).map(([key, column]) => `${key} from ${column}`);
        return `${each.as} (${use.view}.${each.feature}${use.alias === use.view ? "" : ` as ${use.alias}`}${
          keys.length > 0 ? `, ${keys.join(", ")}` : ""
        })`;
      })
    );
  const [before, after] = [lines(from), lines(to)];
  for (const line of after.filter((each) => !before.includes(each))) {
    differences.push({ field, text: `adds ${line}` });
  }
  for (const line of before.filter((each) => !after.includes(each))) {
    differences.push({ field, text: `removes ${line}` });
  }
  if (differences.length === 0 && !sameDefinition(from, to)) {
    differences.push({ field, text: "the order of its features" });
  }
  return differences;
}

/** What a feature of a view of aggregates is made of. */
function sourceText(
  { name, aggregation, window }: Pick<WindowFeature, "name"> & Partial<WindowFeature>,
): string | undefined {
  return window && `${aggregation ?? "keys"} over ${windowText({ name, window })}`;
}

function featureDifferences(
  from: readonly (FeatureDefinition | WindowFeature)[],
  to: readonly (FeatureDefinition | WindowFeature)[],
): Difference[] {
  const differences: Difference[] = [];
  const before = new Map(from.map((feature) => [feature.name, feature]));
  const after = new Set(to.map((feature) => feature.name));
  for (const feature of to) {
    const field = `features.${feature.name}`;
    const old = before.get(feature.name);
    if (!old) {
      differences.push({ field, text: `adds feature ${feature.name} (${formatType(feature.type)})` });
      continue;
    }
    const what = `feature ${feature.name}`;
    if (!sameType(old.type, feature.type)) {
      differences.push({ field, text: `${what}: ${formatType(old.type)} -> ${formatType(feature.type)}` });
    }
    if (sourceText(old) !== sourceText(feature)) {
      differences.push({ field, text: `${what}: ${shown(sourceText(old))} -> ${shown(sourceText(feature))}` });
    }
    if (!sameDefinition(old.default ?? null, feature.default ?? null)) {
      differences.push({ field, text: `${what}: default ${shown(old.default)} -> ${shown(feature.default)}` });
    }
    if (old.description !== feature.description) differences.push({ field, text: `${what}: description` });
  }
  for (const feature of from) {
    if (!after.has(feature.name)) {
      differences.push({ field: `features.${feature.name}`, text: `removes feature ${feature.name}` });
    }
  }
  if (differences.length === 0 && from.some((feature, i) => feature.name !== to[i]!.name)) {
    differences.push({ field: "features", text: "the order of its features" });
  }
  return differences;
}

function descriptiveDifferences(from: Descriptive, to: Descriptive): Difference[] {
  const differences: Difference[] = [];
  for (const field of ["description", "owner"] as const) {
    if (from[field] !== to[field]) differences.push(changed(field, from[field], to[field]));
  }
  if (!sameDefinition(from.tags ?? {}, to.tags ?? {})) differences.push(changed("tags", from.tags, to.tags));
  return differences;
}

function queryDifference(from: ViewDefinition, to: ViewDefinition): string {
  return linesDifference("query", queryText(from.query).split("\n"), queryText(to.query).split("\n"));
}

/** Only the lines that differ, as in a diff. */
function linesDifference(title: string, before: readonly string[], after: readonly string[]): string {
  const gone = before.filter((line) => !after.includes(line)).map((line) => `- ${line.trim()}`);
  const come = after.filter((line) => !before.includes(line)).map((line) => `+ ${line.trim()}`);
  return gone.length + come.length === 0
    ? `${title}: the order or a detail of its steps`
    : [`${title}:`, ...gone, ...come].join("\n");
}

function changed(field: string, from: unknown, to: unknown): Difference {
  return { field, text: `${field}: ${shown(from)} -> ${shown(to)}` };
}

function shown(value: unknown): string {
  if (value === undefined || value === null) return "none";
  return typeof value === "string" ? value : JSON.stringify(value);
}
