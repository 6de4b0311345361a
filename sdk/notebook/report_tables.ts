/** What reports look like: answers of requests, comparisons, leaks. */
import type { MimeBundle } from "../display.ts";
import type { Answer, ServedFeature } from "../retrieve/service_reader.ts";
import { formatType, type Row } from "../schema.ts";
import { formatCount, formatShare } from "../text.ts";
import { Timestamp } from "../time.ts";
import { cellText, columnTexts } from "./cell_text.ts";
import { stacked, tableBundle } from "./html.ts";

const maxShown = 20;

/** Answers of requests, with the status and effective time of each feature. */
export function answersBundle(features: readonly ServedFeature[], answers: readonly Answer[]): MimeBundle {
  const shown = answers.slice(0, maxShown);
  const effective = columnTexts(
    shown.flatMap(({ effectiveTimes }) =>
      features.map((_, f) => effectiveTimes[f] === undefined ? undefined : new Timestamp(effectiveTimes[f]))
    ),
  );
  const rows = shown.flatMap((answer, i) =>
    features.map(({ name, type, namespace }, f) => [
      String(i + 1),
      name,
      cellText(answer.values[f]),
      formatType(type),
      answer.statuses[f]!,
      effective[i * features.length + f]!,
      namespace,
    ])
  );
  return tableBundle({
    head: ["request", "feature", "value", "type", "status", "effective", "view"],
    rows,
    align: ["right", "left", "right"],
    ...(answers.length > maxShown && { note: `first ${maxShown} of ${formatCount(answers.length)} requests` }),
  });
}

/** The parts of a comparison that are shown. */
export interface ShownSkew {
  readonly view: string;
  readonly version: number;
  readonly at: string;
  readonly keys: number;
  readonly cutKeys: number;
  readonly values: number;
  readonly mismatches: number;
  readonly features: readonly { readonly feature: string; readonly served: number; readonly stored: number }[];
  readonly examples: readonly {
    readonly key: Row;
    readonly feature: string;
    readonly source: unknown;
    readonly served: unknown;
    readonly stored: unknown;
  }[];
}

/** A comparison of what is served with what its definition gives. */
export function skewBundle(found: ShownSkew): MimeBundle {
  const title = `${formatCount(found.mismatches)} mismatches among ${formatCount(found.values)} values of view ` +
    `${found.view} version ${found.version} at ${found.at}`;
  const counts = tableBundle({
    title,
    head: ["feature", "served differs", "stored differs"],
    rows: found.features.map(({ feature, served, stored }) => [feature, formatCount(served), formatCount(stored)]),
    align: ["left", "right", "right"],
    note: [
      `${formatCount(found.keys)} keys: served, stored for training, and computed anew from the source`,
      ...(found.cutKeys === 0 ? [] : [
        `${
          formatCount(found.cutKeys)
        } of them cut: windows reach more rows than maxRows keeps for requests; raise it, or ` +
        "shorten the windows",
      ]),
    ].join("\n"),
  });
  if (found.mismatches === 0) return counts;
  const examples = tableBundle({
    head: ["key", "feature", "source", "served", "stored"],
    rows: found.examples.map(({ key, feature, ...values }) => [
      Object.values(key).map(cellText).join(", "),
      feature,
      cellText(values.source),
      cellText(values.served),
      cellText(values.stored),
    ]),
    align: ["left", "left", "right", "right", "right"],
  });
  return stacked(counts, examples);
}

/** The parts of a check of the audit log that are shown. */
export interface ShownAudit {
  readonly service: string;
  readonly from: string;
  readonly to: string;
  readonly rows: number;
  readonly more: boolean;
  readonly values: number;
  readonly matches: number;
  readonly mismatches: number;
  readonly missing: number;
  readonly uncompared: number;
  readonly notes: readonly string[];
  readonly features: readonly { readonly feature: string; readonly mismatches: number; readonly missing: number }[];
  readonly examples: readonly {
    readonly at: string;
    readonly key: Row;
    readonly feature: string;
    readonly served: unknown;
    readonly offline: unknown;
    readonly status: string;
  }[];
}

/** What was served, against what should have been. */
export function auditBundle(found: ShownAudit): MimeBundle {
  const { mismatches, missing, uncompared } = found;
  const counts = tableBundle({
    title: `${formatCount(mismatches)} mismatches and ${formatCount(missing)} missing among ${
      formatCount(found.values)
    } values that service ${found.service} answered from ${found.from} to ${found.to}`,
    head: ["feature", "differs", "missing"],
    rows: found.features.map(({ feature, mismatches, missing }) => [
      feature,
      formatCount(mismatches),
      formatCount(missing),
    ]),
    align: ["left", "right", "right"],
    note: [
      `${formatCount(found.rows)} answers${found.more ? ", the newest" : ""}: ${
        formatCount(found.matches)
      } values match`,
      ...(uncompared > 0 ? [`${formatCount(uncompared)} were not compared: ${found.notes.join("; ")}`] : []),
    ].join("; "),
  });
  if (found.examples.length === 0) return counts;
  const examples = tableBundle({
    head: ["at", "key", "feature", "served", "offline", "status"],
    rows: found.examples.map(({ at, key, feature, served, offline, status }) => [
      at,
      Object.values(key).map(cellText).join(", "),
      feature,
      cellText(served),
      cellText(offline),
      status,
    ]),
    align: ["left", "left", "left", "right", "right"],
  });
  return stacked(counts, examples);
}

/** The parts of a search for leaks that are shown. */
export interface ShownLeaks {
  readonly rows: number;
  readonly changed: number;
  readonly features: readonly { readonly feature: string; readonly rows: number; readonly share: number }[];
  readonly examples: readonly {
    readonly row: Row;
    readonly feature: string;
    readonly event: unknown;
    readonly effective: unknown;
  }[];
}

/** Which features would leak. */
export function leaksBundle(found: ShownLeaks): MimeBundle {
  const counts = tableBundle({
    title: `${formatCount(found.changed)} of ${
      formatCount(found.rows)
    } rows would see what was not known at their time`,
    head: ["feature", "rows", "share"],
    rows: found.features.map((
      { feature, rows, share },
    ) => [feature, formatCount(rows), formatShare(share)]),
    align: ["left", "right", "right"],
    note: "a join by event time against what could have been served",
  });
  if (found.examples.length === 0) return counts;
  const examples = tableBundle({
    head: [Object.keys(found.examples[0]!.row).join(", "), "feature", "by event time", "could be served"],
    rows: found.examples.map(({ row, feature, event, effective }) => [
      Object.values(row).map(cellText).join(", "),
      feature,
      cellText(event),
      cellText(effective),
    ]),
    align: ["left", "left", "right", "right"],
  });
  return stacked(counts, examples);
}
