/** Profiles in a notebook: a line for each feature, with how its values lie and how they went. */
import type { FeatureProfile, ViewProfile } from "../define/view_profile.ts";
import type { MimeBundle } from "../display.ts";
import type { ColumnProfile } from "../frame/column_profile.ts";
import type { LabelFeature, LabelProfile } from "../retrieve/label_profile.ts";
import { formatCount, formatShare } from "../text.ts";
import { cellText } from "./cell_text.ts";
import { type Cell, exactCell, shareCell, stacked, tableBundle, textBundle } from "./html.ts";
import { sparkline, type SparklineOptions } from "./sparkline.ts";

const maxFeatures = 100;
const maxEntityFeatures = 6;

/** The profile of a view in both forms. */
export function viewProfileBundle(profile: ViewProfile): MimeBundle {
  const shown = profile.features.slice(0, maxFeatures);
  const features = tableBundle({
    title: `profile of ${profile.summary()}`,
    head: ["feature", "null", "min", "median", "mean", "max", "values", "over time"],
    rows: shown.map((each) => [
      `${each.feature}\n${each.type}`,
      nullCell(each.nullShare),
      endText(each, each.min),
      each.quantiles ? cellText(each.quantiles.p50) : "",
      each.mean === null ? "" : cellText(each.mean),
      endText(each, each.max),
      valuesCell(each),
      lineCell(overTime(each)),
    ]),
    align: ["left", "right", "right", "right", "right", "right"],
    first: [3],
    note: notes([
      `over time: the mean of every ${profile.every}`,
      'profile.plot.overTime("…"), histogram and byEntity draw a feature; rows() gives numbers',
      ...more(profile.features.length),
    ]),
  });
  const numbers = shown.filter(({ mean }) => mean !== null).slice(0, maxEntityFeatures);
  const [first] = numbers;
  if (!first || first.byEntity.length === 0) return features;
  const entities = tableBundle({
    head: [
      profile.entity,
      profile.of === "rows" ? "rows" : "source",
      ...numbers.map(({ feature }) => `${feature}\nmean`),
    ],
    rows: first.byEntity.map(({ key, rows }, i) => [
      Object.values(key).map(cellText).join(", "),
      formatCount(rows),
      ...numbers.map(({ byEntity }) => cellText(byEntity[i]!.mean)),
    ]),
    align: ["left", "right", ...numbers.map(() => "right" as const)],
    note: `the ${first.byEntity.length} of ${formatCount(profile.keys)} with the most ${
      profile.of === "rows" ? "rows" : profile.from === "source" ? "rows in the source" : "stored tiles"
    }`,
  });
  return stacked(features, entities);
}

/** The profile of a training set in both forms. */
export function labelProfileBundle(profile: LabelProfile): MimeBundle {
  const { label, kind, measure } = profile;
  const shown = profile.features.slice(0, maxFeatures);
  const table = tableBundle({
    title: `training set · ${profile.summary()}`,
    head: ["feature", measure, "null", "min", "mean", "max", "values", `${label.name} by value`],
    rows: shown.map((each) => [
      `${each.feature}\n${each.type}`,
      strengthCell(each, kind),
      nullCell(each.nullShare),
      endText(each, each.min),
      each.mean === null ? "" : cellText(each.mean),
      endText(each, each.max),
      valuesCell(each),
      lineCell(
        each.parts.filter(({ value }) => value !== "null").map(({ labelMean }) => labelMean),
        kind === "boolean" ? { from: 0 } : {},
      ),
    ]),
    align: ["left", "right", "right", "right", "right", "right"],
    first: [3, 5],
    note: notes([
      kind === "boolean"
        ? "AUC: how often a row that is true has more of the feature than one that is not (↓: less); 0.5 tells nothing"
        : "correlation: 0 tells nothing (↓: the label falls)",
      `by value: ${label.name} where the feature is low, and so on to where it is high`,
      'profile.plot("…") draws it',
      ...more(profile.features.length),
    ]),
  });
  return stacked(table, ...profile.warnings.map((warning) => textBundle(`! ${warning}`)));
}

/** What a feature holds, in three cells: nulls, values, over time. */
export function holdsCells(profile: FeatureProfile | undefined): Cell[] {
  if (!profile) return ["", "", ""];
  return [nullCell(profile.nullShare), valuesCell(profile), lineCell(overTime(profile))];
}

function strengthCell({ strength, direction }: LabelFeature, kind: LabelProfile["kind"]): Cell {
  if (strength === null) return "–";
  const text = `${direction === "down" ? "↓ " : ""}${strength.toFixed(3)}`;
  return shareCell(kind === "boolean" ? 2 * strength - 1 : strength, text);
}

/** A share of nulls. */
export function nullCell(share: number): Cell {
  return share === 0 ? "0 %" : shareCell(share, formatShare(share));
}

/** The ends of numbers and times: those of texts say nothing. */
function endText({ type }: ColumnProfile, value: unknown): string {
  return type === "string" || type === "boolean" || value === null ? "" : cellText(value);
}

/** A feature interval by interval; of others than numbers, how much there is. */
function overTime({ mean, nulls, overTime }: FeatureProfile): (number | null)[] {
  if (mean !== null) return overTime.map((each) => each.mean);
  return nulls === 0 ? [] : overTime.map(({ nullShare }) => 1 - nullShare);
}

/** Wider on a page than in text. */
function lineCell(values: readonly (number | null)[], options: SparklineOptions = {}): Cell {
  return exactCell(sparkline(values, { ...options, width: 24 }), sparkline(values, { ...options, width: 12 }));
}

/** Numbers as bars; others as their most frequent values. */
function valuesCell({ bins, values, distinct, rows, nulls }: ColumnProfile): Cell {
  const total = Math.max(1, rows - nulls);
  if (bins.length > 0) return exactCell(sparkline(bins.map((bin) => bin.rows), { from: 0 }));
  if (values.length === 0 || values[0]!.rows < total / 50) {
    return distinct === null ? "" : `${formatCount(distinct)} different`;
  }
  const text = values.slice(0, 3).map((each) => `${cellText(each.value)} ${Math.round((100 * each.rows) / total)} %`);
  return distinct! > 3 ? `${text.join(", ")}, … ${formatCount(distinct!)} different` : text.join(", ");
}

function more(features: number): string[] {
  return features > maxFeatures ? [`first ${maxFeatures} of ${formatCount(features)} features`] : [];
}

function notes(texts: readonly string[]): string {
  return texts.join(" · ");
}
