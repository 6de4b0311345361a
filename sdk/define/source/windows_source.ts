/** Aggregations over windows as people write them: found again in the names of the features that came of them. */
import type { AggregateView, AggregationDefinition, WindowDefinition, WindowFeature } from "../definitions.ts";
import { writtenFunction } from "../../frame/aggregate_text.ts";
import { canonicalJson } from "../../frame/hash.ts";
import { isNeverNull } from "../../frame/window_aggregations.ts";
import { defaultEvery, maxRowsDefault } from "../../frame/window_checks.ts";
import {
  isUserFunction,
  type WindowFunction,
  type WindowFunctionName,
  windowFunctions,
} from "../../frame/window_functions.ts";
import type { WindowInput } from "../../frame/window_types.ts";
import { readWindow } from "../../frame/windows.ts";
import { durationToMicros } from "../../time.ts";
import { callDoc, type Doc, listDoc } from "./layout.ts";
import type { ModuleNames } from "./names.ts";
import type { QueryWriter } from "./query_source.ts";
import { cannotWrite, dataDoc, fieldsDoc, plainOf, textCode } from "./values.ts";

/** One window as it is written. */
interface WrittenWindow {
  readonly input: WindowInput;
  readonly definition: WindowDefinition;
  /** What features are called after their aggregation. */
  readonly name: string;
}

/** What `.aggregate(…)` is given, and what is left for the view to say. */
export interface WrittenWindows {
  /** `.aggregate(…)`, and `.rename(…)` where features have other names. */
  readonly links: readonly Doc[];
  /** All features that these give, in order. */
  readonly names: readonly string[];
  /** Features whose default is said already. */
  readonly withDefault: ReadonlySet<string>;
  /** Features whose description is said already. */
  readonly withDescription: ReadonlySet<string>;
}

/** A feature with the name and the window that it was made of. */
interface Placed {
  readonly feature: WindowFeature;
  /** The name before its window's; undefined for the list of secondary keys. */
  readonly called: string | undefined;
  readonly window: WrittenWindow;
}

/** Writes the aggregations of a view. */
export function writeWindows(view: AggregateView, writer: QueryWriter, names: ModuleNames): WrittenWindows {
  const placed = placeFeatures(view);
  const windows = [...new Map(placed.map(({ window }) => [window.name, window])).values()];
  const called = calledInOrder(view, placed, windows);
  const keysName = view.secondaryKey && `${view.secondaryKey.name}_keys`;
  const given = windows.flatMap(({ name }) =>
    [...(keysName === undefined ? [] : [keysName]), ...called.keys()].map((each) => `${each}_${name}`)
  );
  const renamed: Record<string, string> = {};
  for (const { feature, called: of, window } of placed) {
    const name = `${of ?? keysName}_${window.name}`;
    if (name !== feature.name) renamed[name] = feature.name;
  }
  const all = given.map((name) => Object.hasOwn(renamed, name) ? renamed[name]! : name);
  if (new Set(all).size < all.length) {
    throw cannotWrite(`view "${view.name}" names its features in a way that no list of windows gives`);
  }
  const said = saidOfAll(view, placed, [...called.keys()]);
  const { every, edge, boundary, maxRows, secondaryKey } = view;
  const fitting = defaultEvery(edge, view.features.map(({ window }) => window), durationToMicros(view.schedule));
  const options = {
    windows: windows.map(({ input }) => input),
    ...(fitting !== every && { every }),
    ...(edge !== "complete" && { edge }),
    ...(boundary !== "inclusive" && { boundary }),
    ...(secondaryKey && { secondaryKey: secondaryKey.name }),
    ...(maxRows !== undefined && maxRows !== maxRowsDefault && { maxRows }),
    ...said.options,
  };
  const aggregates = fieldsDoc(
    [...called].map(([name, aggregation]) => [name, aggregateDoc(aggregation, writer, names)]),
  );
  const { windows: _, ...others } = options;
  const optionsDoc = fieldsDoc([
    ["windows", windowsDoc(windows, names)],
    ...Object.entries(others).map(([name, value]): [string, Doc] => [name, dataDoc(value, names)]),
  ]);
  return {
    links: [
      callDoc(".aggregate", [aggregates, optionsDoc]),
      ...(Object.keys(renamed).length > 0 ? [callDoc(".rename", [dataDoc(renamed, names)])] : []),
    ],
    names: all,
    withDefault: said.withDefault,
    withDescription: said.withDescription,
  };
}

/** Finds which window and which aggregation each feature's name tells. */
function placeFeatures(view: AggregateView): Placed[] {
  const placed: Placed[] = [];
  const windows = new Map<string, WrittenWindow>();
  const own = ownNames(view);
  const meanings = new Map(view.aggregations.map(({ name, ...meaning }) => [name, canonicalJson(meaning)]));
  for (const feature of view.features) {
    const base = feature.aggregation ?? `${view.secondaryKey?.name}_keys`;
    const window = windowOf(feature, base, { windows, own, placed });
    const taken = placed.some((each) => each.window === window && each.feature.aggregation === feature.aggregation);
    let called: string | undefined = feature.aggregation;
    if (called !== undefined && feature.name.endsWith(`_${window.name}`)) {
      // Of aggregations that are the same only one is kept: another name stands for it.
      const before = feature.name.slice(0, -window.name.length - 1);
      if (
        before !== called && (taken || before > called) &&
        (meanings.get(before) ?? meanings.get(called)) === meanings.get(called)
      ) {
        called = before;
      }
    }
    placed.push({ feature, called, window });
  }
  return placed;
}

/** What features with the name of their aggregation call their windows. */
function ownNames(view: AggregateView): ReadonlyMap<string, string> {
  return new Map(
    view.features.flatMap(({ name, aggregation, window }) =>
      aggregation !== undefined && name.startsWith(`${aggregation}_`)
        ? [[name.slice(aggregation.length + 1), canonicalJson(window)] as const]
        : []
    ),
  );
}

function windowOf(feature: WindowFeature, base: string, { windows, own: ownNamed, placed }: {
  readonly windows: Map<string, WrittenWindow>;
  readonly own: ReadonlyMap<string, string>;
  readonly placed: readonly Placed[];
}): WrittenWindow {
  const { name, window: definition } = feature;
  const suffixes = [...name.matchAll(/_/g)].map(({ index }) => name.slice(index + 1));
  const own = name.startsWith(`${base}_`) ? name.slice(base.length + 1) : undefined;
  const text = canonicalJson(definition);
  // Its own name first; then the longest end of it that is a text for the window.
  for (const suffix of own === undefined ? suffixes : [own, ...suffixes]) {
    const known = windows.get(suffix);
    if (known && canonicalJson(known.definition) === text) return known;
    const input = known
      ? undefined
      : inputCalled(suffix, definition) ?? (ownNamed.get(suffix) === text ? namedInput(definition, suffix) : undefined);
    if (input !== undefined) return keep(windows, { input, definition, name: suffix });
  }
  // A feature that was renamed: it belongs to a window of those before it that has not this aggregation yet.
  for (const known of windows.values()) {
    const has = placed.some((each) => each.window === known && each.called === feature.aggregation);
    if (!has && canonicalJson(known.definition) === text) return known;
  }
  const plain = plainName(definition);
  const free = windows.has(plain) ? `${plain}_${windows.size}` : plain;
  return keep(windows, {
    input: inputCalled(free, definition) ?? namedInput(definition, free),
    definition,
    name: free,
  });
}

function keep(windows: Map<string, WrittenWindow>, window: WrittenWindow): WrittenWindow {
  windows.set(window.name, window);
  return window;
}

/** How a window is written so that its features are called like this without being told; undefined when it cannot be. */
function inputCalled(name: string, definition: WindowDefinition): WindowInput | undefined {
  const [first, from, to, step] = /^(.+?)_series_(.+?)(?:_to_(.+?))?(?:_step_(.+))?$/.exec(name)?.slice(1) ?? [];
  const [size = name, offset] = /^(.+?)_offset_(.+)$/.exec(name)?.slice(1) ?? [];
  const input: WindowInput = definition.kind === "series"
    ? {
      kind: "series",
      window: first ?? "",
      ...(step !== undefined && { step }),
      from: `-${from}`,
      ...(to !== undefined && { to: `-${to}` }),
    }
    : offset === undefined
    ? size
    : { window: size, offset: `-${offset}` };
  const read = readWindow(input, "", []);
  return read?.name === name && canonicalJson(read.window) === canonicalJson(definition) ? input : undefined;
}

/** A window with a name of its own. */
function namedInput(definition: WindowDefinition, name: string): WindowInput {
  const back = (text: string) => text === "0s" ? "0s" : `-${text}`;
  if (definition.kind === "series") {
    const { size, step, from, to } = definition;
    return {
      kind: "series",
      window: size,
      ...(step !== size && { step }),
      from: back(from),
      ...(to !== "0s" && { to: back(to) }),
      name,
    };
  }
  const window = definition.kind === "lifetime" ? "lifetime" : definition.size;
  return { window, ...(definition.offset !== "0s" && { offset: back(definition.offset) }), name };
}

function plainName(definition: WindowDefinition): string {
  switch (definition.kind) {
    case "lifetime":
      return definition.offset === "0s" ? "lifetime" : `lifetime_offset_${definition.offset}`;
    case "time":
      return definition.offset === "0s" ? definition.size : `${definition.size}_offset_${definition.offset}`;
    case "series": {
      const { size, step, from, to } = definition;
      return `${size}_series_${from}${to === "0s" ? "" : `_to_${to}`}${step === size ? "" : `_step_${step}`}`;
    }
  }
}

/** Every aggregation by the name it was written under, in an order that gives the features theirs. */
function calledInOrder(
  view: AggregateView,
  placed: readonly Placed[],
  windows: readonly WrittenWindow[],
): ReadonlyMap<string, AggregationDefinition> {
  const byName = new Map(view.aggregations.map((each) => [each.name, each]));
  const found = new Map<string, AggregationDefinition>();
  const before = new Map<string, Set<string>>();
  for (const window of windows) {
    let last: string | undefined;
    for (const { called, feature } of placed.filter((each) => each.window === window)) {
      if (called === undefined) continue;
      found.set(called, byName.get(feature.aggregation!)!);
      if (last !== undefined) before.set(called, (before.get(called) ?? new Set()).add(last));
      last = called;
    }
  }
  // The name that is kept stands for the others, and must be there beside them.
  for (const [name, aggregation] of [...found]) if (name !== aggregation.name) found.set(aggregation.name, aggregation);
  const order: string[] = [];
  while (order.length < found.size) {
    const next = [...found.keys()].find((name) =>
      !order.includes(name) && [...before.get(name) ?? []].every((each) => order.includes(each))
    );
    if (next === undefined) {
      throw cannotWrite(`view "${view.name}" has its features in an order that no list of windows gives`);
    }
    order.push(next);
  }
  return new Map(order.map((name) => [name, found.get(name)!]));
}

/** Defaults and descriptions that all features of an aggregation share. */
function saidOfAll(view: AggregateView, placed: readonly Placed[], called: readonly string[]) {
  const defaults: Record<string, unknown> = {};
  const descriptions: Record<string, string> = {};
  const withDefault = new Set<string>();
  const withDescription = new Set<string>();
  for (const name of called) {
    const features = placed.filter((each) => each.called === name).map(({ feature }) => feature);
    const [first] = features;
    if (!first) continue;
    const { description } = first;
    if (description !== undefined && features.every((each) => each.description === description)) {
      descriptions[name] = description;
      for (const each of features) withDescription.add(each.name);
    }
    const aggregation = view.aggregations.find((each) => each.name === first.aggregation);
    const open = features.filter(({ window }) => !isNeverNull(aggregation, window, view.secondaryKey !== undefined));
    const value = open[0]?.default;
    if (value !== undefined && open.every((each) => canonicalJson(each.default ?? null) === canonicalJson(value))) {
      defaults[name] = plainOf(value, open[0]!.type);
      for (const each of open) withDefault.add(each.name);
    }
  }
  return {
    options: {
      ...(Object.keys(defaults).length > 0 && { defaults }),
      ...(Object.keys(descriptions).length > 0 && { descriptions }),
    },
    withDefault,
    withDescription,
  };
}

function windowsDoc(windows: readonly WrittenWindow[], names: ModuleNames): Doc {
  return listDoc(windows.map(({ input }) => {
    if (typeof input === "string" || !("kind" in input)) return dataDoc(input, names);
    const { kind: _, ...rest } = input;
    return callDoc(names.use("series"), [dataDoc(rest, names)]);
  }));
}

/** Constants that stand for themselves after the input; others are options. */
const plainParameters: readonly string[] = ["n", "k", "quantile", "bounds"];

function aggregateDoc(aggregation: AggregationDefinition, writer: QueryWriter, names: ModuleNames): Doc {
  const { function: called, input, by, where, parameters = {} } = aggregation;
  const inputs = input ? [writer.exprs.input(input)] : [];
  const order = by ? writer.exprs.input(by) : undefined;
  if (isUserFunction(called)) {
    const options: [string, Doc][] = [
      ...(order === undefined ? [] : [["by", order] as [string, Doc]]),
      ...(Object.keys(parameters).length > 0 ? [["parameters", dataDoc(parameters, names)] as [string, Doc]] : []),
    ];
    if (options.length > 0 && !input) throw cannotWrite(`${called} has no input, and is told more than its name`);
    const more = options.length > 0 ? [fieldsDoc(options)] : [];
    return writer.aggregate("custom", [textCode(called), ...inputs], more, where);
  }
  const rules = (windowFunctions[called as WindowFunctionName] as WindowFunction).parameters;
  const plain: Doc[] = [];
  const options: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(parameters)) {
    if (value === rules?.[name]?.default) continue;
    if (plainParameters.includes(name) && called !== "valueCounts") plain.push(dataDoc(value, names));
    else options[name] = value;
  }
  const more = [
    ...(order === undefined ? [] : [order]),
    ...plain,
    ...(Object.keys(options).length > 0 ? [dataDoc(options, names)] : []),
  ];
  return writer.aggregate(writtenFunction(called), inputs, more, where);
}
