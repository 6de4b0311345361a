/** Moves pointers back, once what they go back to can serve. */
import { VarveError } from "./errors.ts";
import { withProgress } from "./notebook/shown_progress.ts";
import type { ServeAction } from "./registry/registry.ts";
import type { Change } from "./registry/state.ts";
import { makeReady, type WaitOptions } from "./store_jobs.ts";
import type { StoreParts } from "./store_parts.ts";

/** Loads online what is lost of the versions that are to serve, then moves the pointers in one change; shows how far it is. */
export async function rollBack(
  parts: StoreParts,
  names: readonly string[],
  version: number | undefined,
  options: WaitOptions,
): Promise<Change> {
  return await withProgress(options, (followed) =>
    parts.registry.rollback(names, version, {
      ...(followed.signal && { signal: followed.signal }),
      before: async (targets) => {
        try {
          await makeReady(parts, targets, followed);
        } catch (error) {
          throw notReady(error, targets);
        }
      },
    }));
}

function notReady(error: unknown, targets: readonly ServeAction[]): unknown {
  if (!(error instanceof VarveError)) return error;
  const versions = targets.map(({ view, version }) => `view "${view}" to version ${version}`).join(", ");
  return new VarveError(
    error.code,
    `Cannot roll back ${versions}: loading online did not end well, and what served serves on; roll back again when it can be loaded: ${error.message}`,
    { cause: error, details: error.details },
  );
}
