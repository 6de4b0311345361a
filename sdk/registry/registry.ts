/** The registry of one workspace: an append-only log of changes in the object store, folded into a state. */
import { clearTimeout, setTimeout } from "node:timers";
import { setTimeout as sleep } from "node:timers/promises";
import type { Definition } from "../define/definitions.ts";
import { VarveError } from "../errors.ts";
import { nameProblem } from "../schema.ts";
import type { ObjectStore } from "../storage/object_store.ts";
import { type Clock, formatTimestamp } from "../time.ts";
import { changeFormat, encodeChange, logKey } from "./change_entry.ts";
import { emptyState, fold } from "./fold.ts";
import type { Plan } from "./plan.ts";
import { planChanges, type PlanContext } from "./plan_changes.ts";
import { promotion, rollbackActions } from "./pointer.ts";
import { checkRebase } from "./rebase.ts";
import { readChange, readChangesAfter, readRevisions } from "./log_reader.ts";
import type { Action, Change, RegistryState } from "./state.ts";
import { touchedNames } from "./touched.ts";

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

/** How a change is committed. */
export interface CommitOptions {
  /** Why, in words. @default "" */
  readonly reason?: string;
  /** The revision that the actions were made for. @default the newest one */
  readonly expectedRevision?: number;
  /** Gives up before the change is written. */
  readonly signal?: AbortSignal;
}

/** What a plan made by a registry needs beside the definitions. */
export type PlanOptions = Pick<PlanContext, "delete" | "estimate" | "reason">;

/** Which part of the history to read. */
export interface HistoryOptions {
  /** How many changes at most. @default 50 */
  readonly limit?: number;
  /** Only changes of this: `x` (anything of that name), `view:x`, `entity:x` or `service:x`. */
  readonly name?: string;
  /** Gives up. */
  readonly signal?: AbortSignal;
}

/** How a registry is watched. */
export interface WatchOptions {
  /** How often to look, in milliseconds. @default 2000 */
  readonly pollMs?: number;
  /** Stops watching. */
  readonly signal?: AbortSignal;
  /** Told when the log cannot be read; watching goes on. */
  readonly onError?: (error: unknown) => void;
}

/** Told the newest state and the changes that led there. */
export type RegistryListener = (state: RegistryState, changes: readonly Change[]) => void;

/** Losing this many races in a row means that something is wrong. */
const maxAttempts = 100;

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
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  readonly #newId: () => string;
  readonly #listeners = new Set<RegistryListener>();
  #state: RegistryState = emptyState;
  #loaded = false;
  #reading: Promise<RegistryState> | undefined;
  #nextReading: Promise<RegistryState> | undefined;
  #committing: Promise<unknown> = Promise.resolve();

  /** See {@link openRegistry}. */
  constructor(options: RegistryOptions) {
    const problem = nameProblem(options.workspace);
    if (problem !== undefined) {
      throw new VarveError("INVALID_REQUEST", `Cannot open workspace ${JSON.stringify(options.workspace)}: ${problem}`);
    }
    this.workspace = options.workspace;
    this.author = options.author;
    this.#store = options.store;
    this.#clock = options.clock;
    this.#newId = options.newId ?? (() => crypto.randomUUID());
  }

  /** The state as it was read last, without asking the store. Revision 0 until `state()` was called. */
  get cached(): RegistryState {
    return this.#state;
  }

  /** The newest state. Costs one look for the next entry when nothing has changed. */
  async state(signal?: AbortSignal): Promise<RegistryState> {
    signal?.throwIfAborted();
    const state = await this.#read();
    signal?.throwIfAborted();
    return state;
  }

  /**
   * Appends a change. When others committed since `expectedRevision`, the actions are put on top of theirs if they touch
   * other things and still fit; else CONFLICT tells who changed what.
   */
  commit(actions: readonly Action[], options: CommitOptions = {}): Promise<Change> {
    return this.#inTurn(async () => {
      const change = await this.#append(() => actions, options);
      return change!;
    });
  }

  /**
   * Lets a version that is complete serve, unless that has happened already (then undefined). CONFLICT when the version is no
   * longer being built: another one replaced it.
   */
  promote(
    view: string,
    version: number,
    options: { reason?: string; signal?: AbortSignal } = {},
  ): Promise<Change | undefined> {
    const reason = options.reason ?? `version ${version} is complete`;
    return this.#inTurn(() =>
      this.#append((state) => promotion(state, view, version), { ...options, reason, judged: true })
    );
  }

  /** Moves a view's pointer back at once: to the version that served before, or to the given one, which must have served. */
  rollback(view: string, version?: number, options: { reason?: string; signal?: AbortSignal } = {}): Promise<Change> {
    return this.#inTurn(async () => {
      const actions = rollbackActions(await this.state(options.signal), view, version);
      const change = await this.#append(() => actions, {
        reason: `rollback of ${view}`,
        ...options,
        expectedRevision: this.#state.revision,
      });
      return change!;
    });
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
    const { limit = 50, name, signal } = options;
    const found: Change[] = [];
    let revision = (await this.state(signal)).revision;
    while (revision > 0 && found.length < limit) {
      const count = Math.min(revision, name === undefined ? limit - found.length : 64);
      const revisions = Array.from({ length: count }, (_, i) => revision - i);
      const changes = await readRevisions(this.#store, this.workspace, revisions, signal);
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
    const { pollMs = 2000, signal, onError = () => undefined } = options;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stopped = false;
    const stop = () => {
      stopped = true;
      clearTimeout(timer);
      this.#listeners.delete(guarded);
      signal?.removeEventListener("abort", stop);
    };
    const guarded: RegistryListener = (state, changes) => {
      try {
        listener(state, changes);
      } catch (error) {
        onError(error);
      }
    };
    const poll = () => {
      this.state().catch(onError).finally(() => {
        if (!stopped) timer = setTimeout(poll, pollMs).unref();
      });
    };
    if (signal?.aborted) return stop;
    signal?.addEventListener("abort", stop, { once: true });
    this.#listeners.add(guarded);
    poll();
    return stop;
  }

  /** Whoever asks while a read is under way shares the one after it, which begins after the question. */
  #read(): Promise<RegistryState> {
    if (this.#reading === undefined) {
      this.#reading = this.#refresh().finally(() => this.#reading = undefined);
      return this.#reading;
    }
    this.#nextReading ??= this.#reading.catch(() => undefined).then(() => {
      this.#nextReading = undefined;
      return this.#read();
    });
    return this.#nextReading;
  }

  async #refresh(): Promise<RegistryState> {
    const before = this.#state.revision;
    const changes: Change[] = [];
    if (this.#loaded) {
      const next = await readChange(this.#store, this.workspace, before + 1);
      if (next === undefined) return this.#state;
      changes.push(next);
    }
    changes.push(...await readChangesAfter(this.#store, this.workspace, before + changes.length));
    this.#state = changes.reduce(fold, this.#state);
    this.#loaded = true;
    if (changes.length > 0) { for (const listener of [...this.#listeners]) listener(this.#state, changes); }
    return this.#state;
  }

  /** One commit at a time per process: racing with oneself only costs round trips. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#committing.then(work);
    this.#committing = turn.catch(() => undefined);
    return turn;
  }

  async #append(
    actionsFor: (state: RegistryState) => readonly Action[] | undefined,
    options: AppendOptions,
  ): Promise<Change | undefined> {
    const { signal, reason = "" } = options;
    const id = this.#newId();
    const others: Change[] = [];
    const base = options.expectedRevision ?? (await this.state(signal)).revision;
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const state = await this.state(signal);
      others.push(...await this.#between(base + others.length, state.revision, signal));
      const mine = others.find((change) => change.id === id);
      if (mine) return mine; // an earlier try whose answer was lost arrived after all
      const actions = actionsFor(state);
      if (actions === undefined) return undefined;
      if (actions.length === 0) throw new VarveError("INVALID_REQUEST", "Cannot commit a change without actions");
      checkRebase(this.workspace, actions, state, others, options.judged ?? false);
      const at = formatTimestamp(this.#clock.now());
      const change: Change = {
        format: changeFormat,
        revision: state.revision + 1,
        id,
        author: this.author,
        at,
        reason,
        actions,
      };
      if (await this.#put(change, signal)) {
        await this.state(signal);
        return change;
      }
      await sleep(Math.random() * Math.min(5 * attempt, 100), undefined, signal ? { signal } : {});
    }
    throw new VarveError(
      "CONFLICT",
      `Cannot commit to the registry of workspace "${this.workspace}": ${maxAttempts} others came first; try again`,
    );
  }

  /** True when the entry is this change, even if the answer of an earlier try was lost. */
  async #put(change: Change, signal?: AbortSignal): Promise<boolean> {
    let failure: unknown;
    try {
      const result = await this.#store.putIfAbsent(
        logKey(this.workspace, change.revision),
        encodeChange(change),
        signal,
      );
      if (result === "created") return true;
    } catch (error) {
      failure = error;
    }
    const stored = await readChange(this.#store, this.workspace, change.revision).catch((error) => {
      throw failure ?? error;
    });
    if (stored === undefined && failure !== undefined) throw failure;
    return stored?.id === change.id;
  }

  async #between(from: number, to: number, signal?: AbortSignal): Promise<Change[]> {
    if (to < from) {
      throw new VarveError(
        "CONFLICT",
        `Cannot commit to the registry of workspace "${this.workspace}": it is at revision ${to}, the change was made for ${from}; plan again`,
      );
    }
    return await readRevisions(
      this.#store,
      this.workspace,
      Array.from({ length: to - from }, (_, i) => from + 1 + i),
      signal,
    );
  }
}

interface AppendOptions extends CommitOptions {
  /** The actions are made anew for every state, so that names need not be compared. */
  readonly judged?: boolean;
}

function touches(change: Change, name: string): boolean {
  return touchedNames(change).some((touched) => touched === name || touched.slice(touched.indexOf(":") + 1) === name);
}
