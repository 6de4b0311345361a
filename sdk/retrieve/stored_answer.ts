/** Answers that are made of stored rows alone: what nobody asks for is not decoded. */
import type { Micros } from "../time.ts";
import { AttributeValues } from "./online_attributes.ts";
import type { Found, RowValues, ViewValues } from "./online_values.ts";
import type { Answer, StoredRows } from "./service_reader.ts";
import type { FeatureStatus } from "./status.ts";

/** One view of a service whose values are all made of stored rows. */
export interface RowView {
  readonly values: RowValues;
  /** How many features of it are read. */
  readonly count: number;
}

/** The views, where stored rows are all that values are made of; undefined where some values are made of more. */
export function rowViewsOf(views: readonly { values: ViewValues; count: number }[]): readonly RowView[] | undefined {
  return views.every((view): view is RowView => view.values instanceof AttributeValues) ? views : undefined;
}

const nothing = { effectiveTime: undefined, eventTime: undefined } as const;

/** A key that is null: nothing was looked up (S7). */
export const nullKey: Found = { status: "NULL_KEY", ...nothing };

/** A key that has no row. */
export const missing: Found = { status: "MISSING", ...nothing };

/** A server that knows the text of the very same rows asks for none of the values, and most requests for no times or statuses. */
export class StoredAnswer implements Answer {
  readonly storedRows: StoredRows;
  readonly storedBytes: number;
  readonly #views: readonly RowView[];
  readonly #found: readonly Found[];
  readonly #hasTimes: boolean;
  #values: unknown[] | undefined;
  #statusList: FeatureStatus[] | undefined;
  #effectiveTimes: (Micros | undefined)[] | undefined;

  /** By view: the rows that are present, and what became of the look-up. */
  constructor(
    views: readonly RowView[],
    rows: StoredRows,
    found: readonly Found[],
    storedBytes: number,
    hasTimes: boolean,
  ) {
    this.#views = views;
    this.storedRows = rows;
    this.#found = found;
    this.storedBytes = storedBytes;
    this.#hasTimes = hasTimes;
  }

  /** Throws `CORRUPT` where a row cannot be read. */
  get values(): unknown[] {
    return this.#values ??= this.#decoded();
  }

  get statuses(): FeatureStatus[] {
    return this.#statusList ??= this.#eachFeature((v) => this.#found[v]!.status);
  }

  get effectiveTimes(): (Micros | undefined)[] {
    return this.#effectiveTimes ??= this.#hasTimes ? this.#eachFeature((v) => this.#found[v]!.effectiveTime) : [];
  }

  get eventTimes(): (Micros | undefined)[] {
    return this.#hasTimes ? this.#eachFeature((v) => this.#found[v]!.eventTime) : [];
  }

  #decoded(): unknown[] {
    const values = new Array<unknown>(this.#views.reduce((sum, { count }) => sum + count, 0));
    for (let v = 0, first = 0; v < this.#views.length; v++) {
      const { values: view, count } = this.#views[v]!;
      const row = this.storedRows[v];
      if (row) view.decode(row, values, first);
      else view.none(values, first);
      first += count;
    }
    return values;
  }

  #eachFeature<T>(of: (view: number) => T): T[] {
    const each: T[] = [];
    for (let v = 0; v < this.#views.length; v++) {
      const one = of(v);
      for (let n = this.#views[v]!.count; n > 0; n--) each.push(one);
    }
    return each;
  }
}
