/** A plan in a notebook: what is created, changed and deleted, and what that costs. */
import type { MimeBundle } from "../display.ts";
import { kindText, type Plan, type PlanItem } from "../registry/plan.ts";
import { formatBytes, formatCount, formatSeconds } from "../text.ts";
import { escapeHtml, tableBundle } from "./html.ts";

const changes = {
  create: "create",
  update: "update",
  newVersion: "new version",
  unchanged: "",
  delete: "delete",
} as const;

/** A plan in both forms. */
export function planBundle(plan: Plan): MimeBundle {
  const text = planText(plan);
  if (plan.isEmpty) return { "text/html": "<p>No changes: everything is already as wanted</p>", "text/plain": text };
  const items = plan.items.filter(({ change }) => change !== "unchanged");
  const hasBackfill = items.some(({ backfill }) => backfill);
  const rows = items.map((item) => [
    changes[item.change],
    kindText(item.kind),
    item.version === undefined ? item.name : `${item.name}, version ${item.version}`,
    item.differences.map((each) => each.text).join("\n"),
    ...(hasBackfill ? [backfillText(item)] : []),
  ]);
  const table = tableBundle({
    title: plan.slices === 0
      ? "Plan"
      : `Plan: ${formatCount(plan.slices)} slices to compute${
        plan.seconds === undefined ? "" : `, about ${wholeSeconds(roughly(plan.seconds))} for one process`
      }`,
    head: ["change", "kind", "name", "what", ...(hasBackfill ? ["backfill"] : [])],
    rows,
    note: "Nothing has run yet: apply() does it",
  });
  const warnings = plan.warnings.map(({ path, message }) => `<li>${escapeHtml(`${path}: ${message}`)}</li>`);
  const list = warnings.length === 0 ? "" : `\n<p><b>Warnings</b></p>\n<ul>${warnings.join("")}</ul>`;
  return { "text/html": `${String(table["text/html"])}${list}`, "text/plain": text };
}

function wholeSeconds(seconds: number): string {
  return formatSeconds(seconds).replace(/\.0 s$| 0 s$/, (end) => end === ".0 s" ? " s" : "");
}

function planText(plan: Plan): string {
  if (plan.seconds === undefined) return plan.toString();
  return `${plan}\n\nabout ${
    wholeSeconds(roughly(plan.seconds))
  } for one process; nothing has run yet: apply() does it`;
}

/** A guess has one digit that matters, or whole minutes. */
function roughly(seconds: number): number {
  if (seconds >= 60) return Math.round(seconds / 60) * 60;
  return Math.max(1, seconds < 10 ? Math.round(seconds) : Math.round(seconds / 5) * 5);
}

function backfillText({ backfill }: PlanItem): string {
  if (!backfill) return "";
  const { slices, rows, bytes } = backfill;
  return [
    `${formatCount(slices)} ${slices === 1 ? "slice" : "slices"}`,
    ...(rows === undefined ? [] : [`reads about ${formatCount(rows)} rows`]),
    ...(bytes === undefined ? [] : [formatBytes(bytes)]),
  ].join("\n");
}
