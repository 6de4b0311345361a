/** An append-only log of changes in the object store, folded into a state: what registries are made of. */
import { clearTimeout, setTimeout } from "node:timers";
import { setTimeout as sleep } from "node:timers/promises";
import { VarveError } from "../errors.ts";
import type { ObjectStore } from "../storage/object_store.ts";
import { type Clock, formatTimestamp } from "../time.ts";
import { changeFormat, type CheckAction, encodeChange, logKey } from "./change_entry.ts";
import { type LogPlace, readChange, readChangesAfter, readRevisions } from "./log_reader.ts";
import type { Change } from "./state.ts";

/** What every folded state says of itself. */
export interface LogState {
  /** Number of the last change; 0 before the first. */
  readonly revision: number;
}

/** What a log is opened with. */
export interface ChangeLogOptions<A, S extends LogState> {
  /** Where the log is kept. */
  readonly store: ObjectStore;
  /** Whose log it is: the first part of its entries' keys. */
  readonly owner: string;
  /** How errors name it: `the registry of workspace "prod"`. */
  readonly title: string;
  /** Who makes changes. */
  readonly author: string;
  /** Says when changes are made. */
  readonly clock: Clock;
  /** Throws when a stored action is torn or of a newer varve. */
  readonly checkAction: CheckAction;
  /** The state before the first change. */
  readonly empty: S;
  /** The state after one more change. */
  readonly fold: (state: S, change: Change<A>) => S;
  /** Makes the id of a change, by which a writer knows its own entry again. @default crypto.randomUUID */
  readonly newId?: (() => string) | undefined;
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

/** How a log is watched. */
export interface WatchOptions {
  /** How often to look, in milliseconds. @default 2000 */
  readonly pollMs?: number;
  /** Stops watching. */
  readonly signal?: AbortSignal;
  /** Told when the log cannot be read; watching goes on. */
  readonly onError?: (error: unknown) => void;
}

/** Told the newest state and the changes that led there. */
export type LogListener<A, S> = (state: S, changes: readonly Change<A>[]) => void;

/**
 * The actions of a change, made for the newest state and the changes of others since the revision that was expected; undefined
 * when nothing is to be done. Asked again for every race that was lost; what it throws ends the commit.
 */
export type MakeActions<A, S> = (state: S, others: readonly Change<A>[]) => readonly A[] | undefined;

/** Losing this many races in a row means that something is wrong. */
const maxAttempts = 100;

/** See the file's sentence. Nothing is read or written by making one. */
export class ChangeLog<A, S extends LogState> {
  readonly #options: ChangeLogOptions<A, S>;
  readonly #place: LogPlace;
  readonly #listeners = new Set<LogListener<A, S>>();
  #state: S;
  #loaded = false;
  #reading: Promise<S> | undefined;
  #nextReading: Promise<S> | undefined;
  #committing: Promise<unknown> = Promise.resolve();

  constructor(options: ChangeLogOptions<A, S>) {
    this.#options = options;
    this.#place = options;
    this.#state = options.empty;
  }

  /** The state as it was read last, without asking the store. */
  get cached(): S {
    return this.#state;
  }

  /** The newest state. Costs one look for the next entry when nothing has changed. */
  async state(signal?: AbortSignal): Promise<S> {
    signal?.throwIfAborted();
    const state = await this.#read();
    signal?.throwIfAborted();
    return state;
  }

  /** Changes by their revisions, which must exist. */
  async changes(revisions: readonly number[], signal?: AbortSignal): Promise<Change<A>[]> {
    return await readRevisions(this.#place, revisions, signal);
  }

  /** Appends a change; undefined when there was nothing to do. One at a time per process: racing with oneself only costs round trips. */
  append(make: MakeActions<A, S>, options: CommitOptions = {}): Promise<Change<A> | undefined> {
    const turn = this.#committing.then(() => this.#append(make, options));
    this.#committing = turn.catch(() => undefined);
    return turn;
  }

  /**
   * Calls the listener for every change that comes, until the signal or the returned function stops it. Changes that were read
   * already are not told again. Does not keep a process alive.
   */
  watch(listener: LogListener<A, S>, options: WatchOptions = {}): () => void {
    const { pollMs = 2000, signal, onError = () => undefined } = options;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stopped = false;
    const stop = () => {
      stopped = true;
      clearTimeout(timer);
      this.#listeners.delete(guarded);
      signal?.removeEventListener("abort", stop);
    };
    const guarded: LogListener<A, S> = (state, changes) => {
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
  #read(): Promise<S> {
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

  async #refresh(): Promise<S> {
    const before = this.#state.revision;
    const changes: Change<A>[] = [];
    if (this.#loaded) {
      const next = await readChange<A>(this.#place, before + 1);
      if (next === undefined) return this.#state;
      changes.push(next);
    }
    changes.push(...await readChangesAfter<A>(this.#place, before + changes.length));
    this.#state = changes.reduce(this.#options.fold, this.#state);
    this.#loaded = true;
    if (changes.length > 0) { for (const listener of [...this.#listeners]) listener(this.#state, changes); }
    return this.#state;
  }

  async #append(make: MakeActions<A, S>, options: CommitOptions): Promise<Change<A> | undefined> {
    const { signal, reason = "" } = options;
    const { title, author, clock, newId = () => crypto.randomUUID() } = this.#options;
    const id = newId();
    const others: Change<A>[] = [];
    const base = options.expectedRevision ?? (await this.state(signal)).revision;
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const state = await this.state(signal);
      others.push(...await this.#between(base + others.length, state.revision, signal));
      const mine = others.find((change) => change.id === id);
      if (mine) return mine; // an earlier try whose answer was lost arrived after all
      const actions = make(state, others);
      if (actions === undefined) return undefined;
      if (actions.length === 0) throw new VarveError("INVALID_REQUEST", "Cannot commit a change without actions");
      const at = formatTimestamp(clock.now());
      const change = { format: changeFormat, revision: state.revision + 1, id, author, at, reason, actions } as const;
      if (await this.#put(change, signal)) {
        await this.state(signal);
        return change;
      }
      await sleep(Math.random() * Math.min(5 * attempt, 100), undefined, signal ? { signal } : {});
    }
    throw new VarveError("CONFLICT", `Cannot commit to ${title}: ${maxAttempts} others came first; try again`);
  }

  /** True when the entry is this change, even if the answer of an earlier try was lost. */
  async #put(change: Change<A>, signal?: AbortSignal): Promise<boolean> {
    const { store, owner } = this.#options;
    let failure: unknown;
    try {
      const result = await store.putIfAbsent(logKey(owner, change.revision), encodeChange(change), signal);
      if (result === "created") return true;
    } catch (error) {
      failure = error;
    }
    const stored = await readChange<A>(this.#place, change.revision).catch((error) => {
      throw failure ?? error;
    });
    if (stored === undefined && failure !== undefined) throw failure;
    return stored?.id === change.id;
  }

  async #between(from: number, to: number, signal?: AbortSignal): Promise<Change<A>[]> {
    if (to < from) {
      throw new VarveError(
        "CONFLICT",
        `Cannot commit to ${this.#options.title}: it is at revision ${to}, the change was made for ${from}; plan again`,
      );
    }
    return await this.changes(Array.from({ length: to - from }, (_, i) => from + 1 + i), signal);
  }
}
