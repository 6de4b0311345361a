/** The composition root: opens a store, embedded or of a cluster, from a few options. */
import "./engine/install.ts";
import { Store } from "./store.ts";
import { type ConnectOptions, StoreParts } from "./store_parts.ts";

export type { ConnectOptions } from "./store_parts.ts";

/**
 * Opens a feature store. With nothing it is embedded: files and LMDB under `./.varve`, jobs run in this process. Several processes
 * may open the same one. Storage that could lose a race between writers is refused.
 *
 * @example
 * ```ts
 * import { connect } from "varve";
 * const store = await connect(); // or { storage: "s3://bucket/features", redis: "redis://localhost:6379", workspace: "team" }
 * console.log((await store.status()).views);
 * await store.close();
 * ```
 */
export async function connect(options: ConnectOptions = {}): Promise<Store> {
  const parts = new StoreParts(options);
  try {
    await parts.objects.probe();
    // Better now than in the middle of the first backfill.
    if (options.redis !== undefined) await (await parts.online()).ping();
    return new Store(parts);
  } catch (error) {
    await parts.close();
    throw error;
  }
}
