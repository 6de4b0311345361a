/** The composition root: opens a store, embedded or of a cluster, from a few options. */
import "./engine/install.ts";
import { type Issue, optionIssues, type OptionNames, throwIssues } from "./errors.ts";
import { placeOptions, s3Settings } from "./places.ts";
import { functionSettings } from "./sandbox/runner_options.ts";
import { Store } from "./store.ts";
import { type ConnectOptions, StoreParts } from "./store_parts.ts";

export type { ConnectOptions } from "./store_parts.ts";

const connectOptions: OptionNames<ConnectOptions> = {
  ...placeOptions,
  path: true,
  author: true,
  clock: true,
  memoryLimit: true,
  threads: true,
  queue: true,
  functions: true,
  concurrency: true,
};

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
  return await open(options, (parts) => parts.objects.probe());
}

/**
 * Opens a feature store for who reads it, or makes room in it. Storage is not tried, as that would write: a disk may be full, and
 * whoever only reads cannot lose a race.
 */
export async function connectToRead(options: ConnectOptions = {}): Promise<Store> {
  return await open(options, () => Promise.resolve());
}

async function open(options: ConnectOptions, check: (parts: StoreParts) => Promise<void>): Promise<Store> {
  throwIssues("Cannot connect", connectIssues(options), "INVALID_CONFIG");
  const parts = new StoreParts(options);
  try {
    await check(parts);
    // Better now than in the middle of the first backfill.
    if (options.redis !== undefined) await (await parts.online()).ping();
    return new Store(parts);
  } catch (error) {
    await parts.close();
    throw error;
  }
}

/** A store in another place than was meant, or at another time, would be worse than none. */
function connectIssues(options: ConnectOptions): Issue[] {
  const inner = (name: string, given: object | undefined, names: Readonly<Record<string, true>>) =>
    optionIssues(given, names).map((issue) => ({ ...issue, path: `${name}.${issue.path}` }));
  const { clock } = options;
  return [
    ...optionIssues(options, connectOptions),
    ...inner("s3", options.s3, s3Settings),
    ...inner("functions", options.functions, functionSettings),
    ...clock === undefined || typeof clock.now === "function" ? [] : [{
      path: "clock",
      message:
        'it is no clock; give one that stands, as in new ManualClock("2001-02-01"), or none for that of the computer',
    }],
  ];
}
