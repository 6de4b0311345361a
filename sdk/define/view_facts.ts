/** What is known of a view beside its definition: where it stands in a store, and what it holds. For those who show it. */
import type { ViewDefinition } from "./definitions.ts";
import type { ViewProfile } from "./view_profile.ts";

/** See the file's sentence. */
export interface ViewFacts {
  /** Version, freshness and size, in words. */
  readonly lines: readonly string[];
  /** What it holds, where that is known or costs little. */
  readonly profile?: ViewProfile;
}

/** Looks a view up in a store. */
export type FindViewFacts = (definition: ViewDefinition) => Promise<ViewFacts>;

let find: FindViewFacts | undefined;

/** Views are looked up in this store from now on; undefined: in none. */
export function useViewFacts(next: FindViewFacts | undefined): void {
  find = next;
}

/** What the store that was connected last knows of a view; undefined when none is. */
export function viewFacts(definition: ViewDefinition): Promise<ViewFacts> | undefined {
  return find?.(definition);
}

const profiles = new WeakMap<ViewDefinition, ViewProfile>();

/** Keeps a profile for as long as the view is there. */
export function rememberProfile(definition: ViewDefinition, profile: ViewProfile): void {
  profiles.set(definition, profile);
}

/** The profile that was made last of a view. */
export function knownProfile(definition: ViewDefinition): ViewProfile | undefined {
  return profiles.get(definition);
}
