/** What publishing realtime views would change, and which of them a change of other views would break. */
import type { RealtimeViewDefinition } from "../define/definitions.ts";
import { realtimeViewIssues } from "../define/realtime_checks.ts";
import type { Issue } from "../errors.ts";
import { formatTimestamp, type Micros } from "../time.ts";
import { createdRealtimeDifferences, realtimeDifferences, sameRealtimeView } from "./differences.ts";
import { nextVersion } from "./fold.ts";
import type { Outcome } from "./plan_services.ts";
import { readerConflicts } from "./plan_uses.ts";
import type { PlannedItem } from "./plan_view.ts";
import type { RegistryState } from "./state.ts";

/** Compares a realtime view with the registered one. A change serves as soon as it is committed and what it reads serves. */
export function planRealtimeView(
  state: RegistryState,
  view: RealtimeViewDefinition,
  outcome: Outcome,
  now: Micros,
): PlannedItem {
  const registered = state.realtimeViews[view.name]?.versions.at(-1);
  if (registered && sameRealtimeView(registered.definition, view)) {
    const item = { kind: view.kind, name: view.name, version: registered.version, differences: [], warnings: [] };
    return { item: { ...item, change: "unchanged" }, actions: [] };
  }
  const version = { version: nextVersion(state, view.name), definition: view, createdAt: formatTimestamp(now) };
  return {
    item: {
      kind: view.kind,
      name: view.name,
      change: registered ? "update" : "create",
      version: version.version,
      differences: registered ? realtimeDifferences(registered.definition, view) : createdRealtimeDifferences(view),
      warnings: offlineWarnings(view.from.map((use) => use.view), outcome),
    },
    actions: [{ kind: "putRealtimeView", version }],
  };
}

/** Views that requests cannot read, in words. */
export function offlineWarnings(names: readonly string[], { views }: Outcome): string[] {
  const offline = names.filter((name) => {
    const view = views.get(name);
    return view?.kind === "view" && !view.online;
  });
  return [...new Set(offline)].map((name) =>
    `view "${name}" is not online: requests cannot read it, only training can`
  );
}

/** Realtime views of this plan that do not fit, and registered ones that it would break. */
export function realtimeConflicts(
  state: RegistryState,
  outcome: Outcome,
  desired: ReadonlySet<string>,
  deleted: ReadonlySet<string>,
): Issue[] {
  return [...outcome.views.values()].flatMap((view) =>
    view.kind !== "realtimeView" ? [] : readerConflicts(
      {
        path: `realtimeView:${view.name}`,
        what: "realtime view",
        uses: view.from,
        isRegistered: state.realtimeViews[view.name] !== undefined,
        issues: () => realtimeViewIssues(view, outcome.views),
      },
      desired,
      deleted,
    )
  );
}
