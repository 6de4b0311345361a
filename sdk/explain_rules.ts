/** The rules by which rows count for a value or are left out, in words. */
import type { ExplainedRow, ExplainedRows } from "./explanation.ts";
import type { KeyRow, RuledRows } from "./retrieve/explained_rows.ts";
import { formatTimestamp, type Micros, Timestamp } from "./time.ts";

/** Rows by rule, as they are shown. */
export interface ShownRules {
  /** The rows behind the value. */
  readonly used: ExplainedRows;
  /** The others. */
  readonly leftOut: readonly ExplainedRows[];
}

/** Rows by rule, with the rule in words. */
export function shownRules(ruled: readonly RuledRows[], windows: readonly string[], ttl: string): ShownRules {
  const shown = ruled.map((each) => shownRows(each, windows, ttl));
  const none: ExplainedRows = { rule: "used", reason: "the rows behind the value", count: 0, rows: [] };
  return {
    used: shown.find(({ rule }) => rule === "used") ?? none,
    leftOut: shown.filter(({ rule }) => rule !== "used"),
  };
}

function shownRows(
  { rule, count, effectiveFrom, rows }: RuledRows,
  windows: readonly string[],
  ttl: string,
): ExplainedRows {
  const [number, reason] = ruleText(rule, { count, effectiveFrom, windows, ttl });
  return { rule: number, reason, count, rows: rows.map(shownRow) };
}

function ruleText(
  rule: RuledRows["rule"],
  { count, effectiveFrom, windows, ttl }: {
    readonly count: number;
    readonly effectiveFrom: Micros;
    readonly windows: readonly string[];
    readonly ttl: string;
  },
): [number: string, reason: string] {
  const window = windows.length === 1 ? `the window ${windows[0]}` : `the ${windows.length} windows`;
  switch (rule) {
    case "used":
      return ["used", "the rows behind the value"];
    case "before start":
      return ["start", "before the view's start"];
    case "after end":
      return ["end", "after the view's end"];
    case "not yet":
      return ["S3", "after the instant that is asked for"];
    case "not effective":
      return ["S4", `effective only ${count === 1 ? "at" : "later, the first at"} ${formatTimestamp(effectiveFrom)}`];
    case "not materialized":
      return ["S10", "its slice is not materialized"];
    case "late":
      return ["S10", "late: written after its slice was computed, and not materialized since"];
    case "older":
      return ["S3", "an older row"];
    case "written before":
      return ["S3", "of equal event timestamps the last written wins"];
    case "expired":
      return ["S6", `expired: event timestamp + ${ttl} is not after the instant`];
    case "before window":
      return ["S5", windows.length === 1 ? `before ${window}` : `before or between ${window}`];
    case "end of window":
      return ["S5", `at the end of ${window}, which is half-open`];
    case "after window":
      return ["S5", `after ${window}`];
    case "null secondary key":
      return ["S7", "its secondary key is null"];
    case "where":
      return ["where", "its condition does not hold"];
    case "null input":
      return ["S7", "its input is null"];
  }
}

function shownRow({ time, written, effective, values }: KeyRow): ExplainedRow {
  return {
    time: new Timestamp(time),
    effective: new Timestamp(effective),
    ...(written !== undefined && { written: new Timestamp(written) }),
    values,
  };
}
