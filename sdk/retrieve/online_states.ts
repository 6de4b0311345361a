/** What the online store serves of each view version, kept in memory: requests ask it, a poll moves it. */
import type { OnlineStore, ViewState } from "../storage/online_store.ts";

/** States of all view versions as of the last refresh. Replaced as a whole, so that a request sees one moment. */
export class OnlineStates {
  readonly #store: OnlineStore;
  #states: ReadonlyMap<string, ViewState> = new Map();
  #running: Promise<void> | undefined;

  constructor(store: OnlineStore) {
    this.#store = store;
  }

  /** Reads the states again. When the store does not answer, the states of before stay, and the error is the caller's. */
  refresh(): Promise<void> {
    this.#running ??= this.#store.states()
      .then((states) => {
        this.#states = new Map(states.map((state) => [key(state.view, state.version), state]));
      })
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  /** The state of a view version; undefined when nothing of it was ever loaded. */
  readonly find = (view: string, version: number): ViewState | undefined => this.#states.get(key(view, version));
}

function key(view: string, version: number): string {
  return `${view}/${version}`;
}
