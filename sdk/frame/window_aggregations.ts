/** From aggregates as people write them to aggregations over windows, and what these give. */
import { type Issue, messageOf, VarveError } from "../errors.ts";
import { type DataType, formatType, type Schema } from "../schema.ts";
import { writtenFunction } from "./aggregate_text.ts";
import { failureOf } from "./aggregate_type.ts";
import { Aggregate, type AggregateSpec } from "./aggregates.ts";
import { typeOfExpr } from "./expr_type.ts";
import { canonicalJson } from "./hash.ts";
import { isUserFunction, windowFunctions, windowFunctionType, windowParameters } from "./window_functions.ts";
import type { AggregationDefinition, WindowDefinition } from "./window_spec.ts";

/** Aggregates by name, or a list of those that are called after their column and function. */
export type AggregatesInput = Readonly<Record<string, Aggregate>> | readonly Aggregate[];

/** An aggregation under the name that its writer gave it. */
export interface WrittenAggregation {
  /** `delayMean` in `delayMean_24h`. */
  readonly called: string;
  /** What is computed. */
  readonly aggregation: AggregationDefinition;
}

/** Reads aggregates, in the order in which they were written; what is wrong with them becomes issues. */
export function readAggregations(
  aggregates: AggregatesInput,
  schema: Schema,
  issues: Issue[],
): WrittenAggregation[] {
  const entries: [name: string | undefined, aggregate: unknown][] = Array.isArray(aggregates)
    ? aggregates.map((each: unknown) => [each instanceof Aggregate ? calledAfter(each.spec) : "", each])
    : typeof aggregates === "object" && aggregates !== null
    ? Object.entries(aggregates)
    : [];
  if (entries.length === 0) issues.push({ path: "", message: 'there are no aggregates; give one, as in [mean("x")]' });
  const names = entries.map(([called]) => called);
  for (const name of new Set(names.filter((each, i) => each && names.indexOf(each) !== i))) {
    issues.push({ path: name!, message: "two are called so; name them: { name: …, otherName: … }" });
  }
  return entries.flatMap(([called, aggregate], i) => {
    const path = called ? called : `[${i}]`;
    if (!(aggregate instanceof Aggregate)) {
      issues.push({ path, message: 'it is no aggregate; give one, such as count() or mean("x")' });
      return [];
    }
    if (called === undefined) {
      const written = writtenFunction(aggregate.spec.function);
      issues.push({
        path,
        message: `${written} of an expression has no name of its own; name it: { name: ${written}(…) }`,
      });
      return [];
    }
    try {
      return [{ called, aggregation: readAggregation(called, aggregate.spec, schema) }];
    } catch (error) {
      issues.push({ path, message: withoutSubject(error) });
      return [];
    }
  });
}

function readAggregation(name: string, spec: AggregateSpec, schema: Schema): AggregationDefinition {
  const { function: called, input, by, where, parameters } = spec;
  const fail = failureOf({ name, function: called });
  if (called === "median" || called === "quantile" || called === "list") {
    const instead = called === "list"
      ? "last(x, n) lists the newest"
      : `use approxPercentile(x, ${called === "median" ? 0.5 : spec.quantile})`;
    throw fail(`it is not there over windows; ${instead}`);
  }
  if (by && (called === "first" || called === "last")) {
    throw fail(
      `over windows it goes by the event time: leave by out, or use ${called === "first" ? "minBy" : "maxBy"}(x, by)`,
    );
  }
  const aggregation: AggregationDefinition = {
    name,
    function: called,
    ...(input && { input }),
    ...(by && { by }),
    ...(where && { where }),
    ...(parameters && { parameters }),
  };
  aggregationType(aggregation, schema);
  return canonicalAggregation(aggregation);
}

/** With all constants, in the order of the function's own. */
export function canonicalAggregation(aggregation: AggregationDefinition): AggregationDefinition {
  const { name, function: called, input, by, where } = aggregation;
  const parameters = windowParameters(aggregation);
  return Object.freeze({
    name,
    function: called,
    ...(input && { input }),
    ...(by && { by }),
    ...(where && { where }),
    ...(Object.keys(parameters).length > 0 && { parameters }),
  });
}

/** The type of what an aggregation gives for a window; throws INVALID_DEFINITION when its inputs do not fit. */
export function aggregationType(aggregation: AggregationDefinition, schema: Schema): DataType {
  const { input, by, where } = aggregation;
  if (where) {
    const type = typeOfExpr(where, schema);
    if (type !== "boolean") {
      throw failureOf(aggregation)(`the condition is ${formatType(type)}; it must be boolean`);
    }
  }
  return windowFunctionType(aggregation, input && typeOfExpr(input, schema), by && typeOfExpr(by, schema));
}

/** The type of a feature: that of its aggregation, in a list for a series, or for the values of a secondary key. */
export function windowFeatureType(type: DataType, window: WindowDefinition, hasSecondaryKey: boolean): DataType {
  return window.kind === "series" || hasSecondaryKey ? Object.freeze({ list: type }) : type;
}

/** Whether a feature is never null, so that a default would replace nothing (S7): counts and lists are not. */
export function isNeverNull(
  aggregation: AggregationDefinition | undefined,
  window: WindowDefinition,
  hasSecondaryKey: boolean,
): boolean {
  if (!aggregation || hasSecondaryKey || window.kind === "series") return true;
  if (isUserFunction(aggregation.function)) return false;
  const { result } = windowFunctions[aggregation.function as keyof typeof windowFunctions];
  return result === "int64" || result === "list" || result === "counts" || result === "valueCounts";
}

/** Each aggregation once, sorted by name, and which one stands for each name: of equal ones the first. */
export function uniqueAggregations(
  aggregations: readonly AggregationDefinition[],
): { readonly aggregations: readonly AggregationDefinition[]; readonly standsFor: ReadonlyMap<string, string> } {
  const sorted = [...aggregations].sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  const byMeaning = new Map<string, AggregationDefinition>();
  const standsFor = new Map<string, string>();
  for (const aggregation of sorted) {
    const { name, ...meaning } = aggregation;
    const text = canonicalJson(meaning);
    const first = byMeaning.get(text);
    if (!first) byMeaning.set(text, aggregation);
    standsFor.set(name, first?.name ?? name);
  }
  return { aggregations: Object.freeze([...byMeaning.values()]), standsFor };
}

/** What a list of aggregates calls one: keep in step with the types of the functions. */
function calledAfter(spec: AggregateSpec): string | undefined {
  const part = functionPart(spec);
  if (!spec.input) return part;
  return spec.input.kind === "column" ? `${spec.input.name}_${part}` : undefined;
}

function functionPart({ function: called, parameters = {} }: AggregateSpec): string {
  switch (called) {
    case "approxPercentile":
      return percentileName(String(parameters["quantile"]));
    case "topK":
      return `top_${String(parameters["k"])}`;
  }
  const snake = writtenFunction(called).replace(/@.*$/, "").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return parameters["n"] === undefined ? snake : `${snake}_${String(parameters["n"])}`;
}

function percentileName(fraction: string): string {
  if (fraction === "1") return "p100";
  return fraction.startsWith("0.") ? `p${fraction.slice(2).padEnd(2, "0")}` : `p${fraction}`;
}

/** The issue's path says which aggregate it is. */
function withoutSubject(error: unknown): string {
  if (!(error instanceof VarveError)) throw error;
  return messageOf(error).replace(/^Cannot aggregate "[^"]*" by /, "");
}
