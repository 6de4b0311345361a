/** The registry of one workspace: an append-only log of changes in the object store, folded into a state. */
import type { Definition } from "../define/definitions.ts";
import { checkOptions, type Issue, type OptionNames, VarveError } from "../errors.ts";
import { nameProblem } from "../schema.ts";
import type { ObjectStore } from "../storage/object_store.ts";
import type { Clock } from "../time.ts";
import { checkAction } from "./change_entry.ts";
import { ChangeLog, type CommitOptions, type LogListener, type WatchOptions } from "./change_log.ts";
import { emptyState, fold } from "./fold.ts";
import type { Plan } from "./plan.ts";
import { planChanges, type PlanContext } from "./plan_changes.ts";
import { promotion, rollbackActions } from "./pointer.ts";
import { checkRebase } from "./rebase.ts";
import type { Action, Change, RegistryState } from "./state.ts";
import { touchedNames } from "./touched.ts";

export type { CommitOptions, WatchOptions } from "./change_log.ts";

/** What a registry is opened with. */
export interface RegistryOptions {
  /** Where the log is kept. */
  readonly store: ObjectStore;
  /** Whose log it is. */
  readonly workspace: string;
  /** Who makes changes: shown in the history and to whoever loses a race. */
  readonly author: string;
  /** Says when changes are made. */
  readonly clock: Clock;
  /** Makes the id of a change, by which a writer knows its own entry again. @default crypto.randomUUID */
  readonly newId?: () => string;
}

/** What a plan made by a registry needs beside the definitions. */
export type PlanOptions = Pick<PlanContext, "delete" | "estimate" | "reason">;

/** How a pointer is moved back. */
export interface RollbackOptions extends Pick<CommitOptions, "reason" | "signal"> {
  /** Done before the pointers of views move, for where they go: until then everything serves as it did, also when it fails. */
  readonly before?: (targets: readonly ServeAction[]) => Promise<void>;
}

/** Where the pointer of a view goes. */
export type ServeAction = Extract<Action, { readonly kind: "serve" }>;

/** Which part of the history to read. */
export interface HistoryOptions {
  /** How many changes at most. @default 50 */
  readonly limit?: number;
  /** Only changes of this: `x` (anything of that name), `view:x`, `entity:x` or `service:x`. */
  readonly name?: string;
  /** Gives up. */
  readonly signal?: AbortSignal;
}

const historyOptions: OptionNames<HistoryOptions> = { limit: true, name: true, signal: true };

/** Told the newest state and the changes that led there. */
export type RegistryListener = LogListener<Action, RegistryState>;

/** Opens the registry of a workspace; nothing is read or written yet. A workspace comes to be with its first change. */
export function openRegistry(options: RegistryOptions): Registry {
  return new Registry(options);
}

/** See {@link openRegistry}. */
export class Registry {
  /** Whose registry it is. */
  readonly workspace: string;
  /** Who makes changes through it. */
  readonly author: string;
  readonly #clock: Clock;
  readonly #log: ChangeLog<Action, RegistryState>;

  /** See {@link openRegistry}. */
  constructor(options: RegistryOptions) {
    const problem = nameProblem(options.workspace);
    if (problem !== undefined) {
      throw new VarveError("INVALID_REQUEST", `Cannot open workspace ${JSON.stringify(options.workspace)}: ${problem}`);
    }
    this.workspace = options.workspace;
    this.author = options.author;
    this.#clock = options.clock;
    this.#log = new ChangeLog({
      ...options,
      owner: options.workspace,
      title: `the registry of workspace "${options.workspace}"`,
      checkAction,
      empty: emptyState,
      fold,
    });
  }

  /** The state as it was read last, without asking the store. Revision 0 until `state()` was called. */
  get cached(): RegistryState {
    return this.#log.cached;
  }

  /** The newest state. Costs one look for the next entry when nothing has changed. */
  state(signal?: AbortSignal): Promise<RegistryState> {
    return this.#log.state(signal);
  }

  /**
   * Appends a change. When others committed since `expectedRevision`, the actions are put on top of theirs if they touch
   * other things and still fit; else CONFLICT tells who changed what.
   */
  async commit(actions: readonly Action[], options: CommitOptions = {}): Promise<Change> {
    const change = await this.#log.append((state, others) => {
      checkRebase(this.workspace, actions, state, others, false);
      return actions;
    }, options);
    return change!;
  }

  /**
   * Lets a version that is complete serve, unless that has happened already (then undefined). CONFLICT when the version is no
   * longer being built: another one replaced it.
   */
  async promote(
    view: string,
    version: number,
    options: { reason?: string; signal?: AbortSignal } = {},
  ): Promise<Change | undefined> {
    const reason = options.reason ?? `version ${version} is complete`;
    return await this.#log.append((state, others) => {
      const actions = promotion(state, view, version);
      if (actions) checkRebase(this.workspace, actions, state, others, true);
      return actions;
    }, { ...options, reason });
  }

  /**
   * Moves a view's pointer back at once: to the version that served before, or to the given one, which must have served. A realtime
   * view gets the definition of its version before, or of the given one, again, as a new version; a service its definition before.
   * Several are taken back in one change: what was changed together and fits only so. CONFLICT when others moved them meanwhile.
   */
  async rollback(
    names: string | readonly string[],
    version?: number,
    options: RollbackOptions = {},
  ): Promise<Change> {
    const { before, ...rest } = options;
    const several = typeof names === "string" ? [names] : [...new Set(names)];
    const planned = await this.state(options.signal);
    const actions = rollbackActions(planned, several, version, this.#clock.now());
    const check = (state: RegistryState, others: readonly Change[]) => {
      try {
        checkRebase(this.workspace, actions, state, others, false);
      } catch (error) {
        throw togetherHint(error, several);
      }
    };
    check(planned, []);
    await before?.(actions.flatMap((action) => action.kind === "serve" ? [action] : []));
    const change = await this.#log.append((state, others) => {
      check(state, others);
      return actions;
    }, { reason: `rollback of ${several.join(", ")}`, ...rest, expectedRevision: planned.revision });
    return change!;
  }

  /** Plans what publishing definitions would change; applying the plan commits it here. */
  async plan(definitions: readonly Definition[], options: PlanOptions = {}): Promise<Plan> {
    return await planChanges(await this.state(), definitions, {
      ...options,
      now: this.#clock.now(),
      commit: (actions, commitOptions) => this.commit(actions, commitOptions),
    });
  }

  /** Changes, newest first. */
  async history(options: HistoryOptions = {}): Promise<Change[]> {
    checkOptions("Cannot read the history", options, historyOptions);
    const { limit = 50, name, signal } = options;
    const found: Change[] = [];
    let revision = (await this.state(signal)).revision;
    while (revision > 0 && found.length < limit) {
      const count = Math.min(revision, name === undefined ? limit - found.length : 64);
      const revisions = Array.from({ length: count }, (_, i) => revision - i);
      const changes = await this.#log.changes(revisions, signal);
      found.push(...changes.filter((change) => name === undefined || touches(change, name)));
      revision -= count;
    }
    return found.slice(0, limit);
  }

  /**
   * Calls the listener for every change that comes, until the signal or the returned function stops it. Changes that this
   * registry has read already are not told again. Does not keep a process alive.
   */
  watch(listener: RegistryListener, options: WatchOptions = {}): () => void {
    return this.#log.watch(listener, options);
  }
}

/** What was changed together fits together only. */
function togetherHint(error: unknown, names: readonly string[]): unknown {
  if (!(error instanceof VarveError) || error.code !== "INVALID_REQUEST") return error;
  const { issues = [] } = error.details as { issues?: readonly Issue[] };
  const others = issues.flatMap(({ path }) => /^(?:view|realtimeView|service):([\w-]+)/.exec(path)?.[1] ?? []);
  const all = [...new Set([...names, ...others])].join(" ");
  const message = `${error.message}\nName what was changed together in one rollback, as in \`varve rollback ${all}\``;
  return new VarveError(error.code, message, { cause: error, details: error.details });
}

function touches(change: Change, name: string): boolean {
  return touchedNames(change).some((touched) => touched === name || touched.slice(touched.indexOf(":") + 1) === name);
}
