/** What `publish` hands definitions to: the store that `connect` gives, seen from above. */
import type { Definition } from "./definitions.ts";

/** How something is published. */
export interface PublishOptions {
  /** Why, in words; kept in the history. */
  readonly reason?: string;
}

/** Plans what publishing definitions would change. */
export interface PublishTarget<P> {
  publish(definitions: readonly Definition[], options?: PublishOptions): P;
}
