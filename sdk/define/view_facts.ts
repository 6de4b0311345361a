/** What is known of a view beside its definition: where it stands in a store, and what it holds. For those who show it. */
import type { ViewDefinition } from "./definitions.ts";
import type { FeatureProfile, ViewProfile } from "./view_profile.ts";

/** Features of a view, and what was looked at to know what they hold. */
export interface ViewGlance {
  /** Each feature. */
  readonly features: readonly FeatureProfile[];
  /** How many rows of how many, and of when. */
  readonly looked: string;
}

/** See the file's sentence. */
export interface ViewFacts {
  /** Version, freshness and size, in words; or why nothing is said of its values. */
  readonly lines: readonly string[];
  /** What it holds, where that costs little. */
  readonly glance?: ViewGlance;
}

/** Looks a view up. */
export type FindViewFacts = (definition: ViewDefinition) => Promise<ViewFacts>;

let inStore: FindViewFacts | undefined;
let inSource: FindViewFacts | undefined;

/** Views are looked up in this store from now on; undefined: in none. */
export function useViewFacts(next: FindViewFacts | undefined): void {
  inStore = next;
}

/** While no store is connected, views are looked up like this. */
export function useSourceFacts(next: FindViewFacts): void {
  inSource = next;
}

/** What the store that was connected last knows of a view, or its source; undefined when no engine is installed. */
export async function viewFacts(definition: ViewDefinition): Promise<ViewFacts | undefined> {
  const found = await (inStore ?? inSource)?.(definition);
  if (found?.glance) glances.set(definition, found.glance);
  return found;
}

const glances = new WeakMap<ViewDefinition, ViewGlance>();

/** Keeps a profile for as long as the view is there. */
export function rememberProfile(definition: ViewDefinition, profile: ViewProfile): void {
  glances.set(definition, { features: profile.features, looked: profile.summary() });
}

/** What was seen last of a view. */
export function knownGlance(definition: ViewDefinition): ViewGlance | undefined {
  return glances.get(definition);
}
