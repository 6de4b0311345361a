/** The workspaces of one object store: each is a folder with a registry. */
import { VarveError } from "../errors.ts";
import { nameProblem } from "../schema.ts";
import type { ObjectStore } from "../storage/object_store.ts";
import { checkAction, logKey } from "./change_entry.ts";
import { currentVersion, emptyState, fold } from "./fold.ts";
import { readChangesAfter } from "./log_reader.ts";
import type { Action } from "./state.ts";

/** How a workspace is deleted. */
export interface DeleteWorkspaceOptions {
  /** Also when views of it have `preventDestroy`. @default false */
  readonly force?: boolean;
  /** Stops between two deletions. */
  readonly signal?: AbortSignal;
}

/** The names of the workspaces in a store, in order. */
export async function listWorkspaces(store: ObjectStore, signal?: AbortSignal): Promise<string[]> {
  const names: string[] = [];
  let after: string | undefined;
  for (;;) {
    const first = await firstKey(store, after, signal);
    if (first === undefined) return names;
    const name = first.split("/")[0]!;
    if (first.includes("/") && nameProblem(name) === undefined && await store.head(logKey(name, 1), signal)) {
      names.push(name);
    }
    // "0" comes right after "/": the next key is of another folder.
    after = first.includes("/") ? `${name}0` : first;
  }
}

/**
 * Deletes a workspace: its data first, then its registry from the newest entry back, so that what is left after an
 * interruption is still a workspace that can be deleted. What is in the online store is not touched here.
 */
export async function deleteWorkspace(
  store: ObjectStore,
  workspace: string,
  options: DeleteWorkspaceOptions = {},
): Promise<void> {
  const { force = false, signal } = options;
  const problem = nameProblem(workspace);
  if (problem !== undefined) {
    throw new VarveError("INVALID_REQUEST", `Cannot delete workspace ${JSON.stringify(workspace)}: ${problem}`);
  }
  const changes = await readChangesAfter<Action>({ store, owner: workspace, checkAction }, 0, signal);
  if (changes.length === 0) {
    const names = (await listWorkspaces(store, signal)).join(", ") || "none";
    throw new VarveError(
      "NOT_FOUND",
      `Cannot delete workspace "${workspace}": it does not exist; workspaces are ${names}`,
    );
  }
  const state = changes.reduce(fold, emptyState);
  const kept = Object.values(state.views)
    .filter((view) => currentVersion(view)?.definition.preventDestroy)
    .map((view) => `"${view.name}"`);
  if (kept.length > 0 && !force) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot delete workspace "${workspace}": preventDestroy is set on view ${
        kept.join(", ")
      }; publish them without it, or use force`,
    );
  }
  const log = changes.map((change) => logKey(workspace, change.revision));
  const logKeys = new Set(log);
  let batch: string[] = [];
  for await (const info of store.list(`${workspace}/`, signal ? { signal } : {})) {
    if (!logKeys.has(info.key)) batch.push(info.key);
    if (batch.length >= 1000) {
      await store.delete(batch, signal);
      batch = [];
    }
  }
  await store.delete(batch, signal);
  for (const key of log.reverse()) await store.delete([key], signal);
}

async function firstKey(
  store: ObjectStore,
  after: string | undefined,
  signal?: AbortSignal,
): Promise<string | undefined> {
  for await (
    const info of store.list("", { ...(after === undefined ? {} : { after }), ...(signal ? { signal } : {}) })
  ) return info.key;
  return undefined;
}
