/** A store in a notebook: every view with what is stored, served and missing of it; its changes; what was done. */
import type { MimeBundle } from "../display.ts";
import type { Change } from "../registry/state.ts";
import { describeAction } from "../registry/touched.ts";
import { formatBytes, formatCount, formatSeconds } from "../text.ts";
import { Timestamp } from "../time.ts";
import { columnTexts } from "./cell_text.ts";
import { stacked, tableBundle, textBundle } from "./html.ts";

/** The parts of a status that are shown. */
export interface ShownStatus {
  readonly workspace: string;
  readonly revision: number;
  readonly objects: string;
  readonly online?: string;
  readonly queue: string;
  readonly queueProblem?: string;
  readonly services: readonly string[];
  readonly realtimeViews: readonly RealtimeShown[];
  readonly views: readonly {
    readonly name: string;
    readonly entity: string;
    readonly schedule: string;
    readonly versions: readonly {
      readonly version: number;
      readonly state: string;
      readonly slicesDone: number;
      readonly slicesTotal: number;
      readonly lateSlices?: number;
      readonly rows: number;
      readonly bytes: number;
      readonly upTo?: string;
      readonly behind?: string;
      readonly online?: { readonly upToDate: boolean; readonly cutKeys?: number };
      readonly problem?: string;
    }[];
    readonly failures: readonly { readonly job: string; readonly state: string; readonly reason: string }[];
  }[];
}

interface RealtimeShown {
  readonly name: string;
  readonly serving: number;
  readonly waiting?: number;
  readonly reads: readonly string[];
  readonly problem?: string;
}

/** Realtime views on one line: what they read, and which version waits for it. */
function realtimeText(views: readonly RealtimeShown[]): string {
  return views.map(({ name, serving, waiting, reads }) => {
    const of = reads.length === 0 ? "" : ` of ${reads.join(", ")}`;
    return `${name} version ${serving}${of}${waiting === undefined ? "" : ` (version ${waiting} waits for it)`}`;
  }).join("; ");
}

/** Keys that are cut have windows that lack rows: more are in reach than `maxRows` lets be kept. */
function onlineText(online: ShownStatus["views"][number]["versions"][number]["online"]): string {
  if (online === undefined) return "–";
  const { upToDate, cutKeys = 0 } = online;
  return `${upToDate ? "up to date" : "behind"}${
    cutKeys > 0 ? `, ${formatCount(cutKeys)} ${cutKeys === 1 ? "key" : "keys"} cut` : ""
  }`;
}

/** What is registered, stored, served and missing. */
export function statusBundle(status: ShownStatus): MimeBundle {
  if (status.revision === 0) {
    return textBundle(`workspace ${status.workspace}: nothing is published yet\n${status.objects} · ${status.queue}`);
  }
  const versions = status.views.flatMap((view) => view.versions.map((each, i) => ({ view, each, isFirst: i === 0 })));
  const upTo = columnTexts(versions.map(({ each }) => each.upTo && Timestamp.from(each.upTo)));
  const places = [status.objects, ...(status.online === undefined ? [] : [status.online]), status.queue];
  const table = tableBundle({
    title: `workspace ${status.workspace}, revision ${status.revision}`,
    head: ["view", "version", "state", "slices", "rows", "size", "up to", "behind", "online"],
    rows: versions.map(({ view, each, isFirst }, i) => [
      isFirst ? `${view.name}\n${view.entity}, every ${view.schedule}` : "",
      String(each.version),
      each.problem ?? each.state,
      `${formatCount(each.slicesDone)} of ${formatCount(each.slicesTotal)}${
        each.lateSlices ? `, ${formatCount(each.lateSlices)} late` : ""
      }`,
      formatCount(each.rows),
      formatBytes(each.bytes),
      upTo[i]!,
      each.behind ?? "–",
      onlineText(each.online),
    ]),
    align: ["left", "right", "left", "right", "right", "right"],
    first: [5, 4, 3, 1],
    note: [
      ...(status.realtimeViews.length === 0 ? [] : [`realtime views: ${realtimeText(status.realtimeViews)}`]),
      status.services.length === 0 ? "no services" : `services: ${status.services.join(", ")}`,
      places.join(" · "),
    ].join("\n"),
  });
  const problems = new Set([
    ...(status.queueProblem === undefined ? [] : [status.queueProblem]),
    ...status.realtimeViews.flatMap(({ problem }) => problem ?? []),
  ]);
  const failures = status.views.flatMap(({ failures }) => failures);
  const notes = [...problems, ...failures.map(({ job, state, reason }) => `${state}: ${job}: ${reason}`)];
  return stacked(table, ...notes.map((note) => textBundle(`! ${note}`)));
}

/** What was computed and loaded of one view. */
export interface ShownDone {
  readonly view: string;
  readonly version: number;
  readonly slices: number;
  readonly rows: number;
  readonly bytes: number;
  readonly onlineRows: number;
}

/** The parts of what applying did that are shown. */
export interface ShownApplied {
  readonly revision: number;
  readonly seconds: number;
  readonly views: readonly ShownDone[];
}

/** What was computed and loaded. */
export function appliedBundle({ revision, seconds, views }: ShownApplied): MimeBundle {
  const done = `revision ${revision} · ${formatSeconds(seconds)}`;
  if (views.length === 0) return textBundle(`applied: nothing to compute · ${done}`);
  if (isIdle(views)) return textBundle(`applied: everything was computed already · ${done}`);
  return doneTable("applied", views, done);
}

/** What became due, and was computed and loaded. */
export function doneBundle(views: readonly ShownDone[]): MimeBundle {
  return isIdle(views) ? textBundle("nothing was due: everything is computed and loaded") : doneTable("done", views);
}

function isIdle(views: readonly ShownDone[]): boolean {
  return views.every(({ slices, onlineRows }) => slices === 0 && onlineRows === 0);
}

function doneTable(title: string, views: readonly ShownDone[], note?: string): MimeBundle {
  return tableBundle({
    title,
    head: ["view", "version", "slices", "rows", "size", "keys online"],
    rows: views.map((each) => [
      each.view,
      String(each.version),
      formatCount(each.slices),
      formatCount(each.rows),
      formatBytes(each.bytes),
      formatCount(each.onlineRows),
    ]),
    align: ["left", "right", "right", "right", "right", "right"],
    ...(note !== undefined && { note }),
  });
}

/** Changes of the registry, in their order. */
export function historyBundle(changes: readonly Change[]): MimeBundle {
  if (changes.length === 0) return textBundle("no changes yet");
  const times = columnTexts(changes.map(({ at }) => Timestamp.from(at)));
  return tableBundle({
    head: ["revision", "when", "who", "what", "why"],
    rows: changes.map(({ revision, author, actions, reason }, i) => [
      String(revision),
      times[i]!,
      author,
      actions.map(describeAction).join("\n"),
      reason || "–",
    ]),
    align: ["right"],
    words: [3, 4],
  });
}

/** The parts of a vacuum that are shown. */
export interface ShownVacuum {
  readonly applied: boolean;
  readonly objects: number;
  readonly bytes: number;
  readonly deletedVersions: readonly { readonly view: string; readonly version: number }[];
  readonly values: number;
}

/** What was or could be removed, in a sentence. */
export function vacuumBundle({ applied, objects, bytes, deletedVersions, values }: ShownVacuum): MimeBundle {
  const found = [
    ...(objects > 0 ? [`${formatCount(objects)} objects (${formatBytes(bytes)})`] : []),
    ...deletedVersions.map(({ view, version }) => `version ${version} of view "${view}", which is registered no more`),
    ...(values > 0 ? [`${formatCount(values)} values that are served no more`] : []),
  ];
  if (found.length === 0) return textBundle("nothing to remove");
  return textBundle(applied ? `removed ${found.join(", ")}` : `${found.join(", ")} could be removed`);
}
