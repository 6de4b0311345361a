/** A store in a notebook: every view with what is stored, served and missing of it; and what applying a plan did. */
import type { MimeBundle } from "../display.ts";
import { formatBytes, formatCount, formatSeconds } from "../text.ts";
import { stacked, tableBundle, textBundle } from "./html.ts";

/** The parts of a status that are shown. */
export interface ShownStatus {
  readonly workspace: string;
  readonly revision: number;
  readonly objects: string;
  readonly online?: string;
  readonly queue: string;
  readonly services: readonly string[];
  readonly views: readonly {
    readonly name: string;
    readonly entity: string;
    readonly schedule: string;
    readonly versions: readonly {
      readonly version: number;
      readonly state: string;
      readonly slicesDone: number;
      readonly slicesTotal: number;
      readonly rows: number;
      readonly bytes: number;
      readonly upTo?: string;
      readonly behind?: string;
      readonly online?: { readonly upToDate: boolean };
      readonly problem?: string;
    }[];
    readonly failures: readonly { readonly job: string; readonly state: string; readonly reason: string }[];
  }[];
}

/** What is registered, stored, served and missing. */
export function statusBundle(status: ShownStatus): MimeBundle {
  const places = [status.objects, ...(status.online === undefined ? [] : [status.online]), status.queue];
  const table = tableBundle({
    title: `workspace ${status.workspace}, revision ${status.revision}`,
    head: ["view", "version", "state", "slices", "rows", "size", "up to", "behind", "online"],
    rows: status.views.flatMap(({ name, entity, schedule, versions }) =>
      versions.map((each, i) => [
        i === 0 ? `${name}\n${entity}, every ${schedule}` : "",
        String(each.version),
        each.problem ?? each.state,
        `${formatCount(each.slicesDone)} of ${formatCount(each.slicesTotal)}`,
        formatCount(each.rows),
        formatBytes(each.bytes),
        each.upTo?.replace("T", " ").replace(/( 00:00:00)?Z$/, "") ?? "–",
        each.behind ?? "–",
        each.online === undefined ? "–" : each.online.upToDate ? "up to date" : "behind",
      ])
    ),
    align: ["left", "right", "left", "right", "right", "right"],
    first: [5, 7],
    note: [
      status.services.length === 0 ? "no services" : `services: ${status.services.join(", ")}`,
      places.join(" · "),
    ].join("\n"),
  });
  const failures = status.views.flatMap(({ failures }) => failures);
  return stacked(table, ...failures.map(({ job, state, reason }) => textBundle(`! ${state}: ${job}: ${reason}`)));
}

/** The parts of what applying did that are shown. */
export interface ShownApplied {
  readonly revision: number;
  readonly seconds: number;
  readonly views: readonly {
    readonly view: string;
    readonly version: number;
    readonly slices: number;
    readonly rows: number;
    readonly bytes: number;
    readonly onlineRows: number;
  }[];
}

/** What was computed and loaded. */
export function appliedBundle({ revision, seconds, views }: ShownApplied): MimeBundle {
  const done = `revision ${revision} · ${formatSeconds(seconds)}`;
  if (views.length === 0) return textBundle(`applied: nothing to compute · ${done}`);
  return tableBundle({
    title: "applied",
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
    note: done,
  });
}
