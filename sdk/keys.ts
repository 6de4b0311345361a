/** Opens the API keys of a store. Loads neither DuckDB nor Polars. */
import { openObjects } from "./places.ts";
import type { Places } from "./places.ts";
import { KeyRing } from "./registry/key_ring.ts";
import { systemClock } from "./time.ts";
import type { Clock } from "./time.ts";

/** How the API keys of a store are opened. */
export interface KeysOptions extends Places {
  /** Who creates, rotates and revokes. */
  readonly author: string;
  /** Says what time it is. @default the computer's clock */
  readonly clock?: Clock;
}

/** The API keys of a store, and how to let go of it. */
export interface OpenedKeys {
  /** The keys. */
  readonly ring: KeyRing;
  /** Releases the object store. */
  close(): Promise<void>;
}

/** Opens the API keys of a store, whichever workspace is named; nothing is read or written yet. */
export function openKeys(options: KeysOptions): OpenedKeys {
  const store = openObjects(options);
  const ring = new KeyRing({ store, author: options.author, clock: options.clock ?? systemClock });
  return { ring, close: () => store.close() };
}
