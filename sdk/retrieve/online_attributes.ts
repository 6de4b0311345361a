/** Online values of attributes: the newest row of a key. */
import type { AttributeView } from "../define/definitions.ts";
import { effectiveMicros, type Micros } from "../time.ts";
import { EventTime, rowLayout, type RowReader } from "../storage/encoding.ts";
import { timing } from "./feature_read.ts";
import type { Found, RowValues } from "./online_values.ts";
import type { FeatureStatus } from "./status.ts";

type Times = ReturnType<typeof timing>;

/** Reads features of a view of attributes, by their places in it. */
export class AttributeValues implements RowValues {
  readonly #row: RowReader;
  readonly #defaults: readonly unknown[];
  readonly #times: Times;

  constructor(definition: AttributeView, places: readonly number[], defaults: readonly unknown[]) {
    this.#row = rowLayout(definition.features).reader(places);
    this.#defaults = defaults;
    this.#times = timing(definition);
  }

  found(bytes: Uint8Array, at: Micros): Found {
    const { ttl } = this.#times;
    const eventTime = new EventTime(bytes);
    const isExpired = ttl !== undefined && !eventTime.isAfter(at - ttl); // S6
    return new FoundRow(isExpired ? "EXPIRED" : "PRESENT", eventTime, this.#times);
  }

  decode(bytes: Uint8Array, values: unknown[], first: number): void {
    this.#row.read(bytes, values, first, this.#defaults);
  }

  read(bytes: Uint8Array, at: Micros, _state: unknown, values: unknown[], first: number): Found {
    const found = this.found(bytes, at);
    if (found.status === "EXPIRED") this.none(values, first);
    else this.decode(bytes, values, first);
    return found;
  }

  none(values: unknown[], first: number): void {
    for (let i = 0; i < this.#defaults.length; i++) values[first + i] = this.#defaults[i];
  }
}

/** Most requests do not ask for its times: they are computed for those that do. */
class FoundRow implements Found {
  readonly status: FeatureStatus;
  readonly #eventTime: EventTime;
  readonly #times: Times;

  constructor(status: FeatureStatus, eventTime: EventTime, times: Times) {
    this.status = status;
    this.#eventTime = eventTime;
    this.#times = times;
  }

  get eventTime(): Micros {
    return this.#eventTime.micros;
  }

  get effectiveTime(): Micros {
    return effectiveMicros(this.eventTime, this.#times.schedule, this.#times.dataDelay);
  }
}
