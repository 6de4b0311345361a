/** Definitions as a TypeScript module: sources, frames, entities, views and services, each as a person would write it. */
import { checkOptions, type OptionNames } from "../../errors.ts";
import { canonicalJson } from "../../frame/hash.ts";
import { windowFunctions } from "../../frame/window_functions.ts";
import type { AnyView, AttributeView, EntityDefinition, ServiceDefinition, ViewDefinition } from "../definitions.ts";
import { columnNames } from "../../schema.ts";
import { schemaOf } from "../../frame/query_schema.ts";
import { traceTimestamp } from "../event_time.ts";
import { callDoc, type Doc, layOut } from "./layout.ts";
import { ModuleNames } from "./names.ts";
import { frameDoc, QueryWriter } from "./query_source.ts";
import { cannotWrite, dataDoc, fieldsDoc, plainOf, shortInstant, textCode, typeDoc } from "./values.ts";
import { optional, realtimeDoc, said, serviceDoc } from "./uses_source.ts";
import { writeWindows } from "./windows_source.ts";

/** How a module is written. */
export interface ModuleOptions {
  /**
   * How paths of files are written: `"relative"` to the working folder where they lie in it, so that the module has to be run in
   * the same folder of another checkout; `"absolute"` as they are stored.
   * @default "relative"
   */
  readonly paths?: "relative" | "absolute";
}

const moduleOptions: OptionNames<ModuleOptions> = { paths: true };

/** What the package exports and a module may import: no constant is called so. */
const exported: readonly string[] = [
  ...["parquet", "csv", "json", "ndjson", "sql", "storedRows", "entity", "view", "service", "series", "Timestamp"],
  ...["realtimeView", "requestTimestamp"],
  ...[
    "col",
    "lit",
    "when",
    "coalesce",
    "greatest",
    "least",
    "concat",
    "hash",
    "listOf",
    "struct",
    "allOf",
    "anyOf",
    "atan2",
  ],
  ...["descending", "custom", "median", "quantile", "list", ...Object.keys(windowFunctions)],
];

/** The module that exports these views, and services over them. Views that a realtime view reads come before it. */
export function moduleSource(
  views: readonly AnyView[],
  services: readonly ServiceDefinition[],
  options: ModuleOptions = {},
): string {
  checkOptions("Cannot write a module", options, moduleOptions);
  const { paths = "relative" } = options;
  const names = new ModuleNames(exported);
  const unique = [...new Map(views.map((each) => [each.name, each])).values()];
  const stored = unique.filter((each) => each.kind === "view");
  const realtime = unique.filter((each) => each.kind === "realtimeView");
  const entities = [...new Map(stored.map(({ entity }) => [canonicalJson(entity), entity])).values()];
  const called = {
    views: new Map(unique.map(({ name }) => [name, names.take(name, "view")])),
    services: services.map(({ name }) => names.take(name, "service")),
    entities: new Map(entities.map((each) => [canonicalJson(each), names.take(each.name, "entity")])),
  };
  const frames = new QueryWriter(names, stored.map(({ query }) => query), paths === "absolute");
  const viewDocs = stored.map((definition) =>
    constant(
      called.views.get(definition.name)!,
      viewDoc(definition, called.entities.get(canonicalJson(definition.entity))!, frames, names),
      true,
    )
  );
  const parts: Doc[] = [
    ...frames.constants.map(({ name, doc }) => constant(name, doc)),
    ...entities.map((each) => constant(called.entities.get(canonicalJson(each))!, entityDoc(each, names), true)),
    ...viewDocs,
    ...realtime.map((each) =>
      constant(called.views.get(each.name)!, realtimeDoc(each, unique, called.views, names), true)
    ),
    ...services.map((each, i) => constant(called.services[i]!, serviceDoc(each, unique, called.views, names), true)),
  ];
  return [importsDoc(names.imports), ...parts].map((doc) => `${layOut(doc)}\n`).join("\n");
}

function importsDoc(names: readonly string[]): Doc {
  const list = `import { ${names.join(", ")} } from "varve";`;
  return list.length <= 120 ? list : `import {\n${names.map((name) => `  ${name},\n`).join("")}} from "varve";`;
}

function constant(name: string, doc: Doc, isExported = false): Doc {
  return [isExported ? "export " : "", "const ", name, " = ", doc, ";"];
}

function entityDoc(definition: EntityDefinition, names: ModuleNames): Doc {
  return callDoc(names.use("entity"), [
    textCode(definition.name),
    fieldsDoc(definition.joinKeys.map(({ name, type }) => [name, typeDoc(type, names)])),
    ...optional(said(definition), names),
  ]);
}

function viewDoc(view: ViewDefinition, entity: string, frames: QueryWriter, names: ModuleNames): Doc {
  const { head, links } = frames.chain(view.query);
  const by = callDoc(".by", [entity]);
  const windows = view.mode === "aggregates" ? writeWindows(view, frames, names) : undefined;
  const features = featureOptions(view, {
    names: windows?.names ?? attributeNames(view as AttributeView),
    withDefault: windows?.withDefault ?? new Set(),
    withDescription: windows?.withDescription ?? new Set(),
  });
  const { schedule, dataDelay, start, end, ttl, lookback, online, offline, preventDestroy } = view;
  const options = {
    ...timeOptions(view),
    schedule,
    ...(dataDelay !== "0s" && { dataDelay }),
    start: shortInstant(start),
    ...(end !== undefined && { end: shortInstant(end) }),
    ...(ttl !== "forever" && { ttl }),
    ...(lookback !== 0 && { lookback }),
    ...(online && { online }),
    ...(!offline && { offline }),
    ...(preventDestroy && { preventDestroy }),
    ...features,
    ...said(view),
  };
  return callDoc(names.use("view"), [
    textCode(view.name),
    frameDoc({ head, links: [...links, by, ...windows?.links ?? []] }),
    dataDoc(options, names),
  ]);
}

/** The columns that are the times, where they are not found by themselves. */
function timeOptions(view: ViewDefinition) {
  const found = (role: "eventTimestamp" | "writtenTimestamp") => {
    const trace = traceTimestamp(view.query, role);
    return "columns" in trace ? trace.columns[0]?.name : undefined;
  };
  const { eventTimestamp, writtenTimestamp } = view;
  const written = found("writtenTimestamp");
  if (writtenTimestamp === undefined && written !== undefined) {
    throw cannotWrite(`view "${view.name}" has no written timestamp, and its source has one, "${written}"`);
  }
  return {
    ...(found("eventTimestamp") !== eventTimestamp && { eventTimestamp }),
    ...(written !== writtenTimestamp && { writtenTimestamp }),
  };
}

/** The columns that are features where nobody says which. */
function attributeNames({ query, entity, eventTimestamp, writtenTimestamp }: AttributeView): string[] {
  const taken = new Set([...entity.joinKeys.map(({ name }) => name), eventTimestamp, writtenTimestamp]);
  return columnNames(schemaOf(query)).filter((column) => !taken.has(column));
}

/** Which features there are, and what is said of each, as far as it has not been said. */
function featureOptions(
  view: ViewDefinition,
  given: {
    readonly names: readonly string[];
    readonly withDefault: ReadonlySet<string>;
    readonly withDescription: ReadonlySet<string>;
  },
) {
  const own = view.features.map(({ name, type, default: value, description }) => ({
    name,
    value: value === undefined || given.withDefault.has(name) ? undefined : plainOf(value, type),
    description: given.withDescription.has(name) ? undefined : description,
  }));
  const withDefault = own.filter(({ value }) => value !== undefined);
  const defaults = withDefault.length > 0 && {
    defaults: Object.fromEntries(withDefault.map(({ name, value }) => [name, value])),
  };
  if (own.some(({ description }) => description !== undefined)) {
    const features = own.map(({ name, description }) => [name, description === undefined ? true : { description }]);
    return { features: Object.fromEntries(features), ...defaults };
  }
  const isAll = own.length === given.names.length && own.every(({ name }) => given.names.includes(name));
  return { ...(!isAll && { features: own.map(({ name }) => name) }), ...defaults };
}
