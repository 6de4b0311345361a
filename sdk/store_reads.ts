/** Finds what a read is about in the registry, or takes it from the definition at hand. */
import type { AnyView } from "./define/definitions.ts";
import { RealtimeView } from "./define/realtime_view.ts";
import { FeatureService } from "./define/service.ts";
import { FeatureView } from "./define/view.ts";
import { VarveError } from "./errors.ts";
import { servedRealtimeView, servedService, servedView } from "./registry/fold.ts";
import type { RegistryState } from "./registry/state.ts";
import {
  type AnyRead,
  type DefinedRealtimeView,
  type DefinedView,
  type FindView,
  readOfRealtimeView,
  readOfView,
  readsOf,
} from "./retrieve/feature_read.ts";
import type { ServiceReader } from "./retrieve/service_reader.ts";
import { compileReads } from "./retrieve/online_realtime.ts";
import type { ViewState } from "./storage/online_store.ts";
import type { StoreParts } from "./store_parts.ts";
import { namesLike } from "./text.ts";

/** A service or a view, or the name of one that is registered. */
export type Readable = FeatureService | FeatureView | RealtimeView | string;

/** What the reads of a source or view are named in errors and caches. */
export function nameOf(readable: Readable): string {
  return typeof readable === "string" ? readable : readable.name;
}

/** What an error calls it: a service, a view or a realtime view. */
function titleOf(state: RegistryState, readable: Readable): string {
  const name = nameOf(readable);
  const isService = typeof readable === "string" ? servedService(state, name) : readable instanceof FeatureService;
  if (isService) return `service "${name}"`;
  return `${servedRealtimeView(state, name) ? "realtime view" : "view"} "${name}"`;
}

/** The views and features that a training read joins. From the source, definitions at hand need not be registered. */
export function readsFor(state: RegistryState, readable: Readable, from: "offline" | "source"): AnyRead[] {
  if (from === "source" && typeof readable !== "string") return sourceReads(readable);
  const find: FindView = (view) =>
    from === "source"
      ? newestView(state, view) ?? newestRealtimeView(state, view)
      : servedView(state, view) ?? servedRealtimeView(state, view);
  if (readable instanceof FeatureService) return readsOf(readable.definition, find);
  const name = nameOf(readable);
  if (typeof readable === "string") {
    const newest = Object.hasOwn(state.services, name) ? state.services[name] : undefined;
    const service = from === "source" ? newest : servedService(state, name);
    if (service) return readsOf(service, find);
  }
  const realtime = from === "source" ? newestRealtimeView(state, name) : servedRealtimeView(state, name);
  if (realtime) return [readOfRealtimeView(realtime, find)];
  const view = from === "source" ? newestView(state, name) : requireView(state, name, typeof readable !== "string");
  if (view) return [readOfView(view)];
  throw unknown(state, name);
}

function sourceReads(readable: FeatureService | FeatureView | RealtimeView): AnyRead[] {
  if (readable instanceof FeatureView) return [readOfView({ definition: readable.definition, version: 0 })];
  const views: readonly AnyView[] = readable instanceof RealtimeView
    ? readable.views
    : [...readable.views, ...readable.inputs];
  const find: FindView = (name) => {
    const definition = views.find((view) => view.name === name);
    return definition && { definition, version: 0 } as ReturnType<FindView>;
  };
  return readable instanceof RealtimeView
    ? [readOfRealtimeView({ definition: readable.definition, version: 0 }, find)]
    : readsOf(readable.definition, find);
}

/** The version of a view that reads use; NOT_FOUND says why there is none. */
export function requireView(state: RegistryState, name: string, isDefined = false): DefinedView {
  const view = servedView(state, name);
  if (view) return view;
  if (!Object.hasOwn(state.views, name)) throw isDefined ? unpublished(name) : unknown(state, name);
  throw new VarveError(
    "NOT_FOUND",
    `Cannot read view "${name}": its first version is not complete yet; wait for its backfill, or give { from: "source" }`,
    { details: { view: name } },
  );
}

/** The version that was published last, complete or not. */
export function newestView(state: RegistryState, name: string): DefinedView | undefined {
  return Object.hasOwn(state.views, name) ? state.views[name]!.versions.at(-1) : undefined;
}

/** The version of a realtime view that was published last. */
export function newestRealtimeView(state: RegistryState, name: string): DefinedRealtimeView | undefined {
  return Object.hasOwn(state.realtimeViews, name) ? state.realtimeViews[name]!.versions.at(-1) : undefined;
}

function unpublished(name: string): VarveError {
  return new VarveError(
    "NOT_FOUND",
    `Cannot read view "${name}": it is not published; publish it and wait for its backfill (training and previews need not wait: { from: "source" })`,
    { details: { view: name } },
  );
}

function unknown(state: RegistryState, name: string): VarveError {
  const list = (names: string[]) => namesLike(name, names);
  return new VarveError(
    "NOT_FOUND",
    `Cannot read "${name}": services are ${list(Object.keys(state.services))}; views are ${
      list([...Object.keys(state.views), ...Object.keys(state.realtimeViews)])
    }`,
    { details: { name } },
  );
}

/** Readers of services online, compiled once per definition; loads are looked up at every request. */
export class OnlineReaders {
  readonly #parts: StoreParts;
  #readers = new Map<string, ServiceReader>();
  #revision = -1;
  #states = new Map<string, ViewState>();

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  /** A reader that knows the newest definitions and loads. */
  async reader(readable: Readable): Promise<ServiceReader> {
    // The registry first: what it says serves now was loaded before, so the states that follow know it.
    const state = await this.#parts.registry.state();
    const online = await this.#parts.online();
    this.#states = new Map((await online.states()).map((each) => [`${each.view}/${each.version}`, each]));
    if (state.revision !== this.#revision) this.#readers = new Map();
    this.#revision = state.revision;
    const key = typeof readable === "string" ? readable : JSON.stringify(readable.definition);
    let reader = this.#readers.get(key);
    if (!reader) {
      const reads = readsFor(state, readable, "offline");
      const find = (view: string, version: number) => this.#states.get(`${view}/${version}`);
      reader = compileReads(nameOf(readable), reads, online, find, {
        title: titleOf(state, readable),
        functions: this.#parts.functions,
      });
      this.#readers.set(key, reader);
    }
    return reader;
  }
}
