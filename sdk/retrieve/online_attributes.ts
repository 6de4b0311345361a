/** Online values of attributes: the newest row of a key. */
import type { AttributeView } from "../define/definitions.ts";
import { effectiveMicros, type Micros } from "../time.ts";
import { readHeader, type RowLayout, rowLayout } from "../storage/encoding.ts";
import { timing } from "./feature_read.ts";
import type { Found, ViewValues } from "./online_values.ts";

/** Reads features of a view of attributes, by their places in it. */
export class AttributeValues implements ViewValues {
  readonly #layout: RowLayout;
  readonly #places: readonly number[];
  readonly #defaults: readonly unknown[];
  readonly #times: ReturnType<typeof timing>;

  constructor(definition: AttributeView, places: readonly number[], defaults: readonly unknown[]) {
    this.#layout = rowLayout(definition.features);
    this.#places = places;
    this.#defaults = defaults;
    this.#times = timing(definition);
  }

  read(bytes: Uint8Array, at: Micros, _state: unknown, values: unknown[], first: number): Found {
    const { schedule, dataDelay, ttl } = this.#times;
    const { eventTimestamp } = readHeader(bytes);
    const isExpired = ttl !== undefined && eventTimestamp <= at - ttl; // S6
    if (isExpired) this.none(values, first);
    else {
      const row = this.#layout.decodeUser(bytes);
      for (let i = 0; i < this.#places.length; i++) values[first + i] = row[this.#places[i]!] ?? this.#defaults[i];
    }
    return {
      status: isExpired ? "EXPIRED" : "PRESENT",
      effectiveTime: effectiveMicros(eventTimestamp, schedule, dataDelay),
      eventTime: eventTimestamp,
    };
  }

  none(values: unknown[], first: number): void {
    for (let i = 0; i < this.#defaults.length; i++) values[first + i] = this.#defaults[i];
  }
}
