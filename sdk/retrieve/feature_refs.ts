/** Reads of loose features, named by view and feature instead of by a service. */
import { VarveError } from "../errors.ts";
import type { RegisteredView } from "../registry/state.ts";
import type { FeatureRead } from "./feature_read.ts";

/** One feature of a view. */
export interface FeatureRef {
  /** The view. */
  readonly view: string;
  /** The feature of it. */
  readonly feature: string;
}

/** The reads of these features, by the versions that serve: views in the order they are first named in. */
export function readsOfRefs(
  refs: readonly FeatureRef[],
  views: Readonly<Record<string, RegisteredView>>,
): FeatureRead[] {
  const reads = new Map<string, FeatureRead & { readonly features: { feature: string; as: string }[] }>();
  for (const { view, feature } of refs) {
    let read = reads.get(view);
    if (!read) reads.set(view, read = { ...servingVersion(view, views), alias: view, features: [], joinKeyMap: {} });
    const known = read.definition.features;
    if (!known.some(({ name }) => name === feature)) {
      throw new VarveError(
        "NOT_FOUND",
        `Cannot read feature ${JSON.stringify(feature)} of view "${view}" version ${read.version}: its features are ${
          known.map(({ name }) => name).join(", ")
        }`,
        { details: { view, feature } },
      );
    }
    read.features.push({ feature, as: feature });
  }
  return [...reads.values()];
}

function servingVersion(
  name: string,
  views: Readonly<Record<string, RegisteredView>>,
): Pick<FeatureRead, "definition" | "version"> {
  const view = Object.hasOwn(views, name) ? views[name] : undefined;
  const version = view?.versions.find((each) => each.version === view.serving);
  if (version) return { definition: version.definition, version: version.version };
  const state = view
    ? "it has no version that is complete; wait for its backfill"
    : `views are ${Object.keys(views).join(", ") || "none"}`;
  throw new VarveError("NOT_FOUND", `Cannot read view ${JSON.stringify(name)}: ${state}`, { details: { view: name } });
}
