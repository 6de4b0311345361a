/** What an explanation looks like: every feature with its value, then for each the rows behind it and those left out. */
import type { MimeBundle } from "../display.ts";
import type { Row } from "../schema.ts";
import { formatCount } from "../text.ts";
import type { Timestamp } from "../time.ts";
import { cellText, columnTexts } from "./cell_text.ts";
import { stacked, tableBundle, textBundle } from "./html.ts";

/** The parts of an explanation that are shown. */
export interface ExplanationTable {
  readonly keys: Row;
  readonly at: Timestamp;
  readonly from: string;
  readonly features: readonly {
    readonly feature: string;
    readonly view: string;
    readonly version: number;
    readonly value: unknown;
    readonly status: string;
    readonly windows?: readonly string[];
    readonly used: ShownRows;
    readonly leftOut: readonly ShownRows[];
    readonly notes: readonly string[];
  }[];
}

interface ShownRows {
  readonly rule: string;
  readonly reason: string;
  readonly count: number;
  readonly rows: readonly {
    readonly time: Timestamp;
    readonly effective: Timestamp;
    readonly written?: Timestamp;
    readonly values: Row;
  }[];
}

/** Features beyond this are in the first table only. */
const maxDetailed = 12;

/** An explanation in both forms. */
export function explanationBundle({ keys, at, from, features }: ExplanationTable): MimeBundle {
  const key = Object.entries(keys).map(([name, value]) => `${name} = ${cellText(value)}`).join(", ");
  const values = tableBundle({
    title: `${key} at ${String(at)}, ${from === "source" ? "computed from the source" : "as it is stored"}`,
    head: ["feature", "value", "status", "rows used", "left out", "view"],
    rows: features.map(({ feature, value, status, used, leftOut, view, version }) => [
      feature,
      cellText(value),
      status,
      formatCount(used.count),
      formatCount(leftOut.reduce((sum, { count }) => sum + count, 0)),
      version === 0 ? view : `${view}, version ${version}`,
    ]),
    align: ["left", "right", "left", "right", "right"],
    ...(features.length > maxDetailed && {
      note: `the first ${maxDetailed} follow in detail; name others in { features: ["…"] }`,
    }),
  });
  return stacked(values, ...together(features.slice(0, maxDetailed)).map(detailBundle));
}

/** Attributes of one view share their rows: they are shown once. */
function together(features: ExplanationTable["features"]): ExplanationTable["features"][number][][] {
  const groups: ExplanationTable["features"][number][][] = [];
  for (const each of features) {
    const last = groups.at(-1);
    if (last && each.windows === undefined && last[0]!.leftOut === each.leftOut) last.push(each);
    else groups.push([each]);
  }
  return groups;
}

function detailBundle(features: ExplanationTable["features"][number][]): MimeBundle {
  const { windows, used, leftOut } = features[0]!;
  const groups = [used, ...leftOut];
  const notes = features.flatMap(({ feature, notes }) => notes.map((note) => `${feature}: ${note}`));
  const over = windows === undefined
    ? ""
    : windows.length === 1
    ? ` over ${windows[0]}`
    : ` over ${windows.length} windows`;
  const rules = tableBundle({
    title: `${features.map(({ feature, value }) => `${feature} = ${cellText(value)}`).join(", ")}${over}`,
    head: ["rule", "rows", "why"],
    rows: groups.map(({ rule, reason, count }) => [rule, formatCount(count), reason]),
    align: ["left", "right"],
  });
  const names = [...new Set(groups.flatMap(({ rows }) => rows.flatMap(({ values }) => Object.keys(values))))];
  const hasWritten = groups.some(({ rows }) => rows.some(({ written }) => written !== undefined));
  const rows = groups.flatMap(({ rows }) => rows);
  const isNumber = (name: string) => rows.some(({ values }) => ["number", "bigint"].includes(typeof values[name]));
  const columns = [
    groups.flatMap(({ rule, rows }) => rows.map((_, i) => i > 0 ? "" : rule)),
    columnTexts(rows.map(({ time }) => time)),
    columnTexts(rows.map(({ effective }) => effective)),
    ...(hasWritten ? [columnTexts(rows.map(({ written }) => written))] : []),
    ...names.map((name) => columnTexts(rows.map(({ values }) => values[name]))),
  ];
  const times = ["event time", "effective", ...(hasWritten ? ["written"] : [])];
  const shown = tableBundle({
    head: ["rule", ...times, ...names],
    rows: rows.map((_, i) => columns.map((texts) => texts[i]!)),
    align: ["left", ...times.map(() => "left" as const), ...names.map((name) => isNumber(name) ? "right" : "left")],
  });
  return stacked(
    rules,
    ...(rows.length > 0 ? [shown] : []),
    ...notes.map(textBundle),
  );
}
