/** Random views of aggregates with windows of all kinds, spines that ask for them, and what plain loops say. */
import type { AggregateView, WindowFeature } from "../../../sdk/define/definitions.ts";
import { type WindowFunctionName, windowFunctionType } from "../../../sdk/frame/window_functions.ts";
import { windowFeatureType } from "../../../sdk/frame/window_aggregations.ts";
import { durationToMicros } from "../../../sdk/time.ts";
import type { Random } from "../../conformance/expr_values.ts";
import { type OracleInput, windowProblem } from "../../oracle/window_functions.ts";
import { unsignedZeros } from "../../oracle/zeros.ts";
import { windowsOracle } from "../../oracle/windows.ts";
import { byType } from "../window/window_cases.ts";
import { january, type Rig } from "../materialize/rig.ts";
import { isDropped, randomFunctions, type SourceRow, type WindowCase, windowCase } from "../materialize/window_rig.ts";

export const days = 4;
const minute = 60_000_000n;

/** A view of random functions over random windows. */
export function randomWindowCase(rig: Rig, random: Random, name = "windows"): WindowCase {
  const edge = random.pick(["complete", "fresh", "exact"] as const);
  const secondaryKey = random.chance(0.25) ? { name: "g", type: "string" as const } : undefined;
  const more: Partial<AggregateView> = {
    name,
    edge,
    every: random.pick(["5m", "1h"]),
    boundary: random.pick(["inclusive", "exclusive"]),
    schedule: random.pick(["1h", "1d"]),
    dataDelay: random.pick(["0s", "90m"]),
    ...(random.chance(0.5) && { writtenTimestamp: "w" }),
    ...(secondaryKey && { secondaryKey }),
    ...(random.chance(0.2) && { start: "2001-01-02T00:00:00Z" }),
    ...(random.chance(0.2) && { end: "2001-01-03T00:00:00Z" }),
  };
  const each = windowCase(rig, randomFunctions(random, 1 + random.below(3)), more, random);
  const { aggregations } = each.view;
  const features: WindowFeature[] = Array.from({ length: 1 + random.below(4) }, (_, i) => {
    const window = randomWindow(random, secondaryKey === undefined);
    const isKeys = secondaryKey !== undefined && random.chance(0.2);
    const place = random.below(aggregations.length);
    const aggregation = aggregations[place]!;
    const type = isKeys
      ? secondaryKey.type
      : windowFunctionType(aggregation, each.types[place], byType(aggregation.function as WindowFunctionName));
    return {
      name: `feature_${i}`,
      type: windowFeatureType(type, window, secondaryKey !== undefined),
      ...(isKeys ? {} : { aggregation: aggregation.name }),
      window,
    };
  });
  return { ...each, view: { ...each.view, features } };
}

function randomWindow(random: Random, mayBeSeries: boolean): WindowFeature["window"] {
  const offset = random.pick(["0s", "0s", "1h", "1d"]);
  switch (random.below(mayBeSeries ? 5 : 4)) {
    case 0:
      return { kind: "lifetime", offset };
    case 4:
      return { kind: "series", size: random.pick(["1h", "1d"]), step: random.pick(["1h", "6h"]), from: "2d", to: "0s" };
    default:
      return { kind: "time", size: random.pick(["1h", "6h", "1d", "2d"]), offset };
  }
}

/** Instants on and near everything that may be a boundary; keys that may be null or unknown. */
export function randomSpine(random: Random, source: readonly SourceRow[], count: number): SourceRow[] {
  return Array.from({ length: count }, (_, row) => {
    const near = random.pick(source);
    const base = random.chance(0.5) && near["t"] !== null
      ? (near["t"] as bigint) + BigInt(random.below(3)) * 60n * minute
      : january(1) + BigInt(random.below((days + 2) * 24 * 2)) * 30n * minute;
    return {
      a: random.chance(0.05) ? null : random.chance(0.1) ? "unknown" : near["a"],
      b: random.chance(0.05) ? null : near["b"],
      ts: base + random.pick([0n, 0n, -1n, 1n, 37n]),
      label: row,
    };
  });
}

/** What is wrong with a training set's rows, in row form; undefined when nothing is. */
export function trainingProblem(
  each: WindowCase,
  source: readonly SourceRow[],
  spine: readonly SourceRow[],
  rows: readonly SourceRow[],
  asOf: "effective" | "event",
): string | undefined {
  if (rows.length !== spine.length) return `there are ${rows.length} rows, not ${spine.length}`;
  const { view } = each;
  const ordered = inOrder(view, source);
  for (const [i, probe] of spine.entries()) {
    const row = rows[i]!;
    if (row["label"] !== probe["label"]) return `row ${i} is that of label ${String(row["label"])}`;
    const isNullKey = probe["a"] === null || probe["b"] === null;
    const ofKey = isNullKey ? [] : ordered.filter(({ a, b }) => a === probe["a"] && b === probe["b"]);
    const timed = ofKey.map((event) => ({ ...event, time: event["t"] as bigint }));
    const lookup = windowsOracle(view, timed, probe["ts"] as bigint, asOf);
    const status = isNullKey ? "NULL_KEY" : lookup.status;
    if (row[`${view.name}__status`] !== status) {
      return `row ${i} is ${String(row[`${view.name}__status`])}, not ${status}`;
    }
    const effective = row[`${view.name}__effective_timestamp`];
    if (effective !== lookup.effective) return `row ${i} is of ${String(effective)}, not ${String(lookup.effective)}`;
    for (const [f, feature] of view.features.entries()) {
      const actual = row[feature.name];
      const windows = lookup.windows[f]!;
      const problem = feature.window.kind === "series"
        ? listProblem(actual, windows, (value, window) => valueProblem(each, feature, value, window))
        : valueProblem(each, feature, actual, windows[0]!);
      if (problem) return `row ${i} (${describe(probe)}), ${feature.name}: ${problem}`;
    }
  }
  return undefined;
}

function listProblem<T>(
  actual: unknown,
  expected: readonly T[],
  problemOf: (value: unknown, each: T) => string | undefined,
): string | undefined {
  if (!Array.isArray(actual) || actual.length !== expected.length) {
    return `${describe(actual)} is no list of ${expected.length}`;
  }
  return actual.map((value, i) => problemOf(value, expected[i]!)).find((problem) => problem !== undefined);
}

function valueProblem(
  each: WindowCase,
  feature: WindowFeature,
  actual: unknown,
  rows: readonly SourceRow[],
): string | undefined {
  if (!each.view.secondaryKey) return oneProblem(each, feature, actual, rows);
  return listProblem(actual, groupsOf(each.view, rows), (value, group) => oneProblem(each, feature, value, group));
}

/** The rows of a window: all together, or by the values of the secondary key, in their order. */
function groupsOf(view: AggregateView, rows: readonly SourceRow[]): SourceRow[][] {
  if (!view.secondaryKey) return [[...rows]];
  const bytes = (key: unknown) => Buffer.from(key as string);
  const keys = [...new Set(rows.map(({ g }) => g))].sort((x, y) => Buffer.compare(bytes(x), bytes(y)));
  return keys.map((key) => rows.filter(({ g }) => g === key));
}

function oneProblem(
  { view, types }: WindowCase,
  feature: WindowFeature,
  actual: unknown,
  rows: readonly SourceRow[],
): string | undefined {
  const place = view.aggregations.findIndex(({ name }) => name === feature.aggregation);
  if (place < 0) return actual === rows[0]!["g"] ? undefined : `${describe(actual)} is not ${describe(rows[0]!["g"])}`;
  const { function: name, where, parameters = {} } = view.aggregations[place]!;
  const inputs = unsignedZeros(rows.map((row): OracleInput => ({
    value: where && row["flag"] !== true ? null : types[place] === undefined ? undefined : row[`x${place}`],
    by: row["o"],
  })));
  return windowProblem(unsignedZeros(actual), name as WindowFunctionName, types[place], parameters, inputs);
}

/** Computes every value by plain loops; throws where one cannot be. */
export function loopAll(
  each: WindowCase,
  source: readonly SourceRow[],
  spine: readonly SourceRow[],
  asOf: "effective" | "event",
): void {
  const timed = inOrder(each.view, source).map((event) => ({ ...event, time: event["t"] as bigint }));
  for (const { a, b, ts } of spine) {
    const ofKey = timed.filter((event: SourceRow) => event["a"] === a && event["b"] === b);
    const { windows } = windowsOracle(each.view, ofKey, ts as bigint, asOf);
    each.view.features.forEach((feature, f) => {
      for (const rows of windows[f]!) {
        for (const some of groupsOf(each.view, rows)) oneProblem(each, feature, null, some);
      }
    });
  }
}

/** Rows by event time, written time (unknown first), and place in the source. */
function inOrder(view: AggregateView, source: readonly SourceRow[]): SourceRow[] {
  const big = (value: unknown) => value as bigint | null ?? -(2n ** 63n);
  const difference = (x: bigint, y: bigint) => x < y ? -1 : x > y ? 1 : 0;
  return source.filter((row) => !isDropped(view, row)).sort((x, y) =>
    difference(big(x["t"]), big(y["t"])) ||
    (view.writtenTimestamp === undefined ? 0 : difference(big(x["w"]), big(y["w"])))
  );
}

function describe(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => typeof each === "bigint" ? `${each}n` : each);
}

/** How many slices of the view there are. */
export function sliceRangeOf(view: AggregateView): { readonly start: bigint; readonly end: bigint } {
  const start = january(view.start.startsWith("2001-01-02") ? 2 : 1);
  const end = view.end === undefined ? january(days + 1) : january(3);
  return { start, end: end - (end - start) % durationToMicros(view.schedule) };
}
