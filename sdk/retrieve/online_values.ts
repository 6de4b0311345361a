/** How the stored bytes of one view become values of its features, whatever the view's mode. */
import type { ViewState } from "../storage/online_store.ts";
import type { Micros } from "../time.ts";
import type { FeatureStatus } from "./status.ts";

/** What became of a look-up that found bytes. */
export interface Found {
  readonly status: FeatureStatus;
  /** When the values became effective; undefined where there are none. */
  readonly effectiveTime: Micros | undefined;
  /** When they were true; undefined where there are none. */
  readonly eventTime: Micros | undefined;
  /** Some window reaches back to rows that are not kept, since a key may keep only so many. */
  readonly isCut?: true;
}

/** Reads the features of one view that a service wants. Values are in user form, defaults filled in (S7). */
export interface ViewValues {
  /**
   * Writes the values at an instant into `values`, from index `first` on. Undefined: these bytes are totals for other instants,
   * and the tiles behind them are needed.
   */
  read(bytes: Uint8Array, at: Micros, state: ViewState, values: unknown[], first: number): Found | undefined;
  /** Writes the values of a key that has none. */
  none(values: unknown[], first: number): void;
}

/** Values that are made of a row's bytes alone, whatever the instant: they may be decoded later, or not at all. */
export interface RowValues extends ViewValues {
  /** What became of a look-up at an instant. */
  found(bytes: Uint8Array, at: Micros): Found;
  /** Writes the values of a row that is present. */
  decode(bytes: Uint8Array, values: unknown[], first: number): void;
}
