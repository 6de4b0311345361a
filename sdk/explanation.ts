/** What `store.explain` gives: for each feature the rows behind its value, and those left out by the rule that left them out. */
import { Displayed, type Rendering } from "./display.ts";
import { VarveError } from "./errors.ts";
import { explanationBundle, type ExplanationTable } from "./notebook/explanation_table.ts";
import type { FeatureStatus } from "./retrieve/status.ts";
import type { Row } from "./schema.ts";
import type { Timestamp } from "./time.ts";

/** One row of the source. */
export interface ExplainedRow {
  /** When it was true. */
  readonly time: Timestamp;
  /** When it could first have been served (S4). */
  readonly effective: Timestamp;
  /** When it was written, where the source says so. */
  readonly written?: Timestamp;
  /** Features, or what aggregations take. */
  readonly values: Row;
}

/** Rows that count, or are left out by one rule. */
export interface ExplainedRows {
  /** The rule, by its number in the README; `"used"` for the rows behind the value. */
  readonly rule: string;
  /** The rule in words. */
  readonly reason: string;
  /** How many rows. */
  readonly count: number;
  /** The newest of them. */
  readonly rows: readonly ExplainedRow[];
}

/** One feature. */
export interface ExplainedFeature {
  /** Its name in the answer. */
  readonly feature: string;
  /** The view it comes from. */
  readonly view: string;
  /** The version of that view; 0 where it is not published. */
  readonly version: number;
  /** What training reads for this key and instant. */
  readonly value: unknown;
  /** What became of the look-up. */
  readonly status: FeatureStatus;
  /** Its windows, the oldest first; absent for attributes. */
  readonly windows?: readonly string[];
  /** The rows behind the value; of a feature of a realtime view its expression, under the rule `"computed"`. */
  readonly used: ExplainedRows;
  /** The others, by rule. */
  readonly leftOut: readonly ExplainedRows[];
  /** What else explains it: what it was computed of, where what is stored, served and in the source differ. */
  readonly notes: readonly string[];
}

/** What explains the features of one key at one instant. Immutable. */
export class Explanation extends Displayed {
  /** The join keys. */
  readonly keys: Row;
  /** The instant. */
  readonly at: Timestamp;
  /** Where the values were read. */
  readonly from: "offline" | "source";
  /** Every feature. */
  readonly features: readonly ExplainedFeature[];

  /**
   * Made by `store.explain`.
   * @internal
   */
  constructor(keys: Row, at: Timestamp, from: "offline" | "source", features: readonly ExplainedFeature[]) {
    super();
    this.keys = keys;
    this.at = at;
    this.from = from;
    this.features = features;
    Object.freeze(this);
  }

  /** What explains one feature. */
  feature(name: string): ExplainedFeature {
    const found = this.features.find(({ feature }) => feature === name);
    if (found) return found;
    const names = this.features.map(({ feature }) => feature).join(", ");
    throw new VarveError("NOT_FOUND", `Cannot explain feature "${name}": features are ${names}`);
  }

  /** All rows that are shown, each with the feature and the rule; of one feature where it is named. */
  rows(name?: string): (ExplainedRow & { readonly feature: string; readonly rule: string; readonly reason: string })[] {
    const features = name === undefined ? this.features : [this.feature(name)];
    return features.flatMap(({ feature, used, leftOut }) =>
      [used, ...leftOut].flatMap(({ rule, reason, rows }) => rows.map((row) => ({ feature, rule, reason, ...row })))
    );
  }

  /** As plain text. */
  override toString(): string {
    return explanationBundle(this.#table())["text/plain"];
  }

  /** @internal */
  override rendering(): Rendering {
    return { first: explanationBundle(this.#table()) };
  }

  #table(): ExplanationTable {
    return this;
  }
}
