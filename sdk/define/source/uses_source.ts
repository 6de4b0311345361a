/** Services and realtime views as people write them: what they read of other views, and what they say of themselves. */
import { canonicalJson } from "../../frame/hash.ts";
import { hashOfSource } from "../../sandbox/function_source.ts";
import type {
  AnyView,
  Descriptive,
  RealtimeFunction,
  RealtimeViewDefinition,
  ServiceDefinition,
  ServiceView,
} from "../definitions.ts";
import { sourceLines } from "../realtime_text.ts";
import { ViewSelection } from "../selection.ts";
import { ExprWriter } from "./expr_source.ts";
import { callDoc, chainDoc, type Doc, hardLine, listDoc } from "./layout.ts";
import type { ModuleNames } from "./names.ts";
import { cannotWrite, dataDoc, fieldsDoc, plainOf, textCode, typeDoc } from "./values.ts";

/** Description, owner and tags, as far as there are any. */
export function said({ description, owner, tags }: Descriptive): Descriptive {
  return {
    ...(description !== undefined && { description }),
    ...(owner !== undefined && { owner }),
    ...(tags !== undefined && { tags }),
  };
}

/** An argument that is left out where it says nothing. */
export function optional(options: object, names: ModuleNames): Doc[] {
  return Object.keys(options).length > 0 ? [dataDoc(options, names)] : [];
}

/** A service, over views that are called so in the module. */
export function serviceDoc(
  service: ServiceDefinition,
  views: readonly AnyView[],
  called: ReadonlyMap<string, string>,
  names: ModuleNames,
): Doc {
  return callDoc(names.use("service"), [
    textCode(service.name),
    partsDoc(service.views, views, called, names),
    ...optional(said(service), names),
  ]);
}

/** A realtime view, over views that are called so in the module. */
export function realtimeDoc(
  view: RealtimeViewDefinition,
  views: readonly AnyView[],
  called: ReadonlyMap<string, string>,
  names: ModuleNames,
): Doc {
  const { request, from, features } = view;
  const defaults = features.filter((each) => each.default !== undefined)
    .map(({ name, type, default: value }) => [name, plainOf(value!, type)]);
  const descriptions = features.filter((each) => each.description !== undefined)
    .map(({ name, description }) => [name, description]);
  const rest = {
    ...(defaults.length > 0 && { defaults: Object.fromEntries(defaults) }),
    ...(descriptions.length > 0 && { descriptions: Object.fromEntries(descriptions) }),
    ...said(view),
  };
  return callDoc(names.use("realtimeView"), [
    textCode(view.name),
    fieldsDoc([
      ...(request.length === 0 ? [] : [
        ["request", fieldsDoc(request.map(({ name, type }) => [name, typeDoc(type, names)]))] as const,
      ]),
      ...(from.length === 0 ? [] : [["from", partsDoc(from, views, called, names)] as const]),
      ...computeDocs(view, names),
      ...Object.entries(rest).map(([name, value]) => [name, dataDoc(value, names)] as const),
    ]),
  ]);
}

function computeDocs({ compute, features }: RealtimeViewDefinition, names: ModuleNames): (readonly [string, Doc])[] {
  if (compute.kind === "function") {
    return [
      ["output", fieldsDoc(features.map(({ name, type }) => [name, typeDoc(type, names)]))],
      ["compute", functionDoc(compute)],
    ];
  }
  const exprs = new ExprWriter(names);
  return [["features", fieldsDoc(features.map(({ name }) => [name, exprs.expr(compute.expressions[name]!)]))]];
}

/** A function with the indentation of where it is written, unless that would change it: lines may be those of a text. */
function functionDoc(compute: RealtimeFunction): Doc {
  const lines = sourceLines(compute);
  // Any other indentation than its own tells.
  const isIndented = [lines, lines.map((line) => `  ${line}`)].every((each) =>
    hashOfSource(each.join("\n")) === compute.hash
  );
  return isIndented ? lines.map((line, i) => i === 0 ? line : [hardLine, line]) : compute.source;
}

function partsDoc(
  uses: readonly ServiceView[],
  views: readonly AnyView[],
  called: ReadonlyMap<string, string>,
  names: ModuleNames,
): Doc {
  return listDoc(uses.map((use) => {
    const view = views.find(({ name }) => name === use.view)!;
    return chainDoc(called.get(use.view)!, selectionLinks(use, view, names));
  }));
}

/** What is said of a use of a view: which features, under which names, looked up by what. */
function selectionLinks(use: ServiceView, view: AnyView, names: ModuleNames): Doc[] {
  const links: Doc[] = [];
  let selection = new ViewSelection(view);
  const wanted = use.features.map(({ feature }) => feature);
  if (wanted.join() !== view.features.map(({ name }) => name).join()) {
    selection = selection.select(...wanted);
    links.push(callDoc(".select", wanted.map(textCode)));
  }
  const [first] = use.features;
  const prefix = first!.as.endsWith(first!.feature) ? first!.as.slice(0, -first!.feature.length) : "";
  if (prefix !== "" && use.features.every(({ feature, as }) => as === prefix + feature)) {
    selection = selection.prefix(prefix);
    links.push(callDoc(".prefix", [textCode(prefix)]));
  } else {
    const renamed = Object.fromEntries(
      use.features.filter(({ feature, as }) => feature !== as).map(({ feature, as }) => [feature, as]),
    );
    if (Object.keys(renamed).length > 0) {
      selection = selection.rename(renamed);
      links.push(callDoc(".rename", [dataDoc(renamed, names)]));
    }
  }
  if (Object.keys(use.joinKeyMap).length > 0) {
    selection = selection.mapKeys(use.joinKeyMap);
    links.push(callDoc(".mapKeys", [dataDoc(use.joinKeyMap, names)]));
  }
  if (use.alias !== use.view) {
    selection = selection.as(use.alias);
    links.push(callDoc(".as", [textCode(use.alias)]));
  }
  if (canonicalJson(selection.use) === canonicalJson(use)) return links;
  throw cannotWrite(`the join keys of view "${use.view}" are mapped in a way that one call cannot say`);
}
