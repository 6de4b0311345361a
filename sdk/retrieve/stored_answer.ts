/** Answers that are made of stored rows alone: what nobody asks for is not decoded. */
import type { Micros } from "../time.ts";
import type { Found, RowValues } from "./online_values.ts";
import type { Answer } from "./service_reader.ts";
import type { FeatureStatus } from "./status.ts";

/** One view of a service whose values are all made of stored rows. */
export interface RowView {
  readonly values: RowValues;
  /** How many features of it are read. */
  readonly count: number;
}

/** A server that knows the text of the very same rows asks for none of the values, and most requests for no times or statuses. */
export class StoredAnswer implements Answer {
  readonly storedRows: readonly (Uint8Array | undefined)[];
  readonly storedBytes: number;
  readonly #views: readonly RowView[];
  readonly #statuses: readonly FeatureStatus[];
  readonly #found: readonly (Found | undefined)[];
  readonly #hasTimes: boolean;
  #values: unknown[] | undefined;
  #statusList: FeatureStatus[] | undefined;
  #effectiveTimes: (Micros | undefined)[] | undefined;

  constructor(
    views: readonly RowView[],
    rows: readonly (Uint8Array | undefined)[],
    statuses: readonly FeatureStatus[],
    found: readonly (Found | undefined)[],
    storedBytes: number,
    hasTimes: boolean,
  ) {
    this.#views = views;
    this.storedRows = rows;
    this.#statuses = statuses;
    this.#found = found;
    this.storedBytes = storedBytes;
    this.#hasTimes = hasTimes;
  }

  /** Throws `CORRUPT` where a row cannot be read. */
  get values(): unknown[] {
    return this.#values ??= this.#decoded();
  }

  get statuses(): FeatureStatus[] {
    return this.#statusList ??= this.#eachFeature((v) => this.#statuses[v]!);
  }

  get effectiveTimes(): (Micros | undefined)[] {
    return this.#effectiveTimes ??= this.#hasTimes ? this.#eachFeature((v) => this.#found[v]?.effectiveTime) : [];
  }

  get eventTimes(): (Micros | undefined)[] {
    return this.#hasTimes ? this.#eachFeature((v) => this.#found[v]?.eventTime) : [];
  }

  #decoded(): unknown[] {
    const values: unknown[] = [];
    for (const [v, { values: view, count }] of this.#views.entries()) {
      const first = values.length;
      const row = this.storedRows[v];
      values.length = first + count;
      if (row) view.decode(row, values, first);
      else view.none(values, first);
    }
    return values;
  }

  #eachFeature<T>(of: (view: number) => T): T[] {
    return this.#views.flatMap(({ count }, v) => new Array<T>(count).fill(of(v)));
  }
}
