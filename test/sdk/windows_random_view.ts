/**
 * Random views of aggregates, written as users write them; beside each, in plain words of its own, what it means: nothing of what
 * the API makes of it is asked, so that a window that is read wrongly is found too.
 */
import type { AggregateView, WindowDefinition } from "../../sdk/define/definitions.ts";
import { entity } from "../../sdk/define/entity.ts";
import { type FeatureView, view } from "../../sdk/define/view.ts";
import * as aggregates from "../../sdk/frame/aggregates.ts";
import type { Aggregate } from "../../sdk/frame/aggregates.ts";
import { col, type Expr } from "../../sdk/frame/expr.ts";
import { parquet } from "../../sdk/frame/sources.ts";
import { type WindowFunctionName, windowFunctions } from "../../sdk/frame/window_functions.ts";
import type { WindowInput } from "../../sdk/frame/window_types.ts";
import { series } from "../../sdk/frame/windows.ts";
import { type DataType, sameType, type SchemaTypes } from "../../sdk/schema.ts";
import { type Duration, durationToMicros, formatDuration, formatTimestamp, toMicros } from "../../sdk/time.ts";
import type { Random } from "../conformance/expr_values.ts";
import { inputTypes, randomParameters } from "./window/window_cases.ts";
import { ownFunctions, type OwnName } from "./windows_random_own.ts";

/** A row in row form: `a` and `b` are join keys, `t` and `w` times, `id` is its own. */
export type Row = Readonly<Record<string, unknown>>;

/** A condition, as an expression and as a loop would ask it. */
interface Condition {
  readonly expr: Expr;
  readonly holds: (row: Row) => boolean;
}

/** One aggregation. */
export interface RandomAggregation {
  readonly name: string;
  /** Its input is the column `x` and this: the place of the first aggregation over it. */
  readonly input: number;
  readonly function: WindowFunctionName | OwnName;
  readonly type: DataType | undefined;
  readonly parameters: Readonly<Record<string, number | number[]>>;
  readonly where?: Condition;
  /** Replaces null. */
  readonly default?: unknown;
}

/** A view, and what it means. */
export interface RandomView {
  readonly view: FeatureView;
  readonly aggregations: readonly RandomAggregation[];
  /** By their place `i`; features are called after them, `f0_w1`. */
  readonly windows: readonly WindowDefinition[];
  readonly secondaryKey: { readonly name: string; readonly type: DataType } | undefined;
  /** Rows for which this column is not true are filtered away. */
  readonly filter: "keep" | undefined;
  /** Of the source. */
  readonly types: SchemaTypes;
  readonly paths: readonly string[];
  /** When windows lie where; its features stand for the windows. */
  readonly meaning: Omit<AggregateView, "query">;
}

/** Days near which something is odd: leap days and such that are none, the epoch, changes of clocks, ends of years. */
const firstDays = [
  "2004-02-27",
  "2000-02-27",
  "1900-02-26",
  "2100-02-26",
  "1969-12-29",
  "2024-03-08",
  "2024-11-01",
  "2024-10-25",
  "2011-12-28",
  "2000-12-29",
  "2001-01-01",
];

const conditions: readonly Condition[] = [
  { expr: col("flag"), holds: ({ flag }) => flag === true },
  { expr: col("flag").not(), holds: ({ flag }) => flag === false },
  { expr: col("flag").isNull(), holds: ({ flag }) => flag === null },
  { expr: col("g").eq("a"), holds: ({ g }) => g === "a" },
  // NaN is the greatest number.
  { expr: col("o").gt(0), holds: ({ o }) => o !== null && (Number.isNaN(o) || o as number > 0) },
];

const fixed: SchemaTypes = {
  a: "string",
  b: "int64",
  t: "timestamp",
  w: "timestamp",
  g: "string",
  gi: "int64",
  gb: "boolean",
  gd: "date",
  flag: "boolean",
  keep: "boolean",
  o: "float64",
};

const user = entity("user", { a: "string", b: "int64" });

/** How long slices and tiles are, and how many slices the test goes through. */
const lengths = [
  { schedule: "1d", every: "1d" },
  { schedule: "1d", every: "1h" },
  { schedule: "1d", every: "6h" },
  { schedule: "6h", every: "30m" },
  { schedule: "1h", every: "1h" },
  { schedule: "1h", every: "5m" },
  { schedule: "3h", every: undefined },
] as const;

/** A view over sources at these paths. */
export function randomView(random: Random, paths: readonly string[]): RandomView {
  const edge = random.pick(["complete", "complete", "fresh", "exact"] as const);
  const boundary = random.pick(["inclusive", "exclusive"] as const);
  const { schedule, every } = random.pick(lengths);
  const step = edge === "exact" ? 1_000_001n : durationToMicros(every ?? schedule);
  const dataDelay = random.pick(["0s", "0s", "20m", "2h"]);
  const secondaryKey = random.chance(0.25)
    ? random.pick(
      [
        { name: "g", type: "string" },
        { name: "gi", type: "int64" },
        { name: "gb", type: "boolean" },
        { name: "gd", type: "date" },
      ] as const,
    )
    : undefined;
  const aggregations: RandomAggregation[] = [];
  for (let left = 2 + random.below(5); left > 0; left--) aggregations.push(randomAggregation(random, aggregations));
  const named = secondaryKey ? aggregations.map(({ default: _, ...rest }): RandomAggregation => rest) : aggregations;
  const windows = Array.from(
    { length: 1 + random.below(5) },
    () => randomWindow(random, step, durationToMicros(schedule), secondaryKey === undefined),
  );
  const start = toMicros(random.pick(firstDays)) + BigInt(random.below(3)) * durationToMicros(schedule);
  // Some instant of a slice means the whole slice.
  const startWithin = random.chance(0.3) ? 1_234_567n : 0n;
  const end = random.chance(0.2) ? start + BigInt(3 + random.below(3)) * durationToMicros(schedule) : undefined;
  const filter = random.chance(0.3) ? "keep" : undefined;
  const hasWritten = random.chance(0.6);
  const types = Object.fromEntries([
    ...Object.entries(fixed),
    ...named.flatMap(({ type, input }) => type === undefined ? [] : [[`x${input}`, type] as const]),
  ]) as SchemaTypes;
  let frame = parquet(paths, { eventTimestamp: "t", ...(hasWritten && { writtenTimestamp: "w" }), schema: types });
  if (filter) frame = frame.filter(col("keep"));
  const keyed = frame.by(user).aggregate(
    Object.fromEntries(named.map((each) => [each.name, written(each)])) as never,
    {
      windows: windows.map((window, i) => writtenWindow(window, `w${i}`)),
      edge,
      boundary,
      ...(every !== undefined && edge !== "exact" && { every }),
      ...(secondaryKey && { secondaryKey: secondaryKey.name as never }),
      ...(edge === "exact" && random.chance(0.5) && { maxRows: 5_000 }),
      defaults: Object.fromEntries(
        named.flatMap((each) => each.default === undefined ? [] : [[each.name, each.default]]),
      ) as never,
    },
  );
  const defined = view("random", keyed, {
    schedule,
    dataDelay,
    start: formatTimestamp(start + startWithin),
    ...(end !== undefined && { end: formatTimestamp(end) }),
    online: true,
  }) as unknown as FeatureView;
  const definition = defined.definition as AggregateView;
  return {
    view: defined,
    aggregations: named,
    windows,
    secondaryKey,
    filter,
    types,
    paths,
    meaning: {
      ...definition,
      schedule,
      dataDelay,
      edge,
      boundary,
      // Where it is left out, what is chosen decides where fresh windows begin.
      every: every ?? definition.every,
      start: formatTimestamp(start),
      ...(hasWritten && { writtenTimestamp: "w" }),
      features: windows.map((window, i) => ({ name: `w${i}`, type: "int64", window })),
    },
  };
}

function randomAggregation(random: Random, earlier: readonly RandomAggregation[]): RandomAggregation {
  const same = earlier.length > 0 && random.chance(0.5) ? random.pick(earlier) : undefined;
  const where = same && random.chance(0.7) ? same.where : random.chance(0.3) ? random.pick(conditions) : undefined;
  const input = same?.type === undefined ? earlier.length : same.input;
  const name = `f${earlier.length}`;
  if (input === earlier.length && random.chance(0.1)) {
    const own = random.pick(Object.keys(ownFunctions) as OwnName[]);
    const fallback = random.chance(0.3) ? { default: -1 } : {};
    return { name, input, function: own, type: "int32", parameters: {}, ...fallback, ...(where && { where }) };
  }
  const all = Object.keys(windowFunctions) as WindowFunctionName[];
  const functions = input === earlier.length ? all : all.filter((each) => takes(each, same!.type!));
  // These of one input are added up once, and each is a result of its own.
  const summed = functions.filter((each) => /^(sum|mean|var|stddev)/.test(each));
  const of = random.pick(summed.length > 0 && random.chance(input === earlier.length ? 0.2 : 0.7) ? summed : functions);
  const type = input === earlier.length ? random.pick(inputTypes(of)) : same!.type;
  const fallback = random.chance(0.3) ? defaultOf(of, type) : undefined;
  return {
    name,
    input,
    function: of,
    type,
    parameters: randomParameters(of, random),
    ...(where && { where }),
    ...(fallback !== undefined && { default: fallback }),
  };
}

function takes(name: WindowFunctionName, type: DataType): boolean {
  return inputTypes(name).some((each) => each !== undefined && sameType(each, type));
}

/** Something that fits the result and is never null; undefined where there is nothing to replace. */
function defaultOf(name: WindowFunctionName, type: DataType | undefined): unknown {
  const ofType = { string: "none", boolean: false, int32: -1, int64: -1n, float32: -1.5, float64: -1.5 } as const;
  const ofInput = typeof type === "string" && type in ofType ? ofType[type as keyof typeof ofType] : undefined;
  switch (windowFunctions[name].result) {
    case "float64":
      return -1.5;
    case "input":
      return ofInput;
    case "shared":
      if (/^(mean|var|stddev)/.test(name)) return -1.5;
      if (name === "sum") return type === "duration" ? undefined : type?.toString().startsWith("int") ? -1n : -1.5;
      return ofInput;
  }
  return undefined;
}

/** A window of whole steps, mostly short enough that events leave it during the test. */
function randomWindow(random: Random, step: bigint, slice: bigint, mayBeSeries: boolean): WindowDefinition {
  const steps = (longest: bigint): Duration => {
    const most = Number(longest / step);
    return formatDuration(step * BigInt(1 + random.below(Math.max(1, most))));
  };
  const offset = random.chance(0.4) ? steps(slice * 2n) : "0s";
  switch (random.below(mayBeSeries ? 6 : 4)) {
    case 0:
      return { kind: "lifetime", offset };
    case 4:
    case 5: {
      const size = durationToMicros(steps(slice));
      const every = durationToMicros(steps(slice));
      const to = random.chance(0.5) ? 0n : durationToMicros(steps(slice));
      const from = to + size + every * BigInt(random.below(6));
      const text = (micros: bigint) => formatDuration(micros);
      return { kind: "series", size: text(size), step: text(every), from: text(from), to: text(to) };
    }
    default:
      return { kind: "time", size: steps(slice * random.pick([1n, 2n, 5n])), offset };
  }
}

/** The window as a user writes it. */
function writtenWindow(window: WindowDefinition, name: string): WindowInput {
  const back = (text: Duration) => text === "0s" ? text : `-${text}`;
  switch (window.kind) {
    case "time":
      return { window: window.size, offset: back(window.offset), name };
    case "lifetime":
      return { window: "lifetime", offset: back(window.offset), name };
    case "series":
      return series({
        window: window.size,
        step: window.step,
        from: back(window.from),
        to: back(window.to),
        name,
      });
  }
}

type Given = Readonly<Record<string, number | number[]>>;
const n = ({ n }: Given) => n as number;

/** Functions that are not called as their name says. */
const makers: Readonly<Partial<Record<WindowFunctionName, (x: string, given: Given) => Aggregate>>> = {
  minN: (x, given) => aggregates.min(x, n(given)),
  maxN: (x, given) => aggregates.max(x, n(given)),
  firstN: (x, given) => aggregates.first(x, n(given)),
  lastN: (x, given) => aggregates.last(x, n(given)),
  firstDistinct: (x, given) => aggregates.firstDistinct(x, n(given)),
  lastDistinct: (x, given) => aggregates.lastDistinct(x, n(given)),
  approxCountDistinct: (x, given) => aggregates.approxCountDistinct(x, given as { precision: number }),
  approxPercentile: (x, given) =>
    aggregates.approxPercentile(x, given["quantile"] as number, given as { accuracy: number }),
  topK: (x, given) => aggregates.topK(x, given["k"] as number),
  valueCounts: (x, given) => aggregates.valueCounts(x, given as { k: number }),
  histogram: (x, given) => aggregates.histogram(x, given["bounds"] as number[]),
  minBy: (x) => aggregates.minBy(x, "o"),
  maxBy: (x) => aggregates.maxBy(x, "o"),
};

/** The aggregation as a user writes it. */
function written({ function: name, type, input, parameters, where }: RandomAggregation): Aggregate {
  const x = `x${input}`;
  const own = ownFunctions[name as OwnName];
  const made = own
    ? aggregates.custom(own, x)
    : type === undefined
    ? aggregates.count()
    : makers[name as WindowFunctionName]?.(x, parameters) ?? aggregates[name as "sum"](x);
  return where ? made.where(where.expr) : made;
}
