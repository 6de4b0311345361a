/** Reads of loose features, named by view and feature instead of by a service. */
import { VarveError } from "../errors.ts";
import { servedRealtimeView, servedView } from "../registry/fold.ts";
import type { RegistryState } from "../registry/state.ts";
import { namesLike } from "../text.ts";
import { type AnyRead, type FindView, readOfRealtimeView, readOfView } from "./feature_read.ts";

/** One feature of a view. */
export interface FeatureRef {
  /** The view. */
  readonly view: string;
  /** The feature of it. */
  readonly feature: string;
}

/** The reads of these features, by the versions that serve: views in the order they are first named in. */
export function readsOfRefs(refs: readonly FeatureRef[], state: RegistryState): AnyRead[] {
  const reads = new Map<string, AnyRead & { readonly features: { feature: string; as: string }[] }>();
  for (const { view, feature } of refs) {
    let read = reads.get(view);
    const whole = read ?? readOf(view, state);
    const known: readonly { readonly name: string }[] = whole.definition.features;
    if (!known.some(({ name }) => name === feature)) {
      throw new VarveError(
        "NOT_FOUND",
        `Cannot read feature ${JSON.stringify(feature)} of view "${view}" version ${whole.version}: its features are ${
          known.map(({ name }) => name).join(", ")
        }`,
        { details: { view, feature } },
      );
    }
    if (!read) reads.set(view, read = { ...whole, features: [] });
    read.features.push({ feature, as: feature });
  }
  return [...reads.values()];
}

function readOf(name: string, state: RegistryState): AnyRead {
  const find: FindView = (view) => servedView(state, view) ?? servedRealtimeView(state, view);
  const stored = servedView(state, name);
  if (stored) return readOfView(stored);
  const realtime = servedRealtimeView(state, name);
  if (realtime) return readOfRealtimeView(realtime, find);
  const names = [...Object.keys(state.views), ...Object.keys(state.realtimeViews)];
  const why = Object.hasOwn(state.views, name)
    ? "it has no version that is complete; wait for its backfill"
    : `views are ${namesLike(name, names)}`;
  throw new VarveError("NOT_FOUND", `Cannot read view ${JSON.stringify(name)}: ${why}`, { details: { view: name } });
}
