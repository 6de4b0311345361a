/** `varve status`: what is registered, stored, served, running and missing. */
import { formatBytes, formatCount, textTable } from "varve";
import type { StoreStatus, VersionStatus, ViewStatus } from "varve";
import type { WorkerRecord } from "varve/cluster";
import { openQueue } from "../connect.ts";
import { queueUrl } from "../settings.ts";
import type { CommandContext } from "./main.ts";
import { withStoreToRead } from "./with_store.ts";

/** Prints one look. */
export async function status(context: CommandContext): Promise<void> {
  await withStoreToRead(context, async (store) => {
    const [found, workers] = await Promise.all([store.status(), listWorkers(context)]);
    if (context.json) return context.print(JSON.stringify({ ...found, workers }, undefined, 2));
    context.print(statusText(found, workers));
  });
}

async function listWorkers({ config }: CommandContext): Promise<readonly WorkerRecord[] | undefined> {
  const url = queueUrl(config);
  if (url === undefined) return undefined;
  const queue = await openQueue(url, config.workspace);
  try {
    return await queue.workers();
  } finally {
    await queue.close();
  }
}

/** The look as text. */
export function statusText(found: StoreStatus, workers: readonly WorkerRecord[] | undefined): string {
  const parts = [
    `workspace ${found.workspace}, revision ${found.revision}`,
    `objects   ${found.objects}`,
    ...(found.online === undefined ? [] : [`online    ${found.online}`]),
    `queue     ${found.queue}: ${jobsText(found)}`,
    ...(workers === undefined
      ? []
      : [`workers   ${workers.length === 0 ? "none is alive; start one with `varve worker`" : workersText(workers)}`]),
    ...(found.realtimeViews.length === 0 ? [] : [`realtime  ${realtimeText(found)}`]),
    `services  ${found.services.join(", ") || "none"}`,
    "",
    viewsText(found.views),
  ];
  const problems = new Set([
    ...(found.queueProblem === undefined ? [] : [found.queueProblem]),
    ...found.views.flatMap((view) => view.versions.flatMap(({ problem }) => problem ?? [])),
    ...found.realtimeViews.flatMap(({ problem }) => problem ?? []),
  ]);
  if (problems.size > 0) parts.push("", "(!) Problems", ...[...problems].map((problem) => `  ${problem}`));
  const failures = found.views.flatMap((view) =>
    view.failures.map((failure) => [view.name, failure.job, failure.state, failure.id, failure.reason])
  );
  if (failures.length > 0) {
    parts.push("", "Failed jobs (put one back in line with `varve retry ID`)");
    parts.push(
      ...failures.map(([view, job, state, id, reason]) => `  ${view}: ${job}: ${state}: ${reason}\n    id ${id}`),
    );
  }
  return parts.join("\n");
}

function realtimeText({ realtimeViews }: StoreStatus): string {
  return realtimeViews.map(({ name, serving, waiting, reads, problem }) =>
    `${name} version ${serving}${problem === undefined ? "" : " (!)"}${
      reads.length === 0 ? "" : ` of ${reads.join(", ")}`
    }${waiting === undefined ? "" : ` (version ${waiting} waits for it)`}`
  ).join("; ");
}

function jobsText({ jobs, queueProblem }: StoreStatus): string {
  if (queueProblem !== undefined) return "does not answer (!)";
  const parts = Object.entries(jobs).filter(([, count]) => count > 0).map(([state, count]) =>
    `${formatCount(count)} ${state}`
  );
  return parts.join(", ") || "no jobs";
}

function workersText(workers: readonly WorkerRecord[]): string {
  return workers.map(({ host, pid, jobs }) =>
    `${host}:${pid} (${jobs.length === 0 ? "idle" : `${jobs.length} running`})`
  ).join(", ");
}

function viewsText(views: readonly ViewStatus[]): string {
  if (views.length === 0) return "No views yet: publish one from a notebook, or with `varve apply FILE`";
  const rows = views.flatMap((view) => view.versions.map((version) => versionRow(view, version)));
  return textTable(
    ["view", "version", "state", "slices", "rows", "size", "data up to", "online"],
    rows,
    ["left", "right", "left", "right", "right", "right", "left", "left"],
  );
}

function versionRow(view: ViewStatus, version: VersionStatus): string[] {
  const online = !view.isOnline
    ? "off"
    : version.online === undefined
    ? "not loaded"
    : version.online.upToDate
    ? "up to date"
    : "behind";
  // Their windows lack rows: more are in reach than maxRows lets be kept.
  const cutKeys = version.online?.cutKeys ?? 0;
  const cut = cutKeys > 0 ? `, ${formatCount(cutKeys)} ${cutKeys === 1 ? "key" : "keys"} cut` : "";
  // Rows came into them after they were computed.
  const late = version.lateSlices ? `, ${formatCount(version.lateSlices)} late` : "";
  return [
    view.name,
    String(version.version),
    version.problem === undefined ? version.state : `${version.state} (!)`,
    `${formatCount(version.slicesDone)}/${formatCount(version.slicesTotal)}${late}`,
    formatCount(version.rows),
    formatBytes(version.bytes),
    version.upTo?.replace(/T00:00:00Z$/, "") ?? "–",
    online + cut,
  ];
}
