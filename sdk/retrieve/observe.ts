/** What online reads tell of themselves, for metrics. */
import type { OnlineStore } from "../storage/online_store.ts";
import type { AnswerStatus } from "./status.ts";

/** How many look-ups became what; `CUT` counts those that left out rows, since more are in reach than are kept online. */
export type LookupCounts = Partial<Record<AnswerStatus | "CUT", number>>;

/** Told of online reads. They are called at every request: they must cost next to nothing, and never throw. */
export interface ReadObserver {
  /** Where the look-ups of a view are counted; asked once per view and reader. */
  countsOf(view: string): LookupCounts;
  /** The online store took this long for the keys of one read, failed reads included. */
  storeTook(milliseconds: number): void;
  /** The function of a realtime view took this long for the rows of one read; `failure` is the code of the error it ended with. */
  functionTook(view: string, milliseconds: number, failure: string | undefined): void;
}

/** What readers need of a store. */
export type ReadStore = Pick<OnlineStore, "getMany">;
