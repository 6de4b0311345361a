/** What publishing one view would change. */
import type { ViewDefinition } from "../define/definitions.ts";
import { definitionWarnings } from "../define/view_warnings.ts";
import type { Issue } from "../errors.ts";
import { durationToMicros, formatDuration, formatTimestamp, type Micros } from "../time.ts";
import { dataHash, unfit } from "./data_hash.ts";
import { createdDifferences, sameDefinition, viewDifferences } from "./differences.ts";
import { currentVersion, nextVersion } from "./fold.ts";
import type { Backfill, Difference, PlanItem } from "./plan.ts";
import { backfillOf } from "./plan_backfill.ts";
import type { Action, RegisteredView, RegistryState, ViewVersion } from "./state.ts";

/** One item of a plan with what has to be committed for it. */
export interface PlannedItem {
  /** What the plan shows. */
  readonly item: PlanItem;
  /** What it commits. */
  readonly actions: readonly Action[];
}

/** More slices than this in one view are refused: a table of a million tiny files helps nobody. */
const maxSlices = 1_000_000;
const manySlices = 50_000;

/** Compares a view with what the registry holds of it. Adds to `issues` what cannot be. */
export function planView(state: RegistryState, view: ViewDefinition, now: Micros, issues: Issue[]): PlannedItem {
  const registered = state.views[view.name];
  const planned = registered
    ? replan(state, registered, view, now)
    : addVersion(state, view, now, "create", createdDifferences(view));
  const slices = planned.item.backfill?.slices ?? 0;
  if (slices > maxSlices) {
    issues.push({
      path: `view:${view.name}`,
      message:
        `a schedule of ${view.schedule} since ${view.start} makes ${slices} slices, at most ${maxSlices} are allowed; use a longer schedule or a later start`,
    });
  }
  if (planned.item.change === "unchanged") return planned;
  return { ...planned, item: { ...planned.item, warnings: viewWarnings(view, planned.item.change, slices, now) } };
}

function replan(state: RegistryState, registered: RegisteredView, view: ViewDefinition, now: Micros): PlannedItem {
  const current = currentVersion(registered);
  const differences = current ? viewDifferences(current.definition, view) : [];
  const same = reusable(registered, view, now);
  const abandoned: Action[] = [];
  if (registered.building !== undefined && registered.building !== same?.version) {
    abandoned.push({ kind: "deleteVersion", view: view.name, version: registered.building });
    differences.push({ field: "building", text: `version ${registered.building}, which is being built, is given up` });
  }
  if (!same) {
    const isSameData = current && dataHash(current.definition) === dataHash(view);
    const reason = isSameData ? unfit(current.definition, view, now) : undefined;
    if (reason !== undefined) {
      differences.push({ field: "version", text: `${reason}: a new version is built beside the one that serves` });
    }
    return addVersion(state, view, now, "newVersion", differences, abandoned);
  }
  const actions: Action[] = [...abandoned];
  if (!sameDefinition(same.definition, view)) {
    actions.push({ kind: "updateVersion", view: view.name, version: same.version, definition: view });
  }
  if (same.version !== registered.serving && same.version !== registered.building) {
    actions.push({ kind: "serve", view: view.name, version: same.version });
    differences.push({ field: "serving", text: `version ${same.version}, which is complete, serves again` });
  }
  const backfill = actions.length === 0 ? undefined : backfillOf(view, same.definition, now);
  return planned(view, actions.length === 0 ? "unchanged" : "update", same.version, differences, actions, backfill);
}

/** The version that has just this data and can be used as it is: being built, serving, or complete from earlier. */
function reusable(registered: RegisteredView, view: ViewDefinition, now: Micros): ViewVersion | undefined {
  const hash = dataHash(view);
  const usable = [registered.building, registered.serving, ...[...registered.served ?? []].reverse()];
  const versions = usable.map((number) => registered.versions.find((version) => version.version === number));
  return versions.find((version) => version?.dataHash === hash && unfit(version.definition, view, now) === undefined);
}

function addVersion(
  state: RegistryState,
  view: ViewDefinition,
  now: Micros,
  change: "create" | "newVersion",
  differences: readonly Difference[],
  before: readonly Action[] = [],
): PlannedItem {
  const version: ViewVersion = {
    version: nextVersion(state, view.name),
    definition: view,
    dataHash: dataHash(view),
    createdAt: formatTimestamp(now),
  };
  const actions: Action[] = [...before, { kind: "addVersion", version }];
  // Nothing will ever be stored, so that there is nothing to wait for.
  if (!view.online && !view.offline) actions.push({ kind: "serve", view: view.name, version: version.version });
  return planned(view, change, version.version, differences, actions, backfillOf(view, undefined, now));
}

function planned(
  view: ViewDefinition,
  change: PlanItem["change"],
  version: number,
  differences: readonly Difference[],
  actions: readonly Action[],
  backfill: Backfill | undefined,
): PlannedItem {
  const item: PlanItem = {
    kind: "view",
    name: view.name,
    change,
    version,
    differences,
    ...(backfill ? { backfill } : {}),
    warnings: [],
  };
  return { item, actions };
}

function viewWarnings(view: ViewDefinition, change: PlanItem["change"], slices: number, now: Micros): string[] {
  const warnings = [...definitionWarnings(view)];
  const schedule = durationToMicros(view.schedule);
  const wait = schedule + durationToMicros(view.dataDelay, "dataDelay", { allowZero: true });
  if (view.ttl !== "forever" && durationToMicros(view.ttl) < wait) {
    warnings.push(
      `ttl, ${view.ttl}, is shorter than schedule and dataDelay, ${
        formatDuration(wait)
      }: values expire before the next ones can be served (S4, S6)`,
    );
  }
  if (slices > manySlices) {
    warnings.push(`${slices} slices are many; a longer schedule makes fewer, larger files`);
  }
  if (slices === 0 && change !== "update" && (view.online || view.offline)) {
    warnings.push(`no slice has closed yet at ${formatTimestamp(now)}: the first one starts at ${view.start}`);
  }
  if (change === "newVersion" && view.preventDestroy) {
    warnings.push(
      "preventDestroy is set: this is a new version, and the one that serves now stays until it is complete",
    );
  }
  return warnings;
}
