/** Serves a store from the process that has it open: a notebook, a test, a small program. */
import { systemClock } from "varve";
import type { Store } from "varve";
import { readConfig } from "../config.ts";
import { createLogger } from "../log.ts";
import { packageVersion } from "../version.ts";
import { openServer } from "./open_server.ts";
import type { RunningServer } from "./server.ts";

/** How a store is served. */
export interface ServeOptions {
  /** Where it listens; 0 is any free port. @default 0 */
  readonly port?: number;
  /** What it writes on standard error. @default "silent" */
  readonly logLevel?: "debug" | "info" | "warn" | "error" | "silent";
}

/** A server of a store that this process has open. */
export interface StoreServer extends RunningServer {
  /** Looks for changes of the store now; by itself it does so twice a second. */
  refresh(): Promise<void>;
}

/** The event loop is the program's: its computations are no reason to send requests away. */
const anyLagMs = 600_000;

/**
 * Starts the HTTP server on a store that is open, with the store's own clock: step the clock, and the server answers as of then. It
 * asks for no API key and answers this computer alone; `varve serve` is for everybody else. Close it before the store.
 *
 * @example
 * ```ts
 * import { connect } from "varve";
 * import { featureClient } from "varve/client";
 * import { serve } from "@varve/cluster";
 *
 * const store = await connect();
 * const server = await serve(store);
 * const client = featureClient({ url: server.url });
 * console.log(typeof client.features);
 * await server.close();
 * await store.close();
 * ```
 */
export async function serve(store: Store, options: ServeOptions = {}): Promise<StoreServer> {
  const { places, clock } = store;
  const { port = 0, logLevel = "silent" } = options;
  // What the environment says is for processes of their own; this one has been told where its store is.
  const defaults = readConfig({ env: {} });
  const server = await openServer({
    config: {
      ...defaults,
      ...places,
      storage: places.storage ?? defaults.storage,
      workspace: store.workspace,
      s3: places.s3 ?? {},
      cacheFolder: places.cacheFolder ?? defaults.cacheFolder,
      cacheBytes: places.cacheBytes ?? defaults.cacheBytes,
      functions: { ...defaults.functions, ...store.functions },
      clock,
      server: { ...defaults.server, host: "127.0.0.1", port, maxLoopLagMs: anyLagMs },
    },
    auth: false,
    keysClock: systemClock,
    version: packageVersion(),
    logger: createLogger("server", logLevel),
  });
  let closed: Promise<void> | undefined;
  const close = async () => {
    try {
      await server.close();
    } finally {
      await server.release();
    }
  };
  return {
    url: server.url,
    refresh: () => server.refresh(),
    close: () => closed ??= close(),
  };
}
