/** Columns that results are written to. */
import type { Aggregator, States } from "./aggregator.ts";
import { type Column, type ColumnKind, type Copied, copiedOf, makeValues, type Values } from "./columns.ts";

/** A column of results: every row is written before it is read. */
export class ResultColumn {
  /** Numbers in a typed array, or values in row form with nulls in place. */
  readonly values: Values;
  /** The same memory. */
  readonly copied: Copied;
  /** 1 where a number is null. */
  readonly nulls: Uint8Array;
  /** Whether any number is. */
  hasNulls = false;

  /** Room for so many results. */
  constructor(kind: ColumnKind, rows: number) {
    this.values = makeValues(kind, rows);
    this.copied = copiedOf(this.values);
    this.nulls = new Uint8Array(kind === "values" ? 0 : rows);
  }

  /** Begins anew. */
  clear(): void {
    this.hasNulls = false;
  }

  /** Writes a value in row form. */
  set(row: number, value: unknown): void {
    if (Array.isArray(this.values)) {
      this.values[row] = value;
    } else if (value === null) {
      this.nulls[row] = 1;
      this.hasNulls = true;
    } else {
      this.nulls[row] = 0;
      (this.values as { [row: number]: unknown })[row] = value;
    }
  }

  /** What was written. */
  column(): Column {
    return this.hasNulls ? this : { values: this.values };
  }
}

/** Ranges between two states each: from `los[at]` to `his[at]`, and empty unless the latter is greater. */
export interface Ranges {
  readonly los: Int32Array;
  readonly his: Int32Array;
  /** Where the first range is, and how far on the next one. */
  readonly at: number;
  readonly step: number;
  /** The rows of their results: from `first` up to `end`. */
  readonly first: number;
  readonly end: number;
}

/** An aggregator that may write results itself. */
export interface WritingAggregator extends Aggregator {
  /**
   * Writes the results of ranges between states of all rows before a bound, where one loop over all of them is faster than
   * `difference` and `finalize` of each.
   */
  writeDifferences?(states: States, ranges: Ranges, results: ResultColumn): void;
}
