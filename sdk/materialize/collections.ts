/**
 * Collections of the online store from their birth to their end. Every collection has a note in the object store, so that
 * whatever a dead loader wrote, and whatever is served no more, is found and removed.
 */
import { VarveError } from "../errors.ts";
import type { ObjectStore } from "../storage/object_store.ts";
import type { Collection, OnlineStore, ViewState } from "../storage/online_store.ts";
import { type Clock, durationToMicros, formatTimestamp, toMicros } from "../time.ts";

/** A server may read a collection for this long after another one has taken its place. */
export const retireDelay = durationToMicros("5m");
/** A load that takes longer than this is taken for dead, and what it wrote for left over. */
export const loadLimit = durationToMicros("1d");

/** Where collections and their notes are kept. */
export interface CollectionsOptions {
  readonly objects: ObjectStore;
  readonly online: OnlineStore;
  readonly clock: Clock;
  readonly workspace: string;
}

/** How {@link Collections.sweep} removes. */
export interface SweepOptions {
  /** Remove every collection, also the one that is served: the version was deleted. @default false */
  readonly all?: boolean;
  readonly signal?: AbortSignal;
}

/** The collections of one view version. */
export class Collections {
  readonly #options: CollectionsOptions;
  readonly #view: string;
  readonly #version: number;

  constructor(options: CollectionsOptions, view: string, version: number) {
    this.#options = options;
    this.#view = view;
    this.#version = version;
  }

  /** A fresh collection, noted before anything is written to it. */
  async open(signal?: AbortSignal): Promise<Collection> {
    const { online, clock } = this.#options;
    const collection = await online.newCollection();
    await this.#note(collection, clock.now() + loadLimit, signal);
    return collection;
  }

  /** Whether nobody has removed the collection. */
  async isOpen(collection: Collection): Promise<boolean> {
    return await this.#options.objects.head(this.#key(collection)) !== undefined;
  }

  /** Another collection is served from now on; this one goes when no server can be reading it any more. */
  async retire(collection: Collection): Promise<void> {
    await this.#note(collection, this.#options.clock.now() + retireDelay);
  }

  /** Removes a collection that nobody reads. */
  async drop(collection: Collection, signal?: AbortSignal): Promise<number> {
    const dropped = await this.#options.online.drop(collection, signal);
    await this.#options.objects.delete([this.#key(collection)], signal);
    return dropped;
  }

  /** Removes collections that are not served and whose time has come; gives how many values went. */
  async sweep({ all = false, signal }: SweepOptions = {}): Promise<number> {
    const { objects, online, clock } = this.#options;
    let dropped = 0;
    for await (const { key } of objects.list(this.#folder(), signal ? { signal } : {})) {
      const collection = key.slice(this.#folder().length, -".json".length);
      const note = await objects.find(key, signal);
      if (note === undefined || (!all && removeAfter(note) > clock.now())) continue;
      // Looked up last: what is not served now and was opened long ago is never served again.
      const state = await online.state(this.#view, this.#version);
      if (all || state?.collection !== collection) dropped += await this.drop(collection, signal);
    }
    return dropped;
  }

  async #note(collection: Collection, removeAt: bigint, signal?: AbortSignal): Promise<void> {
    const note = { collection, view: this.#view, version: this.#version, removeAfter: formatTimestamp(removeAt) };
    await this.#options.objects.put(this.#key(collection), `${JSON.stringify(note)}\n`, signal);
  }

  #folder(): string {
    return `${this.#options.workspace}/online/${this.#view}/${this.#version}/`;
  }

  #key(collection: Collection): string {
    return `${this.#folder()}${collection}.json`;
  }
}

/** A note that cannot be read was written half: by a loader that died at its first step. */
function removeAfter(note: Uint8Array): bigint {
  try {
    const { removeAfter } = JSON.parse(new TextDecoder().decode(note)) as { removeAfter: string };
    return toMicros(removeAfter);
  } catch {
    return 0n;
  }
}

/** Changes a state by compare-and-set until nobody interferes; `next` gives undefined to leave it as it is. */
export async function changeState(
  store: OnlineStore,
  view: string,
  version: number,
  next: (state: ViewState | undefined) => ViewState | undefined,
): Promise<ViewState | undefined> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const state = await store.state(view, version);
    const wanted = next(state);
    if (wanted === undefined) return state;
    if (await store.setState(wanted, state)) return wanted;
  }
  throw new VarveError(
    "CONFLICT",
    `Cannot change the online state of view "${view}" version ${version}: others changed it 100 times meanwhile; try again`,
  );
}
